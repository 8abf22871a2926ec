// SPDX-License-Identifier: GPL-2.0-only
/* The tree of a view: priorities above, endpoints (or a table of hashes) below. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "balance/balance.h"

/* Something that gets a share of the requests. */
struct branch {
	__u32 weight;
	__u32 ref;
};

int sl_lb_slots_add(struct sl_lb_slots *s, __u32 n)
{
	__u32 at = s->n;

	if (s->n + n > s->cap) {
		__u32 cap = s->cap * 2 > s->n + n ? s->cap * 2 : s->n + n;
		struct sl_lb_slot *items = realloc(s->items, cap * sizeof(*items));

		if (!items)
			return -ENOMEM;
		s->items = items;
		s->cap = cap;
	}
	memset(&s->items[s->n], 0, n * sizeof(*s->items));
	s->n += n;
	return at;
}

static __u64 sum(const struct branch *b, __u32 n)
{
	__u64 total = 0;

	for (__u32 i = 0; i < n; i++)
		total += b[i].weight;
	return total;
}

/*
 * Balanced, so the choice takes log2(n) steps, and however the weights are, each branch's share
 * is off by at most half a request a step.
 */
static int tree(const struct branch *b, __u32 n, __u32 kind, struct sl_lb_slots *slots,
		__u32 *ret_ref)
{
	__u32 half = n / 2 + (n & 1), left, right;
	int at, err;

	*ret_ref = 0;
	if (n <= 1) {
		*ret_ref = n ? b->ref : 0;
		return 0;
	}
	at = sl_lb_slots_add(slots, 1);
	if (at < 0)
		return at;
	err = tree(b, half, kind, slots, &left);
	if (!err)
		err = tree(b + half, n - half, kind, slots, &right);
	if (err)
		return err;
	slots->items[at] = (struct sl_lb_slot){{sum(b, half), sum(b, n), left, right}};
	*ret_ref = kind | at;
	return 0;
}

/* Weights whose sum is too large for a node are taken in proportion; none becomes 0. */
static void fit(struct branch *b, __u32 n)
{
	__u64 total = sum(b, n);
	__u32 shift = 0;

	while (total >> shift >= 1U << 31)
		shift++;
	for (__u32 i = 0; shift && i < n; i++)
		b[i].weight = b[i].weight >> shift ? b[i].weight >> shift : 1;
}

/* One priority. */
struct level {
	const struct sl_lb_host **chosen; /* those that are picked from */
	__u32 n;
	__u32 least; /* weight of any of its hosts */
	__u64 total; /* of all of them */
	struct branch *scratch;
};

static void choose(struct sl_lb_host *hosts, __u32 n, __u32 priority, bool all, bool none,
		   struct level *l)
{
	l->n = 0;
	l->least = 0;
	l->total = 0;
	for (__u32 i = 0; i < n; i++) {
		struct sl_lb_host *h = &hosts[i];

		if (h->priority != priority || !h->weight)
			continue;
		l->total += h->weight;
		l->least = !l->least || h->weight < l->least ? h->weight : l->least;
		if (none || !(all || h->healthy))
			continue;
		h->picked = true;
		l->chosen[l->n++] = h;
	}
}

static int share(const struct sl_cluster_lb *lb, const struct level *l, struct sl_lb_slots *slots,
		 __u32 *ret_ref)
{
	*ret_ref = l->n ? SL_REF_ENDPOINT | l->chosen[0]->endpoint : 0;
	if (l->n <= 1)
		return 0;
	if (lb->policy == SL_LB_RING_HASH)
		return sl_lb_ring(lb, l->chosen, l->n, l->least, l->total, slots, ret_ref);
	if (lb->policy == SL_LB_MAGLEV)
		return sl_lb_maglev(lb, l->chosen, l->n, slots, ret_ref);
	for (__u32 i = 0; i < l->n; i++)
		l->scratch[i] = (struct branch){l->chosen[i]->weight,
						SL_REF_ENDPOINT | l->chosen[i]->endpoint};
	fit(l->scratch, l->n);
	return tree(l->scratch, l->n, SL_REF_NODE, slots, ret_ref);
}

int sl_lb_view(const struct sl_cluster_lb *lb, struct sl_lb_host *hosts, __u32 n,
	       struct sl_lb_slots *slots, __u64 *ret_view)
{
	struct branch levels[SL_MAX_PRIORITIES];
	__u32 n_levels = 0, root = 0;
	struct sl_lb_loads loads;
	struct level l = {0};
	int err = 0;

	l.scratch = calloc(n + 1, sizeof(*l.scratch));
	l.chosen = calloc(n + 1, sizeof(*l.chosen));
	if (!l.scratch || !l.chosen)
		err = -ENOMEM;
	for (__u32 i = 0; i < n; i++)
		hosts[i].picked = false;
	sl_lb_loads(lb, hosts, n, &loads);
	for (__u32 i = 0; i < loads.n && !err; i++) {
		struct branch *b = &levels[n_levels];

		if (!loads.load[i])
			continue;
		/* With none to pick from its share is not another's: 503 (Envoy). */
		choose(hosts, n, i, loads.panic[i], loads.panic[i] && lb->fail_on_panic, &l);
		b->weight = loads.load[i];
		err = share(lb, &l, slots, &b->ref);
		n_levels++;
	}
	if (!err)
		err = tree(levels, n_levels, SL_REF_PRIORITY, slots, &root);
	free(l.scratch);
	free(l.chosen);
	*ret_view = SL_VIEW(root, lb->policy, lb->choices);
	return err;
}

/* References to slots move, those to endpoints do not. */
static __u32 moved(__u32 ref, __u32 by)
{
	__u32 kind = ref & SL_REF_KIND;

	return kind && kind != SL_REF_ENDPOINT ? ref + by : ref;
}

/* From @ref, as it was: only nodes hold references. */
static void move_below(struct sl_lb_slots *slots, __u32 ref, __u32 by)
{
	__u32 kind = ref & SL_REF_KIND;
	struct sl_lb_slot *s;

	if (kind != SL_REF_NODE && kind != SL_REF_PRIORITY)
		return;
	s = &slots->items[(ref & SL_REF_INDEX) - slots->base];
	for (int i = 2; i < 4; i++) {
		move_below(slots, s->w[i], by);
		s->w[i] = moved(s->w[i], by);
	}
}

__u64 sl_lb_slots_move(struct sl_lb_slots *slots, __u32 base, __u64 view)
{
	__u32 root = SL_VIEW_ROOT(view), by = base - slots->base;

	move_below(slots, root, by);
	slots->base = base;
	return (view & ~0xffffffffULL) | moved(root, by);
}
