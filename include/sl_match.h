/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which route takes a request: virtual host by its domains, then the first route in file
 * order that matches. A virtual host of a few routes is searched as a list; a larger one
 * has its paths in the index (sl_index.h), which gives at most six ascending lists of the routes
 * that the path can match: they are merged and looked at in order. Every index of the table is
 * clamped, whoever wrote it.
 */
#ifndef SL_MATCH_H
#define SL_MATCH_H

#include "sl_rule.h"
#include "sl_search.h"

#define SL_NO_ROUTE 0xffffffffU
/* What the kernel cannot tell: a regex decides, or too many routes come into question. */
#define SL_ROUTE_UNSURE 0xfffffffeU

#define SL_MATCH_ROUTES 4  /* routes looked at in one step */
#define SL_MATCH_STEPS 512 /* in the kernel: of four routes, of a route, or of a rule */

_Static_assert((SL_MAX_RULES & (SL_MAX_RULES - 1)) == 0, "clamped by a mask");
_Static_assert((SL_MAX_DOMAINS & (SL_MAX_DOMAINS - 1)) == 0, "clamped by a mask");

struct sl_match_scan {
	struct sl_request_view v;
	struct sl_search *s;
};

/* ---- paths ---- */

/* Could the route's path match? By its length and first eight bytes. */
SL_FN bool sl_path_likely(const struct sl_match_scan *s, const struct sl_route *r)
{
	__u32 len = r->path.len, have = s->v.h->path.len;
	__u64 word = s->s->word;

	if (r->path_kind == SL_PATH_EXACT ? len != have : len > have)
		return false;
	if (r->flags & SL_ROUTE_FOLDED)
		word = sl_lower(word);
	return ((sl_load_pool(s->v.t->strings, r->path.off) ^ word) & sl_first(len)) == 0;
}

/* The rest of a path that is likely. */
SL_FN bool sl_path_same(const struct sl_match_scan *s, const struct sl_route *r)
{
	__u32 len = r->path.len, path = s->v.h->path.off;

	if (len <= 8)
		return true;
	return sl_same(&s->v, r->path.off + 8, path + 8, path + len, r->flags & SL_ROUTE_FOLDED);
}

/* path_separated_prefix: does the path end behind the prefix, or go on with a slash? */
SL_FN bool sl_path_ends(const struct sl_match_scan *s, const struct sl_route *r)
{
	const struct sl_head *h = s->v.h;
	__u32 len = r->path.len;

	return r->path_kind != SL_PATH_SEPARATED || len == h->path.len ||
	       sl_byte(s->v.buf, h->path.off + len) == '/';
}

/* ---- candidates ---- */

/* The next route that is likely, or NO_ROUTE: look on in the next step, if at < end. */
SL_FN __u32 sl_next_likely(struct sl_match_scan *s)
{
	struct sl_search *q = s->s;
	__u32 at = q->at, found = SL_NO_ROUTE, j;

	for (j = 0; j < SL_MATCH_ROUTES; j++) {
		if (at >= q->end)
			break;
		if (sl_path_likely(s, &s->v.t->routes[at & (SL_MAX_ROUTES - 1)])) {
			found = at++;
			break;
		}
		at++;
	}
	q->at = at;
	return found;
}

/* The lowest route that the lists still have, taken off them; or SL_LIST_END. */
SL_SLOW __u32 sl_next_listed(const struct sl_table *t, struct sl_search *q)
{
	__u32 heads[SL_MATCH_LISTS], lowest = SL_LIST_END, i;

	SL_UNROLL
	for (i = 0; i < SL_MATCH_LISTS; i++) {
		heads[i] = t->lists[q->next[i] & (SL_INDEX_LISTED - 1)];
		lowest = heads[i] < lowest ? heads[i] : lowest;
	}
	SL_UNROLL
	for (i = 0; i < SL_MATCH_LISTS; i++)
		q->next[i] += heads[i] == lowest;
	return lowest;
}

/* The next route whose path matches becomes q->route. False: not in this step. */
SL_FN bool sl_next_route(struct sl_match_scan *s)
{
	struct sl_search *q = s->s;
	const struct sl_route *r;
	__u32 index;

	if (q->listed) {
		index = sl_next_listed(s->v.t, q);
		q->done = index == SL_LIST_END;
		r = &s->v.t->routes[index & (SL_MAX_ROUTES - 1)];
		if (q->done)
			return false;
	} else {
		q->done = q->at >= q->end;
		if (q->done)
			return false;
		index = sl_next_likely(s);
		r = &s->v.t->routes[index & (SL_MAX_ROUTES - 1)];
		if (index == SL_NO_ROUTE || !sl_path_same(s, r))
			return false;
	}
	q->route = index & (SL_MAX_ROUTES - 1);
	q->rule = r->first_rule;
	q->rule_end = q->rule + r->n_rules;
	q->unsure = 0;
	return sl_path_ends(s, r);
}

/* One rule of q->route, or the next route. */
static long sl_match_step(SL_UNUSED __u32 i, void *data)
{
	struct sl_match_scan *s = data;
	struct sl_search *q = s->s;

	if (q->rule == q->rule_end) {
		if (!sl_next_route(s)) {
			q->rule = q->rule_end;
			return q->done != 0;
		}
	} else {
		enum sl_answer answer = sl_rule_check(&s->v, q->rule, q->draw);

		/* One that fails decides, also behind one that is unsure. */
		if (answer == SL_NO) {
			q->rule = q->rule_end;
			return 0;
		}
		q->unsure |= answer == SL_UNSURE;
		q->rule++;
	}
	if (q->rule != q->rule_end)
		return 0;
	q->found = q->unsure ? SL_ROUTE_UNSURE : q->route;
	q->done = 1;
	return 1;
}

/* The three lists of the index for the path, into next[] from @at. False: it cannot tell. */
SL_FN bool sl_lists_of(struct sl_match_scan *s, __u32 domain, __u32 fold, __u32 at)
{
	__u64 found = sl_paths_find(&s->v, domain, fold);
	__u32 prefix = found >> 32, exact = found;
	__u32 *next = s->s->next;
	const struct sl_path *p;

	if (prefix > SL_NO_PATH)
		return false;
	if (prefix != SL_NO_PATH) {
		p = &s->v.t->paths[prefix & (SL_MAX_ROUTES - 1)];
		next[at] = p->own;
		next[at + 1] = p->up;
	}
	if (exact < SL_NO_PATH) {
		p = &s->v.t->paths[exact & (SL_MAX_ROUTES - 1)];
		next[at + 2] = p->own;
	}
	return true;
}

/* ---- all of it ---- */

/* Sets the search up for the routes that @domain leads to. False: the kernel cannot tell. */
SL_FN bool sl_search_begin(struct sl_match_scan *s, __u32 domain)
{
	const struct sl_vhost *v = &sl_domain_at(s->v.t, domain)->routes;
	struct sl_search *q = s->s;
	__u32 i;

	q->done = 0;
	q->listed = 0;
	q->rule = 0;
	q->rule_end = 0;
	SL_UNROLL
	for (i = 0; i < SL_MATCH_LISTS; i++)
		q->next[i] = 0;
	q->found = SL_NO_ROUTE;
	q->at = v->first_route;
	q->end = q->at + v->n_routes;
	if (q->end > SL_MAX_ROUTES || q->end < q->at)
		q->end = SL_MAX_ROUTES;
	q->word = sl_load(s->v.buf, s->v.h->path.off) & sl_first(s->v.h->path.len);
	if (!(v->flags & SL_VHOST_INDEXED))
		return true;
	q->listed = 1;
	if (!sl_lists_of(s, domain, 0, 0))
		return false;
	return !(v->n_folded || (v->flags & SL_VHOST_EXACT_FOLDED)) || sl_lists_of(s, domain, 1, 3);
}

/*
 * The route of the request s->v among those of the virtual host of domain @domain, or of none: its
 * index, below SL_MAX_ROUTES, SL_NO_ROUTE, or SL_ROUTE_UNSURE, which it is not if s->v can ask.
 */
SL_FN __u32 sl_match_domain(struct sl_match_scan *s, __u32 domain)
{
	__u32 steps = SL_MATCH_STEPS;
	struct sl_search *q = s->s;

	if (domain >= SL_MAX_DOMAINS)
		return SL_NO_ROUTE;
	if (!sl_search_begin(s, domain)) {
#ifndef __bpf__
		if (s->v.ask)
			q->listed = 0; /* as a list: slow, and right */
		else
#endif
			return SL_ROUTE_UNSURE;
	}
#ifndef __bpf__
	if (s->v.ask)
		steps = SL_MAX_ROUTES * (SL_MAX_ROUTE_RULES + 2);
#endif
	sl_loop(steps, sl_match_step, s);
	return q->done ? q->found : SL_ROUTE_UNSURE;
}

/* The same by the request's host. It came to listener @listener. */
SL_FN __u32 sl_match(struct sl_match_scan *s, __u32 listener)
{
	__u32 config = s->v.t->config_of[listener & (SL_MAX_LISTENERS - 1)];

	return sl_match_domain(s, sl_domain_find(&s->v, config));
}

#ifndef __bpf__
/* The same for user space. */
static inline __u32 sl_match_view(const struct sl_request_view *v, __u32 listener)
{
	struct sl_search q = {.draw = v->draw};
	struct sl_match_scan s = {.v = *v, .s = &q};

	return sl_match(&s, listener);
}
#endif

#endif /* SL_MATCH_H */
