// SPDX-License-Identifier: GPL-2.0-only
/* Whose cohort the request is: what it is hashed to, and the cluster that the hash has. */
#include "cmd/explain.h"

#include "sl_cohort.h"
#include "sl_hash.h"
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

__u32 sl_explain_from_weight(const struct sl_explain *e, const struct sl_split *s, __u32 i)
{
	__u64 low = 1, high = 1ULL << 32;

	/* A greater weight never takes a user away: the least one is between the two. */
	while (low < high) {
		struct sl_split other = *s;
		__u64 weight = (low + high) / 2;

		other.targets[i].weight = weight;
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

void sl_explain_cohort(struct sl_explain *e)
{
	const struct sl_table *t = e->config->table;
	const struct sl_route *r;
	struct sl_hash hash;

	e->cohort = SL_COHORT_NONE;
	e->makes_cookie = false;
	if (e->route == SL_NO_ROUTE)
		return;
	r = &t->routes[e->route];
	if (r->action == SL_ACTION_DIRECT)
		return;
	hash = hash_of(e, r);
	e->hash = hash.value;
	e->makes_cookie = hash.generate;
	if (r->action != SL_ACTION_SPLIT || !(r->flags & SL_ROUTE_STICKY))
		return;
	e->cohort = !hash.found	    ? SL_COHORT_NOTHING
		    : hash.generate ? SL_COHORT_COOKIE
				    : SL_COHORT_FOUND;
	if (e->cohort == SL_COHORT_FOUND)
		e->target = target_of(e->config, &e->config->splits[r->target], hash.value);
}
