/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Counters. Maps `route_stats` and `cluster_stats` are mmap-able arrays of struct
 * sl_stats, key: sl_stats_key(index, shard). Shard 0 is written by the daemon
 * (user path), shards 1.. by BPF on the CPU that ran the request's last program: so a
 * row's path is known by its shard. All writes are atomic adds; a reader sums shards.
 * An exchange is counted once, when its final answer's last byte has been decided
 * and before the client can see it.
 */
#ifndef SL_STATS_H
#define SL_STATS_H

#include "sl_types.h"
#include "sl_limits.h"

#define SL_STATUS_CLASSES 6 /* index status / 100; 0: no answer (client or backend went away) */

/* A cache line, and lines of eight buckets: an exchange writes to two of them. */
struct sl_stats {
	__u64 status[SL_STATUS_CLASSES]; /* exchanges by class of the final status */
	__u64 latency_ns;		 /* sum, request head seen to last byte of the answer */
	__u64 direct; /* of these: read by the daemon, answered by BPF; shard 0 */
	__u64 latency[SL_LATENCY_BUCKETS]; /* exchanges by latency, see SL_LATENCY_BUCKETS */
};

_Static_assert(sizeof(struct sl_stats) % 64 == 0, "whole cache lines");

/*
 * The row of a route or cluster. Rows of one shard lie together, in groups: a CPU's counters of
 * many routes are on few pages.
 */
SL_FN __u32 sl_stats_key(__u32 index, __u32 shard)
{
	return (index / SL_STAT_GROUP * SL_STAT_SHARDS + shard) * SL_STAT_GROUP +
	       index % SL_STAT_GROUP;
}

#define SL_GENERATIONS 64 /* the last ones that are remembered */

/*
 * Map `generations`, mmap-able array, key: generation % SL_GENERATIONS * SL_STAT_SHARDS + shard:
 * exchanges by the config that decided them. The daemon clears a row before its generation begins.
 */
struct sl_generation {
	__u64 generation;
	__u64 exchanges;
	__u64 zero[6]; /* a cache line each */
};

SL_FN __u32 sl_generation_key(__u32 generation, __u32 shard)
{
	return generation % SL_GENERATIONS * SL_STAT_SHARDS + shard;
}

/* Map `reasons`, array (mmap-able): enum sl_reason -> __u64 requests on the user path, by the
 * daemon. reasons[SL_REASON_NONE] is not used: the kernel path's count is the sum of shards 1.. */

/* Index of the latency bucket: 0: under 1 us, i: under 2^i us, the last one: the rest. */
SL_FN __u32 sl_latency_bucket(__u64 ns)
{
	__u64 us = ns / 1000;
	__u32 b = 0;

	if (us >> 16) {
		b += 16;
		us >>= 16;
	}
	if (us >> 8) {
		b += 8;
		us >>= 8;
	}
	if (us >> 4) {
		b += 4;
		us >>= 4;
	}
	if (us >> 2) {
		b += 2;
		us >>= 2;
	}
	b += us >= 2 ? 2 : us;
	return b < SL_LATENCY_BUCKETS ? b : SL_LATENCY_BUCKETS - 1;
}

SL_FN void sl_stats_count(struct sl_stats *s, __u32 status, __u64 ns)
{
	__u32 class = status / 100, bucket;

	if (class >= SL_STATUS_CLASSES)
		class = 0;
	bucket = sl_latency_bucket(ns);
	sl_opaque(class); /* the verifier has to see the masks; behind status[] is latency_ns */
	sl_opaque(bucket);
	class &= 7;
	bucket &= SL_LATENCY_BUCKETS - 1;
	/* Both lines are on their way before one is waited for: no load passes an atomic add. */
	(void)SL_READ(s->status[class]);
	(void)SL_READ(s->latency[bucket]);
	sl_add(&s->status[class], 1);
	sl_add(&s->latency_ns, ns);
	sl_add(&s->latency[bucket], 1);
}

#endif /* SL_STATS_H */
