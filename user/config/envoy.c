// SPDX-License-Identifier: GPL-2.0-only
/*
 * Envoy's messages as tables: what we serve goes to the model, what we do not is
 * known by name. Keys of the v2 and the v3 API stand side by side.
 */
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "config/envoy_keys.h"
#include "config/key_tables.h"
#include "config/internal_address.h"
#include "config/model.h"

static bool any_of(const char *const *list, const char *s)
{
	for (; *list; list++)
		if (!strcmp(*list, s))
			return true;
	return false;
}

/* Is @key there, right or wrong, in either spelling? */
static bool given(const struct sl_node *map, const char *key)
{
	for (__u32 i = 0; i < map->n; i++)
		if (sl_same_key(map->items[2 * i]->text, key))
			return true;
	return false;
}

/* Two keys of which one excludes the other. */
static void both(struct sl_walk *w, const struct sl_node *a, const char *a_name,
		 const struct sl_node *b, const char *b_name)
{
	const struct sl_node *at =
		a->line > b->line || (a->line == b->line && a->col > b->col) ? a : b;

	sl_error(w, at, "'%s' and '%s' exclude each other; give one", a_name, b_name);
}

/* ---- addresses ---- */

static const char *const protocols[] = {"TCP", "-UDP", NULL};

static const struct sl_key socket_address_keys[] = {
	KEY("address", STRING, FULL, struct cfg_socket_address, address),
	KEY("port_value", U32, REQ, struct cfg_socket_address, port, .min = 1, .max = 65535),
	KEY("protocol", ENUM, 0, struct cfg_socket_address, protocol, .names = protocols,
	    .note = "TCP"),
	KEY("network_namespace_filepath", STRING, SL_KEY_NONEMPTY, struct cfg_socket_address,
	    netns),
	END,
};
SCHEMA(socket_address, struct cfg_socket_address, "socket_address",
       .unsupported = sl_no_socket_address);

static const struct sl_key pipe_keys[] = {
	KEY("path", STRING, FULL, struct cfg_pipe, path),
	IGNORED("mode"), /* of listeners */
	END,
};
SCHEMA(pipe, struct cfg_pipe, "pipe");

static void address_done(struct sl_walk *w, void *dst)
{
	struct cfg_address *a = dst;

	if (a->socket.node && a->pipe.node)
		both(w, a->socket.node, "socket_address", a->pipe.node, "pipe");
	if (!w->unsure && !given(a->node, "socket_address") && !given(a->node, "pipe"))
		sl_error(w, a->node, "missing 'socket_address' or 'pipe' in address");
}

static const struct sl_key address_keys[] = {
	KEY("socket_address", MAP, 0, struct cfg_address, socket, .sub = &socket_address),
	KEY("pipe", MAP, 0, struct cfg_address, pipe, .sub = &pipe),
	END,
};

const struct sl_schema sl_schema_address = {
	.what = "address",
	.size = sizeof(struct cfg_address),
	.keys = address_keys,
	.unsupported = sl_no_address,
	.done = address_done,
};

/* ---- routes ---- */

/* As Envoy words it. */
static void weight_done(struct sl_walk *w, void *dst)
{
	const struct cfg_weight *m = dst;

	if (m->name && m->header)
		sl_error(w, m->header, "Only one of name or cluster_header can be specified");
	else if (!w->unsure && !given(m->node, "name") && !given(m->node, "cluster_header"))
		sl_error(w, m->node, "At least one of name or cluster_header need to be specified");
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
SCHEMA(upgrade, struct cfg_upgrade, "upgrade config", .unsupported = sl_no_upgrade,
       .done = upgrade_done);

static void action_done(struct sl_walk *w, void *dst)
{
	struct cfg_route_action *a = dst;

	if (a->cluster && a->split.node)
		both(w, a->cluster, "cluster", a->split.node, "weighted_clusters");
	if (a->cluster && a->cluster_header)
		both(w, a->cluster, "cluster", a->cluster_header, "cluster_header");
	if (a->split.node && a->cluster_header)
		both(w, a->split.node, "weighted_clusters", a->cluster_header, "cluster_header");
	if (!w->unsure && !given(a->node, "cluster") && !given(a->node, "weighted_clusters") &&
	    !given(a->node, "cluster_header"))
		sl_error(w, a->node,
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
	KEY("upgrade_configs", LIST, 0, struct cfg_route_action, upgrades, .sub = &upgrade),
	TIMEOUT("timeout", struct cfg_route_action, limits.timeout),
	TIMEOUT("idle_timeout", struct cfg_route_action, limits.idle),
	TIMEOUT("flush_timeout", struct cfg_route_action, limits.flush),
	KEY("max_stream_duration", MAP, 0, struct cfg_route_action, limits.max_stream,
	    .sub = &sl_schema_stream_duration),
	END,
};
SCHEMA(action, struct cfg_route_action, "route", .unsupported = sl_no_action, .done = action_done);

static void body_done(struct sl_walk *w, void *dst)
{
	struct cfg_body *b = dst;
	const struct {
		const char *name;
		const struct sl_node *node;
	} all[] = {{"inline_string", b->text},
		   {"inline_bytes", b->bytes},
		   {"filename", b->filename},
		   {"environment_variable", b->variable}};
	int first = -1;

	for (int i = 0; i < 4; i++) {
		if (all[i].node && first >= 0)
			both(w, all[first].node, all[first].name, all[i].node, all[i].name);
		if ((all[i].node || given(b->node, all[i].name)) && first < 0)
			first = i;
	}
	if (!w->unsure && first < 0)
		sl_error(w, b->node,
			 "missing 'inline_string', 'inline_bytes', 'filename' or "
			 "'environment_variable' in body");
}

static const struct sl_key body_keys[] = {
	KEY("inline_string", STRING, 0, struct cfg_body, text),
	KEY("inline_bytes", STRING, 0, struct cfg_body, bytes),
	KEY("filename", STRING, SL_KEY_NONEMPTY, struct cfg_body, filename),
	KEY("environment_variable", STRING, SL_KEY_NONEMPTY, struct cfg_body, variable),
	END,
};
SCHEMA(body, struct cfg_body, "body", .unsupported = sl_no_body, .done = body_done);

static void body_format_done(struct sl_walk *w, void *dst)
{
	struct cfg_body_format *f = dst;

	if (f->text && f->source.node)
		both(w, f->text, "text_format", f->source.node, "text_format_source");
	if (f->text && f->json)
		both(w, f->text, "text_format", f->json, "json_format");
	if (f->source.node && f->json)
		both(w, f->source.node, "text_format_source", f->json, "json_format");
	if (!w->unsure && !given(f->node, "text_format") && !given(f->node, "json_format") &&
	    !given(f->node, "text_format_source"))
		sl_error(w, f->node,
			 "missing 'text_format_source' or 'json_format' in body_format");
}

static const struct sl_key json_options_keys[] = {
	KEY("sort_properties", BOOL, 0, struct cfg_json_options, sort),
	END,
};
SCHEMA(json_options, struct cfg_json_options, "json_format_options");

static const struct sl_key body_format_keys[] = {
	KEY("text_format", STRING, 0, struct cfg_body_format, text),
	KEY("text_format_source", MAP, 0, struct cfg_body_format, source, .sub = &body),
	KEY("json_format", ANY, 0, struct cfg_body_format, json),
	KEY("json_format_options", MAP, 0, struct cfg_body_format, json_options,
	    .sub = &json_options),
	KEY("omit_empty_values", BOOL, 0, struct cfg_body_format, omit_empty),
	KEY("content_type", STRING, 0, struct cfg_body_format, content_type),
	END,
};
SCHEMA(body_format, struct cfg_body_format, "body_format", .unsupported = sl_no_body_format,
       .done = body_format_done);

static const struct sl_key direct_keys[] = {
	KEY("status", U32, REQ, struct cfg_direct, status, .min = 200, .max = 599),
	KEY("body", MAP, 0, struct cfg_direct, body, .sub = &body),
	KEY("body_format", MAP, 0, struct cfg_direct, format, .sub = &body_format),
	END,
};
SCHEMA(direct, struct cfg_direct, "direct_response");

static void route_done(struct sl_walk *w, void *dst)
{
	struct cfg_route *r = dst;

	if (r->route.node && r->direct.node)
		both(w, r->route.node, "route", r->direct.node, "direct_response");
	if (r->route.node && r->redirect.node)
		both(w, r->route.node, "route", r->redirect.node, "redirect");
	if (r->direct.node && r->redirect.node)
		both(w, r->direct.node, "direct_response", r->redirect.node, "redirect");
	if (!w->unsure && !given(r->node, "route") && !given(r->node, "direct_response") &&
	    !given(r->node, "redirect"))
		sl_error(w, r->node,
			 "missing 'route', 'redirect' or 'direct_response' in route entry");
}

#define BUFFER_LIMITS                                                                             \
	WARN("per_request_buffer_limit_bytes", "a request is kept for retries and mirrors up to " \
					       "a fixed size; ignored"),                          \
		WARN("request_body_buffer_limit",                                                 \
		     "a request is kept for retries and mirrors up to a fixed size; ignored")

static const struct sl_key route_keys[] = {
	KEY("name", STRING, 0, struct cfg_route, name),
	KEY("match", MAP, REQ, struct cfg_route, match, .sub = &sl_schema_match),
	KEY("route", MAP, 0, struct cfg_route, route, .sub = &action),
	KEY("direct_response", MAP, 0, struct cfg_route, direct, .sub = &direct),
	KEY("redirect", MAP, 0, struct cfg_route, redirect, .sub = &sl_schema_redirect),
	HEADER_CHANGES_KEYS(struct cfg_route, changes),
	BUFFER_LIMITS,
	END,
};
SCHEMA(route, struct cfg_route, "route entry", .unsupported = sl_no_route, .tuning = sl_tune_route,
       .done = route_done);

/* ---- require_tls ---- */

static const char *const tls_requirements[] = {"NONE", "ALL", "EXTERNAL_ONLY", NULL};

#define TLS_EXTERNAL_ONLY 2 /* index in tls_requirements; ALL is 1 */

/* A text that stands at @at. */
static const struct sl_node *made_text(struct sl_walk *w, const struct sl_node *at,
				       const char *prefix, const char *text)
{
	size_t len = strlen(prefix) + strlen(text);
	struct sl_node *n = sl_arena_alloc(w->arena, sizeof(*n));
	char *s = sl_arena_alloc(w->arena, len + 1);

	if (!n || !s) {
		w->err = -ENOMEM;
		return at;
	}
	memcpy(s, prefix, strlen(prefix));
	memcpy(s + strlen(prefix), text, strlen(text));
	*n = (struct sl_node){.kind = SL_NODE_SCALAR, .line = at->line, .col = at->col};
	n->text = s;
	n->len = len;
	return n;
}

/* Not for clients that are internal, for EXTERNAL_ONLY. */
static void make_external(struct sl_walk *w, const struct sl_node *at, struct cfg_rule *rule)
{
	rule->name = made_text(w, at, "", SL_INTERNAL_HEADER);
	rule->kind = SL_RULE_PRESENT;
	rule->invert = (struct cfg_u32){at, 1};
}

/*
 * What did not come by TLS is redirected: by a route before all others, named VHOST/require_tls,
 * for requests of which no proxy before us says that it was https there.
 */
static void make_redirect(struct sl_walk *w, struct cfg_vhost *v, struct cfg_route *r)
{
	const struct sl_node *at = v->require_tls.node;
	struct cfg_rule *rule = sl_arena_alloc(w->arena, 2 * sizeof(*rule));

	if (!rule) {
		w->err = -ENOMEM;
		return;
	}
	rule->name = made_text(w, at, "", "x-forwarded-proto");
	rule->kind = SL_RULE_EXACT;
	rule->value = made_text(w, at, "", "https");
	rule->no_case = true;
	rule->invert = rule->missing_empty = (struct cfg_u32){at, 1};
	r->node = r->match.node = r->redirect.node = at;
	r->name = made_text(w, at, v->name ? v->name->text : "", "/require_tls");
	r->match.prefix = r->match.text = made_text(w, at, "", "");
	r->match.headers = (struct cfg_list){.items = rule, .n = v->require_tls.value};
	if (v->require_tls.value == TLS_EXTERNAL_ONLY)
		make_external(w, at, rule + 1);
	r->redirect.https = (struct cfg_u32){at, 1};
}

static void vhost_done(struct sl_walk *w, void *dst)
{
	struct cfg_vhost *v = dst;
	const struct cfg_route *old = v->routes.items;
	struct cfg_route *routes;

	if (!v->require_tls.node || v->require_tls.value - 1 >= TLS_EXTERNAL_ONLY)
		return;
	routes = sl_arena_alloc(w->arena, (v->routes.n + 1) * sizeof(*routes));
	if (!routes) {
		w->err = -ENOMEM;
		return;
	}
	make_redirect(w, v, routes);
	for (__u32 i = 0; i < v->routes.n; i++)
		routes[i + 1] = old[i];
	v->routes.items = routes;
	v->routes.n++;
}

static const struct sl_key vhost_keys[] = {
	KEY("name", STRING, FULL, struct cfg_vhost, name),
	KEY("domains", STRINGS, FULL, struct cfg_vhost, domains),
	KEY("routes", LIST, 0, struct cfg_vhost, routes, .sub = &route),
	KEY("require_tls", ENUM, 0, struct cfg_vhost, require_tls, .names = tls_requirements,
	    .note = "NONE, ALL or EXTERNAL_ONLY"),
	HEADER_CHANGES_KEYS(struct cfg_vhost, changes),
	KEY("retry_policy", MAP, 0, struct cfg_vhost, retry, .sub = &sl_schema_retry),
	KEY("request_mirror_policies", LIST, 0, struct cfg_vhost, mirrors,
	    .sub = &sl_schema_mirror),
	KEY("include_request_attempt_count", BOOL, 0, struct cfg_vhost, count_tries),
	KEY("include_attempt_count_in_response", BOOL, 0, struct cfg_vhost, tell_tries),
	WARN("virtual_clusters", "there are no statistics of virtual clusters; ignored"),
	BUFFER_LIMITS,
	END,
};
SCHEMA(vhost, struct cfg_vhost, "virtual host", .unsupported = sl_no_vhost,
       .tuning = sl_tune_metadata, .done = vhost_done);

static void route_config_done(struct sl_walk *w, void *dst)
{
	const struct cfg_route_config *c = dst;

	if (c->validate.node && !c->validate.value)
		sl_warning(w, c->validate.node,
			   "a route's clusters have to be in the config all the same; ignored");
}

static const struct sl_key route_config_keys[] = {
	KEY("name", STRING, 0, struct cfg_route_config, name),
	KEY("virtual_hosts", LIST, 0, struct cfg_route_config, vhosts, .sub = &vhost),
	HEADER_CHANGES_KEYS(struct cfg_route_config, changes),
	KEY("request_mirror_policies", LIST, 0, struct cfg_route_config, mirrors,
	    .sub = &sl_schema_mirror),
	KEY("most_specific_header_mutations_wins", BOOL, 0, struct cfg_route_config,
	    most_specific_wins),
	KEY("max_direct_response_body_size_bytes", U32, 0, struct cfg_route_config, max_body,
	    .max = 4294967295u),
	KEY("ignore_port_in_host_matching", BOOL, 0, struct cfg_route_config, ignore_port),
	KEY("ignore_path_parameters_in_path_matching", BOOL, 0, struct cfg_route_config,
	    ignore_params),
	KEY("vhost_header", STRING, 0, struct cfg_route_config, vhost_header),
	KEY("internal_only_headers", STRINGS, 0, struct cfg_route_config, internal_only),
	KEY("validate_clusters", BOOL, 0, struct cfg_route_config, validate),
	END,
};
SCHEMA(route_config, struct cfg_route_config, "route_config", .unsupported = sl_no_route_config,
       .tuning = sl_tune_metadata, .done = route_config_done);

/* ---- listeners ---- */

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
		both(w, config, "config", typed, "typed_config");
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
	struct cfg_hcm *h = dst;

	if (h->http_filters.n > 1)
		sl_error(w, h->http_filters.node->items[1],
			 "more than one HTTP filter; the router must be the only one");
	if (!w->unsure && !given(h->node, "route_config"))
		sl_error(w, h->node, "missing 'route_config' in HTTP connection manager");
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
	KEY("route_config", MAP, 0, struct cfg_hcm, routes, .sub = &route_config),
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
	KEY("upgrade_configs", LIST, 0, struct cfg_hcm, upgrades, .sub = &upgrade),
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
SCHEMA(listener, struct cfg_listener, "listener", .unsupported = sl_no_listener,
       .tuning = sl_tune_listener, .done = listener_done);

/* ---- clusters ---- */

static const struct sl_key endpoint_keys[] = {
	KEY("address", MAP, REQ, struct cfg_endpoint, address, .sub = &sl_schema_address),
	KEY("hostname", STRING, 0, struct cfg_endpoint, hostname),
	END,
};
SCHEMA(endpoint, struct cfg_endpoint, "endpoint", .unsupported = sl_no_endpoint);

static const char *const health_statuses[] = {"UNKNOWN", "HEALTHY",   "UNHEALTHY", "DRAINING",
					      "TIMEOUT", "-DEGRADED", NULL};

static const struct sl_key lb_endpoint_keys[] = {
	KEY("endpoint", MAP, REQ, struct cfg_lb_endpoint, endpoint, .sub = &endpoint),
	KEY("load_balancing_weight", U32, 0, struct cfg_lb_endpoint, weight, .min = 1,
	    .max = 4294967295u),
	KEY("health_status", ENUM, 0, struct cfg_lb_endpoint, health, .names = health_statuses,
	    .note = "UNKNOWN, HEALTHY, UNHEALTHY, DRAINING or TIMEOUT"),
	END,
};
SCHEMA(lb_endpoint, struct cfg_lb_endpoint, "lb_endpoint", .unsupported = sl_no_lb_endpoint,
       .tuning = sl_tune_metadata);

static const struct sl_key locality_keys[] = {
	KEY("lb_endpoints", LIST, 0, struct cfg_locality, lb_endpoints, .sub = &lb_endpoint),
	KEY("priority", U32, 0, struct cfg_locality, priority, .max = SL_MAX_PRIORITIES - 1),
	END,
};
SCHEMA(locality, struct cfg_locality, "endpoints", .unsupported = sl_no_locality,
       .tuning = sl_tune_locality);

static const struct sl_key assignment_keys[] = {
	KEY("cluster_name", STRING, 0, struct cfg_assignment, cluster_name),
	KEY("endpoints", LIST, 0, struct cfg_assignment, endpoints, .sub = &locality),
	KEY("policy", MAP, 0, struct cfg_assignment, policy, .sub = &sl_schema_assignment_policy),
	END,
};
SCHEMA(assignment, struct cfg_assignment, "load_assignment", .unsupported = sl_no_assignment);

static const char *const cluster_types[] = {"STATIC", "STRICT_DNS",    "LOGICAL_DNS",
					    "-EDS",   "-ORIGINAL_DST", NULL};
/* In the order of enum sl_lb_policy. */
static const char *const lb_policies[] = {"ROUND_ROBIN",
					  "RANDOM",
					  "LEAST_REQUEST",
					  "RING_HASH",
					  "MAGLEV",
					  "-CLUSTER_PROVIDED",
					  "-ORIGINAL_DST_LB",
					  "-LOAD_BALANCING_POLICY_CONFIG",
					  NULL};

static void cluster_done(struct sl_walk *w, void *dst)
{
	struct cfg_cluster *c = dst;

	c->balance.name = c->name;
	if (c->hosts.node && c->assignment.node)
		both(w, c->hosts.node, "hosts", c->assignment.node, "load_assignment");
	if (!w->unsure && !given(c->node, "hosts") && !given(c->node, "load_assignment"))
		sl_error(w, c->node, "missing 'load_assignment' in cluster");
}

static const struct sl_key cluster_keys[] = {
	KEY("name", STRING, FULL, struct cfg_cluster, name),
	KEY("type", ENUM, 0, struct cfg_cluster, type, .names = cluster_types,
	    .note = "STATIC, STRICT_DNS or LOGICAL_DNS"),
	KEY("connect_timeout", DURATION, 0, struct cfg_cluster, limits.connect, .min = 1,
	    .max = SL_CONNECT_MAX_MS),
	KEY("lb_policy", ENUM, 0, struct cfg_cluster, balance.policy, .names = lb_policies,
	    .note = "ROUND_ROBIN, LEAST_REQUEST, RANDOM, RING_HASH or MAGLEV"),
	KEY("health_checks", LIST, 0, struct cfg_cluster, balance.checks,
	    .sub = &sl_schema_health_check),
	KEY("close_connections_on_host_health_failure", BOOL, 0, struct cfg_cluster,
	    balance.close_on_failure),
	KEY("outlier_detection", MAP, 0, struct cfg_cluster, balance.outlier,
	    .sub = &sl_schema_outlier),
	KEY("round_robin_lb_config", MAP, 0, struct cfg_cluster, balance.round_robin,
	    .sub = &sl_schema_round_robin),
	KEY("least_request_lb_config", MAP, 0, struct cfg_cluster, balance.least_request,
	    .sub = &sl_schema_least_request),
	KEY("ring_hash_lb_config", MAP, 0, struct cfg_cluster, balance.ring,
	    .sub = &sl_schema_ring_hash),
	KEY("maglev_lb_config", MAP, 0, struct cfg_cluster, balance.maglev,
	    .sub = &sl_schema_maglev),
	KEY("common_lb_config", MAP, 0, struct cfg_cluster, balance.common,
	    .sub = &sl_schema_common_lb),
	DNS_KEYS(struct cfg_cluster, dns),
	KEY("load_assignment", MAP, 0, struct cfg_cluster, assignment, .sub = &assignment),
	KEY("hosts", LIST, 0, struct cfg_cluster, hosts, .sub = &sl_schema_address),
	KEY("circuit_breakers", MAP, 0, struct cfg_cluster, limits.breakers,
	    .sub = &sl_schema_breakers),
	KEY("max_requests_per_connection", U32, 0, struct cfg_cluster, limits.max_requests,
	    .max = 4294967295u),
	KEY("common_http_protocol_options", MAP, 0, struct cfg_cluster, limits.common,
	    .sub = &sl_schema_cluster_options),
	KEY("typed_extension_protocol_options", MAP, 0, struct cfg_cluster, limits.extensions,
	    .sub = &sl_schema_extensions),
	KEY("per_connection_buffer_limit_bytes", U32, 0, struct cfg_cluster, buffer_limit,
	    .max = 4294967295u),
	WARN("http2_protocol_options",
	     "HTTP/2 to backends is not supported yet; HTTP/1.1 is spoken to this cluster"),
	END,
};
SCHEMA(cluster, struct cfg_cluster, "cluster", .unsupported = sl_no_cluster,
       .tuning = sl_tune_cluster, .done = cluster_done);

/* ---- the file ---- */

static const struct sl_key static_res_keys[] = {
	KEY("listeners", LIST, FULL, struct cfg_static, listeners, .sub = &listener),
	KEY("clusters", LIST, 0, struct cfg_static, clusters, .sub = &cluster),
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

const struct sl_schema sl_schema_root = {
	.what = "the config",
	.size = sizeof(struct cfg_root),
	.keys = root_keys,
	.unsupported = sl_no_root,
	.tuning = sl_tune_root,
};
