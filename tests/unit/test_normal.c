// SPDX-License-Identifier: GPL-2.0-only
/* Paths and hosts as Envoy's connection manager makes them; what is plain stays as it is. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sl_http.h"
#include "sl_plain.h"
#include "util/normal.h"
#include "suite.h"

static __u8 buf[SL_HEAD_MAX + 4096];
static struct sl_head head;
static struct sl_table *table;

static __u32 load(const char *target, const char *host, const char *body)
{
	__u32 len = snprintf((char *)buf, sizeof(buf),
			     "GET %s HTTP/1.1\r\nHost: %s\r\nA: b\r\n\r\n%s", target, host, body);

	memset(buf + len, 0, sizeof(buf) - len);
	CU_ASSERT_EQUAL_FATAL(sl_request_parse(&head, buf, len), SL_PARSE_DONE);
	return len;
}

static bool span_equals(struct sl_span s, const char *text)
{
	return s.len == strlen(text) && !memcmp(buf + s.off, text, s.len);
}

static bool is_plain(__u32 flags)
{
	__u32 plain = (flags & SL_NORMAL_PATHS ? SL_CONFIG_PLAIN_PATH : 0) |
		      (flags & SL_NORMAL_HOSTS ? SL_CONFIG_PLAIN_HOST : 0);

	return sl_is_plain(table, &head, buf, plain);
}

/* @want: the path, a status, or "307 PATH". */
static void check(__u32 flags, const char *target, const char *want)
{
	__u32 len = load(target, "x", "body"), before = len, status;
	struct sl_normal n = {.flags = flags, .port = 8000};
	bool plain = is_plain(flags), redirect = !strncmp(want, "307 ", 4);

	want += redirect ? 4 : 0;
	status = sl_normalize(&n, &head, buf, &len, sizeof(buf));
	if (want[0] != '/') {
		CU_ASSERT_EQUAL(status, strtoul(want, NULL, 10));
		CU_ASSERT_FALSE(plain);
		return;
	}
	CU_ASSERT_EQUAL(status, 0);
	CU_ASSERT_EQUAL(n.redirect, redirect);
	CU_ASSERT(span_equals(head.target, want));
	if (!span_equals(head.target, want))
		fprintf(stderr, "\n%s: %.*s, not %s\n", target, head.target.len,
			buf + head.target.off, want);
	CU_ASSERT_EQUAL(len, before + strlen(want) - strlen(target));
	CU_ASSERT(!memcmp(buf + len - 8, "\r\n\r\nbody", 8));
	CU_ASSERT(!plain || !strcmp(target, want));
}

static void no_parameters(void)
{
	static const char *const cases[][2] = {
		{"/", "/"},
		{"/a?b;c", "/a?b;c"},
		{"/a;b", "/a"},
		{"/a;b?c;d", "/a?c;d"},
		{"/a;b/c;d=e;f/", "/a/c/"},
		{"/;/;", "//"},
		{"/a;", "/a"},
		{"/a;;b/c", "/a/c"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		__u32 len = load(cases[i][0], "x", "body");

		CU_ASSERT_EQUAL(sl_normal_no_params(&head, buf, &len, sizeof(buf)), 0);
		CU_ASSERT(span_equals(head.target, cases[i][1]));
		CU_ASSERT(!memcmp(buf + len - 8, "\r\n\r\nbody", 8));
		/* What has a path parameter is not for the kernel. */
		load(cases[i][0], "x", "");
		CU_ASSERT(strcmp(cases[i][0], cases[i][1]) == 0 ||
			  !sl_is_plain(table, &head, buf, SL_CONFIG_PLAIN_PATH));
	}
	load("/", "x", "");
	CU_ASSERT_FALSE(sl_is_plain(table, &head, buf, SL_CONFIG_USER));
}

static void removed_headers(void)
{
	static const char *const names[] = {"a", "x-b"};
	static const char text[] =
		"GET / HTTP/1.1\r\nA: 1 \r\nHost: h\r\nX-B:\r\nx-b:  2\r\nAb: 3\r\n"
		"a:4\r\n\r\nA: body";
	static const char want[] = "GET / HTTP/1.1\r\nHost: h\r\nAb: 3\r\n\r\nA: body";
	struct sl_normal n = {.removed = names, .n_removed = 2};
	__u32 len = sizeof(text) - 1;

	memset(buf, 0, sizeof(buf));
	memcpy(buf, text, len);
	CU_ASSERT_EQUAL_FATAL(sl_request_parse(&head, buf, len), SL_PARSE_DONE);
	CU_ASSERT_EQUAL(sl_normalize(&n, &head, buf, &len, sizeof(buf)), 0);
	CU_ASSERT_EQUAL(len, sizeof(want) - 1);
	CU_ASSERT(!memcmp(buf, want, sizeof(want) - 1));
	CU_ASSERT_EQUAL(head.n_headers, 2);
	CU_ASSERT_EQUAL(head.len, len - 7);
}

static void normalize_path(void)
{
	static const char *const cases[][2] = {
		{"/", "/"},
		{"/a/b?c=/../%2e", "/a/b?c=/../%2e"},
		{"/a/./b", "/a/b"},
		{"/a/../b", "/b"},
		{"/../../b", "/b"},
		{"/a/b/..", "/a/"},
		{"/a/b/.", "/a/b/"},
		{"/a/..?q", "/?q"},
		{"/.", "/"},
		{"/a/%2e%2E/b", "/b"},
		{"/a/%2e/b", "/a/b"},
		{"/a/.%2e", "/"},
		{"/a/...", "/a/..."},
		{"/a/.b/..c", "/a/.b/..c"},
		/* Path parameters of a dot segment do not hide it (CVE-2026-73551). */
		{"/a/..;x=1/b", "/b"},
		{"/a/..;/b?c", "/b?c"},
		{"/a/b/..;x", "/a/"},
		{"/a/.;x/b", "/a/b"},
		{"/a/.;", "/a/"},
		{"/a/%2e.;x\\b", "/b"},
		{"/a;x/../b;y/c", "/b;y/c"},
		{"/a/...;x/..b;y", "/a/...;x/..b;y"},
		{"/a.b/c%2ed", "/a.b/c.d"},
		{"/a\\b\\..\\c", "/a/c"},
		{"/%41%7e%2D%5f%30", "/A~-_0"},
		{"/%2f%2F%25%20%c3%a9", "/%2f%2F%25%20%c3%a9"},
		{"/a//b", "/a//b"},
		{"/a/%00", "400"},
		{"/%zz%", "/%zz%"},
		{"/%%300", "/%2500"},
		{"/%%30%30", "/%2500"},
		{"/%%41", "/%A"},
		{"/a\"<>^`{|}", "/a%22%3C%3E%5E%60%7B%7C%7D"},
		{"/%x/../%41", "/A"},
		{"/!$&'()*+,;=:@[]", "/!$&'()*+,;=:@[]"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		check(SL_NORMAL_PATH, cases[i][0], cases[i][1]);
}

static void slashes(void)
{
	check(SL_NORMAL_MERGE, "/a//b///c/?d//e", "/a/b/c/?d//e");
	check(SL_NORMAL_MERGE, "//", "/");
	check(SL_NORMAL_MERGE, "/a/b", "/a/b");
	check(SL_NORMAL_MERGE | SL_NORMAL_PATH, "/a\\/b/%2e//c", "/a/b/c");
	check(SL_NORMAL_SLASH_REJECT, "/a%2Fb", "400");
	check(SL_NORMAL_SLASH_REJECT, "/a%5cb", "400");
	check(SL_NORMAL_SLASH_REJECT, "/a?%2F", "/a?%2F");
	check(SL_NORMAL_SLASH_REJECT, "/a%2Eb", "/a%2Eb");
	check(SL_NORMAL_SLASH_FORWARD, "/a%2fb%5Cc?%2f", "/a/b\\c?%2f");
	check(SL_NORMAL_SLASH_FORWARD | SL_NORMAL_PATH, "/a%2f..%5Cb", "/b");
	check(SL_NORMAL_SLASH_REDIRECT, "/a%2fb?q", "307 /a/b?q");
	check(SL_NORMAL_SLASH_REDIRECT | SL_NORMAL_MERGE, "/a%2f/b", "307 /a/b");
	check(SL_NORMAL_SLASH_REDIRECT, "/a%20b", "/a%20b");
	check(0, "/a/../b", "/a/../b");
}

static void check_host(__u32 flags, const char *host, const char *want)
{
	struct sl_normal n = {.flags = flags, .port = 8000};
	__u32 len = load("/", host, "body");
	bool plain = is_plain(flags);

	CU_ASSERT_EQUAL(sl_normalize(&n, &head, buf, &len, sizeof(buf)), 0);
	CU_ASSERT(span_equals(head.host, want));
	CU_ASSERT(!memcmp(buf + len - 8, "\r\n\r\nbody", 8));
	CU_ASSERT(!plain || !strcmp(host, want));
}

static void hosts(void)
{
	check_host(SL_NORMAL_STRIP_PORT, "a.example:80", "a.example");
	check_host(SL_NORMAL_STRIP_PORT, "a.example", "a.example");
	check_host(SL_NORMAL_STRIP_PORT, "[::1]:80", "[::1]");
	check_host(SL_NORMAL_STRIP_PORT, "[::1]", "[::1]");
	check_host(SL_NORMAL_STRIP_OWN, "a:8000", "a");
	check_host(SL_NORMAL_STRIP_OWN, "a:8001", "a:8001");
	check_host(SL_NORMAL_STRIP_DOT, "a.example.", "a.example");
	check_host(SL_NORMAL_STRIP_DOT, "a.example.:80", "a.example:80");
	check_host(SL_NORMAL_STRIP_DOT, "a.example", "a.example");
	check_host(SL_NORMAL_STRIP_DOT | SL_NORMAL_STRIP_OWN, "a.:8000", "a");
	check_host(0, "a.:8000", "a.:8000");
}

/* A path that grows beyond the memory is refused, and nothing is written over. */
static void too_long(void)
{
	struct sl_normal n = {.flags = SL_NORMAL_PATH};
	char target[3001] = "/";
	__u32 len;

	memset(target + 1, '"', sizeof(target) - 2);
	len = load(target, "x", "");
	CU_ASSERT_EQUAL(sl_normalize(&n, &head, buf, &len, 4000), 431);
	len = load(target, "x", "");
	CU_ASSERT_EQUAL(sl_normalize(&n, &head, buf, &len, sizeof(buf)), 0);
	CU_ASSERT_EQUAL(head.target.len, 1 + 2999 * 3);
}

/* What the kernel takes for plain is what nothing would be changed of. */
static void plain(void)
{
	static const char *const parts[] = {"/", ".",  "%", "2e",	"2F",
					    "a", "\\", "~", "bcdefghi", ":1"};
	unsigned int seed = 1, n_plain = 0;

	for (int i = 0; i < 100000; i++) {
		struct sl_normal n = {.flags = SL_NORMAL_PATHS & ~SL_NORMAL_SLASH_REJECT};
		char target[128] = "/", before[128];
		__u32 len;

		n.flags |= SL_NORMAL_HOSTS;
		for (int k = rand_r(&seed) % 8; k >= 0; k--)
			strcat(target, parts[rand_r(&seed) % 10]);
		len = load(target, i & 1 ? "a.example" : i & 2 ? "a.example:8000" : "a.", "");
		memcpy(before, buf, sizeof(before));
		if (!is_plain(n.flags))
			continue;
		n_plain++;
		CU_ASSERT_EQUAL(sl_normalize(&n, &head, buf, &len, sizeof(buf)), 0);
		CU_ASSERT(!memcmp(before, buf, sizeof(before)) && !n.redirect);
	}
	CU_ASSERT(n_plain > 1000);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"paths without parameters", no_parameters},
		{"headers that are taken away", removed_headers},
		{"normalize_path", normalize_path},
		{"merge_slashes and path_with_escaped_slashes_action", slashes},
		{"hosts", hosts},
		{"too long", too_long},
		{"plain", plain},
		CU_TEST_INFO_NULL,
	};
	int rc;

	table = calloc(1, sizeof(*table));
	if (!table)
		return 1;
	rc = run_suite("normal", tests);
	free(table);
	return rc;
}
