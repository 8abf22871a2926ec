/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Lanes between an exchange that is over and the pool. A server that answers before it has read its
 * request leaves the rest of that in our socket: the next request would wait behind it, for ever if
 * the server reads no more. So such a lane waits here until all is sent, and is reset where none of
 * it is for a while. Its state is USER; a worker that follows this one resets it.
 */
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include "internal.h"

__u32 lane_unsent(const struct back *b)
{
	int unsent = 0;

	return ioctl(b->io.fd, SIOCOUTQNSD, &unsent) ? 0 : unsent;
}

static void unmark(struct back *b)
{
	for (;;) {
		__u64 old = SL_READ(b->l->word);

		if (SL_GEN(old) != b->gen || !(old & SL_L_UNSENT) ||
		    sl_cmpxchg(&b->l->word, old, old & ~(__u64)SL_L_UNSENT) == old)
			return;
	}
}

static void rest(struct worker *w, struct back *b)
{
	list_del(&b->settling);
	unmark(b);
	lane_release(w, b, true);
}

void lane_settle(struct worker *w, struct back *b)
{
	b->unsent = lane_unsent(b);
	if (!b->unsent || b->io.rdhup || b->io.failed || (lane_bits(b) & SL_L_TORN)) {
		rest(w, b);
		return;
	}
	if (b->front)
		b->front->back = NULL;
	b->front = NULL;
	b->l->session = 0;
	b->settle_ns = b->settle_moved_ns = w->now_ns;
	if (list_empty(&w->settling))
		w->settle_look_ns = clock_ns() + LOOK_NS;
	list_add(&w->settling, &b->settling);
}

void lane_surrendered(struct worker *w, struct back *b)
{
	if (b->front || b->mirror || b->connecting || !list_empty(&b->settling) ||
	    (lane_bits(b) & SL_L_STATE) != SL_LANE_USER)
		return;
	if (lane_bits(b) & SL_L_UNSENT)
		lane_settle(w, b);
	else
		lane_close(w, b);
}

/* None of it was sent for too long, where others wait for a lane or where they do not. */
static bool is_stuck(const struct worker *w, const struct back *b)
{
	__u32 cluster = w->maps->endpoints[b->endpoint].cluster;
	__u64 ns = SL_READ(w->crew->n_waiting_of[cluster]) ? NEXT_NS : STUCK_NS;

	return w->now_ns - b->settle_moved_ns >= ns || w->now_ns - b->settle_ns >= REST_NS;
}

static void look(struct worker *w, struct back *b)
{
	__u32 unsent = lane_unsent(b);

	if (unsent != b->unsent)
		b->settle_moved_ns = w->now_ns;
	b->unsent = unsent;
	if (!unsent)
		rest(w, b);
	else if (is_stuck(w, b))
		lane_close(w, b);
}

void lanes_settled(struct worker *w, bool now)
{
	struct list *l, *next;

	const __u64 next_ns = w->now_ns + LOOK_NS;

	/* Once a wake-up. */
	if (list_empty(&w->settling) || w->settle_look_ns == next_ns ||
	    (!now && w->now_ns < w->settle_look_ns))
		return;
	w->settle_look_ns = next_ns;
	for (l = w->settling.next; l != &w->settling; l = next) {
		next = l->next;
		look(w, BACK_OF(l, settling));
	}
}
