// SPDX-License-Identifier: GPL-2.0-only
/* Which route takes a request: Envoy's rules on tables made by hand. */
#include <stdarg.h>
#include <stdint.h>

#include "core.h"
#include "config/index.h"
#include "config/matcher.h"
#include "sl_http.h"
#include "sl_match.h"

static struct sl_table *table;
static __u32 used; /* bytes of table->strings */
static bool built; /* the index is that of the table */

static struct sl_str str(const char *s)
{
	struct sl_str ret = {.off = used, .len = strlen(s)};

	memcpy(table->strings + used, s, ret.len);
	used += ret.len;
	return ret;
}

/* Clears what the tests use: the whole table is megabytes. */
static void table_new(void)
{
	if (!table)
		table = (void *)guarded(sizeof(*table));
	memset(table, 0, offsetof(struct sl_table, domains));
	memset(table->domains, 0, sizeof(table->domains[0]) * 16);
	memset(table->vhosts, 0, sizeof(table->vhosts[0]) * 16);
	memset(table->routes, 0, sizeof(table->routes[0]) * SL_MAX_ROUTES);
	memset(table->rules, 0, sizeof(table->rules[0]) * 64);
	table->n_configs = 1;
	/* The pool's first bytes belong to nobody: offset 0 is not special. */
	used = 3;
	built = false;
}

/* The virtual hosts in order; routes that are added belong to the last one. */
static void vhost(void)
{
	table->vhosts[table->n_vhosts++].first_route = table->n_routes;
}

static void domain(const char *name)
{
	struct sl_domain *d = &table->domains[table->n_domains++];
	size_t len = strlen(name);

	d->vhost = table->n_vhosts - 1;
	d->name = str(name);
	if (!strcmp(name, "*")) {
		d->kind = SL_DOMAIN_ANY;
		d->name.len = 0;
	} else if (name[0] == '*') {
		d->kind = SL_DOMAIN_SUFFIX;
		d->name.off++;
		d->name.len--;
	} else if (name[len - 1] == '*') {
		d->kind = SL_DOMAIN_PREFIX;
		d->name.len--;
	}
}

static void route(enum sl_path_kind kind, const char *path)
{
	struct sl_route *r = &table->routes[table->n_routes++];

	r->path = str(path);
	r->path_kind = kind;
	r->first_rule = table->n_rules;
	table->vhosts[table->n_vhosts - 1].n_routes++;
	built = false;
}

static struct sl_rule *rule_add(enum sl_rule_what what, enum sl_rule_kind kind, const char *name,
				const char *value, __u8 flags)
{
	struct sl_rule *r = &table->rules[table->n_rules++];

	built = false;
	r->what = what;
	r->kind = kind;
	r->flags = flags;
	r->name = str(name);
	r->value = str(value ? value : "");
	table->routes[table->n_routes - 1].n_rules++;
	return r;
}

static void header(const char *name, const char *exact, bool invert)
{
	rule_add(SL_RULE_HEADER, exact ? SL_RULE_EXACT : SL_RULE_PRESENT, name, exact,
		 invert ? SL_RULE_INVERT : 0);
}

/*
 * As the user path finds it. What the kernel finds is the same, or UNSURE; where it must not be,
 * the tests ask for it (kernel).
 */
static __u32 kernel;

static int match(const struct sl_head *h, const __u8 *buf)
{
	struct sl_request_view v = {.t = table, .h = h, .buf = buf};
	static struct sl_matcher *m;
	__u32 found;

	if (!built) {
		sl_matcher_free(m);
		m = NULL;
		if (sl_index_build(table) || sl_matcher_new(table, &m))
			CU_FAIL_FATAL("no index");
	}
	built = true;
	kernel = sl_match_view(&v, 0);
	found = sl_matcher_find(m, 0, h, buf, 0);
	CU_ASSERT(kernel == found || kernel == SL_ROUTE_UNSURE);
	return (int)found;
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
	return match(&h, buf);
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
	table->configs[0] = (struct sl_route_config){0};
	built = false;
	CU_ASSERT_EQUAL(FIND("/any", "d.example"), -1);
	table->n_domains = 0;
	table->configs[0] = (struct sl_route_config){0};
	built = false;
	CU_ASSERT_EQUAL(FIND("/a", "a.example"), -1);
}

/* Envoy's RouteMatcher::findVirtualHost. */
static void wildcards(void)
{
	static const char *const names[] = {"*",     "*.b.example", "*-a.b.example", "*example",
					    "www.*", "www.b.*",	    "a.b.example",   "[::1]"};

	table_new();
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		vhost();
		domain(names[i]);
		route(SL_PATH_PREFIX, "/");
	}
	CU_ASSERT_EQUAL(FIND("/", "a.b.example"), 6);
	CU_ASSERT_EQUAL(FIND("/", "A.B.Example"), 6);
	/* The longest suffix, wherever it begins; before the longest prefix. */
	CU_ASSERT_EQUAL(FIND("/", "c.b.example"), 1);
	CU_ASSERT_EQUAL(FIND("/", "x-a.b.example"), 2);
	CU_ASSERT_EQUAL(FIND("/", "www.b.example"), 1);
	CU_ASSERT_EQUAL(FIND("/", "www.x.example"), 3);
	CU_ASSERT_EQUAL(FIND("/", "www.b.org"), 5);
	CU_ASSERT_EQUAL(FIND("/", "www.c.org"), 4);
	/* A star stands for something. */
	CU_ASSERT_EQUAL(FIND("/", ".b.example"), 3);
	CU_ASSERT_EQUAL(FIND("/", "example"), 0);
	CU_ASSERT_EQUAL(FIND("/", "www."), 0);
	/* Ports are part of the name ... */
	CU_ASSERT_EQUAL(FIND("/", "c.b.example:80"), 0);
	CU_ASSERT_EQUAL(FIND("/", "www.b.org:80"), 5);
	CU_ASSERT_EQUAL(FIND("/", "[::1]:80"), 0);
	CU_ASSERT_EQUAL(FIND("/", "[::1]"), 7);
	/* ... unless the configuration says otherwise. */
	table->configs[0].flags = SL_CONFIG_IGNORE_PORT;
	CU_ASSERT_EQUAL(FIND("/", "c.b.example:80"), 1);
	CU_ASSERT_EQUAL(FIND("/", "a.b.example:65535"), 6);
	CU_ASSERT_EQUAL(FIND("/", "a.b.example:"), 6);
	CU_ASSERT_EQUAL(FIND("/", "[::1]:80"), 7);
	CU_ASSERT_EQUAL(FIND("/", "[::1]"), 7);
}

/* Listeners with route configurations of their own. */
static void listeners(void)
{
	struct sl_request_view v = {.t = NULL};
	struct sl_head h;
	static const char text[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
	__u8 *buf = guarded(SL_HEAD_MAX);

	memcpy(buf, text, sizeof(text) - 1);
	CU_ASSERT_EQUAL(sl_request_parse(&h, buf, sizeof(text) - 1), SL_PARSE_DONE);
	table_new();
	table->n_configs = 2;
	for (int i = 0; i < 4; i++) {
		vhost();
		domain(i & 1 ? "*" : "a");
		table->domains[i].config = i / 2;
		route(SL_PATH_PREFIX, i == 2 ? "/not" : "/");
	}
	table->config_of[1] = 1;
	CU_ASSERT_EQUAL(sl_index_build(table), 0);
	v.t = table;
	v.h = &h;
	v.buf = buf;
	CU_ASSERT_EQUAL(sl_match_view(&v, 0), 0);
	CU_ASSERT_EQUAL(sl_match_view(&v, 1), SL_NO_ROUTE);
	CU_ASSERT_EQUAL(sl_match_view(&v, 2), 0);
}

static void folding(void)
{
	table_new();
	vhost();
	domain("[::1]:80");
	route(SL_PATH_PREFIX, "/");
	CU_ASSERT_EQUAL(FIND("/", "[::1]:80"), 0);
	/* '[' | 0x20 is '{': only letters are folded. */
	table->strings[table->domains[0].name.off] = '{';
	built = false;
	table->configs[0] = (struct sl_route_config){0};
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
	/* The query is not part of what is compared (Envoy's PathMatcher). */
	CU_ASSERT_EQUAL(FIND("/query?x=12", "a"), -1);
	CU_ASSERT_EQUAL(FIND("/12345678?x", "a"), 1);
	CU_ASSERT_EQUAL(FIND("/1234567?8", "a"), -1);
	CU_ASSERT_EQUAL(find("OPTIONS * HTTP/1.1", "Host: a\r\n"), 3);
	/* No normalisation: as it is written. */
	CU_ASSERT_EQUAL(FIND("/x/../exact", "a"), -1);
	CU_ASSERT_EQUAL(FIND("//exact", "a"), -1);
	/* The empty prefix matches everything. */
	route(SL_PATH_PREFIX, "");
	CU_ASSERT_EQUAL(FIND("/1234567", "a"), 4);
	/* Long ones, with the difference at any byte. */
	for (int len = 1; len < 200; len += len < 20 ? 1 : 13) {
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

static void separated(void)
{
	table_new();
	vhost();
	domain("*");
	route(SL_PATH_SEPARATED, "/api/dev");
	CU_ASSERT_EQUAL(FIND("/api/dev", "a"), 0);
	CU_ASSERT_EQUAL(FIND("/api/dev/", "a"), 0);
	CU_ASSERT_EQUAL(FIND("/api/dev/v1", "a"), 0);
	CU_ASSERT_EQUAL(FIND("/api/dev?a=/", "a"), 0);
	CU_ASSERT_EQUAL(FIND("/api/developer", "a"), -1);
	CU_ASSERT_EQUAL(FIND("/api/de", "a"), -1);
	route(SL_PATH_PREFIX, "/ab/long/enough");
	table->routes[1].flags = SL_ROUTE_FOLDED;
	CU_ASSERT_EQUAL(FIND("/aB/LONG/enough/X", "a"), 1);
	CU_ASSERT_EQUAL(FIND("/aB/LONG/enoug", "a"), -1);
	CU_ASSERT_EQUAL(FIND("/API/dev", "a"), -1);
}

#define MANY 10000

static void first_of_many(void)
{
	char path[32];

	table_new();
	vhost();
	domain("*");
	for (int i = 0; i < MANY - 2; i++) {
		snprintf(path, sizeof(path), "/service/number/%d/", i);
		route(SL_PATH_PREFIX, path);
	}
	route(SL_PATH_PREFIX, "/service/number/");
	route(SL_PATH_PREFIX, "/");
	for (int i = 0; i < MANY - 2; i += 71) {
		char line[64];

		snprintf(line, sizeof(line), "GET /service/number/%d/x HTTP/1.1", i);
		CU_ASSERT_EQUAL(find(line, "Host: a\r\n"), i);
		CU_ASSERT_EQUAL(kernel, (__u32)i);
	}
	CU_ASSERT_EQUAL(FIND("/service/number/x", "a"), MANY - 2);
	CU_ASSERT_EQUAL(FIND("/x", "a"), MANY - 1);
	/* File order, not the longest: the last but one hides nothing, the first all. */
	table->routes[0].path = table->routes[MANY - 1].path;
	table->n_paths = 0;
	table->n_lengths = 0;
	built = false;
	CU_ASSERT_EQUAL(FIND("/service/number/17/x", "a"), 0);
}

/* 5,000 routes on one prefix that differ in a header: more than the kernel looks at. */
static void many_rules_on_one_path(void)
{
	char value[16], line[64];

	table_new();
	vhost();
	domain("*");
	for (int i = 0; i < 5000; i++) {
		snprintf(value, sizeof(value), "%d", i);
		route(SL_PATH_PREFIX, "/same");
		memset(&table->rules[table->n_rules], 0, sizeof(table->rules[0]));
		header("x", value, false);
	}
	CU_ASSERT_EQUAL(find("GET /same HTTP/1.1", "Host: a\r\nx: 3\r\n"), 3);
	CU_ASSERT_EQUAL(kernel, 3);
	for (int i = 0; i < 5000; i += 499) {
		snprintf(line, sizeof(line), "Host: a\r\nx: %d\r\n", i);
		CU_ASSERT_EQUAL(find("GET /same HTTP/1.1", line), i);
	}
	CU_ASSERT_EQUAL(kernel, SL_ROUTE_UNSURE);
	CU_ASSERT_EQUAL(find("GET /same HTTP/1.1", "Host: a\r\n"), -1);
	CU_ASSERT_EQUAL(find("GET /sam HTTP/1.1", "Host: a\r\n"), -1);
	CU_ASSERT_EQUAL(kernel, SL_NO_ROUTE);
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

/* One route with a rule of any kind, asked on both paths. -1: the kernel is unsure. */
struct any_rule {
	enum sl_rule_what what;
	enum sl_rule_kind kind;
	const char *name, *value;
	__u8 flags;
	const char *target, *headers;
	int matches; /* 0, 1; + 2: the kernel leaves it to the user path */
};

#define H SL_RULE_HEADER
#define Q SL_RULE_QUERY
#define C SL_RULE_COOKIE
#define INV SL_RULE_INVERT
#define NOCASE SL_RULE_NO_CASE
#define EMPTY SL_RULE_NO_MISSING

static const struct any_rule any_rules[] = {
	{H, SL_RULE_PREFIX, "x", "ab", 0, "/", "x: abc", 1},
	{H, SL_RULE_PREFIX, "x", "ab", 0, "/", "x: ab", 1},
	{H, SL_RULE_PREFIX, "x", "ab", 0, "/", "x: aB", 0},
	{H, SL_RULE_PREFIX, "x", "ab", NOCASE, "/", "x: aBc", 1},
	{H, SL_RULE_PREFIX, "x", "ab", INV, "/", "x: b", 1},
	{H, SL_RULE_PREFIX, "x", "ab", INV, "/", "y: b", 0},
	{H, SL_RULE_PREFIX, "x", "ab", INV | EMPTY, "/", "y: b", 1},
	{H, SL_RULE_PREFIX, "x", "ab", EMPTY, "/", "y: b", 0},
	{H, SL_RULE_SUFFIX, "x", "bc", 0, "/", "x: abc", 1},
	{H, SL_RULE_SUFFIX, "x", "bc", 0, "/", "x: bcd", 0},
	{H, SL_RULE_SUFFIX, "x", "a-suffix-of-more-than-eight", NOCASE, "/",
	 "x: with A-SUFFIX-of-more-than-EIGHT", 1},
	{H, SL_RULE_CONTAINS, "x", "bc", 0, "/", "x: abcd", 1},
	{H, SL_RULE_CONTAINS, "x", "bc", 0, "/", "x: bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbc", 1},
	{H, SL_RULE_CONTAINS, "x", "longer-than-a-word", 0, "/", "x: longer-longer-than-a-word!",
	 1},
	{H, SL_RULE_CONTAINS, "x", "longer-than-a-word", 0, "/", "x: longer-longer-than-a-wor", 0},
	{H, SL_RULE_CONTAINS, "x", "bc", 0, "/", "x: b,c", 0},
	{H, SL_RULE_EXACT, "x", "abc", NOCASE, "/", "x: ABC", 1},
	{H, SL_RULE_EXACT, "x", "", EMPTY, "/", "y: 1", 1},
	{H, SL_RULE_PRESENT, "x", "", EMPTY, "/", "y: 1", 1},
	{H, SL_RULE_PRESENT, "x", "", EMPTY | INV, "/", "y: 1", 0},
	/* Repeated: joined, and that is left to the user path. */
	{H, SL_RULE_PREFIX, "x", "a,b", 0, "/", "x: a\r\nx: bc", 1 + 2},
	{H, SL_RULE_CONTAINS, "x", ",", 0, "/", "x: a\r\nx: bc", 1 + 2},
	{H, SL_RULE_RANGE, "x", "", 0, "/", "x: 1\r\nx: 2", 0 + 2},
	{H, SL_RULE_REGEX, "x", "a[0-9]+", 0, "/", "x: a12", 1 + 2},
	{H, SL_RULE_REGEX, "x", "a[0-9]+", 0, "/", "x: a12b", 0 + 2},
	{H, SL_RULE_REGEX, "x", "a[0-9]+", INV, "/", "x: b", 1 + 2},
	{H, SL_RULE_REGEX, "x", "a[0-9]+", 0, "/", "y: a12", 0},
	{H, SL_RULE_REGEX, "x", "a*", EMPTY, "/", "y: a12", 1 + 2},
	/* The query as it is written; the first of a name counts. */
	{Q, SL_RULE_PRESENT, "k", "", 0, "/?k", "", 1},
	{Q, SL_RULE_PRESENT, "k", "", 0, "/?a&k=", "", 1},
	{Q, SL_RULE_PRESENT, "k", "", 0, "/?kk=1&a=k", "", 0},
	{Q, SL_RULE_PRESENT, "k", "", 0, "/k", "", 0},
	{Q, SL_RULE_PRESENT, "k", "", INV, "/?a", "", 1},
	{Q, SL_RULE_PRESENT, "k", "", INV, "/?k", "", 0},
	{Q, SL_RULE_EXACT, "k", "1", 0, "/?a=2&k=1", "", 1},
	{Q, SL_RULE_EXACT, "k", "1", 0, "/?k=2&k=1", "", 0},
	{Q, SL_RULE_EXACT, "k", "1", 0, "/?k=1&k=2", "", 1},
	{Q, SL_RULE_EXACT, "k", "1", 0, "/?k=12", "", 0},
	{Q, SL_RULE_EXACT, "k", "1", 0, "/?xk=1", "", 0},
	{Q, SL_RULE_EXACT, "k", "", 0, "/?k", "", 1},
	{Q, SL_RULE_EXACT, "k", "a=b", 0, "/?k=a=b", "", 1},
	{Q, SL_RULE_EXACT, "k", "1", 0, "/?k=%31", "", 0},
	{Q, SL_RULE_PREFIX, "k", "1", 0, "/?k=12&a", "", 1},
	{Q, SL_RULE_SUFFIX, "k", "2", 0, "/?k=12&a", "", 1},
	{Q, SL_RULE_REGEX, "k", "[0-9]+", 0, "/?k=12&a", "", 1 + 2},
	/* Cookies. */
	{C, SL_RULE_EXACT, "k", "1", 0, "/", "Cookie: a=b; k=1", 1},
	{C, SL_RULE_EXACT, "k", "1", 0, "/", "Cookie: k=1;a=b", 1},
	{C, SL_RULE_EXACT, "k", "1", 0, "/", "Cookie: k=2; k=1", 0},
	{C, SL_RULE_EXACT, "k", "1", 0, "/", "Cookie: xk=1", 0},
	{C, SL_RULE_EXACT, "k", "1", 0, "/", "Cookie: a=x k=1", 0},
	{C, SL_RULE_EXACT, "k", "1", 0, "/", "Cookie: k", 0},
	{C, SL_RULE_EXACT, "k", "1", 0, "/", "", 0},
	{C, SL_RULE_EXACT, "k", "1", INV, "/", "", 1},
	{C, SL_RULE_EXACT, "k", "1", INV, "/", "Cookie: k=1", 0},
	{C, SL_RULE_PRESENT, "k", "", 0, "/", "Cookie: k=", 1},
	{C, SL_RULE_PRESENT, "k", "", INV, "/", "Cookie: a=k", 1},
	{C, SL_RULE_EXACT, "k", "1", 0, "/", "Cookie: k=\"1\"", 1 + 2},
	{C, SL_RULE_EXACT, "k", "1", 0, "/", "Cookie: a=b\r\nCookie: k=1", 1 + 2},
	{C, SL_RULE_EXACT, "k", "1", 0, "/", "Cookie: a=b;  k=1", 1 + 2},
};

static void rules_of_any_kind(void)
{
	for (size_t i = 0; i < sizeof(any_rules) / sizeof(any_rules[0]); i++) {
		const struct any_rule *r = &any_rules[i];
		char line[128], headers[512];
		int found;

		table_new();
		vhost();
		domain("*");
		route(SL_PATH_PREFIX, "/");
		rule_add(r->what, r->kind, r->name, r->value, r->flags);
		if (r->kind == SL_RULE_RANGE) {
			table->rules[0].range.start = 0;
			table->rules[0].range.end = 1000000;
		}
		snprintf(line, sizeof(line), "GET %s HTTP/1.1", r->target);
		snprintf(headers, sizeof(headers), "Host: a\r\n%s%s", r->headers,
			 r->headers[0] ? "\r\n" : "");
		found = find(line, headers);
		CHECK_CASE((found == 0) == (r->matches & 1), r->name, "%s, flags %x: %s %s",
			   r->value, r->flags, r->target, r->headers);
		CHECK_CASE((kernel == SL_ROUTE_UNSURE) == (r->matches >= 2), r->name,
			   "in the kernel: %s, flags %x: %s %s", r->value, r->flags, r->target,
			   r->headers);
	}
}

static bool in_range(__s64 start, __s64 end, const char *value)
{
	char headers[256];

	table_new();
	vhost();
	domain("*");
	route(SL_PATH_PREFIX, "/");
	rule_add(SL_RULE_HEADER, SL_RULE_RANGE, "x", NULL, 0);
	table->rules[0].range.start = start;
	table->rules[0].range.end = end;
	snprintf(headers, sizeof(headers), "Host: a\r\nx: %s\r\n", value);
	return find("GET / HTTP/1.1", headers) == 0;
}

/* Half-open; base 10, all of the value. */
static void ranges(void)
{
	CU_ASSERT(in_range(-10, 0, "-1"));
	CU_ASSERT(in_range(-10, 0, "-10"));
	CU_ASSERT(!in_range(-10, 0, "0"));
	CU_ASSERT(!in_range(-10, 0, "-11"));
	CU_ASSERT(in_range(0, 10, "+9"));
	CU_ASSERT(in_range(0, 10, "0009"));
	CU_ASSERT(in_range(0, 10, "-0"));
	CU_ASSERT(!in_range(0, 10, ""));
	CU_ASSERT(!in_range(0, 10, "-"));
	CU_ASSERT(!in_range(0, 10, "9a"));
	CU_ASSERT(!in_range(0, 10, "0x1"));
	CU_ASSERT(!in_range(0, 10, "1.0"));
	CU_ASSERT(!in_range(0, 10, "1 1"));
	CU_ASSERT(in_range(0, 10, "00000000000000000000000000000005"));
	CU_ASSERT_EQUAL(kernel, SL_ROUTE_UNSURE);
	CU_ASSERT(in_range(INT64_MAX - 1, INT64_MAX, "9223372036854775806"));
	CU_ASSERT(!in_range(0, INT64_MAX, "9223372036854775808"));
	CU_ASSERT(!in_range(0, INT64_MAX, "18446744073709551617"));
	CU_ASSERT(in_range(INT64_MIN, 0, "-9223372036854775808"));
	CU_ASSERT(!in_range(INT64_MIN, 0, "-9223372036854775809"));
}

/* Envoy: random % denominator < numerator; one number for all routes of a request. */
static void fractions(void)
{
	__u32 first = 0, second = 0, none = 0;
	struct sl_request_view v;
	struct sl_head h;
	static const char text[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
	__u8 *buf = guarded(SL_HEAD_MAX);

	table_new();
	vhost();
	domain("*");
	for (int i = 0; i < 2; i++) {
		route(SL_PATH_PREFIX, "/");
		rule_add(SL_RULE_FRACTION, SL_RULE_PRESENT, "", "", 0);
		table->rules[i].range.start = i ? 50 : 10;
		table->rules[i].range.end = 100;
	}
	memcpy(buf, text, sizeof(text) - 1);
	CU_ASSERT_EQUAL(sl_request_parse(&h, buf, sizeof(text) - 1), SL_PARSE_DONE);
	CU_ASSERT_EQUAL(sl_index_build(table), 0);
	for (__u64 draw = 0; draw < 1000; draw++) {
		__u32 got;

		v = (struct sl_request_view){.t = table, .h = &h, .buf = buf, .draw = draw};
		got = sl_match_view(&v, 0);
		first += got == 0;
		second += got == 1;
		none += got == SL_NO_ROUTE;
	}
	CU_ASSERT(first == 100 && second == 400 && none == 500);
}

/* A route that only the user path can tell decides only if it is reached, and is not refuted. */
static void unsure_routes(void)
{
	table_new();
	vhost();
	domain("*");
	route(SL_PATH_PREFIX, "/first");
	route(SL_PATH_PREFIX, "/regex/");
	rule_add(SL_RULE_PATH, SL_RULE_REGEX, "", "/regex/[0-9]+", 0);
	header("x", "1", false);
	route(SL_PATH_PREFIX, "/");
	CU_ASSERT_EQUAL(FIND("/first", "a"), 0);
	CU_ASSERT_EQUAL(kernel, 0);
	CU_ASSERT_EQUAL(FIND("/other", "a"), 2);
	CU_ASSERT_EQUAL(kernel, 2);
	CU_ASSERT_EQUAL(FIND("/regex/12", "a"), 2);
	CU_ASSERT_EQUAL(kernel, 2);
	CU_ASSERT_EQUAL(find("GET /regex/12?q HTTP/1.1", "Host: a\r\nx: 1\r\n"), 1);
	CU_ASSERT_EQUAL(kernel, SL_ROUTE_UNSURE);
	CU_ASSERT_EQUAL(find("GET /regex/1a HTTP/1.1", "Host: a\r\nx: 1\r\n"), 2);
	CU_ASSERT_EQUAL(kernel, SL_ROUTE_UNSURE);
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
	table->rules[3].name = str("host");
	table->rules[3].value = str("b");
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
	static const size_t sizes[] = {sizeof(struct sl_route),	      sizeof(struct sl_rule),
				       sizeof(struct sl_domain),      sizeof(struct sl_vhost),
				       sizeof(struct sl_slot),	      sizeof(struct sl_path),
				       sizeof(struct sl_route_config)};
	struct sl_request_view v = {0};
	static const char text[] =
		"GET /service/1?a=b HTTP/1.1\r\nHost: a\r\nX-Canary-Version: service1a\r\n"
		"Cookie: a=b; c=d\r\n\r\n";
	__u8 *buf = guarded(SL_HEAD_MAX);
	unsigned int seed = 1;
	struct sl_head h;

	memcpy(buf, text, sizeof(text) - 1);
	CU_ASSERT_EQUAL(sl_request_parse(&h, buf, sizeof(text) - 1), SL_PARSE_DONE);
	v.h = &h;
	v.buf = buf;
	for (int i = 0; i < 400; i++) {
		void *const places[] = {table->routes, table->rules, table->domains, table->vhosts,
					table->slots,  table->paths, table->configs};
		__u32 kind = rand_r(&seed) % 8, *word = (__u32 *)table;

		if (i % 40 == 0) {
			tutorial();
			domain("a");
			rule_add(SL_RULE_QUERY, SL_RULE_EXACT, "a", "b", 0);
			rule_add(SL_RULE_COOKIE, SL_RULE_CONTAINS, "c", "d", 0);
			for (int k = 0; k < 10; k++)
				route(k % 3, "/service/1");
			if (sl_index_build(table))
				CU_FAIL_FATAL("no index");
		}
		v.t = table;
		if (kind < 7)
			word = (__u32 *)((char *)places[kind] + rand_r(&seed) % 12 * sizes[kind]) +
			       rand_r(&seed) % (sizes[kind] / 4);
		else
			word += rand_r(&seed) % (offsetof(struct sl_table, domains) / 4);
		*word = rand_r(&seed) % 3 ? (__u32)rand_r(&seed) * 3U
					  : SL_STRING_POOL - (__u32)rand_r(&seed) % 9;
		sl_match_view(&v, rand_r(&seed));
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
		{"wildcard domains", wildcards},
		{"listeners", listeners},
		{"path_separated_prefix, case_sensitive", separated},
		{"first of 10000 routes", first_of_many},
		{"5000 routes on one prefix", many_rules_on_one_path},
		{"rules of any kind", rules_of_any_kind},
		{"ranges", ranges},
		{"fractions", fractions},
		{"routes that the kernel is unsure of", unsure_routes},
		{"header rules", header_rules},
		{"all rules of a route", all_rules_of_a_route},
		{"a header at each of 63 places", many_headers},
		{"spoiled tables", spoiled_tables},
		CU_TEST_INFO_NULL,
	};

	return run_suite("match", tests);
}
