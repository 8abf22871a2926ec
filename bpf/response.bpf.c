// SPDX-License-Identifier: GPL-2.0-only
/*
 * The door by which a response enters: sk_msg on a co-located server's socket. It leaves through
 * `clients` (straight into the co-located client's receive queue) or through `fronts`.
 */
#include <bpf/bpf_tracing.h>
#include "landed.bpf.h"
#include "unsent.bpf.h"
#include "tunnel.bpf.h"
#include "sl_decide.h"

/* A response (or a part of it) under decision; on the stack of the program. */
struct sl_response {
	struct sl_session *s;
	struct sl_lane *l;
	__u32 slot; /* session's */
	__u32 gen;
	__u32 lane_slot;
	__u32 lane_gen;
	__u64 word; /* session's */
	struct sl_body body;
	__u32 end; /* bytes of this message that belong to the response */
	__u16 status;
	bool done;
};

/* From here on the daemon relays the response: it continues at lane.phase and lane.resp. */
SL_FN void response_to_user(struct sl_response *r, __u32 reason)
{
	r->s->handover = reason;
	word_change(&r->s->word, r->gen, SL_S_RESP_USER, 0);
}

/*
 * Finds the session of the lane's exchange. False: there is none that the kernel
 * steers; pass.
 */
SL_FN bool response_find(struct sl_response *r)
{
	__u64 lane_word = sl_read_own(&r->l->word);

	if (SL_GEN(lane_word) != r->lane_gen)
		return false;
	if ((SL_BITS(lane_word) & SL_L_STATE) != SL_LANE_KERNEL) {
		/* An idle server that speaks (408, say): its lane must not be used again. */
		if ((SL_BITS(lane_word) & SL_L_STATE) == SL_LANE_IDLE)
			word_change(&r->l->word, r->lane_gen, SL_L_SURPLUS, 0);
		return false;
	}
	if (!r->l->session)
		return false;
	r->slot = r->l->session - 1;
	r->gen = r->l->session_gen;
	r->s = session_at(r->slot);
	/* What comes now is the last exchange's. */
	if (r->s && (SL_BITS(lane_word) & SL_L_TORN)) {
		word_change(&r->s->word, r->gen, SL_S_ABORTED | SL_S_RESP_USER, 0);
		return false;
	}
	return r->s;
}

/*
 * A look at a send begins: who takes the exchange away finds that, or we find that it is taken.
 * Returns whether the move of the last one is not over: it has failed, or waits for the client.
 */
SL_FN bool response_mark(struct sl_response *r)
{
	bool unlanded = r->l->moved & 1;

	SL_WRITE(r->l->moved, r->l->moved | 1);
	r->word = sl_read_own(&r->s->word);
	return unlanded;
}

/* ... and ends: who sees that it has sees what it has noted, too. */
SL_FN void response_unmark(const struct sl_response *r)
{
	sl_add(&r->l->moved, 1);
}

/* Whether it is the kernel's to steer, by r->word. */
SL_FN bool response_is_ours(const struct sl_response *r)
{
	if (SL_GEN(r->word) != r->gen || !(SL_BITS(r->word) & SL_S_EXCHANGE) ||
	    r->s->lane != r->lane_slot + 1)
		return false;
	if (SL_BITS(r->word) & SL_S_RESP_DONE) {
		word_change(&r->l->word, r->lane_gen, SL_L_SURPLUS, 0);
		return false;
	}
	return !(SL_BITS(r->word) & (SL_S_RESP_USER | SL_S_ABORTED | SL_S_CLOSING));
}

/* Parses the first @n bytes that lane @slot sent: enum sl_parse. Verified alone, see
 * request_parse(). */
__noinline int response_parse(__u32 slot, __u32 n)
{
	struct sl_head_slot *h = bpf_map_lookup_elem(&response_heads, &slot);

	if (!h || n > SL_KERNEL_HEAD_MAX)
		return SL_PARSE_BAD;
	return sl_response_parse(&h->head, h->bytes, n);
}

/*
 * Parses a final head that the kernel may forward as it is. False: the daemon's (1xx, 101, ends
 * with the connection, not strict, not whole).
 */
SL_FN bool response_head(struct sk_msg_md *msg, struct sl_response *r, struct sl_head_slot *h)
{
	if (!msg_head_again(msg, r->lane_slot, true, r->lane_gen)) {
		if (response_parse(r->lane_slot, msg_head_copy(msg, r->lane_slot, true)) !=
		    SL_PARSE_DONE)
			return false;
		h->again.gen = r->lane_gen;
	}
	r->body = sl_response_body(&h->head, r->s->head_method);
	r->status = h->head.status;
	return sl_response_is_plain(&h->head, &r->body);
}

/* What of this send is the response's: r->end, r->body, r->done. False: the daemon's. */
SL_FN bool response_frame(struct sk_msg_md *msg, struct sl_response *r)
{
	struct sl_head_slot *h = bpf_map_lookup_elem(&response_heads, &r->lane_slot);
	__u32 off = 0;
	int rc;

	if (!h)
		return false;
	if (r->l->phase == SL_RESP_HEAD) {
		if (!response_head(msg, r, h))
			return false;
		off = h->head.len;
	} else {
		r->body = r->l->resp;
		r->status = r->l->status;
	}
	rc = msg_body_walk(msg, h, r->lane_slot, true, &r->body, off, &r->end);
	r->done = rc == SL_BODY_DONE;
	/* Bytes behind the answer in the same send: the daemon cuts and closes. */
	return rc != SL_BODY_BAD && rc != SL_BODY_MANY && r->end == msg_size(msg);
}

/*
 * Whether front can send: only an accepted socket has a struct socket, and without it
 * sendmsg_unlocked() fails for a kworker, which ends the target for good.
 */
SL_FN bool front_accepted(const struct sl_response *r)
{
	return SL_BITS(r->word) & SL_S_ADOPTED;
}

/* Why @size bytes may not go to the client now, or NONE; see lane_refuses() in request.bpf.c. */
SL_FN __u32 session_refuses(struct sl_response *r, __u32 size)
{
	struct sl_session *s = r->s;

	if (SL_BITS(r->word) & SL_S_CLIENT) {
		if (all_arrived(s->client_sk, s->front_sk) && client_has_room(s, size))
			return SL_REASON_NONE;
	} else if (front_accepted(r) &&
		   all_written(s->front_sk, s->front_ws0, SL_READ(s->front_tx))) {
		return writer_refuses(s->front_sk, size);
	}
	return front_accepted(r) ? SL_REASON_READER_SLOW : SL_REASON_NOT_ACCEPTED;
}

/*
 * Whether the slot still is the session's, now that a redirect helper has looked its socket up:
 * if so, that socket is the session's too, since a new generation is written before a new
 * socket is inserted.
 */
SL_FN bool session_is_same(const struct sl_response *r)
{
	return SL_GEN(SL_READ(r->s->word)) == r->gen;
}

/* @size bytes go out through front. Behind session_is_same(): of another they would be too many. */
SL_FN void response_counted(const struct sl_response *r, __u32 size)
{
	if (SL_BITS(r->word) & SL_S_CLIENT)
		return;
	sl_add(&r->s->front_tx, size);
	r->s->via = r->lane_slot + 1;
	SL_WRITE(r->s->mover, thread_mark());
}

SL_FN bool redirect_to_session(struct sk_msg_md *msg, struct sl_response *r)
{
	if (SL_BITS(r->word) & SL_S_CLIENT)
		return bpf_msg_redirect_map(msg, &clients, r->slot, BPF_F_INGRESS) == SK_PASS;
	return bpf_msg_redirect_map(msg, &fronts, r->slot, 0) == SK_PASS;
}

/* These bytes are the client's, or TCP's: note where the response stands, and whether it is done.
 */
SL_FN void response_advance(struct sl_response *r)
{
	struct sl_lane *l = r->l;
	__u32 old;

	if (l->phase == SL_RESP_HEAD) {
		l->phase = SL_RESP_BODY;
		l->status = r->status;
		/* Answered before its request was whole: what is left of the request may still be
		 * on its way when the lane is free. Never reuse it. */
		if (!(SL_BITS(r->word) & (SL_S_REQ_DONE | SL_S_REQ_USER)))
			word_change(&l->word, r->lane_gen, SL_L_SURPLUS, 0);
	}
	l->resp = r->body;
	response_unmark(r);
	if (!r->done)
		return;
	/* An exchange that was given up is the daemon's to clean. */
	old = SL_BITS(word_change(&r->s->word, r->gen, SL_S_RESP_DONE, 0));
	if ((old & SL_S_REQ_DONE) && !(old & SL_S_ABORTED))
		exchange_finish(r->slot, r->gen, r->lane_slot, r->lane_gen);
}

/*
 * Steered into the client, where the kernel tells when they are there: `landed` goes on with what
 * is noted here. False: elsewhere, or it does not tell.
 */
SL_FN bool response_lands(const struct sl_response *r, __u32 size)
{
	struct sl_head_slot *h = bpf_map_lookup_elem(&response_heads, &r->lane_slot);
	struct sl_control *c = control_get();

	if (!(SL_BITS(r->word) & SL_S_CLIENT) || !c || !(c->flags & SL_C_LANDED) || !h)
		return false;
	h->move.body = r->body;
	h->move.status = r->status;
	h->move.size = size;
	h->move.parted = 0;
	r->s->last_ns = bpf_ktime_get_ns();
	SL_WRITE(r->s->mover, thread_id());
	return true;
}

/* The lane whose answer is being moved into the client of session r->s, and the move. NULL: none.
 */
SL_FN struct sl_move *response_moving(struct sl_response *r)
{
	struct sl_head_slot *h;

	r->lane_slot = r->s->lane - 1;
	r->lane_gen = r->s->lane_gen;
	r->l = lane_at(r->lane_slot);
	h = bpf_map_lookup_elem(&response_heads, &r->lane_slot);
	if (!h || !r->l || SL_GEN(SL_READ(r->l->word)) != r->lane_gen ||
	    r->l->session != r->slot + 1 || r->l->session_gen != r->gen ||
	    !sl_lane_is_steered(r->l) || !(SL_BITS(r->word) & SL_S_EXCHANGE))
		return NULL;
	return &h->move;
}

/* Where the answer stands behind @move. */
SL_FN void response_take(struct sl_response *r, const struct sl_move *move)
{
	r->body = move->body;
	r->status = move->status;
	r->done = sl_body_done(&r->body);
}

/* Bytes that a thread of a server has steered into the client, @me, are in its queue @sk. */
SL_FN void response_landed(const struct sl_socket *me, __u64 sk)
{
	struct sl_response r = {.slot = me->slot, .gen = me->gen};
	struct sl_move *move;
	__u32 mover, got;

	r.s = session_at(r.slot);
	if (!r.s)
		return;
	mover = SL_READ(r.s->mover);
	r.word = sl_read_own(&r.s->word);
	if (SL_GEN(r.word) != r.gen || mover != thread_id())
		return;
	move = response_moving(&r);
	if (move && (SL_BITS(r.word) & (SL_S_RESP_USER | SL_S_ABORTED))) {
		SL_WRITE(r.s->mover, SL_MOVER_TORN);
		return;
	}
	SL_WRITE(r.s->mover, 0);
	if (!move)
		return;
	got = queued_last(sk);
	if (got < move->size) {
		move->size -= got;
		move->parted = 1;
		return;
	}
	response_take(&r, move);
	response_advance(&r);
}

/*
 * bpf_tcp_ingress() has put bytes into @sk's queue and tells its owner, who cannot have read them
 * yet: the sender has the socket locked. The same of bytes that came by TCP is told by another, or
 * by an interrupt, which has no socket locked like that.
 */
SEC("tp_btf/sk_data_ready")
int BPF_PROG(landed, struct sock *sk)
{
	const struct sl_socket *me;

	/* First: it is the program's whole work for each segment that comes by TCP. */
	if (!sk->sk_lock.owned)
		return 0;
	me = bpf_sk_storage_get(&sockets, sk, NULL, 0);
	if (!me)
		return 0;
	if (me->role == SL_ROLE_CLIENT)
		response_landed(me, (__u64)sk);
	else if (me->role == SL_ROLE_SERVER)
		request_landed(me, (__u64)sk);
	return 0;
}

/*
 * The kernel has no memory for what is sent through @sk. Not only then does a send fall short, but
 * for all else there is a look beforehand. One that waits, or finds some at the second try, falls
 * short not even now: its connections end as well, which is seldom, and no wrong message.
 */
SEC("tp_btf/sock_exceed_buf_limit")
int BPF_PROG(unsent, struct sock *sk, struct proto *prot, long allocated, int kind)
{
	const struct sl_socket *me;

	if (kind != SL_MEM_SEND || !sk->sk_lock.owned)
		return 0;
	me = bpf_sk_storage_get(&sockets, sk, NULL, 0);
	if (me && me->role == SL_ROLE_FRONT)
		front_unsent(me);
	else if (me && me->role == SL_ROLE_BACK)
		back_unsent(me);
	return 0;
}

/*
 * Nothing of the last run's bytes is in the client. If they were this thread's the kernel had no
 * memory for them, has told so, and what is sent now are the same: for TCP to bring. Behind the
 * first part of a send they are the daemon's to relay as so many bytes of a body, whatever they
 * are; but in which state of a chunked one they begin is not known. If it was another thread they
 * may be there in a moment, and the order be lost.
 */
SL_FN void response_unlanded(struct sl_response *r, const struct sl_move *move)
{
	bool known = SL_READ(r->s->mover) == thread_id();

	if (known)
		SL_WRITE(r->s->mover, 0);
	if (known && move->parted) {
		response_take(r, move);
		known = r->body.kind != SL_BODY_CHUNKED;
		r->body.kind = SL_BODY_LENGTH;
		r->body.left += move->size;
		r->done = false;
		response_advance(r);
	} else {
		response_unmark(r);
	}
	if (!known)
		word_change(&r->s->word, r->gen, SL_S_ABORTED, 0);
	response_to_user(r, SL_REASON_READER_SLOW);
}

/* The rest of a send of which the first bytes are in the client. The verdict. */
SL_FN int response_rest(struct sk_msg_md *msg, struct sl_response *r)
{
	struct sl_head_slot *h = bpf_map_lookup_elem(&response_heads, &r->lane_slot);

	r->word = sl_read_own(&r->s->word);
	if (!h || !response_is_ours(r) || SL_READ(r->s->mover) || !sl_lane_is_steered(r->l) ||
	    h->move.size != msg_size(msg) || !redirect_to_session(msg, r) || !session_is_same(r))
		return SK_DROP;
	SL_WRITE(r->s->mover, thread_id());
	return SK_PASS;
}

/* Steers this send, or says why the daemon must relay the response from here on. */
SL_FN __u32 response_decide(struct sk_msg_md *msg, struct sl_response *r)
{
	__u32 reason;

	if (r->l->phase == SL_RESP_HEAD)
		stats_expect(r->s);
	/* An answer that others, or the client's FIN, must follow in order. */
	if ((SL_BITS(r->word) & SL_S_PENDING) && r->l->phase == SL_RESP_HEAD)
		return SL_REASON_PIPELINED;
	reason = session_refuses(r, msg_size(msg));
	if (reason)
		return reason;
	if (!response_frame(msg, r))
		return SL_REASON_ANSWER_NEEDS_USER;
	/* The end of an answer behind which the daemon has something to write, or a FIN: it keeps
	 * the order of what it writes itself. The client's FIN may be here before the daemon knows.
	 */
	if (r->done &&
	    ((SL_BITS(SL_READ(r->s->word)) & SL_S_PENDING) || !is_established(r->s->front_sk)))
		return SL_REASON_PIPELINED;
	return redirect_to_session(msg, r) ? SL_REASON_NONE : SL_REASON_LANE_LOST;
}

/* A send of the server in an exchange with r->s. */
SL_FN int response_steer(struct sk_msg_md *msg, struct sl_response *r)
{
	int verdict = SK_PASS;
	__u32 reason;
	/*
	 * Else bytes went by TCP behind our back: after a send that failed half way the kernel
	 * repeats the last verdict without asking. Before the look at the word, which answers for
	 * what the daemon has read.
	 */
	bool read = all_read(r->l->server_sk, r->l->back_sk);
	struct sl_head_slot *h = bpf_map_lookup_elem(&response_heads, &r->lane_slot);
	bool unlanded = response_mark(r);

	if (!h || !response_is_ours(r))
		goto end;
	if (unlanded) {
		response_unlanded(r, &h->move);
		return SK_PASS;
	}
	reason = read ? response_decide(msg, r) : SL_REASON_DRAINING_BYTES;
	if (reason) {
		response_to_user(r, reason);
		goto end;
	}
	/* A redirect cannot be taken back. The connection that these bytes are for is gone, and the
	 * daemon closes this one: that the drop is sticky does not matter. */
	if (!session_is_same(r)) {
		verdict = SK_DROP;
		goto end;
	}
	response_counted(r, msg_size(msg));
	if (!response_lands(r, msg_size(msg)))
		response_advance(r);
	return SK_PASS;
end:
	response_unmark(r);
	return verdict;
}

/* The session of a tunnel whose way down is the kernel's, into r. */
SL_FN bool tunnel_session(struct sl_response *r)
{
	if (SL_GEN(SL_READ(r->l->word)) != r->lane_gen)
		return false;
	r->slot = r->l->session - 1;
	r->s = session_at(r->slot);
	if (!r->s)
		return false;
	r->word = tunnel_word(r->l, r->s, r->lane_slot);
	r->gen = SL_GEN(r->word);
	return r->word;
}

/* A tunnel's server sends; see tunnel_up(). */
SL_FN int tunnel_down(struct sk_msg_md *msg, struct sl_response *r)
{
	bool rest = msg_is_rest(msg);

	if (rest && (!tunnel_session(r) || !redirect_to_session(msg, r)))
		return SK_DROP;
	if (!rest && (!all_read(r->l->server_sk, r->l->back_sk) || !tunnel_session(r) ||
		      session_refuses(r, msg_size(msg)) || !redirect_to_session(msg, r)))
		return SK_PASS;
	if (!session_is_same(r))
		return SK_DROP;
	response_counted(r, msg_size(msg));
	tunnel_moved(r->s);
	return SK_PASS;
}

SEC("sk_msg")
int server_msg(struct sk_msg_md *msg)
{
	struct sl_response r = {};
	struct bpf_sock *sk = msg->sk;
	struct sl_socket *me;

	if (!sk)
		return SK_PASS;
	me = bpf_sk_storage_get(&sockets, sk, NULL, 0);
	if (!me || me->role != SL_ROLE_SERVER)
		return SK_PASS;
	r.lane_slot = me->slot;
	r.lane_gen = me->gen;
	r.l = lane_at(r.lane_slot);
	if (!r.l)
		return SK_PASS;
	if (SL_BITS(SL_READ(r.l->word)) & SL_L_TUNNEL)
		return tunnel_down(msg, &r);
	if (msg_is_rest(msg))
		return response_find(&r) ? response_rest(msg, &r) : SK_DROP;
	return response_find(&r) ? response_steer(msg, &r) : SK_PASS;
}
