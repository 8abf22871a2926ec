/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the user path does to the requests of a route besides passing them on: the part of the
 * compiled config that BPF never reads. Strings are NUL-terminated and live in the arena of
 * struct sl_actions.
 */
#ifndef SL_ACTIONS_H
#define SL_ACTIONS_H

#include "config/arena.h"
#include "sl_types.h"

#define SL_HEADER_CHANGES_MAX 32 /* headers to add, and to remove, in one list */

/* Envoy's command operators (config_manager/access_log): what a header's value can name. */
#define SL_FORMATS(X)                                                            \
	X(REQ, "REQ")                                                            \
	X(RESP, "RESP")                                                          \
	X(DOWNSTREAM_REMOTE, "DOWNSTREAM_REMOTE_ADDRESS")                        \
	X(DOWNSTREAM_REMOTE_IP, "DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT")        \
	X(DOWNSTREAM_REMOTE_PORT, "DOWNSTREAM_REMOTE_PORT")                      \
	X(DOWNSTREAM_DIRECT, "DOWNSTREAM_DIRECT_REMOTE_ADDRESS")                 \
	X(DOWNSTREAM_DIRECT_IP, "DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT") \
	X(DOWNSTREAM_DIRECT_PORT, "DOWNSTREAM_DIRECT_REMOTE_PORT")               \
	X(DOWNSTREAM_LOCAL, "DOWNSTREAM_LOCAL_ADDRESS")                          \
	X(DOWNSTREAM_LOCAL_IP, "DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT")          \
	X(DOWNSTREAM_LOCAL_PORT, "DOWNSTREAM_LOCAL_PORT")                        \
	X(UPSTREAM_HOST, "UPSTREAM_HOST")                                        \
	X(UPSTREAM_REMOTE, "UPSTREAM_REMOTE_ADDRESS")                            \
	X(UPSTREAM_CLUSTER, "UPSTREAM_CLUSTER")                                  \
	X(RESPONSE_CODE, "RESPONSE_CODE")                                        \
	X(PROTOCOL, "PROTOCOL")                                                  \
	X(ROUTE_NAME, "ROUTE_NAME")                                              \
	X(HOSTNAME, "HOSTNAME")                                                  \
	X(START_TIME, "START_TIME")                                              \
	X(PATH, "PATH")                                                          \
	X(LOCAL_REPLY_BODY, "LOCAL_REPLY_BODY")

enum sl_format_op {
	SL_FORMAT_TEXT,
#define X(id, name) SL_FORMAT_##id,
	SL_FORMATS(X)
#undef X
};

/* Where a text stands: some operators have no answer there. */
enum sl_format_use {
	SL_FOR_REQUEST,	 /* a header that is sent on, its path, its Host */
	SL_FOR_RESPONSE, /* a header of an answer */
	SL_FOR_BODY,	 /* of an answer of our own */
};

enum sl_format_as {
	SL_AS_TEXT,
	SL_AS_JSON_STRING, /* in the quotes of a JSON string */
	SL_AS_JSON_VALUE,  /* a JSON value: string, number or null */
};

struct sl_format_part {
	enum sl_format_op op;
	const char *text; /* TEXT: as it is; REQ and RESP: the header's name, lower case */
	const char *alt;  /* REQ and RESP: the header to take if that is not there; NULL: none */
	__u32 max;	  /* bytes of the value that are taken; 0: all */
	__u8 as;	  /* enum sl_format_as */
	bool no_query;	  /* PATH: NQ */
	bool original;	  /* PATH: ORIG or ORIG_OR_PATH, before a route has rewritten it */
	bool rewritten;	  /* PATH: PATH or ORIG_OR_PATH */
};

struct sl_format {
	struct sl_format_part *parts;
	__u32 n;
	const char *missing; /* stands for a value that there is not; NULL: nothing does */
};

/* HeaderValueOption.append_action, in Envoy's order. */
enum sl_append_action {
	SL_APPEND_OR_ADD,
	SL_ADD_IF_ABSENT,
	SL_OVERWRITE_OR_ADD,
	SL_OVERWRITE_IF_EXISTS,
};

struct sl_header_add {
	const char *name; /* lower case */
	struct sl_format value;
	enum sl_append_action action;
	bool keep_empty; /* an empty value is added too */
};

struct sl_mutation {
	struct sl_header_add *adds;
	const char **removes; /* lower case */
	__u32 n_adds;
	__u32 n_removes;
};

struct sl_header_changes {
	struct sl_mutation request;
	struct sl_mutation response;
};

/* Of one cluster of a split. */
struct sl_target_action {
	__u32 cluster;
	const char *cluster_header; /* lower case: names the cluster that this one stands for */
	const char *host;	    /* host_rewrite_literal; NULL: the route's */
	struct sl_header_changes changes;
};

struct sl_regex;

/* Path and Host as they are sent on. At most one way for each of the two. */
struct sl_rewrite {
	const char *prefix; /* stands for what the match took; NULL: no prefix_rewrite */
	__u32 matched;	    /* bytes that the match took; 0: the whole path */
	struct sl_regex *regex;
	const char *substitution;
	const struct sl_format *path_format; /* path_rewrite */
	const struct sl_format *host_format; /* host_rewrite */
	const char *host;		     /* host_rewrite_literal */
	const char *host_header;	     /* host_rewrite_header, lower case */
	struct sl_regex *host_regex;	     /* host_rewrite_path_regex */
	const char *host_substitution;
	bool auto_host;	     /* the endpoint's name, if it has one */
	bool forwarded_host; /* append_x_forwarded_host */
};

struct sl_redirect {
	const char *scheme; /* NULL: the request's */
	const char *host;
	const char *path; /* path_redirect */
	struct sl_rewrite rewrite;
	__u32 port; /* 0: the request's */
	__u32 status;
	bool strip_query;
};

/* sl_retry.on: Envoy's retry_on. */
#define SL_RETRY_5XX 0x1
#define SL_RETRY_GATEWAY_ERROR 0x2
#define SL_RETRY_RESET 0x4
#define SL_RETRY_RESET_BEFORE_REQUEST 0x8
#define SL_RETRY_CONNECT_FAILURE 0x10
#define SL_RETRY_RATE_LIMITED 0x20
#define SL_RETRY_RETRIABLE_4XX 0x40
#define SL_RETRY_STATUS_CODES 0x80
#define SL_RETRY_HEADERS 0x100
#define SL_RETRY_GRPC(status) (0x10000u << (status)) /* grpc-status 0 .. 15 */

#define SL_RETRY_CODES_MAX 32

/* Rules of the table that no route has; one of them is enough. */
struct sl_rules {
	__u32 first;
	__u32 n;
};

struct sl_retry {
	__u32 on;
	__u32 n;	       /* num_retries */
	__u32 per_try_ms;      /* 0: none */
	__u32 per_try_idle_ms; /* 0: none */
	bool other_hosts;      /* retry_host_predicate: previous_hosts */
	__u32 host_tries;      /* host_selection_retry_max_attempts */
	__u32 base_ms;	       /* back-off: a random time below base, 2 * base, ... */
	__u32 max_ms;	       /* ... up to this */
	__u32 n_codes;
	__u16 codes[SL_RETRY_CODES_MAX];
	struct sl_rules headers;	 /* retriable_headers, of the answer */
	struct sl_rules request_headers; /* retriable_request_headers; none: any request */
};

/* A copy of numerator in denominator requests. */
struct sl_mirror {
	const char *cluster_header; /* lower case: its value names the cluster; NULL: `cluster` */
	__u32 cluster;
	__u32 numerator;
	__u32 denominator;
	bool plain_host; /* no "-shadow" behind the host's name */
};

/* A header's values as they are hashed; regex NULL: as they are. */
struct sl_hash_rewrite {
	struct sl_regex *regex;
	const char *substitution;
};

struct sl_route_action {
	const char *why; /* what makes the user path serve it, Envoy's name; NULL: nothing */
	const char *vhost;
	const char *name;
	const struct sl_header_changes *changes[3]; /* route, virtual host, route config; or NULL */
	struct sl_target_action *targets;	    /* of the split */
	__u32 n_targets;
	const struct sl_format *body;	    /* of direct_response; NULL: as it is */
	const char *content_type;	    /* of that body; NULL: text/plain */
	__u32 not_found;		    /* status when cluster_header names no cluster */
	const char *cluster_header;	    /* lower case; NULL: the table has the cluster */
	const char *split_header;	    /* weighted_clusters.header_name, lower case; or NULL */
	const struct sl_rewrite *rewrite;   /* NULL: none */
	const struct sl_redirect *redirect; /* NULL: none */
	struct sl_hash_rewrite *hash_rewrites; /* of each of the route's hash rules; NULL: none */
	const struct sl_retry *retry;	       /* NULL: none */
	bool count_tries;		       /* x-envoy-attempt-count in requests */
	bool tell_tries;		       /* ... and in answers */
	struct sl_mirror *mirrors;
	__u32 n_mirrors;
};

enum sl_server_header {
	SL_SERVER_PASS, /* default: a server's own passes; Envoy's default is OVERWRITE */
	SL_SERVER_OVERWRITE,
	SL_SERVER_IF_ABSENT,
};

struct sl_cidr {
	__u8 addr[16]; /* network byte order; IPv4 in the first four bytes */
	__u8 family;
	__u8 bits;
};

/* What the HTTP connection manager adds; all of it off by default. */
struct sl_forwarded {
	bool any; /* requests need the user path */
	bool use_remote_address;
	bool skip_xff_append;
	bool forwarded_port;
	bool generate_request_id;
	bool preserve_request_id;
	bool request_id_in_response;
	__u32 trusted_hops;
	struct sl_cidr *internal; /* internal_address_config.cidr_ranges */
	__u32 n_internal;
	enum sl_server_header server_header;
	const char *server; /* name in `server` */
	const char *via;    /* NULL: none */
};

/* Of a route configuration, and of the HTTP connection managers that have it. */
struct sl_config_action {
	bool most_specific_wins;     /* most_specific_header_mutations_wins */
	bool suppress_envoy_headers; /* of the router: no x-envoy-original-path */
	__u32 normal;		     /* SL_NORMAL_* (util/normal.h) */
	const char **internal_only; /* [n_internal_only]; headers of internal clients, lower case */
	__u32 n_internal_only;
	struct sl_forwarded forwarded;
};

struct sl_actions {
	struct sl_arena arena;
	struct sl_config_action *configs; /* [n_configs], as in the table */
	__u32 n_configs;
	struct sl_route_action *routes; /* [n_routes] */
	__u32 n_routes;
	const char **
		clusters; /* [n_clusters] names, whole; NULL: gone, or no header's value names it */
	__u32 n_clusters;
	struct sl_regex **regexes; /* [n_regexes]; owned */
	__u32 n_regexes;
};

/*
 * Cluster i is number @to[i] now, of @n numbers. 0, or -ENOMEM: nothing is changed.
 */
int sl_actions_renumber(struct sl_actions *a, const __u32 *to, __u32 n);

struct sl_normal;
/* What the connection manager makes of the head of a client, which is internal or not; but the
 * port. */
void sl_config_normal(const struct sl_config_action *a, bool internal, struct sl_normal *ret);

/* NULL is fine. */
void sl_actions_free(struct sl_actions *a);

#endif /* SL_ACTIONS_H */
