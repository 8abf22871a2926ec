// SPDX-License-Identifier: GPL-2.0-only
/*
 * Numbers of what has left the config. An endpoint keeps its slot of the map `endpoints` until its
 * exchanges are done, its lanes closed, and whoever had read the cluster's old view is through. A
 * cluster keeps its number as long as an endpoint has it, or an exchange, or the config that an
 * exchange began with; then another may have it (remap.c).
 *
 * That nobody names a number is seen once a second. A program of BPF may stand still with one in
 * hand that it has read before, and count or pick by it much later. So a number is free when nobody
 * has named it for a while and a grace period is over that began behind that: whoever begins in it
 * finds the number nowhere.
 */
#include <stdlib.h>
#include "internal.h"

#define LEFT_NS (3 * NS_PER_S) /* as long nobody has had to do with it */

struct left {
	bool any;
	__u64 asked; /* a grace period; 0: none is waited for */
	__u64 asked_ns;
	__u64 through_ns; /* no program runs that began before */
	/* When it was last seen to be in use; 0: it has not left, or not been looked at. */
	__u64 endpoints_ns[SL_MAX_ENDPOINTS];
	__u64 clusters_ns[SL_MAX_CLUSTERS];
};

/* Who is named, by index. */
struct named {
	__u8 endpoints[SL_MAX_ENDPOINTS];
	__u8 clusters[SL_MAX_CLUSTERS];
	bool retired, first; /* configs by which an exchange goes on */
};

int left_init(struct worker *w)
{
	w->left = calloc(1, sizeof(*w->left));
	if (!w->left)
		return -ENOMEM;
	w->left->any = true; /* what the last worker has left */
	return 0;
}

void left_free(struct worker *w)
{
	free(w->left);
}

void left_changed(struct worker *w)
{
	w->left->any = true;
}

static void name_cluster(struct named *n, __u32 cluster)
{
	if (cluster < SL_MAX_CLUSTERS)
		n->clusters[cluster] = 1;
}

static void mark_front(const struct worker *main, const struct front *f, struct named *n)
{
	const struct exchange *x = &f->x;
	const struct sl_compiled *began;

	if (x->endpoint < SL_MAX_ENDPOINTS)
		n->endpoints[x->endpoint] = 1;
	name_cluster(n, x->cluster);
	name_cluster(n, x->picked);
	if (!x->generation || x->generation == main->table->generation)
		return;
	began = config_of(main, x->generation);
	n->retired |= began && began == main->retired;
	n->first |= began && began == main->args_given->compiled;
}

static void mark_used(const struct worker *main, const struct worker *w, struct named *n)
{
	for (const struct list *l = w->backs.next; l != &w->backs; l = l->next)
		if (BACK_OF(l, all)->endpoint < SL_MAX_ENDPOINTS)
			n->endpoints[BACK_OF(l, all)->endpoint] = 1;
	for (const struct list *l = w->fronts.next; l != &w->fronts; l = l->next)
		mark_front(main, FRONT_OF(l, all), n);
}

static void mark_config(const struct sl_compiled *c, struct named *n)
{
	for (__u32 i = 0; i < c->table->n_clusters && i < SL_MAX_CLUSTERS; i++)
		n->clusters[i] |= !c->clusters[i].gone;
}

/* Clusters of BPF's exchanges, and of endpoints. */
static void mark_maps(const struct worker *w, struct named *n)
{
	for (__u32 i = 0; i < w->n_sessions; i++)
		if (SL_BITS(SL_ACQUIRE(w->maps->sessions[i].word)) & SL_S_EXCHANGE)
			name_cluster(n, SL_READ(w->maps->sessions[i].cluster));
	for (__u32 i = 0; i < SL_MAX_ENDPOINTS; i++)
		if (w->maps->endpoints[i].family)
			name_cluster(n, w->maps->endpoints[i].cluster);
}

/* Whether an idle lane leads there. */
static bool has_idle(const struct worker *w, __u32 endpoint)
{
	for (__u32 pool = 0; pool < w->maps->n_pools; pool++)
		if (SL_STACK_SLOT(SL_READ(*sl_maps_pool(w->maps, pool, endpoint))))
			return true;
	return false;
}

/* Whether what was last seen in use at *@seen_ns, and is now if @used, is free. */
static bool is_free(const struct worker *w, __u64 *seen_ns, bool used)
{
	if (used || !*seen_ns)
		*seen_ns = w->now_ns;
	if (w->left->through_ns < *seen_ns + LEFT_NS)
		return false;
	*seen_ns = 0;
	return true;
}

static void reap_endpoints(struct worker *w, const struct named *n)
{
	for (__u32 i = 0; i < endpoints_top(w); i++) {
		struct sl_endpoint *e = &w->maps->endpoints[i];

		if (!e->family || !(e->flags & SL_ENDPOINT_DRAINING)) {
			w->left->endpoints_ns[i] = 0;
			continue;
		}
		w->left->any = true;
		if (!is_free(w, &w->left->endpoints_ns[i], n->endpoints[i] || has_idle(w, i)))
			continue;
		sl_maps_l4_forget(w->maps, i);
		/* It stays closed, for who has it in mind from long ago. */
		SL_WRITE(e->flags, SL_ENDPOINT_DRAINING);
		SL_WRITE(e->family, 0);
	}
}

/* Lanes, and requests that wait for one, are counted. */
static bool is_counted(const struct worker *w, __u32 cluster)
{
	const struct crew *c = w->crew;

	return SL_READ(w->maps->clusters[cluster].n_lanes) || SL_READ(c->n_pending[cluster]) ||
	       SL_READ(c->n_retrying[cluster]) || SL_READ(c->n_waiting_of[cluster]);
}

/* How many numbers have become free, with those that are in use again. */
static __u32 last_gone(const struct sl_maps *m)
{
	__u32 last = 0;

	for (__u32 i = 0; i < SL_MAX_CLUSTERS; i++)
		if (m->clusters[i].gone != SL_CLUSTER_GONE && m->clusters[i].gone > last)
			last = m->clusters[i].gone;
	return last;
}

static void reap_clusters(struct worker *w, const struct named *n)
{
	/* Until then a program may begin an exchange by the table before. */
	bool settled = sl_maps_is_settled(w->maps);
	__u32 last = last_gone(w->maps);

	for (__u32 i = 0; i < w->table->n_clusters && i < SL_MAX_CLUSTERS; i++) {
		struct sl_cluster *c = &w->maps->clusters[i];
		bool used = n->clusters[i] || !settled || is_counted(w, i);

		if (c->gone != SL_CLUSTER_GONE) {
			w->left->clusters_ns[i] = 0;
			continue;
		}
		w->left->any = true;
		if (is_free(w, &w->left->clusters_ns[i], used))
			SL_WRITE(c->gone, ++last);
	}
}

/* Before and behind a look at who is in use. */
static void grace_look(struct worker *w)
{
	struct left *l = w->left;

	if (l->asked && grace_is_over(w->crew, l->asked)) {
		l->through_ns = l->asked_ns;
		l->asked = 0;
	}
}

static void grace_begin(struct worker *w)
{
	struct left *l = w->left;

	if (!l->any || l->asked)
		return;
	l->asked_ns = w->now_ns;
	l->asked = grace_ask(w->crew);
}

void left_reap(struct worker *w)
{
	struct named n = {0};

	if (!w->left->any)
		return;
	w->left->any = false;
	grace_look(w);
	crew_pause(w);
	sl_each_worker (other, w)
		mark_used(w, other, &n);
	if (n.retired)
		mark_config(w->retired, &n);
	if (n.first)
		mark_config(w->args_given->compiled, &n);
	mark_maps(w, &n);
	reap_endpoints(w, &n);
	reap_clusters(w, &n);
	crew_resume(w);
	grace_begin(w);
}
