// SPDX-License-Identifier: GPL-2.0-only
/* A match in words, for commands and the map `routes`. */
#include <stdio.h>
#include <stdlib.h>

#include "config/match_model.h"

static const char *path_word(const struct cfg_match *m)
{
	if (m->policy.template)
		return "template";
	if (m->is_regex)
		return "regex";
	if (m->separated)
		return "path or below";
	return m->prefix ? "prefix" : "path";
}

static void rule_text(FILE *f, const char *what, const struct cfg_rule *r)
{
	static const char *const words[] = {
		[SL_RULE_EXACT] = "",	      [SL_RULE_PREFIX] = "prefix ",
		[SL_RULE_SUFFIX] = "suffix ", [SL_RULE_CONTAINS] = "contains ",
		[SL_RULE_REGEX] = "regex ",
	};
	bool present = (!r->present.node || r->present.value) != r->invert.value;
	const char *colon = r->invert.value ? " !=" : ":";

	fprintf(f, ", %s%s", what, r->name->text);
	if (r->kind == SL_RULE_PRESENT)
		fputs(present ? " present" : " absent", f);
	else if (r->kind == SL_RULE_RANGE)
		fprintf(f, "%s %lld to below %lld", colon, r->from, r->to);
	else
		fprintf(f, "%s %s%s%s", colon, words[r->kind], r->value->text,
			r->no_case ? " (any case)" : "");
}

static void rules_text(FILE *f, const char *what, const struct cfg_list *list)
{
	const struct cfg_rule *all = list->items;

	for (__u32 i = 0; i < list->n; i++)
		rule_text(f, what, &all[i]);
}

char *sl_match_text(const struct cfg_match *m)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		return NULL;
	fprintf(f, "%s %s%s", path_word(m),
		(m->policy.template ? m->policy.template : m->text)->text,
		m->folded ? " (any case)" : "");
	if (m->fraction.node)
		fprintf(f, ", %u of %u requests", m->fraction.value.numerator.value,
			sl_fraction_of(&m->fraction));
	rules_text(f, "", &m->headers);
	if (m->grpc.node)
		fputs(", gRPC", f);
	rules_text(f, "query ", &m->queries);
	rules_text(f, "cookie ", &m->cookies);
	if (fclose(f)) {
		free(text);
		return NULL;
	}
	return text;
}
