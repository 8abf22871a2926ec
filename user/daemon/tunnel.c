/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Behind a 101: bytes both ways until both ends are over, each with its half-close. What BPF can
 * it moves itself (see TUNNEL in sl_session.h); the rest passes here, with back-pressure: a way is
 * read on only when what was read has been written.
 *
 * The bytes of the way up are in f->in, those of the way down in f->out (the head of the 101) and
 * then f->rin. An end that is reset resets the other, once that has what was sent before.
 */
#include <errno.h>
#include <netinet/in.h>
#include <linux/tcp.h>
#include <sys/socket.h>
#include "internal.h"

#define STATE_CLOSE 7	      /* TCP_CLOSE, see door.c */
#define CUT_NS (2 * NS_PER_S) /* for the last bytes to be acknowledged, before a reset */

struct way {
	struct io *from;
	struct io *to;
	struct buffer *first; /* to be written before `buf`; or NULL */
	struct buffer *buf;
	__u32 *rx; /* counters of the shared tables */
	__u32 *tx;
	bool *over; /* the end was passed on, or nobody takes more */
	__u32 bit;  /* SL_S_TUNNEL_* */
};

static struct way way_up(struct front *f)
{
	return (struct way){.from = &f->io,
			    .to = &f->back->io,
			    .buf = &f->in,
			    .rx = &f->s->front_rx,
			    .tx = &f->back->l->back_tx,
			    .over = &f->x.up_over,
			    .bit = SL_S_TUNNEL_UP};
}

static struct way way_down(struct front *f)
{
	return (struct way){.from = &f->back->io,
			    .to = &f->io,
			    .first = &f->out,
			    .buf = &f->rin,
			    .rx = &f->back->l->back_rx,
			    .tx = &f->s->front_tx,
			    .over = &f->x.down_over,
			    .bit = SL_S_TUNNEL_DOWN};
}

static bool empty(const struct buffer *b)
{
	return !b || b->pos == b->end;
}

static bool holds_bytes(const struct way *y)
{
	return !empty(y->first) || !empty(y->buf);
}

/* Lets BPF redirect: nothing of this way is in our hands. */
static void way_open(struct front *f, const struct way *y)
{
	if (f->slot != NO_SLOT && f->back->slot != NO_SLOT && !(session_bits(f) & y->bit))
		session_change(f, y->bit, 0);
}

static void way_close(struct front *f, const struct way *y)
{
	if (session_bits(f) & y->bit)
		session_change(f, 0, y->bit);
}

static void cut(struct worker *w, struct front *f)
{
	f->x.cut = true;
	f->x.cut_ns = w->now_ns;
}

/* True: something has come, the end included. */
static bool way_read(struct worker *w, struct front *f, struct way *y)
{
	__u32 room;
	ssize_t n;

	if (!y->from->readable || y->from->eof || *y->over || holds_bytes(y))
		return false;
	/* Before we read: what BPF sees read it must not send what follows ahead of. */
	way_close(f, y);
	if (!buffer_take(w, y->buf)) {
		cut(w, f);
		return false;
	}
	room = buffer_room(y->buf, BUFFER_READ);
	n = recv(y->from->fd, y->buf->data, room, MSG_DONTWAIT);
	if (n > 0) {
		sl_add(y->rx, (__u32)n);
		if ((session_bits(f) & SL_S_TORN) || (lane_bits(f->back) & SL_L_TORN)) {
			cut(w, f);
			return false;
		}
		y->buf->end = y->buf->framed = n;
		if (io_is_dry(y->from, n, room))
			y->from->readable = false;
		return true;
	}
	if (n < 0 && errno == EINTR)
		return true;
	y->from->readable = false;
	if (n < 0 && errno == EAGAIN)
		return false;
	/* A send that BPF put through it may have been told why it ended: see has_closed(). */
	y->from->eof = n == 0 && door_fin(y->from->fd, *y->rx);
	if (!y->from->eof)
		cut(w, f);
	return y->from->eof;
}

static ssize_t send_some(const struct way *y, struct buffer *b)
{
	__u32 len = b->end - b->pos;
	ssize_t n;

	/* Before the write, as in request_offer(). */
	sl_add(y->tx, len);
	n = send(y->to->fd, b->data + b->pos, len, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n < (ssize_t)len)
		sl_add(y->tx, (__u32)(n > 0 ? n : 0) - len);
	return n;
}

/* Nobody takes more: what comes this way is not read, which holds its sender up. */
static void way_dead(struct worker *w, struct way *y)
{
	*y->over = true;
	buffer_drop(w, y->buf);
	if (y->first)
		buffer_drop(w, y->first);
}

static bool way_write(struct worker *w, struct front *f, struct way *y)
{
	struct buffer *b = empty(y->first) ? y->buf : y->first;
	ssize_t n;

	if (!holds_bytes(y) || !y->to->writable || !door_settled(w, f))
		return false;
	n = send_some(y, b);
	if (n < 0 && (errno == EINTR || (errno == ENOMEM && lane_is_asked(f->back))))
		return true;
	if (n < 0 && errno != EAGAIN) {
		/* An end that is there still would wait for what is lost here. */
		if (errno != EPIPE && errno != ECONNRESET)
			cut(w, f);
		way_dead(w, y);
		return true;
	}
	y->to->writable = n == (ssize_t)(b->end - b->pos);
	if (n > 0)
		b->pos += n;
	if (empty(b))
		buffer_drop(w, b);
	return n > 0;
}

/* All of this way is written: passes its end on, or leaves it to BPF. */
static bool way_rest(struct worker *w, struct front *f, struct way *y)
{
	if (*y->over || holds_bytes(y))
		return false;
	buffer_drop(w, y->buf);
	if (!y->from->eof) {
		if (!y->from->readable)
			way_open(f, y);
		return false;
	}
	if (!door_settled(w, f))
		return false;
	*y->over = true;
	(void)shutdown(y->to->fd, SHUT_WR);
	return true;
}

/* Whether the far end has not acknowledged all yet; one that was reset never will. */
static bool unsent(int fd)
{
	struct tcp_info info = {0};
	socklen_t len = sizeof(info);

	return !getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) &&
	       info.tcpi_state != STATE_CLOSE && (info.tcpi_unacked || info.tcpi_notsent_bytes);
}

/* An end was reset. What came before it is delivered, then the other end is reset. */
static void tunnel_cut(struct worker *w, struct front *f)
{
	int front_fd = f->io.fd, back_fd = f->back->io.fd;

	if (w->now_ns - f->x.cut_ns < CUT_NS && (unsent(front_fd) || unsent(back_fd))) {
		if (list_empty(&f->undrained))
			list_add(&w->undrained, &f->undrained);
		return;
	}
	socket_resets(front_fd);
	socket_resets(back_fd);
	front_close(w, f);
}

void tunnel_break(struct worker *w, struct front *f)
{
	cut(w, f);
	tunnel_cut(w, f);
}

void tunnel_run(struct worker *w, struct front *f)
{
	bool more = true, moved = false;

	for (int n = 0; more && n < TURN_ROUNDS && !f->x.cut; n++) {
		struct way ways[] = {way_up(f), way_down(f)};

		more = false;
		for (int i = 0; i < 2; i++) {
			more |= way_read(w, f, &ways[i]);
			more |= way_write(w, f, &ways[i]);
			more |= way_rest(w, f, &ways[i]);
		}
		moved |= more;
		if (!list_empty(&f->undrained))
			return;
	}
	if (f->x.cut) {
		tunnel_cut(w, f);
	} else if (f->x.up_over && f->x.down_over) {
		front_close(w, f);
	} else {
		if (more)
			exchange_wait_turn(w, f);
		exchange_deadline(w, f, moved);
	}
}

/* For BPF to find one by the other; the bits of the ways come later. */
static void tunnel_bind(struct front *f)
{
	struct back *b = f->back;

	if (f->slot == NO_SLOT || b->slot == NO_SLOT)
		return;
	b->l->session_gen = f->gen;
	b->l->session = f->slot + 1;
	f->s->lane_gen = b->gen;
	f->s->lane = b->slot + 1;
	__sync_fetch_and_or(&b->l->word, (__u64)SL_L_TUNNEL);
}

bool tunnel_begin(struct worker *w, struct front *f, const struct sl_head *h)
{
	struct exchange *x = &f->x;
	struct buffer *rin = &f->rin;

	/* RFC 9110 section 7.8: nobody switches unasked, nor before the request is whole. */
	if (!x->upgrade || x->kernel || x->req != SIDE_DONE || f->req.pos != f->req.end ||
	    f->in.pos != f->in.framed)
		return false;
	if (!buffer_take(w, &f->out) || !rewrite_switch(w, f, h, rin->data))
		return false;
	rin->pos = rin->framed = h->len;
	if (rin->pos == rin->end)
		buffer_drop(w, rin);
	if (f->in.pos == f->in.end)
		buffer_drop(w, &f->in);
	buffer_drop(w, &f->req);
	buffer_drop(w, &f->cookies);
	x->status = h->status;
	x->answered = x->close = x->lane_close = true;
	x->client_close = false;
	x->resp = SIDE_BODY;
	x->resp_body = (struct sl_body){.kind = SL_BODY_CLOSE};
	count_exchange(w, f, h->status);
	tunnel_bind(f);
	x->tunnel = true;
	return true;
}
