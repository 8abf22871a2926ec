// SPDX-License-Identifier: GPL-2.0-only
/*
 * Requests that the daemon reads, judges and sends, and whose answers BPF moves: where the client
 * is remote and nothing of the answer is for us to change, it goes from the server's send straight
 * out through front, as if BPF had begun the exchange.
 */
#include "mutate.h"
#include "kernel/maps.h"

/* Whether BPF steers what this lane's server sends. */
static bool lane_is_steered(const struct back *b)
{
	return b->slot != NO_SLOT && (lane_bits(b) & SL_L_SERVER);
}

/* Whether the answer needs no change, and nothing has begun that only we can end. */
static bool answer_is_plain(const struct worker *w, const struct front *f)
{
	const struct exchange *x = &f->x;

	return !SL_READ(w->crew->n_waiting_of[x->cluster]) && !x->close && !x->client10 &&
	       !x->expects && !x->upgrade && !x->retries && !x->seized && !x->interim &&
	       !x->body_sent && !f->ending && !w->draining && !f->cookies.data &&
	       !action_of(w, f) && !forwarded_any(w, f);
}

/* Nothing of an earlier answer is left to be written, and no other request has been read. */
static bool session_is_clear(const struct front *f)
{
	return f->owned && f->slot != NO_SLOT && !f->pipelined && !f->io.rdhup &&
	       f->out.pos == f->out.end && f->rin.pos == f->rin.end && f->in.framed == f->in.end;
}

/* What exchange_begin() of request.bpf.h notes, for BPF and for the next worker. */
static void describe(struct worker *w, struct front *f, struct back *b)
{
	struct sl_session *s = f->s;
	const struct exchange *x = &f->x;

	b->l->session = f->slot + 1;
	b->l->session_gen = f->gen;
	b->l->phase = SL_RESP_HEAD;
	b->l->status = 0;
	s->lane = b->slot + 1;
	s->lane_gen = b->gen;
	s->start_ns = x->start_ns;
	s->route = x->route;
	s->cluster = x->cluster;
	s->generation = x->generation;
	s->head_method = x->head_method;
	s->handover = SL_REASON_NONE;
	s->direct = 1;
	s->begun = 0;
	s->req = x->req_body;
	sl_maps_request_head_set(w->maps, f->slot, f->req.data, f->req.end);
}

/*
 * Before the first byte of the request is written: makes the exchange one of BPF's, whose request
 * is ours to relay. REQ_DONE follows when it is written (handover_finish()). Not for a co-located
 * client: its next request would find the exchange unfinished whenever server and client are
 * quicker than we are to set that mark, and be ours again, and so on for ever. Relayed, its session
 * is given back before it can read the answer.
 */
bool direct_begin(struct worker *w, struct front *f)
{
	struct exchange *x = &f->x;
	struct back *b = f->back;

	if (!b || x->kernel || (session_bits(f) & SL_S_CLIENT) || x->connecting ||
	    x->resp != SIDE_HEAD || f->req.pos || f->req.end > SL_KERNEL_HEAD_MAX ||
	    !session_is_clear(f) || !answer_is_plain(w, f) || !lane_is_steered(b) ||
	    (SL_READ(w->maps->control->flags) & SL_C_BYPASS) || !door_front(w, f))
		return false;
	describe(w, f, b);
	if (!lane_move(b, SL_LANE_USER, SL_LANE_KERNEL))
		return false;
	x->kernel = true;
	x->resp = SIDE_KERNEL;
	x->counted = true; /* by BPF, unless the answer becomes ours */
	f->owned = false;
	/* ABORTED: of an exchange before this one, on a session that was never idle since. */
	session_change(f, SL_S_EXCHANGE | SL_S_REQ_USER,
		       SL_S_USER | SL_S_ABORTED | SL_S_EXCHANGE_BITS);
	return false;
}
