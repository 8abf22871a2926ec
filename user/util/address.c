// SPDX-License-Identifier: GPL-2.0-only
#include "util/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "util/parse.h"

int sl_address_parse(const char *text, struct sl_address *ret)
{
	const char *colon = strrchr(text, ':'), *from = text, *to = colon;
	char ip[INET6_ADDRSTRLEN];
	__u32 port;

	memset(ret, 0, sizeof(*ret));
	if (!colon || sl_parse_u32(colon + 1, 65535, &port) || !port)
		return -EINVAL;
	ret->family = AF_INET;
	if (*from == '[') {
		ret->family = AF_INET6;
		from++;
		if (*--to != ']')
			return -EINVAL;
	}
	if (to <= from || (size_t)(to - from) >= sizeof(ip))
		return -EINVAL;
	memcpy(ip, from, to - from);
	ip[to - from] = '\0';
	ret->port = port;
	if (inet_pton(ret->family, ip, ret->addr) != 1)
		return -EINVAL;
	sl_address_unmap(ret);
	return 0;
}

void sl_address_unmap(struct sl_address *a)
{
	static const __u8 mapped[12] = {[10] = 0xff, [11] = 0xff};

	if (a->family != AF_INET6 || memcmp(a->addr, mapped, sizeof(mapped)))
		return;
	a->family = AF_INET;
	memcpy(a->addr, a->addr + 12, 4);
	memset(a->addr + 4, 0, 12);
}

const char *sl_address_text(char *buf, const struct sl_address *a)
{
	char ip[INET6_ADDRSTRLEN] = "?";

	inet_ntop(a->family, a->addr, ip, sizeof(ip));
	snprintf(buf, SL_ADDRESS_MAX, a->family == AF_INET6 ? "[%s]:%u" : "%s:%u", ip, a->port);
	return buf;
}

void sl_address_mapped(__u8 ret[16], const struct sl_address *a)
{
	memset(ret, 0, 16);
	if (a->family == AF_INET6) {
		memcpy(ret, a->addr, 16);
		return;
	}
	ret[10] = 0xff;
	ret[11] = 0xff;
	memcpy(ret + 12, a->addr, 4);
}

bool sl_address_is_any(const struct sl_address *a)
{
	static const __u8 zero[16];

	return !memcmp(a->addr, zero, sizeof(zero));
}

bool sl_address_equal(const struct sl_address *a, const struct sl_address *b)
{
	return a->family == b->family && a->port == b->port &&
	       !memcmp(a->addr, b->addr, sizeof(a->addr));
}
