// SPDX-License-Identifier: GPL-2.0-only
/*
 * Every tests/unit/config/NAME.yaml must give exactly the messages of NAME.err, caret
 * included; ok-NAME loads, bad-NAME does not. A pair is a test of its own, and a file without
 * its other half fails. SL_GOLDEN_UPDATE=1 writes the .err files: read the difference.
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "suite.h"

#define DIR_PATH "tests/unit/config"
#define MIN_BAD 100 /* as many as there are, roughly: files that got lost are noticed */

static char **names;
static size_t n_names, next_name;

static char *path_of(const char *name, const char *suffix)
{
	char *path = NULL;

	if (asprintf(&path, DIR_PATH "/%s%s", name, suffix) < 0)
		abort();
	return path;
}

/* NULL: no such file. */
static char *read_file(const char *name, const char *suffix, size_t *ret_len)
{
	char *path = path_of(name, suffix), *text = NULL;
	FILE *f = fopen(path, "r"), *m;
	int c;

	free(path);
	if (!f)
		return NULL;
	m = open_memstream(&text, ret_len);
	if (!m)
		abort();
	while ((c = fgetc(f)) != EOF)
		fputc(c, m);
	fclose(f);
	fclose(m);
	return text;
}

static void update(const char *name, const char *text)
{
	char *path = path_of(name, ".err");
	FILE *f = fopen(path, "w");

	if (!f)
		abort();
	fputs(text, f);
	fclose(f);
	free(path);
}

/* CUnit's tests take no argument: each call takes the next name. */
static void golden(void)
{
	const char *name = names[next_name++];
	struct sl_compiled *compiled = NULL;
	struct sl_diag_list diags;
	char *yaml, *want, *got = NULL, *file;
	size_t len = 0, want_len = 0, got_len = 0;
	FILE *m = open_memstream(&got, &got_len);
	int err;

	yaml = read_file(name, ".yaml", &len);
	CU_ASSERT_PTR_NOT_NULL_FATAL(yaml);
	if (!m || asprintf(&file, "%s.yaml", name) < 0)
		abort();
	err = sl_config_parse(file, yaml, len, NULL, &diags, &compiled);
	sl_diag_print(m, &diags);
	fclose(m);

	if (!strncmp(name, "bad-", 4)) {
		CU_ASSERT_EQUAL(err, -EINVAL);
		CU_ASSERT(diags.n_errors > 0);
		CU_ASSERT_PTR_NULL(compiled);
	} else {
		CU_ASSERT_EQUAL(err, 0);
		CU_ASSERT_EQUAL(diags.n_errors, 0);
		CU_ASSERT(compiled && sl_compiled_check(compiled, NULL) == 0);
	}
	if (getenv("SL_GOLDEN_UPDATE"))
		update(name, got);
	want = read_file(name, ".err", &want_len);
	CU_ASSERT_PTR_NOT_NULL(want);
	CU_ASSERT(want && !strcmp(want, got));
	if (want && strcmp(want, got))
		fprintf(stderr, "\n%s: messages differ; got:\n%s", name, got);

	sl_compiled_free(compiled);
	sl_diag_free(&diags);
	free(file);
	free(yaml);
	free(want);
	free(got);
}

/* Nothing is left out: every .err has its .yaml, every file is one of the two. */
static void complete(void)
{
	DIR *d = opendir(DIR_PATH);
	size_t n_bad = 0, n_err = 0;
	struct dirent *e;

	CU_ASSERT_PTR_NOT_NULL_FATAL(d);
	while ((e = readdir(d))) {
		const char *dot = strrchr(e->d_name, '.');

		if (e->d_name[0] == '.')
			continue;
		CU_ASSERT(dot && (!strcmp(dot, ".yaml") || !strcmp(dot, ".err")));
		CU_ASSERT(!strncmp(e->d_name, "bad-", 4) || !strncmp(e->d_name, "ok-", 3));
		n_bad += dot && !strcmp(dot, ".yaml") && !strncmp(e->d_name, "bad-", 4);
		n_err += dot && !strcmp(dot, ".err");
	}
	closedir(d);
	CU_ASSERT(n_bad >= MIN_BAD);
	CU_ASSERT_EQUAL(n_err, n_names);
	CU_ASSERT_EQUAL(next_name, n_names);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int find_names(void)
{
	DIR *d = opendir(DIR_PATH);
	struct dirent *e;

	if (!d)
		return -errno;
	while ((e = readdir(d))) {
		char *dot = strrchr(e->d_name, '.');

		if (!dot || strcmp(dot, ".yaml"))
			continue;
		*dot = '\0';
		names = realloc(names, (n_names + 1) * sizeof(*names));
		if (!names || !(names[n_names++] = strdup(e->d_name)))
			abort();
	}
	closedir(d);
	qsort(names, n_names, sizeof(*names), by_name);
	return 0;
}

int main(void)
{
	CU_TestInfo *tests;
	int rc;

	if (find_names())
		return 1;
	tests = calloc(n_names + 2, sizeof(*tests));
	if (!tests)
		return 1;
	for (size_t i = 0; i < n_names; i++)
		tests[i] = (CU_TestInfo){names[i], golden};
	tests[n_names] = (CU_TestInfo){"every pair was run", complete};
	rc = run_suite("config golden", tests);
	for (size_t i = 0; i < n_names; i++)
		free(names[i]);
	free(names);
	free(tests);
	return rc;
}
