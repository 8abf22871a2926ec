// SPDX-License-Identifier: GPL-2.0-only
/* The conservation check: nothing leaks from the tables of sessions and lanes. */
#include "cmd/stats.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Something wrong has to be seen this many times, this long apart, to be believed. */
#define LOOKS 10
#define LOOK_APART_NS (20 * 1000 * 1000)

enum wrong {
	SESSION_TWICE,
	SESSION_LOST,
	SESSION_FREE_HELD,
	SESSION_FREE_BUSY,
	SESSION_LANE,
	LANE_TWICE,
	LANE_LOST,
	LANE_FREE_HELD,
	LANE_STATE,
	LANE_NOT_POOLED,
	LANE_POOLED,
	LANE_WRONG_POOL,
	LANE_UNBOUND,
	LANE_NOBODYS,
};

/* A lane in front of the text that begins with LANE_TWICE, a session before. */
static const char *const texts[] = {
	[SESSION_TWICE] = "is on the free list more than once",
	[SESSION_LOST] = "is not open and not on the free list",
	[SESSION_FREE_HELD] = "is open, and on the free list",
	[SESSION_FREE_BUSY] = "is on the free list in the middle of an exchange",
	[SESSION_LANE] = "is in an exchange with a lane that is not bound to it",
	[LANE_TWICE] = "is on more than one list",
	[LANE_LOST] = "is free and not on the free list",
	[LANE_FREE_HELD] = "is in use, and on the free list",
	[LANE_STATE] = "is in no known state",
	[LANE_NOT_POOLED] = "is idle, and not in its endpoint's pool",
	[LANE_POOLED] = "is not idle, and in a pool",
	[LANE_WRONG_POOL] = "is in another endpoint's pool",
	[LANE_UNBOUND] = "is in an exchange with a session that is not bound to it",
	[LANE_NOBODYS] = "is the daemon's, which does not hold it",
};

struct finding {
	enum wrong wrong;
	__u32 slot;
	__u32 gen;
};

struct look {
	const struct sl_maps *m;
	__u32 n_sessions, n_lanes;
	__u32 *session_lists; /* per slot: times on the free list */
	__u32 *lane_lists;    /* per slot: times on any list */
	__u32 *lane_pool;     /* per slot: endpoint + 1 of the pool it is in, 0: the free list */
	struct finding *found;
	__u32 n_found, room;
	bool no_memory;
};

static void wrong(struct look *l, enum wrong what, __u32 slot, __u64 word)
{
	if (l->n_found == l->room) {
		__u32 room = l->room ? l->room * 2 : 64;
		struct finding *found = realloc(l->found, room * sizeof(*found));

		if (!found) {
			l->no_memory = true;
			return;
		}
		l->found = found;
		l->room = room;
	}
	l->found[l->n_found++] = (struct finding){.wrong = what, .slot = slot, .gen = SL_GEN(word)};
}

/* A walk ends at a slot that is on a list already: what lies below has been there. */
static void walk_lanes(struct look *l, __u64 head, __u32 pool)
{
	__u32 slot1 = SL_STACK_SLOT(head);

	while (slot1 && slot1 <= l->n_lanes && !l->lane_lists[slot1 - 1]++) {
		l->lane_pool[slot1 - 1] = pool;
		slot1 = SL_READ(l->m->lanes[slot1 - 1].next);
	}
}

static void walk_sessions(struct look *l, __u64 head)
{
	__u32 slot1 = SL_STACK_SLOT(head);

	while (slot1 && slot1 <= l->n_sessions && !l->session_lists[slot1 - 1]++)
		slot1 = SL_READ(l->m->sessions[slot1 - 1].next);
}

static void walk_all(struct look *l)
{
	const struct sl_maps *m = l->m;

	memset(l->session_lists, 0, l->n_sessions * sizeof(*l->session_lists));
	memset(l->lane_lists, 0, l->n_lanes * sizeof(*l->lane_lists));
	memset(l->lane_pool, 0, l->n_lanes * sizeof(*l->lane_pool));
	walk_sessions(l, SL_READ(m->control->free_sessions));
	walk_sessions(l, SL_READ(m->control->waiting_sessions));
	walk_sessions(l, SL_READ(m->control->freed_sessions));
	walk_lanes(l, SL_READ(m->control->free_lanes), 0);
	walk_lanes(l, SL_READ(m->control->waiting_lanes), 0);
	walk_lanes(l, SL_READ(m->control->freed_lanes), 0);
	for (__u32 pool = 0; pool < m->n_pools; pool++)
		for (__u32 i = 0; i < SL_MAX_ENDPOINTS; i++)
			walk_lanes(l, SL_READ(*sl_maps_pool(m, pool, i)), i + 1);
}

/* Whether session @slot and its lane point at one another. */
static bool lane_bound(const struct look *l, __u32 slot, __u64 word)
{
	const struct sl_session *s = &l->m->sessions[slot];
	const struct sl_lane *lane;
	__u64 lane_word;

	if (!s->lane)
		return true; /* not chosen yet, or answered without one */
	if (s->lane > l->n_lanes)
		return false;
	lane = &l->m->lanes[s->lane - 1];
	lane_word = SL_READ(lane->word);
	return SL_GEN(lane_word) == s->lane_gen && lane->session == slot + 1 &&
	       lane->session_gen == SL_GEN(word);
}

static void look_at_session(struct look *l, __u32 slot)
{
	__u64 word = SL_READ(l->m->sessions[slot].word);
	__u32 bits = SL_BITS(word), lists = l->session_lists[slot];

	if (lists > 1)
		wrong(l, SESSION_TWICE, slot, word);
	if (!lists && !(bits & SL_S_HELD))
		wrong(l, SESSION_LOST, slot, word);
	if (lists && bits & SL_S_HELD)
		wrong(l, SESSION_FREE_HELD, slot, word);
	if (lists && bits & SL_S_EXCHANGE)
		wrong(l, SESSION_FREE_BUSY, slot, word);
	if (!lists && bits & SL_S_EXCHANGE && !lane_bound(l, slot, word))
		wrong(l, SESSION_LANE, slot, word);
}

/* Whether the session that lane @slot names is in an exchange with it. */
static bool session_bound(const struct look *l, __u32 slot, __u64 word)
{
	const struct sl_lane *lane = &l->m->lanes[slot];
	const struct sl_session *s;
	__u64 session_word;

	if (!lane->session || lane->session > l->n_sessions)
		return false;
	s = &l->m->sessions[lane->session - 1];
	session_word = SL_READ(s->word);
	return SL_GEN(session_word) == lane->session_gen && SL_BITS(session_word) & SL_S_EXCHANGE &&
	       s->lane == slot + 1 && s->lane_gen == SL_GEN(word);
}

static void look_at_lane(struct look *l, __u32 slot)
{
	const struct sl_lane *lane = &l->m->lanes[slot];
	__u64 word = SL_READ(lane->word);
	__u32 bits = SL_BITS(word), lists = l->lane_lists[slot], pool = l->lane_pool[slot];
	__u32 state = bits & SL_L_STATE;
	bool pooled = state == SL_LANE_IDLE || state == SL_LANE_DEAD;

	if (lists > 1)
		wrong(l, LANE_TWICE, slot, word);
	else if (lists && pool && !pooled)
		wrong(l, LANE_POOLED, slot, word);
	else if (lists && pool && pool - 1 != lane->endpoint)
		wrong(l, LANE_WRONG_POOL, slot, word);
	else if (lists && !pool && (state != SL_LANE_FREE || bits & SL_L_HELD))
		wrong(l, LANE_FREE_HELD, slot, word);
	if (!lists && pooled)
		wrong(l, LANE_NOT_POOLED, slot, word);
	if (!lists && state == SL_LANE_FREE && !(bits & SL_L_HELD))
		wrong(l, LANE_LOST, slot, word);
	if (state > SL_LANE_REAPED)
		wrong(l, LANE_STATE, slot, word);
	if (state == SL_LANE_KERNEL && !session_bound(l, slot, word))
		wrong(l, LANE_UNBOUND, slot, word);
	if ((state == SL_LANE_USER || state == SL_LANE_REAPED) && !(bits & SL_L_BACK))
		wrong(l, LANE_NOBODYS, slot, word);
}

static void look_again(struct look *l)
{
	walk_all(l);
	for (__u32 i = 0; i < l->n_sessions; i++)
		look_at_session(l, i);
	for (__u32 i = 0; i < l->n_lanes; i++)
		look_at_lane(l, i);
}

/* Keeps of what was found in the last look (from @first on) what the looks before found too. */
static void keep_repeated(struct look *l, __u32 first)
{
	__u32 kept = 0;

	for (__u32 i = first; i < l->n_found; i++) {
		const struct finding *f = &l->found[i];
		__u32 j = 0;

		while (j < first && memcmp(&l->found[j], f, sizeof(*f)) != 0)
			j++;
		if (j < first)
			l->found[first + kept++] = *f;
	}
	memmove(l->found, l->found + first, kept * sizeof(*l->found));
	l->n_found = kept;
}

static void report(const struct look *l, FILE *out)
{
	for (__u32 i = 0; i < l->n_found; i++) {
		const struct finding *f = &l->found[i];
		bool lane = f->wrong >= LANE_TWICE;
		__u64 word = lane ? l->m->lanes[f->slot].word : l->m->sessions[f->slot].word;

		fprintf(out, "%s %u (generation %u, bits 0x%x) %s\n", lane ? "lane" : "session",
			f->slot, f->gen, SL_BITS(word), texts[f->wrong]);
	}
}

int sl_conservation_check(const struct sl_maps *m, FILE *out)
{
	const struct timespec apart = {.tv_nsec = LOOK_APART_NS};
	struct look l = {.m = m};
	int ret = -ENOMEM;

	l.n_sessions = m->control->n_sessions;
	l.n_lanes = m->control->n_lanes;
	if (l.n_sessions > SL_MAX_SESSIONS || l.n_lanes > SL_MAX_LANES)
		return -EPROTO;
	l.session_lists = calloc(l.n_sessions + 1, sizeof(*l.session_lists));
	l.lane_lists = calloc(l.n_lanes + 1, sizeof(*l.lane_lists));
	l.lane_pool = calloc(l.n_lanes + 1, sizeof(*l.lane_pool));
	if (!l.session_lists || !l.lane_lists || !l.lane_pool)
		goto out;
	look_again(&l);
	for (int look = 1; look < LOOKS && l.n_found; look++) {
		__u32 first = l.n_found;

		nanosleep(&apart, NULL);
		look_again(&l);
		keep_repeated(&l, first);
	}
	if (l.no_memory)
		goto out;
	report(&l, out);
	ret = l.n_found;
out:
	free(l.session_lists);
	free(l.lane_lists);
	free(l.lane_pool);
	free(l.found);
	return ret;
}
