/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The maps of one instance, opened by their pins and mapped into memory: what the daemon
 * and the commands see of the kernel. Works from the pins alone, with the daemon dead.
 */
#ifndef SL_USER_MAPS_H
#define SL_USER_MAPS_H

#include "sl_attach.h"
#include "sl_maps.h"
#include "sl_counts.h"
#include "sl_lb.h"
#include "sl_pool.h"
#include "sl_reason.h"
#include "sl_session.h"
#include "sl_stats.h"
#include "sl_table.h"
#include "util/address.h"

struct sl_maps {
	/* One fd for each map, -1: not open. Owned by this struct. */
#define X(name) int name##_fd;
	SL_MAPS (X)
#undef X
		/* Memory shared with BPF; NULL when opened read-only without them. */
		struct sl_control *control;
	struct sl_session *sessions; /* [control->n_sessions] */
	struct sl_lane *lanes;	     /* [control->n_lanes] */
	__u64 *pools;		     /* [n_pools * SL_MAX_ENDPOINTS], see sl_pool.h */
	__u32 n_pools;
	struct sl_cluster *clusters;	/* [SL_MAX_CLUSTERS] */
	struct sl_endpoint *endpoints;	/* [SL_MAX_ENDPOINTS] */
	struct sl_host *hosts;		/* [SL_MAX_ENDPOINTS] */
	struct sl_lb_slot *lb_slots;	/* [SL_LB_SLOTS] */
	struct sl_sequence *sequences;	/* [SL_MAX_SPLITS] */
	__u8 *request_heads;		/* [SL_MAX_SESSIONS * head_size]; a head is first in each;
					 * NULL: see sl_maps_open_heads() */
	__u32 head_size;		/* bytes from one to the next */
	struct sl_stats *route_stats;	/* [max_routes * SL_STAT_SHARDS], sl_stats_key() */
	struct sl_stats *cluster_stats; /* [SL_MAX_CLUSTERS * SL_STAT_SHARDS] */
	__u64 *reasons;			/* [SL_N_REASONS] */
	struct sl_counts *counts;	/* [1 + SL_MAX_CLUSTERS] */
	struct sl_attach_point *points; /* [SL_MAX_LISTENERS] */
	__u64 *l4_counts;		/* [SL_MAX_CLUSTERS] */
	struct sl_generation *generations; /* [SL_GENERATIONS * SL_STAT_SHARDS] */
	const struct sl_table *table;	   /* read-only: the bytes that BPF matches on */
	__u32 max_routes;		   /* that route_stats has room for */
	struct sl_publisher *publisher;	   /* see sl_maps_publish(); NULL: settled */
};

/* Opens every pinned map of @instance. 0, or -errno (-ENOENT: no such instance; -EPROTO: other
 * ABI). */
int sl_maps_open(struct sl_maps *m, const char *instance);

/*
 * For the daemon alone, behind sl_maps_open(): maps request_heads, too. The kernel enters each page
 * of an array as it is mapped, and these are most of them.
 */
int sl_maps_open_heads(struct sl_maps *m);

void sl_maps_close(struct sl_maps *m);

/* One split, read or swapped whole by one map update. 0 or -errno (-ENOENT: no such split). */
int sl_maps_split_get(const struct sl_maps *m, __u32 id, struct sl_split *ret);
int sl_maps_split_set(const struct sl_maps *m, __u32 id, const struct sl_split *split);

/* The same, whether there is one or not. */
int sl_maps_split_put(const struct sl_maps *m, __u32 id, const struct sl_split *split);

/* The path of a UNIX-domain endpoint, by its key. 0 or -errno. */
int sl_maps_pipe_get(const struct sl_maps *m, __u64 key, struct sl_pipe *ret);
int sl_maps_pipe_put(const struct sl_maps *m, const struct sl_pipe *pipe);
/* None stays but those with one of the @n @keys, which it sorts. */
void sl_maps_pipes_keep(const struct sl_maps *m, __u64 *keys, __u32 n);

/* Information on route @index. 0 or -errno. */
int sl_maps_route_get(const struct sl_maps *m, __u32 index, struct sl_route_info *ret);

int sl_maps_route_put(const struct sl_maps *m, __u32 index, const struct sl_route_info *info);

/*
 * publish.c: makes @table the one that requests are matched with: one inner map, filled once and
 * frozen, published by one update of `tables` (fd: sl_maps.tables_fd). No program matches with the
 * one before when it returns, which can take long. 0 or -errno.
 */
int sl_table_publish(int tables_fd, const struct sl_table *table);
/*
 * The same in two steps, and m->table is the new one; the old one is no longer mapped. Whatever can
 * be wanting is wanted by the first. Programs that have begun may still match with the old one:
 * until it is settled. The maps are to be settled before.
 */
int sl_maps_publish_prepare(struct sl_maps *m, const struct sl_table *table);
int sl_maps_publish(struct sl_maps *m);
bool sl_maps_is_settled(const struct sl_maps *m);
/* Whether @fd is of such a map. Nobody keeps one open but who publishes it. */
bool sl_maps_is_table(int fd);
/* Waits until it is. */
void sl_maps_settle(struct sl_maps *m);
/* m->table is the one that is published now. 0 or -errno. */
int sl_maps_table_refresh(struct sl_maps *m);
/* The table in the map @fd, mapped; to be used as m->table from now on, or to be unmapped. */
int sl_maps_table_map(int fd, const struct sl_table **ret);
void sl_maps_table_use(struct sl_maps *m, const struct sl_table *table);
void sl_maps_table_unmap(const struct sl_table *table); /* NULL is fine */

/* The role of the socket @fd (map `sockets`). 0 or -errno (-ENOENT: has none). */
int sl_maps_socket_get(const struct sl_maps *m, int fd, struct sl_socket *ret);
int sl_maps_socket_set(const struct sl_maps *m, int fd, const struct sl_socket *socket);

/*
 * The head that session @slot's client sent last by the kernel path, and what lies behind it:
 * SL_KERNEL_HEAD_MAX bytes into @ret.
 */
void sl_maps_request_head(const struct sl_maps *m, __u32 slot, __u8 *ret);
/* The same of a request that the daemon has sent there; @len: at most SL_KERNEL_HEAD_MAX. */
void sl_maps_request_head_set(const struct sl_maps *m, __u32 slot, const __u8 *head, __u32 len);

/* Puts @fd into the sockmap @map_fd at @index. 0 or -errno. */
int sl_maps_sockmap_set(int map_fd, __u32 index, int fd);
/* Whether a socket is at @index of the sockmap @map_fd. */
bool sl_maps_sockmap_has(int map_fd, __u32 index);

/* The key of `local_addrs` for @a, in the namespace with the cookie @netns. */
void sl_local_addr(struct sl_addr *ret, const struct sl_address *a, __u64 netns);

/* Adds a destination of local clients (map `local_addrs`). 0 or -errno. */
int sl_maps_local_addr_add(const struct sl_maps *m, const struct sl_addr *addr, __u32 listener);
/* Takes it back. 0 or -errno (-ENOENT: was not there). */
int sl_maps_local_addr_del(const struct sl_maps *m, const struct sl_addr *addr);

/* What is done with connections to @key (map `attached`). 0 or -errno (-ENOENT). */
int sl_maps_attached_get(const struct sl_maps *m, const struct sl_attach_key *key, __u32 *ret);
int sl_maps_attached_set(const struct sl_maps *m, const struct sl_attach_key *key, __u32 value);
int sl_maps_attached_del(const struct sl_maps *m, const struct sl_attach_key *key);
/* The key after @key (NULL: the first). 0 or -errno (-ENOENT: no more). */
int sl_maps_attached_next(const struct sl_maps *m, const struct sl_attach_key *key,
			  struct sl_attach_key *ret);

/* No socket of endpoint @endpoint is handed connections any more (L4). */
void sl_maps_l4_forget(const struct sl_maps *m, __u32 endpoint);

/* By which the kernel tells `attached` of one instance from that of another. 0: cannot tell. */
__u32 sl_maps_attached_id(const struct sl_maps *m);

/* SO_COOKIE of the socket at @index of the sockmap @map_fd; 0: there is none. */
__u64 sl_maps_sockmap_cookie(int map_fd, __u32 index);

/* What waits under @key (see sl_pair) for its far end. 0 or -errno (-ENOENT: nothing). */
int sl_maps_pair_get(const struct sl_maps *m, __u64 key, struct sl_pair *ret);
/* The key after @key (NULL: the first). 0 or -errno (-ENOENT: no more). */
int sl_maps_pair_next(const struct sl_maps *m, const __u64 *key, __u64 *ret);

/*
 * Puts every session and lane slot on its free list and stamps the ABI: once, after loading, before
 * capture begins and before sl_maps_open(). @control_fd, @sessions_fd, @lanes_fd: the maps.
 * @n_threads: of the worker. @n_cpu_pools: see sl_pool.h. 0 or -errno.
 */
int sl_maps_format(int control_fd, int sessions_fd, int lanes_fd, __u32 flags, __u32 n_threads,
		   __u32 n_cpu_pools);

/* The idle lanes to @endpoint that are in @pool (sl_pool.h): an sl_stack head. */
static inline __u64 *sl_maps_pool(const struct sl_maps *m, __u32 pool, __u32 endpoint)
{
	return &m->pools[sl_pool_key(pool, endpoint)];
}

/* The pools of thread @home of the daemon. */
#define sl_each_pool(pool, m, home)                          \
	for (__u32 pool = sl_pool_first((m)->control, home); \
	     pool < sl_pool_end((m)->control, home); pool++)

/* The ring buffer `events`: calls @fn for each event that waits. The fd to poll is
 * events_poll_fd(). */
struct sl_events;
struct sl_events *sl_events_open(const struct sl_maps *m,
				 void (*fn)(void *ctx, const struct sl_event *e), void *ctx);
int sl_events_poll_fd(const struct sl_events *e);
int sl_events_consume(struct sl_events *e);
void sl_events_close(struct sl_events *e);

#endif /* SL_USER_MAPS_H */
