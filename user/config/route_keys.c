// SPDX-License-Identifier: GPL-2.0-only
/* Route and RouteAction, as tables (schema.h). */
#include <strings.h>

#include "config/choice.h"
#include "config/envoy_keys.h"
#include "config/key_tables.h"
#include "config/model.h"

static void weight_done(struct sl_walk *w, void *dst)
{
	const struct cfg_weight *m = dst;
	const struct sl_choice all[] = {{"name", m->name}, {"cluster_header", m->header}};

	sl_oneof(w, m->node, all, SL_N_CHOICES(all),
		 "missing 'name' or 'cluster_header' in weighted cluster");
}

static const struct sl_key weight_keys[] = {
	KEY("name", STRING, SL_KEY_NONEMPTY, struct cfg_weight, name),
	KEY("cluster_header", STRING, SL_KEY_NONEMPTY, struct cfg_weight, header),
	KEY("weight", U32, REQ, struct cfg_weight, weight, .max = 4294967295u),
	KEY("host_rewrite_literal", STRING, 0, struct cfg_weight, host),
	HEADER_CHANGES_KEYS(struct cfg_weight, changes),
	END,
};
SCHEMA(weight, struct cfg_weight, "weighted cluster", .unsupported = sl_no_weight,
       .done = weight_done);

static const struct sl_key split_keys[] = {
	KEY("clusters", LIST, FULL, struct cfg_split, clusters, .sub = &weight),
	KEY("total_weight", U32, 0, struct cfg_split, total, .min = 1, .max = 4294967295u),
	KEY("use_hash_policy", BOOL, 0, struct cfg_split, use_hash_policy),
	KEY("header_name", STRING, 0, struct cfg_split, header_name),
	WARN("runtime_key_prefix",
	     "there is no runtime: 'sluice weights' changes weights; ignored"),
	END,
};
SCHEMA(split, struct cfg_split, "weighted_clusters");

static void upgrade_done(struct sl_walk *w, void *dst)
{
	const struct cfg_upgrade *u = dst;

	if (u->type && !strncasecmp(u->type->text, "CONNECT", 7))
		sl_error(w, u->type, "'upgrade_type: %.32s' is not supported yet", u->type->text);
	if (u->enabled.node && !u->enabled.value)
		sl_error(w, u->enabled.node,
			 "what a request asks for by Upgrade is passed on; 'enabled: false' is not "
			 "supported yet");
}

static const struct sl_key upgrade_keys[] = {
	KEY("upgrade_type", STRING, FULL, struct cfg_upgrade, type),
	KEY("enabled", BOOL, 0, struct cfg_upgrade, enabled),
	END,
};
PUBLIC_SCHEMA(upgrade, struct cfg_upgrade, "upgrade config", .unsupported = sl_no_upgrade,
	      .done = upgrade_done);

static void action_done(struct sl_walk *w, void *dst)
{
	const struct cfg_route_action *a = dst;
	const struct sl_choice all[] = {{"cluster", a->cluster},
					{"weighted_clusters", a->split.node},
					{"cluster_header", a->cluster_header}};

	sl_oneof(w, a->node, all, SL_N_CHOICES(all),
		 "missing 'cluster', 'weighted_clusters' or 'cluster_header' in route");
}

static const char *const routing_priorities[] = {"DEFAULT", "-HIGH", NULL};

static const struct sl_key action_keys[] = {
	KEY("cluster", STRING, SL_KEY_NONEMPTY, struct cfg_route_action, cluster),
	KEY("weighted_clusters", MAP, 0, struct cfg_route_action, split, .sub = &split),
	KEY("hash_policy", LIST, 0, struct cfg_route_action, hash, .sub = &sl_schema_hash_policy),
	KEY("cluster_header", STRING, SL_KEY_NONEMPTY, struct cfg_route_action, cluster_header),
	KEY("cluster_not_found_response_code", ENUM, 0, struct cfg_route_action, not_found,
	    .names = sl_not_found_codes,
	    .note = "SERVICE_UNAVAILABLE, NOT_FOUND or INTERNAL_SERVER_ERROR"),
	KEY("priority", ENUM, 0, struct cfg_route_action, priority, .names = routing_priorities,
	    .note = "DEFAULT"),
	REWRITE_KEYS(struct cfg_route_action, rewrite),
	KEY("retry_policy", MAP, 0, struct cfg_route_action, retry, .sub = &sl_schema_retry),
	KEY("request_mirror_policies", LIST, 0, struct cfg_route_action, mirrors,
	    .sub = &sl_schema_mirror),
	KEY("upgrade_configs", LIST, 0, struct cfg_route_action, upgrades,
	    .sub = &sl_schema_upgrade),
	TIMEOUT("timeout", struct cfg_route_action, limits.timeout),
	TIMEOUT("idle_timeout", struct cfg_route_action, limits.idle),
	TIMEOUT("flush_timeout", struct cfg_route_action, limits.flush),
	KEY("max_stream_duration", MAP, 0, struct cfg_route_action, limits.max_stream,
	    .sub = &sl_schema_stream_duration),
	END,
};
SCHEMA(action, struct cfg_route_action, "route", .unsupported = sl_no_action, .done = action_done);

static void route_done(struct sl_walk *w, void *dst)
{
	const struct cfg_route *r = dst;
	const struct sl_choice all[] = {{"route", r->route.node},
					{"direct_response", r->direct.node},
					{"redirect", r->redirect.node}};

	sl_oneof(w, r->node, all, SL_N_CHOICES(all),
		 "missing 'route', 'redirect' or 'direct_response' in route entry");
}

static const struct sl_key route_keys[] = {
	KEY("name", STRING, 0, struct cfg_route, name),
	KEY("match", MAP, REQ, struct cfg_route, match, .sub = &sl_schema_match),
	KEY("route", MAP, 0, struct cfg_route, route, .sub = &action),
	KEY("direct_response", MAP, 0, struct cfg_route, direct, .sub = &sl_schema_direct),
	KEY("redirect", MAP, 0, struct cfg_route, redirect, .sub = &sl_schema_redirect),
	HEADER_CHANGES_KEYS(struct cfg_route, changes),
	BUFFER_LIMIT_KEYS,
	END,
};
PUBLIC_SCHEMA(route, struct cfg_route, "route entry", .unsupported = sl_no_route,
	      .tuning = sl_tune_route, .done = route_done);
