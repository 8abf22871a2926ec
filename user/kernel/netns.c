// SPDX-License-Identifier: GPL-2.0-only
#include "kernel/netns.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

int sl_netns_open(const char *where)
{
	char path[64];
	int fd, rc, type;

	if (where[0] != '/') {
		snprintf(path, sizeof(path), "/proc/%.20s/ns/net", where);
		where = path;
	}
	fd = open(where, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	type = ioctl(fd, NS_GET_NSTYPE);
	if (type == CLONE_NEWNET)
		return fd;
	rc = type < 0 && errno != ENOTTY ? -errno : -EINVAL;
	close(fd);
	return rc;
}

int sl_netns_enter(int fd, int *ret_back)
{
	int rc;

	*ret_back = -1;
	if (fd < 0)
		return 0;
	*ret_back = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	if (*ret_back < 0)
		return -errno;
	if (!setns(fd, CLONE_NEWNET))
		return 0;
	rc = -errno;
	close(*ret_back);
	*ret_back = -1;
	return rc;
}

void sl_netns_leave(int back)
{
	if (back < 0)
		return;
	if (setns(back, CLONE_NEWNET))
		abort();
	close(back);
}

int sl_netns_socket(int fd, int domain, int type, int protocol)
{
	int back, rc, sock;

	rc = sl_netns_enter(fd, &back);
	if (rc)
		return rc;
	sock = socket(domain, type | SOCK_CLOEXEC, protocol);
	rc = -errno;
	sl_netns_leave(back);
	return sock < 0 ? rc : sock;
}

int sl_netns_cookie(int fd, __u64 *ret)
{
	socklen_t len = sizeof(*ret);
	int rc = 0, sock = sl_netns_socket(fd, AF_INET, SOCK_STREAM, 0);

	if (sock < 0)
		return sock;
	if (getsockopt(sock, SOL_SOCKET, SO_NETNS_COOKIE, ret, &len))
		rc = -errno;
	close(sock);
	return rc;
}
