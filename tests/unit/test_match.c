// SPDX-License-Identifier: GPL-2.0-only
/* Which route takes a request: Envoy's rules on tables made by hand. */
#include <stdarg.h>

#include "core.h"
#include "sl_http.h"
#include "sl_match.h"

static struct sl_table *table;
static __u32 used; /* bytes of table->strings */

static struct sl_str str(const char *s)
{
	struct sl_str ret = {.off = used, .len = strlen(s)};

	memcpy(table->strings + used, s, ret.len);
	used += ret.len;
	return ret;
}

static void table_new(void)
{
	if (!table)
		table = (void *)guarded(sizeof(*table));
	memset(table, 0, sizeof(*table));
	/* The pool's first bytes belong to nobody: offset 0 is not special. */
	used = 3;
}

/* The virtual hosts in order; routes that are added belong to the last one. */
static void vhost(void)
{
	table->vhosts[table->n_vhosts++].first_route = table->n_routes;
}

static void domain(const char *name)
{
	struct sl_domain *d = &table->domains[table->n_domains++];

	d->kind = strcmp(name, "*") ? SL_DOMAIN_EXACT : SL_DOMAIN_ANY;
	d->name = str(name);
	d->vhost = table->n_vhosts - 1;
}

static void route(enum sl_path_kind kind, const char *path)
{
	struct sl_route *r = &table->routes[table->n_routes++];

	r->path = str(path);
	r->path_kind = kind;
	r->first_header = table->n_header_rules;
	table->vhosts[table->n_vhosts - 1].n_routes++;
}

static void header(const char *name, const char *exact, bool invert)
{
	struct sl_header_rule *r = &table->header_rules[table->n_header_rules++];

	r->name = str(name);
	r->kind = exact ? SL_HEADER_EXACT : SL_HEADER_PRESENT;
	r->value = str(exact ? exact : "");
	r->invert = invert;
	table->routes[table->n_routes - 1].n_headers++;
}

/* The route of a request, -1: none. */
static int find(const char *line, const char *headers)
{
	static __u8 *buf;
	struct sl_head h;
	int len;

	if (!buf)
		buf = guarded(SL_HEAD_MAX);
	memset(buf, 'Z', 4096);
	len = snprintf((char *)buf, SL_HEAD_MAX, "%s\r\n%s\r\n", line, headers);
	if (sl_request_parse(&h, buf, len) != SL_PARSE_DONE) {
		printf("\n    does not parse: %s", line);
		return -2;
	}
	return (int)sl_match(table, &h, buf);
}

#define FIND(path, host) find("GET " path " HTTP/1.1", "Host: " host "\r\n")
#define HEADERS(text) find("GET / HTTP/1.1", "Host: a\r\n" text)

static void tutorial(void)
{
	table_new();
	vhost();
	domain("*");
	route(SL_PATH_PREFIX, "/service/1");
	header("x-canary-version", "service1a", false);
	route(SL_PATH_PREFIX, "/service/1");
	route(SL_PATH_PREFIX, "/service/2");
	CU_ASSERT_EQUAL(FIND("/service/1", "a"), 1);
	CU_ASSERT_EQUAL(FIND("/service/1/x", "a"), 1);
	CU_ASSERT_EQUAL(FIND("/service/10", "a"), 1);
	CU_ASSERT_EQUAL(FIND("/service/2?x", "a"), 2);
	CU_ASSERT_EQUAL(FIND("/service/3", "a"), -1);
	CU_ASSERT_EQUAL(FIND("/service/", "a"), -1);
	CU_ASSERT_EQUAL(FIND("/Service/1", "a"), -1);
	CU_ASSERT_EQUAL(
		find("GET /service/1 HTTP/1.1", "Host: a\r\nX-Canary-Version: service1a\r\n"), 0);
	CU_ASSERT_EQUAL(
		find("GET /service/1 HTTP/1.1", "Host: a\r\nx-canary-version: service1b\r\n"), 1);
	CU_ASSERT_EQUAL(
		find("GET /service/1 HTTP/1.1", "Host: a\r\nx-canary-version: service1\r\n"), 1);
	CU_ASSERT_EQUAL(
		find("GET /service/1 HTTP/1.1", "Host: a\r\nx-canary-version: service1aa\r\n"), 1);
	CU_ASSERT_EQUAL(
		find("GET /service/1 HTTP/1.1", "Host: a\r\nx-canary-versio: service1a\r\n"), 1);
	CU_ASSERT_EQUAL(
		find("GET /service/1 HTTP/1.1", "Host: a\r\nx-canary-version2: service1a\r\n"), 1);
	CU_ASSERT_EQUAL(
		find("GET /service/1 HTTP/1.1", "Host: a\r\nx-canary-version: SERVICE1A\r\n"), 1);
	CU_ASSERT_EQUAL(
		find("GET /service/2 HTTP/1.1", "Host: a\r\nx-canary-version: service1a\r\n"), 2);
}

static void virtual_hosts(void)
{
	table_new();
	vhost();
	domain("a.example");
	domain("b.example:8080");
	route(SL_PATH_PREFIX, "/a");
	vhost();
	domain("c.example");
	route(SL_PATH_PREFIX, "/");
	vhost();
	domain("*");
	route(SL_PATH_PREFIX, "/any");
	CU_ASSERT_EQUAL(FIND("/a", "a.example"), 0);
	CU_ASSERT_EQUAL(FIND("/a", "A.ExAmPle"), 0);
	CU_ASSERT_EQUAL(FIND("/a", "b.example:8080"), 0);
	CU_ASSERT_EQUAL(FIND("/a", "c.example"), 1);
	CU_ASSERT_EQUAL(FIND("/any", "d.example"), 2);
	/* The port is part of the name, as in Envoy. */
	CU_ASSERT_EQUAL(FIND("/a", "a.example:80"), -1);
	CU_ASSERT_EQUAL(FIND("/any", "b.example"), 2);
	/* A virtual host that has the domain, but no route: no other one is asked. */
	CU_ASSERT_EQUAL(FIND("/", "a.example"), -1);
	CU_ASSERT_EQUAL(FIND("/any", "a.exampl"), 2);
	CU_ASSERT_EQUAL(FIND("/any", "a.example2"), 2);
	CU_ASSERT_EQUAL(FIND("/any", ""), 2);
	/* absolute-form: the target's host decides. */
	CU_ASSERT_EQUAL(find("GET http://c.example/a HTTP/1.1", "Host: a.example\r\n"), 1);
	/* HTTP/1.0 without Host. */
	CU_ASSERT_EQUAL(find("GET /any HTTP/1.0", ""), 2);
	/* Without "*" there may be none. */
	table->n_domains = 3;
	CU_ASSERT_EQUAL(FIND("/any", "d.example"), -1);
	table->n_domains = 0;
	CU_ASSERT_EQUAL(FIND("/a", "a.example"), -1);
}

static void folding(void)
{
	table_new();
	vhost();
	domain("[::1]:80");
	route(SL_PATH_PREFIX, "/");
	CU_ASSERT_EQUAL(FIND("/", "[::1]:80"), 0);
	table->strings[table->domains[0].name.off] = '{'; /* '[' | 0x20 */
	CU_ASSERT_EQUAL(FIND("/", "[::1]:80"), -1);
}

static void paths(void)
{
	char path[2000], line[2100];

	table_new();
	vhost();
	domain("*");
	route(SL_PATH_EXACT, "/exact");
	route(SL_PATH_PREFIX, "/12345678");
	route(SL_PATH_PREFIX, "/query?x=1");
	route(SL_PATH_EXACT, "*");
	CU_ASSERT_EQUAL(FIND("/exact", "a"), 0);
	CU_ASSERT_EQUAL(FIND("/exact?", "a"), 0);
	CU_ASSERT_EQUAL(FIND("/exact?q=/x", "a"), 0);
	CU_ASSERT_EQUAL(FIND("/exact/", "a"), -1);
	CU_ASSERT_EQUAL(FIND("/exac", "a"), -1);
	CU_ASSERT_EQUAL(FIND("/Exact", "a"), -1);
	CU_ASSERT_EQUAL(FIND("/12345678", "a"), 1);
	CU_ASSERT_EQUAL(FIND("/123456789", "a"), 1);
	CU_ASSERT_EQUAL(FIND("/1234567", "a"), -1);
	CU_ASSERT_EQUAL(FIND("/12345679", "a"), -1);
	/* The query is part of what a prefix sees (Envoy's :path). */
	CU_ASSERT_EQUAL(FIND("/query?x=12", "a"), 2);
	CU_ASSERT_EQUAL(FIND("/query?x=2", "a"), -1);
	CU_ASSERT_EQUAL(find("OPTIONS * HTTP/1.1", "Host: a\r\n"), 3);
	/* No normalisation: as it is written. */
	CU_ASSERT_EQUAL(FIND("/x/../exact", "a"), -1);
	CU_ASSERT_EQUAL(FIND("//exact", "a"), -1);
	/* The empty prefix matches everything. */
	route(SL_PATH_PREFIX, "");
	CU_ASSERT_EQUAL(FIND("/1234567", "a"), 4);
	/* Long ones, with the difference at any byte. */
	for (int len = 1; len < 200; len++) {
		table_new();
		vhost();
		domain("*");
		memset(path, 'p', sizeof(path));
		path[0] = '/';
		path[len] = 0;
		route(SL_PATH_PREFIX, path);
		snprintf(line, sizeof(line), "GET %s HTTP/1.1", path);
		CU_ASSERT_EQUAL(find(line, "Host: a\r\n"), 0);
		for (int at = 1; at < len; at++) {
			line[4 + at] = 'q';
			CU_ASSERT_EQUAL(find(line, "Host: a\r\n"), -1);
			line[4 + at] = 'p';
		}
	}
}

static void first_of_many(void)
{
	char path[32];

	table_new();
	vhost();
	domain("*");
	for (int i = 0; i < SL_MAX_ROUTES - 2; i++) {
		snprintf(path, sizeof(path), "/service/number/%d/", i);
		route(SL_PATH_PREFIX, path);
	}
	route(SL_PATH_PREFIX, "/service/number/");
	route(SL_PATH_PREFIX, "/");
	for (int i = 0; i < SL_MAX_ROUTES - 2; i++) {
		char line[64];

		snprintf(line, sizeof(line), "GET /service/number/%d/x HTTP/1.1", i);
		CU_ASSERT_EQUAL(find(line, "Host: a\r\n"), i);
	}
	CU_ASSERT_EQUAL(FIND("/service/number/x", "a"), SL_MAX_ROUTES - 2);
	CU_ASSERT_EQUAL(FIND("/x", "a"), SL_MAX_ROUTES - 1);
	/* File order, not the longest: the last but one hides nothing, the first all. */
	table->routes[0].path = table->routes[SL_MAX_ROUTES - 1].path;
	CU_ASSERT_EQUAL(FIND("/service/number/17/x", "a"), 0);
}

/* One route with one rule: does the request match it? */
static bool rule(const char *name, const char *exact, bool invert, const char *headers)
{
	table_new();
	vhost();
	domain("*");
	route(SL_PATH_PREFIX, "/");
	header(name, exact, invert);
	return HEADERS("") != -2 && find("GET /p?q HTTP/1.1", headers) == 0;
}

static void header_rules(void)
{
	static const struct {
		const char *name, *exact;
		bool invert;
		const char *headers;
		bool matches;
	} cases[] = {
		{"x", "1", false, "Host: a\r\nX: 1\r\n", true},
		{"x", "1", false, "Host: a\r\nX: \t1 \r\n", true},
		{"x", "1", false, "Host: a\r\nX: 2\r\n", false},
		{"x", "1", false, "Host: a\r\nX: 11\r\n", false},
		{"x", "1", false, "Host: a\r\nX:\r\n", false},
		{"x", "1", false, "Host: a\r\n", false},
		{"x", "", false, "Host: a\r\nX:\r\n", true},
		{"x", "", false, "Host: a\r\nX: 1\r\n", false},
		{"x", "", false, "Host: a\r\n", false},
		/* Inverted; a missing header is no match, inverted or not. */
		{"x", "1", true, "Host: a\r\nX: 2\r\n", true},
		{"x", "1", true, "Host: a\r\nX: 1\r\n", false},
		{"x", "1", true, "Host: a\r\n", false},
		{"x", NULL, false, "Host: a\r\nX: 1\r\n", true},
		{"x", NULL, false, "Host: a\r\nX:\r\n", true},
		{"x", NULL, false, "Host: a\r\n", false},
		{"x", NULL, true, "Host: a\r\n", true},
		{"x", NULL, true, "Host: a\r\nX: 1\r\n", false},
		/* Repeated ones are joined with a comma. */
		{"x", "1,2", false, "Host: a\r\nX: 1\r\nx: 2\r\n", true},
		{"x", "1,2", false, "X: 1\r\nHost: a\r\nY: 3\r\nx: 2\r\n", true},
		{"x", "1,2", false, "Host: a\r\nX: 1,2\r\n", true},
		{"x", "1,2", false, "Host: a\r\nX: 2\r\nX: 1\r\n", false},
		{"x", "1,2", false, "Host: a\r\nX: 1\r\nX: 2\r\nX: 3\r\n", false},
		{"x", "1,2", false, "Host: a\r\nX: 1\r\n", false},
		{"x", "1", false, "Host: a\r\nX: 1\r\nX: 1\r\n", false},
		{"x", "1", true, "Host: a\r\nX: 1\r\nX: 1\r\n", true},
		{"x", "1;2", false, "Host: a\r\nX: 1\r\nX: 2\r\n", false},
		{"x", "12", false, "Host: a\r\nX: 1\r\nX: 2\r\n", false},
		{"x", ",", false, "Host: a\r\nX:\r\nX:\r\n", true},
		{"x", "", false, "Host: a\r\nX:\r\nX:\r\n", false},
		{"x", ",1", false, "Host: a\r\nX:\r\nX: 1\r\n", true},
		{"x", "1,,2", false, "Host: a\r\nX: 1\r\nX:\r\nX: 2\r\n", true},
		/* Names of 8, 9 and 70 bytes. */
		{"x-345678", "v", false, "Host: a\r\nX-345678: v\r\n", true},
		{"x-345678", "v", false, "Host: a\r\nX-345679: v\r\n", false},
		{"x-3456789", "v", false, "Host: a\r\nX-3456789: v\r\n", true},
		{"x-3456789", "v", false, "Host: a\r\nX-3456788: v\r\n", false},
		{"x-3456789", "v", false, "Host: a\r\nX-345678: v\r\n", false},
		{"x-3456789012345678901234567890123456789012345678901234567890123456789z", "v",
		 false,
		 "Host: "
		 "a\r\nX-3456789012345678901234567890123456789012345678901234567890123456789Z: "
		 "v\r\n",
		 true},
		{"x-3456789012345678901234567890123456789012345678901234567890123456789z", "v",
		 false,
		 "Host: "
		 "a\r\nX-3456789012345678901234567890123456789012345678901234567890123456789Y: "
		 "v\r\n",
		 false},
		/* Parts of the request line. */
		{":method", "GET", false, "Host: a\r\n", true},
		{":method", "get", false, "Host: a\r\n", false},
		{":method", "PUT", true, "Host: a\r\n", true},
		{":path", "/p?q", false, "Host: a\r\n", true},
		{":path", "/p", false, "Host: a\r\n", false},
		{":authority", "a:1", false, "Host: a:1\r\n", true},
		{":authority", "a:1", false, "Host: a\r\n", false},
		{":authority", NULL, false, "Host: a\r\n", true},
		{":unknown", NULL, false, "Host: a\r\n", false},
		{"host", "a", false, "Host: a\r\n", true},
		{"host", "b", false, "Host: a\r\n", false},
		{"host", "A", false, "Host: a\r\n", false},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		CHECK_CASE(rule(cases[i].name, cases[i].exact, cases[i].invert, cases[i].headers) ==
				   cases[i].matches,
			   cases[i].name, "%s, invert %d: %s",
			   cases[i].exact ? cases[i].exact : "present", cases[i].invert,
			   cases[i].headers);
}

static void all_rules_of_a_route(void)
{
	table_new();
	vhost();
	domain("*");
	route(SL_PATH_PREFIX, "/");
	header("x", "1", false);
	header("y", "2", false);
	header("z", NULL, true);
	route(SL_PATH_PREFIX, "/");
	header("y", "2", false);
	CU_ASSERT_EQUAL(HEADERS("X: 1\r\nY: 2\r\n"), 0);
	CU_ASSERT_EQUAL(HEADERS("X: 1\r\nY: 2\r\nZ:\r\n"), 1);
	CU_ASSERT_EQUAL(HEADERS("X: 2\r\nY: 2\r\n"), 1);
	CU_ASSERT_EQUAL(HEADERS("X: 1\r\nY: 3\r\n"), -1);
	CU_ASSERT_EQUAL(HEADERS("X: 1\r\n"), -1);
	/* Host of absolute-form is :authority. */
	table->header_rules[3].name = str("host");
	table->header_rules[3].value = str("b");
	CU_ASSERT_EQUAL(find("GET http://b/ HTTP/1.1", "Host: a\r\n"), 1);
	CU_ASSERT_EQUAL(find("GET / HTTP/1.0", ""), -1);
}

/* 64 header lines, the one that is asked for at each place. */
static void many_headers(void)
{
	char headers[2000];

	for (int at = 0; at < 63; at++) {
		char *p = headers;

		for (int i = 0; i < 63; i++)
			p += sprintf(p, i == at ? "X-Canary: 1\r\n" : "X-Canarz: %d\r\n", i);
		sprintf(p, "Host: a\r\n");
		CHECK_CASE(rule("x-canary", "1", false, headers), "many headers", "at %d", at);
	}
}

/* Numbers that no compiler writes: nothing is read outside (the table ends at a guard page). */
static void spoiled_tables(void)
{
	unsigned int seed = 1;

	for (int i = 0; i < 20000; i++) {
		__u32 *word;

		tutorial();
		word = (__u32 *)table + rand_r(&seed) % (sizeof(__u32) * 8);
		switch (rand_r(&seed) % 4) {
		case 0:
			word = (__u32 *)&table->routes[rand_r(&seed) % 3] +
			       rand_r(&seed) % (sizeof(struct sl_route) / 4);
			break;
		case 1:
			word = (__u32 *)&table->header_rules[0] +
			       rand_r(&seed) % (sizeof(struct sl_header_rule) / 4);
			break;
		case 2:
			word = (__u32 *)&table->domains[0] +
			       rand_r(&seed) % (sizeof(struct sl_domain) / 4);
			break;
		}
		*word = rand_r(&seed) % 3 ? (__u32)rand_r(&seed) * 3U
					  : SL_STRING_POOL - (__u32)rand_r(&seed) % 9;
		find("GET /service/1 HTTP/1.1", "Host: a\r\nX-Canary-Version: service1a\r\n");
	}
	CU_PASS("no crash");
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"the tutorial's routes", tutorial},
		{"virtual hosts", virtual_hosts},
		{"case folding is of letters alone", folding},
		{"paths", paths},
		{"first of 512 routes", first_of_many},
		{"header rules", header_rules},
		{"all rules of a route", all_rules_of_a_route},
		{"a header at each of 63 places", many_headers},
		{"spoiled tables", spoiled_tables},
		CU_TEST_INFO_NULL,
	};

	return run_suite("match", tests);
}
