// SPDX-License-Identifier: GPL-2.0-only
/* What lies in the sockmap queues of each TCP socket of this network namespace, read in the kernel.
 */
#include "sl_types.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_tracing.h>

#define MESSAGES_MAX (1 << 19)

/* Members by name (CO-RE); what follows ___ is not part of a type's name. */
#define KERNEL __attribute__((preserve_access_index))

struct list_head___q {
	struct list_head___q *next;
} KERNEL;

struct sk_msg_sg___q {
	__u32 size;
} KERNEL;

struct sk_msg___q {
	struct sk_msg_sg___q sg;
	void *skb;
	struct list_head___q list;
} KERNEL;

struct sk_buff_head___q {
	__u32 qlen;
} KERNEL;

struct sk_psock___q {
	struct sk_buff_head___q ingress_skb;
	struct list_head___q ingress_msg;
} KERNEL;

struct sock_common___q {
	__be16 skc_dport;
	__u16 skc_num;
} KERNEL;

struct sock___q {
	struct sock_common___q __sk_common;
	void *sk_user_data;
} KERNEL;

struct bpf_iter_meta___q {
	struct seq_file *seq;
} KERNEL;

struct bpf_iter__tcp {
	struct bpf_iter_meta___q *meta;
	struct sock_common___q *sk_common;
} KERNEL;

struct walk {
	const struct list_head___q *head, *at;
	__u64 bytes;
	__u32 redirected, by_tcp;
};

static long step(__u32 i, void *arg)
{
	struct walk *w = arg;
	const struct list_head___q *at = w->at;
	const struct sk_msg___q *msg;

	if (!at || at == w->head)
		return 1;
	msg = (void *)at - bpf_core_field_offset(struct sk_msg___q, list);
	w->bytes += BPF_CORE_READ(msg, sg.size);
	if (BPF_CORE_READ(msg, skb))
		w->by_tcp++;
	else
		w->redirected++;
	w->at = BPF_CORE_READ(at, next);
	return 0;
}

SEC("iter/tcp")
int queues(struct bpf_iter__tcp *ctx)
{
	const struct sock___q *sk = (void *)ctx->sk_common;
	const struct sk_psock___q *psock;
	struct walk w = {};

	if (!sk)
		return 0;
	psock = (void *)((__u64)BPF_CORE_READ(sk, sk_user_data) & ~7ull);
	if (!psock)
		return 0;
	w.head = (void *)psock + bpf_core_field_offset(struct sk_psock___q, ingress_msg);
	w.at = BPF_CORE_READ(psock, ingress_msg.next);
	bpf_loop(MESSAGES_MAX, step, &w, 0);
	BPF_SEQ_PRINTF(ctx->meta->seq, "%u %u %llu %u %u %u %u\n",
		       BPF_CORE_READ(sk, __sk_common.skc_num),
		       bpf_ntohs(BPF_CORE_READ(sk, __sk_common.skc_dport)), w.bytes,
		       BPF_CORE_READ(psock, ingress_skb.qlen), w.redirected, w.by_tcp,
		       bpf_core_type_size(struct sk_msg___q));
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
