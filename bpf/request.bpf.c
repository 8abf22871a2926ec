// SPDX-License-Identifier: GPL-2.0-only
/*
 * The door by which a request enters: sk_msg on a co-located client's socket. It leaves through
 * `servers` (straight into the co-located server's receive queue) or through `backs`.
 *
 * No byte of a live connection is dropped: SK_DROP is sticky in sk_msg (every later send fails),
 * and what cannot be steered is passed on to the daemon with a reason.
 */
#include "canned.bpf.h"
#include "landed.bpf.h"
#include "overlap.bpf.h"
#include "tunnel.bpf.h"

/* Where the lane's end is: straight into the server, or out through back. */
SL_FN bool lane_is_colocated(const struct sl_lane *l)
{
	return SL_BITS(SL_READ(l->word)) & SL_L_SERVER;
}

/*
 * Why @size bytes may not go to the lane's far end now; NONE: the earlier ones have arrived there
 * (a redirect must not overtake TCP), and the reader keeps up.
 */
SL_FN __u32 lane_refuses(struct sl_lane *l, __u32 slot, __u32 size)
{
	if (!lane_is_colocated(l))
		return writer_refuses(l->back_sk, size);
	if (lane_arrived(slot) && reader_has_room(l->server_sk, size, &l->unread))
		return SL_REASON_NONE;
	return SL_REASON_READER_SLOW;
}

/*
 * The same for a request's first bytes. A server that has answered and not read all that it was
 * asked gets no more, and nobody has to count what it has not read (see reader_has_room()).
 */
SL_FN __u32 lane_refuses_first(const struct sl_lane *l, __u32 slot, __u32 size)
{
	if (!lane_is_colocated(l))
		return writer_refuses(l->back_sk, size);
	if (lane_arrived(slot) && !reader_backlog(l->server_sk))
		return SL_REASON_NONE;
	return SL_REASON_READER_SLOW;
}

/*
 * Whether the slot still is the lane's, now that a redirect helper has looked its socket up. If
 * not, the bytes would be another request's: a redirect cannot be taken back, so drop. What goes
 * out through back is counted.
 */
SL_FN int verdict_of(struct sl_lane *l, __u32 gen, __u32 size)
{
	__u64 word = SL_READ(l->word);

	if (SL_GEN(word) != gen)
		return SK_DROP;
	if (!(SL_BITS(word) & SL_L_PAIRED))
		sl_add(&l->back_tx, size);
	return SK_PASS;
}

/* Sends the message to the lane's far end. False: there is none any more. */
SL_FN bool redirect_to_lane(struct sk_msg_md *msg, const struct sl_lane *l, __u32 slot)
{
	if (SL_BITS(SL_READ(l->word)) & SL_L_PAIRED)
		return bpf_msg_redirect_map(msg, &servers, slot, BPF_F_INGRESS) == SK_PASS;
	return bpf_msg_redirect_map(msg, &backs, slot, 0) == SK_PASS;
}

/*
 * @size bytes of a request of session @slot are steered to @l's far end. Out through back its
 * counters tell, and `unsent`.
 */
SL_FN void request_asked(struct sl_lane *l, __u32 slot, __u32 size, enum sl_asks what)
{
	if (SL_BITS(SL_READ(l->word)) & SL_L_PAIRED) {
		(void)lane_lands(l, size, what);
		return;
	}
	l->asked = slot + 1;
	l->asks = SL_ASKS_OUT;
	SL_WRITE(l->asker, thread_mark());
}

/* What this send holds of the request besides its head, into r->body. A reason, or NONE. */
SL_FN __u32 request_frame(struct sk_msg_md *msg, struct sl_request *r, struct sl_head_slot *h)
{
	__u32 end;
	int rc;

	r->body = sl_request_body(&h->head);
	if (msg_size(msg) == h->head.len)
		return SL_REASON_NONE;
	rc = msg_body_walk(msg, h, r->slot, false, &r->body, h->head.len, &end);
	if (rc == SL_BODY_BAD)
		return SL_REASON_NOT_CANONICAL;
	if (rc == SL_BODY_MANY)
		return SL_REASON_CHUNKS_MANY;
	return end == msg_size(msg) ? SL_REASON_NONE : SL_REASON_PIPELINED;
}

/* The message's head into @h, unless it is there already. A reason, or NONE. */
SL_FN __u32 request_head(struct sk_msg_md *msg, struct sl_request *r, struct sl_head_slot *h)
{
	__u32 reason;

	if (msg_head_again(msg, r->slot, false, r->gen))
		return head_is_large(&h->head) ? SL_REASON_HEAD_TOO_LONG : SL_REASON_NONE;
	reason = request_parse(r->slot, msg_head_copy(msg, r->slot, false));
	if (!reason) {
		h->again.generation = 0;
		h->again.gen = r->gen;
	}
	return reason;
}

/* Parses, routes and frames; NONE when r->s->decision says where to and r->body what is left. */
SL_FN __u32 request_decide(struct sk_msg_md *msg, struct sl_request *r, struct sl_head_slot *h)
{
	__u32 reason = request_head(msg, r, h);

	if (reason)
		return reason;
	reason = request_frame(msg, r, h);
	if (reason)
		return reason;
	return request_route(r, h);
}

/* No lane serves it, for @reason: a route's own answer, or the user path. */
SL_FN int request_without_lane(struct sk_msg_md *msg, struct sl_request *r, __u32 reason)
{
	int rc;

	if (r->canned1) {
		rc = canned_answer(msg, r->slot, r->gen, r->canned1 - 1);
		if (rc < SL_CANNED_USER)
			return rc;
		reason = rc - SL_CANNED_USER;
	}
	return request_to_user(r, reason);
}

/* The session is idle and its client sends: the beginning of a request. */
SL_FN int request_begin(struct sk_msg_md *msg, struct sl_request *r)
{
	struct sl_control *c = control_get();
	struct sl_head_slot *h = bpf_map_lookup_elem(&request_heads, &r->slot);
	struct sl_session *s = r->s;
	struct sl_lane *l;
	__u32 reason;
	int verdict;

	if (!c || !h)
		return SK_PASS;
	r->at = tcp_of(s->client_sk)->write_seq - s->client_ws0;
	s->decision.routed = 0;
	s->decision.draw = 0;
	reason = session_barred(c, r->word);
	if (reason)
		return request_to_user(r, reason);
	/* In this order: what is promised is written, and what is written has arrived. */
	if (SL_READ(s->mover) || !all_read(s->client_sk, s->front_sk) ||
	    !all_written(s->front_sk, s->front_ws0, SL_READ(s->front_tx)) ||
	    !all_arrived(s->client_sk, s->front_sk))
		return request_to_user(r, SL_REASON_DRAINING_BYTES);
	s->start_ns = bpf_ktime_get_ns();
	reason = request_decide(msg, r, h);
	if (reason)
		return request_without_lane(msg, r, reason);
	l = request_lane(r);
	if (!l)
		return request_to_user(r, SL_REASON_NO_IDLE_LANE);
	reason = lane_refuses_first(l, r->lane_slot, msg_size(msg));
	if (reason) {
		lane_return(r->lane_slot, r->lane_gen);
		return request_to_user(r, reason);
	}
	if (!exchange_begin(r, l, &h->head))
		return SK_PASS;
	if (!redirect_to_lane(msg, l, r->lane_slot))
		return exchange_cancel(r, l);
	request_asked(l, r->slot, msg_size(msg), SL_ASKS_HEAD);
	verdict = verdict_of(l, r->lane_gen, msg_size(msg));
	SL_WRITE(s->begun, 0);
	return verdict;
}

/*
 * Whether lane @l has all that was steered to it. A far end that is closed or reset between a
 * program's look at it and the move takes what was to be moved along. Only the sender is told: by
 * an error, or by a send that took less than it was given, and the rest of that is sent again. Our
 * own end counts; of a server there is only to be said that it is there still.
 */
SL_FN bool lane_has_all(const struct sl_lane *l)
{
	__u32 bits = SL_BITS(SL_READ(l->word));

	if (bits & SL_L_PAIRED)
		return (bits & SL_L_SERVER) && in_sockmap(l->server_sk);
	return all_written(l->back_sk, l->back_ws0, SL_READ(l->back_tx));
}

/* From here on the daemon relays the request, for @reason. */
SL_FN int request_rest_to_user(struct sl_session *s, __u32 gen, __u32 reason)
{
	s->handover = reason;
	word_change(&s->word, gen, SL_S_REQ_USER, 0);
	return SK_PASS;
}

/*
 * More of the body of a request that the kernel steers; or, if this send cannot be steered,
 * the rest of it for the daemon. The daemon's is also the last part: marked done here, before the
 * kernel moves it (bpf_tcp_ingress() may wait for the server's lock), it would let a server that
 * answers early free the lane, and another request get in before it. What goes through back is
 * counted: nothing is redirected before it has arrived. With LANE_LOST where in the body this send
 * begins is not known: see lane_has_all().
 */
SL_FN int request_continue(struct sk_msg_md *msg, struct sl_session *s, __u32 slot, __u32 gen)
{
	struct sl_head_slot *h = bpf_map_lookup_elem(&request_heads, &slot);
	__u32 lane_slot = s->lane - 1;
	struct sl_lane *l = lane_at(lane_slot);
	struct sl_body body = s->req;
	__u32 end, reason;
	int rc;

	if (!h || !l || SL_GEN(SL_READ(l->word)) != s->lane_gen)
		return SK_PASS;
	if (!lane_has_all(l))
		return request_rest_to_user(s, gen, SL_REASON_LANE_LOST);
	rc = msg_body_walk(msg, h, slot, false, &body, 0, &end);
	reason = rc == SL_BODY_BAD    ? SL_REASON_NOT_CANONICAL
		 : rc == SL_BODY_MANY ? SL_REASON_CHUNKS_MANY
		 : rc == SL_BODY_DONE ? SL_REASON_BODY_PARTS
				      : lane_refuses(l, lane_slot, msg_size(msg));
	if (!reason && !redirect_to_lane(msg, l, lane_slot))
		reason = SL_REASON_READER_SLOW;
	if (reason)
		return request_rest_to_user(s, gen, reason);
	request_asked(l, slot, end, SL_ASKS_BODY);
	s->req = body;
	s->moved++;
	return verdict_of(l, s->lane_gen, end);
}

/*
 * The client of session @slot sends, and what it sent before was steered into the server and is not
 * there: the kernel had no memory for it, has told the client so, and these are the same bytes: for
 * TCP to bring, whether they are a request's first or in its body. Not if another thread has sent
 * them: they may be there in a moment. The verdict, or SL_LANDED: all is there. Verified alone.
 */
__noinline int request_unlanded(__u32 slot, __u32 gen)
{
	struct sl_request r = {.s = session_at(slot), .slot = slot, .gen = gen};
	struct sl_session *s = r.s;
	struct sl_lane *l;
	bool own;

	if (!s)
		return SL_LANDED;
	r.lane_slot = s->lane - 1;
	r.lane_gen = s->lane_gen;
	l = lane_at(r.lane_slot);
	if (!l || !SL_READ(l->asker) || l->asks >= SL_ASKS_RELAY || l->session != slot + 1 ||
	    l->session_gen != gen)
		return SL_LANDED;
	own = SL_READ(l->asker) == thread_id();
	SL_WRITE(l->asker, 0);
	/* REST: its run was asked, and redirected it again, in vain. */
	if (own && l->asks == SL_ASKS_HEAD) {
		r.at = tcp_of(s->client_sk)->write_seq - s->client_ws0;
		return exchange_cancel(&r, l);
	}
	request_unmoved(s, gen, l->asked, own);
	return SK_PASS;
}

/* The rest of a send of session @slot of which the first bytes are with the server. The verdict. */
__noinline int request_rest(struct sk_msg_md *msg, __u32 slot, __u32 gen)
{
	struct sl_session *s = session_at(slot);
	__u32 lane_slot, size = msg_size(msg);
	struct sl_lane *l;
	__u64 word;

	if (!s)
		return SK_DROP;
	word = SL_READ(s->word);
	lane_slot = s->lane - 1;
	l = lane_at(lane_slot);
	if (!l || SL_GEN(word) != gen || SL_GEN(SL_READ(l->word)) != s->lane_gen)
		return SK_DROP;
	if (SL_BITS(word) & SL_S_TUNNEL_BITS)
		return redirect_to_lane(msg, l, lane_slot) ? SK_PASS : SK_DROP;
	if (!(SL_BITS(word) & SL_S_EXCHANGE) || (SL_BITS(word) & SL_S_ABORTED) ||
	    l->session != slot + 1 || l->session_gen != gen || l->asks != SL_ASKS_REST ||
	    SL_READ(l->asker) || l->asked != size || !redirect_to_lane(msg, l, lane_slot))
		return SK_DROP;
	request_asked(l, slot, size, SL_ASKS_REST);
	return verdict_of(l, s->lane_gen, 0);
}

/* These bytes go by TCP for @reason, whoever owns the session. */
SL_FN void request_note(struct sl_session *s, __u32 reason)
{
	s->decision.at = tcp_of(s->client_sk)->write_seq - s->client_ws0;
	s->decision.reason = reason;
	s->decision.routed = 0;
	s->decision.draw = 0;
}

/* Bytes behind a complete request: they wait for the end of the exchange, with the daemon. */
SL_FN bool request_pipelined(struct sl_session *s, __u64 word)
{
	request_note(s, SL_REASON_PIPELINED);
	return sl_cmpxchg(&s->word, word, word | SL_S_PENDING) == word;
}

/* A tunnel's client sends: straight on, while nothing is in the daemon's hands. */
SL_FN int tunnel_up(struct sk_msg_md *msg, struct sl_session *s, __u32 gen)
{
	__u32 slot = s->lane - 1, size = msg_size(msg);
	struct sl_lane *l;

	if (!all_read(s->client_sk, s->front_sk))
		return SK_PASS;
	l = tunnel_lane(s, gen);
	if (!l || lane_refuses(l, slot, size) || !redirect_to_lane(msg, l, slot))
		return SK_PASS;
	if (!lane_is_colocated(l))
		request_asked(l, l->session - 1, size, SL_ASKS_OUT);
	tunnel_moved(s);
	return verdict_of(l, s->lane_gen, size);
}

SEC("sk_msg")
int client_msg(struct sk_msg_md *msg)
{
	struct sl_request r = {};
	struct bpf_sock *sk = msg->sk;
	struct sl_socket *me;
	int verdict;

	if (!sk)
		return SK_PASS;
	me = bpf_sk_storage_get(&sockets, sk, NULL, 0);
	if (!me || me->role != SL_ROLE_CLIENT)
		return SK_PASS;
	r.slot = me->slot;
	r.gen = me->gen;
	r.s = session_at(r.slot);
	if (!r.s)
		return SK_PASS;
	if (msg_is_rest(msg))
		return request_rest(msg, r.slot, r.gen);
	/* Twice: an exchange can end while we look. */
	for (int i = 0; i < 2; i++) {
		r.word = sl_read_own(&r.s->word);
		if (SL_GEN(r.word) != r.gen)
			return SK_PASS;
		if (!(SL_BITS(r.word) & SL_S_FRONT)) {
			/* Established here, and there the last ACK is still on its way. */
			request_note(r.s, SL_REASON_REMOTE_CLIENT);
			return SK_PASS;
		}
		if (SL_BITS(r.word) & SL_S_TUNNEL_UP)
			return tunnel_up(msg, r.s, r.gen);
		if ((SL_BITS(r.word) & (SL_S_USER | SL_S_CLOSING | SL_S_ABORTED | SL_S_REQ_USER |
					SL_S_PENDING | SL_S_TORN)))
			return SK_PASS;
		if (!(SL_BITS(r.word) & SL_S_EXCHANGE))
			return request_begin(msg, &r);
		verdict = request_unlanded(r.slot, r.gen);
		if (verdict != SL_LANDED)
			return verdict;
		if (!(SL_BITS(r.word) & SL_S_REQ_DONE))
			return request_continue(msg, r.s, r.slot, r.gen);
		if (request_pipelined(r.s, r.word))
			return SK_PASS;
	}
	return SK_PASS;
}

/*
 * The verdict of an application's socket: all that is new to its owner. It must exist: without a
 * verdict program ioctl(FIONREAD) is 0 for bytes that came by TCP, and nginx, Java and .NET stall.
 */
SEC("sk_skb")
int pass_skb(struct __sk_buff *skb)
{
	__u64 cookie = bpf_get_socket_cookie(skb);
	struct sl_socket *me = bpf_map_lookup_elem(&by_cookie, &cookie);

	if (!me)
		return SK_PASS;
	segment_trim(skb, me);
	if (segment_is_last(skb))
		bpf_map_delete_elem(&by_cookie, &cookie);
	return SK_PASS;
}
