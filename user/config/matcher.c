// SPDX-License-Identifier: GPL-2.0-only
#include "config/matcher.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "config/internal_address.h"
#include "util/normal.h"
#include "util/regex.h"

struct sl_matcher {
	const struct sl_table *t;
	struct sl_regex **regexes; /* [n_rules]; NULL: the rule has none */
	__u32 n_rules;
	char *joined;	       /* [SL_HEAD_MAX]: the values of a repeated header */
	struct sl_head host;   /* of a request: its host is what vhost_header says */
	struct sl_head seen;   /* ... without path parameters */
	__u8 *seen_buf;	       /* [SL_HEAD_MAX], of seen; NULL: no configuration needs it */
	struct sl_span target; /* len 0, or of the request as it was sent, in */
	const __u8 *sent;
	bool asks_internal;
	bool internal; /* the client of the request is */
};

/* Bytes of the head, of the pool or of m->joined. s NULL: what is asked for is missing. */
struct text {
	const char *s;
	size_t len;
};

static struct text in_pool(const struct sl_table *t, struct sl_str s)
{
	return (struct text){(const char *)t->strings + s.off, s.len};
}

static struct text in_head(const __u8 *buf, struct sl_span s)
{
	return (struct text){(const char *)buf + s.off, s.len};
}

static bool same(struct text a, struct text b)
{
	return a.len == b.len && !memcmp(a.s, b.s, a.len);
}

static bool is(struct text a, const char *word)
{
	return same(a, (struct text){word, strlen(word)});
}

static struct text part(struct text t, size_t from, size_t to)
{
	return (struct text){t.s + from, to - from};
}

/* Index of @c, or the length. */
static size_t find(struct text t, char c)
{
	const char *p = t.len ? memchr(t.s, c, t.len) : NULL;

	return p ? (size_t)(p - t.s) : t.len;
}

/* ---- where the value is ---- */

/* All lines of the header, joined by commas. */
static struct text header_lines(struct sl_matcher *m, const struct sl_head *h, const __u8 *buf,
				struct text name)
{
	struct text found = {0};
	size_t len = 0;

	for (__u32 i = 0; i < h->n_headers && i < SL_MAX_HEADERS; i++) {
		struct text field = in_head(buf, h->headers[i].name);
		struct text value = in_head(buf, h->headers[i].value);

		if (field.len != name.len || strncasecmp(field.s, name.s, name.len))
			continue;
		/* All of them are in the head: there is room, with the commas in place of names. */
		if (found.s)
			m->joined[len++] = ',';
		memcpy(m->joined + len, value.s, value.len);
		len += value.len;
		found = (struct text){m->joined, len};
	}
	return found;
}

static struct text header_value(struct sl_matcher *m, const struct sl_head *h, const __u8 *buf,
				struct text name)
{
	if (is(name, ":path"))
		return m->target.len ? in_head(m->sent, m->target) : in_head(buf, h->target);
	if (is(name, ":method"))
		return in_head(buf, h->method_name);
	if (is(name, ":authority") || is(name, "host"))
		return h->host.len || (h->flags & SL_HEAD_HOST) ? in_head(buf, h->host)
								: (struct text){0};
	if (is(name, SL_INTERNAL_HEADER))
		return m->internal ? (struct text){"true", 4} : (struct text){0};
	return header_lines(m, h, buf, name);
}

/* The first parameter of the name (Envoy: QueryParamsMulti::parseQueryString, undecoded). */
static struct text query_value(const struct sl_head *h, const __u8 *buf, struct text name)
{
	struct text all = in_head(buf, h->target);
	size_t at = find(all, '?') + 1;

	while (at < all.len) {
		struct text rest = part(all, at, all.len), one = part(rest, 0, find(rest, '&'));
		size_t equals = find(one, '=');

		if (same(part(one, 0, equals), name))
			return equals < one.len ? part(one, equals + 1, one.len)
						: part(one, one.len, one.len);
		at += one.len + 1;
	}
	return (struct text){0};
}

/* The first cookie of the name in one header (Envoy: forEachCookie). */
static struct text cookie_in(struct text all, struct text name)
{
	for (size_t at = 0; at < all.len;) {
		struct text rest = part(all, at, all.len), one = part(rest, 0, find(rest, ';'));
		size_t equals = find(one, '='), begin = 0;

		at += one.len + 1;
		while (begin < equals && one.s[begin] == ' ')
			begin++;
		if (equals == one.len || !same(part(one, begin, equals), name))
			continue;
		one = part(one, equals + 1, one.len);
		if (one.len >= 2 && one.s[0] == '"' && one.s[one.len - 1] == '"')
			one = part(one, 1, one.len - 1);
		return one;
	}
	return (struct text){0};
}

static struct text cookie_value(const struct sl_head *h, const __u8 *buf, struct text name)
{
	struct text found = {0};

	for (__u32 i = 0; i < h->n_headers && i < SL_MAX_HEADERS && !found.s; i++) {
		struct text field = in_head(buf, h->headers[i].name);

		if (field.len == 6 && !strncasecmp(field.s, "cookie", 6))
			found = cookie_in(in_head(buf, h->headers[i].value), name);
	}
	return found;
}

static struct text sent_path(const struct sl_matcher *m)
{
	struct text target = in_head(m->sent, m->target);

	return part(target, 0, find(target, '?'));
}

static struct text value_of(struct sl_matcher *m, const struct sl_head *h, const __u8 *buf,
			    const struct sl_rule *r)
{
	struct text name = in_pool(m->t, r->name);

	switch (r->what) {
	case SL_RULE_HEADER:
		return header_value(m, h, buf, name);
	case SL_RULE_QUERY:
		return query_value(h, buf, name);
	case SL_RULE_COOKIE:
		return cookie_value(h, buf, name);
	default:
		/* A template takes the path as it was sent (UriTemplateMatcherRouteEntryImpl). */
		return name.len && m->target.len ? sent_path(m) : in_head(buf, h->path);
	}
}

/* ---- what it is compared with ---- */

/* absl::SimpleAtoi: white space around the digits is nothing, all else is no number. */
static bool in_range(struct text v, const struct sl_rule *r)
{
	unsigned long long value = 0, most = 1ULL << 63;
	bool minus;
	size_t at = 0;

	while (v.len && strchr(" \t", v.s[0]))
		v = part(v, 1, v.len);
	while (v.len && strchr(" \t", v.s[v.len - 1]))
		v.len--;
	minus = v.len && v.s[0] == '-';
	at = v.len && (v.s[0] == '-' || v.s[0] == '+');
	if (at == v.len)
		return false;
	for (; at < v.len; at++) {
		unsigned int digit = (unsigned char)v.s[at] - '0';

		if (digit > 9 || value > (most - digit) / 10)
			return false;
		value = value * 10 + digit;
	}
	if (!minus && value == most)
		return false;
	return (minus ? (__s64)-value : (__s64)value) >= r->range.start &&
	       (minus ? (__s64)-value : (__s64)value) < r->range.end;
}

static bool equal(struct text a, struct text b, bool no_case)
{
	return a.len == b.len &&
	       !(no_case ? strncasecmp(a.s, b.s, a.len) : memcmp(a.s, b.s, a.len));
}

static bool text_matches(const struct sl_matcher *m, struct text v, const struct sl_rule *r,
			 __u32 rule)
{
	struct text want = r->kind == SL_RULE_RANGE ? (struct text){0} : in_pool(m->t, r->value);
	bool no_case = r->flags & SL_RULE_NO_CASE;

	if (r->kind == SL_RULE_PRESENT)
		return true;
	if (r->kind == SL_RULE_RANGE)
		return in_range(v, r);
	if (r->kind == SL_RULE_REGEX)
		return m->regexes[rule] && sl_regex_matches(m->regexes[rule], v.s, v.len);
	if (r->kind == SL_RULE_EXACT)
		return equal(v, want, no_case);
	for (size_t at = 0; at + want.len <= v.len; at++) {
		bool here = equal(part(v, at, at + want.len), want, no_case);

		if (here && (r->kind != SL_RULE_SUFFIX || at + want.len == v.len))
			return true;
		if (r->kind == SL_RULE_PREFIX)
			break;
	}
	return false;
}

/* Envoy's HeaderUtility::matchHeaders, QueryParameterMatcher and CookieMatcher. */
static bool ask(void *ctx, const struct sl_request_view *v, __u32 rule)
{
	struct sl_matcher *m = ctx;
	const struct sl_rule *r = &m->t->rules[rule];
	struct text value = value_of(m, v->h, v->buf, r);
	bool invert = r->flags & SL_RULE_INVERT;

	if (!value.s && (r->flags & SL_RULE_NO_MISSING))
		value = (struct text){"", 0};
	if (!value.s && r->kind == SL_RULE_PRESENT)
		return invert;
	if (!value.s)
		return r->what == SL_RULE_COOKIE && invert;
	return text_matches(m, value, r, rule) != invert;
}

/* ---- the matcher ---- */

static struct sl_request_view view_of(struct sl_matcher *m, const struct sl_head *h,
				      const __u8 *buf, __u64 draw)
{
	return (struct sl_request_view){
		.t = m->t, .h = h, .buf = buf, .draw = draw, .ask = ask, .ctx = m};
}

bool sl_matcher_asks_internal(const struct sl_matcher *m)
{
	return m->asks_internal;
}

void sl_matcher_internal(struct sl_matcher *m, bool internal)
{
	m->internal = internal;
}

static const struct sl_route_config *config_of(const struct sl_table *t, __u32 listener)
{
	return &t->configs[t->config_of[listener & (SL_MAX_LISTENERS - 1)] &
			   (SL_MAX_LISTENERS - 1)];
}

/* The first value of the header @name; off 0: there is none. */
static struct sl_span first_value(const struct sl_head *h, const __u8 *buf, struct text name)
{
	for (__u32 i = 0; i < h->n_headers && i < SL_MAX_HEADERS; i++) {
		struct text field = in_head(buf, h->headers[i].name);

		if (field.len == name.len && !strncasecmp(field.s, name.s, name.len))
			return h->headers[i].value;
	}
	return (struct sl_span){0};
}

/* RouteMatcher::findVirtualHost() */
__u32 sl_matcher_domain(struct sl_matcher *m, __u32 listener, const struct sl_head *h,
			const __u8 *buf)
{
	__u32 index = m->t->config_of[listener & (SL_MAX_LISTENERS - 1)];
	const struct sl_route_config *c = config_of(m->t, listener);
	struct sl_request_view v = view_of(m, h, buf, 0);
	struct text name = in_pool(m->t, c->vhost_header);

	if (!name.len || is(name, "host"))
		return sl_domain_find(&v, index);
	m->host = *h;
	m->host.host = first_value(h, buf, name);
	/* Without the header there is no virtual host, unless there is but one for all. */
	if (!m->host.host.off && (c->n_exact | c->n_suffixes | c->n_prefixes))
		return SL_NO_DOMAIN;
	v.h = &m->host;
	return sl_domain_find(&v, index);
}

/* RouteEntryImplBase::sanitizePathBeforePathMatching() */
void sl_matcher_see(struct sl_matcher *m, __u32 listener, const struct sl_head **h,
		    const __u8 **buf)
{
	const struct sl_head *sent = *h;
	struct text path = in_head(*buf, sent->path);
	__u32 len = sent->len;

	m->target = (struct sl_span){0};
	if (!(config_of(m->t, listener)->flags & SL_CONFIG_NO_PARAMS) || !m->seen_buf ||
	    find(path, ';') == path.len)
		return;
	m->seen = *sent;
	memcpy(m->seen_buf, *buf, len);
	if (sl_normal_no_params(&m->seen, m->seen_buf, &len, SL_HEAD_MAX))
		return;
	m->target = sent->target;
	m->sent = *buf;
	*h = &m->seen;
	*buf = m->seen_buf;
}

__u32 sl_matcher_find(struct sl_matcher *m, __u32 listener, const struct sl_head *h,
		      const __u8 *buf, __u64 draw)
{
	__u32 domain = sl_matcher_domain(m, listener, h, buf);
	struct sl_search q = {.draw = draw};
	struct sl_match_scan s = {.s = &q};
	__u32 route;

	sl_matcher_see(m, listener, &h, &buf);
	s.v = view_of(m, h, buf, draw);
	route = sl_match_domain(&s, domain);
	m->target = (struct sl_span){0};
	return route;
}

bool sl_matcher_rule(struct sl_matcher *m, const struct sl_head *h, const __u8 *buf, __u64 draw,
		     __u32 rule)
{
	struct sl_request_view v = view_of(m, h, buf, draw);

	return sl_rule_check(&v, rule, draw) == SL_YES;
}

bool sl_matcher_present(struct sl_matcher *m, const struct sl_head *h, const __u8 *buf, __u32 rule)
{
	return value_of(m, h, buf, &m->t->rules[rule]).s != NULL;
}

static int compile_regexes(struct sl_matcher *m)
{
	char why[SL_REGEX_WHY];

	for (__u32 i = 0; i < m->n_rules; i++) {
		const struct sl_rule *r = &m->t->rules[i];
		char *pattern;
		int err;

		m->asks_internal |=
			r->what == SL_RULE_HEADER && is(in_pool(m->t, r->name), SL_INTERNAL_HEADER);
		if (r->kind != SL_RULE_REGEX)
			continue;
		pattern = strndup((const char *)m->t->strings + r->value.off, r->value.len);
		if (!pattern)
			return -ENOMEM;
		err = sl_regex_new(pattern, true, &m->regexes[i], why);
		free(pattern);
		if (err)
			return err;
	}
	return 0;
}

static bool needs_copy(const struct sl_table *t)
{
	for (__u32 i = 0; i < t->n_configs && i < SL_MAX_LISTENERS; i++)
		if (t->configs[i].flags & SL_CONFIG_NO_PARAMS)
			return true;
	return false;
}

int sl_matcher_new(const struct sl_table *t, struct sl_matcher **ret)
{
	struct sl_matcher *m = calloc(1, sizeof(*m));
	int err = -ENOMEM;

	if (!m)
		return -ENOMEM;
	m->t = t;
	m->n_rules = t->n_rules < SL_MAX_RULES ? t->n_rules : SL_MAX_RULES;
	m->regexes = calloc(m->n_rules + 1, sizeof(*m->regexes));
	m->joined = malloc(SL_HEAD_MAX);
	if (m->regexes && m->joined)
		err = compile_regexes(m);
	if (!err && needs_copy(t)) {
		m->seen_buf = calloc(1, SL_HEAD_MAX);
		err = m->seen_buf ? 0 : -ENOMEM;
	}
	if (err) {
		sl_matcher_free(m);
		return err;
	}
	*ret = m;
	return 0;
}

void sl_matcher_free(struct sl_matcher *m)
{
	if (!m)
		return;
	for (__u32 i = 0; m->regexes && i < m->n_rules; i++)
		sl_regex_free(m->regexes[i]);
	free(m->regexes);
	free(m->joined);
	free(m->seen_buf);
	free(m);
}
