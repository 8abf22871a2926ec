// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which routes can never match, without comparing all with all: a route that takes all that another
 * one would has a path that begins the other's, so routes are kept by their paths, and only
 * the beginnings of a path are looked up. And if it asks for a header's value, so does the other:
 * of routes with one path it is kept by the first such header.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "config/match_model.h"
#include "config/model.h"
#include "sl_limits.h"
#include "util/names.h"

#define LOOKED_AT 256 /* routes with one path, and lengths of paths, for one route */
#define EXACT_MAX 8   /* headers of one route that it is looked for by */

/* Routes with the same path but for the case, latest first. */
struct same_path {
	const struct cfg_route *route;
	const struct same_path *next;
};

struct sl_reach {
	struct sl_names *paths; /* see key_of() -> struct chain */
	__u8 lengths[SL_KERNEL_HEAD_MAX + 8];
};

struct chain {
	const struct same_path *last;
};

struct sl_reach *sl_reach_new(struct sl_walk *w)
{
	struct sl_reach *r = sl_arena_alloc(w->arena, sizeof(*r));

	if (r)
		r->paths = sl_names_new();
	if (r && r->paths)
		return r;
	w->err = -ENOMEM;
	return NULL;
}

void sl_reach_free(struct sl_reach *r)
{
	if (r)
		sl_names_free(r->paths);
}

/*
 * The first route of those with the path @key that leaves nothing to @m; @best: of others. Of very
 * many only the latest are looked at.
 */
static const struct cfg_route *covers(const struct sl_reach *r, const char *key,
				      const struct cfg_match *m, const struct cfg_route *best)
{
	const struct chain *c = sl_names_get(r->paths, key);
	__u32 n = 0;

	for (const struct same_path *s = c ? c->last : NULL; s && n < LOOKED_AT; s = s->next, n++)
		if ((!best || s->route < best) && sl_match_covers(&s->route->match, m))
			best = s->route;
	return best;
}

/* The same for all beginnings of @key's path, which begins at @path; of a regex there is but "". */
static const struct cfg_route *find(const struct sl_reach *r, char *key, char *path, bool is_regex,
				    const struct cfg_match *m, const struct cfg_route *best)
{
	__u32 n = 0;

	best = covers(r, key, m, best);
	for (size_t i = 0; path[i] && n < LOOKED_AT; i++) {
		char cut = path[i];

		if (i && (is_regex || !r->lengths[i]))
			continue;
		path[i] = '\0';
		best = covers(r, key, m, best);
		path[i] = cut;
		n++;
	}
	return best;
}

/* A header that has to be equal: what asks for it takes nothing from what does not. */
static bool is_exact(const struct cfg_rule *r)
{
	return r->kind == SL_RULE_EXACT && r->name && r->value && !r->invert.value &&
	       !r->missing_empty.value;
}

/* "NAME\nVALUE\nPATH", or the path alone for no rule; *ret_path: where it begins. NULL: no memory.
 */
static char *key_of(struct sl_walk *w, const struct cfg_match *m, const struct cfg_rule *rule,
		    char **ret_path)
{
	size_t size = m->text->len + sizeof("regex ") +
		      (rule ? rule->name->len + rule->value->len + 2 : 0);
	char *key = sl_arena_alloc(w->arena, size), *p = key;

	if (!key) {
		w->err = -ENOMEM;
		return NULL;
	}
	if (rule) {
		for (__u32 i = 0; i < rule->name->len; i++)
			*p++ = tolower((unsigned char)rule->name->text[i]);
		p += sprintf(p, "\n%s\n", rule->value->text);
	}
	*ret_path = p;
	if (m->is_regex)
		p = stpcpy(p, "regex ");
	for (__u32 i = 0; i <= m->text->len; i++)
		*p++ = m->is_regex ? m->text->text[i] : tolower((unsigned char)m->text->text[i]);
	return key;
}

/* find() with the key of @m and @rule, which is returned, too; NULL: no memory. */
static char *look(struct sl_walk *w, const struct sl_reach *r, const struct cfg_match *m,
		  const struct cfg_rule *rule, const struct cfg_route **best)
{
	char *path, *own = key_of(w, m, rule, &path), *key;
	struct sl_node text = {0};
	struct cfg_match begin = {.text = &text};
	const char *start;

	if (!own)
		return NULL;
	*best = find(r, own, path, m->is_regex, m, *best);
	if (!m->is_regex)
		return own;
	/* What all that it takes begins with can be below a prefix. */
	text.len = sl_regex_literal(m->text->text, &start);
	text.text = key = sl_arena_alloc(w->arena, text.len + 1);
	if (key) {
		memcpy(key, start, text.len);
		key = key_of(w, &begin, rule, &path);
	}
	if (key)
		*best = find(r, key, path, false, m, *best);
	else
		w->err = -ENOMEM;
	return key ? own : NULL;
}

static void keep(struct sl_walk *w, struct sl_reach *r, const char *key,
		 const struct cfg_route *route)
{
	struct same_path *me = sl_arena_alloc(w->arena, sizeof(*me));
	struct chain *own = sl_arena_alloc(w->arena, sizeof(*own)), *c;

	c = me && own ? (struct chain *)sl_names_add(r->paths, key, own) : NULL;
	if (!c) {
		w->err = -ENOMEM;
		return;
	}
	*me = (struct same_path){route, c->last};
	c->last = me;
}

const struct cfg_route *sl_reach_add(struct sl_walk *w, struct sl_reach *r,
				     const struct cfg_route *route)
{
	const struct cfg_match *m = &route->match;
	const struct cfg_rule *headers = m->headers.items;
	const struct cfg_route *best = NULL;
	char *own;

	/* Longer ones are refused. */
	if (!m->text || m->text->len >= SL_KERNEL_HEAD_MAX)
		return NULL;
	own = look(w, r, m, NULL, &best);
	if (!own)
		return NULL;
	r->lengths[m->text->len] = 1;
	for (__u32 i = m->headers.n < EXACT_MAX ? m->headers.n : EXACT_MAX; i-- > 0;) {
		if (!is_exact(&headers[i]))
			continue;
		own = look(w, r, m, &headers[i], &best);
		if (!own)
			return NULL;
	}
	/* By the first of its headers. */
	keep(w, r, own, route);
	return best;
}
