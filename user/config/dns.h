/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Endpoints as the config has them: members of clusters, some of them with an address, some with a
 * name that has none, one or many. Part of sl_compiled.
 */
#ifndef SL_CONFIG_DNS_H
#define SL_CONFIG_DNS_H

#include "config/cluster_lb.h"
#include "sl_table.h"

/* Envoy's DnsLookupFamily. */
enum sl_dns_family {
	SL_DNS_AUTO, /* IPv6 if this host has it, else IPv4 */
	SL_DNS_V4_ONLY,
	SL_DNS_V6_ONLY,
	SL_DNS_V4_PREFERRED,
	SL_DNS_ALL,
};

/* Whom to ask, and how. */
struct sl_dns_resolver {
	char *servers; /* "10.0.0.1:53,[::1]:5353"; NULL: those of /etc/resolv.conf */
	bool tcp;
	bool no_search; /* the search list of resolv.conf is not used */
	bool rotate;
	__u32 timeout_ms; /* of the first try; 0: as resolv.conf says, else 5 s */
	__u32 tries;	  /* 0: likewise, else 4 */
};

struct sl_dns_rules {
	__u32 resolver; /* index */
	__u8 family;	/* enum sl_dns_family */
	bool logical;	/* LOGICAL_DNS: one endpoint, the first of the addresses */
	bool respect_ttl;
	bool no_wait;	  /* wait_for_warm_on_init: false */
	__u32 refresh_ms; /* after an answer */
	__u32 jitter_ms;
	__u32 failure_ms; /* after a failure: a random time below it, which doubles */
	__u32 failure_max_ms;
};

struct sl_dns_address {
	__u8 family; /* AF_INET or AF_INET6 */
	__u8 addr[16];
};

enum sl_dns_status {
	SL_DNS_UNKNOWN, /* not asked yet */
	SL_DNS_FOUND,
	SL_DNS_NONE,   /* no such name, or it has no address of the family */
	SL_DNS_FAILED, /* no answer, or one that says so */
};

struct sl_name {
	char *host;
	struct sl_dns_rules rules;
	struct sl_dns_address *addresses; /* [n_addresses]: the last answer's */
	__u32 n_addresses;
	enum sl_dns_status status; /* of the last answer */
	const char *why;	   /* FAILED; a literal */
	__u64 due_ns;		   /* when the daemon asks again; 0: not decided */
	__u32 ttl_s;		   /* the least of them; 0: not known */
};

#define SL_NO_NAME 0xffffffffU

/* One lb_endpoint of the config. */
struct sl_member {
	__u32 cluster;
	__u32 name;		     /* index; SL_NO_NAME: it has an address */
	struct sl_endpoint endpoint; /* of a name: port and namespace alone */
	struct sl_host_config host;
	char *hostname; /* hostname, else the name that has its addresses; NULL: neither */
};

struct sl_compiled;

bool sl_dns_resolver_equal(const struct sl_dns_resolver *a, const struct sl_dns_resolver *b);

/*
 * members.c: lays out the endpoints of all clusters, one cluster behind the other, with the
 * addresses that names have now. False: they were too many, and the last ones are left out.
 */
bool sl_members_place(struct sl_compiled *c);

/* The endpoints of @cluster into @ret and @ret_hosts, @max at most; their number. */
__u32 sl_members_of(const struct sl_compiled *c, __u32 cluster, struct sl_endpoint *ret,
		    struct sl_host_config *ret_hosts, __u32 max);

/* Takes @n addresses for @name's; sorted unless it is of a LOGICAL_DNS cluster. 0 or -ENOMEM. */
int sl_name_set(struct sl_name *name, const struct sl_dns_address *addresses, __u32 n);

void sl_members_free(struct sl_compiled *c);

#endif /* SL_CONFIG_DNS_H */
