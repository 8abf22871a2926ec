/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Exchanges that BPF began and handed to the daemon, one direction or both, at an exact
 * byte. The daemon binds session and lane for as long as it has something to do, marks its
 * direction done, and whoever is second ends the exchange. Who moves the lane out of KERNEL owns
 * it from then on.
 */
#include <errno.h>
#include <sys/socket.h>
#include "internal.h"

struct back *handover_lane(struct worker *w, const struct front *f)
{
	__u32 slot1 = SL_READ(f->s->lane);
	struct back *b;

	if (f->slot == NO_SLOT || !slot1 || slot1 > w->n_lanes)
		return NULL;
	b = w->back_of[slot1 - 1];
	if (!b || b->gen != SL_READ(f->s->lane_gen) || b->l->session != f->slot + 1 ||
	    b->l->session_gen != f->gen)
		return NULL;
	return b;
}

/*
 * Some of the request's body is lost, and how much of it is not known (see lane_has_all() in
 * request.bpf.c): what comes now can be of the body or not. Nothing of it is read; the session ends
 * behind the answer, which is ours, too, if it is not complete.
 */
static void request_torn(struct front *f, struct back *b)
{
	struct exchange *x = &f->x;

	x->req = SIDE_DONE;
	x->write_failed = x->close = true;
	x->counted = false; /* BPF has not seen its end */
	b->io.readable = true;
	if (!(session_bits(f) & SL_S_RESP_DONE))
		session_change(f, SL_S_RESP_USER, 0);
}

static void request_take_up(struct front *f, struct back *b, __u32 bits)
{
	struct exchange *x = &f->x;

	if (bits & SL_S_REQ_DONE) {
		x->req = SIDE_DONE;
		x->req_marked = true;
	} else if ((bits & SL_S_REQ_USER) && f->s->handover == SL_REASON_LANE_LOST) {
		request_torn(f, b);
	} else if (bits & SL_S_REQ_USER) {
		x->req_body = f->s->req;
		x->req = SIDE_BODY;
		f->io.readable = true;
	}
}

static void response_take_up(struct front *f, struct back *b, __u32 bits)
{
	struct exchange *x = &f->x;

	if (bits & SL_S_RESP_DONE) {
		x->resp = SIDE_DONE;
		x->resp_marked = true;
	} else if (bits & SL_S_RESP_USER) {
		if (!f->s->handover && !(lane_bits(b) & SL_L_SERVER))
			f->s->handover = SL_REASON_REMOTE_SERVER;
		x->counted = false;
		x->resp = b->l->phase == SL_RESP_BODY ? SIDE_BODY : SIDE_HEAD;
		x->resp_body = b->l->resp;
		x->status = b->l->status;
		x->answered = x->mid_body = x->resp == SIDE_BODY;
		b->io.readable = true;
	}
}

/* The answer that BPF began, with the status that it has seen. */
static void count_answer(struct worker *w, struct front *f, const struct back *b)
{
	count_exchange(w, f, b->l->status);
	outlier_report(w, b->endpoint, b->l->status);
}

/* Takes up the sides that the word says are ours. NULL: there is no such exchange. */
static struct back *take_up(struct worker *w, struct front *f)
{
	struct exchange *x = &f->x;
	struct back *b = handover_lane(w, f);
	__u32 bits = session_bits(f);

	if (!b || !(bits & SL_S_EXCHANGE) || (b->front && b->front != f))
		return NULL;
	if (!x->kernel) {
		exchange_reset(f);
		x->kernel = true;
		x->req = x->resp = SIDE_KERNEL;
		watch_look(w, f);
		x->limits = f->watch.limits;
		x->route = f->s->route;
		x->cluster = f->s->cluster;
		x->endpoint = b->endpoint;
		x->start_ns = f->s->start_ns;
		x->head_method = f->s->head_method;
		x->counted = true; /* by BPF, unless the answer becomes ours */
		x->body_sent = f->s->req.kind == SL_BODY_NONE ? 0 : SWALLOWED_MIN + 1;
	}
	SL_WRITE(f->s->user_dirty, 1);
	f->back = b;
	b->front = f;
	if (x->req == SIDE_KERNEL)
		request_take_up(f, b, bits);
	if (x->resp == SIDE_KERNEL)
		response_take_up(f, b, session_bits(f));
	return b;
}

/* The rest of a request's body is ours to relay. */
bool handover_request(struct worker *w, struct front *f)
{
	return take_up(w, f);
}

static bool lane_has_something(struct back *b)
{
	__u8 byte;

	if (b->io.rdhup || b->io.failed)
		return true;
	if (recv(b->io.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0)
		return true;
	/* The socket tells its error once. */
	b->io.reset |= errno != EAGAIN;
	return b->io.reset;
}

/* Whether BPF has begun the exchange of @f and @b and sent its request on. */
static bool is_under_way(struct worker *w, const struct front *f, const struct back *b)
{
	return handover_lane(w, f) == b && (session_bits(f) & SL_S_EXCHANGE) &&
	       !SL_READ(f->s->begun);
}

/* Something came on a lane that is in a kernel exchange: the response, or its end. */
void handover_response(struct worker *w, struct back *b)
{
	__u32 slot1 = SL_READ(b->l->session);
	struct front *f = slot1 && slot1 <= w->n_sessions ? w->front_of[slot1 - 1] : NULL;
	__u32 bits;

	/* Not accepted yet; accepting looks here again. */
	if (slot1 && !f)
		return;
	/*
	 * Before the exchange is looked at: BPF ends none on a lane on which something is, or which
	 * has ended. Behind that look it could end this one, and begin the session's next
	 * elsewhere.
	 */
	if (!lane_has_something(b)) {
		b->io.readable = false;
		return;
	}
	/*
	 * BPF has taken the lane just now, and its program is not through: it may still find that
	 * the lane is dead, and pass the request on. Or it is just giving the lane back.
	 */
	if (!f || !is_under_way(w, f, b)) {
		lane_again(w, b);
		return;
	}
	bits = session_bits(f);
	if (bits & SL_S_RESP_DONE) {
		/*
		 * The answer is whole; what comes behind it, or the end, is the lane's. If the
		 * request is not, nobody takes the rest: it is handed over by the client's next
		 * send, and dropped when the lane's write fails.
		 */
		lane_mark_surplus(b);
		return;
	}
	if (!(bits & SL_S_RESP_USER))
		bits = session_change(f, SL_S_RESP_USER, 0);
	if (bits & SL_S_ABORTED) {
		/* BPF could not go on in the middle: the client must see that it was cut. */
		front_close(w, f);
		return;
	}
	if (take_up(w, f))
		exchange_run(w, f);
	else /* nobody would tell again */
		lane_again(w, b);
}

/* Whether the answer's end is for us to count: nothing is left for BPF to finish. */
bool handover_counts(const struct front *f)
{
	return f->x.req != SIDE_KERNEL || (session_bits(f) & SL_S_REQ_DONE);
}

/* How a lane ends its exchange. */
enum lane_end { LANE_CLOSES, LANE_RESTS, LANE_SETTLES };

static enum lane_end lane_end_of(const struct front *f)
{
	if (f->x.lane_close || f->x.write_failed)
		return LANE_CLOSES;
	return request_is_long(f) ? LANE_SETTLES : LANE_RESTS;
}

/* Both directions are done and ours was the second: lane to the pool, session to its owner. */
static void complete(struct worker *w, struct front *f, struct back *b, enum lane_end end)
{
	__u32 pending = 0;

	f->s->lane = 0;
	if (!lane_move(b, SL_LANE_KERNEL, SL_LANE_USER))
		;
	else if (end == LANE_SETTLES)
		lane_settle(w, b);
	else
		lane_release(w, b, end == LANE_RESTS);
	f->s->last_ns = w->now_ns;
	if (f->in.pos != f->in.end) {
		pending = SL_S_PENDING;
		f->pipelined = true;
	} else {
		buffer_drop(w, &f->in);
		SL_WRITE(f->s->user_dirty, 0);
	}
	for (;;) {
		__u64 old = SL_READ(f->s->word);
		__u32 bits = SL_BITS(old) | pending;
		__u32 user = bits & SL_S_PENDING ? SL_S_USER : 0;

		if (SL_GEN(old) != f->gen)
			return;
		if (sl_cmpxchg(&f->s->word, old,
			       SL_WORD(f->gen, (bits & ~SL_S_EXCHANGE_BITS) | user)) != old)
			continue;
		if (user)
			f->io.readable = true;
		return;
	}
}

static bool side_done(const struct front *f, bool *ret_req, bool *ret_resp)
{
	const struct exchange *x = &f->x;

	*ret_req = x->req == SIDE_DONE && (x->req_marked || x->write_failed || request_is_out(f));
	*ret_resp = x->resp == SIDE_DONE &&
		    (x->resp_marked || (f->out.pos == f->out.end && f->rin.pos == f->rin.framed));
	return (*ret_req && !x->req_marked) || (*ret_resp && !x->resp_marked);
}

/*
 * An exchange in which BPF has nothing to do any more goes on as one that was ours from the start.
 * False: the lane is not ours to take.
 */
static bool own(struct front *f)
{
	if (!lane_move(f->back, SL_LANE_KERNEL, SL_LANE_USER))
		return false;
	f->s->lane = 0;
	if (session_change(f, SL_S_USER, SL_S_EXCHANGE_BITS) & SL_S_PENDING)
		f->io.readable = true;
	f->owned = true;
	f->x.kernel = false;
	return true;
}

/*
 * The request has gone and all of the answer is in our hands, nothing of it with the client: there
 * is nothing left that BPF could do. So the session can be idle before the client has the answer's
 * end, see releases_early().
 */
void handover_own(struct front *f)
{
	struct exchange *x = &f->x;
	struct back *b = f->back;
	bool sent = x->req_marked || (x->req == SIDE_DONE && request_is_out(f));

	if (x->kernel && b && x->resp == SIDE_DONE && !x->resp_marked && !x->abort &&
	    !x->write_failed && x->counted && sent)
		(void)own(f);
}

/* Whether we began it (see direct.c), and all of the request is still in our hands. */
static bool is_unsent(const struct front *f)
{
	return f->x.kernel && !f->x.req_marked && f->req.data && f->back;
}

/*
 * The lane has ended without a byte of an answer. Of a request that is still in our hands it
 * becomes what it does where BPF has no part. False: it is not.
 */
bool handover_take_back(struct front *f)
{
	return is_unsent(f) && f->x.resp == SIDE_HEAD && own(f);
}

/*
 * The lane takes no byte of the request: so no answer is due, and none begins from here on. @over:
 * since the server is not there any more, which is not to say anything, either. Any other could
 * speak unasked just now (408, say), and BPF be about to send that to the client, which would not
 * be asked: then the next request on this session must not get the answer to this one.
 */
void handover_refused(struct front *f, bool over)
{
	struct exchange *x = &f->x;

	if (!is_unsent(f) || x->resp != SIDE_KERNEL || f->req.pos || x->body_sent ||
	    f->back->l->phase != SL_RESP_HEAD || (session_bits(f) & SL_S_RESP_DONE) || !own(f))
		return;
	x->resp = SIDE_HEAD;
	x->counted = false;
	x->close |= !over;
}

/* Marks what we have finished; true when the exchange is out of our hands. */
bool handover_finish(struct worker *w, struct front *f)
{
	struct exchange *x = &f->x;
	struct back *b = f->back;
	__u32 set = 0, old;
	enum lane_end end;
	bool req, resp, clean;

	if (!side_done(f, &req, &resp))
		return false;
	if (req) /* what is left of a body that no lane took is not the next request */
		f->in.pos = f->in.framed;
	if (resp && x->close) {
		if (!x->counted)
			count_answer(w, f, b);
		handover_seize(w, f, false);
		front_linger(w, f);
		return false;
	}
	if (req && !x->req_marked)
		set |= SL_S_REQ_DONE;
	if (resp && !x->resp_marked)
		set |= SL_S_RESP_DONE;
	/* An answer before the request was whole, or a lane that ends: nobody may reuse it. */
	if (x->lane_close || x->write_failed || (resp && !req && x->resp_marked == false))
		lane_mark_surplus(b);
	if (f->in.pos != f->in.end && req)
		set |= SL_S_PENDING;
	/* One side is still ours, if only to be written: it goes on here. */
	if ((x->req != SIDE_KERNEL && !req) || (x->resp != SIDE_KERNEL && !resp)) {
		session_change(f, set, 0);
		x->req_marked = req;
		x->resp_marked = resp;
		return true;
	}
	if (req && resp && !x->counted)
		count_answer(w, f, b);
	end = lane_end_of(f);
	/* Unbound before the mark: BPF may end the exchange the moment it sees it. */
	f->back = NULL;
	b->front = NULL;
	x->kernel = false;
	exchange_reset(f);
	buffer_drop(w, &f->req);
	buffer_drop(w, &f->rin);
	buffer_drop(w, &f->out);
	clean = (!req || !resp) && f->in.pos == f->in.end;
	if (clean)
		buffer_drop(w, &f->in);
	old = session_change(f, set, 0) | set;
	/* Not before the mark: a worker that follows this one would relay the request again. */
	if (clean)
		SL_WRITE(f->s->user_dirty, 0);
	if ((old & SL_S_REQ_DONE) && (old & SL_S_RESP_DONE)) {
		/* BPF had finished its side before the mark: the end is ours. */
		if (!(req && resp)) {
			x->kernel = true; /* for its reason */
			x->route = f->s->route;
			x->cluster = f->s->cluster;
			x->start_ns = f->s->start_ns;
			count_answer(w, f, b);
			count_direct(w, f);
			exchange_reset(f);
		}
		complete(w, f, b, end);
	}
	return true;
}

/*
 * Takes the whole exchange away from BPF: it passes everything from now on; the lane is closed.
 * @keep: the session may go on after the answer, if the request was whole.
 */
void handover_seize(struct worker *w, struct front *f, bool keep)
{
	struct back *b = f->back ? f->back : handover_lane(w, f);
	__u32 bits = session_change(f, SL_S_USER | SL_S_ABORTED, SL_S_EXCHANGE_BITS);

	/* Both marks: BPF was second and is just ending the exchange; the lane is its to return. */
	bool ended = (bits & SL_S_REQ_DONE) && (bits & SL_S_RESP_DONE);
	bool by_bpf, whole;

	if (!(bits & SL_S_REQ_DONE) || f->x.answered || f->x.close || ended)
		keep = false;
	if (!keep)
		session_change(f, SL_S_CLOSING, 0);
	if (!ended)
		f->s->lane = 0;
	SL_WRITE(f->s->user_dirty, 1);
	f->owned = true;
	if (b) {
		if (b->front)
			b->front->back = NULL;
		b->front = NULL;
		if (!ended && lane_move(b, SL_LANE_KERNEL, SL_LANE_USER))
			lane_close(w, b);
	}
	f->back = NULL;
	if (!f->x.kernel) {
		exchange_reset(f);
		watch_look(w, f);
		f->x.limits = f->watch.limits;
		f->x.route = f->s->route;
		f->x.cluster = f->s->cluster;
		f->x.endpoint = b ? b->endpoint : NO_INDEX;
		f->x.start_ns = f->s->start_ns;
	}
	by_bpf = f->x.resp == SIDE_KERNEL || !f->x.kernel;
	/* By BPF alone, whether response_take_up() has noted it or not: its request is not. */
	whole = (bits & SL_S_RESP_DONE) && (by_bpf || !f->x.answered);
	if (by_bpf) {
		/* The answer was BPF's until now. */
		f->x.counted = ended;
		f->x.answered = ended || (b && b->l->phase == SL_RESP_BODY);
		f->x.resp = SIDE_HEAD;
	}
	/*
	 * What is being moved comes before all that we may say; of a move that never ends, as BPF
	 * finds no memory for it, we cannot tell. So nothing is said, nor asked elsewhere.
	 */
	f->x.answered |= b && sl_lane_is_steered(b->l);
	if (whole && b && !ended)
		count_answer(w, f, b);
	f->x.answered |= whole; /* nothing may be said behind it */
	f->x.kernel = false;
	f->x.req = SIDE_DONE;
	f->x.close = !keep;
	f->x.client_close = false;
	f->x.seized = true;
	f->io.readable = true; /* what came meanwhile is ours now */
}

/*
 * The lane of a seized exchange died without a byte of an answer. BPF kept the head: a request
 * that may be repeated (RFC 9110 section 9.2.2) and has no body goes to another lane.
 * False: it cannot.
 */
bool handover_retry(struct worker *w, struct front *f)
{
	struct exchange *x = &f->x;
	struct sl_head *h = &w->head;
	__u32 status;
	bool ok;

	if (x->close || x->answered || x->interim || f->slot == NO_SLOT ||
	    x->cluster >= SL_MAX_CLUSTERS || x->endpoint >= SL_MAX_ENDPOINTS)
		return false;
	/* One that was relayed is still in there. */
	buffer_drop(w, &f->req);
	if (!buffer_take(w, &f->rin) || !buffer_take(w, &f->req))
		return false;
	sl_maps_request_head(w->maps, f->slot, f->rin.data);
	ok = sl_request_parse(h, f->rin.data, SL_KERNEL_HEAD_MAX) == SL_PARSE_DONE &&
	     request_is_idempotent(h->method) && h->length == 0 && !(h->flags & SL_HEAD_CHUNKED) &&
	     !rewrite_request(w, f, h, f->rin.data);
	buffer_drop(w, &f->rin);
	if (!ok)
		return false;
	x->idempotent = true;
	x->resp = SIDE_HEAD;
	/* That was the dead one. */
	x->lane_close = x->discard = false;
	status = lane_get(w, f, true);
	if (status)
		reply(w, f, status);
	return true;
}
