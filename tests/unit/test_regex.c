// SPDX-License-Identifier: GPL-2.0-only
/* user/util/regex: RE2's syntax and nothing else, whole matches, replacement as RE2 does it. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "util/regex.h"
#include "suite.h"

static void whole(const char *pattern, const char *text, bool expected)
{
	char why[SL_REGEX_WHY] = "";
	struct sl_regex *r = NULL;

	CU_ASSERT_EQUAL(sl_regex_new(pattern, true, &r, why), 0);
	if (!r) {
		printf("'%s': %s\n", pattern, why);
		return;
	}
	if (sl_regex_matches(r, text, strlen(text)) != expected) {
		printf("'%s' on '%s': not %d\n", pattern, text, expected);
		CU_FAIL("match");
	}
	sl_regex_free(r);
}

static void test_whole(void)
{
	whole("/a", "/a", true);
	whole("/a", "/ab", false);
	whole("a", "/a", false);
	whole("/a|/ab", "/ab", true);
	whole("/v[0-9]+/.*", "/v12/x", true);
	whole("(?i)/ABC", "/abc", true);
	whole("(?i:/A)b", "/ab", true);
	whole("(?P<id>\\d+)", "77", true);
	whole("a.c", "a\nc", false);
	whole("a.c", "a\rc", true);
	whole("a$", "a\n", false);
	whole("^a$", "a", true);
	whole("", "", true);
	whole("", "x", false);
	whole(".", "\xc3\xa4", true);	/* one character, two bytes */
	whole(".*", "\xff\xfe", false); /* no UTF-8 */
	whole("[[:alpha:]]+", "abc", true);
	whole("[^/]+", "ab/", false);
	whole("[]a]+", "]a", true);
	whole("\\Q(?=\\E", "(?=", true);
	whole("a{2,3}", "aaaa", false);
	whole("a+?b??", "aab", true);
	whole("a{1000}b{1000}", "ab", false);
	whole("(a{10}){100}(b{10}[(]){100}", "ab", false);
	whole("(?:x{2}){3}", "xxxxxx", true);
	whole("(x{0,}){3}", "xx", true);
	whole("a{,5}", "a{,5}", true);
}

static void refused(const char *pattern, const char *has)
{
	char why[SL_REGEX_WHY] = "";
	struct sl_regex *r = NULL;

	CU_ASSERT_EQUAL(sl_regex_new(pattern, false, &r, why), -EINVAL);
	if (!strstr(why, has)) {
		printf("'%s': '%s', without '%s'\n", pattern, why, has);
		CU_FAIL("why");
	}
	sl_regex_free(r);
}

static void test_refused(void)
{
	refused("(a)\\1", "back-reference");
	refused("(?P<n>a)(?P=n)", "back-reference");
	refused("a(?=b)", "look-ahead");
	refused("a(?!b)", "look-ahead");
	refused("(?<=a)b", "look-behind");
	refused("(?<!a)b", "look-behind");
	refused("(?>a+)b", "atomic");
	refused("a++", "repetition");
	refused("a*+", "repetition");
	refused("a{2}+", "repetition");
	refused("a???", "repetition");
	refused("(?R)", "recursion");
	refused("(?1)", "recursion");
	refused("(?-1)", "recursion");
	refused("(?x) a", "option");
	refused("(?ix) a", "option");
	refused("(*UTF)a", "verb");
	refused("(?#c)", "comment");
	refused("\\Kx", "escape");
	refused("\\R", "escape");
	refused("\\v", "escape"); /* VT in RE2, white space in PCRE2 */
	refused("[\\h]", "escape");
	refused("\\C", "byte");
	refused("a(b", "parenthes");
	refused("[a", "]");
	refused("a**", "repetition");
	refused("a*{2}", "repeated repetition");
	refused("a{2}{3}", "repeated repetition");
	refused("a{1001}", "1000 repetitions");
	refused("a{1,1001}", "1000 repetitions");
	refused("a{1001,}", "1000 repetitions");
	refused("(a{11}b|c){100}", "1000 repetitions");
	refused("((?:a{10})?b){101}", "1000 repetitions");
	refused("((((((((((x{2}){2}){2}){2}){2}){2}){2}){2}){2}){2})", "1000 repetitions");
}

static void replaced(const char *pattern, const char *text, const char *substitution,
		     const char *expected)
{
	char why[SL_REGEX_WHY] = "", out[256];
	struct sl_regex *r = NULL;
	long n;

	CU_ASSERT_EQUAL_FATAL(sl_regex_new(pattern, false, &r, why), 0);
	CU_ASSERT_EQUAL(sl_regex_check(r, substitution, why), 0);
	n = sl_regex_replace(r, text, strlen(text), substitution, out, sizeof(out));
	if (n != (long)strlen(expected) || memcmp(out, expected, n)) {
		printf("'%s' on '%s': '%.*s', not '%s'\n", pattern, text, (int)(n < 0 ? 0 : n), out,
		       expected);
		CU_FAIL("replace");
	}
	sl_regex_free(r);
}

static void test_replace(void)
{
	/* Envoy's own examples (RouteAction.regex_rewrite). */
	replaced("^/service/([^/]+)(/.*)$", "/service/foo/v1/api", "\\2/instance/\\1",
		 "/v1/api/instance/foo");
	replaced("one", "/xxx/one/yyy/one/zzz", "two", "/xxx/two/yyy/two/zzz");
	replaced("^(.*?)one(.*)$", "/xxx/one/yyy/one/zzz", "\\1two\\2", "/xxx/two/yyy/one/zzz");
	replaced("(?i)/xxx/", "/aaa/XxX/bbb", "/yyy/", "/aaa/yyy/bbb");
	replaced("a", "bab", "\\\\\\0", "b\\ab");
	replaced("x", "abc", "y", "abc");
	/* RE2's own tests of GlobalReplace. */
	replaced("b*", "aa", "bb", "bbabbabb");
	replaced("b*", "bb", "bb", "bb");
	replaced("b*", "bbbbb", "bb", "bb");
	replaced("b*", "", "bb", "bb");
	replaced("b+", "aaaaa", "bb", "aaaaa");
	replaced("(a)|(b)", "ab", "[\\1\\2]", "[a][b]");
}

static void test_substitution(void)
{
	char why[SL_REGEX_WHY] = "", out[8];
	struct sl_regex *r = NULL;

	CU_ASSERT_EQUAL_FATAL(sl_regex_new("(a)(b)", false, &r, why), 0);
	CU_ASSERT_EQUAL(sl_regex_check(r, "\\2\\1", why), 0);
	CU_ASSERT_EQUAL(sl_regex_check(r, "\\3", why), -EINVAL);
	CU_ASSERT(strstr(why, "2 groups") != NULL);
	CU_ASSERT_EQUAL(sl_regex_check(r, "\\n", why), -EINVAL);
	CU_ASSERT_EQUAL(sl_regex_check(r, "x\\", why), -EINVAL);
	CU_ASSERT_EQUAL(sl_regex_replace(r, "ab", 2, "0123456789", out, sizeof(out)), -ENOSPC);
	sl_regex_free(r);
}

/* Exponential for a matcher that tries everything: it has to give up. */
static void test_bounded(void)
{
	char why[SL_REGEX_WHY] = "", text[40], out[64];
	struct sl_regex *r = NULL;

	memset(text, 'a', sizeof(text));
	CU_ASSERT_EQUAL_FATAL(sl_regex_new("(a|a?)+(a|a?)+(a|a?)+b", true, &r, why), 0);
	CU_ASSERT(!sl_regex_matches(r, text, sizeof(text)));
	sl_regex_free(r);
	CU_ASSERT_EQUAL_FATAL(sl_regex_new("^(a|a?)+(a|a?)+(a|a?)+[bc][xb]$", false, &r, why), 0);
	text[39] = 'b';
	CU_ASSERT_EQUAL(sl_regex_replace(r, text, sizeof(text), "", out, sizeof(out)), -ELOOP);
	sl_regex_free(r);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"whole matches", test_whole},	   {"what is not RE2", test_refused},
		{"replacement", test_replace},	   {"substitutions", test_substitution},
		{"time is bounded", test_bounded}, CU_TEST_INFO_NULL,
	};

	return run_suite("regex", tests);
}
