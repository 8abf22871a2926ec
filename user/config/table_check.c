// SPDX-License-Identifier: GPL-2.0-only
/* Every index, span and enum in range: run by the compiler, before publishing, and by tests. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "config/config.h"

static int wrong(const char **ret_why, const char *why)
{
	if (ret_why)
		*ret_why = why;
	return -EINVAL;
}

/* [first, first + n) within [0, limit) without overflow. */
static bool range_ok(__u32 first, __u32 n, __u32 limit)
{
	return n <= limit && first <= limit - n;
}

static bool str_ok(struct sl_str s)
{
	return range_ok(s.off, s.len, SL_STRING_POOL);
}

static int check_counts(const struct sl_table *t, const char **ret_why)
{
	if (t->n_domains > SL_MAX_DOMAINS)
		return wrong(ret_why, "n_domains");
	if (t->n_vhosts > SL_MAX_VHOSTS)
		return wrong(ret_why, "n_vhosts");
	if (t->n_routes > SL_MAX_ROUTES)
		return wrong(ret_why, "n_routes");
	if (t->n_header_rules > SL_MAX_HEADER_RULES)
		return wrong(ret_why, "n_header_rules");
	if (t->n_clusters > SL_MAX_CLUSTERS)
		return wrong(ret_why, "n_clusters");
	if (t->n_endpoints > SL_MAX_ENDPOINTS)
		return wrong(ret_why, "n_endpoints");
	if (t->n_splits > SL_MAX_SPLITS)
		return wrong(ret_why, "n_splits");
	if (t->n_hash_rules > SL_MAX_HASH_RULES)
		return wrong(ret_why, "n_hash_rules");
	return 0;
}

static int check_domains(const struct sl_table *t, const char **ret_why)
{
	bool any = false;

	for (__u32 i = 0; i < t->n_domains; i++) {
		const struct sl_domain *d = &t->domains[i];

		if (!str_ok(d->name))
			return wrong(ret_why, "domain.name");
		if (d->vhost >= t->n_vhosts)
			return wrong(ret_why, "domain.vhost");
		if (d->kind > SL_DOMAIN_ANY)
			return wrong(ret_why, "domain.kind");
		if (any && d->kind == SL_DOMAIN_EXACT)
			return wrong(ret_why, "exact domain after '*'");
		any |= d->kind == SL_DOMAIN_ANY;
	}
	for (__u32 i = 0; i < t->n_vhosts; i++)
		if (!range_ok(t->vhosts[i].first_route, t->vhosts[i].n_routes, t->n_routes))
			return wrong(ret_why, "vhost routes");
	return 0;
}

static int check_action(const struct sl_table *t, __u32 action, __u32 target, const char **ret_why)
{
	switch (action) {
	case SL_ACTION_CLUSTER:
		return target < t->n_clusters ? 0 : wrong(ret_why, "route cluster");
	case SL_ACTION_SPLIT:
		return target < t->n_splits ? 0 : wrong(ret_why, "route split");
	case SL_ACTION_DIRECT:
		return target >= 200 && target <= 599 ? 0 : wrong(ret_why, "route status");
	default:
		return wrong(ret_why, "route.action");
	}
}

int sl_table_check(const struct sl_table *t, const char **ret_why)
{
	int err = check_counts(t, ret_why);

	if (!err)
		err = check_domains(t, ret_why);
	for (__u32 i = 0; i < t->n_routes && !err; i++) {
		const struct sl_route *r = &t->routes[i];

		if (!str_ok(r->path) || !str_ok(r->name))
			return wrong(ret_why, "route string");
		if (!range_ok(r->first_header, r->n_headers, t->n_header_rules))
			return wrong(ret_why, "route headers");
		if (r->path_kind > SL_PATH_EXACT)
			return wrong(ret_why, "route.path_kind");
		if (!range_ok(r->first_hash, r->n_hashes, t->n_hash_rules) ||
		    r->n_hashes > SL_MAX_ROUTE_HASHES)
			return wrong(ret_why, "route hashes");
		if (r->flags & ~(SL_ROUTE_NEEDS_USER | SL_ROUTE_STICKY))
			return wrong(ret_why, "route.flags");
		err = check_action(t, r->action, r->target, ret_why);
	}
	for (__u32 i = 0; i < t->n_hash_rules && !err; i++) {
		const struct sl_hash_rule *h = &t->hash_rules[i];

		if (!str_ok(h->name) || !str_ok(h->attributes))
			return wrong(ret_why, "hash rule string");
		if (h->kind > SL_HASH_QUERY || h->flags & ~(SL_HASH_TERMINAL | SL_HASH_GENERATE))
			return wrong(ret_why, "hash_rule.kind");
	}
	for (__u32 i = 0; i < t->n_header_rules && !err; i++) {
		const struct sl_header_rule *h = &t->header_rules[i];

		if (!str_ok(h->name) || !str_ok(h->value) || !h->name.len)
			return wrong(ret_why, "header string");
		if (h->kind > SL_HEADER_EXACT || h->invert > 1)
			return wrong(ret_why, "header.kind");
	}
	return err;
}

static int check_split(const struct sl_table *t, const struct sl_split *s, const char **ret_why)
{
	__u64 sum = 0;

	if (!s->n_targets || s->n_targets > SL_MAX_SPLIT_TARGETS)
		return wrong(ret_why, "split.n_targets");
	if (s->route >= t->n_routes)
		return wrong(ret_why, "split.route");
	for (__u32 i = 0; i < s->n_targets; i++) {
		if (s->targets[i].cluster >= t->n_clusters)
			return wrong(ret_why, "split cluster");
		sum += s->targets[i].weight;
	}
	return sum && sum <= 0xffffffff ? 0 : wrong(ret_why, "split sum");
}

int sl_compiled_check(const struct sl_compiled *c, const char **ret_why)
{
	const struct sl_table *t = c->table;
	int err = sl_table_check(t, ret_why);

	for (__u32 i = 0; i < t->n_clusters && !err; i++) {
		const struct sl_cluster *cl = &c->clusters[i];

		if (!range_ok(cl->first_endpoint, cl->n_endpoints, t->n_endpoints))
			return wrong(ret_why, "cluster endpoints");
		if (!memchr(cl->name, '\0', sizeof(cl->name)))
			return wrong(ret_why, "cluster.name");
		if (cl->max_lanes > SL_MAX_LANES || !cl->connect_timeout_ms)
			return wrong(ret_why, "cluster limits");
		for (__u32 j = 0; j < cl->n_endpoints; j++)
			if (c->endpoints[cl->first_endpoint + j].cluster != i)
				return wrong(ret_why, "endpoint.cluster");
	}
	for (__u32 i = 0; i < t->n_endpoints && !err; i++)
		if (!c->endpoints[i].port ||
		    (c->endpoints[i].family != AF_INET && c->endpoints[i].family != AF_INET6))
			return wrong(ret_why, "endpoint address");
	for (__u32 i = 0; i < t->n_splits && !err; i++)
		err = check_split(t, &c->splits[i], ret_why);
	for (__u32 i = 0; i < t->n_routes && !err; i++) {
		const struct sl_route_info *info = &c->route_infos[i];
		bool direct = t->routes[i].action == SL_ACTION_DIRECT;

		if (info->action != t->routes[i].action || info->target != t->routes[i].target)
			return wrong(ret_why, "route_info");
		if (c->directs[i].status != (direct ? t->routes[i].target : 0))
			return wrong(ret_why, "direct status");
		if (t->routes[i].action == SL_ACTION_SPLIT &&
		    c->splits[t->routes[i].target].route != i)
			return wrong(ret_why, "split's route");
	}
	return err;
}
