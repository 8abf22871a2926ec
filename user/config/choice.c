// SPDX-License-Identifier: GPL-2.0-only
#include "config/choice.h"

static bool stands_in(const struct sl_node *map, const char *key)
{
	for (__u32 i = 0; i < map->n; i++)
		if (sl_same_key(map->items[2 * i]->text, key))
			return true;
	return false;
}

static bool is_behind(const struct sl_node *a, const struct sl_node *b)
{
	return a->line > b->line || (a->line == b->line && a->col > b->col);
}

void sl_exclude(struct sl_walk *w, const struct sl_choice *a, const struct sl_choice *b)
{
	sl_error(w, is_behind(a->node, b->node) ? a->node : b->node,
		 "'%s' and '%s' exclude each other; give one", a->name, b->name);
}

const struct sl_choice *sl_oneof(struct sl_walk *w, const struct sl_node *map,
				 const struct sl_choice *all, size_t n, const char *missing)
{
	const struct sl_choice *first = NULL;
	bool there = w->unsure || !missing;

	for (size_t i = 0; i < n; i++) {
		there = there || stands_in(map, all[i].name);
		if (!all[i].node)
			continue;
		if (first)
			sl_exclude(w, first, &all[i]);
		else
			first = &all[i];
	}
	if (!first && !there)
		sl_error(w, map, "%s", missing);
	return first;
}
