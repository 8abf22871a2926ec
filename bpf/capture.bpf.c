// SPDX-License-Identifier: GPL-2.0-only
/*
 * Capture: finds the four sockets of the data path as they are established, and the two ends of
 * each connection on this host.
 *
 * Far ends are found by sequence numbers, not by addresses: at establishment the active end's
 * (snd_nxt, rcv_nxt) is the passive end's (rcv_nxt, snd_nxt), and on one host the active end's
 * callback runs first. 64 bits that nobody else knows hold across network namespaces, NAT and
 * address families, and cannot be forged by a process with overlapping addresses.
 *
 * An application's socket can be inserted into a sockmap here and nowhere else.
 */
#include "address.bpf.h"
#include "one_shot.bpf.h"
#include "slots.bpf.h"

#define SL_RCV_SHUTDOWN 1 /* RCV_SHUTDOWN */

SL_FN __u64 pair_key(__u32 active_snd_nxt, __u32 active_rcv_nxt)
{
	return (__u64)active_snd_nxt << 32 | active_rcv_nxt;
}

SL_FN struct sl_socket *socket_mark(struct bpf_sock_ops *ctx, __u32 role, __u32 slot, __u32 gen)
{
	struct bpf_sock *sk = ctx->sk;
	struct sl_socket *me;

	if (!sk)
		return NULL;
	me = bpf_sk_storage_get(&sockets, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
	if (!me)
		return NULL;
	me->role = role;
	me->slot = slot;
	me->gen = gen;
	return me;
}

/* An application's socket, for pass_skb: all that comes from now on is new to it. */
SL_FN void app_note(struct bpf_sock_ops *ctx, __u32 role, __u32 slot, __u32 gen)
{
	struct sl_socket me = {.role = role, .slot = slot, .gen = gen, .seen = ctx->rcv_nxt};
	__u64 cookie = bpf_get_socket_cookie(ctx);

	bpf_map_update_elem(&by_cookie, &cookie, &me, BPF_ANY);
}

/*
 * Unless it had sent its FIN before and this is the far end's: tcp_fin() has called
 * tcp_time_wait(), and tcp_data_queue() hands the segment to the verdict after that. It may begin
 * with old bytes, and the verdict forgets behind it.
 */
SL_FN void app_forget(struct bpf_sock_ops *ctx, struct bpf_sock *sk)
{
	__u64 cookie = bpf_get_socket_cookie(ctx);

	if (ctx->args[0] == BPF_TCP_FIN_WAIT2 && in_sockmap((__u64)sk) &&
	    (sock_of((__u64)sk)->sk_shutdown & SL_RCV_SHUTDOWN))
		return;
	bpf_map_delete_elem(&by_cookie, &cookie);
}

/* Waits for the passive end of the connection that @ctx opened. */
SL_FN void pair_offer(struct bpf_sock_ops *ctx, __u32 role, __u32 slot, __u32 gen)
{
	struct sl_pair pair = {.role = role, .slot = slot, .gen = gen};
	__u64 key = pair_key(ctx->snd_nxt, ctx->rcv_nxt);

	bpf_map_update_elem(&pairing, &key, &pair, BPF_NOEXIST);
}

/* Whether the clients of listener @index reach it: those of an attached address that was given
 * back do not. */
SL_FN bool listener_is_open(__u32 index)
{
	struct sl_attach_point *p = bpf_map_lookup_elem(&attach_points, &index);

	return !p || (SL_READ(p->flags) & (SL_A_USED | SL_A_ON)) != SL_A_USED;
}

SL_FN bool captures_clients(const struct sl_control *c)
{
	return (c->flags & (SL_C_COLOCATED_CLIENTS | SL_C_BYPASS)) == SL_C_COLOCATED_CLIENTS;
}

/*
 * An application dials to one of our listeners, or so it seems: @me, if it has tried before. Here
 * and not when it is established, which may be on another process's time: who it is. (The first
 * sequence number is chosen, see tcp_v4_connect(); snd_nxt follows in tcp_connect_init().)
 */
SL_FN void client_connects(struct bpf_sock_ops *ctx, struct sl_control *c, struct sl_socket *me)
{
	const struct task_struct *task = bpf_get_current_task_btf();
	struct sl_streak_key key = {};
	struct sl_addr addr;
	__u32 *listener;

	if (me && me->role != SL_ROLE_CALLER)
		return;
	if (me)
		me->role = SL_ROLE_NONE;
	if (!captures_clients(c))
		return;
	addr_of_remote(ctx, &addr);
	listener = bpf_map_lookup_elem(&local_addrs, &addr);
	if (!listener || !listener_is_open(*listener))
		return;
	key.listener = *listener;
	key.tgid = task->tgid;
	if (is_one_shot(&key)) {
		one_shot_offer(ctx);
		return;
	}
	me = socket_mark(ctx, SL_ROLE_CALLER, key.listener, 0);
	if (me)
		me->tgid = key.tgid;
}

/* It is established, and was to be captured. */
SL_FN void client_established(struct bpf_sock_ops *ctx, struct sl_control *c, __u32 listener)
{
	__u32 slot1, slot, gen;
	struct sl_session *s;

	if (!captures_clients(c) || !listener_is_open(listener))
		return;
	slot1 = session_alloc(c, SL_S_CLIENT, &gen);
	if (!slot1)
		return;
	slot = slot1 - 1;
	s = session_at(slot);
	if (!s)
		return;
	s->listener = listener;
	s->client_sk = (__u64)ctx->sk;
	s->client_ws0 = ctx->snd_nxt;
	s->client_rn0 = ctx->rcv_nxt;
	if (!socket_mark(ctx, SL_ROLE_CLIENT, slot, gen) ||
	    bpf_sock_map_update(ctx, &clients, &slot, BPF_NOEXIST)) {
		session_release(slot, gen, SL_S_CLIENT);
		return;
	}
	bpf_sock_ops_cb_flags_set(ctx, ctx->bpf_sock_ops_cb_flags | BPF_SOCK_OPS_STATE_CB_FLAG);
	app_note(ctx, SL_ROLE_CLIENT, slot, gen);
	pair_offer(ctx, SL_ROLE_CLIENT, slot, gen);
}

/* A lane's four-tuple is chosen and its SYN not sent yet: sk_lookup must know it. */
SL_FN void back_connects(struct bpf_sock_ops *ctx, struct sl_control *c)
{
	struct sl_tuple t;
	__u32 one = 1;

	if (!(SL_READ(c->flags) & SL_C_ATTACH))
		return;
	tuple_of(ctx, &t);
	bpf_map_update_elem(&connecting, &t, &one, BPF_ANY);
	bpf_sock_ops_cb_flags_set(ctx, ctx->bpf_sock_ops_cb_flags | BPF_SOCK_OPS_STATE_CB_FLAG);
}

/* It is over. Not sooner: with SYN cookies its ACK is looked up like a SYN. */
SL_FN void back_ended(struct bpf_sock_ops *ctx, struct sl_control *c)
{
	struct sl_tuple t;

	if (!(SL_READ(c->flags) & SL_C_ATTACH))
		return;
	tuple_of(ctx, &t);
	bpf_map_delete_elem(&connecting, &t);
}

/* The daemon's own connect to an endpoint succeeded. */
SL_FN void back_established(struct bpf_sock_ops *ctx, struct sl_control *c, __u32 slot, __u32 gen)
{
	struct sl_lane *l = lane_at(slot);

	if (!l || SL_GEN(SL_READ(l->word)) != gen)
		return;
	l->back_sk = (__u64)ctx->sk;
	l->back_ws0 = ctx->snd_nxt;
	if (c->flags & SL_C_COLOCATED_SERVERS)
		pair_offer(ctx, SL_ROLE_BACK, slot, gen);
}

SL_FN bool listener_is_attached(__u32 index)
{
	struct sl_attach_point *p = bpf_map_lookup_elem(&attach_points, &index);

	return p && (SL_READ(p->flags) & SL_A_USED);
}

/* A connection to a listener of ours was accepted by the kernel. */
SL_FN void front_established(struct bpf_sock_ops *ctx, struct sl_control *c, __u32 listener)
{
	__u64 key = pair_key(ctx->rcv_nxt, ctx->snd_nxt);
	struct sl_pair *pair = bpf_map_lookup_elem(&pairing, &key);
	struct sl_session *s;
	__u32 slot, gen;

	/* A lane to the application that was steered back, by NAT on its way: with every request
	 * it would open one more. */
	if (pair && pair->role == SL_ROLE_BACK && listener_is_attached(listener)) {
		bpf_map_delete_elem(&pairing, &key);
		socket_mark(ctx, SL_ROLE_LOOP, 0, 0);
		return;
	}
	if (pair && pair->role == SL_ROLE_CLIENT) {
		slot = pair->slot;
		gen = pair->gen;
		bpf_map_delete_elem(&pairing, &key);
		s = session_at(slot);
		if (!s || !(SL_BITS(word_change(&s->word, gen, SL_S_FRONT, 0)) & SL_S_CLIENT))
			return;
	} else if (one_shot_take(ctx)) {
		/* Cheapest for it is no session at all: what would be sent straight out through
		 * front is an answer that does not end the connection. */
		socket_mark(ctx, SL_ROLE_ONE_SHOT, listener, 0);
		return;
	} else {
		slot = session_alloc(c, SL_S_FRONT, &gen);
		if (!slot)
			return;
		slot--;
		s = session_at(slot);
		if (!s)
			return;
	}
	s->listener = listener;
	s->source_hash = remote_hash(ctx);
	s->front_sk = (__u64)ctx->sk;
	s->front_ws0 = ctx->snd_nxt;
	if (!socket_mark(ctx, SL_ROLE_FRONT, slot, gen)) {
		session_release(slot, gen, SL_S_FRONT);
		return;
	}
	s->front_cookie = bpf_get_socket_cookie(ctx);
	bpf_sock_ops_cb_flags_set(ctx, ctx->bpf_sock_ops_cb_flags | BPF_SOCK_OPS_STATE_CB_FLAG);
}

/* A listener on this host accepted: is the other end a lane of ours? */
SL_FN void server_established(struct bpf_sock_ops *ctx)
{
	__u64 key = pair_key(ctx->rcv_nxt, ctx->snd_nxt);
	struct sl_pair *pair = bpf_map_lookup_elem(&pairing, &key);
	__u32 slot, gen, bits;
	struct sl_lane *l;

	if (!pair || pair->role != SL_ROLE_BACK)
		return;
	slot = pair->slot;
	gen = pair->gen;
	bpf_map_delete_elem(&pairing, &key);
	l = lane_at(slot);
	if (!l || SL_GEN(SL_READ(l->word)) != gen)
		return;
	l->server_sk = (__u64)ctx->sk;
	l->server_ws0 = ctx->snd_nxt;
	l->server_rn0 = ctx->rcv_nxt;
	if (!socket_mark(ctx, SL_ROLE_SERVER, slot, gen) ||
	    bpf_sock_map_update(ctx, &servers, &slot, BPF_ANY))
		return;
	bits = SL_BITS(word_change(&l->word, gen, SL_L_SERVER | SL_L_PAIRED, 0));
	if (!(bits & SL_L_BACK)) {
		/* The daemon has given the lane up meanwhile, and its slot: free it no second time.
		 */
		word_change(&l->word, gen, 0, SL_L_SERVER | SL_L_PAIRED);
		return;
	}
	bpf_sock_ops_cb_flags_set(ctx, ctx->bpf_sock_ops_cb_flags | BPF_SOCK_OPS_STATE_CB_FLAG);
	app_note(ctx, SL_ROLE_SERVER, slot, gen);
}

/*
 * Takes the session from a front that the daemon has not accepted. In one step: it may be doing
 * so now, and whose the slot is must be clear. The word before; 0: the daemon's.
 */
__noinline __u64 session_orphan(__u64 *word, __u32 gen)
{
	if (!word)
		return 0;
	for (int i = 0; i < SL_CAS_TRIES; i++) {
		__u64 old = SL_READ(*word);
		__u32 bits = SL_BITS(old) & ~(SL_S_EXCHANGE_BITS | SL_S_FRONT);

		if (SL_GEN(old) != gen || (SL_BITS(old) & SL_S_ADOPTED))
			return 0;
		bits |= SL_S_CLOSING | SL_S_ABORTED;
		if (sl_cmpxchg(word, old, SL_WORD(gen, bits)) == old)
			return old;
	}
	return 0;
}

/*
 * A front has died. If the daemon has not accepted it, nobody else ends the exchange that BPF has
 * begun for it meanwhile.
 */
SL_FN void front_lost(struct sl_session *s, __u32 slot, __u32 gen)
{
	__u32 lane_slot = s->lane - 1, lane_gen = s->lane_gen;
	struct sl_lane *l = lane_at(lane_slot);
	struct sl_control *c = control_get();
	__u64 old = session_orphan(&s->word, gen);

	if ((SL_BITS(old) & SL_S_EXCHANGE) && l && l->session == slot + 1 && l->session_gen == gen)
		lane_surrender(l, lane_slot, lane_gen, SL_LANE_KERNEL);
	if (c && (SL_BITS(old) & SL_S_HELD) == SL_S_FRONT)
		sl_stack_push(&c->freed_sessions, &s->next, slot);
}

/* If it was never paired its offer is still there. */
SL_FN void pair_withdraw(const struct sl_session *s)
{
	__u64 key = pair_key(s->client_ws0, s->client_rn0);

	if (!(SL_BITS(SL_READ(s->word)) & SL_S_FRONT))
		bpf_map_delete_elem(&pairing, &key);
}

/* tcp_set_state(TCP_CLOSE): the connection is over; its place in a sockmap goes with close(). */
SL_FN void socket_closed(struct bpf_sock_ops *ctx, struct bpf_sock *sk, struct sl_socket *me)
{
	struct sl_session *s;

	switch (me->role) {
	case SL_ROLE_CLIENT:
		app_forget(ctx, sk);
		s = session_at(me->slot);
		if (s && SL_GEN(SL_READ(s->word)) == me->gen) {
			streak_note(s, me->tgid);
			pair_withdraw(s);
		}
		/*
		 * FIN both ways, or RST, but its owner may not have read all that was redirected
		 * to it: a next client on the same slot would take its place in `clients`, and
		 * the bytes with it.
		 */
		if (in_sockmap((__u64)sk))
			word_change(s ? &s->word : NULL, me->gen, SL_S_GONE, 0);
		else
			session_release(me->slot, me->gen, SL_S_CLIENT);
		break;
	case SL_ROLE_FRONT:
		s = session_at(me->slot);
		if (s)
			front_lost(s, me->slot, me->gen);
		break;
	case SL_ROLE_SERVER:
		app_forget(ctx, sk);
		lane_release(me->slot, me->gen, SL_L_SERVER);
		break;
	}
}

SEC("sockops")
int capture(struct bpf_sock_ops *ctx)
{
	struct sl_control *c = control_get();
	struct bpf_sock *sk = ctx->sk;
	struct sl_socket *me;

	if (!c || !sk)
		return 1;
	switch (ctx->op) {
	case BPF_SOCK_OPS_TCP_CONNECT_CB:
		me = bpf_sk_storage_get(&sockets, sk, NULL, 0);
		if (me && me->role == SL_ROLE_BACK)
			back_connects(ctx, c);
		else
			client_connects(ctx, c, me);
		break;
	case BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB:
		me = bpf_sk_storage_get(&sockets, sk, NULL, 0);
		if (me && me->role == SL_ROLE_CALLER)
			client_established(ctx, c, me->slot);
		else if (me && me->role == SL_ROLE_BACK)
			back_established(ctx, c, me->slot, me->gen);
		break;
	case BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB:
		me = bpf_sk_storage_get(&sockets, sk, NULL, 0);
		if (me && me->role == SL_ROLE_LISTENER)
			front_established(ctx, c, me->slot);
		else
			server_established(ctx);
		break;
	case BPF_SOCK_OPS_STATE_CB:
		if (ctx->args[1] != BPF_TCP_CLOSE)
			break;
		me = bpf_sk_storage_get(&sockets, sk, NULL, 0);
		if (me && me->role == SL_ROLE_BACK)
			back_ended(ctx, c);
		else if (me)
			socket_closed(ctx, sk, me);
		break;
	}
	return 1;
}
