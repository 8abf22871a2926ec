/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The compiled routing table: one value, written by the compiler
 * (user/config/compile.c, index.c), read by the matcher on both sides. Indices instead of
 * pointers; strings are spans of one pool; host byte order. sl_table_check() (user
 * side) proves every index in range before the table is published; the matcher
 * clamps all the same, since maps are a public interface.
 */
#ifndef SL_TABLE_H
#define SL_TABLE_H

#include "sl_types.h"
#include "sl_limits.h"

#define SL_STRING_SLACK 8

/* A span of sl_table.strings; len 0: the empty string. Not NUL-terminated. */
struct sl_str {
	__u32 off; /* bytes from the start of the pool */
	__u32 len; /* bytes */
};

/* In the order in which Envoy asks them: the first kind that has one decides. */
enum sl_domain_kind {
	SL_DOMAIN_EXACT,
	SL_DOMAIN_SUFFIX, /* "*.example.com", name: what follows the star; the longest one counts */
	SL_DOMAIN_PREFIX, /* "example.*", name: what precedes the star; the longest one counts */
	SL_DOMAIN_ANY,	  /* "*" */
};

/* sl_route_config.flags */
#define SL_CONFIG_IGNORE_PORT 0x1 /* ignore_port_in_host_matching */
#define SL_CONFIG_PLAIN_PATH 0x2  /* the kernel routes only plain paths (sl_plain.h) */
#define SL_CONFIG_PLAIN_HOST 0x4  /* ... and hosts */
#define SL_CONFIG_USER 0x8	  /* ... and nothing at all */
#define SL_CONFIG_NO_PARAMS 0x10  /* ignore_path_parameters_in_path_matching */
#define SL_CONFIG_FLAGS 0x1f

/* One route configuration; listeners with equal ones share it. */
struct sl_route_config {
	__u32 any;	    /* index + 1 of the domain "*"; 0: none */
	__u32 first_length; /* in sl_table.lengths: of its suffixes, longest first; then prefixes */
	__u16 n_suffixes;   /* distinct lengths */
	__u16 n_prefixes;
	__u32 n_exact;
	__u32 flags; /* SL_CONFIG_* */
	__u32 zero;
	struct sl_str
		vhost_header; /* lower case; the host by which the user path looks; len 0: Host */
};

/* sl_vhost.flags */
#define SL_VHOST_INDEXED 0x1	  /* else its routes are looked at one after the other */
#define SL_VHOST_EXACT 0x2	  /* has routes with `path` */
#define SL_VHOST_EXACT_FOLDED 0x4 /* ... and case_sensitive: false */
#define SL_VHOST_FLAGS 0x7

struct sl_vhost {
	__u32 first_route; /* routes of a virtual host are contiguous, in file order */
	__u32 n_routes;
	__u32 first_length; /* in sl_table.lengths: of its prefixes, ascending; then the folded */
	__u16 n_lengths;    /* distinct lengths of prefixes */
	__u16 n_folded;	    /* ... with case_sensitive: false */
	__u32 flags;	    /* SL_VHOST_* */
	__u32 zero[3];
};

/* One entry of a virtual host's `domains`. A star stands for at least one byte. */
struct sl_domain {
	struct sl_str name; /* lower case */
	__u16 vhost;	    /* index into vhosts */
	__u8 kind;	    /* enum sl_domain_kind */
	__u8 config;	    /* route configuration */
	__u32 zero[5];
	/* The same as in vhosts, for the matcher: in a large table each line that a request does
	 * not touch is one less to wait for. */
	struct sl_vhost routes;
};

/* All compare the path without its query (Envoy's PathMatcher). */
enum sl_path_kind {
	SL_PATH_PREFIX,	   /* bytes that begin it */
	SL_PATH_EXACT,	   /* all of it */
	SL_PATH_SEPARATED, /* all of it, or bytes that begin it, "/" behind them */
};

enum sl_action {
	SL_ACTION_CLUSTER, /* target: cluster index */
	SL_ACTION_SPLIT,   /* target: split id, key of the map `splits` */
	SL_ACTION_DIRECT,  /* target: status code; answered by the user path, or see SL_ROUTE_CANNED
			    */
};

/* sl_route.flags */
#define SL_ROUTE_NEEDS_USER 0x1 /* matches in the kernel, but is served by the user path */
#define SL_ROUTE_STICKY                                                                          \
	0x2		    /* the split's cluster is chosen by the request's hash (sl_cohort.h) \
			     */
#define SL_ROUTE_FOLDED 0x4 /* case_sensitive: false; path is lower case */
#define SL_ROUTE_CANNED \
	0x8 /* DIRECT, and NEEDS_USER: the kernel path answers some of its requests */
#define SL_ROUTE_FLAGS 0xf

struct sl_route {
	struct sl_str path;
	struct sl_str name; /* as `sluice weights` lists it: its name, else VHOST/INDEX */
	__u32 first_rule;   /* rules of a route are contiguous; all must match */
	__u32 target;	    /* by action */
	union {
		__u16 first_hash; /* hash rules of a route are contiguous */
		__u16 canned;	  /* CANNED: index into canned; it has no hash rules */
	};
	__u8 n_hashes;	/* at most SL_MAX_ROUTE_HASHES */
	__u8 n_rules;	/* at most SL_MAX_ROUTE_RULES */
	__u16 action;	/* enum sl_action */
	__u8 path_kind; /* enum sl_path_kind */
	__u8 flags;	/* SL_ROUTE_* */
};

enum sl_rule_what {
	SL_RULE_HEADER,	  /* values of repeated ones are joined by "," (Envoy) */
	SL_RULE_QUERY,	  /* the first parameter of the name, undecoded */
	SL_RULE_COOKIE,	  /* the first cookie of the name */
	SL_RULE_PATH,	  /* the path without its query; name: its template, else none */
	SL_RULE_FRACTION, /* draw % range.end < range.start (Envoy); no name */
};

enum sl_rule_kind {
	SL_RULE_PRESENT,
	SL_RULE_EXACT,
	SL_RULE_PREFIX,
	SL_RULE_SUFFIX,
	SL_RULE_CONTAINS,
	SL_RULE_RANGE, /* a decimal number n, range.start <= n < range.end */
	SL_RULE_REGEX, /* all of the value */
};

/* sl_rule.flags */
#define SL_RULE_INVERT 0x1
#define SL_RULE_NO_CASE 0x2    /* value is lower case */
#define SL_RULE_NO_MISSING 0x4 /* what is missing is an empty value */
#define SL_RULE_USER 0x8       /* only the user path can tell, or the kernel's way is not exact */

/*
 * One matcher. A missing header or parameter matches no value, inverted or not (Envoy), a missing
 * cookie matches an inverted one; PRESENT inverted is present_match: false.
 */
struct sl_rule {
	struct sl_str name; /* HEADER: lower case */
	union {
		struct sl_str value;
		struct {
			__s64 start;
			__s64 end;
		} range;
	};
	__u8 what;  /* enum sl_rule_what */
	__u8 kind;  /* enum sl_rule_kind */
	__u8 flags; /* SL_RULE_* */
	__u8 zero[5];
};

/*
 * The index. A slot is found by the hash of its kind, its owner and its key (sl_index.h); four
 * slots are a bucket, each key has two of them, and is in the second only if the first is full.
 */
enum sl_index_kind {
	SL_INDEX_DOMAIN,     /* + enum sl_domain_kind; owner: route configuration */
	SL_INDEX_EXACT = 4,  /* + 1: folded to lower case; owner: virtual host */
	SL_INDEX_PREFIX = 6, /* the same; of prefix and path_separated_prefix */
};

enum sl_hash_kind {
	SL_HASH_HEADER,	   /* name: lower case; values of repeated headers one after another */
	SL_HASH_COOKIE,	   /* name: the cookie's */
	SL_HASH_SOURCE_IP, /* no name */
	SL_HASH_QUERY,	   /* name: the parameter's */
};

/* sl_hash_rule.flags */
#define SL_HASH_TERMINAL 0x1 /* with a hash so far, the rules behind it do not count */
#define SL_HASH_GENERATE 0x2 /* a cookie that is missing is made: on the user path */

/* One HashPolicy of a route. */
struct sl_hash_rule {
	struct sl_str name;
	struct sl_str attributes; /* of a cookie that is made: "; Max-Age=60; Path=/; HttpOnly" */
	__u8 kind;		  /* enum sl_hash_kind */
	__u8 flags;		  /* SL_HASH_* */
	__u8 zero[6];
};

/* sl_canned.flags */
#define SL_CANNED_NO_QUERY 0x1 /* only for a request without a query: Location would have it */

/*
 * An answer that is the same for every request but for its date, as the user path gives it. Behind
 * the first @head bytes of the text, which end with "date:", go white space as needed and
 * SL_DATE_LINE bytes. Words of eight bytes are copied: neither part is shorter.
 */
struct sl_canned {
	struct sl_str text;
	__u16 head;
	__u16 status;
	__u8 flags; /* SL_CANNED_* */
	__u8 zero[3];
};

#define SL_CANNED_PART_MIN 8

#define SL_NO_PATH 0xffffU

struct sl_slot {
	__u64 hash;  /* 0: empty; no two slots have the same */
	__u32 key;   /* offset in the pool */
	__u16 len;   /* of the key */
	__u16 value; /* DOMAIN: the domain; else the longest path that the key has, or SL_NO_PATH */
};

/*
 * One path that routes of a virtual host have. The routes that a request's path leads to are those
 * of the path it equals and those of the longest prefix of it, `own` and `up` each. Lists are
 * ascending, end with SL_LIST_END, and are cut behind the first route that takes every request.
 */
struct sl_path {
	__u32 own; /* in sl_table.lists: routes with this path */
	__u32 up;  /* in sl_table.lists: routes with a shorter prefix of it */
};

#define SL_LIST_END 0xffffU

/* sl_table.flags */
#define SL_TABLE_DRAWS 0x1 /* a rule is a FRACTION */
#define SL_TABLE_PLAIN 0x2 /* a route configuration has PLAIN_PATH or PLAIN_HOST */

/*
 * Value of the inner map (one entry) of the map `tables`. The kernel and the daemon
 * read the very same bytes.
 */
struct sl_table {
	__u32 generation; /* of the config: 1, 2, ... */
	__u32 flags;	  /* SL_TABLE_* */
	__u32 n_listeners;
	__u32 n_configs;
	__u32 n_domains;
	__u32 n_vhosts;
	__u32 n_routes;
	__u32 n_rules;
	__u32 n_clusters;
	__u32 n_endpoints;
	__u32 n_splits;
	__u32 n_hash_rules;
	__u32 n_canned;
	__u32 n_paths;
	__u32 n_listed;
	__u32 n_lengths;
	__u32 n_buckets; /* power of two, or 0: no slot is in use */
	__u32 seed;	 /* of the hash */
	__u32 zero2;
	/*
	 * 0. A number that starts from it has no bounds for the verifier, which would else follow
	 * them through each turn of a loop.
	 */
	__u32 zero;
	__u8 config_of[SL_MAX_LISTENERS]; /* listener -> route configuration */
	struct sl_route_config configs[SL_MAX_LISTENERS];
	struct sl_domain domains[SL_MAX_DOMAINS];
	struct sl_vhost vhosts[SL_MAX_VHOSTS];
	struct sl_route routes[SL_MAX_ROUTES];
	struct sl_rule rules[SL_MAX_RULES];
	struct sl_hash_rule hash_rules[SL_MAX_HASH_RULES];
	struct sl_canned canned[SL_MAX_CANNED];
	struct sl_slot slots[SL_INDEX_SLOTS];
	struct sl_path paths[SL_MAX_ROUTES];
	__u16 lists[SL_INDEX_LISTED]; /* route indices; the first is SL_LIST_END: no routes */
	__u16 lengths[SL_INDEX_LENGTHS];
	__u8 strings[SL_STRING_POOL];
	__u8 slack[SL_STRING_SLACK]; /* zeros: eight bytes can be loaded at any offset of strings */
};

_Static_assert(sizeof(struct sl_route) == 32 && sizeof(struct sl_rule) == 32 &&
		       sizeof(struct sl_vhost) == 32 && sizeof(struct sl_slot) == 16 &&
		       sizeof(struct sl_domain) == 64,
	       "indexed by a shift, and whole in a cache line");
_Static_assert(SL_MAX_ROUTES < SL_NO_PATH && SL_MAX_DOMAINS < 65536, "fit into 16 bits");

/*
 * Map `splits`, hash: __u32 split id -> this. The weights of one route: the value to
 * write with `bpftool map update`; an update swaps it whole and the next request sees
 * it. Weights are relative to their sum (any sum from 1 to 2^32 - 1); weight 0 gets
 * nothing. A sum of 0 is not routable: the request takes the user path, which
 * answers 503.
 */
struct sl_split_target {
	__u32 cluster; /* index into the map `clusters` */
	__u32 weight;
};

struct sl_split {
	__u32 n_targets; /* 1 .. SL_MAX_SPLIT_TARGETS; more is read as the maximum */
	__u32 route;	 /* index of the route, for people; not read by the data path */
	struct sl_split_target targets[SL_MAX_SPLIT_TARGETS];
};

#define SL_NAME_MAX 64 /* bytes of a name in a map, NUL included; longer ones are cut */

/* Slots of the map `lb_slots`; len 0: none. */
struct sl_region {
	__u32 off;
	__u32 len;
};

/* Map `clusters`, array (mmap-able): cluster index -> this. */
struct sl_cluster {
	__u32 first_endpoint; /* the others: sl_endpoint.next */
	__u32 n_endpoints;
	__u64 view; /* sl_lb.h: who is picked; written by the daemon. 0: nobody: 503 */
	__u64 turn; /* requests shared out; written by BPF and the daemon, atomically */
	__u32 connect_timeout_ms;
	__u32 max_lanes; /* circuit breaker max_connections */
	__u32 flags;	 /* SL_CLUSTER_*; written by the daemon, atomically */
	/*
	 * 0: it is of the config. SL_CLUSTER_GONE: no more, and something under way may name it.
	 * Else its number is free, from the lowest on: it went first. Written by the daemon.
	 */
	__u32 gone;
	struct sl_region
		regions[2]; /* of lb_slots: this view's, the one's before it; the daemon's */
	__u64 n_lanes;	    /* lanes that exist; written by the daemon */
	__u64 name_hash; /* sl_hash_span() of the whole name: whose cohort it is, whatever its index
			  */
	char name[SL_NAME_MAX];
};

#define SL_CLUSTER_GONE (~0U)

/* Requests wait for a lane of it: those that come later go behind them, to the daemon. */
#define SL_CLUSTER_WAITING 0x1
/*
 * None of its endpoints is healthy: splits give it nothing, unless that is so of all their clusters
 * that have a weight (Envoy: WeightedClusterSpecifierPlugin::healthawareClusterWeight()).
 */
#define SL_CLUSTER_DOWN 0x2

/*
 * First endpoint (low half) and their number, read and written at once: a reload and a name's new
 * addresses change both. They are the first two words.
 */
SL_FN __u64 sl_cluster_range(const struct sl_cluster *c)
{
	const void *words = c;

	return *(const volatile __u64 __attribute__((may_alias)) *)words;
}

SL_FN void sl_cluster_range_set(struct sl_cluster *c, __u64 range)
{
	void *words = c;

	*(volatile __u64 __attribute__((may_alias)) *)words = range;
}

/* Map `endpoints`, array (mmap-able): endpoint index -> this. */
struct sl_endpoint {
	__u32 cluster; /* index of its cluster */
	__u16 port;    /* host byte order */
	__u8 family;   /* AF_INET, AF_INET6 or AF_UNIX; 0: no endpoint */
	__u8 flags;    /* SL_ENDPOINT_* */
	__u8 addr[16]; /* network byte order; IPv4 in the first four bytes; AF_UNIX: sl_pipe.key */
	__u32 busy;    /* lanes that are not idle; BPF and the daemon, atomically */
	__u32 weight;  /* in the cluster's view; the daemon */
	/* Outlier detection, when WATCHED: failures one after another, and how many are too many.
	 */
	__u32 n_5xx; /* BPF and the daemon, atomically */
	__u32 n_gateway;
	__u32 limit_5xx; /* the daemon; 0: any number */
	__u32 limit_gateway;
	__u32 next; /* index + 1 of the next of its cluster; 0: it is the last; the daemon */
	__u32 zero[3];
};

_Static_assert(sizeof(struct sl_endpoint) == 64, "a cache line each");

#define SL_AF_UNIX 1 /* AF_UNIX, for BPF */

/* Map `pipes`, hash: key -> path of a UNIX-domain socket that an endpoint has. */
struct sl_pipe {
	__u64 key;		/* hash of the path */
	char path[SL_PIPE_MAX]; /* ends with NUL; "@name": of the abstract socket "name" */
	__u32 zero;
};

#define SL_ENDPOINT_DRAINING 0x1 /* gets no new requests: has left its cluster */
#define SL_ENDPOINT_OUT 0x2	 /* gets no new requests: not in the cluster's view */
#define SL_ENDPOINT_WATCHED 0x4	 /* its answers' statuses are looked at */
#define SL_ENDPOINT_CLOSED (SL_ENDPOINT_DRAINING | SL_ENDPOINT_OUT)
/* Network namespace to connect from, as sl_listener.netns; in the upper half of the flags. */
#define SL_ENDPOINT_NETNS_SHIFT 4
#define SL_ENDPOINT_NETNS(e) ((__u32)(e)->flags >> SL_ENDPOINT_NETNS_SHIFT)

/*
 * A cluster's endpoints, by index, in order. They may change as one looks from another process: so
 * there is an end in any case.
 */
#define SL_NO_ENDPOINT 0xffffffffU

SL_FN __u32 sl_endpoint_first(const struct sl_cluster *c)
{
	__u64 range = sl_cluster_range(c);

	return range >> 32 ? (__u32)range : SL_NO_ENDPOINT;
}

SL_FN __u32 sl_endpoint_next(const struct sl_endpoint *endpoints, __u32 i)
{
	return SL_READ(endpoints[i].next) - 1;
}

#define sl_each_endpoint(i, c, endpoints)                                 \
	for (__u32 i = sl_endpoint_first(c), i##_left = SL_MAX_ENDPOINTS; \
	     i < SL_MAX_ENDPOINTS && i##_left; i = sl_endpoint_next(endpoints, i), i##_left--)

/* Map `hosts`, array (mmap-able): endpoint index -> what the daemon knows of its health. */
struct sl_host {
	__u32 flags;	/* SL_HOST_* */
	__u32 streak;	/* checks one after another that say other than flags do */
	__u32 checks;	/* made */
	__u32 failures; /* of them failed */
	__u32 ejections;
	__u32 backoff;	  /* times base_ejection_time that an ejection takes; grows and shrinks */
	__u32 jitter_ms;  /* of the ejection */
	__u32 member;	  /* 1 + which of the config's it is or comes from; 0: not known */
	__u64 ejected_ns; /* CLOCK_MONOTONIC */
	__u64 healthy_ns; /* since then; 0: since before there was anybody to see it */
	__u32 member_before; /* ... while a reload writes: of the config before it */
	__u32 zero2[3];
};

/* sl_host.flags: healthy without the first three; Envoy's names are failed_active_hc and so on. */
#define SL_HOST_FAILED_CHECK 0x1
#define SL_HOST_EJECTED 0x2 /* by outlier detection */
#define SL_HOST_PENDING 0x4 /* its first check is not done */
#define SL_HOST_UNHEALTHY (SL_HOST_FAILED_CHECK | SL_HOST_EJECTED)

/* Map `routes`, array: route index -> this. For people and `sluice weights`; not read by BPF. */
struct sl_route_info {
	__u32 action; /* enum sl_action */
	__u32 target; /* by action: cluster index, split id, or status */
	char name[SL_NAME_MAX];
	char match[SL_NAME_MAX]; /* as text: "prefix /service/1, x-canary-version: service1a" */
};

/*
 * Map `sequences`, array (mmap-able): split id -> this. Position in the split's
 * low-discrepancy sequence: requests picked so far. Written by BPF and the daemon,
 * atomically. A cache line each.
 */
struct sl_sequence {
	__u64 n;
	__u64 down; /* 1: some cluster is SL_CLUSTER_DOWN, of this split or not; the daemon's */
	__u64 zero[6];
};

#endif /* SL_TABLE_H */
