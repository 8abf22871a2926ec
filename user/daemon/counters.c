/* SPDX-License-Identifier: GPL-2.0-only */
/* What the user path counts: why a request is here, and how its exchange ended. */
#include <sys/socket.h>
#include "internal.h"

static __u32 reason_of(struct worker *w, struct front *f, const struct sl_head *h,
		       enum sl_parse parse)
{
	const struct sl_decision *d = &f->s->decision;
	__u32 reason;

	if (f->decided && d->reason == SL_REASON_NO_IDLE_LANE && d->endpoint < SL_MAX_ENDPOINTS &&
	    w->maps->endpoints[d->endpoint].family == AF_UNIX)
		return SL_REASON_PIPE_ENDPOINT; /* lane_claim() gives none of its lanes */
	if (f->decided)
		return d->reason;
	if (SL_READ(w->maps->control->flags) & SL_C_BYPASS)
		return SL_REASON_KERNEL_PATH_OFF;
	if (f->slot == NO_SLOT)
		return f->one_shot ? SL_REASON_CLIENT_ONE_SHOT : SL_REASON_SESSIONS_FULL;
	if (!(session_bits(f) & SL_S_CLIENT))
		return SL_REASON_REMOTE_CLIENT;
	if (f->pipelined)
		return SL_REASON_PIPELINED;
	reason = parse == SL_PARSE_DONE ? sl_kernel_reason(h) : sl_parse_reason(parse);
	/* Nothing is wrong with it: it came while the session was still ours. BPF itself tells
	 * of heads that come in pieces. */
	return reason ? reason : SL_REASON_DRAINING_BYTES;
}

/* A request's head is read: counts why it took the user path. Its first byte is at in.pos. */
void count_reason(struct worker *w, struct front *f, const struct sl_head *h, enum sl_parse parse)
{
	__u32 at = SL_READ(f->s->front_rx) - (f->in.end - f->in.pos), reason;

	f->decided = f->slot != NO_SLOT && f->s->decision.at == at && f->s->decision.reason;
	reason = reason_of(w, f, h, parse);
	sl_add(&w->maps->reasons[reason < SL_N_REASONS ? reason : SL_REASON_INTERNAL], 1);
	f->x.reasoned = true;
	/* A decision is for one request. */
	if (f->decided)
		f->s->decision.reason = SL_REASON_NONE;
}

static __u32 handed_over(const struct front *f)
{
	__u32 reason = f->s->handover;

	if (f->x.kernel && reason && reason < SL_N_REASONS)
		return reason;
	if (f->x.mid_body)
		return SL_REASON_READER_SLOW;
	return f->x.seized ? SL_REASON_LANE_LOST : SL_REASON_DOOR_OFF;
}

void generation_begin(struct worker *w, __u32 generation)
{
	for (__u32 i = 0; i < SL_STAT_SHARDS; i++)
		w->maps->generations[sl_generation_key(generation, i)] =
			(struct sl_generation){.generation = generation};
}

/* The generation that decided @f's exchange: BPF, we, or nobody (a head that is none). */
static __u32 generation_of(const struct worker *w, const struct front *f)
{
	if (f->x.generation)
		return f->x.generation;
	return f->x.kernel ? f->s->generation : w->table->generation;
}

/*
 * The last byte of the exchange's answer is decided; @status 0: there is none. Before the client
 * can see it, so that it finds its own requests counted.
 */
void count_exchange(struct worker *w, struct front *f, __u32 status)
{
	struct exchange *x = &f->x;
	__u64 ns = clock_ns() - x->start_ns;

	x->counted = true;
	if (x->route < w->maps->max_routes)
		sl_stats_count(&w->maps->route_stats[sl_stats_key(x->route, 0)], status, ns);
	if (x->cluster < SL_MAX_CLUSTERS)
		sl_stats_count(&w->maps->cluster_stats[sl_stats_key(x->cluster, 0)], status, ns);
	sl_add(&w->maps->generations[sl_generation_key(generation_of(w, f), 0)].exchanges, 1);
	/* A request that BPF took and we ended has not been given its reason yet. */
	if (!x->reasoned && !f->s->direct)
		sl_add(&w->maps->reasons[handed_over(f)], 1);
	x->reasoned = true;
}

void count_direct(struct worker *w, const struct front *f)
{
	if (!f->s->direct)
		return;
	if (f->x.route < w->maps->max_routes)
		sl_add(&w->maps->route_stats[sl_stats_key(f->x.route, 0)].direct, 1);
	if (f->x.cluster < SL_MAX_CLUSTERS)
		sl_add(&w->maps->cluster_stats[sl_stats_key(f->x.cluster, 0)].direct, 1);
}
