/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A config file as read: the part of Envoy's messages that we serve, with the nodes that
 * the values come from. Every struct begins with its mapping's node (schema.h). A string is its
 * scalar's node; NULL: not given.
 */
#ifndef SL_MODEL_H
#define SL_MODEL_H

#include "config/actions_model.h"
#include "config/cluster_model.h"
#include "config/config.h"
#include "config/dns_model.h"
#include "config/limits_model.h"
#include "config/match_model.h"
#include "config/schema.h"

struct cfg_socket_address {
	const struct sl_node *node;
	const struct sl_node *address;
	struct cfg_u32 port;
	struct cfg_u32 protocol;
	const struct sl_node *netns;
	__u32 netns_index; /* validate: as sl_listener.netns */
};

struct cfg_pipe {
	const struct sl_node *node;
	const struct sl_node *path;
};

/* One of the two. */
struct cfg_address {
	const struct sl_node *node;
	struct cfg_socket_address socket;
	struct cfg_pipe pipe;
};

struct cfg_weight {
	const struct sl_node *node;
	const struct sl_node *name;
	const struct sl_node *header; /* cluster_header; NULL: it has a name */
	struct cfg_u32 weight;
	const struct sl_node *host; /* host_rewrite_literal */
	struct cfg_header_changes changes;
	__u32 cluster; /* validate: index, meaningful without errors */
};

struct cfg_split {
	const struct sl_node *node;
	struct cfg_list clusters; /* struct cfg_weight */
	struct cfg_u32 total;
	struct cfg_u32 use_hash_policy;
	const struct sl_node *header_name;
};

struct cfg_hash_header {
	const struct sl_node *node;
	const struct sl_node *name;
	struct cfg_regex_rewrite rewrite;
};

struct cfg_cookie_attribute {
	const struct sl_node *node;
	const struct sl_node *name;
	const struct sl_node *value;
};

struct cfg_hash_cookie {
	const struct sl_node *node;
	const struct sl_node *name;
	const struct sl_node *ttl; /* NULL: a cookie that is missing is not made */
	const struct sl_node *path;
	struct cfg_list attributes; /* struct cfg_cookie_attribute */
	__u32 ttl_s;		    /* hash_policy.c */
};

struct cfg_hash_connection {
	const struct sl_node *node;
	struct cfg_u32 source_ip;
};

struct cfg_hash_query {
	const struct sl_node *node;
	const struct sl_node *name;
};

/* One of header, cookie, connection and query is given. */
struct cfg_hash_policy {
	const struct sl_node *node;
	struct cfg_hash_header header;
	struct cfg_hash_cookie cookie;
	struct cfg_hash_connection connection;
	struct cfg_hash_query query;
	struct cfg_u32 terminal;
};

struct cfg_upgrade {
	const struct sl_node *node;
	const struct sl_node *type;
	struct cfg_u32 enabled;
};

struct cfg_route_action {
	const struct sl_node *node;
	const struct sl_node *cluster;
	const struct sl_node *cluster_header;
	struct cfg_u32 not_found;
	struct cfg_u32 priority; /* DEFAULT: of all requests */
	struct cfg_split split;
	struct cfg_list hash; /* struct cfg_hash_policy */
	struct cfg_rewrite rewrite;
	struct cfg_retry retry;
	struct cfg_list mirrors;  /* struct cfg_mirror */
	struct cfg_list upgrades; /* struct cfg_upgrade; always passed on */
	struct cfg_route_limits limits;
	__u32 cluster_index; /* validate */
};

/* DataSource; one of text, bytes, filename and variable is given. */
struct cfg_body {
	const struct sl_node *node;
	const struct sl_node *text;  /* validate: what the source has; NULL: was wrong */
	const struct sl_node *bytes; /* base64 */
	const struct sl_node *filename;
	const struct sl_node *variable; /* environment_variable */
};

/* JsonFormatOptions */
struct cfg_json_options {
	const struct sl_node *node;
	struct cfg_u32 sort;
};

/* SubstitutionFormatString; one of text, source and json is given. */
struct cfg_body_format {
	const struct sl_node *node;
	const struct sl_node *text; /* deprecated */
	struct cfg_body source;
	const struct sl_node *json;
	struct cfg_json_options json_options;
	struct cfg_u32 omit_empty;
	const struct sl_node *content_type;
};

struct cfg_direct {
	const struct sl_node *node;
	struct cfg_u32 status;
	struct cfg_body body;
	struct cfg_body_format format;
};

struct cfg_route {
	const struct sl_node *node;
	const struct sl_node *name;
	struct cfg_match match;
	struct cfg_route_action route;
	struct cfg_direct direct;
	struct cfg_redirect redirect;
	struct cfg_header_changes changes;
	char *full_name; /* validate: name, or VHOST/INDEX */
};

struct cfg_vhost {
	const struct sl_node *node;
	const struct sl_node *name;
	struct cfg_list domains; /* const struct sl_node * */
	struct cfg_list routes;	 /* struct cfg_route */
	struct cfg_header_changes changes;
	struct cfg_retry retry;
	struct cfg_list mirrors; /* struct cfg_mirror */
	struct cfg_u32
		require_tls; /* 1: ALL, 2: EXTERNAL_ONLY; the first of routes is made for it */
	struct cfg_u32 count_tries; /* include_request_attempt_count */
	struct cfg_u32 tell_tries;  /* include_attempt_count_in_response */
};

struct cfg_route_config {
	const struct sl_node *node;
	const struct sl_node *name;
	struct cfg_list vhosts; /* struct cfg_vhost */
	struct cfg_header_changes changes;
	struct cfg_u32 most_specific_wins;
	struct cfg_list mirrors; /* struct cfg_mirror */
	struct cfg_u32 ignore_port;
	struct cfg_u32 ignore_params; /* ignore_path_parameters_in_path_matching */
	const struct sl_node *vhost_header;
	struct cfg_list internal_only; /* const struct sl_node * */
	struct cfg_u32 max_body;       /* max_direct_response_body_size_bytes */
	struct cfg_u32 validate;       /* validate_clusters */
	const char *listener;	       /* validate: name of the first that has it; NULL: none */
	const struct cfg_hcm *hcm;     /* validate: of that listener */
};

struct cfg_http_filter {
	const struct sl_node *node;
	const struct sl_node *name;
	const struct sl_node *config;
	const struct sl_node *typed_config;
	bool suppress_envoy_headers; /* of the router */
};

struct cfg_hcm {
	const struct sl_node *node;
	const struct sl_node *type_url;
	const struct sl_node *stat_prefix;
	struct cfg_u32 codec_type;
	struct cfg_route_config routes;
	struct cfg_list http_filters; /* struct cfg_http_filter */
	struct cfg_list upgrades;     /* struct cfg_upgrade; always passed on */
	struct cfg_hcm_limits limits;
	struct cfg_forwarded forwarded;
	struct cfg_normal normal;
};

struct cfg_filter {
	const struct sl_node *node;
	const struct sl_node *name;
	const struct sl_node *config;
	const struct sl_node *typed_config;
	struct cfg_hcm *hcm; /* NULL: was wrong */
};

struct cfg_filter_chain {
	const struct sl_node *node;
	struct cfg_list filters; /* struct cfg_filter */
};

struct cfg_listener_sluice {
	const struct sl_node *node;
	struct cfg_u32 attach;
	struct cfg_u32 l4;
};

struct cfg_listener {
	const struct sl_node *node;
	const struct sl_node *name;
	struct cfg_address address;
	struct cfg_list chains; /* struct cfg_filter_chain */
	struct cfg_u32 buffer_limit;
	struct cfg_listener_sluice sluice;
	struct sl_listener *out; /* validate */
	__u32 config;		 /* validate: index into cfg_root.configs */
};

struct cfg_endpoint {
	const struct sl_node *node;
	const struct sl_node *hostname;
	struct cfg_address address;
};

struct cfg_lb_endpoint {
	const struct sl_node *node;
	struct cfg_endpoint endpoint;
	struct cfg_u32 weight;
	struct cfg_u32 health;
};

struct cfg_locality {
	const struct sl_node *node;
	struct cfg_list lb_endpoints; /* struct cfg_lb_endpoint */
	struct cfg_u32 priority;
};

struct cfg_assignment {
	const struct sl_node *node;
	const struct sl_node *cluster_name;
	struct cfg_list endpoints; /* struct cfg_locality */
	struct cfg_assignment_policy policy;
};

enum cfg_health_status {
	CFG_HEALTH_UNKNOWN,
	CFG_HEALTH_HEALTHY,
	CFG_HEALTH_UNHEALTHY,
	CFG_HEALTH_DRAINING,
	CFG_HEALTH_TIMEOUT,
};

enum cfg_cluster_type {
	CFG_STATIC,
	CFG_STRICT_DNS,
	CFG_LOGICAL_DNS,
};

struct cfg_cluster {
	const struct sl_node *node;
	const struct sl_node *name;
	struct cfg_u32 type;
	struct cfg_balance balance;
	struct cfg_dns dns;
	struct cfg_assignment assignment;
	struct cfg_list hosts; /* struct cfg_address */
	struct cfg_cluster_limits limits;
	struct cfg_u32 buffer_limit;
	bool by_header; /* by_header.c */
};

struct cfg_static {
	const struct sl_node *node;
	struct cfg_list listeners; /* struct cfg_listener */
	struct cfg_list clusters;  /* struct cfg_cluster */
};

struct cfg_sluice {
	const struct sl_node *node;
	struct cfg_u32 kernel_path;
	struct cfg_u32 colocated_clients;
	struct cfg_u32 colocated_servers;
	struct cfg_u32 max_sessions;
};

struct cfg_root {
	const struct sl_node *node;
	struct cfg_static resources;
	struct cfg_sluice sluice;
	struct cfg_overload overload;
	struct cfg_resolvers resolvers;
	/* validate: the route configurations; listeners with equal ones share one */
	struct cfg_route_config *configs[SL_MAX_LISTENERS];
	__u32 n_configs;
	const struct sl_node *netns[SL_MAX_NETNS]; /* validate: paths, each once */
	__u32 n_netns;
};

#define cfg_items(list, type) ((type *)(list).items)

/* The files are named by what their tables are of: bootstrap_keys.c, listener_keys.c ... */
extern const struct sl_schema sl_schema_root;
extern const struct sl_schema sl_schema_listener;
extern const struct sl_schema sl_schema_route_config;
extern const struct sl_schema sl_schema_route;
extern const struct sl_schema sl_schema_upgrade;
extern const struct sl_schema sl_schema_direct;
extern const struct sl_schema sl_schema_cluster;
extern const struct sl_schema sl_schema_address;

/* validate.c, validate_routes.c: rules across keys. Errors go to w->diags. */
void sl_validate(struct sl_walk *w, struct cfg_root *root);
void sl_validate_routes(struct sl_walk *w, struct cfg_root *root);

/*
 * match_reach.c: the routes of one virtual host, in order. sl_reach_add() returns the first earlier
 * one that takes all of @route's requests, or NULL. NULL is fine to free.
 */
struct sl_reach;
struct sl_reach *sl_reach_new(struct sl_walk *w);
void sl_reach_free(struct sl_reach *r);
const struct cfg_route *sl_reach_add(struct sl_walk *w, struct sl_reach *r,
				     const struct cfg_route *route);

/*
 * data_source.c: sets b->text to the bytes of @b's source, which can hold NULs, at most @max. What
 * is wrong is told at the source's place.
 */
void sl_read_source(struct sl_walk *w, struct cfg_body *b, __u32 max);

/* by_header.c: makes clusters of headers that members of splits name. */
void sl_validate_by_header(struct sl_walk *w, struct cfg_root *root);

/* The listener's HTTP connection manager; NULL: was wrong. */
const struct cfg_hcm *sl_listener_hcm(const struct cfg_listener *l);
/* validate_attach.c: network namespaces (before the listeners), and attached listeners. */
void sl_validate_netns(struct sl_walk *w, struct cfg_root *root);
void sl_validate_attach(struct sl_walk *w, const struct cfg_root *root);

/* hash_policy.c */
extern const struct sl_schema sl_schema_hash_policy;
/* Is anything hashed by @p? */
bool sl_hashes(const struct cfg_hash_policy *p);
/* Limits; @n_rules counts the policies of all routes. Errors go to w->diags. */
void sl_validate_hash(struct sl_walk *w, const struct cfg_route_action *a, __u32 *n_rules);
/* What follows NAME=VALUE in the Set-Cookie that makes @c. To be freed; NULL: out of memory. */
char *sl_cookie_attributes(const struct cfg_hash_cookie *c);

/*
 * compile_members.c: the members of cluster @index, and the names among them. @resolvers: of the
 * whole file. 0 or -ENOMEM.
 */
int sl_compile_members(const struct cfg_cluster *c, const struct cfg_resolvers *resolvers,
		       __u32 index, struct sl_compiled *out);

/* One of a's "1.2.3.4" or "::1" -> bytes and family. 0 or -EINVAL. */
int sl_parse_ip(const char *s, __u8 addr[16], __u8 *ret_family);

/* compile.c */
int sl_compile(struct sl_walk *w, const struct cfg_root *root, const struct sl_config_flags *flags,
	       struct sl_compiled **ret);

#endif /* SL_MODEL_H */
