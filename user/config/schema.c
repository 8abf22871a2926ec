// SPDX-License-Identifier: GPL-2.0-only
/* The one place that walks mappings, by tables. */
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "config/schema.h"
#include "util/parse.h"
#include "util/suggest.h"

static void *alloc(struct sl_walk *w, size_t size)
{
	void *p = sl_arena_alloc(w->arena, size);

	if (!p)
		w->err = -ENOMEM;
	return p;
}

/* Empty or YAML's null. */
static bool is_null(const struct sl_node *n)
{
	return n->kind == SL_NODE_SCALAR && n->plain &&
	       (n->len == 0 || !strcmp(n->text, "~") || !strcasecmp(n->text, "null"));
}

static const char *kind_name(const struct sl_node *n)
{
	if (is_null(n))
		return "nothing";
	return n->kind == SL_NODE_MAP	 ? "a mapping"
	       : n->kind == SL_NODE_LIST ? "a sequence"
					 : "text";
}

bool sl_same_key(const char *name, const char *key)
{
	if (!strcmp(name, key))
		return true;
	for (; *name && *key; name++, key++) {
		if (*key == '_' && key[1] >= 'a' && key[1] <= 'z' && *name == key[1] - 'a' + 'A')
			key++;
		else if (*name != *key || *key == '_')
			return false;
	}
	return !*name && !*key;
}

static bool in_list(const char *const *list, const char *name)
{
	for (; list && *list; list++)
		if (sl_same_key(name, *list))
			return true;
	return false;
}

/* Returns the key that was probably meant; NULL: none. */
static const char *unknown_key(struct sl_walk *w, const struct sl_schema *s,
			       const struct sl_node *key)
{
	struct sl_suggest g = {0};

	if (in_list(s->unsupported, key->text)) {
		sl_error(w, key, "'%.64s' of %s is not supported yet", key->text, s->what);
		w->unsure = true;
		return NULL;
	}
	if (in_list(s->tuning, key->text)) {
		sl_warning(w, key, "'%.64s' only tunes Envoy itself; ignored", key->text);
		return NULL;
	}
	g.word = key->text;
	for (const struct sl_key *k = s->keys; k->name; k++)
		sl_suggest_try(&g, k->name);
	for (const char *const *u = s->unsupported; u && *u; u++)
		sl_suggest_try(&g, *u);
	for (const char *const *u = s->tuning; u && *u; u++)
		sl_suggest_try(&g, *u);
	if (g.best)
		sl_error(w, key, "unknown key '%.64s'; did you mean '%s'?", key->text, g.best);
	else
		sl_error(w, key, "unknown key '%.64s' in %s", key->text, s->what);
	w->unsure |= g.best != NULL;
	return g.best;
}

/* The value must be text; quotes do not matter unless the text is empty. */
static bool want_text(struct sl_walk *w, const struct sl_key *k, const struct sl_node *v,
		      const char *what)
{
	if (v->kind == SL_NODE_SCALAR && !is_null(v))
		return true;
	sl_error(w, v, "'%s' must be %s, not %s", k->name, what, kind_name(v));
	return false;
}

static void walk_u32(struct sl_walk *w, const struct sl_key *k, const struct sl_node *v,
		     struct cfg_u32 *dst)
{
	__u32 value;

	if (!want_text(w, k, v, "a whole number"))
		return;
	/* 010 is octal in YAML 1.1 and decimal in 1.2: whoever wrote it meant one of them. */
	if (!sl_parse_u32(v->text, k->max, &value) && value >= k->min &&
	    (v->text[0] != '0' || v->len == 1))
		*dst = (struct cfg_u32){v, value};
	else
		sl_error(w, v, "'%s' must be a whole number from %u to %u, not '%.64s'", k->name,
			 k->min, k->max, v->text);
}

static void walk_bool(struct sl_walk *w, const struct sl_key *k, const struct sl_node *v,
		      struct cfg_u32 *dst)
{
	__u32 value;

	if (!want_text(w, k, v, "true or false"))
		return;
	if (v->plain && !sl_parse_bool(v->text, &value))
		*dst = (struct cfg_u32){v, value};
	else
		sl_error(w, v, "'%s' must be true or false, not '%.64s'", k->name, v->text);
}

static void walk_duration(struct sl_walk *w, const struct sl_key *k, const struct sl_node *v,
			  struct cfg_u32 *dst)
{
	__u32 value;
	int err;

	if (!want_text(w, k, v, "a time such as 0.25s"))
		return;
	err = sl_parse_duration_ms(v->text, k->min, k->max, &value);
	if (!err)
		*dst = (struct cfg_u32){v, value};
	else if (err == -ERANGE)
		sl_error(w, v, "'%s' must be from %gs to %gs, not '%.64s'", k->name, k->min / 1e3,
			 k->max / 1e3, v->text);
	else
		sl_error(w, v, "'%s' must be seconds with 's', such as 0.25s, not '%.64s'", k->name,
			 v->text);
}

static void walk_decimal(struct sl_walk *w, const struct sl_key *k, const struct sl_node *v,
			 struct cfg_u32 *dst)
{
	__u32 value;

	if (!want_text(w, k, v, "a number"))
		return;
	if (!sl_parse_decimal(v->text, k->min, k->max, &value))
		*dst = (struct cfg_u32){v, value};
	else
		sl_error(w, v, "'%s' must be a number from %g to %g, not '%.64s'", k->name,
			 k->min / 1e3, k->max / 1e3, v->text);
}

static void walk_enum(struct sl_walk *w, const struct sl_key *k, const struct sl_node *v,
		      struct cfg_u32 *dst)
{
	struct sl_suggest g = {0};

	dst->value = SL_ENUM_WRONG;
	if (!want_text(w, k, v, "a name"))
		return;
	for (__u32 i = 0; k->names[i]; i++) {
		bool refused = k->names[i][0] == '-';

		if (strcasecmp(k->names[i] + refused, v->text))
			continue;
		if (refused)
			sl_error(w, v, "'%s: %s' is not supported yet; use %s", k->name, v->text,
				 k->note);
		else
			*dst = (struct cfg_u32){v, i};
		return;
	}
	g.word = v->text;
	for (__u32 i = 0; k->names[i]; i++)
		sl_suggest_try(&g, k->names[i] + (k->names[i][0] == '-'));
	if (g.best)
		sl_error(w, v, "unknown value '%.64s' of '%s'; did you mean '%s'?", v->text,
			 k->name, g.best);
	else
		sl_error(w, v, "unknown value '%.64s' of '%s'; must be %s", v->text, k->name,
			 k->note);
}

static void walk_string(struct sl_walk *w, const struct sl_key *k, const struct sl_node *v,
			const struct sl_node **dst)
{
	if (!want_text(w, k, v, "text"))
		return;
	*dst = v;
	if ((k->flags & SL_KEY_NONEMPTY) && !v->len)
		sl_error(w, v, "'%s' must not be empty", k->name);
}

static bool want_list(struct sl_walk *w, const struct sl_key *k, const struct sl_node *v)
{
	if (v->kind != SL_NODE_LIST) {
		sl_error(w, v, "'%s' must be a sequence ('- ...'), not %s", k->name, kind_name(v));
		return false;
	}
	if ((k->flags & SL_KEY_NONEMPTY) && !v->n)
		sl_error(w, v, "'%s' must not be empty", k->name);
	return true;
}

static void walk_list(struct sl_walk *w, const struct sl_key *k, const struct sl_node *v,
		      struct cfg_list *dst)
{
	dst->node = v;
	if (!want_list(w, k, v))
		return;
	dst->items = alloc(w, v->n * k->sub->size);
	if (!dst->items)
		return;
	for (__u32 i = 0; i < v->n && !w->err; i++) {
		if (v->items[i]->kind == SL_NODE_MAP)
			sl_schema_walk(w, k->sub, v->items[i],
				       (char *)dst->items + dst->n++ * k->sub->size);
		else
			sl_error(w, v->items[i], "an item of '%s' must be a mapping, not %s",
				 k->name, kind_name(v->items[i]));
	}
}

static void walk_strings(struct sl_walk *w, const struct sl_key *k, const struct sl_node *v,
			 struct cfg_list *dst)
{
	const struct sl_node **items;

	dst->node = v;
	if (!want_list(w, k, v))
		return;
	items = alloc(w, v->n * sizeof(*items));
	if (!items)
		return;
	dst->items = items;
	for (__u32 i = 0; i < v->n; i++) {
		if (v->items[i]->kind == SL_NODE_SCALAR && v->items[i]->len)
			items[dst->n++] = v->items[i];
		else
			sl_error(w, v->items[i], "an item of '%s' must be text, not %s", k->name,
				 v->items[i]->kind == SL_NODE_SCALAR ? "nothing"
								     : kind_name(v->items[i]));
	}
}

static void walk_value(struct sl_walk *w, const struct sl_key *k, const struct sl_node *key,
		       const struct sl_node *v, void *dst)
{
	switch (k->type) {
	case SL_KEY_STRING:
		walk_string(w, k, v, dst);
		break;
	case SL_KEY_U32:
		walk_u32(w, k, v, dst);
		break;
	case SL_KEY_BOOL:
		walk_bool(w, k, v, dst);
		break;
	case SL_KEY_ENUM:
		walk_enum(w, k, v, dst);
		break;
	case SL_KEY_DURATION:
		walk_duration(w, k, v, dst);
		break;
	case SL_KEY_DECIMAL:
		walk_decimal(w, k, v, dst);
		break;
	case SL_KEY_MAP:
		if (v->kind == SL_NODE_MAP)
			sl_schema_walk(w, k->sub, v, dst);
		else
			sl_error(w, v, "'%s' must be a mapping, not %s", k->name, kind_name(v));
		break;
	case SL_KEY_LIST:
		walk_list(w, k, v, dst);
		break;
	case SL_KEY_STRINGS:
		walk_strings(w, k, v, dst);
		break;
	case SL_KEY_ANY:
		*(const struct sl_node **)dst = v;
		break;
	case SL_KEY_IGNORED:
		break;
	case SL_KEY_WARN:
		sl_warning(w, key, "%s", k->note);
		break;
	}
}

/* A key given as snake_case and as camelCase is two keys for YAML, but one for protobuf. */
static bool given_twice(struct sl_walk *w, const struct sl_node *map, __u32 i,
			const struct sl_key *k)
{
	for (__u32 j = 0; j < i; j++) {
		if (sl_same_key(map->items[2 * j]->text, k->name)) {
			sl_error(w, map->items[2 * i],
				 "duplicate key '%s'; first defined at line %u", k->name,
				 map->items[2 * j]->line);
			return true;
		}
	}
	return false;
}

void sl_schema_walk(struct sl_walk *w, const struct sl_schema *s, const struct sl_node *node,
		    void *dst)
{
	bool saved = w->unsure;
	const struct sl_key *k;
	const char *meant;
	__u64 seen = 0;

	w->unsure = false;
	*(const struct sl_node **)dst = node;
	for (__u32 i = 0; i < node->n && !w->err; i++) {
		const struct sl_node *key = node->items[2 * i];

		for (k = s->keys; k->name && !sl_same_key(key->text, k->name); k++)
			;
		if (!k->name) {
			meant = unknown_key(w, s, key);
			for (k = s->keys; meant && k->name; k++)
				if (!strcmp(k->name, meant))
					seen |= 1ull << (k - s->keys);
		} else if (!given_twice(w, node, i, k)) {
			seen |= 1ull << (k - s->keys);
			walk_value(w, k, key, node->items[2 * i + 1], (char *)dst + k->offset);
		}
	}
	for (k = s->keys; k->name; k++)
		if ((k->flags & SL_KEY_REQUIRED) && !(seen & (1ull << (k - s->keys))))
			sl_error(w, node, "missing '%s' in %s", k->name, s->what);
	if (s->done && !w->err)
		s->done(w, dst);
	w->unsure = saved;
}

void *sl_schema_new(struct sl_walk *w, const struct sl_schema *s, const struct sl_node *node)
{
	void *dst;

	if (node->kind != SL_NODE_MAP) {
		sl_error(w, node, "%s must be a mapping, not %s", s->what, kind_name(node));
		return NULL;
	}
	dst = alloc(w, s->size);
	if (dst)
		sl_schema_walk(w, s, node, dst);
	return w->err ? NULL : dst;
}
