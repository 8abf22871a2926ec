/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One exchange: the steps that move it on, run round until none has anything to do. Each step
 * is called with any state and finds out itself whether it applies.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include "internal.h"

void exchange_reset(struct front *f)
{
	memset(&f->x, 0, sizeof(f->x));
	f->x.req = SIDE_HEAD;
	f->x.resp = SIDE_NONE;
	f->x.route = NO_INDEX;
	f->x.cluster = NO_INDEX;
	f->x.picked = NO_INDEX;
	f->x.endpoint = NO_INDEX;
}

/* Something came from the client: whose is it? */
static bool exchange_acquire(struct worker *w, struct front *f)
{
	if (f->owned || (!f->io.readable && !f->in.data) ||
	    (f->x.req != SIDE_HEAD && f->x.req != SIDE_KERNEL))
		return false;
	switch (session_take(f)) {
	case TAKE_OWN:
		f->owned = true;
		SL_WRITE(f->s->user_dirty, 1);
		/* Again, now that it is ours: BPF may have ended an exchange since the last look.
		 */
		return door_settled(w, f);
	case TAKE_RELAY:
		return handover_request(w, f) && door_settled(w, f);
	case TAKE_GONE:
		front_close(w, f);
		return false;
	default:
		return false;
	}
}

static bool request_is_sent(const struct front *f)
{
	const struct exchange *x = &f->x;

	if (x->req != SIDE_DONE)
		return false;
	return !f->back || x->write_failed || request_is_out(f);
}

static bool answer_is_sent(const struct front *f)
{
	return f->x.resp == SIDE_DONE && f->out.pos == f->out.end && f->rin.pos == f->rin.framed;
}

/* Whether to the client the answer ends with the connection. */
static bool ends_with_session(const struct front *f)
{
	return f->x.dechunk || f->x.resp_body.kind == SL_BODY_CLOSE;
}

bool exchange_looks_whole(const struct front *f)
{
	return f->x.answered && ends_with_session(f) && (f->x.abort || !answer_is_sent(f));
}

/*
 * The answer was cut: the client must not take what it has for the whole. A FIN tells where the
 * length is known; a body that ends with the connection would look complete.
 */
void exchange_cut(struct worker *w, struct front *f)
{
	bool resets = ends_with_session(f);

	if (f->x.tunnel) {
		tunnel_break(w, f);
		return;
	}
	if (f->x.kernel)
		handover_seize(w, f, false);
	else if (f->back)
		lane_close(w, f->back);
	if (!f->x.counted && f->x.route != NO_INDEX)
		count_exchange(w, f, 0);
	if (resets)
		front_reset(w, f);
	else
		front_linger(w, f);
}

void exchange_give_up(struct worker *w, struct front *f)
{
	if (f->x.answered)
		exchange_cut(w, f);
	else
		front_close(w, f);
}

/* The lane is free again: to the pool, if nothing speaks against it. */
static void exchange_unbind(struct worker *w, struct front *f)
{
	struct back *b = f->back;
	__u8 byte;

	if (!b)
		return;
	if (!f->x.lane_close && !f->x.write_failed && b->io.readable &&
	    recv(b->io.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN)
		b->io.readable = false;
	if (f->x.lane_close || f->x.write_failed || b->io.readable)
		lane_release(w, b, false);
	else if (request_is_long(f))
		lane_settle(w, b);
	else
		lane_release(w, b, true);
}

/*
 * The lane has done its part: it is in the pool before the client can see the end of the answer,
 * since the client's next request may come at once, and to the kernel.
 */
static bool exchange_lane_done(struct worker *w, struct front *f)
{
	handover_own(f);
	if (!f->x.kernel && !f->x.abort && f->x.resp == SIDE_DONE && request_is_sent(f))
		exchange_unbind(w, f);
	return false;
}

static bool exchange_finish(struct worker *w, struct front *f)
{
	struct exchange *x = &f->x;

	if (x->abort && f->out.pos == f->out.end && f->rin.pos == f->rin.framed) {
		exchange_cut(w, f);
		return false;
	}
	if (x->kernel)
		return handover_finish(w, f);
	if (!answer_is_sent(f))
		return false;
	if (!request_is_sent(f)) {
		/* Answered early. A lane that goes on takes the rest of the request, else the
		 * session ends here. */
		if (!x->close && (!x->write_failed || x->discard) && x->discarded <= DISCARD_MAX)
			return false;
		x->lane_close = true;
		x->client_close = false;
		x->close = true;
	}
	/* What is left of a body that no lane took is not the next request. */
	f->in.pos = f->in.framed;
	exchange_unbind(w, f);
	f->s->last_ns = w->now_ns;
	if (x->close && x->client_close && f->in.pos == f->in.end && !f->io.readable) {
		front_close(w, f);
		return false;
	}
	if (x->close) {
		front_linger(w, f);
		return false;
	}
	breaker_forget(w, f);
	exchange_reset(f);
	f->pipelined = f->in.pos != f->in.end;
	buffer_drop(w, &f->req);
	buffer_drop(w, &f->rin);
	buffer_drop(w, &f->out);
	buffer_drop_if_empty(w, &f->in);
	return true;
}

/* A session that has just been accepted: its request may be on the way. */
static bool is_fresh(const struct worker *w, const struct front *f)
{
	return (__s64)(w->now_ns - f->s->last_ns) < (__s64)FRESH_NS;
}

/* Nothing is in hand: the session is idle again, or over. */
static void exchange_rest(struct worker *w, struct front *f)
{
	if (!f->owned || f->x.req != SIDE_HEAD || f->in.pos != f->in.end || f->io.readable)
		return;
	buffer_drop(w, &f->in);
	if (f->io.eof || (w->draining && !is_fresh(w, f)) ||
	    (f->ending && w->now_ns >= f->end_ns)) {
		front_close(w, f);
		return;
	}
	if (!f->ending)
		session_release(f, false);
}

/* More was said to follow, and there is none yet: what waits for it goes out. */
static void push(int fd, bool *corked)
{
	const int one = 1;

	if (*corked)
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	*corked = false;
}

static void exchange_push(struct front *f)
{
	push(f->io.fd, &f->corked);
	if (f->back)
		push(f->back->io.fd, &f->back->corked);
}

void exchange_wait_turn(struct worker *w, struct front *f)
{
	if (list_empty(&f->ready))
		list_add(&w->ready, &f->ready);
}

void exchanges_go_on(struct worker *w)
{
	struct list waiting;

	list_take(&waiting, &w->ready);
	while (!list_empty(&waiting)) {
		struct front *f = FRONT_OF(waiting.next, ready);

		list_del(&f->ready);
		front_event(w, f);
	}
}

void exchange_run(struct worker *w, struct front *f)
{
	static bool (*const steps[])(struct worker * w, struct front * f) = {
		exchange_acquire,   request_read,    request_advance, direct_begin,
		request_write,	    response_splice, response_read,   response_advance,
		exchange_lane_done, response_write,  exchange_finish,
	};
	bool more, moved = false;

	/* Whatever has happened to it: in its turn. */
	if (!list_empty(&f->ready))
		return;
	if (f->x.tunnel) {
		tunnel_run(w, f);
		return;
	}
	more = door_settled(w, f);
	if (!more)
		return;
	for (int n = 0; more && n < TURN_ROUNDS; n += f->x.spliced ? PIPE_BYTES / BUFFER_READ : 1) {
		more = false;
		for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
			more |= steps[i](w, f);
			if (f->io.fd < 0 || f->lingering || !list_empty(&f->undrained))
				return;
			if (f->x.tunnel) {
				tunnel_run(w, f);
				return;
			}
		}
		moved |= more;
	}
	if (more) {
		exchange_wait_turn(w, f);
	} else {
		exchange_push(f);
		exchange_rest(w, f);
	}
	if (f->io.fd >= 0)
		exchange_deadline(w, f, moved);
}

void exchange_connected(struct worker *w, struct front *f)
{
	f->x.connecting = false;
	breaker_unpend(w, f);
	exchange_run(w, f);
}

/* Another lane for the same request: its head is still there, of its body nothing was sent. */
static void exchange_again(struct worker *w, struct front *f)
{
	__u32 status;

	f->req.pos = 0;
	f->x.lane_close = false;
	f->x.discard = false;
	buffer_drop(w, &f->rin);
	status = lane_get(w, f, true);
	if (status && (f->x.overloaded || !retry_failed(w, f, FAILURE_CONNECT)))
		reply(w, f, status);
}

/*
 * The lane could not be established, or ended before any byte of an answer. Connecting may be
 * tried again at another endpoint. A reused lane may have been closed by its backend just as we
 * wrote: RFC 9110 section 9.2.2 lets a proxy repeat an idempotent request then, and any of which
 * nothing was written. The caller runs the exchange on.
 */
void exchange_lane_failed(struct worker *w, struct front *f)
{
	struct exchange *x = &f->x;
	bool connecting = x->connecting;
	__u32 endpoint;

	outlier_report(w, f->back ? f->back->endpoint : x->endpoint, 503);
	if (x->kernel && !handover_take_back(f)) {
		handover_seize(w, f, true);
		if (!handover_retry(w, f))
			reply(w, f, 502);
		return;
	}
	lane_close(w, f->back);
	x->connecting = false;
	if (connecting) {
		endpoint = route_other(w, f);
		/* The same again would fail again. */
		if (endpoint == NO_INDEX || endpoint == x->endpoint) {
			if (!retry_failed(w, f, FAILURE_CONNECT))
				reply(w, f, 503);
		} else {
			x->endpoint = endpoint;
			exchange_again(w, f);
		}
	} else if (x->reused && (x->idempotent || !f->req.pos) && !x->body_sent && !x->discarded &&
		   !x->interim) {
		exchange_again(w, f);
	} else if (!retry_failed(w, f, FAILURE_RESET)) {
		reply(w, f, 502);
	}
}
