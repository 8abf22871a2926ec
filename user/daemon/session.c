/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Sessions: accept, the session word and its ownership, the end. A session that has no
 * slot in the table (its client is one-shot, or the table is full) lives in a struct of ours and
 * takes the same way through the code.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <linux/sockios.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include "internal.h"

#define ACCEPT_BATCH 64
#define DRAIN_CHUNK 65536
#define DRAIN_READS 16

__u32 session_bits(const struct front *f)
{
	__u64 word = SL_READ(f->s->word);

	return SL_GEN(word) == f->gen ? SL_BITS(word) : 0;
}

__u32 session_change(struct front *f, __u32 set, __u32 clear)
{
	for (;;) {
		__u64 old = SL_READ(f->s->word);

		if (SL_GEN(old) != f->gen)
			return 0;
		if (sl_cmpxchg(&f->s->word, old, SL_WORD(f->gen, (SL_BITS(old) & ~clear) | set)) ==
		    old)
			return SL_BITS(old);
	}
}

void socket_resets(int fd)
{
	const struct linger reset = {.l_onoff = 1};

	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
}

/*
 * Whether nothing is there after all, no FIN either: an event may be out of date. In a kernel
 * exchange that matters, since BPF may be steering bytes of the same request this very moment.
 */
static bool front_quiet(struct front *f)
{
	__u8 byte;

	if (recv(f->io.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0 || errno != EAGAIN)
		return false;
	f->io.readable = false;
	return true;
}

/*
 * Something is readable at front. Takes an idle session; notes PENDING in one that is in
 * a kernel exchange whose request the kernel still has.
 */
enum take session_take(struct front *f)
{
	for (;;) {
		__u64 old = SL_READ(f->s->word);
		__u32 bits = SL_BITS(old), set;
		enum take take;

		if (SL_GEN(old) != f->gen)
			return TAKE_GONE;
		if (bits & SL_S_USER)
			return TAKE_OWN;
		if (bits & SL_S_EXCHANGE) {
			/* BPF could not go on in the middle, nor can we. */
			if (bits & SL_S_ABORTED)
				return TAKE_GONE;
			if (!(bits & SL_S_REQ_USER) && front_quiet(f))
				return TAKE_WAIT;
			/* Bytes of a body are ours to relay, whether BPF could say so or not. */
			take = bits & SL_S_REQ_DONE ? TAKE_WAIT : TAKE_RELAY;
			set = take == TAKE_WAIT ? SL_S_PENDING : SL_S_REQ_USER;
			if (bits & set)
				return take;
		} else {
			set = SL_S_USER;
			take = TAKE_OWN;
		}
		if (sl_cmpxchg(&f->s->word, old, SL_WORD(f->gen, bits | set)) == old)
			return take;
	}
}

/*
 * All that was read is answered: the next request may take the kernel path. @dirty: the answer
 * is still to be written.
 */
void session_release(struct front *f, bool dirty)
{
	SL_WRITE(f->s->user_dirty, dirty);
	session_change(f, 0, SL_S_USER | SL_S_ABORTED | SL_S_EXCHANGE_BITS);
	f->owned = false;
}

/* Makes @f, zeroed, the daemon's side of a session. @slot NO_SLOT: unslotted. */
static void front_init(struct worker *w, struct front *f, int fd, __u32 slot, __u32 gen)
{
	f->io.fd = fd;
	f->io.kind = IO_FRONT;
	f->io.writable = true;
	f->slot = slot;
	f->gen = gen;
	f->s = &f->own;
	if (slot != NO_SLOT) {
		f->s = &w->maps->sessions[slot];
		w->front_of[slot] = f;
		SL_WRITE(w->crew->session_owner[slot], w->index);
	} else {
		f->own.word = SL_WORD(gen, SL_S_FRONT | SL_S_ADOPTED);
		f->own.front_fd = fd;
		f->own.last_ns = w->now_ns;
	}
	f->tx_seen = f->s->front_tx;
	list_init(&f->timed);
	list_init(&f->undrained);
	list_init(&f->outgoing);
	list_init(&f->ready);
	list_init(&f->waiting);
	f->born_ns = w->now_ns;
	exchange_reset(f);
	list_add(&w->fronts, &f->all);
	SL_WRITE(w->n_fronts, w->n_fronts + 1);
	f->served = !f->s->client_sk;
	SL_WRITE(w->n_served, w->n_served + f->served);
	f->nth = sl_fetch_add(&w->crew->n_fronts, 1) + 1;
}

struct front *front_new(struct worker *w, int fd, __u32 slot, __u32 gen)
{
	struct front *f = calloc(1, sizeof(*f));

	if (f)
		front_init(w, f, fd, slot, gen);
	return f;
}

/*
 * Puts the slot that BPF gave the accepted socket under our name. One that limits_accepted() will
 * refuse is taken at once: BPF serves what is adopted. False: it is gone.
 */
static bool session_adopt(struct worker *w, int fd, const struct sl_socket *me)
{
	struct sl_session *s = &w->maps->sessions[me->slot];
	const __u32 refused = limits_reached(w) ? SL_S_USER : 0;

	for (;;) {
		__u64 old = SL_ACQUIRE(s->word);
		__u32 bits = SL_S_ADOPTED | (SL_BITS(old) & SL_S_BUSY ? 0 : refused);

		if (SL_GEN(old) != me->gen || !(SL_BITS(old) & SL_S_FRONT))
			return false;
		if (sl_cmpxchg(&s->word, old, old | bits) == old)
			break;
	}
	/*
	 * Not before: a front that is reset leaves its slot, which may be another's by now. If the
	 * worker dies just here, the next one cannot tell whose the socket is, and closes it.
	 */
	SL_WRITE(s->front_fd, fd);
	return true;
}

void front_add(struct worker *w, int fd, __u32 index, const struct sl_socket *me)
{
	/* TCP_NODELAY is its listener's, see listen.c. */
	struct front *f = me->role == SL_ROLE_LOOP ? NULL : calloc(1, sizeof(*f));

	/* Before the slot is adopted: until then BPF frees it when the socket goes. */
	if (!f) {
		close(fd);
		return;
	}
	if (me->role == SL_ROLE_FRONT && me->slot < w->n_sessions) {
		if (!session_adopt(w, fd, me)) {
			free(f);
			close(fd);
			return;
		}
		front_init(w, f, fd, me->slot, me->gen);
	} else {
		front_init(w, f, fd, NO_SLOT, 1);
		f->s->listener = index;
		f->one_shot = me->role == SL_ROLE_ONE_SHOT;
	}
	if (io_add(w, &f->io, IO_EVENTS_ALL)) {
		front_close(w, f);
		return;
	}
	limits_accepted(w, f);
	if (f->io.fd < 0)
		return;
	/* BPF may have taken requests before we accepted; their lane may have asked for us. */
	if (f->slot != NO_SLOT && (session_bits(f) & SL_S_EXCHANGE)) {
		__u32 lane = SL_READ(f->s->lane);

		if (lane && lane <= w->n_lanes && w->back_of[lane - 1])
			lane_event(w, w->back_of[lane - 1]);
	}
}

/* Until the next tick: epoll would say again and again that somebody waits. */
static void listener_rests(struct worker *w, struct io *listener)
{
	listener->failed = true;
	listener->readable = false;
	(void)epoll_ctl(w->epoll_fd, EPOLL_CTL_DEL, listener->fd, NULL);
}

/* Whoever is to serve it gets the socket that listener @index has accepted. */
static void front_assign(struct worker *w, int fd, __u32 index)
{
	struct mail mail = {.kind = MAIL_FRONT, .fd = fd, .index = index};
	struct worker *to;
	int rc;

	rc = sl_maps_socket_get(w->maps, fd, &mail.socket);
	if (rc && rc != -ENOENT) {
		/* BPF may have captured its client, and would serve it beside us. */
		close(fd);
		return;
	}
	to = crew_whose(w, &mail.socket);
	if (to != w && crew_write(to, &mail))
		return;
	if (to == w || !crew_is_of_main(w, &mail.socket))
		front_add(w, fd, index, &mail.socket);
	else
		close(fd);
}

void front_accept(struct worker *w, struct io *listener)
{
	for (int i = 0; i < ACCEPT_BATCH; i++) {
		int fd;

		if (limits_crowded(w)) {
			listener_rests(w, listener);
			return;
		}
		fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0) {
			/* ECONNABORTED and the like: the next. */
			if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
			    errno == ENOMEM) {
				listener_rests(w, listener);
				return;
			}
			/* EINVAL: it lets nobody in any more (drain.c). */
			if (errno == EAGAIN || errno == EINVAL) {
				listener->readable = false;
				return;
			}
			continue;
		}
		if (limits_hopeless(w))
			close(fd);
		else
			front_assign(w, fd, listener - w->listeners);
	}
	/* More may wait: level-triggered, the next epoll_wait() says so. */
}

static void slot_free(struct worker *w, struct front *f)
{
	__u32 old = session_change(f, 0,
				   SL_S_FRONT | SL_S_ADOPTED | SL_S_USER | SL_S_EXCHANGE_BITS |
					   SL_S_TUNNEL_BITS);
	struct sl_control *c = w->maps->control;

	if ((old & SL_S_FRONT) && !(old & SL_S_CLIENT))
		while (!sl_stack_push(&c->freed_sessions, &f->s->next, f->slot))
			;
	grace_want(w->crew);
}

static void front_end(struct worker *w, struct front *f)
{
	session_change(f, SL_S_CLOSING, 0);
	if (f->slot != NO_SLOT && (session_bits(f) & SL_S_EXCHANGE))
		handover_seize(w, f, false);
	else if (f->back)
		lane_close(w, f->back);
	if (!f->x.counted && f->x.route != NO_INDEX)
		count_exchange(w, f, 0);
	timer_clear(f);
	list_del(&f->undrained);
	list_del(&f->outgoing);
	list_del(&f->ready);
	waiting_cancel(w, f);
	breaker_forget(w, f);
	if (f->io.fd >= 0)
		close(f->io.fd);
	f->io.fd = -1;
	SL_WRITE(f->s->front_fd, -1);
	if (f->slot != NO_SLOT) {
		w->front_of[f->slot] = NULL;
		slot_free(w, f);
	}
	buffer_drop(w, &f->in);
	buffer_drop(w, &f->req);
	buffer_drop(w, &f->cookies);
	buffer_drop(w, &f->rin);
	buffer_drop(w, &f->out);
	splice_drop(w, f);
	list_del(&f->all);
	list_add(&w->dead_fronts, &f->all);
	SL_WRITE(w->n_fronts, w->n_fronts - 1);
	SL_WRITE(w->n_served, w->n_served - f->served);
	sl_add(&w->crew->n_fronts, -1);
	limits_sessions_changed(w);
}

/* Consistent at each step: a crash in between leaves nothing in doubt. */
void front_close(struct worker *w, struct front *f)
{
	if (f->io.fd < 0)
		return;
	if (f->lingering ? f->resets : exchange_looks_whole(f))
		socket_resets(f->io.fd);
	front_end(w, f);
}

void front_abort(struct worker *w, struct front *f)
{
	if (f->x.tunnel && f->back) /* to its server the same */
		socket_resets(f->back->io.fd);
	front_close(w, f);
}

void front_drop(struct worker *w, struct front *f)
{
	front_end(w, f);
}

/*
 * The last answer is written and the session ends by our wish: closing now could reset the
 * connection (unread bytes) before the client has read its answer. So: FIN, then read and drop
 * until the client's, for a while.
 */
void front_linger(struct worker *w, struct front *f)
{
	session_change(f, SL_S_CLOSING, 0);
	if (f->io.eof || f->io.failed) {
		front_close(w, f);
		return;
	}
	f->lingering = true;
	SL_WRITE(f->s->user_dirty, 1);
	buffer_drop(w, &f->in);
	buffer_drop(w, &f->req);
	buffer_drop(w, &f->rin);
	buffer_drop(w, &f->out);
	(void)shutdown(f->io.fd, SHUT_WR);
	f->linger_until_ns = w->now_ns + LINGER_MAX_NS;
	timer_set(w, f, w->now_ns + LINGER_NS);
	f->io.readable = true;
	front_event(w, f);
}

/* Time to read is over, unless the client is still at it. */
static void linger_timeout(struct worker *w, struct front *f)
{
	int unread = 0;

	if (w->now_ns < f->linger_until_ns && !ioctl(f->io.fd, SIOCOUTQ, &unread) && unread) {
		timer_set(w, f, w->now_ns + (f->resets ? TICK_NS : LINGER_NS));
		return;
	}
	front_abort(w, f);
}

/*
 * The session ends by RST, when the client has what was written before: a reset would take
 * that along, and with it answers that were whole. Not CLOSING: a worker that follows this one
 * has to reset it, too.
 */
void front_reset(struct worker *w, struct front *f)
{
	session_change(f, SL_S_USER, SL_S_CLOSING);
	f->lingering = f->resets = true;
	SL_WRITE(f->s->user_dirty, 1);
	buffer_drop(w, &f->in);
	buffer_drop(w, &f->req);
	buffer_drop(w, &f->rin);
	buffer_drop(w, &f->out);
	f->linger_until_ns = w->now_ns + LINGER_MAX_NS;
	linger_timeout(w, f);
}

static void linger_read(struct worker *w, struct front *f)
{
	static _Thread_local __u8 sink[DRAIN_CHUNK];

	for (int i = 0; i < DRAIN_READS; i++) {
		ssize_t n = recv(f->io.fd, sink, sizeof(sink), MSG_DONTWAIT);

		if (n > 0) {
			sl_add(&f->s->front_rx, (__u32)n);
			continue;
		}
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		/* Its FIN is no end of that; and recv() says 0 behind one when a reset has come. */
		if (!n && f->resets && !f->io.failed)
			return;
		front_close(w, f);
		return;
	}
	/* It sends on: others first. */
	if (list_empty(&f->undrained))
		list_add(&w->undrained, &f->undrained);
}

/* What epoll said is in f->io. */
void front_event(struct worker *w, struct front *f)
{
	if (f->io.fd < 0)
		return;
	if (f->lingering) {
		linger_read(w, f);
		return;
	}
	/* Both directions may be shut, by us too, with bytes in between: a tunnel reads on. */
	if (f->io.failed && !f->x.tunnel) {
		front_abort(w, f);
		return;
	}
	exchange_run(w, f);
}

void front_timeout(struct worker *w, struct front *f)
{
	timer_clear(f);
	if (f->lingering)
		linger_timeout(w, f);
	else
		exchange_timeout(w, f);
}
