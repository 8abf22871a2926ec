/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Choice of an endpoint within a cluster. The daemon knows who is healthy, how much each weighs and
 * which priority has how much of the load, and makes of it a view: a tree of slots. Where
 * the view begins stands in one word, sl_cluster.view: the choice after the daemon has written it
 * is made by the new one. The slots of a view are not changed while it is the cluster's, nor for a
 * while after; whoever was held up for longer sees by sl_endpoint.cluster that an endpoint is not
 * the cluster's, and takes the user path.
 *
 * A view's root and branches are references: to an endpoint, to a node or to a table of hashes.
 * A node shares requests between two references by weight: its w[] is the left one's weight,
 * the sum of both, the left reference, the right one. Nodes at the top that share between
 * priorities (SL_REF_PRIORITY) are above those that share between endpoints.
 */
#ifndef SL_LB_H
#define SL_LB_H

#include "sl_pick.h"
#include "sl_cohort.h"

/* A reference: what it is, and the index of the endpoint or of the (first) slot. 0: nothing. */
#define SL_REF_KIND 0xe0000000U
#define SL_REF_ENDPOINT 0x20000000U
#define SL_REF_NODE 0x40000000U
#define SL_REF_PRIORITY 0x60000000U /* a node between priorities */
#define SL_REF_RING 0x80000000U	    /* slot of n; behind it n pairs of hash and endpoint, sorted */
#define SL_REF_MAGLEV 0xa0000000U   /* slot of n; behind it n endpoints */
#define SL_REF_INDEX 0x1fffffffU

struct sl_lb_slot {
	__u32 w[4];
};

enum sl_lb_policy {
	SL_LB_ROUND_ROBIN,
	SL_LB_RANDOM,
	SL_LB_LEAST_REQUEST,
	SL_LB_RING_HASH,
	SL_LB_MAGLEV,
	SL_N_LB_POLICIES,
};

/* sl_cluster.view */
#define SL_VIEW(root, policy, choices) \
	((__u64)(choices) << 40 | (__u64)(policy) << 32 | (__u32)(root))
#define SL_VIEW_ROOT(view) ((__u32)(view))
#define SL_VIEW_POLICY(view) ((__u32)((view) >> 32) & 0xff)
#define SL_VIEW_CHOICES(view) ((__u32)((view) >> 40) & 0xff)

#define SL_LB_DEPTH 24	     /* nodes from the root to an endpoint, at most */
#define SL_LB_CHOICES_MAX 32 /* least request: endpoints compared for one request */
#define SL_LB_RING_STEPS 20  /* of a binary search */

_Static_assert(SL_LB_SLOTS <= SL_REF_INDEX && SL_MAX_ENDPOINTS <= SL_REF_INDEX, "fit");

/* A choice under way. */
struct sl_lb_walk {
#ifndef __bpf__
	const struct sl_lb_slot *slots;	     /* [SL_LB_SLOTS] */
	const struct sl_endpoint *endpoints; /* [SL_MAX_ENDPOINTS] */
#endif
	__u64 n;	/* RANDOM: state of the generator; else the request's number at this node */
	__u32 ref;	/* where it stands */
	__u32 kind;	/* of the nodes to go through; 0: of any */
	__u32 sequence; /* 1: shared in turn; 0: by chance */
	__u32 low;	/* search in a ring: the answer is in low..high */
	__u32 high;
	__u32 first; /* slot of entry 0 of the table */
};

#ifdef __bpf__
/* Each program defines them. NULL: out of range. */
SL_FN const struct sl_lb_slot *sl_lb_slot_at(__u32 at);
SL_FN const struct sl_endpoint *sl_lb_endpoint_at(__u32 at);
#define sl_lb_slot_of(walk, at) sl_lb_slot_at(at)
#define sl_lb_endpoint_of(walk, at) sl_lb_endpoint_at(at)
#else
#define sl_lb_slot_of(walk, at) ((at) < SL_LB_SLOTS ? &(walk)->slots[at] : NULL)
#define sl_lb_endpoint_of(walk, at) ((at) < SL_MAX_ENDPOINTS ? &(walk)->endpoints[at] : NULL)
#endif

/* One node down. */
static long sl_lb_step(SL_UNUSED __u32 i, void *data)
{
	struct sl_lb_walk *w = data;
	const struct sl_lb_slot *s;
	__u32 kind = w->ref & SL_REF_KIND;
	bool left;

	if ((kind != SL_REF_NODE && kind != SL_REF_PRIORITY) || (w->kind && kind != w->kind))
		return 1;
	s = sl_lb_slot_of(w, w->ref & SL_REF_INDEX);
	if (!s || !s->w[1]) {
		w->ref = 0;
		return 1;
	}
	if (w->sequence) {
		left = sl_share(&w->n, s->w[0], s->w[1]);
	} else {
		w->n += 0x9E3779B97F4A7C15ULL;
		left = (sl_mix(w->n) >> 32) * s->w[1] >> 32 < s->w[0];
	}
	w->ref = left ? s->w[2] : s->w[3];
	return 0;
}

/* Half of what is left of a ring: the first entry whose hash is not below the request's. */
static long sl_lb_ring_step(SL_UNUSED __u32 i, void *data)
{
	struct sl_lb_walk *w = data;
	__u32 middle = w->low + ((w->high - w->low) >> 1);
	const struct sl_lb_slot *s;

	if (w->low >= w->high)
		return 1;
	s = sl_lb_slot_of(w, w->first + (middle >> 1));
	if (!s)
		return 1;
	if (s->w[(middle & 1) * 2] < w->n >> 32)
		w->low = middle + 1;
	else
		w->high = middle;
	return 0;
}

/* The endpoint that the table at @ref has for @hash. */
SL_FN __u32 sl_lb_hashed(struct sl_lb_walk *w, __u32 ref, __u64 hash)
{
	const struct sl_lb_slot *s = sl_lb_slot_of(w, ref & SL_REF_INDEX);
	__u32 n, at;

	if (!s || !s->w[0])
		return SL_NO_ENDPOINT;
	n = s->w[0];
	w->first = (ref & SL_REF_INDEX) + 1;
	if ((ref & SL_REF_KIND) == SL_REF_MAGLEV) {
		at = hash % n;
		s = sl_lb_slot_of(w, w->first + (at >> 2));
		return s ? s->w[at & 3] : SL_NO_ENDPOINT;
	}
	w->n = hash;
	w->low = 0;
	w->high = n;
	sl_loop(SL_LB_RING_STEPS, sl_lb_ring_step, w);
	at = w->low < n ? w->low : 0;
	s = sl_lb_slot_of(w, w->first + (at >> 1));
	return s ? s->w[(at & 1) * 2 + 1] : SL_NO_ENDPOINT;
}

SL_FN __u32 sl_lb_endpoint(__u32 ref)
{
	return (ref & SL_REF_KIND) == SL_REF_ENDPOINT ? ref & SL_REF_INDEX : SL_NO_ENDPOINT;
}

/* Least request: the best of those drawn so far. */
struct sl_lb_draw {
	struct sl_lb_walk walk;
	__u32 root;
	__u32 best; /* endpoint */
	__u32 busy; /* its requests under way, this one with them */
	__u32 weight;
};

static long sl_lb_draw_step(SL_UNUSED __u32 i, void *data)
{
	struct sl_lb_draw *d = data;
	const struct sl_endpoint *e;
	__u32 busy, weight;

	d->walk.ref = d->root;
	sl_loop(SL_LB_DEPTH, sl_lb_step, &d->walk);
	if ((d->walk.ref & SL_REF_KIND) != SL_REF_ENDPOINT)
		return 1;
	e = sl_lb_endpoint_of(&d->walk, d->walk.ref & SL_REF_INDEX);
	if (!e)
		return 1;
	busy = SL_READ(e->busy) + 1;
	weight = SL_READ(e->weight);
	if (d->best != SL_NO_ENDPOINT && (__u64)busy * d->weight >= (__u64)d->busy * weight)
		return 0;
	d->best = d->walk.ref & SL_REF_INDEX;
	d->busy = busy;
	d->weight = weight;
	return 0;
}

/* What a request brings to the choice. */
struct sl_lb_request {
#ifndef __bpf__
	const struct sl_lb_slot *slots;
	const struct sl_endpoint *endpoints;
#endif
	__u64 turn;   /* ROUND_ROBIN: its number in the cluster */
	__u64 random; /* the other policies: a random number */
	__u64 hash;   /* RING_HASH, MAGLEV: by the route's policies, or a random number */
};

SL_FN void sl_lb_begin(struct sl_lb_walk *w, const struct sl_lb_request *r)
{
#ifndef __bpf__
	w->slots = r->slots;
	w->endpoints = r->endpoints;
#endif
	w->n = r->random;
	w->kind = 0;
	w->sequence = 0;
}

/* The endpoint of request @r by @view; SL_NO_ENDPOINT: there is none. */
SL_FN __u32 sl_lb_pick(__u64 view, const struct sl_lb_request *r)
{
	__u32 policy = SL_VIEW_POLICY(view), root = SL_VIEW_ROOT(view);
	struct sl_lb_draw d = {};

	if ((root & SL_REF_KIND) == SL_REF_ENDPOINT)
		return root & SL_REF_INDEX;
	sl_lb_begin(&d.walk, r);
	d.walk.ref = root;
	if (policy == SL_LB_ROUND_ROBIN) {
		d.walk.n = r->turn;
		d.walk.sequence = 1;
	}
	/* Users of a hash stay where they are while the priorities' loads do. */
	if (policy >= SL_LB_RING_HASH)
		d.walk.n = r->hash;
	if (policy == SL_LB_LEAST_REQUEST)
		d.walk.kind = SL_REF_PRIORITY;
	sl_loop(SL_LB_DEPTH, sl_lb_step, &d.walk);
	if (policy >= SL_LB_RING_HASH && (d.walk.ref & SL_REF_KIND) >= SL_REF_RING)
		return sl_lb_hashed(&d.walk, d.walk.ref, r->hash);
	if (policy != SL_LB_LEAST_REQUEST)
		return sl_lb_endpoint(d.walk.ref);
	d.root = d.walk.ref;
	d.best = SL_NO_ENDPOINT;
	d.walk.kind = 0;
	sl_loop(SL_VIEW_CHOICES(view) < SL_LB_CHOICES_MAX ? SL_VIEW_CHOICES(view)
							  : SL_LB_CHOICES_MAX,
		sl_lb_draw_step, &d);
	return d.best;
}

#endif /* SL_LB_H */
