// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mirrored requests (Envoy's shadows): a copy of a whole request to another cluster, whose answer
 * is read and dropped. Nobody waits for it: what does not fit, finds no connection or takes too
 * long is given up. A lane of the cluster is used as for any request.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include "mutate.h"

#define MIRROR_NS (15 * NS_PER_S) /* to the end of the answer */
#define MIRRORS_MAX 1024	  /* under way at a time */

struct mirror {
	struct list all; /* worker.mirrors */
	struct back *back;
	struct buffer in; /* the answer */
	struct sl_body body;
	__u64 until_ns;
	__u32 len;
	__u32 sent;
	bool head_method;
	bool in_body;
	bool lane_close;
	__u8 request[]; /* [len] */
};

void mirror_lost(struct worker *w, struct back *b)
{
	struct mirror *m = b->mirror;

	if (!m)
		return;
	b->mirror = NULL;
	list_del(&m->all);
	w->n_mirrors--;
	SL_WRITE(w->mirror_bytes, w->mirror_bytes - m->len);
	buffer_drop(w, &m->in);
	free(m);
}

static void give_up(struct worker *w, struct mirror *m)
{
	lane_close(w, m->back);
}

/* There is no answer, which counts as @status: its endpoint is to blame, as for any request. */
static void fail(struct worker *w, struct mirror *m, __u32 status)
{
	if (!m->in_body)
		outlier_report(w, m->back->endpoint, status);
	give_up(w, m);
}

static void finish(struct worker *w, struct mirror *m)
{
	struct back *b = m->back;
	bool reusable =
		!m->lane_close && m->in.framed == m->in.end && m->sent == m->len && !b->io.eof;
	bool settles = reusable && m->len > SWALLOWED_MIN;

	mirror_lost(w, b);
	if (settles)
		lane_settle(w, b);
	else
		lane_release(w, b, reusable);
}

/* ---- the answer ---- */

/* False: there is more to come. The mirror may be gone. */
static bool answer_head(struct worker *w, struct mirror *m)
{
	struct sl_head *h = &w->request_head;
	struct buffer *in = &m->in;
	__u32 len;

	if (in->pos) {
		memmove(in->data, in->data + in->pos, in->end - in->pos);
		in->end -= in->pos;
		in->pos = in->framed = 0;
	}
	len = in->end < SL_HEAD_MAX ? in->end : SL_HEAD_MAX;
	switch (sl_response_parse(h, in->data, len)) {
	case SL_PARSE_DONE:
		break;
	case SL_PARSE_MORE:
		if (len < SL_HEAD_MAX)
			return false;
		/* fall through */
	default:
		fail(w, m, 502);
		return true;
	}
	in->pos = in->framed = h->len;
	if (h->status < 200)
		return h->status == 101 ? fail(w, m, 502), true : true;
	outlier_report(w, m->back->endpoint, h->status);
	m->body = sl_response_body(h, m->head_method);
	m->lane_close = (h->flags & SL_HEAD_CLOSE) || m->body.kind == SL_BODY_CLOSE ||
			((h->flags & SL_HEAD_HTTP10) && !(h->flags & SL_HEAD_KEEP_ALIVE));
	m->in_body = true;
	return true;
}

/* Drops what is there of the body. True: the mirror is gone. */
static bool answer_body(struct worker *w, struct mirror *m)
{
	struct buffer *in = &m->in;
	enum sl_body_result rc;
	__u32 used = 0;

	rc = sl_body_feed(&m->body, in->data + in->framed, in->end - in->framed, &used);
	in->framed += used;
	in->pos = in->framed;
	if (rc == SL_BODY_DONE)
		finish(w, m);
	else if (rc == SL_BODY_BAD)
		give_up(w, m);
	return rc != SL_BODY_MORE;
}

/* True: the mirror is gone. */
static bool answer_read(struct worker *w, struct mirror *m)
{
	struct back *b = m->back;
	ssize_t n;

	if (!buffer_take(w, &m->in)) {
		give_up(w, m);
		return true;
	}
	for (int i = 0; i < TURN_ROUNDS; i++) {
		__u32 room = buffer_room(&m->in, BUFFER_READ);

		n = recv(b->io.fd, m->in.data + m->in.end, room, MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			b->io.readable = false;
			return false;
		}
		if (n <= 0) {
			fail(w, m, 502);
			return true;
		}
		sl_add(&b->l->back_rx, (__u32)n);
		m->in.end += n;
		while (!m->in_body && m->in.pos < m->in.end && answer_head(w, m))
			if (!b->mirror)
				return true;
		if (m->in_body && answer_body(w, m))
			return true;
	}
	lane_again(w, b); /* copies are nobody's hurry */
	return false;
}

void mirror_event(struct worker *w, struct back *b)
{
	struct mirror *m = b->mirror;
	ssize_t n;

	while (m->sent < m->len && b->io.writable) {
		__u32 left = m->len - m->sent;

		/* Before the write, as for every request: BPF must see them coming. */
		sl_add(&b->l->back_tx, left);
		n = send(b->io.fd, m->request + m->sent, left, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < (ssize_t)left)
			sl_add(&b->l->back_tx, (__u32)(n > 0 ? n : 0) - left);
		if (n > 0) {
			m->sent += n;
		} else if (errno == EAGAIN) {
			b->io.writable = false;
		} else if (errno != EINTR && (errno != ENOMEM || !lane_is_asked(b))) {
			fail(w, m, 502);
			return;
		}
	}
	if (b->io.readable)
		(void)answer_read(w, m);
}

void mirror_timeouts(struct worker *w)
{
	struct list *l, *next;

	for (l = w->mirrors.next; l != &w->mirrors; l = next) {
		struct mirror *m = (struct mirror *)l;

		next = l->next;
		if (w->now_ns >= m->until_ns)
			fail(w, m, 504);
	}
}

void mirror_stop(struct worker *w)
{
	while (!list_empty(&w->mirrors))
		give_up(w, (struct mirror *)w->mirrors.next);
}

/* ---- the request ---- */

/* "host-shadow", the port behind it as it was; RFC 9110 knows "[::1]:80" besides. */
static __u32 shadow_at(const char *host, __u32 len)
{
	const char *colon = len ? memrchr(host, ':', len) : NULL;

	if (!colon || (host[0] == '[' && colon[-1] != ']'))
		return len;
	return colon - host;
}

static struct mirror *copy_request(struct worker *w, const struct front *f,
				   const struct sl_mirror *policy)
{
	static const char suffix[] = "-shadow";
	const struct sl_head *h = &w->request_head;
	const __u32 extra = policy->plain_host ? 0 : sizeof(suffix) - 1;
	struct mirror *m = malloc(sizeof(*m) + f->req.end + extra);
	__u32 at = h->host.off + shadow_at((const char *)f->req.data + h->host.off, h->host.len);

	if (!m)
		return NULL;
	memset(m, 0, sizeof(*m));
	m->head_method = h->method == SL_METHOD_HEAD;
	m->len = f->req.end + extra;
	memcpy(m->request, f->req.data, at);
	memcpy(m->request + at, suffix, extra);
	memcpy(m->request + at + extra, f->req.data + at, f->req.end - at);
	return m;
}

static void send_copy(struct worker *w, struct front *f, const struct sl_mirror *policy)
{
	__u32 cluster = policy->cluster;
	struct mirror *m;
	struct back *b;

	if (policy->cluster_header)
		cluster = route_named(w, policy->cluster_header, &w->request_head, f->req.data);
	if (cluster == NO_INDEX || w->n_mirrors >= MIRRORS_MAX)
		return;
	b = lane_spare(w, cluster);
	m = b ? copy_request(w, f, policy) : NULL;
	if (!m) {
		if (b)
			lane_close(w, b);
		return;
	}
	m->back = b;
	m->until_ns = w->now_ns + MIRROR_NS;
	b->mirror = m;
	list_add(&w->mirrors, &m->all);
	w->n_mirrors++;
	SL_WRITE(w->mirror_bytes, w->mirror_bytes + m->len);
	if (!b->connecting)
		mirror_event(w, b);
}

static bool drawn(const struct sl_mirror *m)
{
	return random_u32() % m->denominator < m->numerator;
}

void mirror_begin(struct worker *w, struct front *f)
{
	const struct sl_route_action *action = action_of(w, f);

	/* What is upgraded is a conversation: a copy of its first words is none. */
	f->x.mirror = action && action->n_mirrors && !f->x.upgrade;
}

void mirror_fire(struct worker *w, struct front *f)
{
	const struct sl_route_action *action = action_of(w, f);
	struct sl_head *h = &w->request_head;
	__u32 len = f->req.end < SL_HEAD_MAX ? f->req.end : SL_HEAD_MAX;

	if (!f->x.mirror || f->x.req != SIDE_DONE || f->x.kernel)
		return;
	f->x.mirror = false;
	/* Of what did not fit, or was answered before it was whole, there is no copy. */
	if (!f->x.keep || !f->req.data || !action ||
	    sl_request_parse(h, f->req.data, len) != SL_PARSE_DONE)
		return;
	for (__u32 i = 0; i < action->n_mirrors; i++)
		if (drawn(&action->mirrors[i]))
			send_copy(w, f, &action->mirrors[i]);
}
