/* SPDX-License-Identifier: GPL-2.0-only */
/* The part of a config file as read (model.h) that says how a cluster picks its endpoints. */
#ifndef SL_CLUSTER_MODEL_H
#define SL_CLUSTER_MODEL_H

#include "config/cluster_lb.h"
#include "config/schema.h"

struct cfg_panic {
	const struct sl_node *node;
	struct cfg_u32 value; /* thousandths */
};

struct cfg_aggression {
	const struct sl_node *node;
	struct cfg_u32 value; /* thousandths */
	const struct sl_node *key;
};

struct cfg_slow_start {
	const struct sl_node *node;
	struct cfg_u32 window;
	struct cfg_aggression aggression;
	struct cfg_panic min;
};

struct cfg_round_robin {
	const struct sl_node *node;
	struct cfg_slow_start slow_start;
};

struct cfg_least_request {
	const struct sl_node *node;
	struct cfg_slow_start slow_start;
	struct cfg_u32 choices;
};

struct cfg_ring_hash {
	const struct sl_node *node;
	struct cfg_u32 min;
	struct cfg_u32 max;
};

struct cfg_maglev {
	const struct sl_node *node;
	struct cfg_u32 table_size;
};

struct cfg_zone_aware {
	const struct sl_node *node;
	struct cfg_u32 fail_on_panic;
};

struct cfg_common_lb {
	const struct sl_node *node;
	struct cfg_panic panic;
	struct cfg_zone_aware zone_aware;
};

struct cfg_status_range {
	const struct sl_node *node;
	struct cfg_u32 start;
	struct cfg_u32 end;
};

struct cfg_http_check {
	const struct sl_node *node;
	const struct sl_node *host;
	const struct sl_node *path;
	struct cfg_list expected;  /* struct cfg_status_range */
	struct cfg_list retriable; /* the same */
	struct cfg_u32 method;
	struct cfg_u32 codec;
};

struct cfg_tcp_check {
	const struct sl_node *node;
};

struct cfg_health_check {
	const struct sl_node *node;
	struct cfg_u32 timeout;
	struct cfg_u32 interval;
	struct cfg_u32 initial_jitter;
	struct cfg_u32 interval_jitter;
	struct cfg_u32 jitter_percent;
	struct cfg_u32 unhealthy_threshold;
	struct cfg_u32 healthy_threshold;
	struct cfg_u32 reuse;
	struct cfg_u32 no_traffic;
	struct cfg_u32 no_traffic_healthy;
	struct cfg_u32 unhealthy_interval;
	struct cfg_u32 unhealthy_edge;
	struct cfg_u32 healthy_edge;
	struct cfg_http_check http;
	struct cfg_tcp_check tcp;
};

struct cfg_outlier {
	const struct sl_node *node;
	struct cfg_u32 consecutive_5xx;
	struct cfg_u32 interval;
	struct cfg_u32 base;
	struct cfg_u32 max;
	struct cfg_u32 jitter;
	struct cfg_u32 max_percent;
	struct cfg_u32 enforcing_5xx;
	struct cfg_u32 enforcing_success_rate;
	struct cfg_u32 consecutive_gateway;
	struct cfg_u32 enforcing_gateway;
	struct cfg_u32 always_one;
	struct cfg_u32 check_unejects;
};

struct cfg_balance {
	const struct sl_node *name; /* the cluster's */
	struct cfg_list checks;	    /* struct cfg_health_check */
	struct cfg_u32 close_on_failure;
	struct cfg_outlier outlier;
	struct cfg_u32 policy;
	struct cfg_round_robin round_robin;
	struct cfg_least_request least_request;
	struct cfg_ring_hash ring;
	struct cfg_maglev maglev;
	struct cfg_common_lb common;
};

/* load_assignment.policy */
struct cfg_assignment_policy {
	const struct sl_node *node;
	struct cfg_u32 overprovisioning;
};

extern const struct sl_schema sl_schema_round_robin;
extern const struct sl_schema sl_schema_least_request;
extern const struct sl_schema sl_schema_ring_hash;
extern const struct sl_schema sl_schema_maglev;
extern const struct sl_schema sl_schema_common_lb;
extern const struct sl_schema sl_schema_assignment_policy;

/* health_keys.c */
extern const struct sl_schema sl_schema_health_check;
extern const struct sl_schema sl_schema_outlier;

/* health.c */
void sl_validate_health(struct sl_walk *w, const struct cfg_balance *b);
void sl_compile_health(const struct cfg_balance *b, struct sl_cluster_lb *ret);

/* Rules across keys. Errors and warnings go to w->diags. */
void sl_validate_balance(struct sl_walk *w, const struct cfg_balance *b);

/* Room that tables of hashes take, twice while one follows another; 0: the policy has none. */
__u32 sl_balance_slots(const struct cfg_balance *b);
struct sl_cluster_lb sl_compile_balance(const struct cfg_balance *b,
					const struct cfg_assignment_policy *p);

#endif /* SL_CLUSTER_MODEL_H */
