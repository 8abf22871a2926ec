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
	const int pass = msg_is_rest(msg) ? SK_DROP : SK_PASS;
	struct sl_lane *l;
	__u64 word;

	if (!sk)
		return pass;
	me = bpf_sk_storage_get(&sockets, sk, NULL, 0);
	if (!me || me->role != SL_ROLE_BACK)
		return pass;
	l = lane_at(me->slot);
	if (!l)
		return pass;
	word = SL_READ(l->word);
	if (SL_GEN(word) != me->gen || !(SL_BITS(word) & SL_L_SERVER))
		return pass;
	/* There was no memory for the last one, and this is the same once more. */
	if (SL_READ(l->asker) && pass == SK_PASS) {
		SL_WRITE(l->asker, 0);
		return SK_PASS;
	}
	/* Behind what went by TCP, and no further ahead of the reader than a client's bytes. */
	if (pass == SK_PASS &&
	    (!lane_arrived(me->slot) || !reader_has_room(l->server_sk, msg_size(msg), &l->unread)))
		return SK_PASS;
	if (bpf_msg_redirect_map(msg, &servers, me->slot, BPF_F_INGRESS) != SK_PASS)
		return pass;
	/* The daemon has counted them as sent through back. */
	if (!lane_lands(l, msg_size(msg), SL_ASKS_RELAY))
		sl_add(&l->back_tx, -msg_size(msg));
	return SK_PASS;
}
