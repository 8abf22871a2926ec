/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Every limit of the data path, with its cause. The README's table of limits
 * is this file.
 */
#ifndef SL_LIMITS_H
#define SL_LIMITS_H

/*
 * Bytes of a message head that a parser looks at; a power of two, since spans
 * are clamped by a mask. In the kernel it is the size of a copy and of memory
 * held for each session and lane; longer heads take the user path, which
 * answers 431 past its own, larger limit (spans are 16 bits wide).
 */
#ifndef SL_HEAD_MAX
#ifdef __bpf__
#define SL_HEAD_MAX 4096
#else
#define SL_HEAD_MAX 65536
#endif
#endif
#define SL_KERNEL_HEAD_MAX 4096 /* bytes of a head on the kernel path; longer: user path */

#define SL_MAX_HEADERS 64 /* header lines of one head; more: user path answers 431 */

#define SL_MAX_SESSIONS 8192	/* open downstream connections on the kernel path */
#define SL_MAX_LANES 8192	/* upstream connections */
#define SL_MAX_THREADS 64	/* of the worker, see --concurrency */
#define SL_MAX_CPU_POOLS 64	/* pools of idle lanes of an endpoint that BPF takes from */
#define SL_MAX_LISTENERS 64	/* listeners of a config */
#define SL_MAX_NETNS 15		/* network namespaces that a config names; see SL_ENDPOINT_NETNS */
#define SL_MAX_LOCAL_ADDRS 1024 /* (address, port) pairs that clients on this host may dial */

#define SL_MAX_VHOSTS 2048	/* virtual hosts of a config */
#define SL_MAX_DOMAINS 4096	/* domains of all virtual hosts */
#define SL_MAX_ROUTES 16384	/* routes of all virtual hosts */
#define SL_MAX_RULES 32768	/* header, query, cookie and other matchers of all routes */
#define SL_MAX_ROUTE_RULES 64	/* matchers of one route */
#define SL_MAX_HASH_RULES 16384 /* hash policies of all routes */
#define SL_MAX_ROUTE_HASHES 16	/* hash policies of one route */
#define SL_MAX_CANNED 16384	/* routes whose own answer the kernel path gives; more: user path */
#define SL_MAX_SPLITS 16384	/* routes with weighted clusters */
#define SL_MAX_SPLIT_TARGETS 16 /* weighted clusters of one route */
#define SL_MAX_CLUSTERS 1024	/* clusters of a config */
#define SL_MAX_ENDPOINTS 8192	/* addresses of all clusters */
#define SL_PIPE_MAX 108		/* bytes of a UNIX-domain socket's path, NUL included */
#define SL_MAX_PRIORITIES 16	/* priorities of a cluster's endpoints */
#define SL_LB_SLOTS 524288	/* of all clusters' views; a Maglev table of 65537 takes 16386 */
#define SL_STRING_POOL 2097152	/* bytes of names, paths and values in the compiled table */

/* The index of the compiled table. A virtual host that finds no room in it is searched as a list.
 */
#define SL_INDEX_SLOTS 65536   /* of the hash table of domains and paths */
#define SL_INDEX_LISTED 131072 /* entries of the lists of routes */
#define SL_INDEX_LENGTHS 32768 /* lengths of prefixes, of all virtual hosts */

#define SL_STAT_SHARDS 8      /* shard 0: the daemon; 1 + cpu % 7: BPF on that CPU */
#define SL_STAT_GROUP 1024    /* rows of a shard that lie together, see sl_stats_key() */
#define SL_LATENCY_BUCKETS 32 /* bucket i: latencies below 2^i microseconds, the last: the rest */

/* Bytes that may wait for a co-located reader: a socket's own 128 KiB and under 1 MiB more. */
#define SL_READER_BACKLOG (1128 * 1024)
/* Bytes of kernel memory that a redirected send takes besides its data (struct sk_msg). */
#define SL_READER_OVERHEAD 2048

#endif /* SL_LIMITS_H */
