/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tunnels behind a 101: finding the other end of one, for the doors that redirect every byte to it.
 * See TUNNEL in sl_session.h. Each door looks first whether all that went by TCP has been read,
 * and at the way's bit behind that: the daemon clears the bit before it reads.
 */
#ifndef SL_TUNNEL_BPF_H
#define SL_TUNNEL_BPF_H

#include "path.bpf.h"

/* The lane that session @s is bound to, if the way up is the kernel's; NULL: pass. */
SL_FN struct sl_lane *tunnel_lane(const struct sl_session *s, __u32 gen)
{
	__u64 word = SL_READ(s->word), lane_word;
	__u32 slot = s->lane - 1;
	struct sl_lane *l = lane_at(slot);

	if (!l || SL_GEN(word) != gen || (SL_BITS(word) & (SL_S_CLOSING | SL_S_TORN)) ||
	    !(SL_BITS(word) & SL_S_TUNNEL_UP))
		return NULL;
	lane_word = SL_READ(l->word);
	if (SL_GEN(lane_word) != s->lane_gen || !(SL_BITS(lane_word) & SL_L_TUNNEL))
		return NULL;
	return l;
}

/* The word of the session that lane @l (@slot) is bound to, if the way down is the kernel's; 0. */
SL_FN __u64 tunnel_word(const struct sl_lane *l, const struct sl_session *s, __u32 slot)
{
	__u64 word = SL_READ(s->word);

	if (SL_GEN(word) != l->session_gen || s->lane != slot + 1 ||
	    (SL_BITS(word) & SL_S_CLOSING) || !(SL_BITS(word) & SL_S_TUNNEL_DOWN))
		return 0;
	return word;
}

/* For the idle timeout. */
SL_FN void tunnel_moved(struct sl_session *s)
{
	s->last_ns = bpf_ktime_get_ns();
}

#endif /* SL_TUNNEL_BPF_H */
