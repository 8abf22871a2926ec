/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Timeouts and limits as the daemon uses them; Envoy's names in the comments. Times are
 * milliseconds, 0: no such timeout. limits.c fills them, with the defaults.
 */
#ifndef SL_CONFIG_LIMITS_H
#define SL_CONFIG_LIMITS_H

#include <stdbool.h>

#include "sl_types.h"

#define SL_NO_LIMIT (~0U)
#define SL_INHERIT (~0U) /* of a route: the listener's */

/* Defaults; Envoy's, but for the time for a request's head, which Envoy does not limit. */
#define SL_ROUTE_TIMEOUT_MS 15000
#define SL_CONNECT_TIMEOUT_MS 5000
#define SL_STREAM_IDLE_MS (5 * 60 * 1000)
#define SL_REQUEST_HEADERS_MS (60 * 1000)
#define SL_IDLE_MS (60 * 60 * 1000)
#define SL_DRAIN_MS 5000
#define SL_HEAD_KB 60
#define SL_MAX_CONNECTIONS 1024 /* the next four: circuit_breakers.thresholds */
#define SL_MAX_PENDING 1024
#define SL_MAX_REQUESTS 1024
#define SL_MAX_RETRIES 3
#define SL_RETRY_BUDGET 20000 /* thousandths of a percent */
#define SL_MIN_RETRIES 3

/* Of one listener: its HTTP connection manager's. */
struct sl_listener_limits {
	__u32 request_headers_ms; /* request_headers_timeout: first byte to the end of the head */
	__u32 request_ms;	  /* request_timeout: first byte to the end of the request */
	__u32 stream_idle_ms;	  /* stream_idle_timeout: no byte either way */
	__u32 flush_ms;		  /* stream_flush_timeout: ... and the client alone is late */
	__u32 idle_ms;		  /* common_http_protocol_options.idle_timeout: no request */
	__u32 max_stream_ms;	  /* ... max_stream_duration: a whole exchange */
	__u32 max_duration_ms;	  /* ... max_connection_duration */
	__u32 drain_ms;		  /* drain_timeout: after max_duration, for one more request */
	__u32 max_head;		  /* bytes of a request's head; max_request_headers_kb */
	__u32 max_headers;	  /* header lines of a request; max_headers_count */
};

struct sl_route_limits {
	__u32 timeout_ms; /* timeout: request complete to answer complete */
	__u32 idle_ms;	  /* idle_timeout: stands for the listener's stream_idle_ms; SL_INHERIT */
	__u32 flush_ms;	  /* flush_timeout: stands for the listener's flush_ms; SL_INHERIT */
	__u32 max_stream_ms; /* max_stream_duration: stands for the listener's; SL_INHERIT */
};

struct sl_cluster_limits {
	__u32 connect_ms;      /* connect_timeout */
	__u32 idle_ms;	       /* common_http_protocol_options.idle_timeout */
	__u32 max_duration_ms; /* ... max_connection_duration */
	__u32 lane_requests;   /* max_requests_per_connection; 0: any number */
	__u32 max_connections; /* the rest: circuit_breakers.thresholds */
	__u32 max_pending;     /* requests that wait for a connection, to be made or to be free */
	__u32 max_requests;    /* requests under way */
	__u32 max_retries;     /* repeated requests under way */
	bool has_budget;       /* retry_budget: stands for max_retries, ... */
	__u32 retry_budget;    /* ... budget_percent of the requests under way, in thousandths */
	__u32 min_retries;     /* ... but min_retry_concurrency may be under way in any case */
};

/*
 * What a route, cluster or listener has that the config does not name (a fuzzer's, or an index that
 * is out of date).
 */
extern const struct sl_listener_limits sl_listener_defaults;
extern const struct sl_route_limits sl_route_defaults;
extern const struct sl_cluster_limits sl_cluster_defaults;

#endif /* SL_CONFIG_LIMITS_H */
