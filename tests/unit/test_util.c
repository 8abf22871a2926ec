// SPDX-License-Identifier: GPL-2.0-only
/* user/util: suggestions, numbers, names, tables of text. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/base64.h"
#include "util/columns.h"
#include "util/json.h"
#include "util/json_escape.h"
#include "util/parse.h"
#include "util/suggest.h"
#include "suite.h"

/* What is suggested for @word, out of a space-separated list; "-": nothing. */
static void suggests(const char *word, const char *list, const char *expected)
{
	struct sl_suggest s = {.word = word};
	char *copy = strdup(list), *rest = copy;

	for (char *c = strtok_r(rest, " ", &rest); c; c = strtok_r(NULL, " ", &rest))
		sl_suggest_try(&s, c);
	if (strcmp(s.best ? s.best : "-", expected) != 0) {
		printf("'%s' out of '%s': '%s', not '%s'\n", word, list, s.best ? s.best : "-",
		       expected);
		CU_FAIL("suggestion");
	} else {
		CU_PASS("suggestion");
	}
	free(copy);
}

static void test_suggest(void)
{
	suggests("wieght", "name weight cluster", "weight");
	suggests("weigth", "name weight cluster", "weight");
	suggests("WEIGHT", "name weight cluster", "weight");
	suggests("wght", "weight", "weight");
	suggests("stat", "run check stats", "stats");
	suggests("rnu", "run check stats", "run");
	suggests("cluster", "clusters cluster", "cluster");
	suggests("service1b", "service1 service1a", "service1");
	suggests("x", "run", "-");
	suggests("a", "b", "-");
	suggests("ab", "cd", "-");
	suggests("nonsense", "run check explain weights stats demo", "-");
	suggests("", "run", "-");
	suggests("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
		 "a", "-");
}

/* @want NULL: refused. */
static void decodes(const char *text, const char *want)
{
	char out[64];
	long n = sl_base64_decode(text, strlen(text), out);

	CU_ASSERT_EQUAL(n, want ? (long)strlen(want) : -EINVAL);
	CU_ASSERT(!want || n < 0 || !memcmp(out, want, n));
}

static void test_base64(void)
{
	decodes("", "");
	decodes("Zg==", "f");
	decodes("Zg", "f");
	decodes("Zm8=", "fo");
	decodes("Zm8", "fo");
	decodes("Zm9v", "foo");
	decodes("Zm9vYmFy", "foobar");
	decodes("-_-_", "\xfb\xff\xbf");
	decodes("+/+/", "\xfb\xff\xbf");
	decodes("Z", NULL);
	decodes("Zm9vY", NULL);
	decodes("Zg=", NULL);
	decodes("Zm8==", NULL);
	decodes("Zm9v=", NULL);
	decodes("=", NULL);
	decodes("====", NULL);
	decodes("Zm 9", NULL);
	decodes("Zm9\n", NULL);
}

static void number(const char *text, __u32 max, int expected, __u32 value)
{
	__u32 got = 77;

	CU_ASSERT_EQUAL(sl_parse_u32(text, max, &got), expected);
	CU_ASSERT_EQUAL(got, expected ? 77 : value);
}

static void test_parse(void)
{
	number("0", 10, 0, 0);
	number("10", 10, 0, 10);
	number("0010", 10, 0, 10);
	number("4294967295", 4294967295U, 0, 4294967295U);
	number("11", 10, -ERANGE, 0);
	number("4294967296", 4294967295U, -ERANGE, 0);
	number("18446744073709551617", 4294967295U, -ERANGE, 0);
	number("", 10, -EINVAL, 0);
	number(" 1", 10, -EINVAL, 0);
	number("1 ", 10, -EINVAL, 0);
	number("+1", 10, -EINVAL, 0);
	number("-1", 10, -EINVAL, 0);
	number("0x1", 10, -EINVAL, 0);
	number("1.5", 10, -EINVAL, 0);
	number("99999999999x", 10, -EINVAL, 0);
	number("\xd9\xa1", 10, -EINVAL, 0);
}

static void test_instance(void)
{
	CU_ASSERT_TRUE(sl_instance_valid("default"));
	CU_ASSERT_TRUE(sl_instance_valid("A-z_09"));
	CU_ASSERT_TRUE(sl_instance_valid("12345678901234567890123456789012"));
	CU_ASSERT_FALSE(sl_instance_valid("123456789012345678901234567890123"));
	CU_ASSERT_FALSE(sl_instance_valid(""));
	CU_ASSERT_FALSE(sl_instance_valid("."));
	CU_ASSERT_FALSE(sl_instance_valid(".."));
	CU_ASSERT_FALSE(sl_instance_valid("a/b"));
	CU_ASSERT_FALSE(sl_instance_valid("a b"));
	CU_ASSERT_FALSE(sl_instance_valid("a\n"));
	CU_ASSERT_FALSE(sl_instance_valid("\xc3\xa9"));
}

static void test_columns(void)
{
	static const struct sl_column columns[] = {
		{.title = "NAME"},
		{.title = "N", .right = true},
		{.title = "ERR", .right = true, .optional = true},
		{.title = "WHY"},
	};
	struct sl_columns t = {.columns = columns, .n_columns = 4};
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	for (int i = 0; i < 2; i++) {
		sl_columns_add(&t, "%s", i ? "b" : "long name");
		sl_columns_add(&t, "%d", i ? 12345 : 1);
		sl_columns_add(&t, "0");
		sl_columns_add(&t, "%s", i ? "" : "x");
	}
	CU_ASSERT_EQUAL(sl_columns_print(&t, out), 0);
	sl_columns_free(&t);
	fclose(out);
	CU_ASSERT_STRING_EQUAL(text, "NAME           N  WHY\n"
				     "long name      1  x\n"
				     "b          12345\n");
	free(text);
}

static void test_json_text(void)
{
	json_t *good = sl_json_text("caf\xc3\xa9"), *cut = sl_json_text("caf\xc3");

	CU_ASSERT_STRING_EQUAL(json_string_value(good), "caf\xc3\xa9");
	CU_ASSERT_STRING_EQUAL(json_string_value(cut), "caf?");
	json_decref(good);
	json_decref(cut);
}

/* @in of @len bytes becomes @expected in @size bytes; NULL: it does not fit. */
static void escapes(const char *in, size_t len, size_t size, const char *expected)
{
	char out[64] = "";
	long n = sl_json_escape(in, len, out, size);

	CU_ASSERT_EQUAL(n, expected ? (long)strlen(expected) : -1);
	if (expected)
		CU_ASSERT_STRING_EQUAL(out, expected);
}

static void test_json_escape(void)
{
	escapes("", 0, 0, "");
	escapes("plain/", 6, 6, "plain/");
	escapes("a\"b\\c", 5, 60, "a\\\"b\\\\c");
	escapes("\n\r\t\b\0\x7f", 6, 60, "\\n\\r\\t\\u0008\\u0000\\u007f");
	escapes("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 9, 9,
		"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
	/* Cut, overlong, a surrogate, beyond Unicode, a tail alone. */
	escapes("\xe2\x82", 2, 60, "\xef\xbf\xbd\xef\xbf\xbd");
	escapes("\xc0\xaf", 2, 60, "\xef\xbf\xbd\xef\xbf\xbd");
	escapes("\xed\xa0\x80", 3, 60, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
	escapes("\xf4\x90\x80\x80", 4, 60, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
	escapes("a\x80", 2, 60, "a\xef\xbf\xbd");
	escapes("abc", 3, 2, NULL);
	escapes("\"", 1, 1, NULL);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"suggestions", test_suggest},
		{"base64", test_base64},
		{"numbers", test_parse},
		{"instance names", test_instance},
		{"tables of text", test_columns},
		{"JSON text", test_json_text},
		{"JSON escapes", test_json_escape},
		CU_TEST_INFO_NULL,
	};

	return run_suite("util", tests);
}
