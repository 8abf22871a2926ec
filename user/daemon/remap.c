/* SPDX-License-Identifier: GPL-2.0-only */
/* The numbers of a new config: those of the running one where the names are the same. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "place.h"
#include "reload.h"
#include "util/names.h"

#define NO_NUMBER (~0U)

struct remap {
	struct sl_compiled *c;
	const struct sl_maps *m;
	struct sl_cluster *clusters;
	struct sl_cluster_limits *limits;
	struct sl_cluster_lb *lbs;
	struct sl_host_config *hosts;
	struct sl_endpoint *endpoints;
	struct places places;
	__u32 *at;	   /* [SL_MAX_ENDPOINTS], scratch: slots of a cluster's endpoints */
	__u32 *cluster_to; /* [c->table->n_clusters]: new number */
	bool *named;	   /* [SL_MAX_CLUSTERS]: by a running split; NULL: not looked at yet */
	__u32 n_clusters;
	__u32 n_endpoints;
	char *why;
};

/*
 * The number of the cluster of this name, which runs or is gone; NO_NUMBER: there is none. By
 * name_hash, that of names which are cut alike, too.
 */
static __u32 known_number(const struct remap *r, const struct sl_cluster *c)
{
	for (__u32 i = 0; i < r->m->table->n_clusters; i++)
		if (r->m->clusters[i].name_hash == c->name_hash &&
		    !memcmp(r->m->clusters[i].name, c->name, SL_NAME_MAX))
			return i;
	return NO_NUMBER;
}

/* Weights that were written by hand may give something to whatever number. */
static int find_named(struct remap *r)
{
	struct sl_route_info info;
	struct sl_split split;

	r->named = calloc(SL_MAX_CLUSTERS, sizeof(*r->named));
	if (!r->named)
		return -ENOMEM;
	for (__u32 i = 0; i < r->m->table->n_routes; i++) {
		if (sl_maps_route_get(r->m, i, &info) || info.action != SL_ACTION_SPLIT ||
		    sl_maps_split_get(r->m, info.target, &split))
			continue;
		for (__u32 k = 0; k < split.n_targets && k < SL_MAX_SPLIT_TARGETS; k++)
			if (split.targets[k].cluster < SL_MAX_CLUSTERS)
				r->named[split.targets[k].cluster] = true;
	}
	return 0;
}

/* One that no cluster has had yet, or else the one that has been free for longest. */
static int free_number(struct remap *r, __u32 *ret)
{
	__u32 best = NO_NUMBER;

	if (r->n_clusters < SL_MAX_CLUSTERS) {
		*ret = r->n_clusters++;
		return 0;
	}
	if (!r->named && find_named(r))
		return -ENOMEM;
	for (__u32 i = 0; i < SL_MAX_CLUSTERS; i++) {
		__u32 gone = r->clusters[i].gone;

		if (gone && gone != SL_CLUSTER_GONE && !r->named[i] &&
		    (best == NO_NUMBER || gone < r->clusters[best].gone))
			best = i;
	}
	if (best == NO_NUMBER) {
		snprintf(r->why, 256,
			 "too many clusters, old and new, at a time: there are %d numbers, and "
			 "those that are gone give theirs back seconds after their last request",
			 SL_MAX_CLUSTERS);
		return -SL_RELOAD_NEEDS_RESTART;
	}
	r->clusters[best].gone = 0;
	*ret = best;
	return 0;
}

/* Of all clusters; nobody gets the number of one that comes back. */
static int number_clusters(struct remap *r)
{
	const struct sl_cluster *all = r->c->clusters;
	__u32 n = r->c->table->n_clusters;
	int err = 0;

	for (__u32 i = 0; i < n; i++) {
		/* What runs has those that are gone, too, where they were. */
		r->cluster_to[i] = all[i].gone ? i : known_number(r, &all[i]);
		if (!all[i].gone && r->cluster_to[i] != NO_NUMBER)
			r->clusters[r->cluster_to[i]].gone = 0;
	}
	for (__u32 i = 0; i < n && !err; i++)
		if (r->cluster_to[i] == NO_NUMBER)
			err = free_number(r, &r->cluster_to[i]);
	return err;
}

static int place_endpoints(struct remap *r, struct sl_cluster *c, __u32 to)
{
	const struct sl_endpoint *want = &r->c->endpoints[c->first_endpoint];
	bool known = to < r->m->table->n_clusters;

	if (places_find(&r->places, known ? to : SL_NO_ENDPOINT, want, c->n_endpoints, r->at)) {
		snprintf(r->why, 256, "too many endpoints, old and new, at a time");
		return -SL_RELOAD_NEEDS_RESTART;
	}
	for (__u32 k = 0; k < c->n_endpoints; k++) {
		struct sl_endpoint *e = &r->endpoints[r->at[k]];

		*e = want[k];
		e->cluster = to;
		e->next = k + 1 < c->n_endpoints ? r->at[k + 1] + 1 : 0;
		r->hosts[r->at[k]] = r->c->hosts[c->first_endpoint + k];
		if (r->at[k] >= r->n_endpoints)
			r->n_endpoints = r->at[k] + 1;
	}
	if (c->n_endpoints)
		c->first_endpoint = r->at[0];
	return 0;
}

static int place_cluster(struct remap *r, __u32 i)
{
	struct sl_cluster *c = &r->c->clusters[i];
	__u32 to = r->cluster_to[i];
	int err;

	if (c->gone)
		return 0;
	err = place_endpoints(r, c, to);
	if (err)
		return err;
	r->clusters[to] = *c;
	r->limits[to] = r->c->cluster_limits[i];
	r->lbs[to] = r->c->cluster_lbs[i];
	return 0;
}

/* Numbers that no cluster has any more stay, without endpoints. */
static void keep_running(struct remap *r)
{
	const struct sl_table *t = r->m->table;

	for (__u32 i = 0; i < t->n_clusters; i++) {
		r->clusters[i] = r->m->clusters[i];
		r->clusters[i].first_endpoint = r->clusters[i].n_endpoints = 0;
		if (!r->clusters[i].gone)
			r->clusters[i].gone = SL_CLUSTER_GONE;
		r->limits[i] = sl_cluster_defaults;
		r->lbs[i] = sl_cluster_lb_defaults;
	}
	r->n_clusters = t->n_clusters;
	r->n_endpoints = r->m->control->n_endpoints;
	for (__u32 i = 0; i < r->n_endpoints; i++) {
		r->endpoints[i] = r->m->endpoints[i];
		r->endpoints[i].flags |= SL_ENDPOINT_DRAINING;
	}
}

/* ---- splits ---- */

struct splits {
	struct sl_route_info *infos; /* of the running routes */
	struct sl_names *by_name;    /* route with a split -> its info */
	struct sl_split *all;	     /* by their new numbers */
	bool used[SL_MAX_SPLITS];    /* numbers of running splits are given to no other */
	__u32 next;		     /* below it none is free */
	__u32 top;
};

static bool same_clusters(const struct sl_split *a, const struct sl_split *b)
{
	if (a->n_targets != b->n_targets)
		return false;
	for (__u32 i = 0; i < a->n_targets && i < SL_MAX_SPLIT_TARGETS; i++)
		if (a->targets[i].cluster != b->targets[i].cluster)
			return false;
	return true;
}

static int read_running(const struct remap *r, struct splits *s)
{
	__u32 n =
		r->m->table->n_routes < r->m->max_routes ? r->m->table->n_routes : r->m->max_routes;

	s->infos = calloc(n + 1, sizeof(*s->infos));
	s->all = calloc(SL_MAX_SPLITS, sizeof(*s->all));
	s->by_name = sl_names_new();
	if (!s->infos || !s->all || !s->by_name)
		return -ENOMEM;
	for (__u32 i = 0; i < n; i++) {
		struct sl_route_info *info = &s->infos[i];

		if (sl_maps_route_get(r->m, i, info) || info->action != SL_ACTION_SPLIT ||
		    info->target >= SL_MAX_SPLITS)
			continue;
		info->name[SL_NAME_MAX - 1] = 0;
		s->used[info->target] = true;
		if (!sl_names_add(s->by_name, info->name, info))
			return -ENOMEM;
	}
	return 0;
}

/* The running split of the route @name over the same clusters, else one that nobody has. */
static __u32 split_number(const struct remap *r, struct splits *s, const char *name,
			  const struct sl_split *split)
{
	const struct sl_route_info *info = sl_names_get(s->by_name, name);
	struct sl_split live;

	if (info && !sl_maps_split_get(r->m, info->target, &live) && same_clusters(&live, split))
		return info->target;
	while (s->next < SL_MAX_SPLITS && s->used[s->next])
		s->next++;
	return s->next;
}

static int place_split(const struct remap *r, struct splits *s, struct sl_route *route,
		       struct sl_route_info *info)
{
	struct sl_split *split = &r->c->splits[route->target];
	__u32 id;

	for (__u32 k = 0; k < split->n_targets; k++)
		split->targets[k].cluster = r->cluster_to[split->targets[k].cluster];
	id = split_number(r, s, info->name, split);
	if (id == SL_MAX_SPLITS) {
		snprintf(r->why, 256, "too many splits, old and new, at a time");
		return -SL_RELOAD_NEEDS_RESTART;
	}
	s->used[id] = true;
	s->all[id] = *split;
	info->target = route->target = id;
	s->top = id >= s->top ? id + 1 : s->top;
	return 0;
}

static int place_targets(struct remap *r)
{
	struct splits *s = calloc(1, sizeof(*s));
	struct sl_table *t = r->c->table;
	int err;

	if (!s)
		return -ENOMEM;
	err = read_running(r, s);
	for (__u32 i = 0; i < t->n_routes && !err; i++) {
		struct sl_route *route = &t->routes[i];
		struct sl_route_info *info = &r->c->route_infos[i];

		if (route->action == SL_ACTION_CLUSTER)
			info->target = route->target = r->cluster_to[route->target];
		else if (route->action == SL_ACTION_SPLIT)
			err = place_split(r, s, route, info);
	}
	if (!err) {
		free(r->c->splits);
		r->c->splits = s->all;
		s->all = NULL;
		t->n_splits = s->top;
	}
	sl_names_free(s->by_name);
	free(s->infos);
	free(s->all);
	free(s);
	return err;
}

int sl_remap(struct sl_compiled *c, const struct sl_maps *m, char ret_why[256])
{
	struct remap r = {.c = c, .m = m, .why = ret_why};
	int err = -ENOMEM;

	if (c->table->n_routes > m->max_routes) {
		snprintf(ret_why, 256,
			 "%u routes; there is room for %u since the start: that needs a restart",
			 c->table->n_routes, m->max_routes);
		return -SL_RELOAD_NEEDS_RESTART;
	}
	r.clusters = calloc(SL_MAX_CLUSTERS, sizeof(*r.clusters));
	r.limits = calloc(SL_MAX_CLUSTERS, sizeof(*r.limits));
	r.lbs = calloc(SL_MAX_CLUSTERS, sizeof(*r.lbs));
	r.endpoints = calloc(SL_MAX_ENDPOINTS, sizeof(*r.endpoints));
	r.hosts = calloc(SL_MAX_ENDPOINTS, sizeof(*r.hosts));
	r.at = calloc(SL_MAX_ENDPOINTS, sizeof(*r.at));
	r.places.live = m->endpoints;
	r.places.taken = calloc(SL_MAX_ENDPOINTS, 1);
	r.cluster_to = calloc(c->table->n_clusters + 1, sizeof(*r.cluster_to));
	if (!r.clusters || !r.limits || !r.lbs || !r.hosts || !r.endpoints || !r.at ||
	    !r.places.taken || !r.cluster_to)
		goto out;
	keep_running(&r);
	err = number_clusters(&r);
	for (__u32 i = 0; i < c->table->n_clusters && !err; i++)
		err = place_cluster(&r, i);
	if (!err)
		err = place_targets(&r);
	if (!err)
		err = sl_actions_renumber(c->actions, r.cluster_to, r.n_clusters);
	if (err)
		goto out;
	for (__u32 i = 0; i < c->n_members; i++)
		c->members[i].cluster = r.cluster_to[c->members[i].cluster];
	free(c->clusters);
	free(c->cluster_limits);
	free(c->cluster_lbs);
	free(c->endpoints);
	free(c->hosts);
	c->clusters = r.clusters;
	c->cluster_limits = r.limits;
	c->cluster_lbs = r.lbs;
	c->endpoints = r.endpoints;
	c->hosts = r.hosts;
	c->table->n_clusters = r.n_clusters;
	c->table->n_endpoints = r.n_endpoints;
	r.clusters = NULL;
	r.limits = NULL;
	r.lbs = NULL;
	r.endpoints = NULL;
	r.hosts = NULL;
out:
	free(r.clusters);
	free(r.limits);
	free(r.lbs);
	free(r.endpoints);
	free(r.hosts);
	free(r.at);
	free(r.places.taken);
	free(r.cluster_to);
	free(r.named);
	return err;
}
