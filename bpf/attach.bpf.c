// SPDX-License-Identifier: GPL-2.0-only
/*
 * Steers new connections of attached addresses (include/sl_attach.h). One copy of this program for
 * each network namespace with such an address, on the maps of the instance.
 *
 * The program only ever adds: whatever it does not find, it leaves to the kernel's own lookup,
 * which ends at the application. A listening socket leaves its sockmap when its last owner is
 * gone, so with the daemon dead the slot is empty.
 */
#include "maps.bpf.h"
#include "balance.bpf.h"
#include "mapped.bpf.h"

const volatile __u64 own_netns; /* cookie of the namespace that this copy is attached to */

/* The connection, as its opener would write it down. */
SL_FN void tuple_of(struct bpf_sk_lookup *ctx, struct sl_tuple *t)
{
	if (ctx->family == AF_INET) {
		mapped(t->src, ctx->remote_ip4);
		mapped(t->dst, ctx->local_ip4);
	} else {
		mapped6(t->src, ctx->remote_ip6[0], ctx->remote_ip6[1], ctx->remote_ip6[2],
			ctx->remote_ip6[3]);
		mapped6(t->dst, ctx->local_ip6[0], ctx->local_ip6[1], ctx->local_ip6[2],
			ctx->local_ip6[3]);
	}
	t->src_port = bpf_ntohs(ctx->remote_port);
	t->dst_port = ctx->local_port;
	t->netns = sl_is_loopback(t->dst) ? own_netns : 0;
}

/* What `attached` says of the address that @t dials: that very address before the wildcard. */
SL_FN __u32 point_of(const struct sl_tuple *t, bool v4)
{
	struct sl_attach_key key = {.netns = own_netns, .port = t->dst_port};
	__u32 *index;

	sl_memcpy(key.addr, t->dst, sizeof(key.addr));
	index = bpf_map_lookup_elem(&attached, &key);
	if (!index) {
		if (v4)
			mapped(key.addr, 0);
		else
			sl_memset(key.addr, 0, sizeof(key.addr));
		index = bpf_map_lookup_elem(&attached, &key);
	}
	return index ? *index : SL_ATTACH_EXCEPT;
}

/* Gives the connection to @sk; whether the kernel agreed. */
SL_FN bool give(struct bpf_sk_lookup *ctx, struct bpf_sock *sk)
{
	long err = bpf_sk_assign(ctx, sk, 0);

	bpf_sk_release(sk);
	return !err;
}

/* The cluster whose turn it is; SL_NO_TARGET: none. */
SL_FN __u32 l4_cluster(const struct sl_attach_point *p)
{
	__u32 id = p->target, at;
	struct sl_sequence *seq;
	struct sl_split *split;

	if (p->action == SL_ACTION_CLUSTER)
		return id;
	split = bpf_map_lookup_elem(&splits, &id);
	seq = bpf_map_lookup_elem(&sequences, &id);
	if (!split || !seq)
		return SL_NO_TARGET;
	at = sl_fetch_add(&seq->n, 1);
	at = SL_READ(seq->down) ? split_pick_alive(id, at) : sl_pick(split, at);
	if (at == SL_NO_TARGET)
		return SL_NO_TARGET;
	return split->targets[at & (SL_MAX_SPLIT_TARGETS - 1)].cluster;
}

/* A listening socket of endpoint @endpoint, if one is left. */
SL_FN bool l4_give(struct bpf_sk_lookup *ctx, __u32 endpoint)
{
	for (__u32 i = 0; i < SL_L4_SOCKETS; i++) {
		__u32 slot = endpoint * SL_L4_SOCKETS + i;
		struct bpf_sock *sk = bpf_map_lookup_elem(&l4_sockets, &slot);

		if (sk)
			return give(ctx, sk);
	}
	return false;
}

/* Endpoints that are tried for one connection. */
#define L4_TRIES 4

SL_FN bool to_backend(struct bpf_sk_lookup *ctx, const struct sl_attach_point *p)
{
	__u32 cluster = l4_cluster(p);
	__u64 *count = bpf_map_lookup_elem(&l4_counts, &cluster);

	if (!count)
		return false;
	for (__u32 i = 0; i < L4_TRIES; i++) {
		__u32 endpoint = cluster_pick(cluster, 0, 0);

		if (endpoint == SL_NO_ENDPOINT)
			break;
		if (!l4_give(ctx, endpoint))
			continue;
		sl_add(count, 1);
		return true;
	}
	return false;
}

SL_FN bool to_sluice(struct bpf_sk_lookup *ctx, __u32 index)
{
	struct bpf_sock *sk = bpf_map_lookup_elem(&attach_socks, &index);

	return sk && give(ctx, sk);
}

SEC("sk_lookup")
int attach(struct bpf_sk_lookup *ctx)
{
	bool v4 = ctx->family == AF_INET;
	struct sl_attach_point *p;
	struct sl_tuple t;
	__u32 index, flags;

	if (ctx->protocol != IPPROTO_TCP)
		return SK_PASS;
	tuple_of(ctx, &t);
	index = point_of(&t, v4);
	if (index == SL_ATTACH_SHUT)
		return SK_DROP;
	p = bpf_map_lookup_elem(&attach_points, &index);
	if (!p)
		return SK_PASS;
	flags = SL_READ(p->flags);
	if (!(flags & SL_A_ON))
		return SK_PASS;
	if (bpf_map_lookup_elem(&connecting, &t)) {
		sl_add(&p->lanes, 1);
		return SK_PASS;
	}
	if ((flags & SL_A_L4) ? to_backend(ctx, p) : to_sluice(ctx, index))
		sl_add(&p->steered, 1);
	else
		sl_add(&p->passed, 1);
	return SK_PASS;
}

char LICENSE[] SEC("license") = "GPL";
