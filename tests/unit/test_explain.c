// SPDX-License-Identifier: GPL-2.0-only
/*
 * What explain finds out: verdict for verdict on known requests, and on thousands of random ones
 * that its steps never contradict sl_match() (sl_explain() compares them).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/explain.h"
#include "config/config.h"
#include "sl_match.h"
#include "suite.h"

static const char text[] =
	"static_resources:\n"
	"  listeners:\n"
	"  - address: {socket_address: {address: 127.0.0.1, port_value: 8000}}\n"
	"    filter_chains:\n"
	"    - filters:\n"
	"      - name: envoy.http_connection_manager\n"
	"        config:\n"
	"          http_filters: [{name: envoy.router}]\n"
	"          route_config:\n"
	"            virtual_hosts:\n"
	"            - name: named\n"
	"              domains: [a.example, 'b.example:81']\n"
	"              routes:\n"
	"              - {match: {path: /only}, route: {cluster: one}}\n"
	"            - name: any\n"
	"              domains: ['*']\n"
	"              routes:\n"
	"              - {match: {path: /exact/path/long}, route: {cluster: one}}\n"
	"              - match: {prefix: /a, headers: [{name: x-one, exact_match: '1'}]}\n"
	"                route: {cluster: one}\n"
	"              - match:\n"
	"                  prefix: /a\n"
	"                  headers:\n"
	"                  - {name: x-two, exact_match: '2', invert_match: true}\n"
	"                  - {name: x-three, present_match: false}\n"
	"                route: {cluster: none}\n"
	"              - match: {prefix: /a, headers: [{name: x-four}]}\n"
	"                direct_response: {status: 418}\n"
	"              - match: {prefix: /service/with/a/long/path}\n"
	"                route:\n"
	"                  weighted_clusters:\n"
	"                    clusters: [{name: one, weight: 0}, {name: none, weight: 5}]\n"
	"  clusters:\n"
	"  - {name: one, hosts: [{socket_address: {address: 127.0.0.1, port_value: 9001}}]}\n"
	"  - {name: none, hosts: []}\n";

static struct sl_compiled *config;
static struct sl_matcher *matcher;
static struct sl_explain *e;
static __u8 *buf;

static int explain_bytes(const char *head, size_t len)
{
	memset(buf, 0, SL_HEAD_MAX);
	memcpy(buf, head, len);
	e->config = config;
	e->matcher = matcher;
	e->buf = buf;
	e->len = len;
	return sl_explain(e);
}

/* A GET of @target with @headers (each ended by CRLF). */
static void explain(const char *target, const char *host, const char *headers)
{
	char head[4096];
	int n = snprintf(head, sizeof(head), "GET %s HTTP/1.1\r\nHost: %s\r\n%s\r\n", target, host,
			 headers);

	CU_ASSERT_EQUAL(explain_bytes(head, n), 0);
}

static void why_is(__u32 i, enum sl_verdict verdict, const char *words)
{
	char *got = sl_explain_why(e, &e->why[i]);

	CU_ASSERT(i < e->n_why);
	CU_ASSERT_EQUAL(e->why[i].verdict, verdict);
	CU_ASSERT_STRING_EQUAL(got, words);
	free(got);
}

static void verdicts(void)
{
	explain("/a/b", "x", "");
	CU_ASSERT_EQUAL(e->route, SL_NO_ROUTE);
	CU_ASSERT_EQUAL(e->reason, SL_REASON_NO_ROUTE);
	CU_ASSERT_EQUAL(e->why[0].route, 1);
	CU_ASSERT_EQUAL(e->n_tried, 5);
	why_is(0, SL_VERDICT_PATH, "path is not '/exact/path/long'");
	why_is(1, SL_VERDICT_MISSING, "header 'x-one' is missing");
	why_is(2, SL_VERDICT_MISSING,
	       "header 'x-two' is missing (a value is compared, inverted or not, only if there is "
	       "one)");
	why_is(3, SL_VERDICT_MISSING, "header 'x-four' is missing");
	why_is(4, SL_VERDICT_PATH, "path does not begin with '/service/with/a/long/path'");

	explain("/a", "x", "X-One: 11\r\nX-Two: 2\r\nx-four:\r\n");
	CU_ASSERT_EQUAL(e->route, 4);
	CU_ASSERT_EQUAL(e->n_tried, 4);
	CU_ASSERT_EQUAL(e->reason, SL_REASON_ANSWER_LONG);
	why_is(1, SL_VERDICT_VALUE, "header 'x-one' is not '1'");
	why_is(2, SL_VERDICT_EQUAL, "header 'x-two' is '2'");
	why_is(3, SL_VERDICT_MATCH, "matches");

	explain("/a", "x", "X-Two: 3\r\nx-three: y\r\n");
	why_is(2, SL_VERDICT_PRESENT, "header 'x-three' is present");

	explain("/a?q", "x", "X-Two: 3\r\n");
	CU_ASSERT_EQUAL(e->route, 3);
	CU_ASSERT_EQUAL(e->reason, SL_REASON_NO_ENDPOINT);

	explain("/a", "x", "x-one: 1\r\n");
	CU_ASSERT_EQUAL(e->route, 2);
	CU_ASSERT_EQUAL(e->reason, SL_REASON_NONE);
}

static void domains(void)
{
	explain("/only?x", "A.Example", "");
	CU_ASSERT(e->domain == 0 && e->route == 0 && e->reason == SL_REASON_NONE);
	explain("/only", "b.example:81", "");
	CU_ASSERT(e->domain == 1 && e->route == 0);
	explain("/only", "b.example", "");
	CU_ASSERT(e->domain == 2 && e->route == SL_NO_ROUTE);
	/* No fall back to "*" from a virtual host without a matching route. */
	explain("/a", "a.example", "x-one: 1\r\n");
	CU_ASSERT(e->domain == 0 && e->route == SL_NO_ROUTE && e->n_tried == 1);
}

static void reasons(void)
{
	char *big = malloc(SL_KERNEL_HEAD_MAX + 64);
	struct sl_options saved = config->options;

	explain("/service/with/a/long/path/x", "x", "");
	CU_ASSERT(e->route == 5 && e->reason == SL_REASON_NO_ENDPOINT);
	explain("/a", "x", "x-one: 1\r\nExpect: 100-continue\r\n");
	CU_ASSERT(e->route == 2 && e->reason == SL_REASON_EXPECT);
	explain("/a", "x", "x-one: 1\r\nConnection: close\r\n");
	CU_ASSERT_EQUAL(e->reason, SL_REASON_CONNECTION_HEADER);
	explain("/a", "x", "x-one : 1\r\n");
	CU_ASSERT(e->parse == SL_PARSE_BAD && e->reason == SL_REASON_NOT_CANONICAL);
	CU_ASSERT(e->route == SL_NO_ROUTE && e->n_tried == 0);
	/* A route's own answer, in a request that has room for it. */
	explain("/a", "x",
		"x-two: 2\r\nx-four:\r\nx-five: "
		"55555555555555555555555555555555555555555555555\r\n");
	CU_ASSERT(e->route == 4 && e->reason == SL_REASON_NONE);
	explain("/a", "x", "x-two: 2\r\nx-four:\r\n");
	CU_ASSERT(e->route == 4 && e->reason == SL_REASON_ANSWER_LONG);

	CU_ASSERT_PTR_NOT_NULL_FATAL(big);
	snprintf(big, SL_KERNEL_HEAD_MAX + 64,
		 "GET /a HTTP/1.1\r\nHost: x\r\nx-one: 1\r\ny: %0*d\r\n\r\n", SL_KERNEL_HEAD_MAX,
		 0);
	CU_ASSERT_EQUAL(explain_bytes(big, strlen(big)), 0);
	CU_ASSERT(e->route == 2 && e->reason == SL_REASON_HEAD_TOO_LONG);
	free(big);

	config->options.kernel_path = false;
	explain("/a", "x", "x-one: 1\r\n");
	CU_ASSERT(e->route == 2 && e->reason == SL_REASON_KERNEL_PATH_OFF);
	config->options = saved;
}

/* Below @n; the same numbers in every run. */
static __u32 next_random(__u32 n)
{
	static __u32 seed = 12345;

	seed = seed * 1664525 + 1013904223;
	return (seed >> 16) % n;
}

#define RANDOM(list) list[next_random(sizeof(list) / sizeof(list[0]))]

/* Words that make and break matches, in random order. */
static void agreement(void)
{
	static const char *const targets[] = {"/",
					      "/a",
					      "/a/b",
					      "/only",
					      "/only?q",
					      "/exact/path/long",
					      "/exact/path/lon",
					      "/service/with/a/long/path",
					      "/service/with/a/long/patH",
					      "/a?/only",
					      "*",
					      "a"};
	static const char *const hosts[] = {"a.example", "A.EXAMPLE", "b.example:81", "x", ""};
	static const char *const lines[] = {"x-one: 1\r\n", "X-ONE: 2\r\n",	    "x-two: 2\r\n",
					    "x-two: 3\r\n", "x-three:\r\n",	    "x-four: 4\r\n",
					    "x-on: 1\r\n",  "Connection: close\r\n"};
	__u32 routed = 0, done = 0;

	for (int i = 0; i < 20000; i++) {
		char head[512];
		int n;

		n = snprintf(head, sizeof(head), "GET %s HTTP/1.1\r\nHost: %s\r\n", RANDOM(targets),
			     RANDOM(hosts));
		for (__u32 k = next_random(4); k; k--)
			n += snprintf(head + n, sizeof(head) - n, "%s", RANDOM(lines));
		n += snprintf(head + n, sizeof(head) - n, "\r\n");
		CU_ASSERT_EQUAL_FATAL(explain_bytes(head, n), 0);
		done += e->parse == SL_PARSE_DONE;
		routed += e->route != SL_NO_ROUTE;
	}
	/* The words are such that both happen often. */
	CU_ASSERT(done > 10000);
	CU_ASSERT(routed > 2000 && routed < done - 2000);
}

static int set_up(void)
{
	struct sl_diag_list diags;
	int err = sl_config_parse("t", text, strlen(text), NULL, &diags, &config);

	if (err)
		sl_diag_print(stderr, &diags);
	sl_diag_free(&diags);
	e = calloc(1, sizeof(*e));
	buf = calloc(1, SL_HEAD_MAX);
	return err || !e || !buf || sl_matcher_new(config->table, &matcher);
}

static int tear_down(void)
{
	sl_matcher_free(matcher);
	sl_compiled_free(config);
	free(e);
	free(buf);
	return 0;
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"verdicts", verdicts}, {"domains", domains},
		{"reasons", reasons},	{"steps and matcher agree", agreement},
		CU_TEST_INFO_NULL,
	};

	return run_suite_with("explain", set_up, tear_down, tests);
}
