// SPDX-License-Identifier: GPL-2.0-only
/* The timeouts and limits that were reached: a table of those that were, or all of them as JSON. */
#include "cmd/stats.h"

#include "util/columns.h"

static const struct {
	const char *name;
	const char *help;
} counts[SL_N_COUNTS] = {
#define X(name, text, help) {#text, help},
	SL_COUNTS(X)
#undef X
};

static void add(struct sl_columns *t, __u32 what, const char *cluster, __u64 n)
{
	if (!n)
		return;
	sl_columns_add(t, "%s", counts[what].name);
	sl_columns_add(t, "%s", cluster);
	sl_columns_add(t, "%llu", (unsigned long long)n);
	sl_columns_add(t, "%s", counts[what].help);
}

int sl_counts_print(const struct sl_snapshot *s)
{
	static const struct sl_column columns[] = {
		{.title = "LIMIT REACHED"},
		{.title = "CLUSTER"},
		{.title = "TIMES", .right = true},
		{.title = "OF WHAT"},
	};
	struct sl_columns t = {.columns = columns, .n_columns = 4};
	int err;

	for (__u32 i = 0; i < SL_COUNT_FIRST_UP; i++)
		add(&t, i, "-", s->down.n[i]);
	for (__u32 c = 0; c < s->n_clusters; c++)
		for (__u32 i = SL_COUNT_FIRST_UP; i < SL_N_COUNTS; i++)
			add(&t, i, s->cluster_names[c], s->up[c].n[i]);
	if (!t.n_cells) {
		sl_columns_free(&t);
		return 0;
	}
	putchar('\n');
	err = sl_columns_print(&t, stdout);
	sl_columns_free(&t);
	return err;
}

json_t *sl_counts_json(const struct sl_counts *c, bool up)
{
	json_t *object = json_object();

	for (__u32 i = up ? SL_COUNT_FIRST_UP : 0; i < (up ? SL_N_COUNTS : SL_COUNT_FIRST_UP); i++)
		json_object_set_new(object, counts[i].name, json_integer(c->n[i]));
	return object;
}
