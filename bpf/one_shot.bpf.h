/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Connections that are not worth a capture: whose process makes one for each request (sl_streak),
 * and how the passive end is told of one (map `one_shots`).
 */
#ifndef SL_ONE_SHOT_BPF_H
#define SL_ONE_SHOT_BPF_H

#include "tables.bpf.h"

/* Whether a connection of @key that begins now would be captured in vain; see sl_streak. */
SL_FN bool is_one_shot(const struct sl_streak_key *key)
{
	struct sl_streak *streak = bpf_map_lookup_elem(&streaks, key);
	__u64 now;

	if (!streak || streak->n < SL_STREAK_MIN)
		return false;
	now = bpf_ktime_get_ns();
	if (now - streak->last_ns >= SL_STREAK_NS)
		return false;
	if (streak->skipped >= SL_STREAK_MAX || streak->skipped >= streak->n) {
		streak->skipped = 0;
		return false;
	}
	streak->skipped++;
	streak->last_ns = now;
	return true;
}

/*
 * A captured client has ended. Not in vain was one whose last request was routed here, too, and
 * only lacked a lane: it will have one. Two CPUs may be here: of the counts one may be lost.
 */
SL_FN void streak_note(const struct sl_session *s, __u32 tgid)
{
	struct sl_streak_key key = {.tgid = tgid, .listener = s->listener};
	struct sl_streak *streak = bpf_map_lookup_elem(&streaks, &key);
	struct sl_streak first = {.n = 1};
	__u64 now = bpf_ktime_get_ns();

	if (s->route != SL_NEVER_ROUTED || s->decision.routed) {
		if (streak)
			streak->n = 0;
	} else if (streak) {
		streak->n = now - streak->last_ns < SL_STREAK_NS ? streak->n + 1 : 1;
		streak->last_ns = now;
	} else {
		first.last_ns = now;
		bpf_map_update_elem(&streaks, &key, &first, BPF_ANY);
	}
}

/* Tells the passive end, which knows the sequence number as well. */
SL_FN void one_shot_offer(struct bpf_sock_ops *ctx)
{
	__u32 seq = tcp_of((__u64)ctx->sk)->write_seq, key = seq % SL_ONE_SHOTS;
	__u64 *entry = bpf_map_lookup_elem(&one_shots, &key);

	if (entry)
		SL_WRITE(*entry, SL_ONE_SHOT_SET | seq);
}

SL_FN bool one_shot_take(struct bpf_sock_ops *ctx)
{
	__u32 seq = ctx->rcv_nxt - 1, key = seq % SL_ONE_SHOTS;
	__u64 *entry = bpf_map_lookup_elem(&one_shots, &key);

	return entry && sl_cmpxchg(entry, SL_ONE_SHOT_SET | seq, 0) == (SL_ONE_SHOT_SET | seq);
}

#endif /* SL_ONE_SHOT_BPF_H */
