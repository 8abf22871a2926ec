// SPDX-License-Identifier: GPL-2.0-only
#include "config/internal_address.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

static bool in_range(const struct sl_cidr *r, int family, const __u8 addr[16])
{
	__u32 bytes = r->bits / 8, rest = r->bits % 8;

	if (r->family != family || memcmp(r->addr, addr, bytes))
		return false;
	return !rest || !((r->addr[bytes] ^ addr[bytes]) >> (8 - rest));
}

bool sl_address_is_internal(const struct sl_forwarded *o, int family, const __u8 addr[16])
{
	for (__u32 i = 0; i < o->n_internal; i++)
		if (in_range(&o->internal[i], family, addr))
			return true;
	return false;
}

/* The first of the addresses in X-Forwarded-For, len 0: there is none; and how many they are. */
static struct sl_span forwarded_for(const struct sl_head *h, const __u8 *buf, __u32 *ret_n)
{
	struct sl_span found = {0};

	*ret_n = 0;
	for (__u32 i = h->n_headers; i-- > 0;) {
		struct sl_span name = h->headers[i].name, value = h->headers[i].value;
		__u32 end = value.off + value.len;

		if (name.len != 15 ||
		    strncasecmp((const char *)buf + name.off, "x-forwarded-for", 15))
			continue;
		for (__u32 at = end;; at--) {
			if (at != value.off && buf[at - 1] != ',')
				continue;
			found = (struct sl_span){at, end - at};
			(*ret_n)++;
			if (at == value.off)
				break;
			end = at - 1;
		}
	}
	return found;
}

/* AF_INET, AF_INET6, or 0: it is no address. */
static int parse(const __u8 *buf, struct sl_span s, __u8 addr[16])
{
	char word[INET6_ADDRSTRLEN];

	while (s.len && strchr(" \t", buf[s.off]))
		s.off++, s.len--;
	while (s.len && strchr(" \t", buf[s.off + s.len - 1]))
		s.len--;
	if (!s.len || s.len >= sizeof(word))
		return 0;
	memcpy(word, buf + s.off, s.len);
	word[s.len] = '\0';
	memset(addr, 0, 16);
	return inet_pton(AF_INET, word, addr) == 1    ? AF_INET
	       : inet_pton(AF_INET6, word, addr) == 1 ? AF_INET6
						      : 0;
}

bool sl_request_is_internal(const struct sl_forwarded *o, const struct sl_head *h, const __u8 *buf,
			    int family, const __u8 addr[16])
{
	struct sl_span last;
	__u8 said[16];
	__u32 n;

	if (!o->n_internal)
		return false;
	last = forwarded_for(h, buf, &n);
	if (o->use_remote_address)
		return !n && sl_address_is_internal(o, family, addr);
	return n == 1 && !o->trusted_hops &&
	       sl_address_is_internal(o, parse(buf, last, said), said);
}
