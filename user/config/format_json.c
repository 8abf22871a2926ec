// SPDX-License-Identifier: GPL-2.0-only
/*
 * json_format: a JSON value whose strings hold command operators, as one text with them
 * (JsonFormatterImpl). A string that is one operator and nothing else is its value, typed; else
 * it stays a string.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config/actions_model.h"
#include "util/json_escape.h"

struct json {
	struct sl_walk *w;
	struct sl_arena *arena;
	struct sl_format *out;
	bool sort; /* sort_properties */
};

static int add_text(struct json *j, const char *text)
{
	j->out->parts[j->out->n++] = (struct sl_format_part){.op = SL_FORMAT_TEXT, .text = text};
	return 0;
}

/* @n's text in quotes, and @behind. */
static int add_quoted(struct json *j, const struct sl_node *n, const char *behind)
{
	size_t size = 6 * n->len + strlen(behind) + 3;
	char *s = sl_arena_alloc(j->arena, size);
	long len;

	if (!s)
		return -ENOMEM;
	s[0] = '"';
	len = sl_json_escape(n->text, n->len, s + 1, size - 3 - strlen(behind));
	s[1 + len] = '"';
	strcpy(s + 2 + len, behind);
	return add_text(j, s);
}

static bool is_number(const char *s)
{
	const char *digits = s + (*s == '-');
	char *end;

	if (!isdigit((unsigned char)*digits) ||
	    (digits[0] == '0' && isdigit((unsigned char)digits[1])))
		return false;
	if (strspn(s, "+-0123456789.eE") != strlen(s) || s[strlen(s) - 1] == '.')
		return false;
	(void)strtod(s, &end);
	return !*end;
}

/* What YAML makes of a text without quotes; NULL: a string. */
static const char *literal(const struct sl_node *n)
{
	__u32 yes;

	if (!n->plain)
		return NULL;
	if (!n->len || !strcmp(n->text, "~") || !strcasecmp(n->text, "null"))
		return "null";
	if (!sl_parse_bool(n->text, &yes) && !isdigit((unsigned char)n->text[0]))
		return yes ? "true" : "false";
	return is_number(n->text) ? n->text : NULL;
}

/* The file's own text does not live as long. */
static int add_literal(struct json *j, const char *text)
{
	char *copy = sl_arena_alloc(j->arena, strlen(text) + 1);

	return copy ? add_text(j, strcpy(copy, text)) : -ENOMEM;
}

static int add_string(struct json *j, const struct sl_node *n)
{
	struct sl_format_part *first;
	__u32 from = j->out->n + 1;
	int err;

	if (!strchr(n->text, '%'))
		return add_quoted(j, n, "");
	add_text(j, "\"");
	err = sl_format_add(j->w, n, SL_FOR_BODY, j->arena, j->out);
	if (err)
		return err;
	first = &j->out->parts[from];
	if (j->out->n == from + 1 && first->op != SL_FORMAT_TEXT) {
		first->as = SL_AS_JSON_VALUE;
		first[-1].text = "";
		return 0;
	}
	for (__u32 i = from; i < j->out->n; i++)
		j->out->parts[i].as = SL_AS_JSON_STRING;
	return add_text(j, "\"");
}

static int add_value(struct json *j, const struct sl_node *n);

struct pair {
	const struct sl_node *key;
	const struct sl_node *value;
};

static int by_key(const void *a, const void *b)
{
	const struct pair *x = a, *y = b;

	return strcmp(x->key->text, y->key->text);
}

static int add_pairs(struct json *j, const struct sl_node *n)
{
	struct pair *all = sl_arena_alloc(j->arena, n->n * sizeof(*all));
	int err = all ? 0 : -ENOMEM;

	for (__u32 i = 0; i < n->n && !err; i++)
		all[i] = (struct pair){n->items[2 * i], n->items[2 * i + 1]};
	/* Envoy's order without sort_properties is that of a hash map: the file's is one of these.
	 */
	if (j->sort && !err)
		qsort(all, n->n, sizeof(*all), by_key);
	for (__u32 i = 0; i < n->n && !err; i++) {
		add_text(j, i ? "," : "");
		err = add_quoted(j, all[i].key, ":");
		if (!err)
			err = add_value(j, all[i].value);
	}
	return err;
}

static int add_items(struct json *j, const struct sl_node *n)
{
	int err = 0;

	for (__u32 i = 0; i < n->n && !err; i++) {
		add_text(j, i ? "," : "");
		err = add_value(j, n->items[i]);
	}
	return err;
}

static int add_value(struct json *j, const struct sl_node *n)
{
	int err;

	if (n->kind == SL_NODE_SCALAR)
		return literal(n) ? add_literal(j, literal(n)) : add_string(j, n);
	add_text(j, n->kind == SL_NODE_MAP ? "{" : "[");
	err = n->kind == SL_NODE_MAP ? add_pairs(j, n) : add_items(j, n);
	return err ? err : add_text(j, n->kind == SL_NODE_MAP ? "}" : "]");
}

/* Parts of the texts in @n, and of what stands around them, at most. */
static __u32 parts_of(const struct sl_node *n)
{
	__u32 all = 4 + (n->kind == SL_NODE_SCALAR ? sl_format_parts(n) : 0);
	__u32 n_items = n->kind == SL_NODE_MAP ? 2 * n->n : n->kind == SL_NODE_LIST ? n->n : 0;

	for (__u32 i = 0; i < n_items; i++)
		all += parts_of(n->items[i]);
	return all;
}

int sl_format_json(struct sl_walk *w, const struct sl_node *value, bool sort,
		   struct sl_arena *arena, struct sl_format *ret)
{
	struct json j = {w, arena, ret, sort};
	int err;

	*ret = (struct sl_format){0};
	if (value->kind != SL_NODE_MAP) {
		sl_error(w, value, "'json_format' must be a mapping (check indentation)");
		return -EINVAL;
	}
	ret->parts = sl_arena_alloc(arena, (parts_of(value) + 1) * sizeof(*ret->parts));
	if (!ret->parts)
		return -ENOMEM;
	err = add_value(&j, value);
	return err ? err : add_text(&j, "\n");
}
