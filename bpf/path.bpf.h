/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the request and the response programs share: finding one's session or lane, the
 * end of an exchange, giving a direction to the daemon, walking chunked bodies in a message.
 */
#ifndef SL_PATH_BPF_H
#define SL_PATH_BPF_H

#include "sender.bpf.h"
#include "tables.bpf.h"
#include "sl_outcome.h"

/* Chunks of one message that are followed; more: the rest comes in the next run or goes to the
 * daemon. */
#define SL_CHUNKS_A_RUN 64
/* Beside enum sl_body_result: there are more. */
#define SL_BODY_MANY 16
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

extern void *bpf_cast_to_kern_ctx(void *obj) __ksym;

/*
 * Whether the last run's redirect moved the first elements of @msg alone, and this run is asked for
 * the rest (more_data of tcp_bpf_send_verdict()). Then SK_PASS means no more what it says: it sends
 * them where the last ones went (sk_psock_map_verd()), to a socket that nobody holds any more. So
 * they are redirected once more, or dropped.
 */
SL_FN bool msg_is_rest(struct sk_msg_md *msg)
{
	const struct sk_msg *m = bpf_cast_to_kern_ctx(msg);

	return m->sk_redir;
}

/*
 * Whether bytes put into lane @slot's server now come, behind all that back has sent it by TCP.
 * Verified alone.
 */
__noinline int lane_arrived(__u32 slot)
{
	const struct sl_lane *l = lane_at(slot);

	return l && all_arrived(l->server_sk, l->back_sk) &&
	       queue_is_drained(l->server_sk, l->server_rn0) && !memory_is_short(l->server_sk);
}

/*
 * Whether @sk's reader keeps up well enough to be given another @size bytes: what waits for it may
 * take SL_READER_BACKLOG of memory. The kernel charges @sk with the bytes alone, so sends are
 * counted, too, in *unread since nothing was left to read: a thousand of one byte each take a
 * megabyte.
 */
SL_FN bool reader_has_room(__u64 sk, __u32 size, __u32 *unread)
{
	__u32 backlog = reader_backlog(sk), sends = SL_READ(*unread);

	if (!backlog) {
		if (sends)
			SL_WRITE(*unread, 0);
		return true;
	}
	SL_WRITE(*unread, ++sends);
	return (__u64)backlog + size + (__u64)sends * SL_READER_OVERHEAD < SL_READER_BACKLOG;
}

SL_FN __u32 thread_id(void)
{
	return (__u32)bpf_get_current_pid_tgid();
}

/* A number of this thread that no other has while it lives; without a call, unlike its id. */
SL_FN __u32 thread_mark(void)
{
	return bpf_get_current_task() >> 6;
}

/*
 * @size bytes are steered into @l's server: `landed` tells whether, and how many of them, are
 * there. False: on this kernel nothing tells, and they count as there.
 */
SL_FN bool lane_lands(struct sl_lane *l, __u32 size, enum sl_asks what)
{
	const struct sl_control *c = control_get();

	if (!c || !(c->flags & SL_C_LANDED))
		return false;
	l->asked = size;
	l->asks = what;
	SL_WRITE(l->asker, thread_id());
	return true;
}

/* The same of the session's co-located client, and whether there is memory for them. */
SL_FN bool client_has_room(struct sl_session *s, __u32 size)
{
	return !memory_is_short(s->client_sk) && reader_has_room(s->client_sk, size, &s->unread);
}

/* Why this send's @size bytes may not go out through our end @sk, or NONE. */
SL_FN __u32 writer_refuses(__u64 sk, __u32 size)
{
	if (!writer_has_room(sk, size))
		return SL_REASON_READER_SLOW;
	return sender_is_plain() ? SL_REASON_NONE : SL_REASON_SEND_FLAGS;
}

/* The row that counts the session's exchange. NULL: there is none. */
SL_FN struct sl_stats *route_row(const struct sl_session *s, __u32 shard)
{
	__u32 key = sl_stats_key(s->route, shard);

	return bpf_map_lookup_elem(&route_stats, &key);
}

/*
 * Asks for the cache line that stats_count() will write to: of many routes each has its own page,
 * line and page are cold, and that is 0.2 us to wait (10,000 routes).
 */
SL_FN void stats_expect(const struct sl_session *s)
{
	const struct sl_stats *r = route_row(s, stat_shard());

	if (r)
		(void)SL_READ(r->latency_ns);
}

/*
 * Counts the exchange of session @s, generation @gen, that ends now: CLOCK_MONOTONIC, which is
 * returned. A slot that is another session's has nothing of this one's to count with.
 */
SL_FN __u64 stats_count(struct sl_session *s, __u32 gen, __u32 status)
{
	__u64 now = bpf_ktime_get_ns();
	bool direct = s->direct;
	__u32 shard = direct ? 0 : stat_shard();
	__u32 cluster = sl_stats_key(s->cluster, shard);
	__u32 key = sl_generation_key(s->generation, shard);
	__u64 ns = now - s->start_ns;
	struct sl_stats *r = route_row(s, shard);
	struct sl_stats *c = bpf_map_lookup_elem(&cluster_stats, &cluster);
	struct sl_generation *g = bpf_map_lookup_elem(&generations, &key);

	/* Behind all that was read of it. */
	if (SL_GEN(sl_read_own(&s->word)) != gen)
		return now;
	if (r)
		sl_stats_count(r, status, ns);
	if (c)
		sl_stats_count(c, status, ns);
	if (g)
		sl_add(&g->exchanges, 1);
	if (direct && r && c) {
		sl_add(&r->direct, 1);
		sl_add(&c->direct, 1);
	}
	s->last_ns = now;
	return now;
}

/* An answer of @endpoint with @status is complete. Verified alone, as lane_return() is. */
__noinline int endpoint_answered(__u32 endpoint, __u32 status)
{
	struct sl_endpoint *e = bpf_map_lookup_elem(&endpoints, &endpoint);

	if (e && sl_outcome(e, status))
		event_send(SL_EVENT_ENDPOINT, endpoint, 0);
	return 0;
}

/* Where lane @l rests that was used on this CPU: see sl_pool.h. NULL: nowhere. */
SL_FN __u64 *pool_of(const struct sl_lane *l, const struct sl_control *c)
{
	__u32 pool = sl_pool_of(c, SL_READ(l->home), bpf_get_smp_processor_id());
	__u32 key = sl_pool_key(pool, l->endpoint);

	return bpf_map_lookup_elem(&pools, &key);
}

/* Whether bytes are to be moved into @l's server. What goes out through back leaves a name there.
 */
SL_FN bool lane_is_asked(const struct sl_lane *l)
{
	return SL_READ(l->asker) && SL_READ(l->asks) != SL_ASKS_OUT;
}

/*
 * Whether lane @l, of generation @gen, may be used by another request at once. Not while our end
 * has some of the last one that is not sent: marked done is a request that its server may not have
 * read, and it has answered early. Never, if bytes of that are to be moved into its server still,
 * which has answered what it was not asked: the move may have failed, or come behind the next one.
 */
SL_FN bool lane_is_settled(struct sl_lane *l, __u32 gen)
{
	__u32 set = lane_is_asked(l) ? SL_L_SURPLUS : 0;

	if (!set && holds_unsent(l->back_sk))
		set = SL_L_UNSENT;
	if (set)
		word_change(&l->word, gen, set, 0);
	return !set;
}

/*
 * Lane @slot, ours, goes back on its endpoint's idle stack, or to the daemon if it must not be
 * used again, or not now. Its idle_ns is the caller's to set, if it was used. Always 0.
 */
__noinline int lane_return(__u32 slot, __u32 gen)
{
	struct sl_lane *l = lane_at(slot);
	struct sl_control *c = control_get();
	struct sl_endpoint *e;
	__u32 endpoint;
	__u64 *idle;

	if (!l || !c)
		return 0;
	endpoint = l->endpoint;
	e = bpf_map_lookup_elem(&endpoints, &endpoint);
	idle = e ? pool_of(l, c) : NULL;
	l->session = 0;
	if (!lane_is_settled(l, gen) || !idle || (c->flags & SL_C_BYPASS) ||
	    (SL_BITS(SL_READ(l->word)) & SL_L_SURPLUS)) {
		lane_surrender(l, slot, gen, SL_LANE_KERNEL);
		return 0;
	}
	if (!lane_move(&l->word, gen, SL_LANE_KERNEL, SL_LANE_IDLE))
		return 0;
	if (sl_stack_push(idle, &l->next, slot))
		sl_add(&e->busy, -1);
	else
		lane_surrender(l, slot, gen, SL_LANE_IDLE);
	return 0;
}

/* The exchange of session @slot is over: idle, or the daemon's if something waits for it. */
SL_FN void session_go_on(struct sl_session *s, __u32 slot, __u32 gen)
{
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
 * Both directions of the exchange of session @slot with lane @lane_slot are done; called by the
 * server's program, before the answer's last bytes are delivered, so that the counters are right
 * when the client has its answer. The lane is its own: the server's socket is locked. The session
 * is that no more if its client resets meanwhile: the slot may be another's, in an exchange with
 * another lane, and what it holds is not to be trusted or cleared. Always 0.
 */
__noinline int exchange_finish(__u32 slot, __u32 gen, __u32 lane_slot, __u32 lane_gen)
{
	struct sl_session *s = session_at(slot);
	struct sl_lane *l = lane_at(lane_slot);

	if (!s || !l)
		return 0;
	l->idle_ns = stats_count(s, gen, l->status);
	endpoint_answered(l->endpoint, l->status);
	/* Not in a pool yet: it is no other session's. */
	(void)sl_cmpxchg(&s->lane, lane_slot + 1, 0);
	lane_return(lane_slot, lane_gen);
	session_go_on(s, slot, gen);
	return 0;
}

/* The head slot of session @slot, or (@lane) of lane @slot. */
SL_FN struct sl_head_slot *head_at(__u32 slot, bool lane)
{
	return lane ? bpf_map_lookup_elem(&response_heads, &slot)
		    : bpf_map_lookup_elem(&request_heads, &slot);
}

/* Copies the first bytes of a message (at most SL_KERNEL_HEAD_MAX) into a head slot; their number.
 * Verified alone. */
__noinline int msg_head_copy(struct sk_msg_md *msg, __u32 slot, bool lane)
{
	struct sl_head_slot *h = head_at(slot, lane);
	__u32 want = msg_size(msg) < SL_KERNEL_HEAD_MAX ? msg_size(msg) : SL_KERNEL_HEAD_MAX;
	__u32 have = (long)msg->data_end - (long)msg->data;

	if (!h)
		return 0;
	h->again.gen = 0;
	/* A send is split over two page fragments at any size, where the first one ends. */
	if (have < want) {
		if (bpf_msg_pull_data(msg, 0, want, 0))
			return 0;
		have = (long)msg->data_end - (long)msg->data;
	}
	if (have > want)
		have = want;
	sl_opaque(have);
	if (have > SL_KERNEL_HEAD_MAX || bpf_probe_read_kernel(h->bytes, have, msg->data))
		return 0;
	return have;
}

#define AGAIN_STEP 32	/* bytes of two heads that are compared at once; a shorter head is parsed */
#define AGAIN_BLOCK 512 /* ... and without a call between them */

/* Are AGAIN_STEP bytes the same? */
SL_FN bool again_same(const __u8 *head, const __u8 *data)
{
	__u64 differ = 0;

	SL_UNROLL
	for (int i = 0; i < AGAIN_STEP; i += 8)
		differ |= sl_word_at(head + i) ^ sl_word_at(data + i);
	return !differ;
}

/*
 * Whether the whole steps, of the first @len bytes, are the same in the block that begins at @from.
 * Its @data ends at @end.
 */
SL_FN bool again_block(const struct sl_head_slot *h, const __u8 *data, const __u8 *end, __u32 from,
		       __u32 len)
{
	__u32 off;

	for (off = 0; off < AGAIN_BLOCK; off += AGAIN_STEP) {
		if (from + off + AGAIN_STEP > len)
			break;
		if (data + off + AGAIN_STEP > end || !again_same(h->bytes + from + off, data + off))
			return false;
	}
	return true;
}

struct again_walk {
	struct sk_msg_md *msg;
	const struct sl_head_slot *h;
	__u32 len;
	__u32 differ; /* 1: they do */
};

/* One of the blocks behind the first: all of them in one loop would be verified step by step. */
static long again_walk_step(__u32 i, void *arg)
{
	struct again_walk *w = arg;
	const __u8 *data = (void *)(long)w->msg->data, *end = (void *)(long)w->msg->data_end;
	__u32 from = (i + 1) * AGAIN_BLOCK & (SL_KERNEL_HEAD_MAX - AGAIN_BLOCK);

	sl_opaque(from);
	w->differ = !again_block(w->h, data + from, end, from, w->len);
	return w->differ;
}

/*
 * Whether @msg begins with the head in the slot of session @slot (@lane: of lane @slot), which is
 * of generation @gen. Then all that was found in it holds for this one, too.
 */
__noinline int msg_head_again(struct sk_msg_md *msg, __u32 slot, bool lane, __u32 gen)
{
	const struct sl_head_slot *h = head_at(slot, lane);
	const __u8 *data = (void *)(long)msg->data, *end = (void *)(long)msg->data_end;
	struct again_walk w = {.msg = msg, .h = h};
	__u32 len, off;

	if (!h || h->again.gen != gen)
		return 0;
	len = h->head.len;
	if (len < AGAIN_STEP || len > SL_KERNEL_HEAD_MAX || data + len > end)
		return 0;
	if (!again_block(h, data, end, 0, len))
		return 0;
	if (len >= AGAIN_BLOCK + AGAIN_STEP) {
		w.len = len;
		bpf_loop((len - AGAIN_STEP) / AGAIN_BLOCK, again_walk_step, &w, 0);
		if (w.differ)
			return 0;
	}
	/* The last ones, some of them for the second time. */
	off = len - AGAIN_STEP;
	sl_opaque(off);
	off &= SL_KERNEL_HEAD_MAX - 1;
	return data + off + AGAIN_STEP <= end && again_same(h->bytes + off, data + off);
}

struct chunk_walk {
	struct sk_msg_md *msg;
	struct sl_head_slot *h;
	__u32 zero;
	__u32 result; /* enum sl_body_result */
	__u32 zero2;
	__u32 n; /* bytes in the window */
	__u8 window[SL_CHUNK_WINDOW];
};

/* One byte of a chunk line; stops where data begins. */
static long chunk_line_step(__u32 i, void *arg)
{
	struct chunk_walk *w = arg;
	struct sl_head_slot *h = w->h;

	if (i >= w->n || h->walk.state == SL_CHUNK_DATA)
		return 1;
	w->result = sl_chunk_byte(&h->walk, w->window[i & (SL_CHUNK_WINDOW - 1)]);
	if (w->result != SL_BODY_BAD)
		h->walk_off++;
	return w->result != SL_BODY_MORE;
}

/* One chunk: skips its data, then takes the lines behind it. */
static long chunk_walk_step(__u32 i, void *arg)
{
	struct chunk_walk *w = arg;
	struct sl_head_slot *h = w->h;
	__u32 off, n;

	h->walk_off += sl_body_skip(&h->walk, h->walk_size - h->walk_off);
	off = h->walk_off;
	n = h->walk_size - off;
	if (off >= h->walk_size)
		return 1;
	if (n > SL_CHUNK_WINDOW)
		n = SL_CHUNK_WINDOW;
	if (bpf_msg_pull_data(w->msg, off, off + n, 0) ||
	    (long)w->msg->data_end - (long)w->msg->data < n ||
	    bpf_probe_read_kernel(w->window, n, w->msg->data)) {
		w->result = SL_BODY_BAD;
		return 1;
	}
	w->n = n;
	bpf_loop(SL_CHUNK_WINDOW, chunk_line_step, w, 0);
	return w->result != SL_BODY_MORE;
}

/* Follows the chunked body h->walk of session @slot's (@lane: lane's) message from h->walk_off. */
__noinline int msg_chunks_walk(struct sk_msg_md *msg, __u32 slot, bool lane)
{
	struct chunk_walk w = {.msg = msg, .result = SL_BODY_MORE};

	w.h = head_at(slot, lane);
	if (!w.h)
		return SL_BODY_BAD;
	w.h->walk_size = msg_size(msg);
	bpf_loop(SL_CHUNKS_A_RUN, chunk_walk_step, &w, 0);
	if (w.result == SL_BODY_MORE && w.h->walk_off < w.h->walk_size)
		return SL_BODY_MANY;
	return w.result;
}

/*
 * Follows a body through the bytes of @msg from @off; @h is the message's head slot, of session
 * @slot or (@lane) lane @slot. Returns SL_BODY_DONE (the body ends at *ret_end), SL_BODY_MORE (it
 * goes on behind this message), SL_BODY_BAD: not a strict body, or SL_BODY_MANY: more chunks than
 * one run follows.
 */
SL_FN int msg_body_walk(struct sk_msg_md *msg, struct sl_head_slot *h, __u32 slot, bool lane,
			struct sl_body *body, __u32 off, __u32 *ret_end)
{
	int rc;

	if (body->kind != SL_BODY_CHUNKED) {
		*ret_end = off + sl_body_skip(body, msg_size(msg) - off);
		return sl_body_done(body) ? SL_BODY_DONE : SL_BODY_MORE;
	}
	h->walk = *body;
	h->walk_off = off;
	rc = msg_chunks_walk(msg, slot, lane);
	*body = h->walk;
	*ret_end = h->walk_off;
	return rc;
}

#endif /* SL_PATH_BPF_H */
