/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The end of a worker that was asked to stop: BPF begins no exchange any more, what is in
 * flight is finished, each session gets a proper end.
 */
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include "internal.h"

#define LEAVE_BATCHES 128   /* of what front_accept() takes at a time: twice what a queue holds */
#define FAR_END_NS NS_PER_S /* longest wait for applications to read what was steered to them */

/* All that wait, and as many more that come meanwhile. Whether none waits any more. */
static bool accept_all(struct worker *w, struct io *listener)
{
	listener->readable = true;
	for (int i = 0; i < LEAVE_BATCHES && listener->readable; i++)
		front_accept(w, listener);
	return !listener->readable && !listener->failed;
}

/*
 * Connections that wait in the queue were promised an answer. So were those in the middle of their
 * handshake with us: an attached listener gets no others, and is left when all is done. Any other
 * one lets nobody in from here on: who came would be reset at the end.
 */
static void listeners_leave(struct worker *w)
{
	for (__u32 i = 0; i < w->n_listeners; i++) {
		struct io *listener = &w->listeners[i];
		bool attached = w->args->compiled->listeners[i].attach, empty;

		if (listener->fd < 0)
			continue;
		empty = accept_all(w, listener);
		if (!is_main(w) || !attached)
			epoll_ctl(w->epoll_fd, EPOLL_CTL_DEL, listener->fd, NULL);
		if (is_main(w) && !attached && empty)
			shutdown(listener->fd, SHUT_RD);
	}
	w->listening = false;
}

void drain_own(struct worker *w)
{
	struct list *l, *next;

	if (w->draining)
		return;
	w->draining = true;
	w->drain_until_ns = w->now_ns + w->args->drain_ms * NS_PER_MS;
	listeners_leave(w);
	for (l = w->fronts.next; l != &w->fronts; l = next) {
		next = l->next;
		drain_front(w, FRONT_OF(l, all));
	}
	lane_timeouts(w);
	lane_sweep(w);
}

void drain_begin(struct worker *w)
{
	if (w->draining)
		return;
	__sync_fetch_and_or(&w->maps->control->flags, SL_C_BYPASS | SL_C_ENDING);
	/* Attached addresses: from now on new connections go to the application. */
	for (__u32 i = 0; i < w->n_listeners; i++)
		__sync_fetch_and_and(&w->maps->points[i].flags, ~SL_A_ON);
	crew_drain(w, false);
	drain_own(w);
}

/* Ends a session that has nothing in hand; others end after their answer. */
void drain_front(struct worker *w, struct front *f)
{
	if (f->io.fd < 0 || f->lingering || f->owned || f->x.kernel)
		return;
	if (session_bits(f) & SL_S_EXCHANGE)
		return;
	/* Bytes may be there that no event has told of yet. */
	f->io.readable = true;
	exchange_run(w, f);
}

/* Whether applications of this host may still have unread bytes that we steered to them. */
static bool far_ends_left(const struct worker *w)
{
	for (__u32 i = 0; i < w->n_sessions; i++)
		if (SL_READ(w->maps->sessions[i].word) & SL_S_CLIENT)
			return true;
	for (__u32 i = 0; i < w->n_lanes; i++)
		if (SL_READ(w->maps->lanes[i].word) & SL_L_SERVER)
			return true;
	return false;
}

bool drain_done(struct worker *w)
{
	/* Copies of requests are nobody's hurry. */
	if (!w->n_fronts)
		mirror_stop(w);
	if (w->n_fronts || w->n_backs || (is_main(w) && crew_is_busy(w))) {
		w->drained_ns = 0;
		return false;
	}
	if (!is_main(w))
		return true;
	if (!w->drained_ns)
		w->drained_ns = w->now_ns;
	return w->now_ns - w->drained_ns >= FAR_END_NS || !far_ends_left(w);
}

/* Time is over: everything is closed as it stands. */
void drain_hard(struct worker *w)
{
	while (!list_empty(&w->fronts))
		front_abort(w, FRONT_OF(w->fronts.next, all));
	while (!list_empty(&w->backs)) {
		struct back *b = BACK_OF(w->backs.next, all);

		if ((lane_bits(b) & SL_L_STATE) == SL_LANE_IDLE) {
			/* On a stack: off with the whole stack, once. */
			lane_move(b, SL_LANE_IDLE, SL_LANE_DEAD);
			w->dirty_endpoints[b->endpoint] = 1;
			w->sweep_wanted = true;
			lane_sweep(w);
			if (w->backs.next == &b->all)
				lane_close(w, b);
		} else {
			lane_close(w, b);
		}
	}
}
