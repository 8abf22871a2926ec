/* SPDX-License-Identifier: GPL-2.0-only */
/* The choice of an endpoint within a cluster, see include/sl_lb.h; and of a split's cluster. */
#ifndef SL_BALANCE_BPF_H
#define SL_BALANCE_BPF_H

#include "maps.bpf.h"
#include "sl_lb.h"
#include "sl_pick.h"

SL_FN const struct sl_lb_slot *sl_lb_slot_at(__u32 at)
{
	return bpf_map_lookup_elem(&lb_slots, &at);
}

SL_FN const struct sl_endpoint *sl_lb_endpoint_at(__u32 at)
{
	return bpf_map_lookup_elem(&endpoints, &at);
}

/*
 * An endpoint of @cluster for a request, of whose user @hash tells if @hashed. SL_NO_ENDPOINT:
 * none, or the view has been replaced while we looked.
 */
__noinline __u32 cluster_pick(__u32 cluster, __u64 hash, __u32 hashed)
{
	struct sl_cluster *c = bpf_map_lookup_elem(&clusters, &cluster);
	struct sl_lb_request r = {};
	const struct sl_endpoint *e;
	__u32 endpoint, policy;
	__u64 view;

	if (!c)
		return SL_NO_ENDPOINT;
	view = SL_READ(c->view);
	policy = SL_VIEW_POLICY(view);
	endpoint = SL_VIEW_ROOT(view) & SL_REF_INDEX;
	if ((SL_VIEW_ROOT(view) & SL_REF_KIND) != SL_REF_ENDPOINT) {
		if (policy == SL_LB_ROUND_ROBIN)
			r.turn = sl_fetch_add(&c->turn, 1);
		else
			r.random = (__u64)bpf_get_prandom_u32() << 32 | bpf_get_prandom_u32();
		r.hash = hashed ? hash : r.random;
		endpoint = sl_lb_pick(view, &r);
	}
	e = sl_lb_endpoint_at(endpoint);
	return e && e->cluster == cluster ? endpoint : SL_NO_ENDPOINT;
}

struct down_walk {
	struct sl_split *split;
	__u32 down;  /* bit i: target i has no healthy endpoint */
	__u32 alive; /* 1: one that has, has a weight */
};

static long down_step(__u32 i, void *arg)
{
	struct down_walk *w = arg;
	const struct sl_split_target *t = &w->split->targets[i & (SL_MAX_SPLIT_TARGETS - 1)];
	__u32 cluster = t->cluster;
	struct sl_cluster *c = bpf_map_lookup_elem(&clusters, &cluster);

	if (i >= w->split->n_targets)
		return 1;
	if (c && (SL_READ(c->flags) & SL_CLUSTER_DOWN))
		w->down |= 1U << (i & 31);
	else if (t->weight)
		w->alive = 1;
	return 0;
}

/*
 * sl_pick() of split @id without the clusters that are down, unless all are. Not in the way of the
 * others: the caller's stack has no room for more.
 */
__noinline __u32 split_pick_alive(__u32 id, __u64 n)
{
	struct down_walk w = {.split = bpf_map_lookup_elem(&splits, &id)};

	if (!w.split)
		return SL_NO_TARGET;
	bpf_loop(SL_MAX_SPLIT_TARGETS, down_step, &w, 0);
	return sl_pick_without(w.split, n, w.alive ? w.down : 0);
}

#endif /* SL_BALANCE_BPF_H */
