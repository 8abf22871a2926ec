/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What BPF sends out through our own end is sent when the program is over. It has looked for room
 * before (writer_has_room()), but whoever takes memory meanwhile, on another CPU or while the
 * sender waits for our end's lock, takes that room as well. Then a part is sent, or nothing, and
 * the sender alone is told (tcp_bpf_sendmsg_redir()): it sends again what has been counted, and for
 * all that BPF knows that is the next message. So both connections end. The kernel comes by in the
 * sender's own send, behind the redirect: what is marked here is so before anything is sent again.
 */
#ifndef SL_UNSENT_BPF_H
#define SL_UNSENT_BPF_H

#include "path.bpf.h"

#define SL_MEM_SEND 0 /* SK_MEM_SEND */

/* Whoever the lane is bound to by now. Its socket is still in the send, so it is the same lane. */
SL_FN void lane_tear(__u32 slot)
{
	struct sl_lane *l = lane_at(slot);

	if (l)
		word_change(&l->word, SL_GEN(SL_READ(l->word)), SL_L_SURPLUS | SL_L_TORN, 0);
}

SL_FN void session_tear(struct sl_session *s, __u32 slot, __u32 gen)
{
	word_change(&s->word, gen, SL_S_TORN, 0);
	event_send(SL_EVENT_TORN, slot, gen);
}

/* A send of this thread through front @me: of an answer, or the daemon's, which knows what to do.
 */
SL_FN void front_unsent(const struct sl_socket *me)
{
	struct sl_session *s = session_at(me->slot);
	__u64 word;

	if (!s)
		return;
	word = SL_READ(s->word);
	if (SL_GEN(word) != me->gen || (SL_BITS(word) & SL_S_CLIENT) ||
	    SL_READ(s->mover) != thread_mark())
		return;
	lane_tear(s->via - 1);
	session_tear(s, me->slot, me->gen);
}

/* The same of a request, through back @me. */
SL_FN void back_unsent(const struct sl_socket *me)
{
	struct sl_lane *l = lane_at(me->slot);
	struct sl_session *s;
	__u32 slot;

	if (!l || SL_GEN(SL_READ(l->word)) != me->gen || l->asks != SL_ASKS_OUT ||
	    SL_READ(l->asker) != thread_mark())
		return;
	slot = l->asked - 1;
	s = session_at(slot);
	lane_tear(me->slot);
	if (s)
		session_tear(s, slot, SL_GEN(SL_READ(s->word)));
}

#endif /* SL_UNSENT_BPF_H */
