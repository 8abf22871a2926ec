/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A reload's last step: what the data path uses of the new config is written where nothing looks
 * yet; then one update of the map `tables` makes it the one that requests are matched with.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "config/config.h"
#include "daemon/listen.h"
#include "reload_parts.h"
#include "util/names.h"

static bool same_weights(const struct sl_split *a, const struct sl_split *b)
{
	if (a->n_targets != b->n_targets)
		return false;
	for (__u32 i = 0; i < a->n_targets; i++)
		if (a->targets[i].weight != b->targets[i].weight)
			return false;
	return true;
}

/* Routes of @c by name, as commands compare it. NULL: no memory. */
static struct sl_names *routes_by_name(const struct sl_compiled *c)
{
	struct sl_names *names = sl_names_new();

	for (__u32 i = 0; names && i < c->table->n_routes; i++) {
		if (sl_names_add(names, c->route_infos[i].name, &c->route_infos[i]))
			continue;
		sl_names_free(names);
		return NULL;
	}
	return names;
}

/* Whether the split of route @i, which was @was (NULL: was none), is one that requests use now. */
static bool is_running(const struct sl_compiled *c, __u32 i, const struct sl_route_info *was)
{
	return was && was->action == SL_ACTION_SPLIT && was->target == c->table->routes[i].target;
}

/*
 * Weights that were set by hand are kept unless the file has changed them since. @was: the route
 * of this name in the config before; NULL: there was none.
 */
static int split_apply(struct worker *w, const struct sl_compiled *c, __u32 route,
		       const struct sl_route_info *was, struct outcome *o)
{
	const char *name = c->route_infos[route].name;
	__u32 id = c->table->routes[route].target;
	struct sl_split split = c->splits[id], live;

	split.route = route;
	if (is_running(c, route, was) && !sl_maps_split_get(w->maps, id, &live) &&
	    !same_weights(&live, &split)) {
		if (same_weights(&w->args->compiled->splits[id], &split)) {
			memcpy(split.targets, live.targets, sizeof(split.targets));
			reload_say(o, "route '%s': weights that were set by hand are kept\n", name);
		} else {
			reload_say(o, "route '%s': weights are those of the file again\n", name);
		}
	}
	return sl_maps_split_put(w->maps, id, &split);
}

/* Those that requests use now, or those that none does. */
static int splits_apply(struct worker *w, const struct sl_compiled *c, const struct sl_names *old,
			bool running, struct outcome *o)
{
	int rc = 0;

	for (__u32 i = 0; i < c->table->n_routes && !rc; i++) {
		const struct sl_route_info *was = sl_names_get(old, c->route_infos[i].name);

		if (c->table->routes[i].action == SL_ACTION_SPLIT &&
		    is_running(c, i, was) == running)
			rc = split_apply(w, c, i, was, o);
	}
	return rc;
}

/* ---- clusters and their endpoints ---- */

/* Copies (@from NULL: clears) what is counted of route or cluster @index, in all its shards. */
static void stats_write(struct sl_stats *rows, __u32 index, const struct sl_stats *from)
{
	for (__u32 shard = 0; shard < SL_STAT_SHARDS; shard++)
		rows[sl_stats_key(index, shard)] = from ? from[shard] : (struct sl_stats){};
}

static bool is_another(const struct sl_cluster *a, const struct sl_cluster *b)
{
	return a->name_hash != b->name_hash || memcmp(a->name, b->name, SL_NAME_MAX);
}

/*
 * The free number @i is @new's: its counters begin from 0. It has no name meanwhile, so that nobody
 * takes what the one before has counted for the new one's, nor the next worker for a cluster's.
 */
static void cluster_begin(struct worker *w, __u32 i, const struct sl_cluster *new)
{
	struct sl_cluster *live = &w->maps->clusters[i];

	SL_WRITE(live->gone, SL_CLUSTER_GONE);
	SL_WRITE(live->name[0], 0);
	__sync_synchronize();
	stats_write(w->maps->cluster_stats, i, NULL);
	w->maps->counts[1 + i] = (struct sl_counts){};
	w->maps->l4_counts[i] = 0;
	w->crew->had_traffic[i] = false;
	live->turn = 0;
	live->name_hash = new->name_hash;
	memcpy(live->name + 1, new->name + 1, SL_NAME_MAX - 1);
	__sync_synchronize();
	SL_WRITE(live->name[0], new->name[0]);
}

static void clusters_apply(struct worker *w, const struct sl_compiled *c)
{
	const struct sl_table *t = c->table;

	/* They are free no more before they have endpoints. */
	for (__u32 i = 0; i < w->table->n_clusters && i < t->n_clusters; i++)
		if (is_another(&w->maps->clusters[i], &c->clusters[i]))
			cluster_begin(w, i, &c->clusters[i]);
	for (__u32 i = 0; i < t->n_endpoints; i++) {
		if (!w->maps->endpoints[i].family)
			endpoint_begin(w, i, &c->endpoints[i]);
		if (!(c->endpoints[i].flags & SL_ENDPOINT_DRAINING))
			w->maps->hosts[i].member = c->hosts[i].member + 1;
		SL_WRITE(w->maps->endpoints[i].next, c->endpoints[i].next);
		SL_WRITE(w->maps->endpoints[i].flags, c->endpoints[i].flags);
	}
	SL_WRITE(w->maps->control->n_endpoints, t->n_endpoints);
	for (__u32 i = 0; i < t->n_clusters; i++) {
		struct sl_cluster *live = &w->maps->clusters[i];
		const struct sl_cluster *new = &c->clusters[i];

		if (i >= w->table->n_clusters) {
			*live = *new;
			continue;
		}
		SL_WRITE(live->gone, new->gone);
		SL_WRITE(live->connect_timeout_ms, new->connect_timeout_ms);
		SL_WRITE(live->max_lanes, new->max_lanes);
		sl_cluster_range_set(live, sl_cluster_range(new));
	}
	left_changed(w);
}

/* ---- routes: counters and exchanges under way follow their route's name ---- */

/* @to[i]: the new index of route i, or NO_INDEX. */
static int stats_follow(struct worker *w, const __u32 *to, __u32 n, __u32 n_new)
{
	struct sl_stats *rows = w->maps->route_stats, (*copy)[SL_STAT_SHARDS];
	__u32 same = 0;

	while (same < n && same < n_new && to[same] == same)
		same++;
	copy = malloc((n - same + 1) * sizeof(*copy));
	if (!copy)
		return -ENOMEM;
	for (__u32 i = same; i < n; i++)
		for (__u32 shard = 0; shard < SL_STAT_SHARDS; shard++)
			copy[i - same][shard] = rows[sl_stats_key(i, shard)];
	for (__u32 i = same; i < n_new; i++)
		stats_write(rows, i, NULL);
	for (__u32 i = same; i < n; i++)
		if (to[i] != NO_INDEX)
			stats_write(rows, to[i], copy[i - same]);
	free(copy);
	return 0;
}

/* The limits, and all else of the route, that they began with they keep, as in Envoy. */
static void exchanges_follow(struct worker *w, const __u32 *to, __u32 n)
{
	for (struct list *l = w->fronts.next; l != &w->fronts; l = l->next) {
		struct front *f = FRONT_OF(l, all);

		if (session_bits(f) & SL_S_EXCHANGE)
			watch_look(w, f);
		if (f->x.generation == w->args->compiled->table->generation)
			f->x.begun = f->x.route;
		if (f->x.route < n)
			f->x.route = to[f->x.route];
		if (f->s->route < n)
			f->s->route = to[f->s->route];
	}
}

static int routes_follow(struct worker *w, const struct sl_compiled *c)
{
	const struct sl_compiled *old = w->args->compiled;
	struct sl_names *names = routes_by_name(c);
	__u32 n = old->table->n_routes;
	__u32 *to = calloc(n + 1, sizeof(*to));
	int rc = -ENOMEM;

	if (names && to) {
		for (__u32 i = 0; i < n; i++) {
			const struct sl_route_info *now =
				sl_names_get(names, old->route_infos[i].name);

			to[i] = now ? now - c->route_infos : NO_INDEX;
		}
		rc = stats_follow(w, to, n, c->table->n_routes);
		if (!rc)
			sl_each_worker (other, w)
				exchanges_follow(other, to, n);
	}
	sl_names_free(names);
	free(to);
	return rc;
}

/*
 * The paths that endpoints have, old and new, and no others. There is room: each endpoint has a
 * slot, and there are as many of these.
 */
static int pipes_apply(struct worker *w, const struct sl_compiled *c)
{
	__u64 *keys = malloc((SL_MAX_ENDPOINTS + c->n_pipes) * sizeof(*keys));
	__u32 n = 0;
	int rc = 0;

	if (!keys)
		return -ENOMEM;
	for (__u32 i = 0; i < endpoints_top(w); i++)
		if (w->maps->endpoints[i].family == AF_UNIX)
			memcpy(&keys[n++], w->maps->endpoints[i].addr, sizeof(*keys));
	for (__u32 i = 0; i < c->n_pipes; i++)
		keys[n++] = c->pipes[i].key;
	sl_maps_pipes_keep(w->maps, keys, n);
	for (__u32 i = 0; i < c->n_pipes && !rc; i++)
		rc = sl_maps_pipe_put(w->maps, &c->pipes[i]);
	free(keys);
	return rc;
}

/* What may fail comes before what requests, and exchanges under way, are served by. */
static int write_maps(struct worker *w, struct sl_compiled *c, struct outcome *o)
{
	struct sl_names *old = routes_by_name(w->args->compiled);
	int rc = old ? sl_maps_publish_prepare(w->maps, c->table) : -ENOMEM;

	if (!rc)
		rc = pipes_apply(w, c);
	if (!rc)
		rc = splits_apply(w, c, old, false, o);
	for (__u32 i = 0; i < c->table->n_routes && !rc; i++)
		rc = sl_maps_route_put(w->maps, i, &c->route_infos[i]);
	if (!rc)
		rc = splits_apply(w, c, old, true, o);
	sl_names_free(old);
	if (!rc)
		rc = routes_follow(w, c);
	if (!rc) {
		sl_listen_limits(w->maps->control, c);
		clusters_apply(w, c);
		health_config(w, c);
		balance_config(w, c);
		generation_begin(w, c->table->generation);
		rc = sl_maps_publish(w->maps);
	}
	if (rc)
		reload_say(o, "cannot write the maps: %s\n", strerror(-rc));
	return rc;
}

/* The config that all threads serve from now on. */
static void use(struct worker *w, struct sl_compiled *c, struct sl_matcher **matchers)
{
	sl_each_worker (other, w) {
		sl_matcher_free(other->matcher);
		other->matcher = matchers[other->index];
		other->own_args.compiled = c;
		other->table = w->maps->table;
		other->shortest_ns = limits_shortest_ns(other);
	}
}

/* The one before it may still be in use until the next. */
static void adopt_config(struct worker *w, struct sl_compiled *c, struct sl_matcher **matchers)
{
	sl_compiled_free(w->retired);
	w->retired = w->own_args.compiled == w->args_given->compiled
			     ? NULL
			     : (struct sl_compiled *)w->own_args.compiled;
	sl_each_worker (other, w) {
		sl_matcher_free(other->retired_matcher);
		other->retired_matcher = other->matcher;
		other->matcher = NULL;
	}
	use(w, c, matchers);
}

/* One for each thread. 0 or -errno; what there is of them is the caller's, matchers_free(). */
static int matchers_new(const struct worker *w, const struct sl_table *t, struct sl_matcher **ret)
{
	int rc = 0;

	for (__u32 i = 0; i < w->crew->n && !rc; i++)
		rc = sl_matcher_new(t, &ret[i]);
	return rc;
}

static void matchers_free(struct sl_matcher **matchers)
{
	for (__u32 i = 0; i < SL_MAX_THREADS; i++)
		sl_matcher_free(matchers[i]);
}

int reload_apply(struct worker *w, struct sl_compiled *c, struct outcome *o)
{
	struct sl_matcher *matchers[SL_MAX_THREADS] = {0};
	int rc = matchers_new(w, c->table, matchers);

	if (!rc)
		rc = write_maps(w, c, o);
	if (rc)
		matchers_free(matchers);
	else
		adopt_config(w, c, matchers);
	return rc;
}

int reload_adopt(struct worker *w, struct sl_compiled *c)
{
	struct sl_matcher *matchers[SL_MAX_THREADS] = {0};
	int rc = matchers_new(w, c->table, matchers);

	if (rc)
		matchers_free(matchers);
	else
		adopt_config(w, c, matchers);
	return rc;
}

int reload_restore(struct worker *w)
{
	struct sl_compiled *c = (struct sl_compiled *)w->args->compiled;
	struct sl_matcher *matchers[SL_MAX_THREADS] = {0};
	struct outcome none = {0};
	char why[256];
	int rc = matchers_new(w, c->table, matchers);

	c->table->generation = w->table->generation + 1;
	(void)sl_members_place(c);
	if (!rc)
		rc = sl_remap(c, w->maps, why);
	if (!rc)
		rc = write_maps(w, c, &none);
	if (rc)
		matchers_free(matchers);
	else
		use(w, c, matchers);
	return rc;
}
