// SPDX-License-Identifier: GPL-2.0-only
/* Envoy's messages about the choice of an endpoint, as tables (schema.h). */
#include "config/cluster_model.h"
#include "config/envoy_keys.h"
#include "config/key_tables.h"
#include "sl_lb.h"

static const struct sl_key panic_keys[] = {
	KEY("value", DECIMAL, 0, struct cfg_panic, value, .max = 100000),
	END,
};
SCHEMA(panic, struct cfg_panic, "a percentage");

static const struct sl_key aggression_keys[] = {
	KEY("default_value", DECIMAL, REQ, struct cfg_aggression, value, .min = 1, .max = 1000000),
	KEY("runtime_key", STRING, 0, struct cfg_aggression, key),
	END,
};
SCHEMA(aggression, struct cfg_aggression, "aggression");

static const struct sl_key slow_start_keys[] = {
	KEY("slow_start_window", DURATION, REQ, struct cfg_slow_start, window, .min = 1,
	    .max = SL_TIMEOUT_MAX_MS),
	KEY("aggression", MAP, 0, struct cfg_slow_start, aggression, .sub = &aggression),
	KEY("min_weight_percent", MAP, 0, struct cfg_slow_start, min, .sub = &panic),
	END,
};
SCHEMA(slow_start, struct cfg_slow_start, "slow_start_config");

static const struct sl_key round_robin_keys[] = {
	KEY("slow_start_config", MAP, 0, struct cfg_round_robin, slow_start, .sub = &slow_start),
	END,
};
PUBLIC_SCHEMA(round_robin, struct cfg_round_robin, "round_robin_lb_config",
	      .unsupported = sl_no_round_robin);

static const struct sl_key least_request_keys[] = {
	KEY("choice_count", U32, 0, struct cfg_least_request, choices, .min = 2,
	    .max = SL_LB_CHOICES_MAX),
	KEY("slow_start_config", MAP, 0, struct cfg_least_request, slow_start, .sub = &slow_start),
	END,
};
PUBLIC_SCHEMA(least_request, struct cfg_least_request, "least_request_lb_config",
	      .unsupported = sl_no_least_request);

static const struct sl_key ring_hash_keys[] = {
	KEY("minimum_ring_size", U32, 0, struct cfg_ring_hash, min, .min = 1, .max = SL_RING_MAX),
	KEY("maximum_ring_size", U32, 0, struct cfg_ring_hash, max, .min = 1, .max = SL_RING_MAX),
	END,
};
PUBLIC_SCHEMA(ring_hash, struct cfg_ring_hash, "ring_hash_lb_config",
	      .unsupported = sl_no_ring_hash);

static const struct sl_key maglev_keys[] = {
	KEY("table_size", U32, 0, struct cfg_maglev, table_size, .min = 3, .max = SL_MAGLEV_MAX),
	END,
};
PUBLIC_SCHEMA(maglev, struct cfg_maglev, "maglev_lb_config");

static const struct sl_key zone_aware_keys[] = {
	KEY("fail_traffic_on_panic", BOOL, 0, struct cfg_zone_aware, fail_on_panic),
	END,
};
SCHEMA(zone_aware, struct cfg_zone_aware, "zone_aware_lb_config", .unsupported = sl_no_zone_aware);

static const struct sl_key common_lb_keys[] = {
	KEY("healthy_panic_threshold", MAP, 0, struct cfg_common_lb, panic, .sub = &panic),
	KEY("zone_aware_lb_config", MAP, 0, struct cfg_common_lb, zone_aware, .sub = &zone_aware),
	END,
};
PUBLIC_SCHEMA(common_lb, struct cfg_common_lb, "common_lb_config", .unsupported = sl_no_common_lb);

static const struct sl_key assignment_policy_keys[] = {
	KEY("overprovisioning_factor", U32, 0, struct cfg_assignment_policy, overprovisioning,
	    .min = 1, .max = 1000000),
	END,
};
PUBLIC_SCHEMA(assignment_policy, struct cfg_assignment_policy, "policy",
	      .unsupported = sl_no_assignment_policy);
