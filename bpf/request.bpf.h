/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A request's way from its head to a lane, the same for both doors in: decide (parse, match,
 * pick), claim an idle lane, bind it to the session.
 */
#ifndef SL_REQUEST_BPF_H
#define SL_REQUEST_BPF_H

#include "path.bpf.h"
#include "balance.bpf.h"
#include "sl_match.h"
#include "sl_plain.h"
#include "sl_hash.h"
#include "sl_pick.h"
#include "sl_cohort.h"
#include "sl_decide.h"

#define SL_LANE_TRIES 4 /* dead lanes that one request skips before it takes the user path */

/* A request under decision; on the stack of the program. */
struct sl_request {
	struct sl_session *s;
	__u32 slot;
	__u32 gen;
	__u64 word; /* of the session, as it was when the decision began */
	__u32 at;   /* position of the request's first byte, see sl_decision */
	__u32 lane_slot;
	__u32 lane_gen;
	__u32 canned1; /* answer + 1 that its route gives itself; 0: none */
	struct sl_body body;
};

/* The request goes the user path; the daemon counts @reason when it has read the head. SK_PASS. */
SL_FN int request_to_user(struct sl_request *r, __u32 reason)
{
	struct sl_session *s = r->s;

	s->decision.at = r->at;
	s->decision.reason = reason;
	word_own(&s->word, r->gen, SL_S_USER);
	return SK_PASS;
}

SL_FN const struct sl_table *table_get(void)
{
	__u32 zero = 0;
	void *inner = bpf_map_lookup_elem(&tables, &zero);

	return inner ? bpf_map_lookup_elem(inner, &zero) : NULL;
}

struct cohort_walk {
	struct sl_split *split;
	struct sl_cohort best;
};

static long cohort_step(__u32 i, void *arg)
{
	struct cohort_walk *w = arg;
	const struct sl_split_target *t = &w->split->targets[i & (SL_MAX_SPLIT_TARGETS - 1)];
	__u32 cluster = t->cluster;
	struct sl_cluster *c = bpf_map_lookup_elem(&clusters, &cluster);

	if (i >= w->split->n_targets)
		return 1;
	if (c && !(SL_READ(c->flags) & SL_CLUSTER_DOWN))
		sl_cohort_offer(&w->best, i, t->weight, c->name_hash);
	return 0;
}

/* The target of split @id for a user's @hash; SL_NO_TARGET: none, or all are down: the daemon's. */
__noinline __u32 cohort_pick(__u32 id, __u64 hash)
{
	struct cohort_walk w = {
		.split = bpf_map_lookup_elem(&splits, &id),
		.best = {.hash = hash, .target = SL_NO_TARGET},
	};

	if (!w.split)
		return SL_NO_TARGET;
	bpf_loop(SL_MAX_SPLIT_TARGETS, cohort_step, &w, 0);
	return w.best.target;
}

/*
 * The cluster of a split: of the user's cohort if the route is sticky and the request has what it
 * is hashed by, else the one that the next point of the split's sequence falls into.
 */
SL_FN __u32 split_pick(__u32 id, const struct sl_session *s, bool sticky, __u32 *ret_cluster)
{
	struct sl_split *split = bpf_map_lookup_elem(&splits, &id);
	struct sl_sequence *seq = bpf_map_lookup_elem(&sequences, &id);
	__u32 target;

	if (!split || !seq)
		return SL_REASON_INTERNAL;
	if (sticky && s->hash.found)
		target = cohort_pick(id, s->hash.value);
	else if (SL_READ(seq->down))
		target = split_pick_alive(id, sl_fetch_add(&seq->n, 1));
	else
		target = sl_pick(split, sl_fetch_add(&seq->n, 1));
	if (target >= SL_MAX_SPLIT_TARGETS)
		return SL_REASON_NO_ENDPOINT;
	sl_opaque(target);
	*ret_cluster = split->targets[target & (SL_MAX_SPLIT_TARGETS - 1)].cluster;
	return SL_REASON_NONE;
}

/*
 * The two halves of the core, each a function that is verified alone: their states do not
 * multiply with their callers'.
 */

/* Over what some listener takes: the daemon knows whether over this one's. */
SL_FN bool head_is_large(const struct sl_head *h)
{
	const struct sl_control *c = control_get();

	return c && ((c->max_head && h->len > c->max_head) ||
		     (c->max_headers && h->n_headers > c->max_headers));
}

/*
 * Parses the first @n bytes of the head that session @slot sent. A reason, or NONE: whole, strict
 * and nothing in it needs the user path.
 */
__noinline int request_parse(__u32 slot, __u32 n)
{
	struct sl_head_slot *h = bpf_map_lookup_elem(&request_heads, &slot);

	if (!h || n > SL_KERNEL_HEAD_MAX)
		return SL_REASON_INTERNAL;
	switch (sl_request_parse(&h->head, h->bytes, n)) {
	case SL_PARSE_DONE:
		return head_is_large(&h->head) ? SL_REASON_HEAD_TOO_LONG
					       : sl_kernel_reason(&h->head);
	case SL_PARSE_MORE:
		return n == SL_KERNEL_HEAD_MAX ? SL_REASON_HEAD_TOO_LONG
					       : SL_REASON_HEAD_INCOMPLETE;
	case SL_PARSE_LONG:
		return SL_REASON_HEAD_TOO_LONG;
	default:
		return SL_REASON_NOT_CANONICAL;
	}
}

/* The head that session @slot sent, and the table. False: one of them is missing. */
SL_FN bool sl_view_of(struct sl_request_view *v, __u32 slot)
{
	struct sl_head_slot *h = bpf_map_lookup_elem(&request_heads, &slot);

	v->t = table_get();
	if (!v->t || !h)
		return false;
	v->h = &h->head;
	v->buf = h->bytes;
	v->key = slot;
	return true;
}

/* Is there nothing in the head that session @slot sent that its listener would change? */
__noinline int request_plain(__u32 slot)
{
	struct sl_head_slot *h = bpf_map_lookup_elem(&request_heads, &slot);
	struct sl_session *s = session_at(slot);
	const struct sl_table *t = table_get();
	__u32 config;

	if (!s || !h || !t)
		return 0;
	config = t->config_of[s->listener & (SL_MAX_LISTENERS - 1)];
	return sl_is_plain(t, &h->head, h->bytes,
			   t->configs[config & (SL_MAX_LISTENERS - 1)].flags);
}

/* sl_match() of the head that session @slot sent. */
__noinline int request_match(__u32 slot)
{
	struct sl_head_slot *h = bpf_map_lookup_elem(&request_heads, &slot);
	struct sl_session *s = session_at(slot);
	struct sl_match_scan m = {};

	if (!s || !h || !sl_view_of(&m.v, slot))
		return SL_NO_ROUTE;
	s->generation = m.v.t->generation;
	m.s = &h->search;
	/* The daemon goes on with the same one: drawing again would favour some routes. */
	h->search.draw = 0;
	if (m.v.t->flags & SL_TABLE_DRAWS)
		h->search.draw = bpf_get_prandom_u32() | 1ULL << 32;
	s->decision.draw = h->search.draw;
	return sl_match(&m, s->listener);
}

/* Adds what policy @index of the route, hash rule @rule, makes of session @slot's head. 1: stop. */
__noinline int request_hash_one(__u32 slot, __u32 rule, __u32 index)
{
	struct sl_head_slot *h = bpf_map_lookup_elem(&request_heads, &slot);
	struct sl_session *s = session_at(slot);
	struct sl_hasher x = {.t = table_get()};
	const struct sl_hash_rule *r;
	enum sl_hashed got;
	__u64 one;

	if (!h || !s || !x.t)
		return 1;
	x.h = &h->head;
	x.buf = h->bytes;
	x.source = s->source_hash;
	r = &x.t->hash_rules[rule & (SL_MAX_HASH_RULES - 1)];
	got = sl_hash_one(&x, r, &one);
	return sl_hash_add(&s->hash, r, index, got, one);
}

struct hash_walk {
	__u32 slot;
	__u32 first;
	__u32 n;
};

static long request_hash_step(__u32 i, void *arg)
{
	struct hash_walk *w = arg;

	return i >= w->n || request_hash_one(w->slot, w->first + i, i);
}

/* The hash of the request by its route's policies, into r->s->hash. A reason, or NONE. */
SL_FN __u32 request_hash(struct sl_request *r, const struct sl_route *route)
{
	struct hash_walk w = {.slot = r->slot, .first = route->first_hash, .n = route->n_hashes};

	r->s->hash.value = 0;
	r->s->hash.found = 0;
	r->s->hash.generate = 0;
	if (w.n)
		bpf_loop(SL_MAX_ROUTE_HASHES, request_hash_step, &w, 0);
	return r->s->hash.generate ? SL_REASON_ROUTE_NEEDS_USER : SL_REASON_NONE;
}

/* Whether all of the decision was made with one table: a reload may have come between. */
SL_FN bool same_table(const struct sl_session *s, const struct sl_table *t)
{
	const struct sl_table *now = table_get();

	return now && t->generation == s->generation && now->generation == s->generation;
}

/* The route of the parsed head @h in table @t into *ret. A reason, or NONE. */
SL_FN __u32 request_find_route(struct sl_request *r, const struct sl_table *t,
			       struct sl_head_slot *h, __u32 *ret)
{
	__u32 index;

	if (h->again.generation == t->generation) {
		r->s->generation = t->generation;
		*ret = h->again.route;
		return SL_REASON_NONE;
	}
	if ((t->flags & SL_TABLE_PLAIN) && !request_plain(r->slot))
		return SL_REASON_ROUTE_NEEDS_USER;
	index = request_match(r->slot);
	if (index == SL_ROUTE_UNSURE)
		return SL_REASON_ROUTE_NEEDS_USER;
	if (index >= SL_MAX_ROUTES)
		return SL_REASON_NO_ROUTE;
	/* Another request with this head may draw otherwise. */
	if (!(t->flags & SL_TABLE_DRAWS) && same_table(r->s, t)) {
		h->again.route = index;
		h->again.generation = t->generation;
	}
	*ret = index;
	return SL_REASON_NONE;
}

/* Route, cluster and endpoint of the parsed head, into the session's decision. */
SL_FN __u32 request_route(struct sl_request *r, struct sl_head_slot *h)
{
	struct sl_decision *d = &r->s->decision;
	const struct sl_table *t = table_get();
	const struct sl_route *route;
	__u32 index, cluster, reason;
	struct sl_cluster *c;

	d->routed = 0;
	if (!t)
		return SL_REASON_INTERNAL;
	reason = request_find_route(r, t, h, &index);
	if (reason)
		return reason;
	sl_opaque(index);
	route = &t->routes[index & (SL_MAX_ROUTES - 1)];
	if ((route->flags & SL_ROUTE_NEEDS_USER) || route->action == SL_ACTION_DIRECT) {
		d->route = index;
		if ((route->flags & SL_ROUTE_CANNED) && same_table(r->s, t))
			r->canned1 = route->canned + 1;
		return SL_REASON_ROUTE_NEEDS_USER;
	}
	reason = request_hash(r, route);
	if (reason)
		return reason;
	cluster = route->target;
	if (route->action == SL_ACTION_SPLIT) {
		reason = split_pick(route->target, r->s, route->flags & SL_ROUTE_STICKY, &cluster);
		if (reason)
			return reason;
	}
	d->route = index;
	d->cluster = cluster;
	d->endpoint = cluster_pick(cluster, r->s->hash.value, r->s->hash.found);
	if (d->endpoint == SL_NO_ENDPOINT)
		return SL_REASON_NO_ENDPOINT;
	c = bpf_map_lookup_elem(&clusters, &cluster);
	if (!c || !same_table(r->s, t))
		return SL_REASON_INTERNAL;
	d->routed = 1;
	return SL_READ(c->flags) & SL_CLUSTER_WAITING ? SL_REASON_NO_IDLE_LANE : SL_REASON_NONE;
}

/* An idle lane off a pool of @endpoint: slot + 1; 0: there is none. Verified alone. */
__noinline __u32 pool_pop(__u32 pool, __u32 endpoint)
{
	__u32 key = sl_pool_key(pool, endpoint);
	__u64 *idle = bpf_map_lookup_elem(&pools, &key);

	return idle ? sl_stack_pop(idle, lane_next) : 0;
}

struct pools_walk {
	__u32 endpoint;
	__u32 pool; /* the last one looked into */
	__u32 n;    /* pools */
	__u32 slot1;
};

static long pools_step(__u32 i, void *arg)
{
	struct pools_walk *w = arg;

	w->pool = w->pool + 1 < w->n ? w->pool + 1 : 0;
	w->slot1 = pool_pop(w->pool, w->endpoint);
	return w->slot1 != 0;
}

/* The same off this CPU's pool, or else another's. Verified alone. */
__noinline __u32 pools_pop(__u32 endpoint)
{
	const struct sl_control *c = control_get();
	struct pools_walk w = {.endpoint = endpoint};

	if (!c)
		return 0;
	w.n = c->n_cpu_pools;
	w.pool = sl_pool_of(c, 0, bpf_get_smp_processor_id());
	w.slot1 = pool_pop(w.pool, endpoint);
	if (!w.slot1 && w.n > 1)
		bpf_loop(w.n - 1, pools_step, &w, 0);
	return w.slot1;
}

/*
 * Takes an idle lane of @endpoint: KERNEL state, the caller's alone. Slot + 1 and, in the upper
 * half, its generation; 0: there is none.
 */
__noinline __u64 lane_claim(__u32 endpoint)
{
	struct sl_endpoint *e = bpf_map_lookup_elem(&endpoints, &endpoint);

	if (!e || (e->flags & SL_ENDPOINT_CLOSED) || e->family == SL_AF_UNIX)
		return 0;
	for (int i = 0; i < SL_LANE_TRIES; i++) {
		__u32 slot1 = pools_pop(endpoint);
		struct sl_lane *l = slot1 ? lane_at(slot1 - 1) : NULL;
		__u32 bits, gen;

		if (!l)
			return 0;
		gen = SL_GEN(SL_READ(l->word));
		if (!lane_move(&l->word, gen, SL_LANE_IDLE, SL_LANE_KERNEL)) {
			/* The daemon marked it dead; it is off the stack now. Else it believed it
			 * lost (leaks.c), since a pop took seconds: it may be another's. */
			lane_move(&l->word, gen, SL_LANE_DEAD, SL_LANE_REAPED);
			continue;
		}
		bits = SL_BITS(SL_READ(l->word));
		sl_add(&e->busy, 1);
		if ((bits & SL_L_SURPLUS) || (bits & (SL_L_PAIRED | SL_L_SERVER)) == SL_L_PAIRED) {
			lane_surrender(l, slot1 - 1, gen, SL_LANE_KERNEL);
			continue;
		}
		return (__u64)gen << 32 | slot1;
	}
	return 0;
}

/* The lane that r's request goes to, claimed, or NULL. */
SL_FN struct sl_lane *request_lane(struct sl_request *r)
{
	__u64 got = lane_claim(r->s->decision.endpoint);

	if (!got)
		return NULL;
	r->lane_slot = (__u32)got - 1;
	r->lane_gen = got >> 32;
	return lane_at(r->lane_slot);
}

/* Envoy's max_requests_per_connection: this may be the lane's last request. */
SL_FN void lane_used(struct sl_lane *l, __u32 gen)
{
	if (l->left && !--l->left)
		word_change(&l->word, gen, SL_L_SURPLUS, 0);
}

/* Whether the session may begin no exchange at all. A reason, or NONE. */
SL_FN __u32 session_barred(const struct sl_control *c, __u64 word)
{
	if (!(c->flags & (SL_C_BYPASS | SL_C_FULL)))
		return SL_REASON_NONE;
	if (c->flags & SL_C_BYPASS)
		return SL_REASON_KERNEL_PATH_OFF;
	return SL_BITS(word) & SL_S_ADOPTED ? SL_REASON_NONE : SL_REASON_SESSIONS_FULL;
}

/*
 * Binds lane and session and begins the exchange. False: the session is not idle any more
 * (the daemon ends it); the lane is idle again.
 */
SL_FN bool exchange_begin(struct sl_request *r, struct sl_lane *l, struct sl_head *head)
{
	struct sl_session *s = r->s;
	__u32 bits = SL_S_EXCHANGE;

	l->session = r->slot + 1;
	l->session_gen = r->gen;
	l->phase = SL_RESP_HEAD;
	l->status = 0;
	s->lane = r->lane_slot + 1;
	s->lane_gen = r->lane_gen;
	s->route = s->decision.route;
	s->cluster = s->decision.cluster;
	s->head_method = head->method == SL_METHOD_HEAD;
	s->handover = SL_REASON_NONE;
	s->begun = 1;
	s->direct = 0;
	s->req = r->body;
	if (sl_body_done(&r->body))
		bits |= SL_S_REQ_DONE;
	if (word_own(&s->word, r->gen, bits)) {
		lane_used(l, r->lane_gen);
		return true;
	}
	s->begun = 0;
	s->lane = 0;
	lane_return(r->lane_slot, r->lane_gen);
	request_to_user(r, SL_REASON_DRAINING_BYTES);
	return false;
}

/*
 * The redirect found no target after all: the lane is finished, the request is the daemon's. It has
 * not repeated it from our copy of the head, though it may have seen the lane die: see `begun`. The
 * verdict: SK_PASS, unless the daemon has ended the session.
 */
SL_FN int exchange_cancel(struct sl_request *r, struct sl_lane *l)
{
	__u64 old;

	r->s->lane = 0;
	lane_surrender(l, r->lane_slot, r->lane_gen, SL_LANE_KERNEL);
	r->s->decision.at = r->at;
	r->s->decision.reason = SL_REASON_LANE_LOST;
	r->s->begun = 0;
	old = word_change(&r->s->word, r->gen, SL_S_USER, SL_S_EXCHANGE_BITS);
	if (SL_BITS(old) & SL_S_ABORTED)
		return SK_DROP;
	if (SL_BITS(old) & SL_S_PENDING)
		event_send(SL_EVENT_USER, r->slot, r->gen);
	return SK_PASS;
}

#endif /* SL_REQUEST_BPF_H */
