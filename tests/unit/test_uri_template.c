// SPDX-License-Identifier: GPL-2.0-only
/* URI templates: which are refused, which paths they take, what rewrites make of these. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "config/uri_template.h"
#include "util/regex.h"
#include "suite.h"

static char regex[SL_URI_REGEX_SIZE(SL_URI_TEMPLATE_MAX + 8)];
static struct sl_uri_variables variables;
static char pattern[sizeof(regex) + 2];

static void fail_at(const char *a, const char *b)
{
	fprintf(stderr, "\n%s %s (%s)\n", a, b, regex);
	CU_FAIL("template");
}

static struct sl_regex *compile(const char *template, bool whole)
{
	struct sl_regex *r = NULL;
	char text[SL_REGEX_WHY];
	const char *why;

	if (sl_uri_template(template, regex, &variables, &why)) {
		fail_at(template, why);
		return NULL;
	}
	snprintf(pattern, sizeof(pattern), whole ? "%s" : "^%s$", regex);
	CU_ASSERT_EQUAL_FATAL(sl_regex_new(pattern, whole, &r, text), 0);
	return r;
}

static void takes(const char *template, const char *path, bool want)
{
	struct sl_regex *r = compile(template, true);

	if (r && sl_regex_matches(r, path, strlen(path)) != want)
		fail_at(template, path);
	sl_regex_free(r);
	CU_PASS("template");
}

static void matches(void)
{
	static const struct {
		const char *template, *path;
		bool want;
	} cases[] = {
		{"/", "/", true},
		{"/", "/a", false},
		{"/a/b", "/a/b", true},
		{"/a/b", "/a/b/", false},
		{"/a/b/", "/a/b/", true},
		{"/a.b", "/axb", false},
		{"/$a(b)+c.d", "/$a(b)+c.d", true},
		{"/*", "/a", true},
		{"/*", "/", false},
		{"/*", "/a/b", false},
		{"/*", "/a=b", false},
		{"/*/x", "/a/x", true},
		{"/**", "/", true},
		{"/**", "/a/b/c", true},
		{"/a/**", "/a", false},
		{"/a/**", "/a/", true},
		{"/a/**.m3u8", "/a/b/c.m3u8", true},
		{"/a/**.m3u8", "/a/b/c.mp4", false},
		{"/{a}", "/x", true},
		{"/{a}", "/x/y", false},
		{"/{a}.json", "/x.json", true},
		{"/{a}.json", "/xjson", false},
		{"/{a=*}/{b=x/*}", "/1/x/2", true},
		{"/{a=*}/{b=x/*}", "/1/y/2", false},
		{"/users/{id}/{rest=**}", "/users/7/", true},
		{"/users/{id}/{rest=**}", "/users/7/a/b", true},
		{"/users/{id}/{rest=**}", "/users/a%20b/c:d@e", true},
		{"/users/{id}/{rest=**}", "/user/7/a", false},
		{"/{a=**}/end", "/x/y/end", true},
		{"/{a}/{b}/{c}/{d}/{e}", "/1/2/3/4/5", true},
		{"/{a_b16_characters}", "/x", true},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		takes(cases[i].template, cases[i].path, cases[i].want);
}

static void refused(void)
{
	static const char *const cases[] = {
		"",	     "a",	 "//",	     "/a//b",
		"/a b",	     "/a?b",	 "/a=b",     "/ü",
		"/a*",	     "/*a/b",	 "/***",     "/{a}b/c",
		"/{a}{b}",   "/{}",	 "/{a",	     "/a}",
		"/{1a}",     "/{a-b}",	 "/{a b}",   "/{seventeen_letters}",
		"/{a=}",     "/{a=/}",	 "/{a=x/}",  "/{a=*b}",
		"/{a=b*}",   "/{a={b}}", "/{a}/{a}", "/{a}/{b}/{c}/{d}/{e}/{f}",
		"/**/*",     "/**/**",	 "/**/{a}",  "/{a=**}/{b=*}",
		"/{a=**/*}",
	};
	char longer[SL_URI_TEMPLATE_MAX + 2];
	const char *why;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		why = NULL;
		if (sl_uri_template(cases[i], regex, &variables, &why) != -EINVAL || !why)
			fail_at(cases[i], "is not refused");
	}
	memset(longer, 'a', sizeof(longer));
	longer[0] = '/';
	longer[SL_URI_TEMPLATE_MAX + 1] = '\0';
	CU_ASSERT_EQUAL(sl_uri_template(longer, regex, &variables, &why), -EINVAL);
	/* The longest regex fits. */
	for (int i = 0; i < SL_URI_TEMPLATE_MAX; i++)
		longer[i] = "/*"[i & 1];
	longer[SL_URI_TEMPLATE_MAX] = '\0';
	CU_ASSERT_EQUAL(sl_uri_template(longer, regex, &variables, &why), 0);
	CU_ASSERT(strlen(regex) < SL_URI_REGEX_SIZE(SL_URI_TEMPLATE_MAX));
}

/* @want NULL: -EINVAL; "?": an unknown variable. */
static void makes(const char *rewrite, const char *path, const char *want)
{
	struct sl_regex *r = compile("/users/{id}/{what=a/*}/{rest=**}", false);
	char substitution[64], out[256] = "";
	const char *why;
	int err;

	err = sl_uri_rewrite(rewrite, &variables, substitution, &why);
	if (!want || *want == '?') {
		CU_ASSERT_EQUAL(err, want ? -ENOENT : -EINVAL);
	} else {
		long n = err ? -1 : sl_regex_replace(r, path, strlen(path), substitution, out, 255);

		if (n < 0 || strcmp(out, want))
			fail_at(rewrite, out);
		CU_PASS("rewrite");
	}
	sl_regex_free(r);
}

static void rewrites(void)
{
	makes("/", "/users/7/a/x/y", "/");
	makes("/{id}", "/users/7/a/x/y", "/7");
	makes("/{id}5", "/users/7/a/x/y", "/75");
	makes("/{rest}/{id}/{id}", "/users/7/a/x/y/z", "/y/z/7/7");
	makes("/{what}", "/users/7/a/x/", "/a/x");
	makes("/v2/{what}-{rest}.html", "/users/7/a/x/y", "/v2/a/x-y.html");
	makes("/{no}", "", "?");
	makes("/{}", "", "?");
	makes("/{id", "", NULL);
	makes("{id}", "", NULL);
	makes("", "", NULL);
	makes("/a//b", "", NULL);
	makes("/a b", "", NULL);
	makes("/a\\1", "", NULL);
	makes("/a?b", "", NULL);
	makes("/*", "", NULL);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"paths that templates take", matches},
		{"templates that are refused", refused},
		{"rewrites", rewrites},
		CU_TEST_INFO_NULL,
	};

	return run_suite("uri_template", tests);
}
