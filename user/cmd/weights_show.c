// SPDX-License-Identifier: GPL-2.0-only
#include "cmd/weights.h"

#include <stdio.h>

#include "cmd/cmd.h"
#include "util/columns.h"
#include "util/json.h"

static double share(const struct sl_split *split, __u32 target)
{
	__u64 sum = sl_split_sum(split);

	return sum ? (double)split->targets[target].weight / sum : 0;
}

/* A share that is not nothing never reads as 0, nor one that is not all as 100. */
static void share_text(const struct sl_split *split, __u32 target, char *ret, size_t size)
{
	double percent = share(split, target) * 100;

	if (percent > 0 && percent < 0.01)
		snprintf(ret, size, "< 0.01 %%");
	else if (percent < 100 && percent > 99.99)
		snprintf(ret, size, "> 99.99 %%");
	else
		snprintf(ret, size, "%.2f %%", percent);
}

int sl_weights_print(const struct sl_maps *m, const struct sl_split_route *list, __u32 n)
{
	static const struct sl_column columns[] = {
		{.title = "ROUTE"},
		{.title = "CLUSTER"},
		{.title = "WEIGHT", .right = true},
		{.title = "SHARE", .right = true},
	};
	struct sl_columns t = {.columns = columns, .n_columns = 4};
	char now[32], was[32];
	int err;

	for (const struct sl_split_route *r = list; r < list + n; r++) {
		for (__u32 i = 0; i < sl_split_targets(&r->split); i++) {
			sl_columns_add(&t, "%s", i ? "" : r->info.name);
			sl_columns_add(&t, "%s",
				       sl_cmd_cluster_name(m, r->split.targets[i].cluster));
			share_text(&r->split, i, now, sizeof(now));
			if (r->changed) {
				share_text(&r->before, i, was, sizeof(was));
				sl_columns_add(&t, "%u -> %u", r->before.targets[i].weight,
					       r->split.targets[i].weight);
				sl_columns_add(&t, "%s -> %s", was, now);
			} else {
				sl_columns_add(&t, "%u", r->split.targets[i].weight);
				sl_columns_add(&t, "%s", now);
			}
		}
	}
	err = sl_columns_print(&t, stdout);
	sl_columns_free(&t);
	return err ? SL_EXIT_SYSTEM : SL_EXIT_DONE;
}

static json_t *route_json(const struct sl_maps *m, const struct sl_split_route *r)
{
	json_t *clusters = json_array();

	for (__u32 i = 0; i < sl_split_targets(&r->split); i++) {
		const struct sl_split_target *target = &r->split.targets[i];
		json_t *c =
			json_pack("{s:o, s:I, s:f}", "cluster",
				  sl_json_text(sl_cmd_cluster_name(m, target->cluster)), "weight",
				  (json_int_t)target->weight, "share", share(&r->split, i));

		if (r->changed)
			json_object_set_new(c, "old_weight",
					    json_integer(r->before.targets[i].weight));
		json_array_append_new(clusters, c);
	}
	return json_pack("{s:o, s:o, s:i, s:I, s:o}", "route", sl_json_text(r->info.name), "match",
			 sl_json_text(r->info.match), "index", (int)r->index, "split",
			 (json_int_t)r->info.target, "clusters", clusters);
}

int sl_weights_print_json(const struct sl_maps *m, const struct sl_split_route *list, __u32 n)
{
	json_t *routes = json_array();

	for (const struct sl_split_route *r = list; r < list + n; r++)
		json_array_append_new(routes, route_json(m, r));
	return sl_json_print(routes) ? SL_EXIT_SYSTEM : SL_EXIT_DONE;
}
