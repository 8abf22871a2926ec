// SPDX-License-Identifier: GPL-2.0-only
/* Where lanes reach the application, without a packet sent: by what the kernel's routes say. */
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "attach/target.h"
#include "kernel/netns.h"

/* Whatever is local goes over `lo`, and is lost there while it is down. */
static bool loopback_is_up(int sock)
{
	struct ifreq r = {.ifr_name = "lo"};

	return !ioctl(sock, SIOCGIFFLAGS, &r) && (r.ifr_flags & IFF_UP);
}

/* Whether there is a route to @a, in the calling thread's namespace. */
static bool is_routed(const struct sl_address *a)
{
	struct sockaddr_in6 a6 = {.sin6_family = AF_INET6, .sin6_port = htons(a->port)};
	struct sockaddr_in a4 = {.sin_family = AF_INET, .sin_port = htons(a->port)};
	int sock = socket(a->family, SOCK_DGRAM | SOCK_CLOEXEC, 0), rc;

	if (sock < 0)
		return false;
	memcpy(&a6.sin6_addr, a->addr, sizeof(a6.sin6_addr));
	memcpy(&a4.sin_addr, a->addr, sizeof(a4.sin_addr));
	rc = a->family == AF_INET6 ? connect(sock, (struct sockaddr *)&a6, sizeof(a6))
				   : connect(sock, (struct sockaddr *)&a4, sizeof(a4));
	rc = rc || !loopback_is_up(sock);
	close(sock);
	return !rc;
}

/* Whether a connection to @a would be the target's, and not that of somebody on just this
 * address. */
static bool leads_to(const struct sl_target *t, const struct sl_listening *all, __u32 n,
		     const struct sl_address *a)
{
	struct sl_target got;

	return !sl_target_find(all, n, a, &got) &&
	       sl_address_equal(&got.first.address, &t->first.address) && is_routed(a);
}

/* An interface's address, with @t's port. False: of no family of ours. */
static bool from_interface(const struct ifaddrs *i, __u16 port, struct sl_address *ret)
{
	const void *addr = i->ifa_addr;

	if (!addr)
		return false;
	*ret = (struct sl_address){.port = port, .family = i->ifa_addr->sa_family};
	if (ret->family == AF_INET)
		memcpy(ret->addr, &((const struct sockaddr_in *)addr)->sin_addr, 4);
	else if (ret->family == AF_INET6)
		memcpy(ret->addr, &((const struct sockaddr_in6 *)addr)->sin6_addr, 16);
	else
		return false;
	/* Link-local: no connection to it without its interface. */
	return ret->family == AF_INET || !IN6_IS_ADDR_LINKLOCAL((struct in6_addr *)ret->addr);
}

static int reach_wildcard(const struct sl_target *t, const struct sl_listening *all, __u32 n,
			  struct sl_address *ret)
{
	const struct sl_address loopback[] = {
		{.port = t->address.port, .family = AF_INET6, .addr = {[15] = 1}},
		{.port = t->address.port, .family = AF_INET, .addr = {127, 0, 0, 1}},
	};
	struct ifaddrs *list, *i;
	int rc = -EHOSTUNREACH;

	for (size_t k = 0; k < sizeof(loopback) / sizeof(loopback[0]); k++) {
		*ret = loopback[k];
		if (leads_to(t, all, n, ret))
			return 0;
	}
	if (getifaddrs(&list))
		return -errno;
	for (i = list; i && rc; i = i->ifa_next)
		if (from_interface(i, t->address.port, ret) && leads_to(t, all, n, ret))
			rc = 0;
	freeifaddrs(list);
	return rc;
}

int sl_target_reach(int netns, const struct sl_target *t, const struct sl_listening *all, __u32 n,
		    struct sl_address *ret)
{
	int back, rc = sl_netns_enter(netns, &back);

	if (rc)
		return rc;
	*ret = t->address;
	if (sl_address_is_any(ret))
		rc = reach_wildcard(t, all, n, ret);
	else if (!is_routed(ret))
		rc = -EHOSTUNREACH;
	sl_netns_leave(back);
	return rc;
}
