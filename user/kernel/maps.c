// SPDX-License-Identifier: GPL-2.0-only
#include "maps.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "loader.h"

static size_t array_bytes(size_t value_size, size_t n)
{
	size_t page = sysconf(_SC_PAGESIZE);
	size_t bytes = (value_size + 7) / 8 * 8 * n;

	return (bytes + page - 1) / page * page;
}

static int map_array(int fd, size_t value_size, size_t n, int prot, void **ret)
{
	void *p = mmap(NULL, array_bytes(value_size, n), prot, MAP_SHARED, fd, 0);

	if (p == MAP_FAILED)
		return -errno;
	*ret = p;
	return 0;
}

static void unmap_array(const void *p, size_t value_size, size_t n)
{
	if (p)
		munmap((void *)p, array_bytes(value_size, n));
}

/* What the map of counters, sized by the config, has room for. */
static int read_size(struct sl_maps *m)
{
	struct bpf_map_info info = {0};
	__u32 len = sizeof(info);

	if (bpf_obj_get_info_by_fd(m->route_stats_fd, &info, &len))
		return -errno;
	m->max_routes = info.max_entries / SL_STAT_SHARDS;
	if (bpf_obj_get_info_by_fd(m->request_heads_fd, &info, &len))
		return -errno;
	m->head_size = (info.value_size + 7) / 8 * 8;
	return m->head_size < SL_KERNEL_HEAD_MAX ? -EPROTO : 0;
}

int sl_maps_table_map(int fd, const struct sl_table **ret)
{
	void *p;
	int rc = map_array(fd, sizeof(**ret), 1, PROT_READ, &p);

	if (!rc)
		*ret = p;
	return rc;
}

void sl_maps_table_unmap(const struct sl_table *table)
{
	unmap_array(table, sizeof(*table), 1);
}

void sl_maps_table_use(struct sl_maps *m, const struct sl_table *table)
{
	sl_maps_table_unmap(m->table);
	m->table = table;
}

/* The table that is published now: the inner map, by its id. */
static int map_table(struct sl_maps *m)
{
	__u32 zero = 0, id;
	int fd, rc;

	rc = bpf_map_lookup_elem(m->tables_fd, &zero, &id);
	if (rc)
		return rc;
	fd = bpf_map_get_fd_by_id(id);
	if (fd < 0)
		return fd;
	rc = sl_maps_table_map(fd, &m->table);
	close(fd);
	return rc;
}

static int open_pins(struct sl_maps *m, const char *instance)
{
	const struct {
		int *fd;
		const char *name;
	} pins[] = {
#define X(name) {&m->name##_fd, #name},
		SL_MAPS (X)
#undef X
	};
	char path[PATH_MAX];

	for (size_t i = 0; i < sizeof(pins) / sizeof(pins[0]); i++)
		*pins[i].fd = -1;
	for (size_t i = 0; i < sizeof(pins) / sizeof(pins[0]); i++) {
		sl_pin_path(path, instance, pins[i].name);
		*pins[i].fd = bpf_obj_get(path);
		if (*pins[i].fd < 0)
			return -errno;
	}
	return 0;
}

int sl_maps_open(struct sl_maps *m, const char *instance)
{
	const int rw = PROT_READ | PROT_WRITE;
	int rc;

	memset(m, 0, sizeof(*m));
	rc = open_pins(m, instance);
	if (!rc)
		rc = map_array(m->control_fd, sizeof(*m->control), 1, rw, (void **)&m->control);
	if (!rc && m->control->abi != SL_ABI)
		rc = -EPROTO;
	if (!rc)
		rc = read_size(m);
	if (!rc)
		rc = map_array(m->sessions_fd, sizeof(*m->sessions), SL_MAX_SESSIONS, rw,
			       (void **)&m->sessions);
	if (!rc)
		rc = map_array(m->lanes_fd, sizeof(*m->lanes), SL_MAX_LANES, rw,
			       (void **)&m->lanes);
	if (!rc) {
		m->n_pools = sl_pool_end(m->control, m->control->n_threads - 1);
		rc = map_array(m->pools_fd, sizeof(*m->pools), m->n_pools * SL_MAX_ENDPOINTS, rw,
			       (void **)&m->pools);
	}
	if (!rc)
		rc = map_array(m->clusters_fd, sizeof(*m->clusters), SL_MAX_CLUSTERS, rw,
			       (void **)&m->clusters);
	if (!rc)
		rc = map_array(m->endpoints_fd, sizeof(*m->endpoints), SL_MAX_ENDPOINTS, rw,
			       (void **)&m->endpoints);
	if (!rc)
		rc = map_array(m->hosts_fd, sizeof(*m->hosts), SL_MAX_ENDPOINTS, rw,
			       (void **)&m->hosts);
	if (!rc)
		rc = map_array(m->lb_slots_fd, sizeof(*m->lb_slots), SL_LB_SLOTS, rw,
			       (void **)&m->lb_slots);
	if (!rc)
		rc = map_array(m->sequences_fd, sizeof(*m->sequences), SL_MAX_SPLITS, rw,
			       (void **)&m->sequences);
	if (!rc)
		rc = map_array(m->route_stats_fd, sizeof(*m->route_stats),
			       m->max_routes * SL_STAT_SHARDS, rw, (void **)&m->route_stats);
	if (!rc)
		rc = map_array(m->cluster_stats_fd, sizeof(*m->cluster_stats),
			       SL_MAX_CLUSTERS * SL_STAT_SHARDS, rw, (void **)&m->cluster_stats);
	if (!rc)
		rc = map_array(m->reasons_fd, sizeof(*m->reasons), SL_N_REASONS, rw,
			       (void **)&m->reasons);
	if (!rc)
		rc = map_array(m->counts_fd, sizeof(*m->counts), 1 + SL_MAX_CLUSTERS, rw,
			       (void **)&m->counts);
	if (!rc)
		rc = map_array(m->generations_fd, sizeof(*m->generations),
			       SL_GENERATIONS * SL_STAT_SHARDS, rw, (void **)&m->generations);
	if (!rc)
		rc = map_array(m->attach_points_fd, sizeof(*m->points), SL_MAX_LISTENERS, rw,
			       (void **)&m->points);
	if (!rc)
		rc = map_array(m->l4_counts_fd, sizeof(*m->l4_counts), SL_MAX_CLUSTERS, rw,
			       (void **)&m->l4_counts);
	if (!rc)
		rc = map_table(m);
	if (rc)
		sl_maps_close(m);
	return rc;
}

int sl_maps_open_heads(struct sl_maps *m)
{
	return map_array(m->request_heads_fd, m->head_size, SL_MAX_SESSIONS, PROT_READ | PROT_WRITE,
			 (void **)&m->request_heads);
}

void sl_maps_close(struct sl_maps *m)
{
	sl_maps_settle(m);
	unmap_array(m->pools, sizeof(*m->pools), m->n_pools * SL_MAX_ENDPOINTS);
	unmap_array(m->control, sizeof(*m->control), 1);
	unmap_array(m->sessions, sizeof(*m->sessions), SL_MAX_SESSIONS);
	unmap_array(m->lanes, sizeof(*m->lanes), SL_MAX_LANES);
	unmap_array(m->request_heads, m->head_size, SL_MAX_SESSIONS);
	unmap_array(m->clusters, sizeof(*m->clusters), SL_MAX_CLUSTERS);
	unmap_array(m->endpoints, sizeof(*m->endpoints), SL_MAX_ENDPOINTS);
	unmap_array(m->hosts, sizeof(*m->hosts), SL_MAX_ENDPOINTS);
	unmap_array(m->lb_slots, sizeof(*m->lb_slots), SL_LB_SLOTS);
	unmap_array(m->sequences, sizeof(*m->sequences), SL_MAX_SPLITS);
	unmap_array(m->route_stats, sizeof(*m->route_stats), m->max_routes * SL_STAT_SHARDS);
	unmap_array(m->cluster_stats, sizeof(*m->cluster_stats), SL_MAX_CLUSTERS * SL_STAT_SHARDS);
	unmap_array(m->reasons, sizeof(*m->reasons), SL_N_REASONS);
	unmap_array(m->counts, sizeof(*m->counts), 1 + SL_MAX_CLUSTERS);
	unmap_array(m->generations, sizeof(*m->generations), SL_GENERATIONS * SL_STAT_SHARDS);
	unmap_array(m->points, sizeof(*m->points), SL_MAX_LISTENERS);
	unmap_array(m->l4_counts, sizeof(*m->l4_counts), SL_MAX_CLUSTERS);
	sl_maps_table_unmap(m->table);
#define X(name)                \
	if (m->name##_fd >= 0) \
		close(m->name##_fd);
	SL_MAPS (X)
#undef X
		memset(m, 0, sizeof(*m));
#define X(name) m->name##_fd = -1;
	SL_MAPS (X)
#undef X
}

int sl_maps_split_get(const struct sl_maps *m, __u32 id, struct sl_split *ret)
{
	return bpf_map_lookup_elem(m->splits_fd, &id, ret) ? -errno : 0;
}

int sl_maps_split_set(const struct sl_maps *m, __u32 id, const struct sl_split *split)
{
	return bpf_map_update_elem(m->splits_fd, &id, split, BPF_EXIST) ? -errno : 0;
}

int sl_maps_split_put(const struct sl_maps *m, __u32 id, const struct sl_split *split)
{
	return bpf_map_update_elem(m->splits_fd, &id, split, BPF_ANY) ? -errno : 0;
}

int sl_maps_pipe_get(const struct sl_maps *m, __u64 key, struct sl_pipe *ret)
{
	return bpf_map_lookup_elem(m->pipes_fd, &key, ret) ? -errno : 0;
}

int sl_maps_pipe_put(const struct sl_maps *m, const struct sl_pipe *pipe)
{
	return bpf_map_update_elem(m->pipes_fd, &pipe->key, pipe, BPF_ANY) ? -errno : 0;
}

static int compare_keys(const void *a, const void *b)
{
	const __u64 *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

void sl_maps_pipes_keep(const struct sl_maps *m, __u64 *keys, __u32 n)
{
	__u64 key, next;
	bool more = !bpf_map_get_next_key(m->pipes_fd, NULL, &key);

	qsort(keys, n, sizeof(*keys), compare_keys);
	while (more) {
		/* First: behind one that is gone it would begin anew. */
		more = !bpf_map_get_next_key(m->pipes_fd, &key, &next);
		if (!bsearch(&key, keys, n, sizeof(*keys), compare_keys))
			(void)bpf_map_delete_elem(m->pipes_fd, &key);
		key = next;
	}
}

int sl_maps_route_put(const struct sl_maps *m, __u32 index, const struct sl_route_info *info)
{
	return bpf_map_update_elem(m->routes_fd, &index, info, BPF_ANY) ? -errno : 0;
}

int sl_maps_table_refresh(struct sl_maps *m)
{
	const struct sl_table *old = m->table;
	int rc = map_table(m);

	if (!rc)
		sl_maps_table_unmap(old);
	return rc;
}

int sl_maps_route_get(const struct sl_maps *m, __u32 index, struct sl_route_info *ret)
{
	return bpf_map_lookup_elem(m->routes_fd, &index, ret) ? -errno : 0;
}

int sl_maps_socket_get(const struct sl_maps *m, int fd, struct sl_socket *ret)
{
	return bpf_map_lookup_elem(m->sockets_fd, &fd, ret) ? -errno : 0;
}

int sl_maps_socket_set(const struct sl_maps *m, int fd, const struct sl_socket *socket)
{
	return bpf_map_update_elem(m->sockets_fd, &fd, socket, BPF_ANY) ? -errno : 0;
}

int sl_maps_sockmap_set(int map_fd, __u32 index, int fd)
{
	__u64 value = fd;

	return bpf_map_update_elem(map_fd, &index, &value, BPF_ANY) ? -errno : 0;
}

bool sl_maps_sockmap_has(int map_fd, __u32 index)
{
	__u64 cookie;

	return !bpf_map_lookup_elem(map_fd, &index, &cookie) || errno != ENOENT;
}

void sl_local_addr(struct sl_addr *ret, const struct sl_address *a, __u64 netns)
{
	memset(ret, 0, sizeof(*ret));
	ret->port = a->port;
	sl_address_mapped(ret->addr, a);
	if (!sl_is_loopback(ret->addr))
		return;
	if (a->family == AF_INET)
		memcpy(ret->addr + 13, "\0\0\1", 3);
	ret->netns = netns;
}

int sl_maps_local_addr_add(const struct sl_maps *m, const struct sl_addr *addr, __u32 listener)
{
	return bpf_map_update_elem(m->local_addrs_fd, addr, &listener, BPF_ANY) ? -errno : 0;
}

int sl_maps_local_addr_del(const struct sl_maps *m, const struct sl_addr *addr)
{
	return bpf_map_delete_elem(m->local_addrs_fd, addr) ? -errno : 0;
}

int sl_maps_pair_get(const struct sl_maps *m, __u64 key, struct sl_pair *ret)
{
	return bpf_map_lookup_elem(m->pairing_fd, &key, ret) ? -errno : 0;
}

int sl_maps_pair_next(const struct sl_maps *m, const __u64 *key, __u64 *ret)
{
	return bpf_map_get_next_key(m->pairing_fd, key, ret) ? -errno : 0;
}

int sl_maps_format(int control_fd, int sessions_fd, int lanes_fd, __u32 flags, __u32 n_threads,
		   __u32 n_cpu_pools)
{
	struct sl_control control = {
		.abi = SL_ABI,
		.flags = flags,
		.free_sessions = 1,
		.free_lanes = 1,
		.n_sessions = SL_MAX_SESSIONS,
		.n_lanes = SL_MAX_LANES,
		.n_threads = n_threads,
		.n_cpu_pools = n_cpu_pools,
	};
	struct sl_session *sessions = NULL;
	struct sl_lane *lanes = NULL;
	__u32 zero = 0;
	int rc;

	rc = map_array(sessions_fd, sizeof(*sessions), SL_MAX_SESSIONS, PROT_READ | PROT_WRITE,
		       (void **)&sessions);
	if (!rc)
		rc = map_array(lanes_fd, sizeof(*lanes), SL_MAX_LANES, PROT_READ | PROT_WRITE,
			       (void **)&lanes);
	for (__u32 i = 0; !rc && i < SL_MAX_SESSIONS; i++) {
		sessions[i].next = i + 1 < SL_MAX_SESSIONS ? i + 2 : 0;
		sessions[i].front_fd = -1;
	}
	for (__u32 i = 0; !rc && i < SL_MAX_LANES; i++) {
		lanes[i].next = i + 1 < SL_MAX_LANES ? i + 2 : 0;
		lanes[i].back_fd = -1;
	}
	unmap_array(sessions, sizeof(*sessions), SL_MAX_SESSIONS);
	unmap_array(lanes, sizeof(*lanes), SL_MAX_LANES);
	if (rc)
		return rc;
	return bpf_map_update_elem(control_fd, &zero, &control, BPF_ANY) ? -errno : 0;
}
