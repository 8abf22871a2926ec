/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Slots that a killed worker took off one list and did not put on another. BPF moves slots
 * all the time, so a slot is only believed to be lost when two looks, a second apart, find it
 * in the same state of the same generation on no list.
 */
#include <stdlib.h>
#include <string.h>
#include "internal.h"

#define SCANS_AT_START 5 /* looks after a start: what the last worker lost */
#define SCAN_EVERY 60	 /* later: what lost races cost */

#define LOST_AT_ONCE 256

/* What the last look found, by slot: the word, or 0: nothing wrong. */
struct leaks {
	__u64 *sessions;
	__u64 *lanes;
	__u8 *listed;
	__u32 scans;
};

/* Marks the slots of a list, by walking it; false: it changed meanwhile. */
static bool walk_session_list(struct worker *w, const __u64 *list, __u8 *listed)
{
	__u64 head = SL_READ(*list);
	__u32 slot1 = SL_STACK_SLOT(head);

	for (__u32 n = 0; slot1 && slot1 <= w->n_sessions && n < w->n_sessions; n++) {
		listed[slot1 - 1] = 1;
		slot1 = SL_READ(w->maps->sessions[slot1 - 1].next);
	}
	return SL_READ(*list) == head;
}

/* The same of all that a session's slot can be on. None changes its list meanwhile but by BPF. */
static bool walk_sessions(struct worker *w, __u8 *listed)
{
	const struct sl_control *c = w->maps->control;
	bool same;

	grace_hold(w->crew);
	same = walk_session_list(w, &c->freed_sessions, listed) &&
	       walk_session_list(w, &c->waiting_sessions, listed) &&
	       walk_session_list(w, &c->free_sessions, listed);
	grace_go_on(w->crew);
	return same;
}

static bool walk_lane_list(struct worker *w, const __u64 *list, __u8 *listed)
{
	__u64 head = SL_READ(*list);
	__u32 slot1 = SL_STACK_SLOT(head);

	for (__u32 n = 0; slot1 && slot1 <= w->n_lanes && n < w->n_lanes; n++) {
		listed[slot1 - 1] = 1;
		slot1 = SL_READ(w->maps->lanes[slot1 - 1].next);
	}
	return SL_READ(*list) == head;
}

static bool walk_lanes(struct worker *w, __u8 *listed)
{
	const struct sl_control *c = w->maps->control;
	bool same;

	grace_hold(w->crew);
	same = walk_lane_list(w, &c->freed_lanes, listed) &&
	       walk_lane_list(w, &c->waiting_lanes, listed) &&
	       walk_lane_list(w, &c->free_lanes, listed);
	grace_go_on(w->crew);
	return same;
}

/* @pool is @home's. A lane in another's pool than its own is found by nobody. */
static void walk_pool(struct worker *w, __u32 home, __u32 pool, __u32 endpoint, __u8 *listed)
{
	__u32 slot1 = SL_STACK_SLOT(SL_READ(*sl_maps_pool(w->maps, pool, endpoint)));

	for (__u32 n = 0; slot1 && slot1 <= w->n_lanes && n < w->n_lanes; n++) {
		const struct sl_lane *l = &w->maps->lanes[slot1 - 1];

		listed[slot1 - 1] |= SL_READ(l->home) == home;
		slot1 = SL_READ(l->next);
	}
}

/* The same for the pools. BPF changes them while we look, so a lane may be missed. */
static void walk_pools(struct worker *w, __u8 *listed)
{
	sl_each_worker (other, w)
		sl_each_pool (pool, w->maps, other->index)
			for (__u32 i = 0; i < endpoints_top(w); i++)
				walk_pool(w, other->index, pool, i, listed);
}

static void scan_sessions(struct worker *w, struct leaks *k)
{
	memset(k->listed, 0, w->n_sessions);
	if (!walk_sessions(w, k->listed))
		return;
	for (__u32 i = 0; i < w->n_sessions; i++) {
		struct sl_session *s = &w->maps->sessions[i];
		/* A slot never used has word 0: tell it from "nothing wrong". */
		__u64 word = SL_READ(s->word) | 1ULL << 31;

		if (k->listed[i] || (SL_BITS(word) & SL_S_HELD)) {
			k->sessions[i] = 0;
		} else if (k->sessions[i] != word) {
			k->sessions[i] = word;
		} else {
			k->sessions[i] = 0;
			while (!sl_stack_push(&w->maps->control->freed_sessions, &s->next, i))
				;
		}
	}
}

/* A lane that is lost: free and on no list, idle and in no pool, in an exchange with nobody. */
static bool lane_lost(struct worker *w, __u32 slot, __u64 word, bool listed)
{
	const struct sl_lane *l = &w->maps->lanes[slot];
	const struct sl_session *s;
	__u32 slot1;

	switch (SL_BITS(word) & SL_L_STATE) {
	case SL_LANE_FREE:
		return !listed && !(SL_BITS(word) & SL_L_HELD);
	case SL_LANE_IDLE:
	case SL_LANE_DEAD:
		return !listed;
	case SL_LANE_KERNEL:
		slot1 = SL_READ(l->session);
		if (!slot1 || slot1 > w->n_sessions)
			return true;
		s = &w->maps->sessions[slot1 - 1];
		return SL_GEN(SL_READ(s->word)) != l->session_gen ||
		       !(SL_BITS(SL_READ(s->word)) & SL_S_EXCHANGE) || s->lane != slot + 1;
	}
	return false;
}

static void lane_recover(struct worker *w, __u32 slot, __u64 word)
{
	__u32 state = SL_BITS(word) & SL_L_STATE;
	struct worker *owner = w->crew->all[w->crew->lane_owner[slot]];
	struct back *b = owner->back_of[slot];

	if (state == SL_LANE_FREE) {
		lane_stack_push(w, &w->maps->control->freed_lanes, slot);
		return;
	}
	if (!b || b->front || b->mirror || !lane_move(b, state, SL_LANE_USER))
		return;
	if (state != SL_LANE_KERNEL)
		sl_add(&w->maps->endpoints[b->endpoint].busy, 1); /* lane_close() takes it back */
	lane_close(owner, b);
}

static void scan_lanes(struct worker *w, struct leaks *k)
{
	__u32 lost[LOST_AT_ONCE], n = 0;

	memset(k->listed, 0, w->n_lanes);
	if (!walk_lanes(w, k->listed))
		return;
	walk_pools(w, k->listed);
	for (__u32 i = 0; i < w->n_lanes; i++) {
		/* Bit 31 as above; when it became idle tells one idle time from the next. */
		__u64 word = SL_READ(w->maps->lanes[i].word);
		__u64 seen = (word | 1ULL << 31) ^ w->maps->lanes[i].idle_ns << 8;

		if (!lane_lost(w, i, word, k->listed[i])) {
			k->lanes[i] = 0;
		} else if (k->lanes[i] != seen) {
			k->lanes[i] = seen;
		} else {
			k->lanes[i] = 0;
			lost[n++] = i;
			if (n == LOST_AT_ONCE)
				break;
		}
	}
	if (!n)
		return;
	/* To be sure: pools are taken off and put back whole, which makes requests miss. */
	memset(k->listed, 0, w->n_lanes);
	lane_walk_pools(w, k->listed);
	while (n--) {
		__u64 word = SL_READ(w->maps->lanes[lost[n]].word);

		bool free = (SL_BITS(word) & SL_L_STATE) == SL_LANE_FREE;

		if (lane_lost(w, lost[n], word, !free && k->listed[lost[n]]))
			lane_recover(w, lost[n], word);
	}
}

/* Slots that wait for their client to close a socket whose connection is over, see SL_S_GONE. */
static void release_gone(struct worker *w)
{
	for (__u32 i = 0; i < w->n_sessions; i++) {
		struct sl_session *s = &w->maps->sessions[i];
		__u64 word = SL_READ(s->word);

		if (!(SL_BITS(word) & SL_S_GONE) || (SL_BITS(word) & SL_S_HELD) != SL_S_CLIENT ||
		    sl_maps_sockmap_has(w->maps->clients_fd, i) ||
		    sl_cmpxchg(&s->word, word, word & ~(__u64)(SL_S_CLIENT | SL_S_GONE)) != word)
			continue;
		while (!sl_stack_push(&w->maps->control->freed_sessions, &s->next, i))
			;
	}
}

/* Once a second. */
void leaks_scan(struct worker *w)
{
	struct leaks *k = w->leaks;

	release_gone(w);
	grace_want(w->crew);
	if (!k) {
		k = w->leaks = calloc(1, sizeof(*k));
		if (!k)
			return;
		k->sessions = calloc(w->n_sessions + 1, sizeof(*k->sessions));
		k->lanes = calloc(w->n_lanes + 1, sizeof(*k->lanes));
		k->listed = calloc(w->n_sessions + w->n_lanes + 1, 1);
	}
	k->scans++;
	if (!k->sessions || !k->lanes || !k->listed ||
	    (k->scans > SCANS_AT_START && k->scans % SCAN_EVERY > 2))
		return;
	crew_pause(w);
	scan_sessions(w, k);
	scan_lanes(w, k);
	crew_resume(w);
}

void leaks_free(struct worker *w)
{
	if (!w->leaks)
		return;
	free(w->leaks->sessions);
	free(w->leaks->lanes);
	free(w->leaks->listed);
	free(w->leaks);
}
