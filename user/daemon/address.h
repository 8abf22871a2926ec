/* SPDX-License-Identifier: GPL-2.0-only */
/* Addresses of a session's two ends, as headers name them. */
#ifndef SL_DAEMON_ADDRESS_H
#define SL_DAEMON_ADDRESS_H

#include "daemon/lines.h"

#define ADDRESS_TEXT 64

struct address {
	__u8 addr[16]; /* network byte order; IPv4 in the first four bytes */
	__u16 port;    /* host byte order */
	__u8 family;   /* AF_INET, AF_INET6; 0: not known */
};

/* The peer's (else our own) end of a connected socket. IPv4 on an IPv6 socket is told as IPv4. */
struct address address_of(int fd, bool peer);

/* "1.2.3.4" or, with @port, "1.2.3.4:80", "[::1]:80"; empty: not known. */
void address_text(const struct address *a, bool port, char ret[ADDRESS_TEXT]);

/*
 * The address in X-Forwarded-For that has @skip others behind it (Utility::getLastAddressFromXFF).
 * Family 0: there is none.
 */
struct address address_forwarded(struct lines *request, __u32 skip);

#endif /* SL_DAEMON_ADDRESS_H */
