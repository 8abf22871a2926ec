/* SPDX-License-Identifier: GPL-2.0-only */
/* Where a request of the user path goes: the same core and the same tables as in the kernel. */
#include <string.h>
#include "mutate.h"
#include "config/by_name.h"
#include "config/internal_address.h"

#define OTHER_TRIES 8 /* choices made to find another endpoint than the one that failed */

static const __u64 *hash_of(const struct front *f)
{
	return f->x.hashed ? &f->x.hash : NULL;
}

__u32 route_other(struct worker *w, struct front *f)
{
	return route_but(w, f, &f->x.endpoint, 1, OTHER_TRIES);
}

__u32 route_but(struct worker *w, struct front *f, const __u32 * not, __u32 n, __u32 tries)
{
	return balance_other(w, f->x.cluster, hash_of(f), not, n, tries);
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
	balance_alive(w, &split);
	if (hash)
		target = sticky_target(w, &split, *hash);
	else
		target = sl_pick(&split, sl_fetch_add(&w->maps->sequences[id].n, 1));
	if (target >= SL_MAX_SPLIT_TARGETS)
		return NO_INDEX;
	return split.targets[target].cluster;
}

__u32 route_named(struct worker *w, const char *header, const struct sl_head *h, const __u8 *buf)
{
	return sl_cluster_by_header(w->args->compiled->actions, header, h, buf);
}

/* By weighted_clusters.header_name; NO_INDEX: the request does not say. */
static __u32 agreed_cluster(struct worker *w, __u32 id, const char *header, const struct sl_head *h,
			    const __u8 *buf)
{
	struct sl_split split;
	__u32 target;

	if (id >= SL_MAX_SPLITS || sl_maps_split_get(w->maps, id, &split))
		return NO_INDEX;
	balance_alive(w, &split);
	target = sl_target_by_header(&split, header, h, buf);
	return target < SL_MAX_SPLIT_TARGETS ? split.targets[target].cluster : NO_INDEX;
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
	    d->endpoint >= SL_MAX_ENDPOINTS ||
	    w->maps->endpoints[d->endpoint].cluster != d->cluster)
		return false;
	f->x.route = d->route;
	f->x.cluster = f->x.picked = d->cluster;
	f->x.endpoint = d->endpoint;
	f->x.hashed = f->s->hash.found;
	f->x.hash = f->s->hash.value;
	if (SL_READ(w->maps->endpoints[d->endpoint].flags) & SL_ENDPOINT_CLOSED)
		f->x.endpoint = balance_pick(w, d->cluster, hash_of(f));
	return true;
}

/* BPF's random number for this request, if it got so far; another. Never 0. */
static __u64 draw_of(struct worker *w, const struct front *f)
{
	if (f->decided && f->s->decision.draw)
		return f->s->decision.draw;
	/* splitmix64 */
	w->random += 0x9e3779b97f4a7c15ULL;
	return (((w->random ^ w->random >> 30) * 0xbf58476d1ce4e5b9ULL) >> 16) | 1ULL << 32;
}

bool client_is_internal(const struct front *f, const struct sl_config_action *config,
			const struct sl_head *h, const __u8 *buf)
{
	struct address peer = address_of(f->io.fd, true);

	return sl_request_is_internal(&config->forwarded, h, buf, peer.family, peer.addr);
}

/* Whether the client is internal, if a route asks. */
static void note_internal(struct worker *w, const struct front *f, const struct sl_head *h,
			  const __u8 *buf)
{
	const struct sl_config_action *config = config_action_of(w, f);

	if (config && sl_matcher_asks_internal(w->matcher))
		sl_matcher_internal(w->matcher, client_is_internal(f, config, h, buf));
}

/*
 * cluster_header names no cluster, or is not there. Envoy's proto says 404; its code takes the name
 * for an empty one (HeaderClusterSpecifierPlugin::route), finds no such cluster and answers
 * cluster_not_found_response_code, 503 by default, without a body (Filter::decodeHeaders).
 */
static __u32 not_found(struct front *f, const struct sl_route_action *action)
{
	f->x.why = "";
	return action->not_found;
}

/* The header that names the cluster which @cluster of the split stands for; NULL: none does. */
static const char *header_of_target(const struct sl_route_action *action, __u32 cluster)
{
	for (__u32 i = 0; i < action->n_targets; i++)
		if (action->targets[i].cluster == cluster)
			return action->targets[i].cluster_header;
	return NULL;
}

__u32 route_request(struct worker *w, struct front *f, struct sl_head *h, const __u8 *buf)
{
	const struct sl_route_action *action;
	const struct sl_route *route;
	struct exchange *x = &f->x;
	__u32 index, cluster;
	const char *header;

	x->generation = w->table->generation;
	if (decided(w, f)) {
		x->limits = *limits_of_route(w, x->route);
		return x->endpoint == NO_INDEX ? 503 : 0;
	}
	note_internal(w, f, h, buf);
	index = sl_matcher_find(w->matcher, f->s->listener, h, buf, draw_of(w, f));
	if (index >= SL_MAX_ROUTES)
		return 404;
	x->route = index;
	x->limits = *limits_of_route(w, index);
	route = &w->table->routes[index];
	action = action_of(w, f);
	if (action && action->cluster_header) {
		x->cluster = route_named(w, action->cluster_header, h, buf);
		if (x->cluster == NO_INDEX)
			return not_found(f, action);
		x->hashed = sticky_hash(w, f, route, h, buf, &x->hash);
		x->endpoint = balance_pick(w, x->cluster, hash_of(f));
		return x->endpoint == NO_INDEX ? 503 : 0;
	}
	if (route->action == SL_ACTION_DIRECT)
		return index < w->args->compiled->table->n_routes ? 0 : 500;
	x->hashed = sticky_hash(w, f, route, h, buf, &x->hash);
	cluster = route->target;
	if (route->action == SL_ACTION_SPLIT) {
		cluster = NO_INDEX;
		if (action && action->split_header)
			cluster = agreed_cluster(w, route->target, action->split_header, h, buf);
		if (cluster == NO_INDEX)
			cluster = split_cluster(w, route->target,
						route->flags & SL_ROUTE_STICKY ? hash_of(f) : NULL);
	}
	if (cluster >= SL_MAX_CLUSTERS)
		return 503;
	x->picked = cluster;
	header = action ? header_of_target(action, cluster) : NULL;
	if (header)
		cluster = route_named(w, header, h, buf);
	if (cluster == NO_INDEX)
		return not_found(f, action);
	x->cluster = cluster;
	x->endpoint = balance_pick(w, cluster, hash_of(f));
	return x->endpoint == NO_INDEX ? 503 : 0;
}
