// SPDX-License-Identifier: GPL-2.0-only
#include "daemon/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kernel/netns.h"

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

/*
 * Where the socket of an attached listener is bound: steered connections keep the address that they
 * were made to.
 */
static socklen_t loopback_addr(const struct sl_listener *l, union any_addr *a)
{
	memset(a, 0, sizeof(*a));
	a->sa.sa_family = l->family;
	if (l->family == AF_INET) {
		a->in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		return sizeof(a->in);
	}
	/* Bound to one address it would take no IPv4 (__inet6_bind()), which [::] may. */
	a->in6.sin6_addr = l->wildcard ? in6addr_any : in6addr_loopback;
	return sizeof(a->in6);
}

static int set_options(int fd, const struct sl_listener *l)
{
	/* Envoy's ipv4_compat is false by default: [::] does not take IPv4. An application's may.
	 */
	int one = 1, only6 = !l->attach;

	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) ||
	    (l->family == AF_INET6 &&
	     setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only6, sizeof(only6))) ||
	    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) ||
	    /* RFC 6093: urgent data is in band; BPF counts it so, too. */
	    setsockopt(fd, SOL_SOCKET, SO_OOBINLINE, &one, sizeof(one)))
		return -errno;
	return 0;
}

int sl_listen_open(const struct sl_maps *m, const struct sl_compiled *c, __u32 index, int netns)
{
	struct sl_socket mark = {.role = SL_ROLE_LISTENER, .slot = index};
	const struct sl_listener *l = &c->listeners[index];
	union any_addr addr;
	socklen_t len = l->attach ? loopback_addr(l, &addr) : listener_addr(l, &addr);
	int rc, fd;

	fd = sl_netns_socket(netns, l->family, SOCK_STREAM | SOCK_NONBLOCK, IPPROTO_TCP);
	if (fd < 0)
		return fd;
	rc = set_options(fd, l);
	if (!rc && bind(fd, &addr.sa, len))
		rc = -errno;
	/* Before listen(): every child inherits the mark. */
	if (!rc)
		rc = sl_maps_socket_set(m, fd, &mark);
	if (!rc && listen(fd, BACKLOG))
		rc = -errno;
	if (!rc)
		return fd;
	close(fd);
	return rc;
}

static int publish(const struct sl_maps *m, const struct sl_address *a, __u64 netns, __u32 index)
{
	struct sl_addr key;

	sl_local_addr(&key, a, netns);
	return sl_maps_local_addr_add(m, &key, index);
}

/* Every address of the calling thread's namespace that a listener on a wildcard takes. */
static int publish_all(const struct sl_maps *m, const struct sl_listener *l, __u64 netns,
		       __u32 index)
{
	struct ifaddrs *all, *i;
	int rc = 0;

	if (getifaddrs(&all))
		return -errno;
	for (i = all; i && !rc; i = i->ifa_next) {
		const union any_addr *from = (const void *)i->ifa_addr;
		struct sl_address a = {.port = l->port};

		if (!from)
			continue;
		a.family = from->sa.sa_family;
		/* Attached, [::] may take IPv4, too. */
		if (a.family == AF_INET && (l->family == AF_INET || l->attach))
			memcpy(a.addr, &from->in.sin_addr, 4);
		else if (a.family == AF_INET6 && l->family == AF_INET6)
			memcpy(a.addr, &from->in6.sin6_addr, 16);
		else
			continue;
		rc = publish(m, &a, netns, index);
	}
	freeifaddrs(all);
	return rc;
}

static int publish_wildcard(const struct sl_maps *m, const struct sl_listener *l, int netns_fd,
			    __u64 netns, __u32 index)
{
	int back, rc = sl_netns_enter(netns_fd, &back);

	if (rc)
		return rc;
	rc = publish_all(m, l, netns, index);
	sl_netns_leave(back);
	return rc;
}

int sl_listen_publish(const struct sl_maps *m, const struct sl_compiled *c, const int *netns)
{
	int rc = sl_netns_cookie(-1, &m->control->netns);

	for (__u32 i = 0; i < c->n_listeners && !rc; i++) {
		const struct sl_listener *l = &c->listeners[i];
		struct sl_address a = {.port = l->port, .family = l->family};
		int fd = l->netns ? netns[l->netns - 1] : -1;
		__u64 cookie;

		if (l->l4)
			continue; /* no connection of ours */
		memcpy(a.addr, l->addr, sizeof(a.addr));
		rc = sl_netns_cookie(fd, &cookie);
		if (!rc)
			rc = l->wildcard ? publish_wildcard(m, l, fd, cookie, i)
					 : publish(m, &a, cookie, i);
	}
	return rc;
}

void sl_listen_limits(struct sl_control *control, const struct sl_compiled *c)
{
	__u32 max_head = SL_NO_LIMIT, max_headers = SL_NO_LIMIT;

	for (__u32 i = 0; i < c->n_listeners; i++) {
		const struct sl_listener_limits *l = &c->listeners[i].limits;

		if (l->max_head < max_head)
			max_head = l->max_head;
		if (l->max_headers < max_headers)
			max_headers = l->max_headers;
	}
	SL_WRITE(control->max_head, max_head);
	SL_WRITE(control->max_headers, max_headers);
}
