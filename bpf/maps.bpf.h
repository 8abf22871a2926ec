/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The maps, as include/sl_session.h, sl_table.h and sl_stats.h describe them.
 */
#ifndef SL_MAPS_BPF_H
#define SL_MAPS_BPF_H

#include "sl_types.h"
#include "sl_limits.h"
#include "sl_reason.h"
#include "sl_http.h"
#include "sl_session.h"
#include "sl_pool.h"
#include "sl_table.h"
#include "sl_stats.h"
#include "sl_counts.h"
#include "sl_stack.h"
#include "sl_attach.h"
#include "sl_search.h"
#include "sl_lb.h"

/*
 * clang describes a type in BTF as a mere declaration when everything only points to it (and the
 * type of a map's value is a pointer in disguise): mention them all.
 */
union sl_map_values {
	struct sl_session session;
	struct sl_lane lane;
	struct sl_cluster cluster;
	struct sl_endpoint endpoint;
	struct sl_lb_slot lb_slot;
	struct sl_host host;
	struct sl_sequence sequence;
	struct sl_stats stats;
	struct sl_counts counts;
	struct sl_generation generation;
	struct sl_control control;
	struct sl_table table;
	struct sl_route_info route_info;
	struct sl_split split;
	struct sl_socket socket;
	struct sl_pair pair;
	struct sl_addr addr;
	struct sl_event event;
	struct sl_attach_key attach_key;
	struct sl_attach_point attach_point;
	struct sl_tuple tuple;
	struct sl_streak_key streak_key;
	struct sl_streak streak;
};

const union sl_map_values *map_values SEC(".rodata") = NULL;

#define SL_ARRAY(name_, value_, n)                 \
	struct {                                   \
		__uint(type, BPF_MAP_TYPE_ARRAY);  \
		__uint(max_entries, n);            \
		__uint(map_flags, BPF_F_MMAPABLE); \
		__type(key, __u32);                \
		__type(value, value_);             \
	} name_ SEC(".maps")

#define SL_SOCKMAP(name_, n)                        \
	struct {                                    \
		__uint(type, BPF_MAP_TYPE_SOCKMAP); \
		__uint(max_entries, n);             \
		__type(key, __u32);                 \
		__type(value, __u64);               \
	} name_ SEC(".maps")

SL_ARRAY(control, struct sl_control, 1);
SL_ARRAY(sessions, struct sl_session, SL_MAX_SESSIONS);
SL_ARRAY(lanes, struct sl_lane, SL_MAX_LANES);
SL_ARRAY(pools, __u64, SL_MAX_ENDPOINTS); /* as many: by the loader */
SL_ARRAY(clusters, struct sl_cluster, SL_MAX_CLUSTERS);
SL_ARRAY(endpoints, struct sl_endpoint, SL_MAX_ENDPOINTS);
SL_ARRAY(hosts, struct sl_host, SL_MAX_ENDPOINTS);
SL_ARRAY(lb_slots, struct sl_lb_slot, SL_LB_SLOTS);
SL_ARRAY(sequences, struct sl_sequence, SL_MAX_SPLITS);
SL_ARRAY(route_stats, struct sl_stats, SL_MAX_ROUTES *SL_STAT_SHARDS);
SL_ARRAY(cluster_stats, struct sl_stats, SL_MAX_CLUSTERS *SL_STAT_SHARDS);
SL_ARRAY(reasons, __u64, SL_N_REASONS);
SL_ARRAY(generations, struct sl_generation, SL_GENERATIONS *SL_STAT_SHARDS);
SL_ARRAY(counts, struct sl_counts, 1 + SL_MAX_CLUSTERS);

/*
 * What is known of a head that comes again, byte for byte: clients that poll and servers that
 * answer alike send the same one over and over, and to compare it costs a tenth of reading it.
 */
struct sl_again {
	__u32 gen; /* of the session (lane) whose head this is, and has been parsed; 0: none */
	__u32 generation; /* of the table that it was matched with; 0: not known */
	__u32 route;
	__u32 zero;
};

/* Bytes of an answer that are on their way into its client, and where it stands behind them. */
struct sl_move {
	struct sl_body body;
	__u32 size;
	__u16 status;
	__u16 parted; /* 1: some of the send were more, and are there */
};

/*
 * The head that a session's (lane's) socket sent last, and what the parser made of it. Not
 * per-CPU scratch: sk_msg programs can be preempted by others on the same CPU, while a socket runs
 * one at a time; and one tenant's bytes are never in another's buffer.
 */
struct sl_head_slot {
	__u8 bytes[SL_HEAD_BUF]; /* SL_KERNEL_HEAD_MAX of them are the stream's */
	struct sl_head head;
	struct sl_again again;
	/* Where a walk through a chunked body stands; here, because the verifier forgets what is
	 * in a map, and states that look alike are verified once. */
	struct sl_body walk;
	__u32 walk_off;
	__u32 walk_size;
	union {
		struct sl_search search; /* a request's, for its route; likewise */
		struct sl_move move;	 /* of a lane */
	};
};

SL_ARRAY(request_heads, struct sl_head_slot, SL_MAX_SESSIONS);
SL_ARRAY(response_heads, struct sl_head_slot, SL_MAX_LANES);

struct sl_table_map {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE | BPF_F_RDONLY_PROG);
	__type(key, __u32);
	__type(value, struct sl_table);
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__type(key, __u32);
	__array(values, struct sl_table_map);
} tables SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SL_MAX_ROUTES);
	__type(key, __u32);
	__type(value, struct sl_route_info);
} routes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, SL_MAX_SPLITS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, struct sl_split);
} splits SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_CLONE);
	__type(key, int);
	__type(value, struct sl_socket);
} sockets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, SL_MAX_SESSIONS + SL_MAX_LANES);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u64);
	__type(value, struct sl_pair);
} pairing SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, SL_MAX_LOCAL_ADDRS);
	__type(key, struct sl_addr);
	__type(value, __u32);
} local_addrs SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, SL_MAX_SESSIONS + SL_MAX_LANES);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u64);
	__type(value, struct sl_socket);
} by_cookie SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, SL_MAX_ENDPOINTS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u64);
	__type(value, struct sl_pipe);
} pipes SEC(".maps");

/* Not state: what is evicted is estimated anew. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, SL_STREAKS);
	__type(key, struct sl_streak_key);
	__type(value, struct sl_streak);
} streaks SEC(".maps");

SL_ARRAY(one_shots, __u64, SL_ONE_SHOTS);

SL_SOCKMAP(clients, SL_MAX_SESSIONS); /* client_msg and pass_skb */
SL_SOCKMAP(servers, SL_MAX_LANES);    /* server_msg and pass_skb */
/* Our own ends, by the daemon where they are needed: a socket in a map is slower to read. */
SL_SOCKMAP(fronts, SL_MAX_SESSIONS); /* targets only */
SL_SOCKMAP(backs, SL_MAX_LANES);     /* targets only */
SL_SOCKMAP(backs_msg, SL_MAX_LANES); /* back_msg */

SL_ARRAY(attach_points, struct sl_attach_point, SL_MAX_LISTENERS);
SL_ARRAY(l4_counts, __u64, SL_MAX_CLUSTERS); /* connections given to a cluster at SYN time */
SL_SOCKMAP(attach_socks, SL_MAX_LISTENERS);  /* our listening sockets */
SL_SOCKMAP(l4_sockets, SL_MAX_ENDPOINTS *SL_L4_SOCKETS);

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, SL_MAX_LOCAL_ADDRS);
	__type(key, struct sl_attach_key);
	__type(value, __u32);
} attached SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 2 * SL_MAX_LANES); /* those without a slot, and health checks */
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct sl_tuple);
	__type(value, __u32);
} connecting SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 256 * 1024);
} events SEC(".maps");

#endif /* SL_MAPS_BPF_H */
