// SPDX-License-Identifier: GPL-2.0-only
/* Whose cohort the request is: what it is hashed to, and the cluster that the hash has. */
#include "cmd/explain.h"

#include "sl_cohort.h"
#include "sl_hash.h"
#include "config/by_name.h"
#include "config/hash_rewrite.h"

/* The choice of the data path: user/daemon/sticky.c, bpf/request.bpf.h. */
static __u32 target_of(const struct sl_compiled *c, const struct sl_split *s, __u64 hash)
{
	struct sl_cohort best = {.hash = hash, .target = SL_NO_TARGET};

	for (__u32 i = 0; i < s->n_targets && i < SL_MAX_SPLIT_TARGETS; i++)
		sl_cohort_offer(&best, i, s->targets[i].weight,
				c->clusters[s->targets[i].cluster].name_hash);
	return best.target;
}

/* By the config alone no endpoint of @cluster is healthy; names have addresses in good time. */
static bool is_down(const struct sl_compiled *c, __u32 cluster)
{
	if (!c->actions->clusters[cluster])
		return false; /* a header names it */
	for (__u32 i = 0; i < c->n_members; i++)
		if (c->members[i].cluster == cluster && !c->members[i].host.unhealthy)
			return false;
	return true;
}

struct sl_split sl_explain_alive(const struct sl_explain *e, const struct sl_split *s)
{
	struct sl_split alive = *s;
	__u64 sum = 0;

	for (__u32 i = 0; i < s->n_targets; i++)
		if (is_down(e->config, s->targets[i].cluster))
			alive.targets[i].weight = 0;
	for (__u32 i = 0; i < s->n_targets; i++)
		sum += alive.targets[i].weight;
	return sum ? alive : *s;
}

__u32 sl_explain_from_weight(const struct sl_explain *e, const struct sl_split *s, __u32 i)
{
	__u64 low = 1, high = 1ULL << 32;

	/* A greater weight never takes a user away: the least one is between the two. */
	while (low < high) {
		struct sl_split other = *s;
		__u64 weight = (low + high) / 2;

		other.targets[i].weight = weight;
		other = sl_explain_alive(e, &other);
		if (target_of(e->config, &other, e->hash) == i)
			high = weight;
		else
			low = weight + 1;
	}
	return low;
}

/* The request's hash by the policies of @r. */
static struct sl_hash hash_of(struct sl_explain *e, const struct sl_route *r)
{
	const struct sl_table *t = e->config->table;
	struct sl_hasher x = {.t = t, .h = &e->head, .buf = e->buf, .source = e->source};
	struct sl_hash hash = {0};

	for (__u32 i = 0; i < r->n_hashes; i++) {
		const struct sl_hash_rule *rule = &t->hash_rules[r->first_hash + i];
		__u64 one = 0;
		enum sl_hashed got =
			sl_hash_policy(&x, rule, &e->config->actions->routes[e->route], i, &one);

		if (sl_hash_add(&hash, rule, i, got, one))
			break;
	}
	return hash;
}

/* What headers of the request say about the cluster. */
static void by_headers(struct sl_explain *e, const struct sl_route *r)
{
	const struct sl_route_action *a = sl_explain_route_action(e);
	struct sl_split alive;

	if (a && a->cluster_header)
		e->named = sl_cluster_by_header(e->config->actions, a->cluster_header, &e->head,
						e->buf);
	if (!a || !a->split_header || r->action != SL_ACTION_SPLIT)
		return;
	alive = sl_explain_alive(e, &e->config->splits[r->target]);
	e->agreed = sl_target_by_header(&alive, a->split_header, &e->head, e->buf);
}

void sl_explain_cohort(struct sl_explain *e)
{
	const struct sl_table *t = e->config->table;
	const struct sl_route *r;
	struct sl_hash hash;

	e->cohort = SL_COHORT_NONE;
	e->makes_cookie = false;
	e->named = SL_NO_TARGET;
	e->agreed = SL_NO_TARGET;
	if (e->route == SL_NO_ROUTE)
		return;
	r = &t->routes[e->route];
	by_headers(e, r);
	if (r->action == SL_ACTION_DIRECT && e->named == SL_NO_TARGET)
		return;
	hash = hash_of(e, r);
	e->hash = hash.value;
	e->makes_cookie = hash.generate;
	if (r->action != SL_ACTION_SPLIT || !(r->flags & SL_ROUTE_STICKY) ||
	    e->agreed != SL_NO_TARGET)
		return;
	e->cohort = !hash.found	    ? SL_COHORT_NOTHING
		    : hash.generate ? SL_COHORT_COOKIE
				    : SL_COHORT_FOUND;
	if (e->cohort == SL_COHORT_FOUND) {
		struct sl_split alive = sl_explain_alive(e, &e->config->splits[r->target]);

		e->target = target_of(e->config, &alive, hash.value);
	}
}
