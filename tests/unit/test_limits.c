// SPDX-License-Identifier: GPL-2.0-only
/* Timeouts and limits: what a config compiles to, with and without them. */

#include "config/config.h"
#include "sl_limits.h"
#include "suite.h"

static struct sl_compiled *load(const char *path)
{
	struct sl_compiled *c = NULL;
	struct sl_diag_list diags;

	CU_ASSERT_EQUAL(sl_config_load(path, NULL, &diags, &c), 0);
	sl_diag_free(&diags);
	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	return c;
}

static void given(void)
{
	struct sl_compiled *c = load("tests/unit/config/ok-limits.yaml");
	const struct sl_listener_limits *l = &c->listeners[0].limits;
	const struct sl_cluster_limits *one = &c->cluster_limits[0], *two = &c->cluster_limits[1];

	CU_ASSERT_EQUAL(l->stream_idle_ms, 0);
	CU_ASSERT_EQUAL(l->request_ms, 30000);
	CU_ASSERT_EQUAL(l->request_headers_ms, 10000);
	CU_ASSERT_EQUAL(l->drain_ms, 1000);
	CU_ASSERT_EQUAL(l->max_head, 65536);
	CU_ASSERT_EQUAL(l->idle_ms, 900000);
	CU_ASSERT_EQUAL(l->max_duration_ms, 3600000);
	CU_ASSERT_EQUAL(l->max_headers, 50);
	CU_ASSERT_EQUAL(c->route_limits[0].timeout_ms, 500);
	CU_ASSERT_EQUAL(c->route_limits[0].idle_ms, 7000);
	CU_ASSERT_EQUAL(c->route_limits[0].max_stream_ms, 9000);
	CU_ASSERT_EQUAL(l->max_stream_ms, 11000);
	CU_ASSERT_EQUAL(one->connect_ms, 250);
	CU_ASSERT_EQUAL(one->idle_ms, 30000);
	CU_ASSERT_EQUAL(one->max_duration_ms, 60000);
	CU_ASSERT_EQUAL(one->lane_requests, 100);
	CU_ASSERT_EQUAL(one->max_connections, 7);
	CU_ASSERT_EQUAL(one->max_pending, 8);
	CU_ASSERT_EQUAL(one->max_requests, 5);
	CU_ASSERT_EQUAL(one->max_retries, 0);
	CU_ASSERT_EQUAL(c->clusters[0].max_lanes, 5);
	CU_ASSERT_EQUAL(two->idle_ms, 0);
	CU_ASSERT_EQUAL(two->lane_requests, 3);
	CU_ASSERT_EQUAL(c->options.max_sessions, 400);
	CU_ASSERT_EQUAL(c->options.heap_stop, 4750000000);
	sl_compiled_free(c);
}

/* Envoy's defaults, by number: they are a promise. */
static void defaults(void)
{
	struct sl_compiled *c = load("tests/unit/config/ok-minimal.yaml");
	const struct sl_listener_limits *l = &c->listeners[0].limits;
	const struct sl_cluster_limits *one = &c->cluster_limits[0];

	CU_ASSERT_EQUAL(l->stream_idle_ms, 300000);
	CU_ASSERT_EQUAL(l->request_ms, 0);
	CU_ASSERT_EQUAL(l->request_headers_ms, 60000); /* ours: Envoy has none */
	CU_ASSERT_EQUAL(l->drain_ms, 5000);
	CU_ASSERT_EQUAL(l->max_head, 61440);
	CU_ASSERT_EQUAL(l->idle_ms, 3600000);
	CU_ASSERT_EQUAL(l->max_duration_ms, 0);
	CU_ASSERT_EQUAL(l->max_headers, SL_MAX_HEADERS); /* Envoy: 100 */
	CU_ASSERT_EQUAL(c->route_limits[0].timeout_ms, 15000);
	CU_ASSERT_EQUAL(c->route_limits[0].idle_ms, SL_INHERIT);
	CU_ASSERT_EQUAL(c->route_limits[0].max_stream_ms, SL_INHERIT);
	CU_ASSERT_EQUAL(l->max_stream_ms, 0);
	CU_ASSERT_EQUAL(one->connect_ms, 5000);
	CU_ASSERT_EQUAL(one->idle_ms, 3600000);
	CU_ASSERT_EQUAL(one->lane_requests, 0);
	CU_ASSERT_EQUAL(one->max_connections, 1024);
	CU_ASSERT_EQUAL(one->max_pending, 1024);
	CU_ASSERT_EQUAL(one->max_requests, 1024);
	CU_ASSERT_EQUAL(one->max_retries, 3);
	CU_ASSERT_EQUAL(c->clusters[0].max_lanes, 1024);
	CU_ASSERT_EQUAL(c->options.max_sessions, SL_NO_LIMIT);
	CU_ASSERT_EQUAL(c->options.heap_stop, 0);
	sl_compiled_free(c);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"what is given", given},
		{"defaults", defaults},
		CU_TEST_INFO_NULL,
	};

	return run_suite("limits", tests);
}
