/* SPDX-License-Identifier: GPL-2.0-only */
/* Addresses of a socket that is established, as maps have them. */
#ifndef SL_ADDRESS_BPF_H
#define SL_ADDRESS_BPF_H

#include "mapped.bpf.h"
#include "tables.bpf.h"
#include "sl_hash.h"

/* The far address, IPv4 mapped. */
SL_FN void addr_of_remote_exact(struct bpf_sock_ops *ctx, struct sl_addr *a)
{
	if (ctx->family == AF_INET)
		mapped(a->addr, ctx->remote_ip4);
	else
		mapped6(a->addr, ctx->remote_ip6[0], ctx->remote_ip6[1], ctx->remote_ip6[2],
			ctx->remote_ip6[3]);
	a->port = bpf_ntohl(ctx->remote_port);
	a->zero = 0;
	a->netns = 0;
}

/* See sl_session.source_hash. */
SL_FN __u64 remote_hash(struct bpf_sock_ops *ctx)
{
	struct sl_addr a;
	const __u32 *w = (const __u32 *)a.addr;

	addr_of_remote_exact(ctx, &a);
	return sl_hash_words(w[0] | (__u64)w[1] << 32, w[2] | (__u64)w[3] << 32);
}

/* Where a client dials to, in the form of `local_addrs`. */
SL_FN void addr_of_remote(struct bpf_sock_ops *ctx, struct sl_addr *a)
{
	__u32 *w = (__u32 *)a->addr;

	addr_of_remote_exact(ctx, a);
	if (!sl_is_loopback(a->addr))
		return;
	if (w[2])
		w[3] = bpf_htonl(0x7f000001);
	/* Another namespace's loopback is another host's: maybe another instance's. */
	a->netns = bpf_get_netns_cookie(ctx);
}

/* Addresses of @ctx as `connecting` has them; see sl_attach.h. */
SL_FN void tuple_of(struct bpf_sock_ops *ctx, struct sl_tuple *t)
{
	struct sl_addr to;

	addr_of_remote_exact(ctx, &to);
	if (ctx->family == AF_INET)
		mapped(t->src, ctx->local_ip4);
	else
		mapped6(t->src, ctx->local_ip6[0], ctx->local_ip6[1], ctx->local_ip6[2],
			ctx->local_ip6[3]);
	sl_memcpy(t->dst, to.addr, sizeof(t->dst));
	t->src_port = ctx->local_port;
	t->dst_port = to.port;
	t->netns = sl_is_loopback(to.addr) ? bpf_get_netns_cookie(ctx) : 0;
}

#endif /* SL_ADDRESS_BPF_H */
