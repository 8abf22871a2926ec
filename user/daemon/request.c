/* SPDX-License-Identifier: GPL-2.0-only */
/* The request side of an exchange: read from the client, frame, write to the lane. */
#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include "mutate.h"
#include "util/normal.h"

/* Over the limit of memory: 503, as Envoy words it. */
static __u32 overloaded(struct worker *w, struct front *f)
{
	count_limit(w, SL_COUNT_DOWN_RQ_OVERLOAD, NO_INDEX);
	f->x.why = "envoy overloaded\n";
	f->x.overloaded = true;
	return 503;
}

/*
 * Not even the head of a request is read: who sends it byte by byte would have its memory. There is
 * something to be read, and no FIN alone.
 */
static bool request_unread(struct worker *w, struct front *f)
{
	__u8 byte;

	if (f->x.req != SIDE_HEAD || f->in.data || !limits_heap_full(w) ||
	    recv(f->io.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) <= 0)
		return false;
	f->x.start_ns = clock_ns();
	f->x.close = true;
	reply(w, f, overloaded(w, f));
	return true;
}

bool request_read(struct worker *w, struct front *f)
{
	struct exchange *x = &f->x;
	ssize_t n;
	__u32 room;

	if (!f->io.readable || (x->req == SIDE_HEAD ? !f->owned : x->req != SIDE_BODY))
		return false;
	if (request_unread(w, f))
		return true;
	if (!buffer_take(w, &f->in)) {
		exchange_give_up(w, f);
		return false;
	}
	room = buffer_room(&f->in, BUFFER_READ);
	if (!room)
		return false;
	n = recv(f->io.fd, f->in.data + f->in.end, room, MSG_DONTWAIT);
	if (n > 0) {
		sl_add(&f->s->front_rx, (__u32)n);
		if (session_bits(f) & SL_S_TORN) {
			front_close(w, f);
			return false;
		}
		f->in.end += n;
		if (io_is_dry(&f->io, n, room))
			f->io.readable = false;
		return true;
	}
	if (n < 0 && errno == EINTR)
		return true;
	f->io.readable = false;
	if (n == 0) {
		f->io.eof = true;
		return true;
	}
	if (errno != EAGAIN)
		front_close(w, f);
	return false;
}

/* RFC 9112 section 2.2: empty lines before a request are skipped. */
static void skip_empty_lines(struct buffer *in)
{
	while (in->end - in->pos >= 2 && in->data[in->pos] == '\r' && in->data[in->pos + 1] == '\n')
		in->pos += 2;
	in->framed = in->pos;
}

/* CR alone: of an empty line perhaps, which is cut here. No request begins with it. */
static bool is_half_line(const struct buffer *in)
{
	return in->end == 1 && in->data[0] == '\r';
}

bool request_is_idempotent(__u8 method)
{
	switch (method) {
	case SL_METHOD_GET:
	case SL_METHOD_HEAD:
	case SL_METHOD_PUT:
	case SL_METHOD_DELETE:
	case SL_METHOD_OPTIONS:
	case SL_METHOD_TRACE:
		return true;
	}
	return false;
}

/*
 * A client that was taken for one that sends a single request per connection (see sl_streak) and
 * does not: a connection of a pool, opened beside others that are not. It can only be captured when
 * it is opened anew.
 */
static bool is_misjudged(struct front *f)
{
	return f->one_shot && ++f->requests >= ONE_SHOT_MAX;
}

/* What the head says about the exchange. */
static void exchange_describe(struct worker *w, struct front *f, const struct sl_head *h)
{
	struct exchange *x = &f->x;

	x->start_ns = clock_ns();
	x->head_method = h->method == SL_METHOD_HEAD;
	x->idempotent = request_is_idempotent(h->method);
	x->client10 = h->flags & SL_HEAD_HTTP10;
	x->client_close =
		(h->flags & SL_HEAD_CLOSE) || (x->client10 && !(h->flags & SL_HEAD_KEEP_ALIVE));
	x->close = x->client_close || w->draining || f->ending || is_misjudged(f);
	x->expects = (h->flags & SL_HEAD_EXPECT_CONTINUE) && !x->client10;
	x->req_body = sl_request_body(h);
	x->req = x->req_body.kind == SL_BODY_NONE ||
				 (x->req_body.kind == SL_BODY_LENGTH && !x->req_body.left)
			 ? SIDE_DONE
			 : SIDE_BODY;
	x->resp = SIDE_HEAD;
}

/* The route itself answers. */
static void request_answer(struct worker *w, struct front *f)
{
	const struct sl_route_action *action = action_of(w, f);
	const struct sl_redirect *redirect = action ? action->redirect : NULL;

	if (redirect)
		reply_redirect(w, f, redirect->status, redirect_location(redirect, &w->request));
	else
		reply_direct(w, f, &w->args->compiled->directs[f->x.route]);
}

static __u32 request_send(struct worker *w, struct front *f, struct sl_head *h, const __u8 *buf)
{
	__u32 status;

	if (h->method == SL_METHOD_CONNECT || (h->flags & SL_HEAD_AUTHORITY))
		return 501;
	if (f->refused) {
		f->x.why = "too many connections\n";
		return 503;
	}
	if (limits_heap_full(w))
		return overloaded(w, f);
	/* RFC 9110 section 10.1.1 */
	if ((h->flags & SL_HEAD_EXPECT) && !(h->flags & SL_HEAD_EXPECT_CONTINUE))
		return 417;
	if ((h->flags & SL_HEAD_MAX_FORWARDS) && hops_end(w, f, h, buf))
		return 0;
	status = route_request(w, f, h, buf);
	if (!buffer_take(w, &f->req))
		return 503;
	if (status || f->x.cluster == NO_INDEX) {
		rewrite_kept(w, f, h, buf);
		if (!status)
			request_answer(w, f);
		return status;
	}
	status = rewrite_request(w, f, h, buf);
	if (status)
		return status;
	f->x.upgrade = upgrade_asked(h, buf);
	if (f->x.upgrade && !upgrade_add(&f->req, h, buf))
		return 431;
	mirror_begin(w, f);
	keep_begin(w, f);
	status = lane_get(w, f, false);
	if (status && !f->x.overloaded && retry_failed(w, f, FAILURE_CONNECT))
		return 0;
	return status;
}

/* Over the listener's limits, if not over the parser's. */
static bool head_is_large(struct worker *w, struct front *f, const struct sl_head *h)
{
	const struct sl_listener_limits *l = limits_of_listener(w, f);

	if (h->len <= l->max_head && h->n_headers <= l->max_headers)
		return false;
	count_limit(w, SL_COUNT_DOWN_RQ_HEAD_LARGE, NO_INDEX);
	f->x.start_ns = clock_ns();
	f->x.close = true;
	return true;
}

/* The head as the listener wants it. True: the request is answered. */
static bool request_normal(struct worker *w, struct front *f, struct sl_head *h)
{
	const struct sl_config_action *config = config_action_of(w, f);
	struct buffer *in = &f->in;
	struct sl_normal n = {0};
	__u32 status;

	if (config)
		sl_config_normal(
			config,
			config->n_internal_only && client_is_internal(f, config, h, in->data), &n);
	if (!n.flags && !n.n_removed)
		return false;
	n.port = w->args->compiled->listeners[f->s->listener].port;
	status = sl_normalize(&n, h, in->data, &in->end, BUFFER_CAP);
	if (!status && !n.redirect)
		return false;
	if (status) {
		/* A head that could not be changed may not be whole any more: nothing follows it.
		 */
		f->x.start_ns = clock_ns();
		f->x.close = true;
		reply(w, f, status);
		return true;
	}
	exchange_describe(w, f, h);
	in->pos = in->framed = h->len;
	reply_redirect(w, f, 307,
		       (struct text){(const char *)in->data + h->target.off, h->target.len});
	return true;
}

static bool request_head(struct worker *w, struct front *f)
{
	struct exchange *x = &f->x;
	struct buffer *in = &f->in;
	struct sl_head *h = &w->head;
	enum sl_parse parse;
	__u32 status, len;

	skip_empty_lines(in);
	if (in->pos == in->end) {
		in->pos = in->framed = in->end = 0;
		return false;
	}
	/* The parser wants SL_HEAD_MAX bytes of memory behind the first. */
	if (in->pos) {
		memmove(in->data, in->data + in->pos, in->end - in->pos);
		in->end -= in->pos;
		in->pos = in->framed = 0;
	}
	len = in->end < SL_HEAD_MAX ? in->end : SL_HEAD_MAX;
	parse = is_half_line(in) ? SL_PARSE_MORE : sl_request_parse(h, in->data, len);
	if (parse == SL_PARSE_MORE && len < limits_of_listener(w, f)->max_head) {
		if (f->io.eof)
			front_close(w, f);
		return false;
	}
	count_reason(w, f, h, parse);
	if (parse != SL_PARSE_DONE) {
		x->start_ns = clock_ns();
		x->close = true;
		status = h->error ? h->error : 400;
		if (parse == SL_PARSE_MORE) /* over the listener's limit; in its first line: 414 */
			status = h->scan_line ? 431 : 414;
		if (parse == SL_PARSE_MORE || parse == SL_PARSE_LONG)
			count_limit(w, SL_COUNT_DOWN_RQ_HEAD_LARGE, NO_INDEX);
		reply(w, f, status);
		return true;
	}
	if (head_is_large(w, f, h)) {
		reply(w, f, 431);
		return true;
	}
	if (request_normal(w, f, h))
		return true;
	exchange_describe(w, f, h);
	in->pos = in->framed = h->len;
	status = request_send(w, f, h, in->data);
	if (status)
		reply(w, f, status);
	return true;
}

/* No strict body: 400, if nothing of an answer has gone out; what the lane has of it is cut. */
static void request_body_bad(struct worker *w, struct front *f)
{
	struct exchange *x = &f->x;

	/* BPF may have begun the answer: this tells, and it begins none from here on. */
	if (x->kernel)
		handover_seize(w, f, false);
	x->close = true;
	x->req = SIDE_DONE;
	if (x->answered)
		x->abort = true;
	else
		reply(w, f, 400);
}

/* Follows the body's framing through what was read. */
static bool request_body(struct worker *w, struct front *f)
{
	struct exchange *x = &f->x;
	struct buffer *in = &f->in;
	__u32 before = in->framed, dropped = 0, used;
	enum sl_body_result rc;

	if (in->framed < in->end) {
		rc = sl_body_feed(&x->req_body, in->data + in->framed, in->end - in->framed, &used);
		in->framed += used;
		if (rc == SL_BODY_DONE) {
			x->req = SIDE_DONE;
		} else if (rc == SL_BODY_BAD) {
			request_body_bad(w, f);
			return true;
		}
	}
	if (x->discard) {
		dropped = in->framed - in->pos;
		x->discarded += dropped;
		in->pos = in->framed;
	}
	if (x->req == SIDE_BODY && f->io.eof && in->framed == in->end) {
		/* The client left in the middle of its request; it may read on. */
		exchange_give_up(w, f);
		return false;
	}
	/* What was dropped made room to read on. */
	return dropped || in->framed != before;
}

bool request_advance(struct worker *w, struct front *f)
{
	bool more = false;

	if (f->x.req == SIDE_HEAD && f->owned && f->in.data)
		more = request_head(w, f);
	/* What came with the head goes out with the head. */
	if (f->io.fd >= 0 && f->x.req == SIDE_BODY && f->in.data)
		more |= request_body(w, f);
	if (f->io.fd >= 0) {
		keep_body(f);
		mirror_fire(w, f);
	}
	return more;
}

/* Takes @n written bytes off the front of @a, then of @b. Returns those of @b. */
static __u32 written(struct buffer *a, struct buffer *b, __u32 n)
{
	__u32 first = a->end - a->pos;

	if (n <= first) {
		a->pos += n;
		return 0;
	}
	a->pos += first;
	b->pos += n - first;
	return n - first;
}

/*
 * MSG_MORE: more of the body is here already, and goes out when it has been read. Without it each
 * piece that we read would end in a small segment of its own.
 */
static int request_follows(const struct front *f)
{
	return f->x.req == SIDE_BODY && f->io.readable && ends_are_remote(f) ? MSG_MORE : 0;
}

bool request_offer(struct worker *w, struct front *f, struct parts *ret)
{
	const struct exchange *x = &f->x;
	struct back *b = f->back;
	__u32 head = f->req.end - f->req.pos, body = f->in.framed - f->in.pos;

	if (!b || x->connecting || x->write_failed || !b->io.writable || x->discard)
		return false;
	if (x->req != SIDE_BODY && x->req != SIDE_DONE)
		body = 0;
	if (!head && !body)
		return false;
	*ret = (struct parts){.fd = b->io.fd, .flags = request_follows(f)};
	parts_add(ret, &f->req, head);
	parts_add(ret, &f->in, body);
	if (!b->corked && outbox_add(w, f, ret))
		return false;
	/* Before the write: BPF must see them coming before the server can answer them. */
	sl_add(&b->l->back_tx, ret->total);
	return true;
}

void request_drop(struct front *f)
{
	f->x.write_failed = true;
	f->x.discard = true;
}

/* A short body goes into most servers' window. */
bool request_is_long(const struct front *f)
{
	return f->x.body_sent > SWALLOWED_MIN;
}

/*
 * A server that answers early, and reads no more, leaves the rest in our socket: what comes next on
 * the lane would wait behind it. Where it reads all first, all has been sent. Of a request whose
 * last bytes are BPF's, or whose answer ends before we know, see settle.c.
 */
__u32 request_unsent(const struct front *f)
{
	const struct exchange *x = &f->x;

	if (!request_is_long(f) || !f->back || x->write_failed || x->tunnel ||
	    (x->resp != SIDE_DONE && !(x->kernel && (session_bits(f) & SL_S_RESP_DONE))))
		return 0;
	return lane_unsent(f->back);
}

bool request_is_out(const struct front *f)
{
	return f->req.pos == f->req.end && f->in.pos == f->in.framed && !request_unsent(f);
}

bool request_written(struct front *f, const struct parts *parts, ssize_t n)
{
	struct exchange *x = &f->x;
	struct back *b = f->back;

	b->corked = parts->flags;
	if (n < (ssize_t)parts->total)
		sl_add(&b->l->back_tx, (__u32)(n > 0 ? n : 0) - parts->total);
	if (n > 0) {
		x->body_sent += written(&f->req, &f->in, n);
		/* Of a redirect that found memory for some: its socket is writable all the time. */
		if (n < (ssize_t)parts->total && !(lane_bits(b) & SL_L_PAIRED))
			b->io.writable = false;
		return true;
	}
	if (n == -EINTR || (n == -ENOMEM && lane_is_asked(b)))
		return true;
	b->io.writable = false;
	if (n == -EAGAIN)
		return false;
	/* It takes no more; but it may have answered before it closed. */
	b->io.reset |= n == -ECONNRESET; /* after its FIN it would be EPIPE (tcp_reset()) */
	/* A server that is there still would wait for the rest, and the client for its answer. */
	if (n != -EPIPE && n != -ECONNRESET)
		(void)shutdown(b->io.fd, SHUT_WR);
	request_drop(f);
	b->io.readable = true;
	handover_refused(f, n == -EPIPE || n == -ECONNRESET);
	return true;
}

bool request_write(struct worker *w, struct front *f)
{
	struct parts parts;

	/* An answer may come before all of it is out: nothing but its rest follows then. */
	if (f->x.answered)
		buffer_drop_if_empty(w, &f->req);
	return request_offer(w, f, &parts) && request_written(f, &parts, parts_send(&parts));
}
