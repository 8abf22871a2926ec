// SPDX-License-Identifier: GPL-2.0-only
/*
 * Routes' own answers for the kernel path: which routes have one, its text, which requests it
 * answers, what the table's check refuses; and the date, against the C library's.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "config/config.h"
#include "sl_canned.h"
#include "sl_http.h"
#include "suite.h"

static const char head[] = "static_resources:\n"
			   "  listeners:\n"
			   "  - address: {socket_address: {address: 127.0.0.1, port_value: 8000}}\n"
			   "    filter_chains:\n"
			   "    - filters:\n"
			   "      - name: envoy.http_connection_manager\n"
			   "        config:\n"
			   "          http_filters: [{name: envoy.router}]\n"
			   "%s"
			   "          route_config:\n"
			   "            virtual_hosts:\n"
			   "            - name: all\n"
			   "              domains: ['*']\n"
			   "%s"
			   "              routes:\n"
			   "              - match: {prefix: /}\n"
			   "                %s\n"
			   "  clusters: []\n";

/* One route with the keys @route; further keys of its connection manager and virtual host. */
static struct sl_compiled *compile(const char *hcm, const char *vhost, const char *route)
{
	struct sl_compiled *c = NULL;
	struct sl_diag_list diags;
	char text[8192];

	snprintf(text, sizeof(text), head, hcm, vhost, route);
	CU_ASSERT_EQUAL(sl_config_parse("t", text, strlen(text), NULL, &diags, &c), 0);
	if (!c)
		sl_diag_print(stderr, &diags);
	sl_diag_free(&diags);
	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	return c;
}

/* The route's answer with " DATE CRLF" where its date goes; "": it has none. */
static const char *answer(const char *hcm, const char *vhost, const char *route)
{
	static char text[SL_KERNEL_HEAD_MAX + 64];
	struct sl_compiled *c = compile(hcm, vhost, route);
	const struct sl_route *r = &c->table->routes[0];
	const struct sl_canned *a = &c->table->canned[r->canned];
	const char *s = (const char *)c->table->strings + a->text.off;

	text[0] = '\0';
	CU_ASSERT(r->flags & SL_ROUTE_NEEDS_USER);
	CU_ASSERT_EQUAL(c->table->n_canned, !!(r->flags & SL_ROUTE_CANNED));
	if (r->flags & SL_ROUTE_CANNED)
		snprintf(text, sizeof(text), "%.*s DATE\r\n%.*s", a->head, s,
			 (int)(a->text.len - a->head), s + a->head);
	CU_ASSERT_EQUAL(sl_compiled_check(c, NULL), 0);
	sl_compiled_free(c);
	return text;
}

static void texts(void)
{
	CU_ASSERT_STRING_EQUAL(
		answer("", "", "direct_response: {status: 418, body: {inline_string: tea}}"),
		"HTTP/1.1 418 I'm a teapot\r\ndate: DATE\r\ncontent-length: 3\r\n"
		"content-type: text/plain\r\nserver: sluice\r\n\r\ntea");
	CU_ASSERT_STRING_EQUAL(answer("", "", "direct_response: {status: 200}"),
			       "HTTP/1.1 200 OK\r\ndate: DATE\r\ncontent-length: 0\r\n"
			       "server: sluice\r\n\r\n");
	CU_ASSERT_STRING_EQUAL(
		answer("", "", "direct_response: {status: 204, body: {inline_string: tea}}"),
		"HTTP/1.1 204 No Content\r\ndate: DATE\r\nserver: sluice\r\n\r\n");
	CU_ASSERT_STRING_EQUAL(
		answer("          server_name: me\n", "", "direct_response: {status: 299}"),
		"HTTP/1.1 299 \r\ndate: DATE\r\ncontent-length: 0\r\nserver: me\r\n\r\n");
	CU_ASSERT_STRING_EQUAL(
		answer("", "",
		       "redirect: {https_redirect: true, host_redirect: h, "
		       "port_redirect: 8443, path_redirect: n, response_code: FOUND}"),
		"HTTP/1.1 302 Found\r\ndate: DATE\r\nlocation: https://h:8443/n\r\n"
		"content-length: 0\r\nserver: sluice\r\n\r\n");
}

static void none(void)
{
	const char *ok = "direct_response: {status: 200}";

	/* The request's scheme, path or host. */
	CU_ASSERT_STRING_EQUAL(answer("", "", "redirect: {host_redirect: h, path_redirect: /n}"),
			       "");
	CU_ASSERT_STRING_EQUAL(answer("", "", "redirect: {https_redirect: true, host_redirect: h}"),
			       "");
	CU_ASSERT_STRING_EQUAL(
		answer("", "", "redirect: {https_redirect: true, path_redirect: /n}"), "");
	CU_ASSERT_STRING_EQUAL(answer("", "",
				      "redirect: {https_redirect: true, host_redirect: h, "
				      "prefix_rewrite: /n}"),
			       "");
	/* Headers that are not the same for all, or might not be. */
	CU_ASSERT_STRING_EQUAL(answer("          via: v\n", "", ok), "");
	CU_ASSERT_STRING_EQUAL(
		answer("          always_set_request_id_in_response: true\n", "", ok), "");
	CU_ASSERT_STRING_EQUAL(
		answer("", "              response_headers_to_remove: [server]\n", ok), "");
	CU_ASSERT(answer("", "              request_headers_to_remove: [x]\n", ok)[0]);
}

/* As long as a head may be, and a byte more. */
static void longest(void)
{
	char body[SL_KERNEL_HEAD_MAX], route[SL_KERNEL_HEAD_MAX + 128];
	const char *got;

	for (int more = 0; more < 2; more++) {
		const __u32 around = strlen("HTTP/1.1 200 OK\r\ndate:content-length: 3970\r\n"
					    "content-type: text/plain\r\nserver: sluice\r\n\r\n") +
				     SL_DATE_LINE;
		__u32 n = SL_KERNEL_HEAD_MAX - around + more;

		memset(body, 'x', n);
		body[n] = '\0';
		snprintf(route, sizeof(route),
			 "direct_response: {status: 200, body: {inline_string: %s}}", body);
		got = answer("", "", route);
		CU_ASSERT_EQUAL(strlen(got),
				more ? 0 : SL_KERNEL_HEAD_MAX - SL_DATE_LINE + strlen(" DATE\r\n"));
	}
}

static enum sl_reason reason(const struct sl_canned *c, const char *request, __u32 more)
{
	static __u8 buf[SL_HEAD_MAX + 64];
	static struct sl_head h;
	__u32 len = strlen(request);

	memcpy(buf, request, len);
	CU_ASSERT_EQUAL(sl_request_parse(&h, buf, len), SL_PARSE_DONE);
	return sl_canned_reason(c, &h, len + more);
}

static void requests(void)
{
	struct sl_canned c = {.text.len = 20, .head = 10, .status = 200};
	const char *get = "GET /a HTTP/1.1\r\nHost: hhhhhhhhhhhhhhhhhhhhhhhhh\r\n\r\n"; /* 52 */

	CU_ASSERT_EQUAL(reason(&c, get, 0), SL_REASON_NONE);
	c.text.len++;
	CU_ASSERT_EQUAL(reason(&c, get, 0), SL_REASON_ANSWER_LONG);
	CU_ASSERT_EQUAL(reason(&c, get, 1), SL_REASON_ROUTE_NEEDS_USER);
	c.text.len = 14;
	CU_ASSERT_EQUAL(reason(&c, "HEAD /a HTTP/1.1\r\nHost: hhhhhhhhhhhhhhhhhhhhhhhh\r\n\r\n", 0),
			SL_REASON_ROUTE_NEEDS_USER);
	CU_ASSERT_EQUAL(reason(&c, "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n", 0),
			SL_REASON_NONE);
	CU_ASSERT_EQUAL(reason(&c, "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\n", 0),
			SL_REASON_ROUTE_NEEDS_USER);
	CU_ASSERT_EQUAL(
		reason(&c, "PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n", 0),
		SL_REASON_ROUTE_NEEDS_USER);
	CU_ASSERT_EQUAL(reason(&c, "GET /?a HTTP/1.1\r\nHost: hhhhhhhhhhhhhhhhhhhhhhhh\r\n\r\n", 0),
			SL_REASON_NONE);
	c.flags = SL_CANNED_NO_QUERY;
	CU_ASSERT_EQUAL(reason(&c, "GET /?a HTTP/1.1\r\nHost: hhhhhhhhhhhhhhhhhhhhhhhh\r\n\r\n", 0),
			SL_REASON_ROUTE_NEEDS_USER);
	CU_ASSERT_EQUAL(reason(&c, "GET /? HTTP/1.1\r\nHost: hhhhhhhhhhhhhhhhhhhhhhhhh\r\n\r\n", 0),
			SL_REASON_ROUTE_NEEDS_USER);
	CU_ASSERT_EQUAL(reason(&c, get, 0), SL_REASON_NONE);
}

/* @field set to @value is found; and not any more. */
#define WRONG(field, value)                                        \
	do {                                                       \
		__typeof__(field) saved_ = (field);                \
                                                                   \
		(field) = (value);                                 \
		CU_ASSERT_EQUAL(sl_table_check(t, &why), -EINVAL); \
		(field) = saved_;                                  \
		CU_ASSERT_EQUAL(sl_table_check(t, &why), 0);       \
	} while (0)

static void check(void)
{
	struct sl_compiled *c = compile("", "", "direct_response: {status: 200}");
	struct sl_table *t = c->table;
	struct sl_canned *a = &t->canned[0];
	const char *why;

	WRONG(t->n_canned, 0);
	WRONG(t->n_canned, SL_MAX_CANNED + 1);
	WRONG(t->routes[0].canned, 1);
	WRONG(t->routes[0].n_hashes, 1);
	WRONG(t->routes[0].flags, SL_ROUTE_CANNED);
	WRONG(t->routes[0].flags, SL_ROUTE_CANNED | SL_ROUTE_NEEDS_USER | 0x10);
	WRONG(a->text.off, SL_STRING_POOL - 1);
	WRONG(a->text.len, SL_KERNEL_HEAD_MAX - SL_DATE_LINE + 1);
	WRONG(a->head, SL_CANNED_PART_MIN - 1);
	WRONG(a->head, a->text.len - SL_CANNED_PART_MIN + 1);
	WRONG(a->status, 201);
	WRONG(a->flags, 0x80);
	sl_compiled_free(c);
}

static bool date_is_right(__u64 s)
{
	char want[64];
	struct sl_date d;
	time_t at = s;
	struct tm tm;

	gmtime_r(&at, &tm);
	strftime(want, sizeof(want), " %a, %d %b %Y %H:%M:%S GMT\r\n", &tm);
	sl_date_set(&d, s);
	return strlen(want) == SL_DATE_LINE && !memcmp(d.text, want, SL_DATE_LINE);
}

static void dates(void)
{
	const __u64 last = 253402300799; /* 9999-12-31 23:59:59 */
	__u64 wrong = 0, random = 1;

	for (__u64 s = 0; s <= last; s += 86400 - 86400 % 7) /* each day, and its edges */
		wrong += !date_is_right(s);
	for (__u64 day = 0; day * 86400 <= last; day += 13)
		wrong += !date_is_right(day * 86400) || (day && !date_is_right(day * 86400 - 1));
	for (int i = 0; i < 200000; i++) {
		random = random * 6364136223846793005u + 1442695040888963407u;
		wrong += !date_is_right((random >> 16) % last);
	}
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT(date_is_right(last));
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"texts", texts},     {"routes that have none", none},
		{"longest", longest}, {"requests", requests},
		{"check", check},     {"dates", dates},
		CU_TEST_INFO_NULL,
	};

	return run_suite("canned", tests);
}
