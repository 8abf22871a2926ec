// SPDX-License-Identifier: GPL-2.0-only
#include "cmd/stats.h"

#include <string.h>

const char *const sl_lane_state_names[16] = {
	[SL_LANE_FREE] = "free",     [SL_LANE_CONNECTING] = "connecting",
	[SL_LANE_IDLE] = "idle",     [SL_LANE_KERNEL] = "kernel",
	[SL_LANE_USER] = "user",     [SL_LANE_DEAD] = "dead",
	[SL_LANE_REAPED] = "reaped",
};

static __u32 clamp(__u32 n, __u32 max)
{
	return n < max ? n : max;
}

#define CLUSTER_TRIES 3
#define NO_CLUSTER "(no such cluster)"

/* All that @rows count of the route or cluster @index. */
static void add_up(const struct sl_stats *rows, __u32 index, struct sl_stat_sum *ret)
{
	for (int shard = 0; shard < SL_STAT_SHARDS; shard++) {
		const struct sl_stats *s = &rows[sl_stats_key(index, shard)];
		__u64 total = 0;

		for (int i = 0; i < SL_STATUS_CLASSES; i++) {
			__u64 n = SL_READ(s->status[i]);

			ret->all.status[i] += n;
			total += n;
		}
		ret->direct += SL_READ(s->direct);
		ret->all.latency_ns += SL_READ(s->latency_ns);
		for (int i = 0; i < SL_LATENCY_BUCKETS; i++)
			ret->all.latency[i] += SL_READ(s->latency[i]);
		if (shard)
			ret->kernel += total;
		else
			ret->user += total;
	}
}

/* Length of one of an endpoint's idle stacks. Bounded: it may change, or be nonsense, as we walk.
 */
static __u32 pool_length(const struct sl_maps *m, __u64 head)
{
	__u32 max = clamp(m->control->n_lanes, SL_MAX_LANES);
	__u32 slot1 = SL_STACK_SLOT(head);
	__u32 n = 0;

	for (; slot1 && slot1 <= max && n < max; n++)
		slot1 = SL_READ(m->lanes[slot1 - 1].next);
	return n;
}

static __u32 idle_lanes(const struct sl_maps *m, __u32 endpoint)
{
	__u32 n = 0;

	for (__u32 pool = 0; pool < m->n_pools; pool++)
		n += pool_length(m, SL_READ(*sl_maps_pool(m, pool, endpoint)));
	return n;
}

static void count_sessions(const struct sl_maps *m, struct sl_census *c)
{
	__u32 n = clamp(m->control->n_sessions, SL_MAX_SESSIONS);

	for (__u32 i = 0; i < n; i++) {
		__u32 bits = SL_BITS(SL_READ(m->sessions[i].word));

		if (!(bits & SL_S_HELD))
			continue;
		c->sessions++;
		c->colocated += !!(bits & SL_S_CLIENT);
		if (bits & SL_S_USER)
			c->in_user++;
		else if (bits & SL_S_EXCHANGE)
			c->in_exchange++;
	}
}

static void count_lanes(const struct sl_maps *m, struct sl_census *c)
{
	__u32 n = clamp(m->control->n_lanes, SL_MAX_LANES);

	for (__u32 i = 0; i < n; i++) {
		__u32 bits = SL_BITS(SL_READ(m->lanes[i].word));

		c->lane_states[bits & SL_L_STATE]++;
		if ((bits & SL_L_STATE) == SL_LANE_FREE)
			continue;
		c->lanes++;
		c->lane_colocated += !!(bits & SL_L_SERVER);
	}
}

/* Of the megabytes of @s no more than is counted for these routes and clusters. */
static void begin(struct sl_snapshot *s, const struct sl_maps *m)
{
	s->n_routes = clamp(m->table->n_routes, m->max_routes);
	s->n_clusters = clamp(m->table->n_clusters, SL_MAX_CLUSTERS);
	s->n_endpoints = clamp(m->control->n_endpoints, SL_MAX_ENDPOINTS);
	memset(s->route_sums, 0, s->n_routes * sizeof(*s->route_sums));
	memset(&s->census, 0, sizeof(s->census));
	s->kernel = s->user = s->direct = 0;
}

/*
 * The name and what is counted of cluster @i. A reload may give the number to another meanwhile: it
 * takes the name away before it clears the counters.
 */
static void read_cluster(const struct sl_maps *m, __u32 i, struct sl_snapshot *s)
{
	char *name = s->cluster_names[i];

	for (int tries = 0; tries < CLUSTER_TRIES; tries++) {
		memcpy(name, m->clusters[i].name, SL_NAME_MAX);
		__sync_synchronize();
		memset(&s->cluster_sums[i], 0, sizeof(s->cluster_sums[i]));
		add_up(m->cluster_stats, i, &s->cluster_sums[i]);
		if (m->counts)
			s->up[i] = m->counts[1 + i];
		__sync_synchronize();
		if (!memcmp(name, m->clusters[i].name, SL_NAME_MAX))
			break;
	}
	name[SL_NAME_MAX - 1] = 0;
	if (!name[0])
		strcpy(name, NO_CLUSTER);
}

void sl_snapshot_take(const struct sl_maps *m, struct sl_snapshot *ret)
{
	begin(ret, m);
	for (__u32 i = 0; i < ret->n_routes; i++) {
		struct sl_route_info *info = &ret->routes[i];

		if (sl_maps_route_get(m, i, info))
			memset(info, 0, sizeof(*info));
		info->name[SL_NAME_MAX - 1] = 0;
		info->match[SL_NAME_MAX - 1] = 0;
		add_up(m->route_stats, i, &ret->route_sums[i]);
		ret->kernel += ret->route_sums[i].kernel;
		ret->direct += ret->route_sums[i].direct;
	}
	for (__u32 i = 0; i < ret->n_clusters; i++)
		read_cluster(m, i, ret);
	if (m->counts)
		ret->down = m->counts[0];
	for (__u32 i = 0; i < ret->n_endpoints; i++)
		ret->idle[i] = idle_lanes(m, i);
	for (__u32 i = SL_REASON_NONE + 1; i < SL_N_REASONS; i++) {
		ret->reasons[i] = SL_READ(m->reasons[i]);
		ret->user += ret->reasons[i];
	}
	count_sessions(m, &ret->census);
	count_lanes(m, &ret->census);
}

__u64 sl_stats_total(const struct sl_stats *s)
{
	__u64 total = 0;

	for (int i = 0; i < SL_STATUS_CLASSES; i++)
		total += s->status[i];
	return total;
}

double sl_stats_mean(const struct sl_stats *s)
{
	__u64 total = sl_stats_total(s);

	return total ? s->latency_ns / 1e3 / total : 0;
}

double sl_stats_percentile(const struct sl_stats *s, double percent)
{
	__u64 total = 0, below = 0;
	double rank;

	for (int i = 0; i < SL_LATENCY_BUCKETS; i++)
		total += s->latency[i];
	if (!total)
		return 0;
	rank = total * percent / 100;
	for (int i = 0; i < SL_LATENCY_BUCKETS; i++) {
		double low = i ? (double)(1ULL << (i - 1)) : 0, high = (double)(1ULL << i);

		if (s->latency[i] && below + s->latency[i] >= rank)
			return low + (high - low) * (rank - below) / s->latency[i];
		below += s->latency[i];
	}
	return (double)(1ULL << (SL_LATENCY_BUCKETS - 1));
}

void sl_endpoint_health(const struct sl_maps *m, __u32 i, char ret[static SL_HEALTH_TEXT])
{
	__u32 flags = SL_READ(m->hosts[i].flags);
	bool out = m->endpoints[i].flags & SL_ENDPOINT_CLOSED;

	snprintf(ret, SL_HEALTH_TEXT, "%s%s%s%s", flags & SL_HOST_PENDING ? "pending " : "",
		 flags & SL_HOST_FAILED_CHECK ? "failed_active_hc " : "",
		 flags & SL_HOST_EJECTED ? "failed_outlier_check " : "", out ? "not picked" : "");
	if (ret[0] && ret[strlen(ret) - 1] == ' ')
		ret[strlen(ret) - 1] = 0;
}
