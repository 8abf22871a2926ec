/* SPDX-License-Identifier: GPL-2.0-only */
/* The part of a config file as read (model.h) that sets timeouts and limits. */
#ifndef SL_LIMITS_MODEL_H
#define SL_LIMITS_MODEL_H

#include "config/limits.h"
#include "config/schema.h"

#define SL_TIMEOUT_MAX_MS 999999000 /* eleven days */
#define SL_CONNECT_MAX_MS 3600000

/* common_http_protocol_options */
struct cfg_http_options {
	const struct sl_node *node;
	struct cfg_u32 idle;
	struct cfg_u32 max_duration;
	struct cfg_u32 max_stream;
	struct cfg_u32 max_headers;
	struct cfg_u32 max_requests;
};

/* Of the HTTP connection manager. */
struct cfg_hcm_limits {
	struct cfg_http_options common;
	struct cfg_u32 idle; /* v2 */
	struct cfg_u32 stream_idle;
	struct cfg_u32 flush;
	struct cfg_u32 request;
	struct cfg_u32 request_headers;
	struct cfg_u32 drain;
	struct cfg_u32 max_head_kb;
};

struct cfg_stream_duration {
	const struct sl_node *node;
	struct cfg_u32 max;
};

struct cfg_route_limits {
	struct cfg_u32 timeout;
	struct cfg_u32 idle;
	struct cfg_u32 flush;
	struct cfg_stream_duration max_stream;
};

struct cfg_budget_percent {
	const struct sl_node *node;
	struct cfg_u32 value; /* thousandths */
};

struct cfg_budget {
	const struct sl_node *node;
	struct cfg_budget_percent percent;
	struct cfg_u32 min;
};

struct cfg_threshold {
	const struct sl_node *node;
	struct cfg_u32 priority;
	struct cfg_u32 max_connections;
	struct cfg_u32 max_pending;
	struct cfg_u32 max_requests;
	struct cfg_u32 max_retries;
	struct cfg_budget budget;
};

struct cfg_breakers {
	const struct sl_node *node;
	struct cfg_list thresholds; /* struct cfg_threshold */
};

/* envoy.extensions.upstreams.http.v3.HttpProtocolOptions */
struct cfg_explicit_http {
	const struct sl_node *node;
	const struct sl_node *http1;
};

struct cfg_upstream_http {
	const struct sl_node *node;
	const struct sl_node *type_url;
	struct cfg_http_options common;
	struct cfg_explicit_http explicit_http;
	struct cfg_explicit_http downstream_http;
};

struct cfg_extensions {
	const struct sl_node *node;
	struct cfg_upstream_http http;
};

struct cfg_cluster_limits {
	struct cfg_u32 connect;
	struct cfg_u32 max_requests; /* deprecated: of one connection */
	struct cfg_http_options common;
	struct cfg_extensions extensions;
	struct cfg_breakers breakers;
};

/* overload_manager: the two monitors that we have, and what one of them does. */
struct cfg_monitor_config {
	const struct sl_node *node;
	const struct sl_node *type_url;
	struct cfg_u32 max_connections;
	const struct sl_node *max_heap;
	__u64 heap; /* bytes, of max_heap; done() */
};

struct cfg_monitor {
	const struct sl_node *node;
	const struct sl_node *name;
	struct cfg_monitor_config config;
};

struct cfg_overload_threshold {
	const struct sl_node *node;
	struct cfg_u32 value; /* thousandths */
};

struct cfg_trigger {
	const struct sl_node *node;
	const struct sl_node *name;
	struct cfg_overload_threshold threshold;
};

#define SL_OVERLOAD_STOP_REQUESTS 0 /* stop_accepting_requests, of overload_actions[] */

struct cfg_overload_action {
	const struct sl_node *node;
	struct cfg_u32 name;
	struct cfg_list triggers; /* struct cfg_trigger */
};

struct cfg_overload {
	const struct sl_node *node;
	struct cfg_list monitors; /* struct cfg_monitor */
	struct cfg_list actions;  /* struct cfg_overload_action */
};

/* limits_keys.c: tables for the mappings that hold nothing but limits. */
extern const struct sl_schema sl_schema_hcm_options;
extern const struct sl_schema sl_schema_stream_duration;
extern const struct sl_schema sl_schema_cluster_options;
extern const struct sl_schema sl_schema_breakers;
extern const struct sl_schema sl_schema_extensions;
extern const struct sl_schema sl_schema_overload;

/* limits.c: rules across keys; errors and warnings go to w->diags. */
void sl_validate_hcm_limits(struct sl_walk *w, const struct cfg_hcm_limits *l);
void sl_validate_cluster_limits(struct sl_walk *w, const struct cfg_cluster_limits *l);
/* per_connection_buffer_limit_bytes of a listener or a cluster. */
void sl_validate_buffer_limit(struct sl_walk *w, const struct cfg_u32 *bytes);

/* limits.c: what was given, else the default. @l NULL: the defaults. */
struct sl_listener_limits sl_compile_hcm_limits(const struct cfg_hcm_limits *l);
struct sl_route_limits sl_compile_route_limits(const struct cfg_route_limits *l);
struct sl_cluster_limits sl_compile_cluster_limits(const struct cfg_cluster_limits *l);
/* Open sessions; SL_NO_LIMIT: as many as there are descriptors for. */
__u32 sl_compile_max_sessions(const struct cfg_u32 *ours, const struct cfg_overload *envoys);
/* Bytes of the worker at which it takes no more requests; 0: any number. */
__u64 sl_compile_heap_stop(const struct cfg_overload *envoys);

#endif /* SL_LIMITS_MODEL_H */
