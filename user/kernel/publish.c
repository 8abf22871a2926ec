// SPDX-License-Identifier: GPL-2.0-only
/*
 * A table of routes becomes the one that requests are matched with, by one update of `tables`. The
 * update holds at once, but the call comes back only when all programs that had begun before have
 * ended (maybe_wait_bpf_programs(): synchronize_rcu()). That takes milliseconds, or on a busy host
 * as long as the kernel's rcu thread gets no CPU, which was seen to be 20 s. So a thread waits for
 * it, and nobody who serves.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <bpf/bpf.h>

#include "kernel/maps.h"

#define LOOK_NS 20000 /* between two looks whether the update holds */

struct sl_publisher {
	pthread_t thread;
	bool threaded;
	int tables_fd;
	int fd; /* of the inner map */
	const struct sl_table *table;
	int rc;
	__u32 over; /* 1: the call has come back, or was not made */
};

#define TABLE_NAME "sl_table"

bool sl_maps_is_table(int fd)
{
	struct bpf_map_info info = {0};
	__u32 size = sizeof(info);

	return !bpf_obj_get_info_by_fd(fd, &info, &size) && !strcmp(info.name, TABLE_NAME);
}

/* A frozen inner map with @table. Its fd, or -errno. */
static int table_new(const struct sl_table *table)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_MMAPABLE | BPF_F_RDONLY_PROG);
	__u32 zero = 0;
	int fd, rc;

	fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, TABLE_NAME, sizeof(zero), sizeof(*table), 1, &opts);
	if (fd < 0)
		return fd;
	rc = bpf_map_update_elem(fd, &zero, table, BPF_ANY);
	if (!rc)
		rc = bpf_map_freeze(fd);
	if (!rc)
		return fd;
	close(fd);
	return rc;
}

static void *put(void *arg)
{
	struct sl_publisher *p = arg;
	__u32 zero = 0;

	p->rc = bpf_map_update_elem(p->tables_fd, &zero, &p->fd, BPF_ANY);
	__atomic_store_n(&p->over, 1, __ATOMIC_RELEASE);
	return NULL;
}

static bool is_over(const struct sl_publisher *p)
{
	return __atomic_load_n(&p->over, __ATOMIC_ACQUIRE);
}

/* Until the update holds, or has failed. */
static void wait_for_effect(const struct sl_publisher *p)
{
	const struct timespec pause = {.tv_nsec = LOOK_NS};
	struct bpf_map_info info = {0};
	__u32 size = sizeof(info), zero = 0, id;

	if (bpf_obj_get_info_by_fd(p->fd, &info, &size))
		info.id = 0; /* then until the call has come back */
	while (!is_over(p) && (bpf_map_lookup_elem(p->tables_fd, &zero, &id) || id != info.id))
		nanosleep(&pause, NULL);
}

int sl_table_publish(int tables_fd, const struct sl_table *table)
{
	struct sl_publisher p = {.tables_fd = tables_fd, .fd = table_new(table)};

	if (p.fd < 0)
		return p.fd;
	put(&p);
	close(p.fd);
	return p.rc;
}

int sl_maps_publish_prepare(struct sl_maps *m, const struct sl_table *table)
{
	struct sl_publisher *p = calloc(1, sizeof(*p));
	int rc;

	if (!p)
		return -ENOMEM;
	sl_maps_settle(m);
	p->over = 1;
	p->tables_fd = m->tables_fd;
	p->fd = table_new(table);
	rc = p->fd < 0 ? p->fd : sl_maps_table_map(p->fd, &p->table);
	if (!rc) {
		m->publisher = p;
		return 0;
	}
	if (p->fd >= 0)
		close(p->fd);
	free(p);
	return rc;
}

int sl_maps_publish(struct sl_maps *m)
{
	struct sl_publisher *p = m->publisher;

	p->over = 0;
	p->threaded = !pthread_create(&p->thread, NULL, put, p);
	if (!p->threaded)
		put(p);
	wait_for_effect(p);
	if (is_over(p) && p->rc)
		return p->rc;
	sl_maps_table_use(m, p->table);
	p->table = NULL;
	close(p->fd); /* the kernel has its own reference, and a worker that dies would leave it */
	p->fd = -1;
	return 0;
}

bool sl_maps_is_settled(const struct sl_maps *m)
{
	return !m->publisher || is_over(m->publisher);
}

void sl_maps_settle(struct sl_maps *m)
{
	struct sl_publisher *p = m->publisher;

	if (!p)
		return;
	if (p->threaded)
		pthread_join(p->thread, NULL);
	sl_maps_table_unmap(p->table);
	if (p->fd >= 0)
		close(p->fd);
	free(p);
	m->publisher = NULL;
}
