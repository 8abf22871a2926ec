/* SPDX-License-Identifier: GPL-2.0-only */
/* Where a request of the user path goes: the same core and the same tables as in the kernel. */
#include "internal.h"

/* The next endpoint in turn that takes new requests; NO_INDEX: the cluster has none. */
__u32 route_endpoint(struct worker *w, __u32 cluster)
{
	struct sl_cluster *c = &w->maps->clusters[cluster];
	__u64 range = sl_cluster_range(c);
	__u32 n = range >> 32;

	for (__u32 i = 0; i < n; i++) {
		__u32 turn = n > 1 ? sl_fetch_add(&c->next_endpoint, 1) % n : 0;
		__u32 e = (__u32)range + turn;

		if (e < SL_MAX_ENDPOINTS && !(w->maps->endpoints[e].flags & SL_ENDPOINT_DRAINING))
			return e;
	}
	return NO_INDEX;
}

/*
 * The cluster of a split: of the user's cohort (@hash), or (NULL) the one that the next point of
 * its sequence falls into; NO_INDEX: none.
 */
static __u32 split_cluster(struct worker *w, __u32 id, const __u64 *hash)
{
	struct sl_split split;
	__u32 target;

	if (id >= SL_MAX_SPLITS || sl_maps_split_get(w->maps, id, &split))
		return NO_INDEX;
	if (hash)
		target = sticky_target(w, &split, *hash);
	else
		target = sl_pick(&split, sl_fetch_add(&w->maps->sequences[id].n, 1));
	if (target >= SL_MAX_SPLIT_TARGETS)
		return NO_INDEX;
	return split.targets[target].cluster;
}

/*
 * What BPF decided about this very request before it passed it on: its place in the split's
 * sequence is taken, so it must not be picked again.
 */
static bool decided(struct worker *w, struct front *f)
{
	const struct sl_decision *d = &f->s->decision;

	if (!f->decided || !d->routed || f->s->generation != w->table->generation ||
	    d->route >= SL_MAX_ROUTES || d->cluster >= SL_MAX_CLUSTERS ||
	    d->endpoint >= SL_MAX_ENDPOINTS)
		return false;
	f->x.route = d->route;
	f->x.cluster = d->cluster;
	f->x.endpoint = d->endpoint;
	if (w->maps->endpoints[d->endpoint].flags & SL_ENDPOINT_DRAINING)
		f->x.endpoint = route_endpoint(w, d->cluster);
	return true;
}

__u32 route_request(struct worker *w, struct front *f, struct sl_head *h, const __u8 *buf)
{
	const struct sl_route *route;
	struct exchange *x = &f->x;
	__u32 index, cluster;
	bool hashed;
	__u64 hash;

	x->generation = w->table->generation;
	if (decided(w, f))
		return x->endpoint == NO_INDEX ? 503 : 0;
	index = sl_match(w->table, h, buf);
	if (index >= SL_MAX_ROUTES)
		return 404;
	x->route = index;
	route = &w->table->routes[index];
	if (route->action == SL_ACTION_DIRECT)
		return index < w->args->compiled->table->n_routes ? 0 : 500;
	hashed = sticky_hash(w, f, route, h, buf, &hash);
	cluster = route->target;
	if (route->action == SL_ACTION_SPLIT)
		cluster = split_cluster(w, route->target,
					hashed && (route->flags & SL_ROUTE_STICKY) ? &hash : NULL);
	if (cluster >= SL_MAX_CLUSTERS)
		return 503;
	x->cluster = cluster;
	x->endpoint = route_endpoint(w, cluster);
	return x->endpoint == NO_INDEX ? 503 : 0;
}
