// SPDX-License-Identifier: GPL-2.0-only
/* Envoy's defaults. */
#include "config/cluster_lb.h"
#include "sl_lb.h"

const struct sl_cluster_lb sl_cluster_lb_defaults = {
	.policy = SL_LB_ROUND_ROBIN,
	.choices = 2,
	.ring_min = 1024,
	.ring_max = SL_RING_MAX,
	.table_size = SL_MAGLEV_MAX,
	.panic = 50,
	.overprovisioning = 140,
};
