/* SPDX-License-Identifier: GPL-2.0-only */
/* How a cluster's requests are shared out between its endpoints: what the config says, compiled. */
#ifndef SL_CLUSTER_LB_H
#define SL_CLUSTER_LB_H

#include <stdbool.h>
#include <linux/types.h>

#include "sl_limits.h"

#define SL_RING_MAX 65536   /* points of a ring, at most */
#define SL_MAGLEV_MAX 65537 /* Envoy's default; its limit is 5000011 */

#define SL_CHECK_RANGES 8
#define SL_CHECK_REQUEST 768 /* bytes of a check's request, at most */

struct sl_status_range { /* half open, as Envoy's Int64Range */
	__u16 start;
	__u16 end;
};

/* Active health checks; interval_ms 0: none. Times in ms. */
struct sl_health_check {
	__u32 timeout_ms;
	__u32 interval_ms;
	__u32 unhealthy_interval_ms;
	__u32 unhealthy_edge_ms;
	__u32 healthy_edge_ms;
	__u32 no_traffic_ms;
	__u32 no_traffic_healthy_ms;
	__u32 initial_jitter_ms;
	__u32 jitter_ms;
	__u32 jitter_percent;
	__u32 unhealthy_threshold;
	__u32 healthy_threshold;
	bool http; /* else TCP: a connection is enough */
	bool reuse;
	bool head;	       /* the method is HEAD */
	bool close_on_failure; /* close_connections_on_host_health_failure */
	char request[SL_CHECK_REQUEST];
	__u32 n_expected;
	__u32 n_retriable;
	struct sl_status_range expected[SL_CHECK_RANGES];
	struct sl_status_range retriable[SL_CHECK_RANGES];
};

/* Outlier detection; interval_ms 0: none. */
struct sl_outlier {
	__u32 interval_ms;
	__u32 base_ms;
	__u32 max_ms;
	__u32 jitter_ms;
	__u32 max_percent;
	__u32 consecutive_5xx; /* 0: not looked at */
	__u32 consecutive_gateway;
	__u32 enforce_5xx; /* percent */
	__u32 enforce_gateway;
	bool always_one;
	bool check_unejects; /* successful_active_health_check_uneject_host */
};

/* window_ms 0: none. */
struct sl_slow_start {
	__u32 window_ms;
	__u32 aggression;  /* thousandths */
	__u32 min_percent; /* thousandths of a percent */
};

struct sl_cluster_lb {
	__u32 policy;	/* enum sl_lb_policy */
	__u32 choices;	/* least request */
	__u32 ring_min; /* points */
	__u32 ring_max;
	__u32 table_size;	/* Maglev */
	__u32 panic;		/* percent; 0: never */
	__u32 overprovisioning; /* percent: 140 */
	bool fail_on_panic;	/* fail_traffic_on_panic */
	struct sl_health_check check;
	struct sl_outlier outlier;
	struct sl_slow_start slow_start;
};

/* Of an endpoint of the config; the array goes with sl_compiled.endpoints. */
struct sl_host_config {
	__u32 weight; /* 1 .. */
	__u8 priority;
	bool unhealthy; /* health_status says so */
	__u32 member;	/* which of the config it is or comes from: sl_compiled.members */
};

extern const struct sl_cluster_lb sl_cluster_lb_defaults;

#endif /* SL_CLUSTER_LB_H */
