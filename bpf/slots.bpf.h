/* SPDX-License-Identifier: GPL-2.0-only */
/* Slots of sessions and lanes: taken by who establishes, freed by the last that holds them. */
#ifndef SL_SLOTS_BPF_H
#define SL_SLOTS_BPF_H

#include "tables.bpf.h"

/* A new session slot with @bits set; slot + 1, or 0 when all are taken. */
SL_FN __u32 session_alloc(struct sl_control *c, __u32 bits, __u32 *ret_gen)
{
	__u32 slot1 = sl_stack_pop(&c->free_sessions, session_next);
	struct sl_session *s;
	__u32 gen;

	if (!slot1) {
		sl_add(&c->no_session, 1);
		return 0;
	}
	s = session_at(slot1 - 1);
	if (!s)
		return 0;
	gen = SL_GEN(SL_READ(s->word)) + 1;
	if (!gen)
		gen = 1;
	s->lane = 0;
	s->client_sk = 0;
	s->front_sk = 0;
	s->front_rx = 0;
	s->front_tx = 0;
	s->cluster = SL_NO_CLUSTER;
	s->route = SL_NEVER_ROUTED;
	s->front_fd = -1;
	s->front_cookie = 0;
	s->user_dirty = 0;
	s->mover = 0;
	s->decision.reason = 0;
	s->decision.routed = 0;
	s->last_ns = bpf_ktime_get_ns();
	*ret_gen = gen;
	SL_WRITE(s->word, SL_WORD(gen, bits));
	return slot1;
}

/*
 * Clears @bits that hold a session slot; the last one to do so frees it. Not to be taken at once:
 * see freed_sessions.
 */
SL_FN void session_release(__u32 slot, __u32 gen, __u32 bits)
{
	struct sl_control *c = control_get();
	struct sl_session *s = session_at(slot);
	__u64 old;

	if (!s || !c)
		return;
	old = word_change(&s->word, gen, 0, bits);
	if ((SL_BITS(old) & bits) && !(SL_BITS(old) & SL_S_HELD & ~bits))
		sl_stack_push(&c->freed_sessions, &s->next, slot);
}

SL_FN void lane_release(__u32 slot, __u32 gen, __u32 bits)
{
	struct sl_control *c = control_get();
	struct sl_lane *l = lane_at(slot);
	__u64 old;

	if (!l || !c)
		return;
	old = word_change(&l->word, gen, 0, bits);
	if ((SL_BITS(old) & bits) && !(SL_BITS(old) & SL_L_HELD & ~bits) &&
	    (SL_BITS(old) & SL_L_STATE) == SL_LANE_FREE)
		sl_stack_push(&c->freed_lanes, &l->next, slot);
}

#endif /* SL_SLOTS_BPF_H */
