// SPDX-License-Identifier: GPL-2.0-only
/* Listener and the one filter that is served, HttpConnectionManager, as tables (schema.h). */
#include <string.h>

#include "config/choice.h"
#include "config/envoy_keys.h"
#include "config/key_tables.h"
#include "config/model.h"

static bool any_of(const char *const *list, const char *s)
{
	for (; *list; list++)
		if (!strcmp(*list, s))
			return true;
	return false;
}

static const char *const router_names[] = {"envoy.router", "envoy.filters.http.router", NULL};
static const char *const router_types[] = {
	"type.googleapis.com/envoy.extensions.filters.http.router.v3.Router",
	"type.googleapis.com/envoy.config.filter.http.router.v2.Router",
	NULL,
};

struct cfg_router {
	const struct sl_node *node;
	const struct sl_node *type_url;
	struct cfg_u32 suppress_envoy_headers;
};

static const struct sl_key router_keys[] = {
	KEY("@type", STRING, 0, struct cfg_router, type_url),
	KEY("suppress_envoy_headers", BOOL, 0, struct cfg_router, suppress_envoy_headers),
	END,
};
SCHEMA(router, struct cfg_router, "router", .unsupported = sl_no_router, .tuning = sl_tune_router);

/* The one of `config` and `typed_config` that is given; NULL: none, or both (an error). */
static const struct sl_node *filter_config(struct sl_walk *w, const struct sl_node *config,
					   const struct sl_node *typed)
{
	const struct sl_node *type = sl_node_get(typed, "@type");

	if (config && typed) {
		sl_exclude(w, &(struct sl_choice){"config", config},
			   &(struct sl_choice){"typed_config", typed});
		return NULL;
	}
	if (typed && typed->kind == SL_NODE_MAP && !type) {
		sl_error(w, typed, "missing '@type' in typed_config");
		return NULL;
	}
	return config ? config : typed;
}

/* @type of @node is in @types, or there is none. */
static bool good_type(struct sl_walk *w, const struct sl_node *node, const char *const *types,
		      const char *what)
{
	const struct sl_node *type = sl_node_get(node, "@type");

	if (!type || type->kind != SL_NODE_SCALAR || any_of(types, type->text))
		return true;
	sl_error(w, type, "'%.128s' is not supported yet; only the %s is ('%s')", type->text, what,
		 types[0]);
	return false;
}

static void http_filter_done(struct sl_walk *w, void *dst)
{
	struct cfg_http_filter *f = dst;
	const struct sl_node *config;
	struct cfg_router *r;

	if (!f->name)
		return;
	/* With a typed_config the type counts, and the name is free. */
	if (!f->typed_config && !any_of(router_names, f->name->text)) {
		sl_error(w, f->name, "HTTP filter '%.64s' is not supported yet; only the router is",
			 f->name->text);
		return;
	}
	config = filter_config(w, f->config, f->typed_config);
	if (!config || !good_type(w, config, router_types, "router"))
		return;
	r = sl_schema_new(w, &router, config);
	f->suppress_envoy_headers = r && r->suppress_envoy_headers.value;
}

static const struct sl_key http_filter_keys[] = {
	KEY("name", STRING, FULL, struct cfg_http_filter, name),
	KEY("config", ANY, 0, struct cfg_http_filter, config, .sub = &router),
	KEY("typed_config", ANY, 0, struct cfg_http_filter, typed_config, .sub = &router),
	END,
};
SCHEMA(http_filter, struct cfg_http_filter, "HTTP filter", .unsupported = sl_no_http_filter,
       .done = http_filter_done);

static const char *const hcm_names[] = {"envoy.filters.network.http_connection_manager",
					"envoy.http_connection_manager", NULL};
static const char *const hcm_types[] = {
	"type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3."
	"HttpConnectionManager",
	"type.googleapis.com/envoy.config.filter.network.http_connection_manager.v2."
	"HttpConnectionManager",
	NULL,
};
static const char *const codec_types[] = {"AUTO", "HTTP1", "-HTTP2", "-HTTP3", NULL};

static void hcm_done(struct sl_walk *w, void *dst)
{
	const struct cfg_hcm *h = dst;
	const struct sl_choice routes = {"route_config", h->routes.node};

	if (h->http_filters.n > 1)
		sl_error(w, h->http_filters.node->items[1],
			 "more than one HTTP filter; the router must be the only one");
	sl_oneof(w, h->node, &routes, 1, "missing 'route_config' in HTTP connection manager");
	if (!h->http_filters.node ||
	    (h->http_filters.node->kind == SL_NODE_LIST && !h->http_filters.node->n))
		sl_warning(w, h->node, "no router in 'http_filters'; Envoy would not route");
}

#define NO_ACCESS_LOG "no access log is written, since BPF serves most requests; see 'sluice stats'"

static const struct sl_key hcm_keys[] = {
	WARN("access_log", NO_ACCESS_LOG),
	WARN("access_log_options", NO_ACCESS_LOG),
	WARN("access_log_flush_interval", NO_ACCESS_LOG),
	WARN("flush_access_log_on_new_request", NO_ACCESS_LOG),
	KEY("@type", STRING, 0, struct cfg_hcm, type_url),
	KEY("codec_type", ENUM, 0, struct cfg_hcm, codec_type, .names = codec_types,
	    .note = "AUTO or HTTP1"),
	KEY("stat_prefix", STRING, 0, struct cfg_hcm, stat_prefix),
	KEY("route_config", MAP, 0, struct cfg_hcm, routes, .sub = &sl_schema_route_config),
	KEY("http_filters", LIST, 0, struct cfg_hcm, http_filters, .sub = &http_filter),
	KEY("common_http_protocol_options", MAP, 0, struct cfg_hcm, limits.common,
	    .sub = &sl_schema_hcm_options),
	TIMEOUT("idle_timeout", struct cfg_hcm, limits.idle),
	TIMEOUT("stream_idle_timeout", struct cfg_hcm, limits.stream_idle),
	TIMEOUT("stream_flush_timeout", struct cfg_hcm, limits.flush),
	TIMEOUT("request_timeout", struct cfg_hcm, limits.request),
	TIMEOUT("request_headers_timeout", struct cfg_hcm, limits.request_headers),
	TIMEOUT("drain_timeout", struct cfg_hcm, limits.drain),
	FORWARDED_KEYS(struct cfg_hcm, forwarded),
	NORMAL_KEYS(struct cfg_hcm, normal),
	KEY("upgrade_configs", LIST, 0, struct cfg_hcm, upgrades, .sub = &sl_schema_upgrade),
	KEY("max_request_headers_kb", U32, 0, struct cfg_hcm, limits.max_head_kb, .min = 1,
	    .max = SL_HEAD_MAX / 1024),
	END,
};
SCHEMA(hcm, struct cfg_hcm, "HTTP connection manager", .unsupported = sl_no_hcm, .done = hcm_done);

static void filter_done(struct sl_walk *w, void *dst)
{
	struct cfg_filter *f = dst;
	const struct sl_node *config;

	if (!f->name)
		return;
	if (!f->typed_config && !any_of(hcm_names, f->name->text)) {
		sl_error(w, f->name,
			 "filter '%.64s' is not supported yet; only the HTTP connection manager is",
			 f->name->text);
		return;
	}
	if (!f->typed_config && !f->config) {
		sl_error(w, f->node, "missing 'typed_config' in filter");
		return;
	}
	config = filter_config(w, f->config, f->typed_config);
	if (config && good_type(w, config, hcm_types, "HTTP connection manager"))
		f->hcm = sl_schema_new(w, &hcm, config);
}

static const struct sl_key filter_keys[] = {
	KEY("name", STRING, FULL, struct cfg_filter, name),
	KEY("config", ANY, 0, struct cfg_filter, config, .sub = &hcm),
	KEY("typed_config", ANY, 0, struct cfg_filter, typed_config, .sub = &hcm),
	END,
};
SCHEMA(filter, struct cfg_filter, "filter", .unsupported = sl_no_filter, .done = filter_done);

static const struct sl_key filter_chain_keys[] = {
	KEY("filters", LIST, FULL, struct cfg_filter_chain, filters, .sub = &filter),
	IGNORED("name"),
	END,
};
SCHEMA(filter_chain, struct cfg_filter_chain, "filter chain", .unsupported = sl_no_filter_chain,
       .tuning = sl_tune_metadata);

static void listener_done(struct sl_walk *w, void *dst)
{
	struct cfg_listener *l = dst;

	for (__u32 i = 0; i < l->chains.n; i++) {
		const struct cfg_filter_chain *c =
			&cfg_items(l->chains, struct cfg_filter_chain)[i];

		if (i > 0)
			sl_error(w, c->node, "more than one filter chain is not supported yet");
		if (c->filters.n > 1)
			sl_error(w, c->filters.node->items[1],
				 "more than one filter is not supported yet; the HTTP connection "
				 "manager must be the only one");
	}
}

static const struct sl_key listener_sluice_keys[] = {
	KEY("attach", BOOL, 0, struct cfg_listener_sluice, attach),
	KEY("l4", BOOL, 0, struct cfg_listener_sluice, l4),
	END,
};
SCHEMA(listener_sluice, struct cfg_listener_sluice, "sluice of a listener");

static const struct sl_key listener_keys[] = {
	WARN("access_log", NO_ACCESS_LOG),
	KEY("name", STRING, 0, struct cfg_listener, name),
	KEY("address", MAP, REQ, struct cfg_listener, address, .sub = &sl_schema_address),
	KEY("filter_chains", LIST, FULL, struct cfg_listener, chains, .sub = &filter_chain),
	KEY("per_connection_buffer_limit_bytes", U32, 0, struct cfg_listener, buffer_limit,
	    .max = 4294967295u),
	KEY("sluice", MAP, 0, struct cfg_listener, sluice, .sub = &listener_sluice),
	END,
};
PUBLIC_SCHEMA(listener, struct cfg_listener, "listener", .unsupported = sl_no_listener,
	      .tuning = sl_tune_listener, .done = listener_done);
