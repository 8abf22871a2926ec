/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Timeouts of what the daemon has no part in: exchanges that BPF steers, idle sessions, idle
 * lanes. All of them are looked at when the next one may be due, at the latest each second.
 */
#include "internal.h"

/* As BPF's own clock may be ahead of ours, and nothing is older than what we have seen of it. */
static __u64 since(const struct worker *w, __u64 ns)
{
	return ns > w->start_ns ? ns : w->start_ns;
}

static void wake_at(struct worker *w, __u64 ns)
{
	if (ns < w->watch_ns)
		w->watch_ns = ns;
}

/*
 * Progress of a kernel exchange, by the counters of its session and lane. A request without a
 * body is complete from the start; when another's end came is only known to one look.
 */
void watch_look(struct worker *w, struct front *f)
{
	struct watch *v = &f->watch;
	struct back *b = handover_lane(w, f);
	__u32 moved = SL_READ(f->s->moved) + (b ? SL_READ(b->l->moved) : 0);
	bool first = v->start_ns != f->s->start_ns;

	if (first)
		*v = (struct watch){.start_ns = f->s->start_ns,
				    .moved_ns = since(w, f->s->start_ns),
				    .moved = moved,
				    .limits = *limits_matched(w, f)};
	if (!v->sent_ns && (session_bits(f) & SL_S_REQ_DONE))
		v->sent_ns = first && f->s->req.kind == SL_BODY_NONE ? v->moved_ns : w->now_ns;
	if (v->moved != moved) {
		v->moved = moved;
		v->moved_ns = w->now_ns;
	}
}

/* Both directions are done: for an instant only; for longer if a worker died as it finished it. */
static void watch_over(struct worker *w, struct front *f)
{
	if (f->over_start != f->s->start_ns) {
		f->over_start = f->s->start_ns;
		f->over_ns = w->now_ns;
	} else if (w->now_ns - f->over_ns >= SWEEP_NS) {
		front_close(w, f);
	}
}

static void watch_exchange(struct worker *w, struct front *f, __u32 bits)
{
	const struct back *b = handover_lane(w, f);
	struct progress p;
	struct due d;

	if ((bits & SL_S_REQ_DONE) && (bits & SL_S_RESP_DONE)) {
		watch_over(w, f);
		return;
	}
	watch_look(w, f);
	p = (struct progress){
		.limits = &f->watch.limits,
		.first_ns = since(w, f->s->start_ns),
		.sent_ns = f->watch.sent_ns,
		.moved_ns = f->watch.moved_ns,
		.answered = b && b->l->phase == SL_RESP_BODY,
		.complete = bits & SL_S_RESP_DONE,
		.rest = bits & SL_S_RESP_DONE, /* else it would be over */
	};
	d = due_of(w, f, &p);
	if (!d.cause)
		return;
	if (d.ns > w->now_ns)
		wake_at(w, d.ns);
	else
		exchange_expire(w, f, d.cause, p.sent_ns);
}

/* Takes an idle session so that no request is lost in the race: what has come is answered. */
static void session_expire(struct worker *w, struct front *f, enum sl_count what, __u64 grace_ns)
{
	count_limit(w, what, NO_INDEX);
	session_end_soon(w, f, grace_ns);
}

void session_end_soon(struct worker *w, struct front *f, __u64 grace_ns)
{
	f->ending = true;
	f->end_ns = w->now_ns + grace_ns;
	if (!f->owned && !(session_bits(f) & SL_S_EXCHANGE) && session_take(f) == TAKE_OWN) {
		f->owned = true;
		SL_WRITE(f->s->user_dirty, 1);
	} else {
		/* When the exchange is over, the session is ours. */
		session_change(f, SL_S_PENDING, 0);
	}
	f->io.readable = true;
	if (f->owned && f->x.req == SIDE_HEAD)
		exchange_run(w, f);
}

static void watch_idle(struct worker *w, struct front *f, const struct sl_listener_limits *l)
{
	__u64 last_ns = SL_READ(f->s->last_ns), due;

	if (!l->idle_ms)
		return;
	due = (last_ns > f->born_ns ? last_ns : f->born_ns) + l->idle_ms * NS_PER_MS;
	if (due > w->now_ns)
		wake_at(w, due);
	else
		session_expire(w, f, SL_COUNT_DOWN_CX_IDLE, 0);
}

/* Envoy's max_connection_duration: what is under way ends, one more request may come. */
static void watch_age(struct worker *w, struct front *f, const struct sl_listener_limits *l)
{
	__u64 due = f->born_ns + l->max_duration_ms * NS_PER_MS;

	if (!l->max_duration_ms || f->ending)
		return;
	if (due > w->now_ns)
		wake_at(w, due);
	else
		session_expire(w, f, SL_COUNT_DOWN_CX_DURATION, l->drain_ms * NS_PER_MS);
}

static void watch_front(struct worker *w, struct front *f)
{
	const struct sl_listener_limits *l = limits_of_listener(w, f);
	__u32 bits;

	if (f->lingering)
		return;
	watch_age(w, f, l);
	if (f->io.fd < 0 || f->lingering || f->owned)
		return; /* in hand: its own timer */
	bits = session_bits(f);
	if (f->x.kernel) {
		/* The same; but that BPF has finished the answer nobody has told. */
		if (bits & SL_S_RESP_DONE)
			exchange_deadline(w, f, false);
		return;
	}
	if (door_is_lost(w, f))
		front_close(w, f);
	else if (bits & SL_S_EXCHANGE)
		watch_exchange(w, f, bits);
	else if (!(bits & SL_S_USER))
		watch_idle(w, f, l);
}

/* An idle lane is marked and taken off its stack by the sweep; a busy one ends after its use. */
static void lane_expire(struct worker *w, struct back *b, enum sl_count what, __u32 cluster)
{
	if (lane_move(b, SL_LANE_IDLE, SL_LANE_DEAD)) {
		count_limit(w, what, cluster);
		w->dirty_endpoints[b->endpoint] = 1;
		w->sweep_wanted = true;
	} else if (what == SL_COUNT_UP_CX_DURATION && !(lane_bits(b) & SL_L_SURPLUS)) {
		count_limit(w, what, cluster);
		lane_mark_surplus(b);
	}
}

static void watch_lane(struct worker *w, struct back *b)
{
	__u32 cluster = w->maps->endpoints[b->endpoint].cluster;
	const struct sl_cluster_limits *l = limits_of_cluster(w, cluster);
	__u64 idle = SL_READ(b->l->idle_ns) + l->idle_ms * NS_PER_MS;
	__u64 old = b->born_ns + l->max_duration_ms * NS_PER_MS;

	if (b->connecting) {
		/* Its client has gone, and with it who would time it out. */
		if (!b->front && w->now_ns - b->born_ns >= l->connect_ms * NS_PER_MS)
			lane_close(w, b);
		return;
	}
	if (l->max_duration_ms && old > w->now_ns)
		wake_at(w, old);
	else if (l->max_duration_ms)
		lane_expire(w, b, SL_COUNT_UP_CX_DURATION, cluster);
	if (!l->idle_ms || (lane_bits(b) & SL_L_STATE) != SL_LANE_IDLE)
		return;
	if (idle > w->now_ns)
		wake_at(w, idle);
	else
		lane_expire(w, b, SL_COUNT_UP_CX_IDLE, cluster);
}

void watch_scan(struct worker *w)
{
	struct list *l, *next;

	if (w->now_ns < w->watch_ns)
		return;
	/* What begins behind our back cannot be due sooner. */
	w->watch_ns = w->now_ns + w->shortest_ns;
	for (l = w->fronts.next; l != &w->fronts; l = next) {
		next = l->next;
		watch_front(w, FRONT_OF(l, all));
	}
	for (l = w->backs.next; l != &w->backs; l = next) {
		next = l->next;
		watch_lane(w, BACK_OF(l, all));
	}
	if (w->watch_ns < w->now_ns + WATCH_MIN_NS)
		w->watch_ns = w->now_ns + WATCH_MIN_NS;
}
