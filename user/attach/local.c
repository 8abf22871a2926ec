// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <string.h>

#include "attach/target.h"
#include "kernel/netns.h"

/* An interface's address, with @port. False: of no family of ours. */
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
	return ret->family == AF_INET || ret->family == AF_INET6;
}

/* Adds @a if @any takes it. */
static void add(struct sl_local *l, const struct sl_address *any, bool dual,
		const struct sl_address *a)
{
	if (l->n < SL_LOCAL_MAX && (a->family == any->family || dual))
		l->addresses[l->n++] = *a;
}

int sl_local_find(int netns, const struct sl_address *a, bool dual, struct sl_local *ret)
{
	const struct sl_address four = {.port = a->port, .family = AF_INET, .addr = {127, 0, 0, 1}};
	const struct sl_address six = {.port = a->port, .family = AF_INET6, .addr = {[15] = 1}};
	struct ifaddrs *list, *i;
	struct sl_address one;
	int back, rc;

	ret->n = 0;
	if (!sl_address_is_any(a)) {
		add(ret, a, dual, a);
		return 0;
	}
	rc = sl_netns_enter(netns, &back);
	if (rc)
		return rc;
	rc = getifaddrs(&list) ? -errno : 0;
	sl_netns_leave(back);
	if (rc)
		return rc;
	add(ret, a, dual, &six);
	add(ret, a, dual, &four);
	for (i = list; i; i = i->ifa_next)
		if (from_interface(i, a->port, &one))
			add(ret, a, dual, &one);
	freeifaddrs(list);
	return 0;
}
