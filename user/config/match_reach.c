// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which routes can never match, without comparing all with all: a route that takes all that another
 * one would has a path that begins the other's, so routes are kept by their paths, and only
 * the beginnings of a path are looked up.
 */
#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "config/match_model.h"
#include "config/model.h"
#include "sl_limits.h"
#include "util/names.h"

/* Routes with the same path but for the case, latest first. */
struct same_path {
	const struct cfg_route *route;
	const struct same_path *next;
};

struct sl_reach {
	struct sl_names *paths; /* lower case, "regex " before a regex -> struct chain */
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

/* The first route of those with the path @key that leaves nothing to @m; @best: of others. */
static const struct cfg_route *covers(const struct sl_reach *r, const char *key,
				      const struct cfg_match *m, const struct cfg_route *best)
{
	const struct chain *c = sl_names_get(r->paths, key);

	for (const struct same_path *s = c ? c->last : NULL; s; s = s->next)
		if ((!best || s->route < best) && sl_match_covers(&s->route->match, m))
			best = s->route;
	return best;
}

static const struct cfg_route *find(const struct sl_reach *r, char *key, const struct cfg_match *m,
				    size_t len)
{
	const struct cfg_route *best = covers(r, key, m, NULL);

	for (size_t i = 0; i < len; i++) {
		char cut = key[i];

		if (i && (m->is_regex || !r->lengths[i]))
			continue;
		key[i] = '\0';
		best = covers(r, key, m, best);
		key[i] = cut;
	}
	return best;
}

const struct cfg_route *sl_reach_add(struct sl_walk *w, struct sl_reach *r,
				     const struct cfg_route *route)
{
	const struct cfg_match *m = &route->match;
	struct same_path *me = sl_arena_alloc(w->arena, sizeof(*me));
	size_t len = m->text ? m->text->len : 0;
	char *key = sl_arena_alloc(w->arena, len + sizeof("regex "));
	struct chain *own = sl_arena_alloc(w->arena, sizeof(*own)), *c;
	const struct cfg_route *best;

	if (!me || !key || !own) {
		w->err = -ENOMEM;
		return NULL;
	}
	/* Longer ones are refused. */
	if (!m->text || len >= SL_KERNEL_HEAD_MAX)
		return NULL;
	memcpy(key, m->is_regex ? "regex " : "", m->is_regex ? 6 : 0);
	memcpy(key + strlen(key), m->text->text, len);
	len = strlen(key);
	for (size_t i = 0; i < len && !m->is_regex; i++)
		key[i] = tolower((unsigned char)key[i]);
	best = find(r, key, m, len);
	r->lengths[len < sizeof(r->lengths) ? len : 0] = 1;
	c = (struct chain *)sl_names_add(r->paths, key, own);
	if (!c) {
		w->err = -ENOMEM;
		return NULL;
	}
	*me = (struct same_path){route, c->last};
	c->last = me;
	return best;
}
