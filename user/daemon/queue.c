/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Requests that wait for a lane because their cluster has as many as it may. They are served in
 * turn: while one waits, SL_CLUSTER_WAITING keeps BPF from giving a lane to a request that came
 * later, and so does lane_get().
 */
#include "internal.h"

bool waiting_must(const struct worker *w, const struct front *f)
{
	return f->x.cluster < SL_MAX_CLUSTERS && w->n_waiting_of[f->x.cluster] && !f->x.turn;
}

/*
 * How many lanes those that wait can have at once: idle ones, and those that may be made. They wait
 * for this wake-up's end only, so they do not count as waiting.
 */
static __u32 lanes_at_hand(const struct worker *w, const struct sl_cluster *c)
{
	__u64 made = SL_READ(c->n_lanes);
	__u32 n = made < c->max_lanes ? c->max_lanes - made : 0;

	sl_each_endpoint (i, c, w->maps->endpoints) {
		__u32 slot1 = SL_STACK_SLOT(SL_READ(w->maps->endpoints[i].idle));

		/* BPF may change the stack as we walk: bounded. */
		for (; slot1 && slot1 <= w->n_lanes && n < c->max_lanes; n++)
			slot1 = SL_READ(w->maps->lanes[slot1 - 1].next);
	}
	return n;
}

__u32 waiting_add(struct worker *w, struct front *f)
{
	__u32 cluster = f->x.cluster;

	count_limit(w, SL_COUNT_UP_CX_OVERFLOW, cluster);
	if (!breaker_pend(w, f, 0) &&
	    !breaker_pend(w, f, lanes_at_hand(w, &w->maps->clusters[cluster])))
		return breaker_overflow(w, f);
	list_add(&w->waiting, &f->waiting);
	w->n_waiting++;
	if (!w->n_waiting_of[cluster]++)
		__sync_fetch_and_or(&w->maps->clusters[cluster].flags, SL_CLUSTER_WAITING);
	return 0;
}

void waiting_cancel(struct worker *w, struct front *f)
{
	__u32 cluster = f->x.cluster;

	if (list_empty(&f->waiting))
		return;
	list_del(&f->waiting);
	w->n_waiting--;
	if (!--w->n_waiting_of[cluster])
		__sync_fetch_and_and(&w->maps->clusters[cluster].flags, ~SL_CLUSTER_WAITING);
	breaker_unpend(w, f);
}

void waiting_serve(struct worker *w)
{
	struct list *l, *next;

	for (l = w->waiting.next; l != &w->waiting; l = next) {
		struct front *f = FRONT_OF(l, waiting);
		__u32 status;

		next = l->next;
		if (!lanes_at_hand(w, &w->maps->clusters[f->x.cluster]))
			continue;
		waiting_cancel(w, f);
		f->x.turn = true;
		status = lane_get(w, f, false);
		f->x.turn = false;
		if (status)
			retry_or_reply(w, f, status);
		exchange_run(w, f);
		/* Running one exchange may serve, or end, the next in the queue: start over. */
		next = w->waiting.next;
		if (!list_empty(&f->waiting))
			return; /* the lane was dead: later */
	}
}
