// SPDX-License-Identifier: GPL-2.0-only
/* Rules across keys: virtual hosts and routes. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "config/model.h"
#include "util/suggest.h"

struct routes {
	struct sl_walk *w;
	struct cfg_root *root;
	struct cfg_route *seen[SL_MAX_ROUTES]; /* of all virtual hosts, full_name set */
	__u32 n_seen;
	const struct sl_node *domains[SL_MAX_DOMAINS];
	__u32 n_domains;
	__u32 n_headers;
	__u32 n_hashes;
};

static bool is_token(const struct sl_node *n)
{
	/* RFC 9110 section 5.6.2 */
	for (__u32 i = 0; i < n->len; i++)
		if (!isalnum((unsigned char)n->text[i]) && !strchr("!#$%&'*+-.^_`|~", n->text[i]))
			return false;
	return true;
}

static bool has_control(const struct sl_node *n)
{
	for (__u32 i = 0; i < n->len; i++)
		if (((unsigned char)n->text[i] < 0x20 && n->text[i] != '\t') || n->text[i] == 0x7f)
			return true;
	return false;
}

/* ---- domains ---- */

static void check_domain(struct routes *r, const struct sl_node *d)
{
	if (d->len > 1 && strchr(d->text, '*')) {
		sl_error(r->w, d,
			 "wildcard domain '%.64s' is not supported yet; only exact names and '*' "
			 "are",
			 d->text);
		return;
	}
	for (__u32 i = 0; i < d->len; i++) {
		if ((unsigned char)d->text[i] <= 0x20 || d->text[i] == 0x7f ||
		    strchr("/?#@", d->text[i])) {
			sl_error(r->w, d, "'%.64s' is no domain: '%c' cannot be in a Host header",
				 d->text, d->text[i]);
			return;
		}
	}
	for (__u32 i = 0; i < r->n_domains; i++) {
		if (strcasecmp(r->domains[i]->text, d->text))
			continue;
		sl_error(r->w, d, "duplicate domain '%.64s'; first defined at line %u", d->text,
			 r->domains[i]->line);
		return;
	}
	if (r->n_domains == SL_MAX_DOMAINS)
		sl_error(r->w, d, "too many domains; the limit is %u (SL_MAX_DOMAINS)",
			 SL_MAX_DOMAINS);
	else
		r->domains[r->n_domains++] = d;
}

/* ---- matches ---- */

static void check_path(struct sl_walk *w, const struct sl_node *n, bool exact)
{
	if (!n)
		return;
	if (has_control(n) || strchr(n->text, ' ') || strchr(n->text, '\t'))
		sl_error(w, n, "a request's path cannot hold spaces or control characters");
	else if (n->len >= SL_KERNEL_HEAD_MAX)
		sl_error(w, n, "longer than %u bytes", SL_KERNEL_HEAD_MAX - 1);
	else if (n->len && n->text[0] != '/' && strcmp(n->text, "*"))
		sl_warning(w, n, "can never match: a request's path begins with '/'");
	else if (exact && strchr(n->text, '?'))
		sl_warning(w, n, "can never match: 'path' is compared without the query");
	else if (strchr(n->text, '#'))
		sl_warning(w, n, "can never match: a request has no '#' fragment");
}

static const struct sl_node *exact_value(const struct cfg_header *h)
{
	return h->exact ? h->exact : h->string.exact;
}

static void check_header(struct routes *r, const struct cfg_header *h)
{
	const struct sl_node *value = exact_value(h);

	if (r->n_headers++ == SL_MAX_HEADER_RULES)
		sl_error(r->w, h->node,
			 "too many header matchers; the limit is %u (SL_MAX_HEADER_RULES)",
			 SL_MAX_HEADER_RULES);
	if (!h->name)
		return;
	/* Envoy's names for parts of the request line; the matcher knows them. */
	if (h->name->text[0] == ':' && strcasecmp(h->name->text, ":method") &&
	    strcasecmp(h->name->text, ":path") && strcasecmp(h->name->text, ":authority"))
		sl_error(r->w, h->name, "matching '%.64s' is not supported yet", h->name->text);
	else if (h->name->text[0] != ':' && !is_token(h->name))
		sl_error(r->w, h->name, "'%.64s' is no header name", h->name->text);
	else if (h->name->len > 255)
		sl_error(r->w, h->name, "header name longer than 255 bytes");
	if (!value)
		return;
	if (has_control(value))
		sl_error(r->w, value, "a header's value cannot hold control characters");
	else if (value->len >= SL_KERNEL_HEAD_MAX)
		sl_error(r->w, value, "longer than %u bytes", SL_KERNEL_HEAD_MAX - 1);
	else if (value->len &&
		 (strchr(" \t", value->text[0]) || strchr(" \t", value->text[value->len - 1])))
		sl_warning(r->w, value,
			   "can never be equal: white space around a header's value is not part "
			   "of it");
}

/* Does every request that matches @b match @a too? False when in doubt. */
static bool header_covers(const struct cfg_header *a, const struct cfg_header *b)
{
	const struct sl_node *va = exact_value(a), *vb = exact_value(b);
	bool present_a = !va && (!a->present.node || a->present.value) != a->invert.value;
	bool present_b = !vb && (!b->present.node || b->present.value) != b->invert.value;

	if (!a->name || !b->name || strcasecmp(a->name->text, b->name->text))
		return false;
	if (!va && !vb)
		return present_a == present_b;
	if (!va)
		return present_a; /* a value, inverted or not, is only compared when there is one */
	return vb && a->invert.value == b->invert.value && !strcmp(va->text, vb->text);
}

static bool path_covers(const struct cfg_match *a, const struct cfg_match *b)
{
	const struct sl_node *pb = b->prefix ? b->prefix : b->path;

	if (!pb)
		return false;
	if (a->prefix)
		return pb->len >= a->prefix->len &&
		       !memcmp(a->prefix->text, pb->text, a->prefix->len);
	return a->path && b->path && !strcmp(a->path->text, b->path->text);
}

static bool match_covers(const struct cfg_match *a, const struct cfg_match *b)
{
	const struct cfg_header *ha = a->headers.items, *hb = b->headers.items;

	/* Over the limit is an error already; comparing all with all would take for ever. */
	if (!path_covers(a, b) || a->headers.n > SL_MAX_HEADER_RULES ||
	    b->headers.n > SL_MAX_HEADER_RULES)
		return false;
	for (__u32 i = 0; i < a->headers.n; i++) {
		__u32 j = 0;

		while (j < b->headers.n && !header_covers(&ha[i], &hb[j]))
			j++;
		if (j == b->headers.n)
			return false;
	}
	return true;
}

/* ---- actions ---- */

static __u32 find_cluster(struct routes *r, const struct sl_node *name)
{
	const struct cfg_list *list = &r->root->resources.clusters;
	const struct cfg_cluster *all = list->items;
	__u32 n = list->n < SL_MAX_CLUSTERS ? list->n : SL_MAX_CLUSTERS;
	struct sl_suggest g = {0};

	if (!name)
		return 0;
	for (__u32 i = 0; i < n; i++)
		if (all[i].name && !strcmp(all[i].name->text, name->text))
			return i;
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
		all[i].cluster_index = find_cluster(r, all[i].cluster);
}

static void check_split(struct routes *r, struct cfg_split *s)
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
		all[i].cluster = find_cluster(r, all[i].name);
		sl_validate_header_changes(r->w, &all[i].changes);
		sl_validate_rewrite(r->w, &(struct cfg_rewrite){.host = all[i].host});
		sum += all[i].weight.value;
		complete &= all[i].weight.node != NULL;
		for (__u32 j = 0; all[i].name && j < i; j++) {
			if (!all[j].name || strcmp(all[i].name->text, all[j].name->text))
				continue;
			sl_error(r->w, all[i].name,
				 "cluster '%.64s' is twice in one split; first at line %u",
				 all[i].name->text, all[j].name->line);
			break;
		}
	}
	if (!complete)
		return;
	if (sum == 0)
		sl_error(r->w, s->clusters.node,
			 "Sum of weights in the weighted_cluster must be greater than 0.");
	else if (sum > 0xffffffff)
		sl_error(r->w, s->clusters.node,
			 "the sum of the weights is %llu; the limit is 4294967295", sum);
	else if (s->total.node && s->total.value && s->total.value != sum)
		sl_error(r->w, s->total.node,
			 "the sum of the weights is %llu, not 'total_weight'; change one of them",
			 sum);
}

static void check_action(struct routes *r, struct cfg_route *route)
{
	const struct sl_node *body = route->direct.body.text;

	sl_validate_header_changes(r->w, &route->changes);
	sl_validate_rewrite(r->w, &route->route.rewrite);
	sl_validate_redirect(r->w, &route->redirect);
	check_mirrors(r, &route->route.mirrors);
	if (route->route.cluster)
		route->route.cluster_index = find_cluster(r, route->route.cluster);
	if (route->route.split.node)
		check_split(r, &route->route.split);
	sl_validate_hash(r->w, &route->route, &r->n_hashes);
	if (body && body->len > SL_DIRECT_BODY_MAX)
		sl_error(r->w, body, "the body has %u bytes; the limit is %u", body->len,
			 SL_DIRECT_BODY_MAX);
}

/* ---- names ---- */

static void check_route_name(struct routes *r, struct cfg_route *route)
{
	const struct sl_node *at = route->name ? route->name : route->node;

	if (!route->full_name)
		return;
	if (has_control(at) || strchr(route->full_name, '\n')) {
		sl_error(r->w, at, "control character in the name of a route");
		return;
	}
	if (route->name && route->name->len >= SL_NAME_MAX)
		sl_warning(r->w, at, "commands show and take only the first %u bytes of this name",
			   SL_NAME_MAX - 1);
	for (__u32 i = 0; i < r->n_seen; i++) {
		const struct cfg_route *old = r->seen[i];

		/* As commands compare them: cut. */
		if (!old->full_name || strncmp(old->full_name, route->full_name, SL_NAME_MAX - 1))
			continue;
		/* Then their virtual hosts have the same name, which is an error already. */
		if (!old->name && !route->name)
			return;
		sl_error(r->w, at, "duplicate route name '%.64s'; first defined at line %u%s",
			 route->full_name, (old->name ? old->name : old->node)->line,
			 route->name && old->name
				 ? ""
				 : " (a route without a name is called VHOST/INDEX)");
		return;
	}
}

static int name_route(struct routes *r, const struct cfg_vhost *v, __u32 index,
		      struct cfg_route *route)
{
	const char *vhost = v->name ? v->name->text : "";
	size_t size = strlen(vhost) + 16;

	if (route->name && route->name->len) {
		route->full_name = (char *)route->name->text;
		return 0;
	}
	route->full_name = sl_arena_alloc(r->w->arena, size);
	if (!route->full_name)
		return -ENOMEM;
	snprintf(route->full_name, size, "%s/%u", vhost, index);
	return 0;
}

static void check_reachable(struct routes *r, const struct cfg_vhost *v, __u32 index)
{
	const struct cfg_route *all = v->routes.items;

	for (__u32 i = 0; i < index; i++) {
		if (!match_covers(&all[i].match, &all[index].match))
			continue;
		sl_warning(r->w, all[index].node,
			   "route can never match: route '%.64s' at line %u takes all its requests",
			   all[i].full_name, all[i].node->line);
		return;
	}
}

static void check_vhost(struct routes *r, struct cfg_vhost *v)
{
	struct cfg_route *all = v->routes.items;
	const struct sl_node **domains = v->domains.items;

	sl_validate_header_changes(r->w, &v->changes);
	check_mirrors(r, &v->mirrors);
	for (__u32 i = 0; i < v->domains.n; i++)
		check_domain(r, domains[i]);
	for (__u32 i = 0; i < v->routes.n; i++) {
		struct cfg_route *route = &all[i];
		const struct cfg_header *headers = route->match.headers.items;

		if (r->n_seen == SL_MAX_ROUTES) {
			sl_error(r->w, route->node,
				 "too many routes; the limit is %u (SL_MAX_ROUTES)", SL_MAX_ROUTES);
			return;
		}
		r->w->err = name_route(r, v, i, route);
		if (r->w->err)
			return;
		check_route_name(r, route);
		r->seen[r->n_seen++] = route;
		check_path(r->w, route->match.prefix, false);
		check_path(r->w, route->match.path, true);
		for (__u32 j = 0; j < route->match.headers.n; j++)
			check_header(r, &headers[j]);
		check_action(r, route);
		check_reachable(r, v, i);
	}
	if (!v->routes.n && v->node)
		sl_warning(r->w, v->node,
			   "virtual host without routes; its requests are answered "
			   "404");
}

void sl_validate_routes(struct sl_walk *w, struct cfg_root *root)
{
	const struct cfg_list *list = &root->routes->vhosts;
	struct cfg_vhost *all = list->items;
	struct routes *r = sl_arena_alloc(w->arena, sizeof(*r));

	if (!r) {
		w->err = -ENOMEM;
		return;
	}
	r->w = w;
	r->root = root;
	sl_validate_header_changes(w, &root->routes->changes);
	check_mirrors(r, &root->routes->mirrors);
	for (__u32 i = 0; i < list->n && !w->err; i++) {
		if (i == SL_MAX_VHOSTS) {
			sl_error(w, all[i].node,
				 "too many virtual hosts; the limit is %u (SL_MAX_VHOSTS)",
				 SL_MAX_VHOSTS);
			return;
		}
		for (__u32 j = 0; all[i].name && j < i; j++) {
			if (!all[j].name || strcmp(all[i].name->text, all[j].name->text))
				continue;
			sl_error(w, all[i].name,
				 "duplicate virtual host '%.64s'; first defined at line %u",
				 all[i].name->text, all[j].name->line);
			break;
		}
		check_vhost(r, &all[i]);
	}
	if (!list->n)
		sl_warning(w, root->routes->node,
			   "no virtual hosts; every request is answered 404");
}
