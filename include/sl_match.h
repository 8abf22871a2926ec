/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which route takes a request: virtual host by its domains, then the first route in file
 * order that matches. Every index of the table is clamped, whoever wrote it.
 */
#ifndef SL_MATCH_H
#define SL_MATCH_H

#include "sl_bytes.h"
#include "sl_head.h"
#include "sl_table.h"

#define SL_NO_ROUTE 0xffffffffU
#define SL_MATCH_ROUTES 4 /* routes looked at in one step */
#define SL_MATCH_FIELDS 4 /* header lines looked at in one step */

/* Bytes at..end of the head's buffer and those at pool_at of the pool. */
struct sl_compare {
	const __u8 *pool;
	const __u8 *buf;
	__u32 pool_at;
	__u32 at;
	__u32 end;
	__u32 same; /* 1: the end was reached */
};

/* Eight words. */
SL_FN long sl_compare_words(struct sl_compare *c, __u32 step, bool fold)
{
	__u32 at = c->at + step * 64, end = c->end, pool_at = c->pool_at + step * 64, i;

	SL_UNROLL
	for (i = 0; i < 8; i++) {
		__u64 w;

		if (at >= end) {
			c->same = 1;
			return 1;
		}
		w = sl_load(c->buf, at);
		if (fold)
			w = sl_lower(w);
		if ((w ^ sl_load_pool(c->pool, pool_at)) & sl_first(end - at))
			return 1;
		at += 8;
		pool_at += 8;
	}
	return 0;
}

static long sl_compare_step(__u32 i, void *data)
{
	return sl_compare_words(data, i, false);
}

static long sl_compare_fold_step(__u32 i, void *data)
{
	return sl_compare_words(data, i, true);
}

/* Are bytes @at..@end of the head and as many of the pool from @pool_at the same? */
SL_SLOW bool sl_same(const struct sl_table *t, __u32 pool_at, const __u8 *buf, __u32 at, __u32 end)
{
	struct sl_compare c = {
		.pool = t->strings, .buf = buf, .pool_at = pool_at, .at = at, .end = end};

	sl_loop(SL_HEAD_MAX / 64 + 1, sl_compare_step, &c);
	return c.same;
}

/* The same, with the head's bytes folded to lower case. */
SL_SLOW bool sl_same_fold(const struct sl_table *t, __u32 pool_at, const __u8 *buf, __u32 at,
			  __u32 end)
{
	struct sl_compare c = {
		.pool = t->strings, .buf = buf, .pool_at = pool_at, .at = at, .end = end};

	sl_loop(SL_HEAD_MAX / 64 + 1, sl_compare_fold_step, &c);
	return c.same;
}

/* One request, and where the search stands. */
struct sl_match_scan {
	const struct sl_table *t;
	const struct sl_head *h;
	const __u8 *buf;
	__u64 word; /* first bytes of the target, then zeros */
	__u32 at;   /* index of the next route or domain */
	__u32 end;
	__u32 found; /* route or virtual host */
	__u32 rule;  /* index of the next header rule of the route */
	__u32 rule_end;
	__u32 zero;
};

#define SL_RULE_FAILED 0xffffffffU

/* One header rule and what was found for it so far. */
struct sl_rule_scan {
	const struct sl_match_scan *m;
	__u64 word; /* first bytes of the name */
	struct sl_str name;
	struct sl_str value;
	__u32 exact;
	__u32 field; /* next header line to look at */
	/*
	 * 0: not seen. Else where in `value` the next line's value has to begin, a comma
	 * before it: length + 1 when all of it has matched. SL_RULE_FAILED: seen, and it differs.
	 */
	__u32 next;
	__u32 zero;
};

SL_FN void sl_rule_value(struct sl_rule_scan *s, __u32 off, __u32 len)
{
	__u32 at = s->next;

	s->next = SL_RULE_FAILED;
	if (!s->exact || at > s->value.len || len > s->value.len - at)
		return;
	if (at && (sl_load_pool(s->m->t->strings, s->value.off + at - 1) & 0xff) != ',')
		return;
	if (sl_same(s->m->t, s->value.off + at, s->m->buf, off, off + len))
		s->next = at + len + 1;
}

/* Could this line's name be the rule's? By its length and first eight bytes. */
SL_FN bool sl_rule_likely(const struct sl_rule_scan *s, const struct sl_header *field)
{
	return field->name.len == s->name.len &&
	       ((sl_lower(sl_load(s->m->buf, field->name.off)) ^ s->word) &
		sl_first(s->name.len)) == 0;
}

static long sl_rule_step(SL_UNUSED __u32 i, void *data)
{
	struct sl_rule_scan *s = data;
	const struct sl_head *h = s->m->h;
	const struct sl_header *field = &h->headers[0];
	__u32 k = s->field, j;

	for (j = 0; j < SL_MATCH_FIELDS; j++) {
		if (k >= h->n_headers)
			return 1;
		field = &h->headers[k & (SL_MAX_HEADERS - 1)];
		k++;
		if (sl_rule_likely(s, field))
			break;
	}
	s->field = k;
	if (j == SL_MATCH_FIELDS)
		return 0;
	if (s->name.len > 8 &&
	    !sl_same_fold(s->m->t, s->name.off + 8, s->m->buf, field->name.off + 8,
			  field->name.off + field->name.len))
		return 0;
	sl_rule_value(s, field->value.off, field->value.len);
	return s->next == SL_RULE_FAILED;
}

enum sl_part { SL_PART_NONE, SL_PART_METHOD, SL_PART_TARGET, SL_PART_HOST };

/*
 * Names that Envoy takes from the request line. Host is :authority: the target's when
 * the target has one.
 */
SL_FN enum sl_part sl_rule_part(const struct sl_rule_scan *s)
{
	switch (s->name.len) {
	case 4:
		return s->word == SL_PACK('h', 'o', 's', 't', 0, 0, 0, 0) ? SL_PART_HOST
									  : SL_PART_NONE;
	case 5:
		return s->word == SL_PACK(':', 'p', 'a', 't', 'h', 0, 0, 0) ? SL_PART_TARGET
									    : SL_PART_NONE;
	case 7:
		return s->word == SL_PACK(':', 'm', 'e', 't', 'h', 'o', 'd', 0) ? SL_PART_METHOD
										: SL_PART_NONE;
	case 10:
		if (s->word == SL_PACK(':', 'a', 'u', 't', 'h', 'o', 'r', 'i') &&
		    (sl_load_pool(s->m->t->strings, s->name.off + 8) & 0xffff) == ('t' | 'y' << 8))
			return SL_PART_HOST;
		break;
	}
	return SL_PART_NONE;
}

SL_FN void sl_rule_part_value(struct sl_rule_scan *s, enum sl_part part)
{
	const struct sl_head *h = s->m->h;
	__u32 off = h->host.off, len = h->host.len;

	if (part == SL_PART_METHOD) {
		off = h->method_name.off;
		len = h->method_name.len;
	} else if (part == SL_PART_TARGET) {
		off = h->target.off;
		len = h->target.len;
	} else if (len == 0 && !(h->flags & SL_HEAD_HOST)) {
		return; /* HTTP/1.0 without Host */
	}
	sl_rule_value(s, off, len);
}

/* Does header rule @index match? */
SL_FN bool sl_rule_check(const struct sl_match_scan *m, __u32 index)
{
	const struct sl_table *t = m->t;
	const struct sl_header_rule *r = &t->header_rules[index & (SL_MAX_HEADER_RULES - 1)];
	struct sl_rule_scan s = {.m = m};
	enum sl_part part;
	bool yes;

	s.name = r->name;
	s.value = r->value;
	s.exact = r->kind == SL_HEADER_EXACT;
	s.word = sl_load_pool(t->strings, s.name.off) & sl_first(s.name.len);
	part = sl_rule_part(&s);
	if (part != SL_PART_NONE)
		sl_rule_part_value(&s, part);
	else
		sl_loop(SL_MAX_HEADERS + 1, sl_rule_step, &s);
	if (r->kind == SL_HEADER_EXACT && s.next == 0)
		return false; /* missing: inverted or not */
	yes = r->kind == SL_HEADER_EXACT ? s.next == s.value.len + 1 : s.next != 0;
	return yes != !!r->invert;
}

/* One HeaderMatcher; see struct sl_header_rule. */
SL_FN bool sl_rule_matches(const struct sl_table *t, const struct sl_head *h, const __u8 *buf,
			   __u32 index)
{
	struct sl_match_scan m = {.t = t, .h = h, .buf = buf};

	return sl_rule_check(&m, index);
}

static long sl_rules_step(SL_UNUSED __u32 i, void *data)
{
	struct sl_match_scan *s = data;

	if (s->rule >= s->rule_end || !sl_rule_check(s, s->rule))
		return 1;
	s->rule++;
	return 0;
}

/* The rest of a route the first bytes of whose path match: its path and its headers. */
SL_FN bool sl_route_matches(struct sl_match_scan *s, const struct sl_route *r)
{
	__u32 len = r->path.len, target = s->h->target.off;

	if (len > 8 && !sl_same(s->t, r->path.off + 8, s->buf, target + 8, target + len))
		return false;
	if (r->n_headers == 0)
		return true;
	s->rule = r->first_header;
	s->rule_end = s->rule + r->n_headers;
	sl_loop(SL_MAX_HEADER_RULES, sl_rules_step, s);
	return s->rule >= s->rule_end;
}

/* Could the route's path match? By its length and first eight bytes. */
SL_FN bool sl_route_likely(const struct sl_match_scan *s, const struct sl_route *r)
{
	__u32 len = r->path.len;

	if (r->path_kind == SL_PATH_PREFIX ? len > s->h->target.len : len != s->h->path.len)
		return false;
	return ((sl_load_pool(s->t->strings, r->path.off) ^ s->word) & sl_first(len)) == 0;
}

static long sl_routes_step(SL_UNUSED __u32 i, void *data)
{
	struct sl_match_scan *s = data;
	__u32 at = s->at, j;

	for (j = 0; j < SL_MATCH_ROUTES; j++) {
		if (at >= s->end)
			return 1;
		if (sl_route_likely(s, &s->t->routes[at & (SL_MAX_ROUTES - 1)]))
			break;
		at++;
	}
	s->at = at;
	if (j == SL_MATCH_ROUTES)
		return 0;
	if (sl_route_matches(s, &s->t->routes[at & (SL_MAX_ROUTES - 1)])) {
		s->found = at;
		return 1;
	}
	s->at = at + 1;
	return 0;
}

static long sl_domains_step(SL_UNUSED __u32 i, void *data)
{
	struct sl_match_scan *s = data;
	const struct sl_domain *d = &s->t->domains[s->at & (SL_MAX_DOMAINS - 1)];

	if (s->at >= s->end)
		return 1;
	if (d->kind == SL_DOMAIN_ANY || (d->name.len == s->h->host.len &&
					 sl_same_fold(s->t, d->name.off, s->buf, s->h->host.off,
						      s->h->host.off + d->name.len))) {
		s->found = d->vhost;
		return 1;
	}
	s->at++;
	return 0;
}

/*
 * The route of the request @h, whose bytes are in @buf (see sl_request_parse), in @t: its index,
 * below SL_MAX_ROUTES, or SL_NO_ROUTE.
 */
SL_FN __u32 sl_match(const struct sl_table *t, const struct sl_head *h, const __u8 *buf)
{
	struct sl_match_scan s = {.t = t, .h = h, .buf = buf};
	const struct sl_vhost *v;

	s.found = SL_NO_ROUTE;
	s.end = t->n_domains < SL_MAX_DOMAINS ? t->n_domains : SL_MAX_DOMAINS;
	sl_loop(SL_MAX_DOMAINS, sl_domains_step, &s);
	if (s.found >= SL_MAX_VHOSTS)
		return SL_NO_ROUTE;
	v = &t->vhosts[s.found & (SL_MAX_VHOSTS - 1)];
	s.found = SL_NO_ROUTE;
	s.at = v->first_route;
	s.end = s.at + v->n_routes;
	if (s.end > SL_MAX_ROUTES || s.end < s.at)
		s.end = SL_MAX_ROUTES;
	s.word = sl_load(buf, h->target.off) & sl_first(h->target.len);
	sl_loop(SL_MAX_ROUTES + 1, sl_routes_step, &s);
	return s.found;
}

#endif /* SL_MATCH_H */
