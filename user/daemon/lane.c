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
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "internal.h"
#include "kernel/netns.h"

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

bool lane_is_busy(const struct back *b)
{
	__u32 state = lane_bits(b) & SL_L_STATE;

	return state == SL_LANE_CONNECTING || state == SL_LANE_KERNEL || state == SL_LANE_USER;
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
	b->born_ns = w->now_ns;
	b->slot = slot;
	b->gen = gen;
	b->endpoint = endpoint;
	b->l = &b->own;
	if (slot != NO_SLOT) {
		b->l = &w->maps->lanes[slot];
		w->back_of[slot] = b;
		SL_WRITE(w->crew->lane_owner[slot], w->index);
		SL_WRITE(b->l->home, w->index);
	}
	list_init(&b->again);
	list_init(&b->settling);
	list_add(&w->backs, &b->all);
	SL_WRITE(w->n_backs, w->n_backs + 1);
	return b;
}

bool lane_is_asked(const struct back *b)
{
	return b->slot != NO_SLOT && SL_READ(b->l->asker) && SL_READ(b->l->asks) != SL_ASKS_OUT;
}

__u32 lane_stack_pop(const struct worker *w, __u64 *head)
{
	struct sl_lane *lanes = w->maps->lanes;

#define next_of(slot) ((slot) < w->n_lanes ? &lanes[slot].next : NULL)
	return sl_stack_pop(head, next_of);
#undef next_of
}

void lane_stack_push(const struct worker *w, __u64 *head, __u32 slot)
{
	while (!sl_stack_push(head, &w->maps->lanes[slot].next, slot))
		;
}

/* Not to be taken at once: see freed_sessions. */
static void slot_push(struct worker *w, __u32 slot)
{
	lane_stack_push(w, &w->maps->control->freed_lanes, slot);
	grace_want(w->crew);
}

/* State FREE and BACK off, in this order; see above. */
static void slot_free(struct worker *w, struct back *b)
{
	for (;;) {
		__u64 old = SL_READ(b->l->word);
		__u64 new = SL_WORD(SL_GEN(old),
				    SL_BITS(old) & ~(SL_L_BACK | SL_L_TUNNEL | SL_L_STATE));

		if (SL_GEN(old) != b->gen)
			return;
		if (sl_cmpxchg(&b->l->word, old, new) != old)
			continue;
		if ((SL_BITS(old) & SL_L_BACK) && !(SL_BITS(new) & SL_L_HELD))
			slot_push(w, b->slot);
		return;
	}
}

/*
 * A server that does not take the rest of a request gets no FIN behind it: the kernel would keep
 * these bytes, and the connection, for as long as it has hope. It gets RST.
 */
static void back_reset_if_stuck(const struct back *b)
{
	if (lane_unsent(b))
		socket_resets(b->io.fd);
}

static void back_shut(struct worker *w, struct back *b)
{
	__u32 cluster = w->maps->endpoints[b->endpoint].cluster;

	if (b->io.fd < 0)
		return;
	if (!b->l->left && limits_of_cluster(w, cluster)->lane_requests)
		count_limit(w, SL_COUNT_UP_CX_MAX_REQUESTS, cluster);
	back_reset_if_stuck(b);
	close(b->io.fd);
	b->io.fd = -1;
	b->l->back_fd = -1;
	sl_add(&w->maps->clusters[cluster].n_lanes, -1ULL);
}

/* To the graveyard: events of this batch may name it. */
static void bury(struct worker *w, struct back *b)
{
	list_del(&b->again);
	list_del(&b->settling);
	list_del(&b->all);
	list_add(&w->dead_backs, &b->all);
	SL_WRITE(w->n_backs, w->n_backs - 1);
}

/* Ends a lane that is ours and on no stack: states CONNECTING, USER, REAPED, or DEAD once swept. */
void lane_close(struct worker *w, struct back *b)
{
	if (!b)
		return;
	mirror_lost(w, b);
	if (b->front) {
		b->front->back = NULL;
		b->front = NULL;
	}
	b->l->session = 0;
	if (lane_is_busy(b))
		sl_add(&w->maps->endpoints[b->endpoint].busy, -1);
	back_shut(w, b);
	if (b->slot != NO_SLOT) {
		w->back_of[b->slot] = NULL;
		slot_free(w, b);
	}
	bury(w, b);
}

struct back *lane_leave(struct worker *w, struct back *b)
{
	struct back *moved = malloc(sizeof(*moved));

	if (!moved)
		return NULL;
	(void)epoll_ctl(w->epoll_fd, EPOLL_CTL_DEL, b->io.fd, NULL);
	*moved = *b;
	b->io.fd = -1;
	w->back_of[b->slot] = NULL;
	bury(w, b);
	return moved;
}

static void enter(struct worker *w, struct back *b)
{
	w->back_of[b->slot] = b;
	SL_WRITE(w->crew->lane_owner[b->slot], w->index);
	SL_WRITE(b->l->home, w->index);
	list_init(&b->again);
	list_init(&b->settling);
	list_add(&w->backs, &b->all);
	SL_WRITE(w->n_backs, w->n_backs + 1);
	if (io_add(w, &b->io, IO_EVENTS_ALL))
		b->io.failed = true; /* whoever takes it closes it */
	if (is_main(w) && !(lane_bits(b) & SL_L_PAIRED))
		door_back(w, b);
}

void lane_comes(struct worker *w, struct back *b)
{
	enter(w, b);
	if (w->n_waiting_of[w->maps->endpoints[b->endpoint].cluster])
		lane_put(w, b); /* it is what they have asked for */
	else
		lane_rest(w, b);
}

void lane_returns(struct worker *w, struct back *b)
{
	enter(w, b);
	lane_put(w, b);
}

static __u32 slot_take(struct worker *w, __u32 *ret_gen)
{
	__u32 slot1 = lane_stack_pop(w, &w->maps->control->free_lanes), gen;
	const struct sl_lane *l;

	if (!slot1)
		return NO_SLOT;
	l = &w->maps->lanes[slot1 - 1];
	gen = SL_GEN(SL_ACQUIRE(l->word)) + 1;
	if (!gen)
		gen = 1;
	*ret_gen = gen;
	return slot1 - 1;
}

static void lane_init(struct sl_lane *l, __u32 gen, __u32 endpoint)
{
	SL_WRITE(l->word, SL_WORD(gen, SL_LANE_CONNECTING | SL_L_BACK));
	l->session = l->session_gen = 0;
	l->server_sk = l->back_sk = 0;
	l->server_ws0 = l->server_rn0 = 0;
	l->back_rx = l->back_tx = 0;
	memset(&l->resp, 0, sizeof(l->resp));
	l->phase = SL_RESP_HEAD;
	l->status = 0;
	l->endpoint = endpoint;
	l->moved = 0;
	l->asker = 0;
	l->left = 0;
}

static int pipe_connect(struct worker *w, const struct sl_endpoint *e, int fd)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	struct sl_pipe pipe;
	size_t len;
	__u64 key;
	int rc;

	memcpy(&key, e->addr, sizeof(key));
	rc = sl_maps_pipe_get(w->maps, key, &pipe);
	if (rc)
		return rc;
	len = strnlen(pipe.path, sizeof(a.sun_path));
	memcpy(a.sun_path, pipe.path, len);
	/* An abstract name begins with NUL, and its length is part of it. */
	if (pipe.path[0] == '@')
		a.sun_path[0] = '\0';
	len += offsetof(struct sockaddr_un, sun_path) + (pipe.path[0] != '@');
	return connect(fd, (struct sockaddr *)&a, len) ? -errno : 0;
}

int endpoint_connect(struct worker *w, const struct sl_endpoint *e, int fd)
{
	struct sockaddr_in6 a6 = {.sin6_family = AF_INET6, .sin6_port = htons(e->port)};
	struct sockaddr_in a4 = {.sin_family = AF_INET, .sin_port = htons(e->port)};
	int rc;

	if (e->family == AF_UNIX)
		return pipe_connect(w, e, fd);
	if (e->family == AF_INET6) {
		memcpy(&a6.sin6_addr, e->addr, 16);
		rc = connect(fd, (struct sockaddr *)&a6, sizeof(a6));
	} else {
		memcpy(&a4.sin_addr, e->addr, 4);
		rc = connect(fd, (struct sockaddr *)&a4, sizeof(a4));
	}
	return rc ? -errno : 0;
}

/* A socket for a connection to @e, in its namespace. -1: none. */
static int socket_new(struct worker *w, const struct sl_endpoint *e)
{
	__u32 netns = SL_ENDPOINT_NETNS(e);
	int fd = sl_netns_socket(netns ? w->args->netns_fds[netns - 1] : -1, e->family,
				 SOCK_STREAM | SOCK_NONBLOCK, 0);
	const int one = 1;

	if (fd < 0)
		return -1;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	(void)setsockopt(fd, SOL_SOCKET, SO_OOBINLINE, &one, sizeof(one)); /* see listen.c */
	return fd;
}

int endpoint_socket(struct worker *w, const struct sl_endpoint *e)
{
	struct sl_socket me = {.role = SL_ROLE_BACK, .slot = NO_SLOT, .gen = 1};
	int fd = socket_new(w, e);

	if (fd < 0)
		return -1;
	/* sk_lookup must know whose connection this is. */
	if (sl_maps_socket_set(w->maps, fd, &me)) {
		close(fd);
		return -1;
	}
	return fd;
}

bool lane_reserve(struct sl_cluster *c)
{
	return count_below(&c->n_lanes, c->max_lanes);
}

void lane_unreserve(struct sl_cluster *c)
{
	sl_add(&c->n_lanes, -1ULL);
}

bool endpoint_is_not_to_blame(int rc)
{
	switch (rc) {
	case -EADDRNOTAVAIL: /* no port is left, see ip_local_port_range */
	case -EMFILE:
	case -ENFILE:
	case -ENOBUFS:
	case -ENOMEM:
		return true;
	}
	return false;
}

/* Descriptors are for who has something to do: an idle lane goes before one is made of the last. */
static void make_way(struct worker *w)
{
	if (limits_scarce(w) && !lane_give_up(w))
		crew_ask_descriptor(w);
}

struct back *lane_open(struct worker *w, __u32 endpoint, bool *ret_refused)
{
	const struct sl_endpoint *e = &w->maps->endpoints[endpoint];
	struct sl_cluster *c = &w->maps->clusters[e->cluster];
	struct sl_socket me = {.role = SL_ROLE_BACK};
	__u64 cookie = 0;
	socklen_t len = sizeof(cookie);
	struct back *b;
	__u32 slot, gen = 1;
	int fd, rc;

	*ret_refused = false;
	make_way(w);
	fd = socket_new(w, e);
	if (fd < 0) {
		lane_unreserve(c);
		return NULL;
	}
	slot = slot_take(w, &gen);
	me.slot = slot;
	me.gen = gen;
	b = lane_new(w, fd, slot, gen, endpoint);
	if (!b) {
		if (slot != NO_SLOT)
			slot_push(w, slot);
		close(fd);
		lane_unreserve(c);
		return NULL;
	}
	lane_init(b->l, gen, endpoint);
	sl_add(&w->maps->endpoints[endpoint].busy, 1);
	b->l->left = limits_of_cluster(w, e->cluster)->lane_requests;
	SL_WRITE(w->crew->had_traffic[e->cluster], true);
	(void)getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &len);
	b->l->back_cookie = cookie;
	b->l->back_fd = fd;
	/* Without a slot, too: sk_lookup must know whose connection this is. */
	rc = sl_maps_socket_set(w->maps, fd, &me) ? -ENOMEM : endpoint_connect(w, e, fd);
	b->connecting = true;
	b->io.writable = false;
	if (rc == -EINPROGRESS)
		rc = 0;
	*ret_refused = rc && !endpoint_is_not_to_blame(rc);
	if (rc || io_add(w, &b->io, IO_EVENTS_ALL)) {
		lane_close(w, b);
		return NULL;
	}
	return b;
}

static void lane_established(struct worker *w, struct back *b)
{
	struct front *f = b->front;
	socklen_t len = sizeof(int);
	int err = 0;

	if (getsockopt(b->io.fd, SOL_SOCKET, SO_ERROR, &err, &len) || err || b->io.failed) {
		count_limit(w, SL_COUNT_UP_CX_CONNECT_FAIL,
			    w->maps->endpoints[b->endpoint].cluster);
		if (!f) {
			outlier_report(w, b->endpoint, 503);
			lane_close(w, b);
			return;
		}
		f->x.why = CONNECT_FAILED;
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
	else if (b->mirror)
		mirror_event(w, b);
	else
		lane_release(w, b, true); /* its client left; the next has it ready */
}

bool lane_is_late(struct worker *w, struct back *b)
{
	struct pollfd p = {.fd = b->io.fd, .events = POLLOUT};

	if (poll(&p, 1, 0) == 1 && (p.revents & POLLOUT)) {
		b->io.writable = true;
		lane_established(w, b);
		return false;
	}
	return true;
}

/* An idle lane that speaks or hangs up: dead, unless BPF or a request has just taken it. */
void lane_died(struct worker *w, struct back *b)
{
	if (lane_quiet(b) && !b->io.rdhup && !b->io.failed) {
		b->io.readable = false;
		return;
	}
	if (!lane_move(b, SL_LANE_IDLE, SL_LANE_DEAD)) {
		if ((lane_bits(b) & SL_L_STATE) == SL_LANE_KERNEL)
			handover_response(w, b);
		else /* or has it taken it and given it back? Nobody would tell again. */
			lane_again(w, b);
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
	/* Bound for the request alone: an answer, or the lane's end, is ours to take up. */
	if (b->io.readable && b->front && b->front->x.kernel && b->front->x.resp == SIDE_KERNEL)
		handover_response(w, b);
	if (b->io.fd < 0)
		return;
	if (b->front) {
		exchange_run(w, b->front);
		return;
	}
	if (b->mirror) {
		mirror_event(w, b);
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
		if (!lane_quiet(b) || b->io.rdhup || b->io.failed)
			lane_close(w, b);
		else
			lane_surrendered(w, b);
		break;
	}
}

void lane_again(struct worker *w, struct back *b)
{
	if (list_empty(&b->again))
		list_add(&w->again, &b->again);
}

void lanes_retry(struct worker *w)
{
	struct list waiting;

	list_take(&waiting, &w->again);
	while (!list_empty(&waiting)) {
		struct back *b = BACK_OF(waiting.next, again);

		list_del(&b->again);
		b->io.readable = true;
		lane_event(w, b);
	}
}
