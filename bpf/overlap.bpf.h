/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Segments that begin with bytes that have come before. TCP sends again from the first byte that
 * it has no acknowledgement of, and in other pieces than the first time
 * (tcp_retrans_try_collapse()); tcp_data_queue() takes a segment whose end alone is new as it is,
 * and a reader of the receive queue skips its beginning. tcp_read_skb() does not: a verdict program
 * gets it whole, and so would its socket's owner. So the verdict cuts off what it has seen.
 */
#ifndef SL_OVERLAP_BPF_H
#define SL_OVERLAP_BPF_H

#include "tables.bpf.h"

/* Inlined to a move by the verifier. */
extern void *bpf_cast_to_kern_ctx(void *obj) __ksym;

#define SL_PULL_MAX 0xfff /* bytes that sk_skb_adjust_room() takes off at a time */
#define SL_PULLS 160
#define SL_TCP_FIN 1 /* TCPHDR_FIN */

SL_FN const struct tcp_skb_cb *segment_cb(struct __sk_buff *skb)
{
	const struct sk_buff *k = bpf_cast_to_kern_ctx(skb);

	return bpf_rdonly_cast((void *)k->cb, bpf_core_type_id_kernel(struct tcp_skb_cb));
}

/* The sequence number of a segment's first byte. */
SL_FN __u32 segment_seq(struct __sk_buff *skb)
{
	return segment_cb(skb)->seq;
}

/* Whether it ends with the far end's FIN: nothing new follows. */
SL_FN bool segment_is_last(struct __sk_buff *skb)
{
	return segment_cb(skb)->tcp_flags & SL_TCP_FIN;
}

/* Takes @n bytes off the front. */
SL_FN void segment_pull(struct __sk_buff *skb, __u32 n)
{
	for (int i = 0; i < SL_PULLS && n > SL_PULL_MAX; i++) {
		if (bpf_skb_adjust_room(skb, -SL_PULL_MAX, 0, 0))
			return;
		n -= SL_PULL_MAX;
	}
	bpf_skb_adjust_room(skb, -(__s32)n, 0, 0);
}

/*
 * Leaves of a segment to the socket @me what is new; that can be nothing but its FIN. Always 0.
 * Verified alone: its states do not multiply with its callers'.
 */
__noinline int segment_trim(struct __sk_buff *skb, struct sl_socket *me)
{
	__u32 seq = segment_seq(skb), end = seq + skb->len;
	__s32 old;

	if (!me)
		return 0;
	old = me->seen - seq;
	if (me->seen && old > 0)
		segment_pull(skb, old < (__s32)skb->len ? old : skb->len);
	if (!me->seen || (__s32)(end - me->seen) > 0)
		me->seen = end;
	return 0;
}

#endif /* SL_OVERLAP_BPF_H */
