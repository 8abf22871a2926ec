/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Access to the shared tables from BPF: slots, free lists, generations, what a socket's
 * TCP counters say, events to the daemon.
 */
#ifndef SL_TABLES_BPF_H
#define SL_TABLES_BPF_H

#include "maps.bpf.h"
#include "probe.bpf.h"

#define SL_CAS_TRIES 8

SL_FN struct sl_control *control_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&control, &zero);
}

SL_FN struct sl_session *session_at(__u32 slot)
{
	return bpf_map_lookup_elem(&sessions, &slot);
}

SL_FN struct sl_lane *lane_at(__u32 slot)
{
	return bpf_map_lookup_elem(&lanes, &slot);
}

SL_FN __u32 *session_next(__u32 slot)
{
	struct sl_session *s = session_at(slot);

	return s ? &s->next : NULL;
}

SL_FN __u32 *lane_next(__u32 slot)
{
	struct sl_lane *l = lane_at(slot);

	return l ? &l->next : NULL;
}

/* Tells the daemon; when the ring is full it sweeps the tables instead. */
SL_FN void event_send(__u32 type, __u32 slot, __u32 gen)
{
	struct sl_event *e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);

	if (!e) {
		struct sl_control *c = control_get();

		if (c)
			sl_add(&c->lost_events, 1);
		return;
	}
	e->type = type;
	e->slot = slot;
	e->gen = gen;
	e->zero = 0;
	bpf_ringbuf_submit(e, 0);
}

/*
 * Sets @set and clears @clear in a session's or lane's word of generation @gen, by
 * compare-and-swap. Returns the word before, or 0 if the generation is another (generations
 * start at 1) or the race was lost too often. Verified alone, as every function here that is not
 * inlined: its states do not multiply with its callers'.
 */
__noinline __u64 word_change(__u64 *word, __u32 gen, __u32 set, __u32 clear)
{
	if (!word)
		return 0;
	for (int i = 0; i < SL_CAS_TRIES; i++) {
		__u64 old = SL_READ(*word);

		if (SL_GEN(old) != gen)
			return 0;
		if (sl_cmpxchg(word, old, SL_WORD(gen, (SL_BITS(old) & ~clear) | set)) == old)
			return old;
	}
	return 0;
}

/*
 * The same for a session that is idle: sets @set unless an owner is there already or the session
 * ends. Other bits may change meanwhile (the daemon accepts). False: it is not idle any more.
 */
__noinline int word_own(__u64 *word, __u32 gen, __u32 set)
{
	if (!word)
		return 0;
	for (int i = 0; i < SL_CAS_TRIES; i++) {
		__u64 old = SL_READ(*word);

		if (SL_GEN(old) != gen ||
		    (SL_BITS(old) & (SL_S_BUSY | SL_S_CLOSING | SL_S_ABORTED | SL_S_TORN)))
			return 0;
		if (sl_cmpxchg(word, old, old | set) == old)
			return 1;
	}
	return 0;
}

/*
 * Moves a lane of generation @gen from state @from to @to. False: it is not in that state, so it
 * is not ours: the daemon has taken the exchange away.
 */
__noinline int lane_move(__u64 *word, __u32 gen, __u32 from, __u32 to)
{
	if (!word)
		return 0;
	for (int i = 0; i < SL_CAS_TRIES; i++) {
		__u64 old = SL_READ(*word);

		if (SL_GEN(old) != gen || (SL_BITS(old) & SL_L_STATE) != from)
			return 0;
		if (sl_cmpxchg(word, old, SL_WORD(gen, (SL_BITS(old) & ~SL_L_STATE) | to)) == old)
			return 1;
	}
	return 0;
}

/* The lane, in state @from, leaves the kernel path for good; the daemon closes it. */
SL_FN void lane_surrender(struct sl_lane *l, __u32 slot, __u32 gen, __u32 from)
{
	if (lane_move(&l->word, gen, from, SL_LANE_USER))
		event_send(SL_EVENT_LANE, slot, gen);
}

/* Shard of the counters for this CPU; shard 0 is the daemon's. */
SL_FN __u32 stat_shard(void)
{
	return 1 + bpf_get_smp_processor_id() % (SL_STAT_SHARDS - 1);
}

#endif /* SL_TABLES_BPF_H */
