/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the request and the response programs share: finding one's session or lane, the
 * end of an exchange, giving a direction to the daemon, walking chunked bodies in a message.
 */
#ifndef SL_PATH_BPF_H
#define SL_PATH_BPF_H

#include "tables.bpf.h"

/* Chunks of one message that are followed; more: the rest comes in the next run or goes to the
 * daemon. */
#define SL_CHUNKS_A_RUN 64
/* Bytes of a chunk line read at a time. */
#define SL_CHUNK_WINDOW 32

/*
 * Bytes of the message. In assembly: clang would merge the loads of several branches into one of
 * a computed address, which a context does not allow.
 */
SL_FN __u32 msg_size(struct sk_msg_md *msg)
{
	__u32 size;

	asm volatile("%0 = *(u32 *)(%1 + %2)"
		     : "=r"(size)
		     : "r"(msg), "i"(offsetof(struct sk_msg_md, size)));
	return size;
}

SL_FN void stats_count(struct sl_session *s, __u32 status)
{
	__u32 route = s->route * SL_STAT_SHARDS + stat_shard();
	__u32 cluster = s->cluster * SL_STAT_SHARDS + stat_shard();
	__u64 ns = bpf_ktime_get_ns() - s->start_ns;
	struct sl_stats *r = bpf_map_lookup_elem(&route_stats, &route);
	struct sl_stats *c = bpf_map_lookup_elem(&cluster_stats, &cluster);

	if (r)
		sl_stats_count(r, status, ns);
	if (c)
		sl_stats_count(c, status, ns);
	s->last_ns = s->start_ns + ns;
}

/* The lane leaves the kernel path for good; the daemon closes it. */
SL_FN void lane_surrender(struct sl_lane *l, __u32 slot, __u32 gen)
{
	word_change(&l->word, gen, SL_LANE_USER, SL_L_STATE);
	event_send(SL_EVENT_LANE, slot, gen);
}

/* Back on its endpoint's idle stack, or to the daemon if it must not be used again. */
SL_FN void lane_return(struct sl_lane *l, __u32 slot, __u32 gen)
{
	__u32 endpoint = l->endpoint;
	struct sl_endpoint *e = bpf_map_lookup_elem(&endpoints, &endpoint);
	struct sl_control *c = control_get();
	__u64 old;

	l->session = 0;
	if (!e || !c || (c->flags & SL_C_BYPASS) || (SL_BITS(SL_READ(l->word)) & SL_L_SURPLUS)) {
		lane_surrender(l, slot, gen);
		return;
	}
	l->idle_ns = bpf_ktime_get_ns();
	old = word_change(&l->word, gen, SL_LANE_IDLE, SL_L_STATE);
	if (!old)
		return;
	if (!sl_stack_push(&e->idle, &l->next, slot))
		lane_surrender(l, slot, gen);
}

/*
 * Both directions of the exchange are done; called by the second to finish, before its last
 * bytes are delivered, so that the counters are right when the client has its answer.
 */
SL_FN void exchange_finish(struct sl_session *s, __u32 slot, __u32 gen, struct sl_lane *l)
{
	__u32 lane_slot = s->lane - 1, lane_gen = s->lane_gen;

	stats_count(s, l->status);
	s->lane = 0;
	lane_return(l, lane_slot, lane_gen);
	for (int i = 0; i < SL_CAS_TRIES; i++) {
		__u64 old = SL_READ(s->word);
		__u32 bits = SL_BITS(old) & ~SL_S_EXCHANGE_BITS;

		if (SL_GEN(old) != gen)
			return;
		if (SL_BITS(old) & SL_S_PENDING)
			bits |= SL_S_USER;
		if (sl_cmpxchg(&s->word, old, SL_WORD(gen, bits)) == old) {
			if (bits & SL_S_USER)
				event_send(SL_EVENT_USER, slot, gen);
			return;
		}
	}
}

/*
 * One direction is done. Sets @mine (REQ_DONE or RESP_DONE); finishes the exchange if @other
 * is set already. An exchange that was given up is the daemon's to clean.
 */
SL_FN void direction_done(struct sl_session *s, __u32 slot, __u32 gen, struct sl_lane *l,
			  __u32 mine, __u32 other)
{
	__u64 old = word_change(&s->word, gen, mine, 0);

	if ((SL_BITS(old) & other) && !(SL_BITS(old) & SL_S_ABORTED))
		exchange_finish(s, slot, gen, l);
}

/* Copies the first bytes of a message (at most SL_KERNEL_HEAD_MAX) into @h; their number. */
SL_FN __u32 msg_head_copy(struct sk_msg_md *msg, struct sl_head_slot *h)
{
	__u32 want = msg_size(msg) < SL_KERNEL_HEAD_MAX ? msg_size(msg) : SL_KERNEL_HEAD_MAX;
	__u32 have = (long)msg->data_end - (long)msg->data;

	/* A send is split over two page fragments at any size, where the first one ends. */
	if (have < want) {
		if (bpf_msg_pull_data(msg, 0, want, 0))
			return 0;
		have = (long)msg->data_end - (long)msg->data;
	}
	if (have > want)
		have = want;
	if (have > SL_KERNEL_HEAD_MAX || bpf_probe_read_kernel(h->bytes, have, msg->data))
		return 0;
	return have;
}

struct chunk_walk {
	struct sk_msg_md *msg;
	struct sl_body body;
	__u32 off;  /* next byte of the message to look at */
	__u32 size; /* of the message */
	int result; /* enum sl_body_result */
};

/* One chunk: skips its data, then feeds the line behind it. */
static long chunk_walk_step(__u32 i, void *arg)
{
	struct chunk_walk *w = arg;
	__u8 window[SL_CHUNK_WINDOW] = {};
	__u32 n;

	w->off += sl_body_skip(&w->body, w->size - w->off);
	if (w->off >= w->size)
		return 1;
	n = w->size - w->off;
	if (n > SL_CHUNK_WINDOW)
		n = SL_CHUNK_WINDOW;
	if (bpf_msg_pull_data(w->msg, w->off, w->off + n, 0) ||
	    (long)w->msg->data_end - (long)w->msg->data < n ||
	    bpf_probe_read_kernel(window, n, w->msg->data)) {
		w->result = SL_BODY_BAD;
		return 1;
	}
	for (__u32 k = 0; k < SL_CHUNK_WINDOW; k++) {
		if (k >= n || w->body.left)
			break;
		w->result = sl_chunk_byte(&w->body, window[k]);
		w->off++;
		if (w->result != SL_BODY_MORE)
			return 1;
	}
	return 0;
}

/* In and out of msg_chunks_walk(). */
struct body_walk {
	struct sl_body body;
	__u32 off;
	__u32 zero;
};

/* A function that is verified alone: its states do not multiply with its caller's. */
__noinline int msg_chunks_walk(struct sk_msg_md *msg, struct body_walk *walk)
{
	struct chunk_walk w = {.msg = msg, .result = SL_BODY_MORE};

	if (!walk)
		return SL_BODY_BAD;
	w.off = walk->off;
	w.size = msg_size(msg);
	w.body = walk->body;
	bpf_loop(SL_CHUNKS_A_RUN, chunk_walk_step, &w, 0);
	walk->body = w.body;
	walk->off = w.off;
	if (w.result == SL_BODY_MORE && w.off < w.size)
		return SL_BODY_BAD;
	return w.result;
}

/*
 * Follows a body through the bytes of @msg from @off. Returns SL_BODY_DONE (the body ends at
 * *ret_end), SL_BODY_MORE (it goes on behind this message) or SL_BODY_BAD: not a strict body, or
 * more chunks than one run follows.
 */
SL_FN int msg_body_walk(struct sk_msg_md *msg, struct sl_body *body, __u32 off, __u32 *ret_end)
{
	struct chunk_walk w = {
		.msg = msg, .off = off, .size = msg_size(msg), .result = SL_BODY_MORE};

	if (body->kind != SL_BODY_CHUNKED) {
		*ret_end = off + sl_body_skip(body, msg_size(msg) - off);
		return sl_body_done(body) ? SL_BODY_DONE : SL_BODY_MORE;
	}
	w.body = *body;
	bpf_loop(SL_CHUNKS_A_RUN, chunk_walk_step, &w, 0);
	*body = w.body;
	*ret_end = w.off;
	if (w.result == SL_BODY_MORE && w.off < w.size)
		return SL_BODY_BAD;
	return w.result;
}

#endif /* SL_PATH_BPF_H */
