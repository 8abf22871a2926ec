/* SPDX-License-Identifier: GPL-2.0-only */
/* The pools of idle lanes of each endpoint; BPF takes from the main thread's, too. */
#include <errno.h>
#include <sched.h>
#include <sys/socket.h>
#include "mutate.h"

#define POP_TRIES 64 /* dead lanes skipped for one request */

/* The pool for a lane that this thread has used just now. */
static __u32 pool_here(const struct worker *w)
{
	return sl_pool_of(w->maps->control, w->index, sched_getcpu());
}

/* Slot + 1 of an idle lane of this thread, off its pools; 0: there is none. */
static __u32 pools_pop(const struct worker *w, __u32 endpoint)
{
	const struct sl_control *c = w->maps->control;
	__u32 first = sl_pool_first(c, w->index), end = sl_pool_end(c, w->index);
	__u32 pool = pool_here(w), slot1;

	for (__u32 i = first; i < end; i++) {
		slot1 = lane_stack_pop(w, sl_maps_pool(w->maps, pool, endpoint));
		if (slot1)
			return slot1;
		pool = pool + 1 < end ? pool + 1 : first;
	}
	return 0;
}

/* An exchange is over: to the pool, or closed. The lane's state is USER. */
void lane_release(struct worker *w, struct back *b, bool reusable)
{
	const struct sl_endpoint *e = &w->maps->endpoints[b->endpoint];

	if (b->front) {
		b->front->back = NULL;
		b->front = NULL;
	}
	b->l->session = 0;
	if (!reusable || b->slot == NO_SLOT || w->draining || b->io.rdhup || b->io.failed ||
	    lane_is_asked(b) || (SL_READ(e->flags) & SL_ENDPOINT_DRAINING) ||
	    (lane_bits(b) & SL_L_SURPLUS)) {
		lane_close(w, b);
		return;
	}
	sl_add(&w->maps->endpoints[b->endpoint].busy, -1);
	lane_rest(w, b);
}

void lane_rest(struct worker *w, struct back *b)
{
	if (!crew_give(w, b))
		lane_put(w, b);
}

/* lane_close() takes it back. */
static void lane_close_idle(struct worker *w, struct back *b)
{
	sl_add(&w->maps->endpoints[b->endpoint].busy, 1);
	lane_close(w, b);
}

void lane_put(struct worker *w, struct back *b)
{
	b->l->idle_ns = w->now_ns;
	if (!lane_move(b, SL_LANE_USER, SL_LANE_IDLE)) {
		lane_close_idle(w, b);
	} else if (!sl_stack_push(sl_maps_pool(w->maps, pool_here(w), b->endpoint), &b->l->next,
				  b->slot)) {
		lane_move(b, SL_LANE_IDLE, SL_LANE_USER);
		lane_close_idle(w, b);
	}
}

bool lane_quiet(const struct back *b)
{
	__u8 byte;

	return recv(b->io.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

/* An idle lane, whose state is USER now; not counted as busy yet. */
static struct back *lane_take(struct worker *w, __u32 endpoint)
{
	for (int i = 0; i < POP_TRIES; i++) {
		__u32 slot1 = pools_pop(w, endpoint);
		struct back *b = slot1 ? w->back_of[slot1 - 1] : NULL;

		if (!slot1)
			return NULL;
		if (!b)
			continue; /* a slot that nobody knows: left to the leak scan */
		if (!lane_move(b, SL_LANE_IDLE, SL_LANE_USER)) {
			lane_close(w, b);
			continue;
		}
		if (b->io.rdhup || b->io.failed || (lane_bits(b) & SL_L_SURPLUS)) {
			lane_close_idle(w, b);
			continue;
		}
		return b;
	}
	return NULL;
}

static struct back *lane_pop(struct worker *w, __u32 endpoint)
{
	struct back *b = lane_take(w, endpoint);

	if (!b && !list_empty(&w->settling)) {
		lanes_settled(w, true);
		b = lane_take(w, endpoint);
	}
	if (b)
		sl_add(&w->maps->endpoints[endpoint].busy, 1);
	return b;
}

struct back *lane_any(struct worker *w, __u32 cluster)
{
	sl_each_endpoint (i, &w->maps->clusters[cluster], w->maps->endpoints) {
		struct back *b = lane_take(w, i);

		if (b)
			return b;
	}
	return NULL;
}

bool lane_give_up(struct worker *w)
{
	for (struct list *l = w->backs.next; l != &w->backs; l = l->next) {
		struct back *b = BACK_OF(l, all);

		if ((lane_bits(b) & SL_L_STATE) != SL_LANE_IDLE)
			continue;
		b = lane_take(w, b->endpoint);
		/* Without one BPF was quicker; dead ones may have gone, and `l` with them. */
		if (b)
			lane_close_idle(w, b);
		return true;
	}
	return false;
}

/* Makes room under the breaker: an idle lane of another endpoint of the cluster goes. */
static bool make_room(struct worker *w, __u32 cluster)
{
	struct back *b = lane_any(w, cluster);

	if (b)
		lane_close_idle(w, b);
	return b;
}

/* Envoy's max_requests_per_connection: this may be its last request. */
static void lane_used(struct back *b)
{
	if (b->l->left && !--b->l->left)
		lane_mark_surplus(b);
}

/*
 * Closes the lanes that BPF has taken out of use, as the sweep and events do in their time: they
 * must not count against a limit. Once a wake-up. False: there was none.
 */
static bool reap(struct worker *w)
{
	struct list *l, *next;
	__u32 before = w->n_backs;

	if (w->reaped_ns == w->now_ns)
		return false;
	w->reaped_ns = w->now_ns;
	for (l = w->backs.next; l != &w->backs; l = next) {
		struct back *b = BACK_OF(l, all);
		__u32 state = lane_bits(b) & SL_L_STATE;

		next = l->next;
		if (state == SL_LANE_REAPED)
			lane_close(w, b);
		else
			lane_surrendered(w, b);
	}
	return w->n_backs < before;
}

/* Whether the cluster may have one lane more, which is counted then. */
static bool has_room(struct worker *w, __u32 cluster)
{
	struct sl_cluster *c = &w->maps->clusters[cluster];

	if (lane_reserve(c))
		return true;
	return (make_room(w, cluster) || reap(w)) && lane_reserve(c);
}

/* Room for the first try is reserved. */
static struct back *lane_fresh(struct worker *w, struct front *f)
{
	struct sl_cluster *c = &w->maps->clusters[f->x.cluster];
	bool reserved = true, refused;
	struct back *b = NULL;

	while (f->x.tries < CONNECT_TRIES && (reserved || lane_reserve(c))) {
		f->x.tries++;
		reserved = false;
		b = lane_open(w, f->x.endpoint, &refused);
		if (b)
			break;
		count_limit(w, SL_COUNT_UP_CX_CONNECT_FAIL, f->x.cluster);
		if (refused)
			outlier_report(w, f->x.endpoint, 503);
		f->x.endpoint = route_other(w, f);
		if (f->x.endpoint == NO_INDEX)
			break;
	}
	if (reserved)
		lane_unreserve(c);
	return b;
}

/*
 * Binds a lane to @f's exchange: an idle one, or (always when @fresh) a new one, which connects;
 * or puts it in the queue of those that wait for one. x.cluster and x.endpoint are the route's. 0,
 * or the status to answer.
 */
__u32 lane_get(struct worker *w, struct front *f, bool fresh)
{
	struct sl_cluster *c = &w->maps->clusters[f->x.cluster];
	struct back *b = NULL;

	/* In turn: behind those that wait already. */
	if (waiting_must(w, f))
		return waiting_add(w, f);
	/* It may have waited for long. */
	if (SL_READ(w->maps->endpoints[f->x.endpoint].flags) & SL_ENDPOINT_DRAINING)
		f->x.endpoint = route_other(w, f);
	if (f->x.endpoint == NO_INDEX)
		return 503;
	while (!fresh && (b = lane_pop(w, f->x.endpoint))) {
		/* A request that cannot be repeated: look whether the backend hung up meanwhile. */
		if (f->x.idempotent || lane_quiet(b))
			break;
		lane_close(w, b);
	}
	f->x.reused = b;
	if (!b) {
		if (!has_room(w, f->x.cluster))
			return waiting_add(w, f);
		if (!breaker_pend(w, f, 0)) {
			lane_unreserve(c);
			return breaker_overflow(w, f);
		}
		b = lane_fresh(w, f);
	}
	if (!b || !b->connecting)
		breaker_unpend(w, f);
	if (!b) {
		if (!f->x.why)
			f->x.why = CONNECT_FAILED;
		return 503;
	}
	lane_used(b);
	f->x.why = NULL;
	f->x.connecting = b->connecting;
	f->x.connect_ns = w->now_ns;
	f->x.write_failed = false;
	f->back = b;
	b->front = f;
	mutate_endpoint(w, f);
	return 0;
}

struct back *lane_spare(struct worker *w, __u32 cluster)
{
	struct sl_cluster *c = &w->maps->clusters[cluster];
	__u32 endpoint = balance_pick(w, cluster, NULL);
	struct back *b = endpoint == NO_INDEX ? NULL : lane_pop(w, endpoint);
	bool refused = false;

	if (b && !lane_quiet(b)) {
		lane_close(w, b);
		b = NULL;
	}
	if (!b && endpoint != NO_INDEX && lane_reserve(c))
		b = lane_open(w, endpoint, &refused);
	if (refused)
		outlier_report(w, endpoint, 503);
	if (!b)
		count_limit(w, SL_COUNT_UP_RQ_PENDING_OVERFLOW, cluster);
	else
		lane_used(b);
	return b;
}

/* Takes the dead lanes off a pool; the others keep their order, and are marked. */
static void sweep_pool(struct worker *w, __u64 *idle, __u8 *listed)
{
	struct sl_lane *lanes = w->maps->lanes;
	__u32 keep = 0, slot1, n = 0; /* `keep`: reversed chain */
	__u64 old;

	do {
		old = SL_READ(*idle);
		if (!SL_STACK_SLOT(old))
			return;
	} while (sl_cmpxchg(idle, old, SL_STACK_HEAD(old, 0)) != old);
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
		lane_stack_push(w, idle, slot);
	}
}

static void sweep_endpoint(struct worker *w, __u32 endpoint, __u8 *listed)
{
	sl_each_pool (pool, w->maps, w->index)
		sweep_pool(w, sl_maps_pool(w->maps, pool, endpoint), listed);
}

void lane_sweep(struct worker *w)
{
	if (!w->sweep_wanted)
		return;
	w->sweep_wanted = false;
	for (__u32 i = 0; i < endpoints_top(w); i++) {
		if (!w->dirty_endpoints[i])
			continue;
		w->dirty_endpoints[i] = 0;
		sweep_endpoint(w, i, NULL);
	}
}

void lane_walk_pools(struct worker *w, __u8 *listed)
{
	sl_each_worker (other, w)
		for (__u32 i = 0; i < endpoints_top(w); i++)
			sweep_endpoint(other, i, listed);
}

/* Once a second: idle lanes of endpoints that go, reaped ones, dead ones that BPF took off. */
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
		case SL_LANE_USER: /* the event lost */
			lane_surrendered(w, b);
			break;
		case SL_LANE_IDLE:
			if (b->io.rdhup || b->io.failed) {
				lane_died(w, b);
				break;
			}
			if (!w->draining && !(SL_READ(e->flags) & SL_ENDPOINT_DRAINING))
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
