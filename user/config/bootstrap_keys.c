// SPDX-License-Identifier: GPL-2.0-only
/*
 * Envoy's Bootstrap, the file as a whole, as tables (schema.h): what we serve goes to the model,
 * what we do not is known by name (envoy_keys.c). Keys of the v2 and the v3 API stand side by side.
 */
#include "config/envoy_keys.h"
#include "config/key_tables.h"
#include "config/model.h"

static const struct sl_key static_res_keys[] = {
	KEY("listeners", LIST, FULL, struct cfg_static, listeners, .sub = &sl_schema_listener),
	KEY("clusters", LIST, 0, struct cfg_static, clusters, .sub = &sl_schema_cluster),
	END,
};
SCHEMA(static_res, struct cfg_static, "static_resources", .unsupported = sl_no_static);

static const struct sl_key sluice_keys[] = {
	KEY("kernel_path", BOOL, 0, struct cfg_sluice, kernel_path),
	KEY("colocated_clients", BOOL, 0, struct cfg_sluice, colocated_clients),
	KEY("colocated_servers", BOOL, 0, struct cfg_sluice, colocated_servers),
	KEY("max_sessions", U32, 0, struct cfg_sluice, max_sessions, .min = 1, .max = 4294967295u),
	END,
};
SCHEMA(sluice, struct cfg_sluice, "sluice");

static const struct sl_key root_keys[] = {
	KEY("static_resources", MAP, REQ, struct cfg_root, resources, .sub = &static_res),
	KEY("sluice", MAP, 0, struct cfg_root, sluice, .sub = &sluice),
	KEY("overload_manager", MAP, 0, struct cfg_root, overload, .sub = &sl_schema_overload),
	DNS_RESOLVER_KEYS(struct cfg_root, resolvers),
	WARN("admin", "the admin endpoint is not served yet; use 'sluice stats'"),
	END,
};

PUBLIC_SCHEMA(root, struct cfg_root, "the config", .unsupported = sl_no_root,
	      .tuning = sl_tune_root);
