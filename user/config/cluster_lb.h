/* SPDX-License-Identifier: GPL-2.0-only */
/* How a cluster's requests are shared out between its endpoints: what the config says, compiled. */
#ifndef SL_CLUSTER_LB_H
#define SL_CLUSTER_LB_H

#include <stdbool.h>
#include <linux/types.h>

#include "sl_limits.h"

#define SL_RING_MAX 65536   /* points of a ring, at most */
#define SL_MAGLEV_MAX 65537 /* Envoy's default; its limit is 5000011 */

struct sl_cluster_lb {
	__u32 policy;	/* enum sl_lb_policy */
	__u32 choices;	/* least request */
	__u32 ring_min; /* points */
	__u32 ring_max;
	__u32 table_size;	/* Maglev */
	__u32 panic;		/* percent; 0: never */
	__u32 overprovisioning; /* percent: 140 */
	bool fail_on_panic;	/* fail_traffic_on_panic */
};

/* Of an endpoint of the config; the array goes with sl_compiled.endpoints. */
struct sl_host_config {
	__u32 weight; /* 1 .. */
	__u8 priority;
	bool unhealthy; /* health_status says so */
};

extern const struct sl_cluster_lb sl_cluster_lb_defaults;

#endif /* SL_CLUSTER_LB_H */
