/* SPDX-License-Identifier: GPL-2.0-only */
/* IP address and TCP port, as people write them and as the maps hold them. */
#ifndef SL_ADDRESS_H
#define SL_ADDRESS_H

#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>

#define SL_ADDRESS_MAX 56 /* bytes of "[ADDRESS]:PORT", NUL included */

struct sl_address {
	__u8 addr[16]; /* network byte order; IPv4 in the first four bytes, the rest zero */
	__u16 port;    /* host byte order */
	__u8 family;   /* AF_INET or AF_INET6 */
};

/* "127.0.0.1:80" or "[::1]:80" -> @ret, an IPv4 mapped one as IPv4. 0 or -EINVAL. */
int sl_address_parse(const char *text, struct sl_address *ret);

/* An IPv6 socket on ::ffff:a.b.c.d, as Java opens them, is one on a.b.c.d. */
void sl_address_unmap(struct sl_address *a);

/* The other way; @buf of SL_ADDRESS_MAX bytes, which is returned. */
const char *sl_address_text(char *buf, const struct sl_address *a);

/* The address with IPv4 mapped (::ffff:a.b.c.d), 16 bytes in network byte order. */
void sl_address_mapped(__u8 ret[16], const struct sl_address *a);

/* 0.0.0.0 or :: */
bool sl_address_is_any(const struct sl_address *a);
bool sl_address_equal(const struct sl_address *a, const struct sl_address *b);

#endif /* SL_ADDRESS_H */
