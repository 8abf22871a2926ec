/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A worker's first act: take over what the one before it left. It was killed at any
 * instruction; its descriptors are in the shared table, its sessions and lanes in the maps.
 *
 * A session whose user_dirty is 0 has no byte in a dead process: idle, in a kernel exchange, or
 * handed over and not yet begun. It goes on as if nothing had happened. The others are closed, and
 * so are lanes that were the worker's own.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include "internal.h"

static bool is_socket(int fd, __u64 cookie)
{
	__u64 have = 0;
	socklen_t len = sizeof(have);

	return fd >= 0 && cookie && !getsockopt(fd, SOL_SOCKET, SO_COOKIE, &have, &len) &&
	       have == cookie;
}

static int adopt_lane(struct worker *w, __u32 slot)
{
	struct sl_lane *l = &w->maps->lanes[slot];
	__u64 word = SL_READ(l->word);
	int fd = is_socket(l->back_fd, l->back_cookie) ? l->back_fd : -1;
	struct back *b;

	if (!(SL_BITS(word) & SL_L_BACK) || l->endpoint >= SL_MAX_ENDPOINTS)
		return 0;
	b = lane_new(w, fd, slot, SL_GEN(word), l->endpoint);
	if (!b)
		return -1;
	if (fd < 0) {
		/* It died between close() and the slot's release. On a stack it is DEAD. */
		lane_close(w, b);
		return 0;
	}
	sl_add(&w->maps->clusters[w->maps->endpoints[l->endpoint].cluster].n_lanes, 1);
	w->crew->had_traffic[w->maps->endpoints[l->endpoint].cluster] = true;
	switch (SL_BITS(word) & SL_L_STATE) {
	case SL_LANE_IDLE:
	case SL_LANE_KERNEL:
		return io_add(w, &b->io, IO_EVENTS_ALL);
	case SL_LANE_DEAD:
		w->dirty_endpoints[b->endpoint] = 1;
		w->sweep_wanted = true;
		return 0;
	case SL_LANE_REAPED:
		return 0;
	default:
		lane_close(w, b);
		return 0;
	}
}

static int adopt_session(struct worker *w, __u32 slot)
{
	struct sl_session *s = &w->maps->sessions[slot];
	__u64 word = SL_READ(s->word);
	__u32 bits = SL_BITS(word);
	struct front *f;
	int fd;

	if (!(bits & SL_S_ADOPTED))
		return 0;
	fd = is_socket(s->front_fd, s->front_cookie) ? s->front_fd : -1;
	f = front_new(w, fd, slot, SL_GEN(word));
	if (!f)
		return -1;
	f->tx_seen--; /* whether all of it is written is not known */
	/* Given back before its answer was written (see response_offer()): has it been written? */
	if (fd >= 0 && !(bits & (SL_S_BUSY | SL_S_CLOSING | SL_S_ABORTED)) &&
	    door_written(fd, SL_READ(s->front_tx)))
		SL_WRITE(s->user_dirty, 0);
	/* An answer may be cut, and one that ends with the connection would look whole. */
	if (fd >= 0 && s->user_dirty && !(bits & SL_S_CLOSING))
		socket_resets(fd);
	if (fd < 0 || s->user_dirty || (bits & (SL_S_CLOSING | SL_S_ABORTED)) ||
	    io_add(w, &f->io, IO_EVENTS_ALL))
		front_drop(w, f);
	return 0;
}

/* Marks the descriptors that have an owner. */
static void mark_known(struct worker *w, __u8 *known, int n)
{
	const int fds[] = {w->epoll_fd, w->events_io.fd, w->args->signal_fd, 0, 1, 2};

	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		if (fds[i] >= 0 && fds[i] < n)
			known[fds[i]] = 1;
	for (__u32 i = 0; i < w->n_listeners; i++)
		if (w->args->listen_fds[i] >= 0 && w->args->listen_fds[i] < n)
			known[w->args->listen_fds[i]] = 1;
	for (struct list *l = w->fronts.next; l != &w->fronts; l = l->next)
		if (FRONT_OF(l, all)->io.fd < n)
			known[FRONT_OF(l, all)->io.fd] = 1;
	for (struct list *l = w->backs.next; l != &w->backs; l = l->next)
		if (BACK_OF(l, all)->io.fd >= 0 && BACK_OF(l, all)->io.fd < n)
			known[BACK_OF(l, all)->io.fd] = 1;
}

/*
 * A connection's socket that no table names: accepted and not noted yet, or one that the dead
 * worker alone knew of. It may have been in the middle of an answer, whose end FIN could look like.
 */
static void stray_socket(struct worker *w, int fd)
{
	int listening = 0, domain = 0;
	socklen_t len = sizeof(int);
	struct sl_socket me;
	int rc;

	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) || listening ||
	    getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) ||
	    (domain != AF_INET && domain != AF_INET6 && domain != AF_UNIX))
		return;
	rc = sl_maps_socket_get(w->maps, fd, &me);
	if (domain == AF_UNIX && rc == -ENOENT)
		return; /* not ours: what we were started with */
	if (!rc && me.role == SL_ROLE_FRONT) {
		/* Closes it if the slot is not free to take. */
		front_add(w, fd, NO_INDEX, &me);
		return;
	}
	socket_resets(fd);
	close(fd);
}

static void stray_fd(struct worker *w, int fd)
{
	char path[32], target[64];
	struct stat st;
	ssize_t n;

	if (!fstat(fd, &st) && S_ISSOCK(st.st_mode)) {
		stray_socket(w, fd);
		return;
	}
	if (S_ISFIFO(st.st_mode)) {
		if (splice_is_ours(fd))
			close(fd);
		return;
	}
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = readlink(path, target, sizeof(target) - 1);
	if (n <= 0)
		return;
	target[n] = 0;
	/* The copy of a config that it was reading, and below a table not published yet. */
	if (!strcmp(target, "/memfd:sluice-config (deleted)")) {
		if (!w->args->shared || fd != w->args->shared->text_fd)
			close(fd);
		return;
	}
	if (!strcmp(target, "anon_inode:bpf-map")) {
		if (sl_maps_is_table(fd))
			close(fd);
		return;
	}
	if (!strcmp(target, "anon_inode:[eventpoll]") || !strcmp(target, "anon_inode:[eventfd]") ||
	    !strcmp(target, "anon_inode:[io_uring]"))
		close(fd);
}

/* The dead worker's epoll sets, its rings, and its sockets that no table names. */
static int strays_close(struct worker *w)
{
	int n = getdtablesize(), dir_fd;
	__u8 *known = calloc(n, 1);
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *e;

	if (!known || !dir) {
		free(known);
		if (dir)
			closedir(dir);
		return 0; /* without /proc they stay; no harm but their number */
	}
	dir_fd = dirfd(dir);
	mark_known(w, known, n);
	while ((e = readdir(dir))) {
		int fd = e->d_name[0] == '.' ? -1 : atoi(e->d_name);

		if (fd >= 0 && fd < n && fd != dir_fd && !known[fd])
			stray_fd(w, fd);
	}
	closedir(dir);
	free(known);
	return 0;
}

/* All is the main thread's now; other threads' lanes too, which have been told so. */
static void pools_join(struct worker *w)
{
	for (__u32 pool = sl_pool_end(w->maps->control, 0); pool < w->maps->n_pools; pool++)
		for (__u32 i = 0; i < endpoints_top(w); i++) {
			__u64 *from = sl_maps_pool(w->maps, pool, i);
			__u32 slot1;

			while ((slot1 = lane_stack_pop(w, from)))
				lane_stack_push(w, sl_maps_pool(w->maps, 0, i), slot1 - 1);
		}
}

int adopt_all(struct worker *w)
{
	for (__u32 i = 0; i < SL_MAX_CLUSTERS; i++) {
		w->maps->clusters[i].n_lanes = 0;
		w->maps->clusters[i].flags &= SL_CLUSTER_DOWN;
	}
	for (__u32 i = 0; i < w->n_lanes; i++)
		if (adopt_lane(w, i))
			return -ENOMEM;
	pools_join(w);
	for (__u32 i = 0; i < w->n_sessions; i++)
		if (adopt_session(w, i))
			return -ENOMEM;
	lane_sweep(w);
	return strays_close(w);
}
