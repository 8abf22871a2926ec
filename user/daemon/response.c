/* SPDX-License-Identifier: GPL-2.0-only */
/* The response side of an exchange: read from the lane, frame, write to the client. */
#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include "mutate.h"

#define RELEASE_MAX 16384 /* bytes that an empty send buffer always takes at once */

/*
 * The lane did not take a byte of the request: what is not there by now is no answer to it. The
 * lane's end may never be told, if it was not that what the write failed for.
 */
static bool is_refused(const struct front *f)
{
	const struct exchange *x = &f->x;

	return x->write_failed && !x->kernel && x->resp == SIDE_HEAD && !f->rin.end &&
	       !f->req.pos && !x->body_sent && !x->interim;
}

bool response_read(struct worker *w, struct front *f)
{
	struct exchange *x = &f->x;
	struct back *b = f->back;
	ssize_t n;
	__u32 room;

	if (!b || x->connecting || !b->io.readable || f->pipe.n ||
	    (x->resp != SIDE_HEAD && x->resp != SIDE_BODY))
		return false;
	if (!buffer_take(w, &f->rin)) {
		exchange_give_up(w, f);
		return false;
	}
	/* An answer of 64 KiB is here at once, with its head; what follows is cheaper in 64 KiB. */
	room = buffer_room(&f->rin, x->resp == SIDE_HEAD ? BUFFER_CAP : BUFFER_READ);
	if (!room)
		return false;
	n = recv(b->io.fd, f->rin.data + f->rin.end, room, MSG_DONTWAIT);
	if (n > 0) {
		sl_add(&b->l->back_rx, (__u32)n);
		if (lane_bits(b) & SL_L_TORN) {
			front_close(w, f);
			return false;
		}
		f->rin.end += n;
		if (io_is_dry(&b->io, n, room))
			b->io.readable = false;
		return true;
	}
	if (n < 0 && errno == EINTR)
		return true;
	b->io.readable = false;
	if (n < 0 && errno == EAGAIN && !is_refused(f))
		return false;
	b->io.reset |= n < 0;
	b->io.eof = true;
	x->lane_close = true;
	return true;
}

/* An answer that is not HTTP: 502 if the client has seen nothing of it. */
static void response_bad(struct worker *w, struct front *f)
{
	if (f->back)
		outlier_report(w, f->back->endpoint, 502);
	if (f->x.kernel)
		handover_seize(w, f, true);
	f->x.lane_close = true;
	if (!retry_failed(w, f, FAILURE_RESET))
		reply(w, f, 502);
}

static void response_interim(struct worker *w, struct front *f, const struct sl_head *h)
{
	struct buffer *rin = &f->rin;

	f->x.interim = true;
	f->x.continued |= h->status == 100;
	/* RFC 9110 section 15.2: not for an HTTP/1.0 client. */
	if (!f->x.client10) {
		if (!buffer_take(w, &f->out) || !rewrite_interim(w, &f->out, h, rin->data)) {
			response_bad(w, f);
			return;
		}
	}
	rin->pos = rin->framed = h->len;
}

/*
 * The client waits for 100 Continue: behind an answer that does not want the body (RFC 9110 section
 * 10.1.1) most do not send it, and go on with their next request.
 */
static bool awaits_continue(const struct front *f)
{
	const struct exchange *x = &f->x;

	return x->expects && x->req == SIDE_BODY && !x->continued && !x->body_sent &&
	       f->in.framed == f->in.pos;
}

static void response_final(struct worker *w, struct front *f, const struct sl_head *h)
{
	struct exchange *x = &f->x;
	struct buffer *rin = &f->rin;
	/* What BPF began is reported by whoever counts it. */
	const __u32 reported = f->back && !x->kernel ? f->back->endpoint : NO_INDEX;

	if (retry_answer(w, f, h, rin->data)) {
		outlier_report(w, reported, h->status);
		return;
	}
	x->status = h->status;
	x->resp_body = sl_response_body(h, x->head_method);
	if ((h->flags & SL_HEAD_CLOSE) ||
	    ((h->flags & SL_HEAD_HTTP10) && !(h->flags & SL_HEAD_KEEP_ALIVE)) ||
	    x->resp_body.kind == SL_BODY_CLOSE)
		x->lane_close = true;
	if (x->resp_body.kind == SL_BODY_CLOSE)
		x->close = true;
	/* RFC 9112 section 6.1: no chunked to HTTP/1.0 clients; the body ends with the session. */
	x->dechunk = x->client10 && x->resp_body.kind == SL_BODY_CHUNKED;
	if (x->dechunk)
		x->close = true;
	if (f->ending || w->draining)
		x->close = true;
	/* The lane will take no more of the request: nor shall we. */
	if (x->lane_close && x->req != SIDE_DONE && !(session_bits(f) & SL_S_REQ_DONE))
		x->close = true;
	if (h->status >= 300 && awaits_continue(f))
		x->close = true;
	if (!buffer_take(w, &f->out) || !rewrite_response(w, f, h, rin->data)) {
		response_bad(w, f);
		return;
	}
	outlier_report(w, reported, h->status);
	x->answered = true;
	/* Nothing is repeated any more, but the lane is to have all of it: see request_write(). */
	x->keep = false;
	buffer_drop(w, &f->cookies);
	rin->pos = rin->framed = h->len;
	x->resp = SIDE_BODY;
	if (x->kernel && f->back) {
		f->back->l->status = h->status;
		f->back->l->phase = SL_RESP_BODY;
	}
}

static void response_complete(struct worker *w, struct front *f)
{
	struct exchange *x = &f->x;
	struct buffer *rin = &f->rin;

	x->resp = SIDE_DONE;
	/* Bytes that no request asked for: they go nowhere, and the lane with them. */
	if (rin->framed < rin->end) {
		rin->end = rin->framed;
		x->lane_close = true;
	}
	/* What it has not taken of a request that is whole here is not waited for. */
	if (x->lane_close && x->req == SIDE_DONE)
		x->write_failed |= f->req.pos != f->req.end || f->in.pos != f->in.framed;
	if (!x->kernel || handover_counts(f)) {
		count_exchange(w, f, x->status);
		if (x->kernel && f->back)
			outlier_report(w, f->back->endpoint, x->status);
	}
}

/*
 * Whether there is room for @h in `out` behind what is not written yet. What configs add has no
 * bound but the whole of it; what we add besides fits in what the buffer is larger than a head.
 */
static bool fits_behind(const struct worker *w, const struct front *f, const struct sl_head *h)
{
	const struct buffer *out = &f->out;

	if (out->pos == out->end)
		return true;
	return !action_of(w, f) && !forwarded_any(w, f) && !f->cookies.data &&
	       out->end + h->len <= SL_HEAD_MAX;
}

static bool response_head(struct worker *w, struct front *f)
{
	struct buffer *rin = &f->rin;
	struct sl_head *h = &w->head;
	__u32 len;

	/* Earlier interim answers go first, so a stream of them is bounded. */
	if (f->out.end > BUFFER_CAP / 2 && f->out.pos < f->out.end)
		return false;
	if (rin->pos) {
		memmove(rin->data, rin->data + rin->pos, rin->end - rin->pos);
		rin->end -= rin->pos;
		rin->pos = rin->framed = 0;
	}
	len = rin->end < SL_HEAD_MAX ? rin->end : SL_HEAD_MAX;
	switch (len ? sl_response_parse(h, rin->data, len) : SL_PARSE_MORE) {
	case SL_PARSE_MORE:
		if (len == SL_HEAD_MAX) {
			response_bad(w, f);
			return true;
		}
		if (!f->back->io.eof)
			return false;
		if (len)
			response_bad(w, f);
		else
			exchange_lane_failed(w, f);
		return true;
	case SL_PARSE_DONE:
		if (!fits_behind(w, f, h))
			return false;
		if (h->status == 101) {
			if (!tunnel_begin(w, f, h))
				response_bad(w, f);
			return true;
		}
		if (h->status < 200)
			response_interim(w, f, h);
		else
			response_final(w, f, h);
		return true;
	default:
		response_bad(w, f);
		return true;
	}
}

/* Drops the chunk framing in place: what is ready ends at rin->framed. */
static enum sl_body_result response_dechunk(struct exchange *x, struct buffer *rin)
{
	__u32 scan = rin->framed, used;
	enum sl_body_result rc = SL_BODY_MORE;

	while (scan < rin->end && rc == SL_BODY_MORE) {
		__u32 data = sl_body_skip(&x->resp_body, rin->end - scan);

		memmove(rin->data + rin->framed, rin->data + scan, data);
		rin->framed += data;
		scan += data;
		if (scan == rin->end)
			break;
		/* A byte at a time up to the next data: lines are short. */
		rc = sl_body_feed(&x->resp_body, rin->data + scan, 1, &used);
		scan += used;
	}
	if (scan < rin->end)
		x->lane_close = true;
	rin->end = rin->framed;
	return rc;
}

/*
 * A reset is no end of a body that ends with the connection (RFC 9112 section 8). A socket tells it
 * once, to whoever asks first: a worker that died then, or a send that BPF put through our end. To
 * the next recv() says 0, as it does behind a FIN.
 */
static bool has_closed(const struct back *b)
{
	return !b->io.reset && door_fin(b->io.fd, b->l->back_rx);
}

static bool response_body(struct worker *w, struct front *f)
{
	struct exchange *x = &f->x;
	struct buffer *rin = &f->rin;
	enum sl_body_result rc = SL_BODY_MORE;
	__u32 before = rin->framed, used = 0;

	if (x->dechunk) {
		if (rin->framed < rin->end)
			rc = response_dechunk(x, rin);
	} else {
		/* Also without a byte: a body may be empty. */
		rc = sl_body_feed(&x->resp_body, rin->data + rin->framed, rin->end - rin->framed,
				  &used);
		rin->framed += used;
	}
	if (rc == SL_BODY_DONE ||
	    (x->resp_body.kind == SL_BODY_CLOSE && f->back->io.eof && has_closed(f->back))) {
		response_complete(w, f);
		return true;
	}
	if (rc == SL_BODY_BAD || (f->back->io.eof && rin->framed == rin->end)) {
		x->abort = true;
		rin->end = rin->framed;
		x->resp = SIDE_DONE;
		return true;
	}
	return rin->framed != before;
}

bool response_advance(struct worker *w, struct front *f)
{
	bool more = false;

	if (!f->back)
		return false;
	/* Interim heads, the final one and what of its body came with it, in one write. */
	while (f->x.resp == SIDE_HEAD && f->back && !f->x.connecting &&
	       (f->rin.data || f->back->io.eof) && response_head(w, f))
		more = true;
	if (f->x.resp == SIDE_BODY && !f->x.tunnel && f->back && f->rin.data)
		more |= response_body(w, f);
	return more;
}

/*
 * Whether this write is the whole answer of an exchange that leaves nothing behind, and will not
 * be partial: then the session can be idle before the client has its answer. Done after the
 * write, a client that is quick (it may take our CPU) finds the session ours, time after time.
 */
static bool releases_early(const struct worker *w, const struct front *f, __u32 total)
{
	const struct exchange *x = &f->x;

	return f->owned && f->slot != NO_SLOT && !x->kernel && !x->seized && !x->close &&
	       !f->ending && !x->abort && !x->interim && x->resp == SIDE_DONE &&
	       x->req == SIDE_DONE && !f->back && !f->pipelined && f->in.pos == f->in.end &&
	       !f->io.readable && !f->io.rdhup && !w->draining && f->out.pos == 0 &&
	       f->out.end > 0 && total <= RELEASE_MAX;
}

/* See request_follows(). */
static int response_follows(const struct front *f)
{
	return f->x.resp == SIDE_BODY && f->back && f->back->io.readable && ends_are_remote(f)
		       ? MSG_MORE
		       : 0;
}

bool response_offer(struct worker *w, struct front *f, struct parts *ret)
{
	__u32 first = f->out.end - f->out.pos, second = f->rin.framed - f->rin.pos;

	if (!f->io.writable || (!first && !second) || !door_moved(w, f))
		return false;
	*ret = (struct parts){.fd = f->io.fd, .first = first, .flags = response_follows(f)};
	parts_add(ret, &f->out, first);
	parts_add(ret, &f->rin, second);
	if (!f->corked && outbox_add(w, f, ret))
		return false;
	ret->early = releases_early(w, f, ret->total);
	/* Before the release: BPF takes no request while these bytes are not written. */
	sl_add(&f->s->front_tx, ret->total);
	if (ret->early)
		session_release(f, true);
	return true;
}

bool response_written(struct front *f, const struct parts *parts, ssize_t n)
{
	const __u32 total = parts->total;

	f->corked = parts->flags;
	if (parts->early && n == (ssize_t)total)
		SL_WRITE(f->s->user_dirty, 0);
	else if (parts->early && session_take(f) == TAKE_OWN)
		f->owned = true;
	else if (parts->early)
		n = -EPIPE; /* the order of bytes cannot be kept: end it */
	/* Behind the taking back, as above. */
	if (n < (ssize_t)total)
		sl_add(&f->s->front_tx, (__u32)(n > 0 ? n : 0) - total);
	if (n > 0) {
		f->tx_seen += n;
		if (n < (ssize_t)total)
			f->io.writable = false;
		if ((__u32)n < parts->first) {
			f->out.pos += n;
		} else {
			f->out.pos += parts->first;
			f->rin.pos += n - parts->first;
			f->out.pos = f->out.end = f->out.framed = 0;
		}
		return true;
	}
	if (n == -EINTR)
		return true;
	f->io.writable = false;
	f->io.failed |= n != -EAGAIN;
	return false;
}

bool response_write(struct worker *w, struct front *f)
{
	struct parts parts;

	if (!response_offer(w, f, &parts))
		return false;
	if (response_written(f, &parts, parts_send(&parts)))
		return true;
	if (f->io.failed)
		front_abort(w, f);
	return false;
}
