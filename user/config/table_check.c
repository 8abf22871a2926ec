// SPDX-License-Identifier: GPL-2.0-only
/* Every index, span and enum in range: run by the compiler, before publishing, and by tests. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "config/config.h"
#include "sl_canned.h"

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
	const struct {
		__u32 n, most;
		const char *name;
	} all[] = {
		{t->n_listeners, SL_MAX_LISTENERS, "n_listeners"},
		{t->n_configs, SL_MAX_LISTENERS, "n_configs"},
		{t->n_domains, SL_MAX_DOMAINS, "n_domains"},
		{t->n_vhosts, SL_MAX_VHOSTS, "n_vhosts"},
		{t->n_routes, SL_MAX_ROUTES, "n_routes"},
		{t->n_rules, SL_MAX_RULES, "n_rules"},
		{t->n_clusters, SL_MAX_CLUSTERS, "n_clusters"},
		{t->n_endpoints, SL_MAX_ENDPOINTS, "n_endpoints"},
		{t->n_splits, SL_MAX_SPLITS, "n_splits"},
		{t->n_hash_rules, SL_MAX_HASH_RULES, "n_hash_rules"},
		{t->n_canned, SL_MAX_CANNED, "n_canned"},
		{t->n_paths, SL_MAX_ROUTES, "n_paths"},
		{t->n_listed, SL_INDEX_LISTED, "n_listed"},
		{t->n_lengths, SL_INDEX_LENGTHS, "n_lengths"},
		{t->n_buckets, SL_INDEX_SLOTS / 4, "n_buckets"},
		{t->n_buckets & (t->n_buckets - 1), 0, "n_buckets"},
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (all[i].n > all[i].most)
			return wrong(ret_why, all[i].name);
	return t->zero ? wrong(ret_why, "zero") : 0;
}

static int check_domains(const struct sl_table *t, const char **ret_why)
{
	for (__u32 i = 0; i < t->n_listeners; i++)
		if (t->config_of[i] && t->config_of[i] >= t->n_configs)
			return wrong(ret_why, "config_of");
	for (__u32 i = 0; i < t->n_configs; i++) {
		const struct sl_route_config *c = &t->configs[i];

		if (c->any > t->n_domains)
			return wrong(ret_why, "config.any");
		if (!range_ok(c->first_length, c->n_suffixes + c->n_prefixes, t->n_lengths))
			return wrong(ret_why, "config lengths");
		if (!str_ok(c->vhost_header))
			return wrong(ret_why, "config.vhost_header");
		if (c->flags & ~SL_CONFIG_FLAGS)
			return wrong(ret_why, "config.flags");
	}
	for (__u32 i = 0; i < t->n_domains; i++) {
		const struct sl_domain *d = &t->domains[i];

		if (!str_ok(d->name))
			return wrong(ret_why, "domain.name");
		if (d->vhost >= t->n_vhosts)
			return wrong(ret_why, "domain.vhost");
		if (d->kind > SL_DOMAIN_ANY)
			return wrong(ret_why, "domain.kind");
		if (d->config >= t->n_configs)
			return wrong(ret_why, "domain.config");
	}
	for (__u32 i = 0; i < t->n_vhosts; i++) {
		const struct sl_vhost *v = &t->vhosts[i];

		if (!range_ok(v->first_route, v->n_routes, t->n_routes))
			return wrong(ret_why, "vhost routes");
		if (v->flags & ~SL_VHOST_FLAGS)
			return wrong(ret_why, "vhost.flags");
		if (!range_ok(v->first_length, v->n_lengths + v->n_folded, t->n_lengths))
			return wrong(ret_why, "vhost lengths");
	}
	for (__u32 i = 0; i < t->n_domains; i++) {
		const struct sl_domain *d = &t->domains[i];

		if (memcmp(&d->routes, &t->vhosts[d->vhost], sizeof(d->routes)) != 0)
			return wrong(ret_why, "domain.routes");
	}
	return 0;
}

static int check_index(const struct sl_table *t, const char **ret_why)
{
	for (__u32 i = 0; i < t->n_buckets * 4; i++) {
		const struct sl_slot *s = &t->slots[i];

		if (s->hash && !str_ok((struct sl_str){s->key, s->len}))
			return wrong(ret_why, "slot.key");
		if (s->value != SL_NO_PATH && s->value >= t->n_paths && s->value >= t->n_domains)
			return wrong(ret_why, "slot.value");
	}
	for (__u32 i = 0; i < t->n_paths; i++)
		if (t->paths[i].own >= t->n_listed || t->paths[i].up >= t->n_listed)
			return wrong(ret_why, "path lists");
	for (__u32 i = 0; i < t->n_listed; i++)
		if (t->lists[i] != SL_LIST_END && t->lists[i] >= t->n_routes)
			return wrong(ret_why, "list");
	if (t->n_listed && t->lists[t->n_listed - 1] != SL_LIST_END)
		return wrong(ret_why, "end of the lists");
	return 0;
}

static int check_rule(const struct sl_rule *r, const char **ret_why)
{
	const __u8 flags = SL_RULE_INVERT | SL_RULE_NO_CASE | SL_RULE_NO_MISSING | SL_RULE_USER;

	if (r->what > SL_RULE_FRACTION)
		return wrong(ret_why, "rule.what");
	if (r->kind > SL_RULE_REGEX || (r->what == SL_RULE_PATH && r->kind != SL_RULE_REGEX))
		return wrong(ret_why, "rule.kind");
	if (r->flags & ~flags)
		return wrong(ret_why, "rule.flags");
	if (r->what == SL_RULE_FRACTION)
		return r->range.start >= 0 && r->range.end > 0 ? 0 : wrong(ret_why, "fraction");
	if (!str_ok(r->name) || (r->what != SL_RULE_PATH && !r->name.len) ||
	    (r->kind != SL_RULE_RANGE && !str_ok(r->value)))
		return wrong(ret_why, "rule string");
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

/* A route's own answer: it is of the route's status, and BPF can copy both its parts. */
static int check_canned(const struct sl_table *t, const struct sl_route *r, const char **ret_why)
{
	const struct sl_canned *c = &t->canned[r->canned % SL_MAX_CANNED];
	const __u32 least = c->head + SL_CANNED_PART_MIN;

	if (r->canned >= t->n_canned || r->n_hashes || r->action != SL_ACTION_DIRECT ||
	    !(r->flags & SL_ROUTE_NEEDS_USER))
		return wrong(ret_why, "route.canned");
	if (!str_ok(c->text) || sl_canned_size(c) > SL_KERNEL_HEAD_MAX)
		return wrong(ret_why, "canned.text");
	if (c->head < SL_CANNED_PART_MIN || c->text.len < least)
		return wrong(ret_why, "canned.head");
	if (c->status != r->target || c->flags & ~SL_CANNED_NO_QUERY)
		return wrong(ret_why, "canned.status");
	return 0;
}

int sl_table_check(const struct sl_table *t, const char **ret_why)
{
	int err = check_counts(t, ret_why);

	if (!err)
		err = check_domains(t, ret_why);
	if (!err)
		err = check_index(t, ret_why);
	for (__u32 i = 0; i < t->n_routes && !err; i++) {
		const struct sl_route *r = &t->routes[i];

		if (!str_ok(r->path) || !str_ok(r->name))
			return wrong(ret_why, "route string");
		if (!range_ok(r->first_rule, r->n_rules, t->n_rules) ||
		    r->n_rules > SL_MAX_ROUTE_RULES)
			return wrong(ret_why, "route rules");
		if (r->path_kind > SL_PATH_SEPARATED)
			return wrong(ret_why, "route.path_kind");
		if (!(r->flags & SL_ROUTE_CANNED) &&
		    (!range_ok(r->first_hash, r->n_hashes, t->n_hash_rules) ||
		     r->n_hashes > SL_MAX_ROUTE_HASHES))
			return wrong(ret_why, "route hashes");
		if (r->flags & ~SL_ROUTE_FLAGS)
			return wrong(ret_why, "route.flags");
		err = check_action(t, r->action, r->target, ret_why);
		if (!err && (r->flags & SL_ROUTE_CANNED))
			err = check_canned(t, r, ret_why);
	}
	for (__u32 i = 0; i < t->n_hash_rules && !err; i++) {
		const struct sl_hash_rule *h = &t->hash_rules[i];

		if (!str_ok(h->name) || !str_ok(h->attributes))
			return wrong(ret_why, "hash rule string");
		if (h->kind > SL_HASH_QUERY || h->flags & ~(SL_HASH_TERMINAL | SL_HASH_GENERATE))
			return wrong(ret_why, "hash_rule.kind");
	}
	for (__u32 i = 0; i < t->n_rules && !err; i++)
		err = check_rule(&t->rules[i], ret_why);
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
			if (c->endpoints[cl->first_endpoint + j].cluster != i ||
			    c->endpoints[cl->first_endpoint + j].next !=
				    (j + 1 < cl->n_endpoints ? cl->first_endpoint + j + 2 : 0))
				return wrong(ret_why, "endpoint.cluster");
	}
	for (__u32 i = 0; i < t->n_endpoints && !err; i++)
		if (c->endpoints[i].family != AF_UNIX &&
		    (!c->endpoints[i].port ||
		     (c->endpoints[i].family != AF_INET && c->endpoints[i].family != AF_INET6)))
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
