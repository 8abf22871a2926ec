/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Routes' own answers (sl_canned.h) in the kernel: a co-located client's request is overwritten by
 * its answer and redirected into the client itself. The answer takes the request's size: the rest
 * is white space before the date's value. RFC 9110 section 5.6.3 lets white space be generated
 * "as needed to overwrite invalid or unwanted protocol elements during in-place message
 * filtering". The exchange is over before the client's send returns.
 */
#ifndef SL_CANNED_BPF_H
#define SL_CANNED_BPF_H

#include "request.bpf.h"
#include "inplace.bpf.h"
#include "sl_canned.h"

#define SL_SPACES 0x2020202020202020ull

/*
 * Words into the message: from the pool, or white space. The last one is moved back to end where
 * the run ends; of white space it is not, and others are written over it.
 */
struct canned_run {
	struct sk_msg_md *msg;
	const struct sl_table *t; /* NULL: white space */
	__u32 from;		  /* in the pool */
	__u32 to;		  /* in the message */
	__u32 n;		  /* bytes */
};

static long canned_step(__u32 i, void *arg)
{
	const struct canned_run *r = arg;
	__u64 word = SL_SPACES;
	__u32 off = i * 8;

	if (off >= r->n)
		return 1;
	if (r->t) {
		if (off + 8 > r->n)
			off = r->n - 8;
		word = sl_load_pool(r->t->strings, r->from + off);
	}
	return !msg_put(r->msg, r->to + off, word);
}

SL_FN void canned_copy(struct canned_run *r, __u32 from, __u32 to, __u32 n)
{
	r->from = from;
	r->to = to;
	r->n = n;
	bpf_loop((n + 7) / 8, canned_step, r, 0);
}

/* Answer @c, of table @t, over all @size bytes of @msg, which it fits into. */
SL_FN void canned_write(struct sk_msg_md *msg, const struct sl_table *t, const struct sl_canned *c,
			__u32 size)
{
	const struct sl_control *control = control_get();
	__u32 head = c->head, rest = c->text.len - head;
	__u32 date_at = size - rest - SL_DATE_LINE;
	struct canned_run r = {.msg = msg};
	struct sl_date date;

	canned_copy(&r, 0, head, date_at - head);
	r.t = t;
	canned_copy(&r, c->text.off, 0, head);
	canned_copy(&r, c->text.off + head, size - rest, rest);
	sl_date_set(&date, bpf_ktime_get_tai_ns() / 1000000000 - (control ? control->tai_s : 0));
	for (int i = 0; i < SL_DATE_LINE / 8; i++)
		msg_put(msg, date_at + 8 * i, date.words[i]);
}

/*
 * Why the answer may not go into the client now; NONE: it may. request_begin() has seen that all
 * that TCP has for the client has arrived, and that no answer is being moved, if `landed` tells;
 * else one of a server that has just ended may still be on its way to the client's queue.
 */
SL_FN __u32 canned_barred(const struct sl_control *control, struct sl_session *s, __u32 size)
{
	if (!(control->flags & SL_C_CANNED))
		return SL_REASON_ROUTE_NEEDS_USER;
	if (!(control->flags & SL_C_LANDED) && s->cluster != SL_NO_CLUSTER &&
	    s->start_ns - s->last_ns < SL_MOVE_QUIET)
		return SL_REASON_DRAINING_BYTES;
	if (!client_has_room(s, size))
		return SL_REASON_READER_SLOW;
	return SL_REASON_NONE;
}

/* The session is in an exchange that has both its ends. False: it is not idle any more. */
SL_FN bool canned_begin(struct sl_session *s, __u32 gen)
{
	s->lane = 0;
	s->route = s->decision.route;
	s->cluster = SL_NO_CLUSTER;
	s->head_method = 0;
	s->direct = 0;
	s->handover = SL_REASON_NONE;
	s->req = (struct sl_body){};
	return word_own(&s->word, gen, SL_S_EXCHANGE | SL_S_REQ_DONE | SL_S_RESP_DONE);
}

#define SL_CANNED_USER 16 /* added to the reason for which the request takes the user path */

/*
 * Answers the request that session @slot, of generation @gen, sent in @msg: with answer @index of
 * the table that it was matched with. The verdict, or SL_CANNED_USER + a reason: nothing is done.
 * In this order: nothing is written before it is sure where to.
 */
__noinline int canned_answer(struct sk_msg_md *msg, __u32 slot, __u32 gen, __u32 index)
{
	const struct sl_head_slot *h = bpf_map_lookup_elem(&request_heads, &slot);
	const struct sl_control *control = control_get();
	const struct sl_table *t = table_get();
	struct sl_session *s = session_at(slot);
	const struct sl_canned *c;
	__u32 size = msg_size(msg), reason;

	if (!h || !control || !t || !s || t->generation != s->generation)
		return SL_CANNED_USER + SL_REASON_INTERNAL;
	c = &t->canned[index & (SL_MAX_CANNED - 1)];
	reason = canned_barred(control, s, size);
	if (!reason)
		reason = sl_canned_reason(c, &h->head, size);
	if (!reason && !msg_is_whole(msg, size))
		reason = SL_REASON_HEAD_INCOMPLETE;
	if (reason)
		return SL_CANNED_USER + reason;
	if (!canned_begin(s, gen))
		return SL_CANNED_USER + SL_REASON_DRAINING_BYTES;
	if (bpf_msg_redirect_map(msg, &clients, slot, BPF_F_INGRESS) != SK_PASS) {
		session_go_on(s, slot, gen);
		return SL_CANNED_USER + SL_REASON_DOOR_OFF;
	}
	/* See verdict_of(): the slot may be another session's, and a redirect is not taken back. */
	if (SL_GEN(SL_READ(s->word)) != gen)
		return SK_DROP;
	canned_write(msg, t, c, size);
	stats_count(s, gen, c->status);
	session_go_on(s, slot, gen);
	return SK_PASS;
}

#endif /* SL_CANNED_BPF_H */
