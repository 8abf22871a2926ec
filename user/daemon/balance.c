// SPDX-License-Identifier: GPL-2.0-only
/* The clusters' views: made anew when what they are made of has changed, and asked. */
#include "balance/balance.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

/* A view that has been replaced may still be read by who had begun: so long. */
#define REGION_REST_NS (2 * NS_PER_S)
#define DRIFT_SCANS 5 /* looks with the same wrong number of busy lanes, until it is believed */

struct resting {
	struct sl_region region;
	__u64 until_ns;
};

struct balance {
	const struct sl_compiled *config;
	struct sl_lb_room room;
	struct resting *resting; /* [n_resting], oldest first */
	__u32 n_resting;
	__u32 cap;
	struct sl_lb_host *hosts;      /* [SL_MAX_ENDPOINTS], scratch */
	__s32 drift[SL_MAX_ENDPOINTS]; /* busy lanes too many when last looked */
	__u8 drifts[SL_MAX_ENDPOINTS]; /* looks since it has been so many */
	__u64 scan_ns;
	bool slow[SL_MAX_CLUSTERS]; /* an endpoint is in its slow start */
	__u32 n_slow;
	__u64 slow_ns; /* when their weights were last looked at */
};

static const struct sl_cluster_lb *rules_of(const struct worker *w, __u32 cluster)
{
	const struct sl_compiled *c = w->balance->config;

	if (!c->cluster_lbs || cluster >= c->table->n_clusters)
		return &sl_cluster_lb_defaults;
	return &c->cluster_lbs[cluster];
}

static void slow_set(struct balance *b, __u32 cluster, bool slow)
{
	b->n_slow += slow - b->slow[cluster];
	b->slow[cluster] = slow;
}

/* Weights of endpoints that have become healthy a short while ago. */
static void slow_start(struct worker *w, __u32 cluster, __u32 n)
{
	const struct sl_slow_start *s = &rules_of(w, cluster)->slow_start;
	struct balance *b = w->balance;
	bool any = false;

	for (__u32 i = 0; s->window_ms && i < n; i++) {
		struct sl_host *known = &w->maps->hosts[b->hosts[i].endpoint];
		__u64 age_ms = ~0ULL;

		if (!b->hosts[i].healthy) {
			known->healthy_ns = w->now_ns;
		} else if (known->healthy_ns) {
			age_ms = (w->now_ns - known->healthy_ns) / NS_PER_MS;
			any |= age_ms < s->window_ms;
		}
		b->hosts[i].weight = sl_lb_slow_start(s, b->hosts[i].weight, age_ms);
	}
	slow_set(b, cluster, any);
}

/* The cluster's endpoints into b->hosts; their number. */
static __u32 hosts_collect(struct worker *w, __u32 cluster)
{
	struct balance *b = w->balance;
	__u32 n = sl_lb_hosts(&w->maps->clusters[cluster], w->maps->endpoints, b->config->hosts,
			      b->hosts);

	for (__u32 i = 0; i < n; i++)
		if (w->maps->hosts[b->hosts[i].endpoint].flags & SL_HOST_UNHEALTHY)
			b->hosts[i].healthy = false;
	slow_start(w, cluster, n);
	return n;
}

static void rest(struct balance *b, struct sl_region region, __u64 until_ns)
{
	if (!region.len)
		return;
	if (b->n_resting == b->cap) {
		__u32 cap = b->cap ? b->cap * 2 : 64;
		struct resting *r = realloc(b->resting, cap * sizeof(*r));

		if (!r)
			return; /* these slots are lost until the next start */
		b->resting = r;
		b->cap = cap;
	}
	b->resting[b->n_resting++] = (struct resting){region, until_ns};
}

static void rested(struct worker *w)
{
	struct balance *b = w->balance;
	__u32 k = 0;

	while (k < b->n_resting && b->resting[k].until_ns <= w->now_ns)
		sl_lb_room_give(&b->room, b->resting[k++].region);
	b->n_resting -= k;
	memmove(b->resting, b->resting + k, b->n_resting * sizeof(*b->resting));
}

/* Whether the view, made for 0, is what @c has. */
static bool view_same(struct worker *w, const struct sl_cluster *c, struct sl_lb_slots *slots,
		      __u64 view)
{
	__u32 off = c->regions[0].off;
	bool same;

	if (slots->n != c->regions[0].len || off > SL_LB_SLOTS - slots->n)
		return false;
	view = sl_lb_slots_move(slots, off, view);
	same = view == SL_READ(c->view) &&
	       (!slots->n ||
		!memcmp(&w->maps->lb_slots[off], slots->items, slots->n * sizeof(*slots->items)));
	(void)sl_lb_slots_move(slots, 0, view);
	return same;
}

/* The view of @n hosts in slots of its own. 0, -EALREADY: @c has it, or -errno. */
static int view_make(struct worker *w, const struct sl_cluster *c, const struct sl_cluster_lb *lb,
		     __u32 n, struct sl_region *ret_region, __u64 *ret_view)
{
	struct balance *b = w->balance;
	struct sl_lb_slots slots = {0};
	int err = sl_lb_view(lb, b->hosts, n, &slots, ret_view);

	if (!err && view_same(w, c, &slots, *ret_view))
		err = -EALREADY;
	if (!err)
		err = sl_lb_room_take(&b->room, slots.n, ret_region);
	if (!err && slots.n) {
		*ret_view = sl_lb_slots_move(&slots, ret_region->off, *ret_view);
		memcpy(&w->maps->lb_slots[ret_region->off], slots.items,
		       slots.n * sizeof(*slots.items));
	}
	free(slots.items);
	return err;
}

/* Whoever is in the view is open before it is the cluster's, whoever is not is closed behind. */
static void hosts_mark(struct worker *w, __u32 n, bool picked)
{
	for (__u32 i = 0; i < n; i++) {
		const struct sl_lb_host *h = &w->balance->hosts[i];
		struct sl_endpoint *e = &w->maps->endpoints[h->endpoint];

		if (h->picked != picked)
			continue;
		SL_WRITE(e->weight, h->weight ? h->weight : 1);
		SL_WRITE(e->flags,
			 picked ? e->flags & ~SL_ENDPOINT_OUT : e->flags | SL_ENDPOINT_OUT);
	}
}

static bool any_down(const struct worker *w)
{
	for (__u32 i = 0; i < SL_MAX_CLUSTERS; i++)
		if (SL_READ(w->maps->clusters[i].flags) & SL_CLUSTER_DOWN)
			return true;
	return false;
}

/* Tells splits whether they have to look who is down: row 0, the last one written, for all of them.
 */
static void down_tell(struct worker *w)
{
	bool any = any_down(w);

	if (any == SL_READ(w->maps->sequences[0].down))
		return;
	for (__u32 i = SL_MAX_SPLITS; i-- > 0;)
		SL_WRITE(w->maps->sequences[i].down, any);
}

/* What stands for the cluster that a header names has no endpoints, and is not down for that. */
static bool is_real(const struct worker *w, __u32 cluster)
{
	const struct sl_actions *a = w->balance->config->actions;

	return !a || cluster >= a->n_clusters || a->clusters[cluster];
}

/* Whether one of the @n hosts that were collected is healthy: for splits that have the cluster. */
static void down_mark(struct worker *w, __u32 cluster, __u32 n)
{
	struct sl_cluster *c = &w->maps->clusters[cluster];
	bool down = is_real(w, cluster);

	for (__u32 i = 0; i < n; i++)
		down = down && !w->balance->hosts[i].healthy;
	if (down == !!(SL_READ(c->flags) & SL_CLUSTER_DOWN))
		return;
	if (down)
		__sync_fetch_and_or(&c->flags, SL_CLUSTER_DOWN);
	else
		__sync_fetch_and_and(&c->flags, ~SL_CLUSTER_DOWN);
	down_tell(w);
}

void balance_alive(const struct worker *w, struct sl_split *s)
{
	bool down[SL_MAX_SPLIT_TARGETS], alive = false;

	if (!SL_READ(w->maps->sequences[0].down))
		return;
	for (__u32 i = 0; i < SL_MAX_SPLIT_TARGETS; i++) {
		__u32 cluster = s->targets[i].cluster;

		down[i] = i < s->n_targets && cluster < SL_MAX_CLUSTERS &&
			  (SL_READ(w->maps->clusters[cluster].flags) & SL_CLUSTER_DOWN);
		alive |= !down[i] && sl_weight(s, i);
	}
	for (__u32 i = 0; alive && i < SL_MAX_SPLIT_TARGETS; i++)
		if (down[i])
			s->targets[i].weight = 0;
}

void balance_update(struct worker *w, __u32 cluster)
{
	struct sl_cluster *c = &w->maps->clusters[cluster];
	struct sl_cluster_lb lb = *rules_of(w, cluster);
	struct balance *b = w->balance;
	struct sl_region region;
	__u64 view;
	__u32 n;
	int err;

	if (!b)
		return;
	n = hosts_collect(w, cluster);
	down_mark(w, cluster, n);
	err = view_make(w, c, &lb, n, &region, &view);
	if (err && err != -EALREADY) {
		/* No room for a table of hashes: a tree takes next to none. */
		lb.policy = SL_LB_RANDOM;
		err = view_make(w, c, &lb, n, &region, &view);
	}
	if (err && err != -EALREADY)
		return;
	hosts_mark(w, n, true);
	if (err) {
		hosts_mark(w, n, false);
		return;
	}
	c->regions[1] = c->regions[0];
	c->regions[0] = region;
	__sync_synchronize();
	SL_WRITE(c->view, view);
	hosts_mark(w, n, false);
	rest(b, c->regions[1], w->now_ns + REGION_REST_NS);
}

void balance_config(struct worker *w, const struct sl_compiled *c)
{
	if (!w->balance)
		return;
	w->balance->config = c;
	for (__u32 i = 0; i < c->table->n_clusters && i < SL_MAX_CLUSTERS; i++)
		balance_update(w, i);
	down_tell(w);
}

int balance_init(struct worker *w)
{
	struct balance *b;

	w->balance = b = calloc(1, sizeof(*b));
	if (!b)
		return -ENOMEM;
	b->room.size = SL_LB_SLOTS;
	b->hosts = calloc(SL_MAX_ENDPOINTS, sizeof(*b->hosts));
	if (!b->hosts)
		return -ENOMEM;
	/* What a worker before us has left is in use until it is replaced. */
	for (__u32 i = 0; i < SL_MAX_CLUSTERS; i++) {
		struct sl_cluster *c = &w->maps->clusters[i];

		for (int k = 0; k < 2; k++)
			if (sl_lb_room_mark(&b->room, c->regions[k]))
				c->regions[k] = (struct sl_region){0};
		rest(b, c->regions[1], w->now_ns + REGION_REST_NS);
	}
	balance_config(w, w->args->compiled);
	return 0;
}

void balance_free(struct worker *w)
{
	if (!w->balance)
		return;
	free(w->balance->room.used);
	free(w->balance->resting);
	free(w->balance->hosts);
	free(w->balance);
}

/* ---- choice ---- */

__u32 balance_pick(struct worker *w, __u32 cluster, const __u64 *hash)
{
	struct sl_cluster *c = &w->maps->clusters[cluster];
	struct sl_lb_request r = {.slots = w->maps->lb_slots, .endpoints = w->maps->endpoints};
	__u64 view = SL_READ(c->view);
	__u32 endpoint;

	if ((SL_VIEW_ROOT(view) & SL_REF_KIND) == SL_REF_ENDPOINT) {
		endpoint = SL_VIEW_ROOT(view) & SL_REF_INDEX;
	} else {
		if (SL_VIEW_POLICY(view) == SL_LB_ROUND_ROBIN)
			r.turn = sl_fetch_add(&c->turn, 1);
		else
			r.random = w->random = sl_mix(w->random + clock_ns());
		r.hash = hash ? *hash : r.random;
		endpoint = sl_lb_pick(view, &r);
	}
	if (endpoint >= SL_MAX_ENDPOINTS || w->maps->endpoints[endpoint].cluster != cluster)
		return NO_INDEX;
	return endpoint;
}

static bool is_one_of(__u32 endpoint, const __u32 *list, __u32 n)
{
	for (__u32 i = 0; i < n; i++)
		if (list[i] == endpoint)
			return true;
	return false;
}

__u32 balance_other(struct worker *w, __u32 cluster, const __u64 *hash, const __u32 * not, __u32 n,
		    __u32 tries)
{
	__u64 next = hash ? *hash : 0;
	__u32 endpoint = NO_INDEX;

	for (__u32 i = 0; i < tries && (!i || is_one_of(endpoint, not, n)); i++) {
		endpoint = balance_pick(w, cluster, hash ? &next : NULL);
		next = sl_mix(next + 1);
	}
	return endpoint;
}

/* ---- busy lanes ---- */

static void busy_lanes(const struct worker *w, __s32 *seen)
{
	for (const struct list *l = w->backs.next; l != &w->backs; l = l->next) {
		const struct back *k = BACK_OF(l, all);

		if (k->endpoint < SL_MAX_ENDPOINTS && lane_is_busy(k))
			seen[k->endpoint]++;
	}
}

/*
 * Whether the numbers of busy lanes are right: a worker that was killed may have left one wrong.
 * They change as we look, so what is wrong by as much again and again is believed to be.
 */
static void busy_check(struct worker *w)
{
	struct balance *b = w->balance;
	__s32 seen[SL_MAX_ENDPOINTS] = {0};

	crew_pause(w);
	sl_each_worker (other, w)
		busy_lanes(other, seen);
	crew_resume(w);
	for (__u32 i = 0; i < SL_MAX_ENDPOINTS; i++) {
		struct sl_endpoint *e = &w->maps->endpoints[i];
		__s32 drift = (__s32)SL_READ(e->busy) - seen[i];

		b->drifts[i] = drift && drift == b->drift[i] ? b->drifts[i] + 1 : 0;
		b->drift[i] = drift;
		if (b->drifts[i] < DRIFT_SCANS)
			continue;
		sl_add(&e->busy, (__u32)-drift);
		b->drifts[i] = 0;
	}
}

#define SLOW_NS (100 * NS_PER_MS) /* between two steps of a slow start */

static void slow_tick(struct worker *w)
{
	struct balance *b = w->balance;

	if (!b->n_slow || w->now_ns - b->slow_ns < SLOW_NS)
		return;
	b->slow_ns = w->now_ns;
	for (__u32 i = 0; i < SL_MAX_CLUSTERS; i++)
		if (b->slow[i])
			balance_update(w, i);
}

__u64 balance_due(const struct worker *w)
{
	return w->balance && w->balance->n_slow ? w->balance->slow_ns + SLOW_NS : ~0ULL;
}

void balance_tick(struct worker *w)
{
	if (w->balance)
		slow_tick(w);
	if (!w->balance || w->now_ns - w->balance->scan_ns < NS_PER_S)
		return;
	w->balance->scan_ns = w->now_ns;
	rested(w);
	busy_check(w);
}
