// SPDX-License-Identifier: GPL-2.0-only
/* Envoy's HealthCheck and OutlierDetection, as tables (schema.h). */
#include "config/cluster_model.h"
#include "config/envoy_keys.h"
#include "config/key_tables.h"

#define TIME(n, fl, st, field) KEY(n, DURATION, fl, st, field, .min = 1, .max = SL_TIMEOUT_MAX_MS)
#define PERCENT(n, st, field) KEY(n, U32, 0, st, field, .max = 100)

static const struct sl_key status_range_keys[] = {
	KEY("start", U32, REQ, struct cfg_status_range, start, .min = 100, .max = 599),
	KEY("end", U32, REQ, struct cfg_status_range, end, .min = 101, .max = 600),
	END,
};
SCHEMA(status_range, struct cfg_status_range, "a range of statuses");

static const char *const methods[] = {
	"METHOD_UNSPECIFIED", "GET",	  "HEAD",   "-POST",  "-PUT", "-DELETE",
	"-CONNECT",	      "-OPTIONS", "-TRACE", "-PATCH", NULL};
static const char *const codecs[] = {"HTTP1", "-HTTP2", "-HTTP3", NULL};

static const struct sl_key http_check_keys[] = {
	KEY("host", STRING, 0, struct cfg_http_check, host),
	KEY("path", STRING, FULL, struct cfg_http_check, path),
	KEY("expected_statuses", LIST, 0, struct cfg_http_check, expected, .sub = &status_range),
	KEY("retriable_statuses", LIST, 0, struct cfg_http_check, retriable, .sub = &status_range),
	KEY("method", ENUM, 0, struct cfg_http_check, method, .names = methods,
	    .note = "GET or HEAD"),
	KEY("codec_client_type", ENUM, 0, struct cfg_http_check, codec, .names = codecs,
	    .note = "HTTP1"),
	END,
};
SCHEMA(http_check, struct cfg_http_check, "http_health_check", .unsupported = sl_no_http_check);

static const struct sl_key tcp_check_keys[] = {
	END,
};
SCHEMA(tcp_check, struct cfg_tcp_check, "tcp_health_check", .unsupported = sl_no_tcp_check);

static const struct sl_key health_check_keys[] = {
	TIME("timeout", REQ, struct cfg_health_check, timeout),
	TIME("interval", REQ, struct cfg_health_check, interval),
	TIMEOUT("initial_jitter", struct cfg_health_check, initial_jitter),
	TIMEOUT("interval_jitter", struct cfg_health_check, interval_jitter),
	KEY("interval_jitter_percent", U32, 0, struct cfg_health_check, jitter_percent,
	    .max = 1000),
	KEY("unhealthy_threshold", U32, REQ, struct cfg_health_check, unhealthy_threshold,
	    .max = 4294967295u),
	KEY("healthy_threshold", U32, REQ, struct cfg_health_check, healthy_threshold,
	    .max = 4294967295u),
	KEY("reuse_connection", BOOL, 0, struct cfg_health_check, reuse),
	TIME("no_traffic_interval", 0, struct cfg_health_check, no_traffic),
	TIME("no_traffic_healthy_interval", 0, struct cfg_health_check, no_traffic_healthy),
	TIME("unhealthy_interval", 0, struct cfg_health_check, unhealthy_interval),
	TIME("unhealthy_edge_interval", 0, struct cfg_health_check, unhealthy_edge),
	TIME("healthy_edge_interval", 0, struct cfg_health_check, healthy_edge),
	KEY("http_health_check", MAP, 0, struct cfg_health_check, http, .sub = &http_check),
	KEY("tcp_health_check", MAP, 0, struct cfg_health_check, tcp, .sub = &tcp_check),
	END,
};
const struct sl_schema sl_schema_health_check = {.what = "health check",
						 .size = sizeof(struct cfg_health_check),
						 .keys = health_check_keys,
						 .unsupported = sl_no_health_check,
						 .tuning = sl_tune_health_check};

static const struct sl_key outlier_keys[] = {
	KEY("consecutive_5xx", U32, 0, struct cfg_outlier, consecutive_5xx, .max = 4294967295u),
	TIME("interval", 0, struct cfg_outlier, interval),
	TIME("base_ejection_time", 0, struct cfg_outlier, base),
	TIME("max_ejection_time", 0, struct cfg_outlier, max),
	TIMEOUT("max_ejection_time_jitter", struct cfg_outlier, jitter),
	PERCENT("max_ejection_percent", struct cfg_outlier, max_percent),
	PERCENT("enforcing_consecutive_5xx", struct cfg_outlier, enforcing_5xx),
	PERCENT("enforcing_success_rate", struct cfg_outlier, enforcing_success_rate),
	KEY("consecutive_gateway_failure", U32, 0, struct cfg_outlier, consecutive_gateway,
	    .max = 4294967295u),
	PERCENT("enforcing_consecutive_gateway_failure", struct cfg_outlier, enforcing_gateway),
	KEY("always_eject_one_host", BOOL, 0, struct cfg_outlier, always_one),
	KEY("successful_active_health_check_uneject_host", BOOL, 0, struct cfg_outlier,
	    check_unejects),
	END,
};
const struct sl_schema sl_schema_outlier = {.what = "outlier_detection",
					    .size = sizeof(struct cfg_outlier),
					    .keys = outlier_keys,
					    .unsupported = sl_no_outlier};
