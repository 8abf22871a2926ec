/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Requests that wait for a lane because their cluster has as many as it may. They are served in
 * turn, those of each thread: while one waits, SL_CLUSTER_WAITING keeps BPF from giving a lane to a
 * request that came later, and so does lane_get(); other threads give the lanes that they are done
 * with (crew_give()).
 */
#include "internal.h"

bool waiting_must(const struct worker *w, const struct front *f)
{
	return f->x.cluster < SL_MAX_CLUSTERS && SL_READ(w->crew->n_waiting_of[f->x.cluster]) &&
	       !f->x.turn;
}

__u32 lanes_to_spare(const struct worker *w, const struct sl_cluster *c)
{
	__u64 busy = 0;

	sl_each_endpoint (i, c, w->maps->endpoints)
		busy += SL_READ(w->maps->endpoints[i].busy);
	return busy < c->max_lanes ? c->max_lanes - busy : 0;
}

/* How many lanes those that wait here can have at once. */
static __u32 lanes_at_hand(const struct worker *w, const struct sl_cluster *c)
{
	__u64 made = SL_READ(c->n_lanes);
	__u32 n = made < c->max_lanes ? c->max_lanes - made : 0;

	sl_each_endpoint (i, c, w->maps->endpoints)
		sl_each_pool (pool, w->maps, w->index) {
			__u32 slot1 = SL_STACK_SLOT(SL_READ(*sl_maps_pool(w->maps, pool, i)));

			/* BPF may change the stack as we walk: bounded. */
			for (; slot1 && slot1 <= w->n_lanes && n < c->max_lanes; n++)
				slot1 = SL_READ(w->maps->lanes[slot1 - 1].next);
		}
	return n;
}

__u32 waiting_add(struct worker *w, struct front *f)
{
	__u32 cluster = f->x.cluster;

	if (breaker_requests_bind(w, cluster) &&
	    SL_READ(w->crew->n_waiting_of[cluster]) >=
		    lanes_to_spare(w, &w->maps->clusters[cluster]))
		return breaker_overflow(w, f);
	count_limit(w, SL_COUNT_UP_CX_OVERFLOW, cluster);
	/* Who waits for an instant only does not count as waiting. */
	if (!breaker_pend(w, f, 0) &&
	    !breaker_pend(w, f, lanes_to_spare(w, &w->maps->clusters[cluster])))
		return breaker_overflow(w, f);
	list_add(&w->waiting, &f->waiting);
	w->n_waiting++;
	SL_WRITE(w->n_waiting_of[cluster], w->n_waiting_of[cluster] + 1);
	if (!sl_fetch_add(&w->crew->n_waiting_of[cluster], 1))
		__sync_fetch_and_or(&w->maps->clusters[cluster].flags, SL_CLUSTER_WAITING);
	crew_ask_room(w, cluster);
	return 0;
}

/* Nobody waits any more, unless another thread's request has begun to as we say so. */
static void waiting_over(struct worker *w, __u32 cluster)
{
	__u32 *flags = &w->maps->clusters[cluster].flags;

	__sync_fetch_and_and(flags, ~SL_CLUSTER_WAITING);
	if (SL_READ(w->crew->n_waiting_of[cluster]))
		__sync_fetch_and_or(flags, SL_CLUSTER_WAITING);
}

void waiting_cancel(struct worker *w, struct front *f)
{
	__u32 cluster = f->x.cluster;

	if (list_empty(&f->waiting))
		return;
	list_del(&f->waiting);
	w->n_waiting--;
	SL_WRITE(w->n_waiting_of[cluster], w->n_waiting_of[cluster] - 1);
	if (sl_fetch_add(&w->crew->n_waiting_of[cluster], -1) == 1)
		waiting_over(w, cluster);
	breaker_unpend(w, f);
}

/*
 * The status to answer, 0: it is served; or the request waits on. Where max_requests is what
 * bounds the lanes, it has waited for one that was idle in another thread; if there is none any
 * more, as many requests as may be are under way.
 */
static bool waiting_ends(struct worker *w, struct front *f, __u32 *ret_status)
{
	const struct sl_cluster *c = &w->maps->clusters[f->x.cluster];
	bool served = lanes_at_hand(w, c);

	if (!served && (!breaker_requests_bind(w, f->x.cluster) || lanes_to_spare(w, c)))
		return false;
	waiting_cancel(w, f);
	f->x.turn = true;
	*ret_status = served ? lane_get(w, f, false) : breaker_overflow(w, f);
	f->x.turn = false;
	return true;
}

void waiting_serve(struct worker *w)
{
	struct list *l, *next;

	for (l = w->waiting.next; l != &w->waiting; l = next) {
		struct front *f = FRONT_OF(l, waiting);
		__u32 status;

		next = l->next;
		if (!waiting_ends(w, f, &status))
			continue;
		if (status)
			retry_or_reply(w, f, status);
		exchange_run(w, f);
		/* Running one exchange may serve, or end, the next in the queue: start over. */
		next = w->waiting.next;
		if (!list_empty(&f->waiting))
			return; /* the lane was dead: later */
	}
}
