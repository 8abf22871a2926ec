/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Lanes: connect, the pool of idle ones that BPF and the daemon share, the end.
 *
 * A slot is free when its state is FREE and no HELD bit is left. Only the daemon makes a
 * lane FREE, and only while it is on no stack and BACK is still set: so whoever clears the last
 * HELD bit finds FREE, and pushes.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include "internal.h"

#define POP_TRIES 64 /* dead lanes skipped for one request */

__u32 lane_bits(const struct back *b)
{
	__u64 word = SL_READ(b->l->word);

	return SL_GEN(word) == b->gen ? SL_BITS(word) : SL_LANE_FREE;
}

bool lane_move(struct back *b, __u32 from, __u32 to)
{
	for (;;) {
		__u64 old = SL_READ(b->l->word);

		if (SL_GEN(old) != b->gen || (SL_BITS(old) & SL_L_STATE) != from)
			return false;
		if (sl_cmpxchg(&b->l->word, old, (old & ~(__u64)SL_L_STATE) | to) == old)
			return true;
	}
}

void lane_mark_surplus(struct back *b)
{
	for (;;) {
		__u64 old = SL_READ(b->l->word);

		if (SL_GEN(old) != b->gen || (old & SL_L_SURPLUS) ||
		    sl_cmpxchg(&b->l->word, old, old | SL_L_SURPLUS) == old)
			return;
	}
}

struct back *lane_new(struct worker *w, int fd, __u32 slot, __u32 gen, __u32 endpoint)
{
	struct back *b = calloc(1, sizeof(*b));

	if (!b)
		return NULL;
	b->io.fd = fd;
	b->io.kind = IO_BACK;
	b->io.writable = true;
	b->slot = slot;
	b->gen = gen;
	b->endpoint = endpoint;
	b->l = &b->own;
	if (slot != NO_SLOT) {
		b->l = &w->maps->lanes[slot];
		w->back_of[slot] = b;
		b->io.steered = b->l->back_skb & SL_SKB_DOOR;
	}
	list_add(&w->backs, &b->all);
	w->n_backs++;
	return b;
}

static void slot_push(struct worker *w, __u32 slot)
{
	while (!sl_stack_push(&w->maps->control->free_lanes, &w->maps->lanes[slot].next, slot))
		;
}

/* State FREE and BACK off, in this order; see above. */
static void slot_free(struct worker *w, struct back *b)
{
	for (;;) {
		__u64 old = SL_READ(b->l->word);
		__u64 new = SL_WORD(SL_GEN(old), SL_BITS(old) & ~(SL_L_BACK | SL_L_STATE));

		if (SL_GEN(old) != b->gen)
			return;
		if (sl_cmpxchg(&b->l->word, old, new) != old)
			continue;
		if ((SL_BITS(old) & SL_L_BACK) && !(SL_BITS(new) & SL_L_HELD))
			slot_push(w, b->slot);
		return;
	}
}

static void back_shut(struct worker *w, struct back *b)
{
	if (b->io.fd < 0)
		return;
	door_close(w, b->l->back_skb, b->l->back_cookie);
	close(b->io.fd);
	b->io.fd = -1;
	b->l->back_fd = -1;
	sl_add(&w->maps->clusters[w->maps->endpoints[b->endpoint].cluster].n_lanes, -1ULL);
}

/* Ends a lane that is ours and on no stack: states CONNECTING, USER, REAPED, or DEAD once swept. */
void lane_close(struct worker *w, struct back *b)
{
	if (!b)
		return;
	if (b->front) {
		b->front->back = NULL;
		b->front = NULL;
	}
	b->l->session = 0;
	back_shut(w, b);
	if (b->slot != NO_SLOT) {
		w->back_of[b->slot] = NULL;
		slot_free(w, b);
	}
	list_del(&b->all);
	list_add(&w->dead_backs, &b->all);
	w->n_backs--;
}

/* An exchange is over: to the pool, or closed. The lane's state is USER. */
void lane_release(struct worker *w, struct back *b, bool reusable)
{
	struct sl_endpoint *e = &w->maps->endpoints[b->endpoint];

	if (b->front) {
		b->front->back = NULL;
		b->front = NULL;
	}
	b->l->session = 0;
	if (!reusable || b->slot == NO_SLOT || w->draining || b->io.rdhup || b->io.failed ||
	    (e->flags & SL_ENDPOINT_DRAINING) || (lane_bits(b) & SL_L_SURPLUS)) {
		lane_close(w, b);
		return;
	}
	b->l->idle_ns = w->now_ns;
	if (!lane_move(b, SL_LANE_USER, SL_LANE_IDLE)) {
		lane_close(w, b);
		return;
	}
	if (!sl_stack_push(&e->idle, &b->l->next, b->slot)) {
		lane_move(b, SL_LANE_IDLE, SL_LANE_USER);
		lane_close(w, b);
	}
}

static bool lane_quiet(const struct back *b)
{
	__u8 byte;

	return recv(b->io.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

static struct back *lane_pop(struct worker *w, __u32 endpoint)
{
	struct sl_endpoint *e = &w->maps->endpoints[endpoint];
	struct sl_lane *lanes = w->maps->lanes;

#define next_of(slot) ((slot) < w->n_lanes ? &lanes[slot].next : NULL)
	for (int i = 0; i < POP_TRIES; i++) {
		__u32 slot1 = sl_stack_pop(&e->idle, next_of);
		struct back *b = slot1 ? w->back_of[slot1 - 1] : NULL;

		if (!slot1)
			return NULL;
		if (!b)
			continue; /* a slot that nobody knows: left to the leak scan */
		if (!lane_move(b, SL_LANE_IDLE, SL_LANE_USER) || b->io.rdhup || b->io.failed ||
		    (lane_bits(b) & SL_L_SURPLUS)) {
			lane_close(w, b);
			continue;
		}
		return b;
	}
#undef next_of
	return NULL;
}

static __u32 slot_take(struct worker *w, __u32 *ret_gen)
{
	struct sl_lane *lanes = w->maps->lanes;
	struct sl_lane *l;
	__u32 slot1, gen;

#define next_of(slot) ((slot) < w->n_lanes ? &lanes[slot].next : NULL)
	slot1 = sl_stack_pop(&w->maps->control->free_lanes, next_of);
#undef next_of
	if (!slot1)
		return NO_SLOT;
	l = &lanes[slot1 - 1];
	gen = SL_GEN(SL_READ(l->word)) + 1;
	if (!gen)
		gen = 1;
	*ret_gen = gen;
	return slot1 - 1;
}

static void lane_init(struct sl_lane *l, __u32 gen, __u32 endpoint)
{
	__u32 next = l->next;

	SL_WRITE(l->word, SL_WORD(gen, SL_LANE_CONNECTING | SL_L_BACK));
	l->session = l->session_gen = 0;
	l->server_sk = l->back_sk = 0;
	l->server_ws0 = l->server_rn0 = 0;
	l->back_rx = l->back_tx = l->back_in = 0;
	memset(&l->resp, 0, sizeof(l->resp));
	l->phase = SL_RESP_HEAD;
	l->status = 0;
	l->back_skb = 0;
	l->next = next;
	l->endpoint = endpoint;
}

static int back_connect(const struct sl_endpoint *e, int fd)
{
	struct sockaddr_in6 a6 = {.sin6_family = AF_INET6, .sin6_port = htons(e->port)};
	struct sockaddr_in a4 = {.sin_family = AF_INET, .sin_port = htons(e->port)};
	int rc;

	if (e->family == AF_INET6) {
		memcpy(&a6.sin6_addr, e->addr, 16);
		rc = connect(fd, (struct sockaddr *)&a6, sizeof(a6));
	} else {
		memcpy(&a4.sin_addr, e->addr, 4);
		rc = connect(fd, (struct sockaddr *)&a4, sizeof(a4));
	}
	return rc ? -errno : 0;
}

/* A new lane, connecting. NULL: no socket, no memory, or refused at once. */
static struct back *lane_open(struct worker *w, __u32 endpoint)
{
	const struct sl_endpoint *e = &w->maps->endpoints[endpoint];
	int fd = socket(e->family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	__u64 cookie = 0;
	socklen_t len = sizeof(cookie);
	struct back *b;
	__u32 slot, gen = 1;
	int one = 1, rc;

	if (fd < 0)
		return NULL;
	slot = slot_take(w, &gen);
	b = lane_new(w, fd, slot, gen, endpoint);
	if (!b) {
		if (slot != NO_SLOT)
			slot_push(w, slot);
		close(fd);
		return NULL;
	}
	lane_init(b->l, gen, endpoint);
	sl_add(&w->maps->clusters[e->cluster].n_lanes, 1);
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	(void)getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &len);
	b->l->back_cookie = cookie;
	b->l->back_fd = fd;
	if (slot != NO_SLOT) {
		struct sl_socket me = {.role = SL_ROLE_BACK, .slot = slot, .gen = gen};

		(void)sl_maps_socket_set(w->maps, fd, &me);
	}
	rc = back_connect(e, fd);
	b->connecting = true;
	b->io.writable = false;
	if ((rc && rc != -EINPROGRESS) || io_add(w, &b->io, EPOLLIN | EPOLLOUT | EPOLLRDHUP)) {
		lane_close(w, b);
		return NULL;
	}
	return b;
}

/*
 * Binds a lane to @f's exchange: an idle one, or (always when @fresh) a new one, which connects.
 * x.cluster is the route's. 0, or the status to answer.
 */
int lane_get(struct worker *w, struct front *f, bool fresh)
{
	struct sl_cluster *c = &w->maps->clusters[f->x.cluster];
	__u32 endpoint = f->x.endpoint;
	struct back *b = NULL;

	while (!fresh && (b = lane_pop(w, endpoint))) {
		/* A request that cannot be repeated: look whether the backend hung up meanwhile. */
		if (f->x.idempotent || lane_quiet(b))
			break;
		lane_close(w, b);
	}
	f->x.reused = b;
	while (!b) {
		if (f->x.tries >= CONNECT_TRIES || SL_READ(c->n_lanes) >= c->max_lanes)
			return 503;
		f->x.tries++;
		b = lane_open(w, endpoint);
		if (!b) {
			endpoint = route_endpoint(w, f->x.cluster);
			if (endpoint == NO_INDEX)
				return 503;
			f->x.endpoint = endpoint;
		}
	}
	f->x.connecting = b->connecting;
	f->x.phase = PHASE_NONE;
	f->x.write_failed = false;
	f->back = b;
	b->front = f;
	return 0;
}

static void lane_established(struct worker *w, struct back *b)
{
	struct front *f = b->front;
	socklen_t len = sizeof(int);
	int err = 0;

	if (getsockopt(b->io.fd, SOL_SOCKET, SO_ERROR, &err, &len) || err || b->io.failed) {
		if (!f) {
			lane_close(w, b);
			return;
		}
		exchange_lane_failed(w, f);
		exchange_run(w, f);
		return;
	}
	if (!b->io.writable)
		return;
	b->connecting = false;
	door_back(w, b);
	lane_move(b, SL_LANE_CONNECTING, SL_LANE_USER);
	if (f)
		exchange_connected(w, f);
	else
		lane_release(w, b, true); /* its client left; the next has it ready */
}

/* An idle lane that speaks or hangs up: dead, unless BPF or a request has just taken it. */
static void lane_died(struct worker *w, struct back *b)
{
	if (lane_quiet(b) && !b->io.rdhup && !b->io.failed) {
		b->io.readable = false;
		return;
	}
	if (!lane_move(b, SL_LANE_IDLE, SL_LANE_DEAD)) {
		if ((lane_bits(b) & SL_L_STATE) == SL_LANE_KERNEL)
			handover_response(w, b);
		return;
	}
	w->dirty_endpoints[b->endpoint] = 1;
	w->sweep_wanted = true;
}

void lane_event(struct worker *w, struct back *b)
{
	if (b->io.fd < 0)
		return;
	if (b->connecting) {
		lane_established(w, b);
		return;
	}
	if (b->front) {
		exchange_run(w, b->front);
		return;
	}
	if (!b->io.readable && !b->io.rdhup && !b->io.failed)
		return;
	switch (lane_bits(b) & SL_L_STATE) {
	case SL_LANE_IDLE:
		lane_died(w, b);
		break;
	case SL_LANE_KERNEL:
		handover_response(w, b);
		break;
	case SL_LANE_USER: /* surrendered by BPF; the event is on its way */
		lane_close(w, b);
		break;
	}
}

/* Takes the dead lanes off one endpoint's stack; the others keep their order, and are marked. */
static void sweep_endpoint(struct worker *w, __u32 endpoint, __u8 *listed)
{
	struct sl_endpoint *e = &w->maps->endpoints[endpoint];
	struct sl_lane *lanes = w->maps->lanes;
	__u32 keep = 0, slot1, n = 0; /* `keep`: reversed chain */
	__u64 old;

	do {
		old = SL_READ(e->idle);
		if (!SL_STACK_SLOT(old))
			return;
	} while (sl_cmpxchg(&e->idle, old, SL_STACK_HEAD(old, 0)) != old);
	for (slot1 = SL_STACK_SLOT(old); slot1 && slot1 <= w->n_lanes && n++ <= w->n_lanes;) {
		__u32 slot = slot1 - 1, next = lanes[slot].next;
		struct back *b = w->back_of[slot];

		if (b && (lane_bits(b) & SL_L_STATE) == SL_LANE_DEAD) {
			lane_close(w, b);
		} else {
			if (listed)
				listed[slot] = 1;
			lanes[slot].next = keep;
			keep = slot1;
		}
		slot1 = next;
	}
	while (keep) {
		__u32 slot = keep - 1;

		keep = lanes[slot].next;
		while (!sl_stack_push(&e->idle, &lanes[slot].next, slot))
			;
	}
}

void lane_sweep(struct worker *w)
{
	if (!w->sweep_wanted)
		return;
	w->sweep_wanted = false;
	for (__u32 i = 0; i < w->table->n_endpoints && i < SL_MAX_ENDPOINTS; i++) {
		if (!w->dirty_endpoints[i])
			continue;
		w->dirty_endpoints[i] = 0;
		sweep_endpoint(w, i, NULL);
	}
}

void lane_walk_pools(struct worker *w, __u8 *listed)
{
	for (__u32 i = 0; i < w->table->n_endpoints && i < SL_MAX_ENDPOINTS; i++)
		sweep_endpoint(w, i, listed);
}

/* Once a second: idle lanes that are too old, reaped ones, dead ones that BPF took off. */
void lane_timeouts(struct worker *w)
{
	struct list *l, *next;

	for (l = w->backs.next; l != &w->backs; l = next) {
		struct back *b = BACK_OF(l, all);
		const struct sl_endpoint *e = &w->maps->endpoints[b->endpoint];

		next = l->next;
		switch (lane_bits(b) & SL_L_STATE) {
		case SL_LANE_REAPED:
			lane_close(w, b);
			break;
		case SL_LANE_USER: /* surrendered by BPF, the event lost */
			if (!b->front && !b->connecting)
				lane_close(w, b);
			break;
		case SL_LANE_IDLE:
			if (b->io.rdhup || b->io.failed) {
				lane_died(w, b);
				break;
			}
			/* Signed: BPF may have stamped it after we looked at the clock. */
			if ((__s64)(w->now_ns - SL_READ(b->l->idle_ns)) < (__s64)LANE_IDLE_NS &&
			    !w->draining && !(e->flags & SL_ENDPOINT_DRAINING))
				break;
			if (lane_move(b, SL_LANE_IDLE, SL_LANE_DEAD)) {
				w->dirty_endpoints[b->endpoint] = 1;
				w->sweep_wanted = true;
			}
			break;
		case SL_LANE_DEAD:
			w->dirty_endpoints[b->endpoint] = 1;
			w->sweep_wanted = true;
			break;
		}
	}
}
