/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The deadlines of an exchange that the daemon has in hand, at least one side of it. Several
 * run at a time; the next one is computed anew each time something has happened.
 */
#include <sys/socket.h>
#include "internal.h"

/* A client that takes no more and has said goodbye is not worth a long wait. */
#define GOODBYE_NS (15 * NS_PER_S)

void due_add(struct due *d, enum cause cause, __u64 from_ns, __u64 ns)
{
	if (!ns || !from_ns || (d->cause && from_ns + ns >= d->ns))
		return;
	d->cause = cause;
	d->ns = from_ns + ns;
}

struct due due_of(struct worker *w, const struct front *f, const struct progress *p)
{
	const struct sl_route_limits *r = p->limits ? p->limits : &sl_route_defaults;
	const struct sl_listener_limits *l = limits_of_listener(w, f);
	struct due d = {0};

	if (!p->sent_ns && !p->answered)
		due_add(&d, CAUSE_REQUEST, p->first_ns, l->request_ms * NS_PER_MS);
	if (p->sent_ns && p->limits && !p->complete)
		due_add(&d, CAUSE_ROUTE, p->sent_ns, r->timeout_ms * NS_PER_MS);
	due_add(&d, CAUSE_DURATION, p->first_ns,
		(r->max_stream_ms == SL_INHERIT ? l->max_stream_ms : r->max_stream_ms) * NS_PER_MS);
	if (p->rest)
		due_add(&d, CAUSE_REST, p->moved_ns, REST_NS);
	due_add(&d, CAUSE_STREAM, p->moved_ns,
		(p->flushing ? limits_flush_ms(w, f, r) : limits_stream_idle_ms(w, f, r)) *
			NS_PER_MS);
	return d;
}

static bool answer_is_out(const struct front *f)
{
	return f->x.resp == SIDE_DONE && f->out.pos == f->out.end && f->rin.pos == f->rin.framed;
}

/* Notes when what the deadlines count from has happened. @moved: a byte went either way. */
static void stamp(struct worker *w, struct front *f, bool moved)
{
	struct exchange *x = &f->x;
	__u32 unsent = request_unsent(f);

	if (x->req == SIDE_HEAD) {
		if (f->in.pos == f->in.end)
			x->head_ns = 0;
		else if (!x->head_ns)
			x->head_ns = w->now_ns;
		return;
	}
	if (!x->head_ns)
		x->head_ns = x->start_ns;
	if (moved || !x->moved_ns || unsent != x->unsent)
		x->moved_ns = w->now_ns;
	x->unsent = unsent;
	/* Of a tunnel BPF notes it, too. */
	if (x->tunnel && f->s->last_ns > x->moved_ns)
		x->moved_ns = f->s->last_ns;
	if (x->req == SIDE_DONE && !x->sent_ns)
		x->sent_ns = w->now_ns;
	if (!x->rest_ns && !x->kernel && answer_is_out(f))
		x->rest_ns = w->now_ns;
	if (x->kernel) {
		watch_look(w, f);
		if (f->watch.sent_ns)
			x->sent_ns = f->watch.sent_ns;
		if (f->watch.moved_ns > x->moved_ns)
			x->moved_ns = f->watch.moved_ns;
	}
}

/* Whether the client has sent more than we have read of what the lane is to have. */
static bool client_waits(const struct front *f)
{
	__u8 byte;

	return f->in.framed < f->in.end ||
	       (f->io.readable && recv(f->io.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0);
}

/* The answer is out, and its lane stands still in the rest of the request. */
static bool lane_is_stuck(const struct front *f)
{
	const struct exchange *x = &f->x;
	const struct back *b = f->back;

	return b && !x->connecting && !x->write_failed && !x->tunnel && !b->io.writable &&
	       (f->req.pos != f->req.end || f->in.pos != f->in.framed) &&
	       (x->kernel ? session_bits(f) & SL_S_RESP_DONE : answer_is_out(f));
}

/* Between two requests, or in the head of one. */
static struct due head_due(struct worker *w, const struct front *f)
{
	struct due d = {0};

	if (f->in.pos != f->in.end)
		due_add(&d, CAUSE_HEAD, f->x.head_ns,
			limits_of_listener(w, f)->request_headers_ms * NS_PER_MS);
	if (f->x.head_ns)
		due_add(&d, CAUSE_REQUEST, f->x.head_ns,
			limits_of_listener(w, f)->request_ms * NS_PER_MS);
	else if (f->ending)
		d = (struct due){.cause = CAUSE_END, .ns = f->end_ns};
	return d;
}

static struct due exchange_due(struct worker *w, const struct front *f)
{
	const struct exchange *x = &f->x;
	const struct progress p = {
		.limits = x->cluster == NO_INDEX ? NULL : &x->limits,
		.first_ns = x->head_ns,
		.sent_ns = x->sent_ns,
		.moved_ns = x->moved_ns,
		.answered = x->answered,
		.complete = x->resp == SIDE_DONE || x->tunnel,
		.rest = x->kernel && x->req != SIDE_DONE && (session_bits(f) & SL_S_RESP_DONE),
		.flushing = x->resp == SIDE_DONE && x->req == SIDE_DONE && !x->kernel,
	};
	struct due d;

	if (x->req == SIDE_HEAD)
		return head_due(w, f);
	d = due_of(w, f, &p);
	if (x->connecting)
		due_add(&d, CAUSE_CONNECT, x->connect_ns,
			limits_of_cluster(w, x->cluster)->connect_ms * NS_PER_MS);
	if (x->sent_ns && !x->answered && f->back)
		due_add(&d, CAUSE_TRY, x->sent_ns > x->connect_ns ? x->sent_ns : x->connect_ns,
			retry_try_ms(w, f) * NS_PER_MS);
	if (x->sent_ns && !p.complete && f->back && !x->connecting)
		due_add(&d, CAUSE_TRY_IDLE, x->moved_ns > x->sent_ns ? x->moved_ns : x->sent_ns,
			retry_idle_ms(w, f) * NS_PER_MS);
	due_add(&d, CAUSE_RETRY, x->retry_ns, x->retry_wait_ns);
	due_add(&d, CAUSE_REST, x->rest_ns, REST_NS);
	if (lane_is_stuck(f) && client_waits(f))
		due_add(&d, CAUSE_STUCK, x->moved_ns, x->req == SIDE_DONE ? NEXT_NS : STUCK_NS);
	if (x->unsent) {
		due_add(&d, CAUSE_STUCK, x->moved_ns, client_waits(f) ? NEXT_NS : STUCK_NS);
		due_add(&d, CAUSE_LOOK, w->now_ns, LOOK_NS);
	}
	if (f->io.rdhup && !f->io.writable)
		due_add(&d, CAUSE_STREAM, x->moved_ns, GOODBYE_NS);
	return d;
}

void exchange_deadline(struct worker *w, struct front *f, bool moved)
{
	struct due d;

	stamp(w, f, moved);
	d = exchange_due(w, f);
	if (d.cause)
		timer_set(w, f, d.ns);
	else
		timer_clear(f);
}

/*
 * 504 when the backend had the whole request, else 408 (Envoy's maybeRequestTimeoutCode()); or a
 * cut.
 */
static void stream_timeout(struct worker *w, struct front *f, bool sent, enum sl_count what,
			   const char *why)
{
	count_limit(w, what, NO_INDEX);
	if (f->x.answered) {
		exchange_cut(w, f);
		return;
	}
	f->x.why = why;
	f->x.close |= !sent;
	reply(w, f, sent ? 504 : 408);
}

static void client_timeout(struct worker *w, struct front *f, enum sl_count what, const char *why)
{
	count_limit(w, what, NO_INDEX);
	f->x.close = true;
	f->x.why = why;
	reply(w, f, 408);
}

/* Of one try: per_try_timeout, or per_try_idle_timeout, which an answer that has begun can meet. */
static void try_timeout(struct worker *w, struct front *f)
{
	count_limit(w, SL_COUNT_UP_RQ_TIMEOUT, f->x.cluster);
	if (f->x.answered) {
		exchange_cut(w, f);
	} else if (!retry_failed(w, f, FAILURE_TIMEOUT)) {
		f->x.why = "upstream request timeout\n";
		reply(w, f, 504);
	}
}

void exchange_expire(struct worker *w, struct front *f, enum cause cause, bool sent)
{
	struct exchange *x = &f->x;

	if (cause != CAUSE_CONNECT && cause != CAUSE_STUCK && (x->kernel || !f->owned)) {
		__u64 sent_ns = x->sent_ns;

		handover_seize(w, f, false);
		x->sent_ns = sent_ns;
	}
	switch (cause) {
	case CAUSE_HEAD:
		client_timeout(w, f, SL_COUNT_DOWN_RQ_HEADER, "request header timeout\n");
		break;
	case CAUSE_REQUEST:
		client_timeout(w, f, SL_COUNT_DOWN_RQ_TIMEOUT, "request timeout\n");
		break;
	case CAUSE_CONNECT:
		if (!lane_is_late(w, f->back))
			break;
		count_limit(w, SL_COUNT_UP_CX_CONNECT_TIMEOUT, x->cluster);
		x->why = RESET_REASON "connection timeout\n";
		exchange_lane_failed(w, f);
		break;
	case CAUSE_ROUTE:
		count_limit(w, SL_COUNT_UP_RQ_TIMEOUT, x->cluster);
		x->why = "upstream request timeout\n";
		if (x->answered)
			exchange_cut(w, f);
		else
			reply(w, f, 504);
		break;
	case CAUSE_TRY:
	case CAUSE_TRY_IDLE:
		try_timeout(w, f);
		break;
	case CAUSE_RETRY:
		retry_now(w, f);
		break;
	case CAUSE_STREAM:
		stream_timeout(w, f, sent, SL_COUNT_DOWN_RQ_IDLE, "stream timeout\n");
		break;
	case CAUSE_DURATION:
		stream_timeout(w, f, sent, SL_COUNT_DOWN_RQ_DURATION,
			       "downstream duration timeout\n");
		break;
	case CAUSE_REST:
		front_linger(w, f);
		break;
	case CAUSE_STUCK:
		request_drop(f);
		break;
	default:
		front_close(w, f);
	}
	if (f->io.fd >= 0 && !f->lingering)
		exchange_run(w, f);
}

void exchange_timeout(struct worker *w, struct front *f)
{
	bool unsent = f->x.unsent;
	struct due d;

	/* What BPF has moved meanwhile, or a socket has sent, nobody has told us. */
	stamp(w, f, false);
	if (unsent && !f->x.unsent) {
		exchange_run(w, f);
		return;
	}
	d = exchange_due(w, f);
	if (!d.cause)
		return;
	if (d.ns > w->now_ns)
		timer_set(w, f, d.ns);
	else
		exchange_expire(w, f, d.cause, f->x.sent_ns);
}
