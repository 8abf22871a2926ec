// SPDX-License-Identifier: GPL-2.0-only
/* Which process has a socket: /proc/PID/fd names each socket by its inode. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "attach/sockets.h"

static void read_name(pid_t pid, char *ret, size_t size)
{
	char path[32];
	ssize_t n = -1;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = read(fd, ret, size - 1);
		close(fd);
	}
	if (n > 0 && ret[n - 1] == '\n')
		n--;
	ret[n > 0 ? n : 0] = '\0';
	/* A process chooses its name: no escape sequences on people's terminals. */
	for (char *c = ret; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
}

static void found(struct sl_owner *o, pid_t pid, int fd)
{
	o->n_processes++;
	if (o->pid && o->pid < pid)
		return;
	o->pid = pid;
	o->fd = fd;
	read_name(pid, o->name, sizeof(o->name));
}

static void look_at_fds(struct sl_owner *list, __u32 n, pid_t pid, DIR *dir)
{
	struct dirent *e;

	while ((e = readdir(dir))) {
		unsigned int inode;
		char target[32];
		ssize_t len = readlinkat(dirfd(dir), e->d_name, target, sizeof(target) - 1);

		if (len < 0)
			continue;
		target[len] = '\0';
		if (sscanf(target, "socket:[%u]", &inode) != 1)
			continue;
		for (__u32 i = 0; i < n; i++)
			if (list[i].inode == inode)
				found(&list[i], pid, atoi(e->d_name));
	}
}

int sl_owners_find(struct sl_owner *list, __u32 n)
{
	DIR *proc = opendir("/proc"), *fds;
	struct dirent *e;

	if (!proc)
		return -errno;
	for (__u32 i = 0; i < n; i++)
		list[i] = (struct sl_owner){.inode = list[i].inode};
	while ((e = readdir(proc))) {
		char path[PATH_MAX];
		pid_t pid = atoi(e->d_name);

		if (pid <= 0)
			continue;
		snprintf(path, sizeof(path), "/proc/%d/fd", pid);
		fds = opendir(path);
		if (!fds)
			continue; /* ended meanwhile */
		look_at_fds(list, n, pid, fds);
		closedir(fds);
	}
	closedir(proc);
	return 0;
}

int sl_owner_socket(const struct sl_owner *owner, __u64 cookie)
{
	int pidfd = pidfd_open(owner->pid, 0), fd, rc;
	__u64 have = 0;
	socklen_t len = sizeof(have);

	if (pidfd < 0)
		return -errno;
	fd = pidfd_getfd(pidfd, owner->fd, 0);
	rc = -errno;
	close(pidfd);
	if (fd < 0)
		return rc;
	if (!getsockopt(fd, SOL_SOCKET, SO_COOKIE, &have, &len) && have == cookie)
		return fd;
	close(fd);
	return -ESTALE;
}
