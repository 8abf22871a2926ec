/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Names are asked for without waiting: by c-ares, which looks into /etc/hosts, asks the servers
 * (of /etc/resolv.conf, as it is then, unless the config names others) by UDP, and by TCP when an
 * answer is cut. For one event loop: it polls one descriptor.
 */
#ifndef SL_DNS_RESOLVER_H
#define SL_DNS_RESOLVER_H

#include "config/dns.h"

struct sl_dns;

struct sl_dns_answer {
	enum sl_dns_status status; /* FOUND, NONE or FAILED */
	const char *why;	   /* FAILED */
	const struct sl_dns_address *addresses;
	__u32 n;
	__u32 ttl_s;	    /* the least; 0: not known */
	__u8 failed_family; /* ALL: the one that has failed while the other was found; else 0 */
};

/* 0 or -errno. */
int sl_dns_new(struct sl_dns **ret);
/* What is under way is dropped. NULL is fine. */
void sl_dns_free(struct sl_dns *d);

/* Readable when sl_dns_process() has something to do; that also wants to be called in time. */
int sl_dns_fd(const struct sl_dns *d);
int sl_dns_timeout_ms(const struct sl_dns *d, int most);
void sl_dns_process(struct sl_dns *d);

/*
 * Asks @how for @host's addresses. @fn is called once, maybe before this returns, unless @d is
 * freed before. 0 or -errno: it is not called.
 */
int sl_dns_ask(struct sl_dns *d, const struct sl_dns_resolver *how, const char *host,
	       enum sl_dns_family family, void (*fn)(void *ctx, const struct sl_dns_answer *a),
	       void *ctx);

#endif /* SL_DNS_RESOLVER_H */
