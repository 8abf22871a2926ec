// SPDX-License-Identifier: GPL-2.0-only
#include "daemon/listen.h"

#include <arpa/inet.h>
#include <asm/socket.h>
#include <errno.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG 4096

union any_addr {
	struct sockaddr sa;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

static socklen_t listener_addr(const struct sl_listener *l, union any_addr *a)
{
	memset(a, 0, sizeof(*a));
	if (l->family == AF_INET) {
		a->in.sin_family = AF_INET;
		a->in.sin_port = htons(l->port);
		memcpy(&a->in.sin_addr, l->addr, 4);
		return sizeof(a->in);
	}
	a->in6.sin6_family = AF_INET6;
	a->in6.sin6_port = htons(l->port);
	memcpy(&a->in6.sin6_addr, l->addr, 16);
	return sizeof(a->in6);
}

int sl_listen_open(const struct sl_maps *m, const struct sl_compiled *c, __u32 index)
{
	struct sl_socket mark = {.role = SL_ROLE_LISTENER, .slot = index};
	const struct sl_listener *l = &c->listeners[index];
	union any_addr addr;
	socklen_t len = listener_addr(l, &addr);
	int one = 1, rc, fd;

	fd = socket(l->family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
	if (fd < 0)
		return -errno;
	/* Envoy's ipv4_compat is false by default: [::] does not take IPv4. */
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) ||
	    (l->family == AF_INET6 &&
	     setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one))) ||
	    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) ||
	    bind(fd, &addr.sa, len)) {
		rc = -errno;
		goto fail;
	}
	/* Before listen(): every child inherits the mark. */
	rc = sl_maps_socket_set(m, fd, &mark);
	if (rc)
		goto fail;
	if (listen(fd, BACKLOG)) {
		rc = -errno;
		goto fail;
	}
	return fd;
fail:
	close(fd);
	return rc;
}

static int publish(const struct sl_maps *m, __u8 family, const void *addr, __u16 port, __u32 index)
{
	struct sl_addr key = {.port = port};

	if (family == AF_INET) {
		key.addr[10] = 0xff;
		key.addr[11] = 0xff;
		memcpy(key.addr + 12, addr, 4);
		if (key.addr[12] == 127)
			memcpy(key.addr + 13, "\0\0\1", 3);
	} else {
		memcpy(key.addr, addr, 16);
	}
	return sl_maps_local_addr_add(m, &key, index);
}

static int publish_wildcard(const struct sl_maps *m, const struct sl_listener *l, __u32 index)
{
	struct ifaddrs *all, *i;
	int rc = 0;

	if (getifaddrs(&all))
		return -errno;
	for (i = all; i && !rc; i = i->ifa_next) {
		const union any_addr *a = (const void *)i->ifa_addr;

		if (!a || a->sa.sa_family != l->family)
			continue;
		rc = publish(m, l->family,
			     l->family == AF_INET ? (const void *)&a->in.sin_addr
						  : (const void *)&a->in6.sin6_addr,
			     l->port, index);
	}
	freeifaddrs(all);
	return rc;
}

/* Loopback addresses are those of this network namespace alone: the capture program needs its
 * cookie. */
static int publish_netns(const struct sl_maps *m)
{
	socklen_t len = sizeof(m->control->netns);
	int rc = 0, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	if (getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &m->control->netns, &len))
		rc = -errno;
	close(fd);
	return rc;
}

int sl_listen_publish(const struct sl_maps *m, const struct sl_compiled *c)
{
	int rc = publish_netns(m);

	for (__u32 i = 0; i < c->n_listeners && !rc; i++) {
		const struct sl_listener *l = &c->listeners[i];

		rc = l->wildcard ? publish_wildcard(m, l, i)
				 : publish(m, l->family, l->addr, l->port, i);
	}
	return rc;
}
