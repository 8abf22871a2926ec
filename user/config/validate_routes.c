// SPDX-License-Identifier: GPL-2.0-only
/* Rules across keys: virtual hosts and routes. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "config/model.h"
#include "util/names.h"
#include "util/suggest.h"

#define SL_DOMAIN_MAX 255

struct routes {
	struct sl_walk *w;
	struct cfg_root *root;
	struct cfg_route_config *config; /* that is looked at */
	struct sl_names *routes;	 /* full_name as commands compare it -> struct named */
	struct sl_names *domains;	 /* of the configuration, lower case -> its node */
	struct sl_names *vhosts;	 /* of the configuration -> the name's node */
	struct sl_names *clusters;	 /* name -> struct cfg_cluster */
	__u32 n_routes;
	__u32 n_vhosts;
	__u32 n_domains;
	__u32 n_hashes;
	__u32 n_rules;
};

struct named {
	const struct cfg_route *route;
	const struct cfg_route_config *config;
};

static bool has_control(const struct sl_node *n)
{
	for (__u32 i = 0; i < n->len; i++)
		if (((unsigned char)n->text[i] < 0x20 && n->text[i] != '\t') || n->text[i] == 0x7f)
			return true;
	return false;
}

/* ---- domains ---- */

static bool good_domain(struct sl_walk *w, const struct sl_node *d)
{
	const char *star = strchr(d->text, '*');

	for (__u32 i = 0; i < d->len; i++) {
		if ((unsigned char)d->text[i] <= 0x20 || d->text[i] == 0x7f ||
		    strchr("/?#@", d->text[i])) {
			sl_error(w, d, "'%.64s' is no domain: '%c' cannot be in a Host header",
				 d->text, d->text[i]);
			return false;
		}
	}
	if (d->len > SL_DOMAIN_MAX) {
		sl_error(w, d, "domain longer than %u bytes", SL_DOMAIN_MAX);
		return false;
	}
	if (!star || d->len == 1)
		return true;
	if (strchr(star + 1, '*') || (star != d->text && star[1])) {
		sl_error(w, d,
			 "'%.64s': a '*' stands for all of a domain, for its beginning or for its "
			 "end",
			 d->text);
		return false;
	}
	return true;
}

static void check_domain(struct routes *r, const struct sl_node *d)
{
	const struct sl_node *first;
	char *lower;

	if (!good_domain(r->w, d))
		return;
	lower = sl_arena_alloc(r->w->arena, d->len + 1);
	if (!lower) {
		r->w->err = -ENOMEM;
		return;
	}
	for (__u32 i = 0; i < d->len; i++)
		lower[i] = tolower((unsigned char)d->text[i]);
	first = sl_names_add(r->domains, lower, d);
	if (!first)
		r->w->err = -ENOMEM;
	else if (first != d)
		sl_error(r->w, d, "duplicate domain '%.64s'; first defined at line %u", d->text,
			 first->line);
	else if (r->n_domains++ == SL_MAX_DOMAINS)
		sl_error(r->w, d, "too many domains; the limit is %u (SL_MAX_DOMAINS)",
			 SL_MAX_DOMAINS);
}

/* ---- actions ---- */

static __u32 find_cluster(struct routes *r, const struct sl_node *name)
{
	const struct cfg_list *list = &r->root->resources.clusters;
	const struct cfg_cluster *all = list->items, *found;
	__u32 n = list->n < SL_MAX_CLUSTERS ? list->n : SL_MAX_CLUSTERS;
	struct sl_suggest g = {0};

	if (!name)
		return 0;
	found = sl_names_get(r->clusters, name->text);
	if (found)
		return found - all;
	g.word = name->text;
	for (__u32 i = 0; i < n; i++)
		if (all[i].name)
			sl_suggest_try(&g, all[i].name->text);
	if (g.best)
		sl_error(r->w, name, "unknown cluster '%.64s'; did you mean '%.64s'?", name->text,
			 g.best);
	else
		sl_error(r->w, name, "unknown cluster '%.64s'", name->text);
	return 0;
}

static void check_mirrors(struct routes *r, const struct cfg_list *l)
{
	struct cfg_mirror *all = l->items;

	for (__u32 i = 0; i < l->n; i++)
		if (all[i].cluster)
			all[i].cluster_index = find_cluster(r, all[i].cluster);
}

/* Member @i of a split is none of those before it. */
static void check_twice(struct routes *r, const struct cfg_weight *all, __u32 i)
{
	const struct sl_node *me = all[i].name ? all[i].name : all[i].header;

	for (__u32 j = 0; me && j < i; j++) {
		const struct sl_node *other = all[i].name ? all[j].name : all[j].header;

		if (!other || (all[i].name ? strcmp : strcasecmp)(me->text, other->text))
			continue;
		sl_error(r->w, me, "%s '%.64s' is twice in one split; first at line %u",
			 all[i].name ? "cluster" : "header", me->text, other->line);
		break;
	}
}

static void check_split(struct routes *r, struct cfg_split *s, const char *route)
{
	struct cfg_weight *all = s->clusters.items;
	bool complete = s->clusters.n > 0;
	__u64 sum = 0;

	if (s->clusters.n > SL_MAX_SPLIT_TARGETS) {
		sl_error(r->w, all[SL_MAX_SPLIT_TARGETS].node,
			 "too many clusters in one split; the limit is %u (SL_MAX_SPLIT_TARGETS)",
			 SL_MAX_SPLIT_TARGETS);
		return;
	}
	for (__u32 i = 0; i < s->clusters.n; i++) {
		if (!all[i].header)
			all[i].cluster = find_cluster(r, all[i].name);
		sl_validate_cluster_header(r->w, all[i].header);
		sl_validate_header_changes(r->w, &all[i].changes);
		sl_validate_rewrite(r->w, &(struct cfg_rewrite){.host = all[i].host}, NULL);
		sum += all[i].weight.value;
		complete &= all[i].weight.node != NULL;
		check_twice(r, all, i);
	}
	if (!complete)
		return;
	for (__u32 i = 0; sum && i < s->clusters.n; i++)
		if (!all[i].weight.value && all[i].name)
			sl_warning(r->w, all[i].weight.node,
				   "cluster '%.64s' gets no request: its weight is 0",
				   all[i].name->text);
		else if (!all[i].weight.value && all[i].header)
			sl_warning(r->w, all[i].weight.node,
				   "the cluster of header '%.64s' gets no request: its weight is 0",
				   all[i].header->text);
	if (sum == 0)
		sl_error(r->w, s->clusters.node,
			 "Sum of weights in the weighted_cluster must be greater than 0.");
	else if (sum > 0xffffffff)
		sl_error(r->w, s->clusters.node,
			 "The sum of weights of all weighted clusters of route %.64s exceeds "
			 "4294967295",
			 route);
	else if (s->total.node && s->total.value && s->total.value != sum)
		sl_error(r->w, s->total.node,
			 "the sum of the weights is %llu, not 'total_weight'; change one of them",
			 sum);
	else if (s->total.node)
		sl_warning(r->w, s->total.node,
			   "'total_weight' is deprecated: the sum of the weights is what counts");
}

/* The bytes of direct_response's body and of its format. */
static void read_sources(struct routes *r, struct cfg_direct *d)
{
	const struct cfg_u32 *given = &r->config->max_body;
	__u32 max = given->node ? given->value : SL_DIRECT_BODY_DEFAULT;
	const struct sl_node *format;

	sl_read_source(r->w, &d->body, max < SL_DIRECT_BODY_MAX ? max : SL_DIRECT_BODY_MAX);
	sl_read_source(r->w, &d->format.source, SL_DIRECT_BODY_MAX);
	format = d->format.source.text;
	if (format && strlen(format->text) < format->len)
		sl_error(r->w, format, "a NUL in a format");
}

static void check_action(struct routes *r, struct cfg_route *route)
{
	const struct cfg_body_format *format = &route->direct.format;

	read_sources(r, &route->direct);
	sl_validate_header_changes(r->w, &route->changes);
	sl_validate_rewrite(r->w, &route->route.rewrite, &route->match);
	sl_validate_redirect(r->w, &route->redirect);
	sl_validate_body_format(r->w, format->text ? format->text : format->source.text,
				format->json, format->content_type);
	check_mirrors(r, &route->route.mirrors);
	sl_validate_cluster_header(r->w, route->route.cluster_header);
	if (route->route.cluster)
		route->route.cluster_index = find_cluster(r, route->route.cluster);
	if (route->route.split.node)
		check_split(r, &route->route.split, route->full_name);
	sl_validate_hash(r->w, &route->route, &r->n_hashes);
}

/* ---- names ---- */

/* As commands compare names. */
static const char *cut_name(struct routes *r, const char *name)
{
	char *cut;

	if (strlen(name) < SL_NAME_MAX)
		return name;
	cut = sl_arena_alloc(r->w->arena, SL_NAME_MAX);
	if (!cut) {
		r->w->err = -ENOMEM;
		return name;
	}
	memcpy(cut, name, SL_NAME_MAX - 1);
	return cut;
}

static void check_route_name(struct routes *r, struct cfg_route *route)
{
	const struct sl_node *at = route->name ? route->name : route->node;
	struct named *me = sl_arena_alloc(r->w->arena, sizeof(*me));
	const struct named *old;

	if (!me)
		r->w->err = -ENOMEM;
	if (!me || !route->full_name)
		return;
	*me = (struct named){route, r->config};
	if (has_control(at) || strchr(route->full_name, '\n')) {
		sl_error(r->w, at, "control character in the name of a route");
		return;
	}
	if (route->name && route->name->len >= SL_NAME_MAX)
		sl_warning(r->w, at, "commands show and take only the first %u bytes of this name",
			   SL_NAME_MAX - 1);
	old = sl_names_add(r->routes, cut_name(r, route->full_name), me);
	if (old == me || !old)
		return;
	/* Then their virtual hosts have the same name, which is an error already. */
	if (!old->route->name && !route->name && old->config == r->config)
		return;
	sl_error(r->w, at, "duplicate route name '%.64s'; first defined at line %u%s",
		 route->full_name, (old->route->name ? old->route->name : old->route->node)->line,
		 route->name && old->route->name
			 ? ""
			 : " (a route without a name is called VHOST/INDEX)");
}

/*
 * full_name: the route's name, else VHOST/INDEX. If another listener's routes have it already, the
 * name of the route configuration or of the listener stands before it.
 */
static int name_route(struct routes *r, const struct cfg_vhost *v, __u32 index,
		      struct cfg_route *route)
{
	const struct cfg_route_config *rc = r->config;
	const char *vhost = v->name ? v->name->text : "";
	const char *config = rc->name && rc->name->len ? rc->name->text : rc->listener;
	const char *name = route->name && route->name->len ? route->name->text : NULL;
	const struct named *old;
	char number[16];
	size_t size;

	snprintf(number, sizeof(number), "%u", index);
	size = strlen(vhost) + sizeof(number) + (name ? strlen(name) : 0) +
	       (config ? strlen(config) : 0) + 24;
	route->full_name = sl_arena_alloc(r->w->arena, size);
	if (!route->full_name)
		return -ENOMEM;
	if (name)
		snprintf(route->full_name, size, "%s", name);
	else
		snprintf(route->full_name, size, "%s/%s", vhost, number);
	old = sl_names_get(r->routes, cut_name(r, route->full_name));
	if (!old || old->config == rc)
		return 0;
	if (!config) {
		snprintf(number, sizeof(number), "line %d", rc->node->line);
		config = number;
	}
	if (name)
		snprintf(route->full_name, size, "%s/%s", config, name);
	else
		snprintf(route->full_name, size, "%s/%s/%u", config, vhost, index);
	return 0;
}

static void check_reachable(struct routes *r, struct sl_reach *reach, const struct cfg_route *route)
{
	const struct cfg_route *first = sl_reach_add(r->w, reach, route);

	if (first)
		sl_warning(r->w, route->node,
			   "route can never match: route '%.64s' at line %u takes all its requests",
			   first->full_name, first->node->line);
}

static void count_rules(struct routes *r, const struct sl_node *at, __u32 n)
{
	bool before = r->n_rules > SL_MAX_RULES;

	r->n_rules += n;
	if (r->n_rules > SL_MAX_RULES && !before)
		sl_error(r->w, at, "too many matchers; the limit is %u (SL_MAX_RULES)",
			 SL_MAX_RULES);
}

static void check_retry(struct routes *r, const struct cfg_retry *c)
{
	sl_validate_headers(r->w, &c->headers);
	sl_validate_headers(r->w, &c->request_headers);
	count_rules(r, c->node, c->headers.n + c->request_headers.n);
}

static bool has_tls_route(const struct cfg_vhost *v)
{
	return v->require_tls.value == 1 || v->require_tls.value == 2;
}

static void check_route(struct routes *r, const struct cfg_vhost *v, __u32 index,
			struct sl_reach *reach)
{
	struct cfg_route *route = &((struct cfg_route *)v->routes.items)[index];
	const struct cfg_match *m = &route->match;

	/* The route that require_tls made does not count. */
	r->w->err = name_route(r, v, index - has_tls_route(v), route);
	if (r->w->err)
		return;
	check_route_name(r, route);
	sl_validate_match(r->w, m);
	count_rules(r, m->node, sl_match_rules(m));
	check_retry(r, &route->route.retry);
	check_action(r, route);
	check_reachable(r, reach, route);
}

static void check_vhost(struct routes *r, struct cfg_vhost *v)
{
	const struct sl_node **domains = v->domains.items;
	struct cfg_route *all = v->routes.items;
	struct sl_reach *reach = sl_reach_new(r->w);

	sl_validate_header_changes(r->w, &v->changes);
	check_mirrors(r, &v->mirrors);
	check_retry(r, &v->retry);
	for (__u32 i = 0; i < v->domains.n && !r->w->err; i++)
		check_domain(r, domains[i]);
	/* Then nobody is believed who says that it was https somewhere. */
	if (has_tls_route(v) && !sl_proto_is_believed(&r->config->hcm->forwarded)) {
		struct cfg_list *headers = &all[0].match.headers;

		headers->items = (struct cfg_rule *)headers->items + 1;
		headers->n--;
	}
	for (__u32 i = 0; i < v->routes.n && !r->w->err; i++) {
		if (r->n_routes++ == SL_MAX_ROUTES) {
			sl_error(r->w, all[i].node,
				 "too many routes; the limit is %u (SL_MAX_ROUTES)", SL_MAX_ROUTES);
			break;
		}
		check_route(r, v, i, reach);
	}
	sl_reach_free(reach);
	if (!v->routes.n && v->node)
		sl_warning(r->w, v->node,
			   "virtual host without routes; its requests are answered "
			   "404");
}

static void check_config(struct routes *r)
{
	const struct cfg_list *list = &r->config->vhosts;
	struct cfg_vhost *all = list->items;

	sl_validate_header_changes(r->w, &r->config->changes);
	sl_validate_vhost_header(r->w, r->config->vhost_header);
	sl_validate_internal_only(r->w, &r->config->internal_only);
	check_mirrors(r, &r->config->mirrors);
	for (__u32 i = 0; i < list->n && !r->w->err; i++) {
		const struct sl_node *first;

		if (r->n_vhosts++ == SL_MAX_VHOSTS) {
			sl_error(r->w, all[i].node,
				 "too many virtual hosts; the limit is %u (SL_MAX_VHOSTS)",
				 SL_MAX_VHOSTS);
			return;
		}
		first = all[i].name ? sl_names_add(r->vhosts, all[i].name->text, all[i].name)
				    : NULL;
		if (first && first != all[i].name)
			sl_error(r->w, all[i].name,
				 "duplicate virtual host '%.64s'; first defined at line %u",
				 all[i].name->text, first->line);
		check_vhost(r, &all[i]);
	}
	if (!list->n)
		sl_warning(r->w, r->config->node,
			   "no virtual hosts; every request is answered 404");
}

static void add_clusters(struct routes *r)
{
	const struct cfg_list *list = &r->root->resources.clusters;
	struct cfg_cluster *all = list->items;

	for (__u32 i = 0; i < list->n && i < SL_MAX_CLUSTERS; i++)
		if (all[i].name && !all[i].by_header)
			(void)sl_names_add(r->clusters, all[i].name->text, &all[i]);
}

void sl_validate_routes(struct sl_walk *w, struct cfg_root *root)
{
	struct routes r = {.w = w, .root = root};

	sl_validate_by_header(w, root);
	r.routes = sl_names_new();
	r.clusters = sl_names_new();
	if (!r.routes || !r.clusters)
		w->err = -ENOMEM;
	else if (!w->err)
		add_clusters(&r);
	for (__u32 i = 0; i < root->n_configs && !w->err; i++) {
		r.config = root->configs[i];
		r.domains = sl_names_new();
		r.vhosts = sl_names_new();
		if (r.domains && r.vhosts)
			check_config(&r);
		else
			w->err = -ENOMEM;
		sl_names_free(r.domains);
		sl_names_free(r.vhosts);
	}
	sl_names_free(r.routes);
	sl_names_free(r.clusters);
}
