// SPDX-License-Identifier: GPL-2.0-only
/* Validated model -> struct sl_compiled. Strings end here: indices and spans from now on. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/compile.h"
#include "config/index.h"
#include "sl_hash.h"
#include "util/normal.h"

/* A name in a fixed array: cut, never in the middle of a UTF-8 character; the rest is zero. */
static void cut_name(char dst[SL_NAME_MAX], const char *s)
{
	size_t len = strnlen(s, SL_NAME_MAX);

	memset(dst, 0, SL_NAME_MAX);
	if (len == SL_NAME_MAX) {
		len--;
		while (len && ((unsigned char)s[len] & 0xc0) == 0x80)
			len--;
	}
	memcpy(dst, s, len);
}

static char to_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c;
}

struct sl_str sl_compile_text(struct compile *c, const struct sl_node *at, const char *s,
			      bool lower)
{
	struct sl_table *t = c->out->table;
	struct sl_str str = {.off = c->n_strings, .len = strlen(s)};

	if (!str.len)
		return (struct sl_str){0};
	if (str.len > SL_STRING_POOL - c->n_strings) {
		sl_error(c->w, at,
			 "too many names, paths and values; the limit is %u bytes in all "
			 "(SL_STRING_POOL)",
			 SL_STRING_POOL);
		return (struct sl_str){0};
	}
	for (__u32 i = 0; i < str.len; i++)
		t->strings[str.off + i] = lower ? to_lower(s[i]) : s[i];
	c->n_strings += str.len;
	return str;
}

/* ---- routes ---- */

static void compile_split(struct compile *c, const struct cfg_split *s, __u32 route)
{
	struct sl_table *t = c->out->table;
	struct sl_split *split = &c->out->splits[t->n_splits++];
	const struct cfg_weight *all = s->clusters.items;

	split->route = route;
	split->n_targets = s->clusters.n;
	for (__u32 i = 0; i < s->clusters.n; i++)
		split->targets[i] = (struct sl_split_target){
			.cluster = all[i].cluster,
			.weight = all[i].weight.value,
		};
}

static int compile_cookie(struct compile *c, const struct cfg_hash_cookie *cookie,
			  struct sl_hash_rule *rule)
{
	char *attributes;

	rule->kind = SL_HASH_COOKIE;
	rule->name = sl_compile_text(c, cookie->name, cookie->name->text, false);
	if (!cookie->ttl)
		return 0;
	attributes = sl_cookie_attributes(cookie);
	if (!attributes)
		return -ENOMEM;
	rule->flags |= SL_HASH_GENERATE;
	rule->attributes = sl_compile_text(c, cookie->ttl, attributes, false);
	free(attributes);
	return 0;
}

static int compile_hashes(struct compile *c, const struct cfg_route_action *a,
			  struct sl_route *route)
{
	struct sl_table *t = c->out->table;
	int err = 0;

	route->first_hash = t->n_hash_rules;
	if (a->split.use_hash_policy.value)
		route->flags |= SL_ROUTE_STICKY;
	for (__u32 i = 0; i < a->hash.n && !err; i++) {
		const struct cfg_hash_policy *p = &cfg_items(a->hash, struct cfg_hash_policy)[i];
		struct sl_hash_rule *rule = &t->hash_rules[t->n_hash_rules];

		if (!sl_hashes(p))
			continue;
		if (p->header.node) {
			rule->kind = SL_HASH_HEADER;
			rule->name = sl_compile_text(c, p->header.name, p->header.name->text, true);
		} else if (p->cookie.node) {
			err = compile_cookie(c, &p->cookie, rule);
		} else if (p->query.node) {
			rule->kind = SL_HASH_QUERY;
			rule->name = sl_compile_text(c, p->query.name, p->query.name->text, false);
		} else {
			rule->kind = SL_HASH_SOURCE_IP;
		}
		if (p->terminal.value)
			rule->flags |= SL_HASH_TERMINAL;
		t->n_hash_rules++;
		route->n_hashes++;
	}
	return err;
}

static int compile_direct(struct compile *c, const struct cfg_direct *d, __u32 route)
{
	struct sl_direct *direct = &c->out->directs[route];
	const struct sl_node *text = d->body.text;

	direct->status = d->status.value;
	if (!text || !text->len)
		return 0;
	direct->body = malloc(text->len + 1);
	if (!direct->body)
		return -ENOMEM;
	memcpy(direct->body, text->text, text->len + 1);
	direct->body_len = text->len;
	return 0;
}

static int compile_route(struct compile *c, const struct cfg_route *r)
{
	struct sl_table *t = c->out->table;
	__u32 index = t->n_routes++;
	struct sl_route *route = &t->routes[index];
	struct sl_route_info *info = &c->out->route_infos[index];
	char *text = sl_match_text(&r->match);
	int err = 0;

	if (!text)
		return -ENOMEM;
	cut_name(info->match, text);
	c->out->route_matches[index] = text;

	c->out->route_limits[index] = sl_compile_route_limits(&r->route.limits);
	route->name = sl_compile_text(c, r->node, r->full_name, false);
	sl_compile_match(c, &r->match, route);
	if (r->redirect.node || r->route.cluster_header) {
		/* The daemon knows better; its own table of actions has them. */
		route->action = SL_ACTION_DIRECT;
		route->target = r->redirect.node ? sl_redirect_status(&r->redirect) : 503;
		route->flags |= SL_ROUTE_NEEDS_USER;
		c->out->directs[index].status = route->target;
	} else if (r->direct.node) {
		route->action = SL_ACTION_DIRECT;
		route->target = r->direct.status.value;
		route->flags |= SL_ROUTE_NEEDS_USER;
		err = compile_direct(c, &r->direct, index);
	} else if (r->route.split.node) {
		route->action = SL_ACTION_SPLIT;
		route->target = t->n_splits;
		compile_split(c, &r->route.split, index);
	} else {
		route->action = SL_ACTION_CLUSTER;
		route->target = r->route.cluster_index;
	}
	if (!err)
		err = compile_hashes(c, &r->route, route);
	info->action = route->action;
	info->target = route->target;
	c->out->route_lines[index] = r->node->line;
	cut_name(info->name, r->full_name);
	return err;
}

/* The domain without its star. */
static void compile_domain(struct compile *c, const struct sl_node *node, __u32 config, __u32 vhost)
{
	struct sl_table *t = c->out->table;
	struct sl_domain *d = &t->domains[t->n_domains++];

	d->vhost = vhost;
	d->config = config;
	d->kind = SL_DOMAIN_EXACT;
	if (!strcmp(node->text, "*")) {
		d->kind = SL_DOMAIN_ANY;
		return;
	}
	d->name = sl_compile_text(c, node, node->text, true);
	if (!d->name.len)
		return;
	if (node->text[0] == '*') {
		d->kind = SL_DOMAIN_SUFFIX;
		d->name.off++;
		d->name.len--;
	} else if (node->text[node->len - 1] == '*') {
		d->kind = SL_DOMAIN_PREFIX;
		d->name.len--;
	}
}

static int compile_vhost(struct compile *c, const struct cfg_vhost *v, __u32 config)
{
	const struct sl_node *const *domains = v->domains.items;
	const struct cfg_route *routes = v->routes.items;
	struct sl_table *t = c->out->table;
	__u32 index = t->n_vhosts++;
	int err = 0;

	c->out->vhost_names[index] = strdup(v->name->text);
	if (!c->out->vhost_names[index])
		return -ENOMEM;
	for (__u32 i = 0; i < v->domains.n; i++)
		compile_domain(c, domains[i], config, index);
	t->vhosts[index].first_route = t->n_routes;
	t->vhosts[index].n_routes = v->routes.n;
	for (__u32 i = 0; i < v->routes.n && !err; i++)
		err = compile_route(c, &routes[i]);
	return err;
}

static __u32 config_flags(const struct cfg_route_config *rc)
{
	__u32 normal = sl_normal_flags(&rc->hcm->normal);

	return (rc->ignore_port.value ? SL_CONFIG_IGNORE_PORT : 0) |
	       (rc->ignore_params.value ? SL_CONFIG_NO_PARAMS | SL_CONFIG_PLAIN_PATH : 0) |
	       (sl_routes_need_user(rc) ? SL_CONFIG_USER : 0) |
	       (normal & SL_NORMAL_PATHS ? SL_CONFIG_PLAIN_PATH : 0) |
	       (normal & SL_NORMAL_HOSTS ? SL_CONFIG_PLAIN_HOST : 0);
}

static int compile_configs(struct compile *c)
{
	struct sl_table *t = c->out->table;
	int err = 0;

	for (__u32 i = 0; i < c->root->n_configs && !err; i++) {
		const struct cfg_route_config *rc = c->root->configs[i];
		const struct cfg_vhost *vhosts = rc->vhosts.items;

		c->config = rc;
		t->configs[i].flags = config_flags(rc);
		if (rc->vhost_header)
			t->configs[i].vhost_header =
				sl_compile_text(c, rc->vhost_header, rc->vhost_header->text, true);
		if (t->configs[i].flags &
		    (SL_CONFIG_PLAIN_PATH | SL_CONFIG_PLAIN_HOST | SL_CONFIG_USER))
			t->flags |= SL_TABLE_PLAIN;
		t->n_configs++;
		for (__u32 j = 0; j < rc->vhosts.n && !err; j++)
			err = compile_vhost(c, &vhosts[j], i);
	}
	if (err || c->w->diags->n_errors)
		return err;
	return sl_index_build(t);
}

/* ---- clusters and listeners ---- */

/* Over the whole name, so that names that are cut alike differ. */
static __u64 hash_name(const struct sl_node *name)
{
	__u8 buf[SL_HEAD_BUF] = {0};
	__u32 len = name->len < SL_HEAD_MAX ? name->len : SL_HEAD_MAX;

	memcpy(buf, name->text, len);
	return sl_hash_span(buf, 0, len, 0);
}

static int compile_cluster(struct compile *c, const struct cfg_cluster *cl)
{
	struct sl_table *t = c->out->table;
	__u32 index = t->n_clusters++;
	struct sl_cluster *out = &c->out->clusters[index];
	struct sl_cluster_limits *limits = &c->out->cluster_limits[index];

	cut_name(out->name, cl->name->text);
	out->name_hash = hash_name(cl->name);
	*limits = sl_compile_cluster_limits(&cl->limits);
	c->out->cluster_lbs[index] = sl_compile_balance(&cl->balance, &cl->assignment.policy);
	out->connect_timeout_ms = limits->connect_ms;
	/* One exchange at a time on a lane: so many lanes bound the requests on both paths. */
	out->max_lanes = limits->max_connections < limits->max_requests ? limits->max_connections
									: limits->max_requests;
	if (out->max_lanes > SL_MAX_LANES)
		out->max_lanes = SL_MAX_LANES;
	return sl_compile_members(cl, &c->root->resolvers, index, c->out);
}

static int compile_listener(struct compile *c, const struct cfg_listener *l)
{
	struct sl_table *t = c->out->table;
	struct sl_listener *out = &c->out->listeners[c->out->n_listeners++];
	const struct cfg_hcm *hcm = sl_listener_hcm(l);
	char ip[INET6_ADDRSTRLEN], text[INET6_ADDRSTRLEN + 16];

	*out = *l->out;
	t->config_of[t->n_listeners++] = l->config;
	out->limits = sl_compile_hcm_limits(hcm ? &hcm->limits : NULL);
	inet_ntop(out->family, out->addr, ip, sizeof(ip));
	snprintf(text, sizeof(text), out->family == AF_INET6 ? "[%s]:%u" : "%s:%u", ip, out->port);
	out->name = strdup(l->name && l->name->len ? l->name->text : text);
	return out->name ? 0 : -ENOMEM;
}

static int compile_netns(struct compile *c)
{
	for (__u32 i = 0; i < c->root->n_netns; i++) {
		c->out->netns[i] = strdup(c->root->netns[i]->text);
		if (!c->out->netns[i])
			return -ENOMEM;
		c->out->n_netns++;
	}
	return 0;
}

static bool any_on(const struct cfg_u32 *b)
{
	return !b->node || b->value;
}

static int fill(struct compile *c)
{
	const struct cfg_list *listeners = &c->root->resources.listeners;
	const struct cfg_list *clusters = &c->root->resources.clusters;
	const struct cfg_sluice *s = &c->root->sluice;
	int err = compile_netns(c);

	c->out->options = (struct sl_options){
		.kernel_path = any_on(&s->kernel_path),
		.colocated_clients = any_on(&s->colocated_clients),
		.colocated_servers = any_on(&s->colocated_servers),
		.max_sessions = sl_compile_max_sessions(&s->max_sessions, &c->root->overload),
		.heap_stop = sl_compile_heap_stop(&c->root->overload),
	};
	for (__u32 i = 0; i < listeners->n && !err; i++)
		err = compile_listener(c, &cfg_items(*listeners, struct cfg_listener)[i]);
	for (__u32 i = 0; i < clusters->n && !err; i++)
		err = compile_cluster(c, &cfg_items(*clusters, struct cfg_cluster)[i]);
	(void)sl_members_place(c->out);
	if (!err)
		err = compile_configs(c);
	if (!err)
		err = sl_compile_actions(c);
	if (!err)
		sl_compile_canned(c);
	return err;
}

static __u32 at_least_one(__u32 n)
{
	return n ? n : 1;
}

int sl_compile(struct sl_walk *w, const struct cfg_root *root, const struct sl_config_flags *flags,
	       struct sl_compiled **ret)
{
	struct compile c = {.w = w, .root = root, .flags = flags};
	__u32 n_clusters = at_least_one(root->resources.clusters.n);
	__u32 n_listeners = at_least_one(root->resources.listeners.n);
	struct sl_compiled *out = calloc(1, sizeof(*out));
	int err = -ENOMEM;

	if (!out)
		return -ENOMEM;
	out->table = calloc(1, sizeof(*out->table));
	out->clusters = calloc(n_clusters, sizeof(*out->clusters));
	out->endpoints = calloc(SL_MAX_ENDPOINTS, sizeof(*out->endpoints));
	out->hosts = calloc(SL_MAX_ENDPOINTS, sizeof(*out->hosts));
	out->cluster_lbs = calloc(n_clusters, sizeof(*out->cluster_lbs));
	out->splits = calloc(SL_MAX_SPLITS, sizeof(*out->splits));
	out->route_infos = calloc(SL_MAX_ROUTES, sizeof(*out->route_infos));
	out->route_matches = calloc(SL_MAX_ROUTES, sizeof(*out->route_matches));
	out->route_limits = calloc(SL_MAX_ROUTES, sizeof(*out->route_limits));
	out->cluster_limits = calloc(n_clusters, sizeof(*out->cluster_limits));
	out->directs = calloc(SL_MAX_ROUTES, sizeof(*out->directs));
	out->vhost_names = calloc(SL_MAX_VHOSTS, sizeof(*out->vhost_names));
	out->route_lines = calloc(SL_MAX_ROUTES, sizeof(*out->route_lines));
	out->listeners = calloc(n_listeners, sizeof(*out->listeners));
	if (!out->table || !out->clusters || !out->hosts || !out->cluster_lbs || !out->endpoints ||
	    !out->splits || !out->route_infos || !out->route_matches || !out->route_limits ||
	    !out->cluster_limits || !out->directs || !out->vhost_names || !out->route_lines ||
	    !out->listeners)
		goto out;
	out->table->generation = flags->generation ? flags->generation : 1;
	c.out = out;
	err = fill(&c);
	if (!err && w->diags->n_errors)
		err = -EINVAL;
	if (err)
		goto out;
	*ret = out;
	return 0;
out:
	sl_compiled_free(out);
	return err;
}

void sl_compiled_free(struct sl_compiled *c)
{
	if (!c)
		return;
	for (__u32 i = 0; c->directs && i < SL_MAX_ROUTES; i++)
		free(c->directs[i].body);
	for (__u32 i = 0; c->route_matches && i < SL_MAX_ROUTES; i++)
		free(c->route_matches[i]);
	for (__u32 i = 0; i < c->n_listeners; i++)
		free(c->listeners[i].name);
	for (__u32 i = 0; i < c->n_netns; i++)
		free(c->netns[i]);
	for (__u32 i = 0; c->vhost_names && i < SL_MAX_VHOSTS; i++)
		free(c->vhost_names[i]);
	sl_actions_free(c->actions);
	sl_members_free(c);
	free(c->pipes);
	free(c->vhost_names);
	free(c->route_lines);
	free(c->table);
	free(c->clusters);
	free(c->endpoints);
	free(c->splits);
	free(c->route_infos);
	free(c->route_matches);
	free(c->route_limits);
	free(c->cluster_limits);
	free(c->cluster_lbs);
	free(c->hosts);
	free(c->directs);
	free(c->listeners);
	free(c);
}
