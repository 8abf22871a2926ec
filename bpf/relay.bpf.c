// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the daemon itself sends on a lane whose server is on this host: straight into the server,
 * as a co-located client's request would go, without a way through TCP.
 */
#include "path.bpf.h"

SEC("sk_msg")
int back_msg(struct sk_msg_md *msg)
{
	struct bpf_sock *sk = msg->sk;
	struct sl_socket *me;
	struct sl_lane *l;
	__u64 word;

	if (!sk)
		return SK_PASS;
	me = bpf_sk_storage_get(&sockets, sk, NULL, 0);
	if (!me || me->role != SL_ROLE_BACK)
		return SK_PASS;
	l = lane_at(me->slot);
	if (!l)
		return SK_PASS;
	word = SL_READ(l->word);
	if (SL_GEN(word) != me->gen || !(SL_BITS(word) & SL_L_SERVER))
		return SK_PASS;
	/* Behind what went by TCP, and no further ahead of the reader than a client's bytes. */
	if (!lane_arrived(me->slot) || !reader_has_room(l->server_sk, msg_size(msg), &l->unread) ||
	    bpf_msg_redirect_map(msg, &servers, me->slot, BPF_F_INGRESS) != SK_PASS)
		return SK_PASS;
	/* The daemon has counted them as sent through back. */
	sl_add(&l->back_tx, -msg_size(msg));
	return SK_PASS;
}
