// SPDX-License-Identifier: GPL-2.0-only
#include "config/limits.h"

#include "sl_limits.h"

const struct sl_listener_limits sl_listener_defaults = {
	.request_headers_ms = SL_REQUEST_HEADERS_MS,
	.stream_idle_ms = SL_STREAM_IDLE_MS,
	.flush_ms = SL_INHERIT,
	.idle_ms = SL_IDLE_MS,
	.drain_ms = SL_DRAIN_MS,
	.max_head = SL_HEAD_KB * 1024,
	.max_headers = SL_MAX_HEADERS,
};

const struct sl_route_limits sl_route_defaults = {
	.timeout_ms = SL_ROUTE_TIMEOUT_MS,
	.idle_ms = SL_INHERIT,
	.flush_ms = SL_INHERIT,
	.max_stream_ms = SL_INHERIT,
};

const struct sl_cluster_limits sl_cluster_defaults = {
	.connect_ms = SL_CONNECT_TIMEOUT_MS,
	.idle_ms = SL_IDLE_MS,
	.max_connections = SL_MAX_CONNECTIONS,
	.max_pending = SL_MAX_PENDING,
	.max_requests = SL_MAX_REQUESTS,
	.max_retries = SL_MAX_RETRIES,
};
