// SPDX-License-Identifier: GPL-2.0-only
/* Where lanes reach the application, without a packet sent: by what the kernel's routes say. */
#include <errno.h>
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

/* Whether there is a route to @a in @netns. */
static bool is_routed(int netns, const struct sl_address *a)
{
	struct sockaddr_in6 a6 = {.sin6_family = AF_INET6, .sin6_port = htons(a->port)};
	struct sockaddr_in a4 = {.sin_family = AF_INET, .sin_port = htons(a->port)};
	int sock = sl_netns_socket(netns, a->family, SOCK_DGRAM, 0), rc;

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

int sl_target_reach(int netns, const struct sl_target *t, const struct sl_listening *all, __u32 n,
		    struct sl_address *ret)
{
	struct sl_local local;
	struct sl_target got;
	int rc = sl_local_find(netns, &t->address, t->dual, &local);

	for (__u32 i = 0; i < local.n && !rc; i++) {
		*ret = local.addresses[i];
		/* The target's, and not that of somebody on just this address. */
		if (!sl_target_find(all, n, ret, &got) &&
		    sl_address_equal(&got.first.address, &t->first.address) &&
		    is_routed(netns, ret))
			return 0;
	}
	return rc ? rc : -EHOSTUNREACH;
}
