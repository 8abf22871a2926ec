/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a socket's own counters say, read by its address. The data path and the start-up self-test
 * share these: what the test finds true is what the data path reads.
 */
#ifndef SL_PROBE_BPF_H
#define SL_PROBE_BPF_H

#include "sl_types.h"
#include <bpf/bpf_core_read.h>

/* Inlined to a move by the verifier: a read-only, fault-tolerant view of kernel memory. */
extern void *bpf_rdonly_cast(void *obj, __u32 btf_id) __ksym;

/*
 * The counters of a socket whose address a callback kept (client_sk, server_sk, ...). If the
 * socket is gone the values are garbage, but reading is safe; then the redirect finds its slot
 * in the sockmap empty.
 */
SL_FN const struct tcp_sock *tcp_of(__u64 sk)
{
	return bpf_rdonly_cast((void *)sk, bpf_core_type_id_kernel(struct tcp_sock));
}

SL_FN const struct sock *sock_of(__u64 sk)
{
	return bpf_rdonly_cast((void *)sk, bpf_core_type_id_kernel(struct sock));
}

/*
 * Both ends of a connection count in the same sequence space. Whether everything that was written
 * to @from has arrived at @to and left TCP's own queue there, so that bytes put into @to now do not
 * overtake any. (rcv_nxt moves a little before a segment is queued, both with @to locked; the bytes
 * that are put there wait for that lock.)
 */
SL_FN bool all_arrived(__u64 to, __u64 from)
{
	return tcp_of(to)->rcv_nxt == tcp_of(from)->write_seq &&
	       !sock_of(to)->sk_receive_queue.qlen;
}

/*
 * Whether what arrives at @sk leaves TCP's queue at once. Nobody empties that of a connection that
 * waits to be accepted (sk_psock_verdict_data_ready() returns where there is no struct socket), but
 * what is redirected to it is read first: only when nothing has come by TCP, since its rcv_nxt was
 * @rn0, may something be.
 */
SL_FN bool queue_is_drained(__u64 sk, __u32 rn0)
{
	return sock_of(sk)->sk_socket || tcp_of(sk)->rcv_nxt == rn0;
}

/* Whether all that went from @app by TCP to our end @ours has been read there. */
SL_FN bool all_read(__u64 app, __u64 ours)
{
	return tcp_of(app)->write_seq == tcp_of(ours)->copied_seq;
}

/*
 * Whether TCP has bytes of @sk's owner that it may not send yet (SIOCOUTQNSD): its peer has not
 * read what came before, and what is written next waits behind them.
 */
SL_FN bool holds_unsent(__u64 sk)
{
	return tcp_of(sk)->write_seq != tcp_of(sk)->snd_nxt;
}

/* Whether the @tx bytes that were promised to @sk since its write_seq was @ws0 are written. */
SL_FN bool all_written(__u64 sk, __u32 ws0, __u32 tx)
{
	return tcp_of(sk)->write_seq - ws0 == tx;
}

/* Bytes that wait in a socket for its reader: of what was redirected without its overhead. */
SL_FN __u32 reader_backlog(__u64 sk)
{
	return sock_of(sk)->sk_backlog.rmem_alloc.counter;
}

/*
 * Whether the kernel has begun to save memory for TCP (tcp_mem). Bytes put into a queue are charged
 * when the program has returned (sk_rmem_schedule() in bpf_tcp_ingress()); beyond the limit they
 * are not put there, or not all, and the sender alone is told. By TCP they come later, but come.
 */
SL_FN bool memory_is_short(__u64 sk)
{
	const struct proto *p = sock_of(sk)->__sk_common.skc_prot;
	/* The flag is an unsigned long; a cast must be to a struct. */
	const struct timespec64 *flag =
		bpf_rdonly_cast(p->memory_pressure, bpf_core_type_id_kernel(struct timespec64));

	return flag->tv_sec;
}

#define PSOCK_TX_ENABLED 1 /* BIT(SK_PSOCK_TX_ENABLED) */

/*
 * Bytes of the message that a redirect (bpf_tcp_ingress()) has just put into @sk's queue, whose
 * owner cannot have read any of them: asked while the sender has @sk locked. More than any message
 * has if @sk is being closed: it takes none any more (sk_psock_queue_msg()), but its sender is told
 * that it has taken all, and sends none of it again.
 */
SL_FN __u32 queued_last(__u64 sk)
{
	const struct sk_psock *psock =
		bpf_rdonly_cast((void *)((__u64)sock_of(sk)->sk_user_data & ~7ULL),
				bpf_core_type_id_kernel(struct sk_psock));
	const struct sk_msg *last = bpf_rdonly_cast(
		(void *)psock->ingress_msg.prev - bpf_core_field_offset(struct sk_msg, list),
		bpf_core_type_id_kernel(struct sk_msg));

	/* Its list is empty: `last` is no message. */
	if (!(psock->state & PSOCK_TX_ENABLED))
		return ~0U;
	return last->sg.size;
}

/* Whether a socket is in a sockmap: close() takes it out before anything else. */
SL_FN bool in_sockmap(__u64 sk)
{
	return sock_of(sk)->sk_user_data;
}

/* Neither end has sent its FIN. */
SL_FN bool is_established(__u64 sk)
{
	return sock_of(sk)->__sk_common.skc_state == BPF_TCP_ESTABLISHED;
}

#define GROUPS 8	/* memory cgroups within one another */
#define GROUP_PAGES 64	/* that others may take meanwhile */
#define GROUP_PAGE 4096 /* or more: then fewer are needed */

/*
 * Whether @size bytes that @sk sends are within the limits of its memory cgroups for TCP
 * (memory.kmem.tcp of version 1). Those of version 2 are no such limits: there the kernel waits for
 * memory, or makes some.
 */
SL_FN bool group_has_room(__u64 sk, __u64 size)
{
	__u64 group, pages = size / GROUP_PAGE + GROUP_PAGES;
	const struct page_counter *c;
	const struct timespec64 *at;

	if (!bpf_core_field_exists(((struct mem_cgroup *)0)->tcpmem))
		return true;
	/* As a number; a cast must be to a struct. Its low bits are flags. */
	at = bpf_rdonly_cast((void *)sk + bpf_core_field_offset(struct sock, sk_memcg),
			     bpf_core_type_id_kernel(struct timespec64));
	group = at->tv_sec & ~7ULL;
	if (!group)
		return true;
	c = bpf_rdonly_cast((void *)group + bpf_core_field_offset(struct mem_cgroup, tcpmem),
			    bpf_core_type_id_kernel(struct page_counter));
	for (int i = 0; i < GROUPS && c; i++) {
		if (c->usage.counter + pages > c->max)
			return false;
		c = c->parent;
	}
	return true;
}

/*
 * Bytes that may wait at @sk to be sent for the first time (TCP_NOTSENT_LOWAT, or the namespace's
 * tcp_notsent_lowat): TCP takes none behind them, whatever room there is
 * (tcp_stream_memory_free()).
 */
SL_FN __u32 most_unsent(__u64 sk)
{
	__u32 own = tcp_of(sk)->notsent_lowat;
	const struct net *net;

	if (own)
		return own;
	net = bpf_rdonly_cast(sock_of(sk)->__sk_common.skc_net.net,
			      bpf_core_type_id_kernel(struct net));
	return net->ipv4.sysctl_tcp_notsent_lowat;
}

/*
 * Room for @size bytes in a socket's send buffer, and memory, counted twice for their overhead: a
 * redirect that finds none would return EAGAIN, or a part, to an application whose own socket stays
 * writable; an edge-triggered one would hang for ever, and what another sends again would be
 * counted for the second time. It is no promise: see unsent.bpf.h. Verified alone.
 */
__noinline int writer_has_room(__u64 sk, __u32 size)
{
	const struct sock *to = sock_of(sk);
	__u32 unsent = tcp_of(sk)->write_seq - tcp_of(sk)->snd_nxt;

	/* A dead socket is in its map until the daemon closes it, and its error is the sender's. */
	if (!is_established(sk))
		return false;
	if ((__u64)(__u32)to->sk_wmem_queued + 2ull * size > (__u64)(__u32)to->sk_sndbuf)
		return false;
	if ((__u64)unsent + size > most_unsent(sk))
		return false;
	return !memory_is_short(sk) && group_has_room(sk, 2ull * size);
}

#endif /* SL_PROBE_BPF_H */
