/* SPDX-License-Identifier: GPL-2.0-only */
/* The part of a config file as read (model.h) that says how a cluster picks its endpoints. */
#ifndef SL_CLUSTER_MODEL_H
#define SL_CLUSTER_MODEL_H

#include "config/cluster_lb.h"
#include "config/schema.h"

struct cfg_least_request {
	const struct sl_node *node;
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

struct cfg_panic {
	const struct sl_node *node;
	struct cfg_u32 value; /* thousandths */
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

struct cfg_balance {
	struct cfg_u32 policy;
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

extern const struct sl_schema sl_schema_least_request;
extern const struct sl_schema sl_schema_ring_hash;
extern const struct sl_schema sl_schema_maglev;
extern const struct sl_schema sl_schema_common_lb;
extern const struct sl_schema sl_schema_assignment_policy;

/* Rules across keys. Errors and warnings go to w->diags. */
void sl_validate_balance(struct sl_walk *w, const struct cfg_balance *b);

struct sl_cluster_lb sl_compile_balance(const struct cfg_balance *b,
					const struct cfg_assignment_policy *p);

#endif /* SL_CLUSTER_MODEL_H */
