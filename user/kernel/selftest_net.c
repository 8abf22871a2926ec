// SPDX-License-Identifier: GPL-2.0-only
#include "kernel/selftest_net.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <unistd.h>

#define WAIT_MS 10000 /* an event ends it */

bool st_wait(__u32 *waits)
{
	if (++*waits > ST_WAITS)
		return false;
	if (*waits <= ST_YIELDS)
		sched_yield();
	else
		poll(NULL, 0, 1);
	return true;
}

int st_address(int fd, struct sockaddr_storage *ret, socklen_t *ret_len)
{
	*ret_len = sizeof(*ret);
	return getsockname(fd, (struct sockaddr *)ret, ret_len) ? -errno : 0;
}

int st_listen(int family, bool listening)
{
	struct sockaddr_in in = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
	const bool v6 = family == AF_INET6;
	int fd, rc;

	fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
	if (fd < 0)
		return -errno;
	if (bind(fd, v6 ? (void *)&in6 : (void *)&in, v6 ? sizeof(in6) : sizeof(in)) ||
	    (listening && listen(fd, 8))) {
		rc = -errno;
		close(fd);
		return rc;
	}
	return fd;
}

static int tune(int fd)
{
	const struct linger reset = {.l_onoff = 1};
	const int one = 1;

	if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) ||
	    setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)))
		return -errno;
	return 0;
}

/* Waits for @events. 0, -ETIMEDOUT, or the socket's error. */
static int await(int fd, short events)
{
	struct pollfd p = {.fd = fd, .events = events};
	int rc = poll(&p, 1, WAIT_MS), err = 0;
	socklen_t len = sizeof(err);

	if (rc < 0)
		return -errno;
	if (!rc)
		return -ETIMEDOUT;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len))
		return -errno;
	return -err;
}

/* Whether @passive is the other end of @active, and not some stranger who found the port. */
static bool is_far_end(int active, int passive)
{
	struct sockaddr_storage a = {}, b = {};
	socklen_t alen = sizeof(a), blen = sizeof(b);

	if (getsockname(active, (struct sockaddr *)&a, &alen) ||
	    getpeername(passive, (struct sockaddr *)&b, &blen))
		return false;
	/* The port stands at the same place in both families; dual-stack mixes them. */
	return ((struct sockaddr_in *)&a)->sin_port == ((struct sockaddr_in *)&b)->sin_port;
}

static int accept_from(int listener, int active)
{
	for (;;) {
		int fd, rc = await(listener, POLLIN);

		if (rc)
			return rc;
		fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0)
			return -errno;
		if (is_far_end(active, fd))
			return fd;
		close(fd);
	}
}

int st_connect(int listener, int active, int *ret_active, int *ret_passive)
{
	struct sockaddr_storage addr;
	socklen_t len;
	int fd, rc;

	rc = st_address(listener, &addr, &len);
	if (rc)
		return rc;
	if (active < 0)
		active = socket(addr.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
				IPPROTO_TCP);
	if (active < 0)
		return -errno;
	*ret_active = active;
	if (connect(active, (struct sockaddr *)&addr, len) && errno != EINPROGRESS)
		return -errno;
	rc = await(active, POLLOUT);
	if (rc)
		return rc;
	fd = accept_from(listener, active);
	if (fd < 0)
		return fd;
	rc = tune(active);
	if (!rc)
		rc = tune(fd);
	if (rc)
		close(fd);
	else
		*ret_passive = fd;
	return rc;
}
