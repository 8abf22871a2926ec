// SPDX-License-Identifier: GPL-2.0-only
/* RouteConfiguration and VirtualHost, as tables (schema.h); what require_tls stands for. */
#include <errno.h>
#include <string.h>

#include "config/envoy_keys.h"
#include "config/internal_address.h"
#include "config/key_tables.h"
#include "config/model.h"

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
	KEY("routes", LIST, 0, struct cfg_vhost, routes, .sub = &sl_schema_route),
	KEY("require_tls", ENUM, 0, struct cfg_vhost, require_tls, .names = tls_requirements,
	    .note = "NONE, ALL or EXTERNAL_ONLY"),
	HEADER_CHANGES_KEYS(struct cfg_vhost, changes),
	KEY("retry_policy", MAP, 0, struct cfg_vhost, retry, .sub = &sl_schema_retry),
	KEY("request_mirror_policies", LIST, 0, struct cfg_vhost, mirrors,
	    .sub = &sl_schema_mirror),
	KEY("include_request_attempt_count", BOOL, 0, struct cfg_vhost, count_tries),
	KEY("include_attempt_count_in_response", BOOL, 0, struct cfg_vhost, tell_tries),
	WARN("virtual_clusters", "there are no statistics of virtual clusters; ignored"),
	BUFFER_LIMIT_KEYS,
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
PUBLIC_SCHEMA(route_config, struct cfg_route_config, "route_config",
	      .unsupported = sl_no_route_config, .tuning = sl_tune_metadata,
	      .done = route_config_done);
