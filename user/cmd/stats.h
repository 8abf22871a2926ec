/* SPDX-License-Identifier: GPL-2.0-only */
/* What `sluice stats` reads, adds up and prints. */
#ifndef SL_CMD_STATS_H
#define SL_CMD_STATS_H

#include "kernel/maps.h"
#include "sl_reason.h"
#include "sl_stack.h"

#include <jansson.h>
#include <stdio.h>

/* The shards of one route or cluster, added up. */
struct sl_stat_sum {
	struct sl_stats all; /* both paths */
	__u64 kernel;	     /* exchanges that the kernel path ended */
	__u64 user;	     /* ... and the user path */
	__u64 direct;	     /* of these: BPF has moved the answer */
};

/* What the words of sessions and lanes say: a snapshot of moving things. */
struct sl_census {
	__u32 sessions;	       /* open connections of clients */
	__u32 colocated;       /* of these: paired with a client on this host */
	__u32 in_exchange;     /* of these: in an exchange of the kernel path */
	__u32 in_user;	       /* of these: the daemon's */
	__u32 lanes;	       /* connections to backends */
	__u32 lane_colocated;  /* of these: paired with a server on this host */
	__u32 lane_states[16]; /* slots by enum sl_lane_state; unknown states too */
};

struct sl_snapshot {
	__u32 n_routes, n_clusters, n_endpoints; /* clamped to the arrays */
	struct sl_route_info routes[SL_MAX_ROUTES];
	struct sl_stat_sum route_sums[SL_MAX_ROUTES];
	char cluster_names[SL_MAX_CLUSTERS][SL_NAME_MAX];
	struct sl_stat_sum cluster_sums[SL_MAX_CLUSTERS];
	__u32 idle[SL_MAX_ENDPOINTS]; /* idle lanes */
	__u64 reasons[SL_N_REASONS];
	struct sl_counts down; /* of all listeners */
	struct sl_counts up[SL_MAX_CLUSTERS];
	__u64 kernel; /* requests served by the kernel path */
	__u64 user;   /* requests that took the user path: the sum of reasons */
	__u64 direct; /* of these: BPF has moved the answer */
	struct sl_census census;
};

/*
 * Reads everything; @ret: zeros, or what was read before. The counters move meanwhile: sums of a
 * busy instance are a moment apart.
 */
void sl_snapshot_take(const struct sl_maps *m, struct sl_snapshot *ret);

/* Exchanges in @s, of any status. */
__u64 sl_stats_total(const struct sl_stats *s);

/* Mean latency in microseconds; 0 without requests. */
double sl_stats_mean(const struct sl_stats *s);

/*
 * Latency in microseconds below which @percent of the requests were, within the bucket that
 * it falls into taken as evenly spread; 0 without requests.
 */
double sl_stats_percentile(const struct sl_stats *s, double percent);

/* Envoy's words for what is wrong with endpoint @i: "failed_active_hc"; "": nothing. */
#define SL_HEALTH_TEXT 64
void sl_endpoint_health(const struct sl_maps *m, __u32 i, char ret[static SL_HEALTH_TEXT]);

extern const char *const sl_lane_state_names[16]; /* NULL: no such state */

/* stats_counts.c: timeouts and limits that were reached. */
int sl_counts_print(const struct sl_snapshot *s);
/* @up: those of a cluster, else of the listeners. */
json_t *sl_counts_json(const struct sl_counts *c, bool up);

/* Prints to stdout; returns the exit status. @before: of @seconds ago, for rates, or NULL. */
int sl_stats_print(const struct sl_maps *m, const char *instance, const struct sl_snapshot *s,
		   const struct sl_snapshot *before, double seconds);
int sl_stats_print_json(const struct sl_maps *m, const char *instance, const struct sl_snapshot *s);

/*
 * Proves that every session and lane is in exactly one place (a free list, an idle stack,
 * an exchange, the daemon). What looks wrong is looked at again, since a slot on its way from
 * one place to the next is in neither: only what stays wrong is reported, to @out, a line each.
 * Returns the number of violations or -errno.
 */
int sl_conservation_check(const struct sl_maps *m, FILE *out);

#endif /* SL_CMD_STATS_H */
