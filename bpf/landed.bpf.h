/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Requests' bytes that are steered into a server: the kernel moves them when the program is over,
 * and may find memory for some, or for none (bpf_tcp_ingress()). What it has not moved comes again:
 * the rest of the same send at once, or, when nothing was moved, by a next send, since the client
 * is told.
 */
#ifndef SL_LANDED_BPF_H
#define SL_LANDED_BPF_H

#include "path.bpf.h"

#define SL_LANDED 16 /* beside SK_PASS and SK_DROP */

/*
 * @n bytes that s->req has passed already were not moved: they are the daemon's to relay, as so
 * many bytes of a body whatever they are, if they are what comes next (@known). In which state of a
 * chunked body they begin is not known: the session ends.
 */
SL_FN void request_unmoved(struct sl_session *s, __u32 gen, __u32 n, bool known)
{
	__u32 set = SL_S_REQ_USER;

	if (known && s->req.kind != SL_BODY_CHUNKED) {
		s->req.kind = SL_BODY_LENGTH;
		s->req.left += n;
	} else {
		set |= SL_S_ABORTED;
	}
	s->handover = SL_REASON_READER_SLOW;
	word_change(&s->word, gen, set, SL_S_REQ_DONE);
}

/* The rest of a request is there, too, of which for a moment only a part was. */
SL_FN void request_rest_landed(struct sl_session *s, struct sl_lane *l, __u32 lane_slot)
{
	__u32 gen = l->session_gen, old;

	if (!sl_body_done(&s->req))
		return;
	old = SL_BITS(word_change(&s->word, gen, SL_S_REQ_DONE, 0));
	if ((old & SL_S_RESP_DONE) && !(old & SL_S_ABORTED))
		exchange_finish(l->session - 1, gen, lane_slot, SL_GEN(SL_READ(l->word)));
}

/*
 * Bytes that this thread has steered into server @me are in its queue @sk, or the first of them.
 * Then the request is not done before the server can read what there is, and answer.
 */
SL_FN void request_landed(const struct sl_socket *me, __u64 sk)
{
	struct sl_lane *l = lane_at(me->slot);
	struct sl_session *s;
	__u32 got;

	if (!l || SL_GEN(SL_READ(l->word)) != me->gen || SL_READ(l->asker) != thread_id())
		return;
	SL_WRITE(l->asker, 0);
	got = queued_last(sk);
	if (got > l->asked)
		got = l->asked;
	if (l->asks == SL_ASKS_RELAY) {
		sl_add(&l->back_tx, -got);
		return;
	}
	s = session_at(l->session - 1);
	if (!s)
		return;
	if (got < l->asked) {
		l->asked -= got;
		l->asks = SL_ASKS_REST;
		word_change(&s->word, l->session_gen, 0, SL_S_REQ_DONE);
	} else if (l->asks == SL_ASKS_REST) {
		request_rest_landed(s, l, me->slot);
	}
}

#endif /* SL_LANDED_BPF_H */
