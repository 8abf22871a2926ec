// SPDX-License-Identifier: GPL-2.0-only
/*
 * Each key of each message that the config knows: what is not supported is refused by its name and
 * at its place, what only tunes Envoy warns, and what is accepted stands in its message in a golden
 * file that loads. tests/compat/keys.txt is the list, from which scripts/compat.py makes the
 * compatibility table; SL_GOLDEN_UPDATE=1 writes it.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/model.h"
#include "suite.h"

#define LIST "tests/compat/keys.txt"
#define FILES "tests/unit/config"
#define SCHEMAS_MAX 256
#define KEYS_MAX 2048
#define FILES_MAX 512

/* A key of a message; several schemas can be one message. */
struct known {
	const char *what;
	const char *key;
	const char *state; /* "accepted", "refused", "warns" */
	char *test;	   /* NULL: none yet */
};

static const struct sl_schema *schemas[SCHEMAS_MAX];
static size_t n_schemas;
static struct known known[KEYS_MAX];
static size_t n_known;

static struct known *find(const char *what, const char *key)
{
	for (size_t i = 0; i < n_known; i++)
		if (!strcmp(known[i].what, what) && !strcmp(known[i].key, key))
			return &known[i];
	return NULL;
}

static void know(const struct sl_schema *s, const char *key, const char *state, const char *test)
{
	if (find(s->what, key))
		return;
	if (n_known == KEYS_MAX)
		abort();
	known[n_known++] = (struct known){s->what, key, state, test ? strdup(test) : NULL};
}

/* ---- the messages ---- */

static void add_schema(const struct sl_schema *s)
{
	for (size_t i = 0; i < n_schemas; i++)
		if (schemas[i] == s)
			return;
	if (n_schemas == SCHEMAS_MAX)
		abort();
	schemas[n_schemas++] = s;
	for (const struct sl_key *k = s->keys; k->name; k++) {
		know(s, k->name, k->type == SL_KEY_WARN ? "warns" : "accepted", NULL);
		if (k->sub)
			add_schema(k->sub);
	}
	for (const char *const *u = s->unsupported; u && *u; u++)
		know(s, *u, "refused", "unit/test_schema");
	for (const char *const *u = s->tuning; u && *u; u++)
		know(s, *u, "warns", "unit/test_schema");
}

/* ---- keys that are known by name only ---- */

/* Does a mapping with @key alone have exactly the message @want for it, at its place? */
static bool says(const struct sl_schema *s, const char *key, enum sl_severity severity,
		 const char *want)
{
	struct sl_node name = {
		.kind = SL_NODE_SCALAR, .line = 3, .col = 7, .text = key, .len = strlen(key)};
	struct sl_node value = {.kind = SL_NODE_SCALAR, .line = 3, .col = 9, .text = "x", .len = 1};
	struct sl_node *items[] = {&name, &value};
	struct sl_node map = {.kind = SL_NODE_MAP, .line = 2, .col = 5, .n = 1, .items = items};
	struct sl_arena arena = {0};
	struct sl_diag_list diags = {0};
	struct sl_walk w = {.arena = &arena, .diags = &diags};
	bool found = false;

	CU_ASSERT_PTR_NOT_NULL(sl_schema_new(&w, s, &map));
	for (__u32 i = 0; i < diags.n; i++)
		found |= diags.items[i].severity == severity && diags.items[i].line == 3 &&
			 diags.items[i].col == 7 && !strcmp(diags.items[i].message, want);
	sl_diag_free(&diags);
	sl_arena_free(&arena);
	return found;
}

static void check_list(const struct sl_schema *s, const char *const *list, bool refused)
{
	char want[256];

	for (; list && *list; list++) {
		bool yes;

		if (refused)
			snprintf(want, sizeof(want), "'%s' of %s is not supported yet", *list,
				 s->what);
		else
			snprintf(want, sizeof(want), "'%s' only tunes Envoy itself; ignored",
				 *list);
		yes = says(s, *list, refused ? SL_ERROR : SL_WARNING, want);
		CU_ASSERT(yes);
		if (!yes)
			fprintf(stderr, "\nno message: %s\n", want);
	}
}

static void by_name(void)
{
	for (size_t i = 0; i < n_schemas; i++) {
		check_list(schemas[i], schemas[i]->unsupported, true);
		check_list(schemas[i], schemas[i]->tuning, false);
	}
	CU_ASSERT(n_schemas > 50 && n_known > 400);
}

/* ---- golden files ---- */

static void cover(const struct sl_schema *s, const struct sl_node *n, const char *test)
{
	if (n->kind == SL_NODE_LIST)
		for (__u32 i = 0; i < n->n; i++)
			cover(s, n->items[i], test);
	for (__u32 i = 0; n->kind == SL_NODE_MAP && i < n->n; i++) {
		for (const struct sl_key *k = s->keys; k->name; k++) {
			struct known *found;

			if (!sl_same_key(n->items[2 * i]->text, k->name))
				continue;
			found = find(s->what, k->name);
			if (!found->test)
				found->test = strdup(test);
			if (k->sub)
				cover(k->sub, n->items[2 * i + 1], test);
		}
	}
}

static void cover_file(const char *name)
{
	static char text[1 << 20];
	const struct sl_node *tree = NULL;
	struct sl_diag_list diags = {0};
	struct sl_arena arena = {0};
	char path[512], test[512];
	size_t len;
	FILE *f;

	snprintf(path, sizeof(path), FILES "/%s", name);
	snprintf(test, sizeof(test), "config/%.*s", (int)(strlen(name) - 5), name);
	f = fopen(path, "r");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	len = fread(text, 1, sizeof(text), f);
	fclose(f);
	CU_ASSERT_FATAL(len < sizeof(text));
	CU_ASSERT_EQUAL(sl_yaml_parse(text, len, &arena, &diags, &tree), 0);
	if (tree)
		cover(&sl_schema_root, tree, test);
	sl_diag_free(&diags);
	sl_arena_free(&arena);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void golden(void)
{
	char *names[FILES_MAX];
	DIR *d = opendir(FILES);
	struct dirent *e;
	size_t n = 0;

	CU_ASSERT_PTR_NOT_NULL_FATAL(d);
	while ((e = readdir(d)))
		if (!strncmp(e->d_name, "ok-", 3) && strstr(e->d_name, ".yaml") && n < FILES_MAX)
			names[n++] = strdup(e->d_name);
	closedir(d);
	CU_ASSERT(n > 20 && n < FILES_MAX);
	qsort(names, n, sizeof(names[0]), by_text);
	for (size_t i = 0; i < n; i++) {
		cover_file(names[i]);
		free(names[i]);
	}
	for (size_t i = 0; i < n_known; i++) {
		CU_ASSERT_PTR_NOT_NULL(known[i].test);
		if (!known[i].test)
			fprintf(stderr, "\nno file ok-* has '%s' in %s\n", known[i].key,
				known[i].what);
	}
}

/* ---- the list ---- */

static int by_key(const void *x, const void *y)
{
	const struct known *a = x, *b = y;
	int order = strcmp(a->what, b->what);

	return order ? order : strcmp(a->key, b->key);
}

static void list(void)
{
	char *want = NULL, *got = NULL;
	size_t size, got_size;
	FILE *f = open_memstream(&want, &size), *file;
	int c;

	qsort(known, n_known, sizeof(known[0]), by_key);
	for (size_t i = 0; i < n_known; i++)
		fprintf(f, "%s | %s | %s | %s\n", known[i].what, known[i].key, known[i].state,
			known[i].test ? known[i].test : "none");
	fclose(f);
	file = fopen(LIST, getenv("SL_GOLDEN_UPDATE") ? "w+" : "r");
	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	if (getenv("SL_GOLDEN_UPDATE")) {
		fputs(want, file);
		rewind(file);
	}
	f = open_memstream(&got, &got_size);
	while ((c = fgetc(file)) != EOF)
		fputc(c, f);
	fclose(f);
	fclose(file);
	CU_ASSERT(!strcmp(want, got));
	if (strcmp(want, got))
		fprintf(stderr, "\n" LIST " is out of date: SL_GOLDEN_UPDATE=1\n");
	free(want);
	free(got);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"keys that are known by name only", by_name},
		{"accepted keys are in golden files", golden},
		{"the list of keys", list},
		CU_TEST_INFO_NULL,
	};
	int rc;

	add_schema(&sl_schema_root);
	rc = run_suite("schema", tests);
	for (size_t i = 0; i < n_known; i++)
		free(known[i].test);
	return rc;
}
