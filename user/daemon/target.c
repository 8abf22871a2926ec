// SPDX-License-Identifier: GPL-2.0-only
/*
 * Path and Host of a request as its route rewrites them (RouteEntryImplBase::finalizeHostHeader,
 * currentUrlPathAfterRewriteWithMatchedPath).
 */
#include <string.h>
#include "mutate.h"
#include "util/regex.h"

static __u32 path_len(struct text target)
{
	const char *query = memchr(target.s, '?', target.len);

	return query ? (__u32)(query - target.s) : target.len;
}

/* Replaces all matches of @regex in @subject, into memory of @l. False: no room, or no time. */
static bool replace(struct lines *l, struct sl_regex *regex, struct text subject,
		    const char *substitution)
{
	long n = sl_regex_replace(regex, subject.s, subject.len, substitution,
				  l->made + l->made_len, l->made_cap - l->made_len);

	if (n < 0)
		return false;
	l->made_len += n;
	return true;
}

/* What a request line can hold: a substitution can bring in bytes that it cannot. */
static bool is_target(struct text t)
{
	if (!t.len || t.s[0] != '/')
		return false;
	for (__u32 i = 0; i < t.len; i++)
		if ((__u8)t.s[i] <= ' ' || t.s[i] == 0x7f || t.s[i] == '#')
			return false;
	return true;
}

bool rewrite_path(const struct sl_rewrite *r, struct text target, struct lines *l, struct text *ret)
{
	__u32 path = path_len(target), from = l->made_len;
	__u32 taken = r->prefix && r->matched && r->matched < target.len ? r->matched : path;

	if (r->prefix)
		lines_puts(l, r->prefix);
	else if (!replace(l, r->regex, (struct text){target.s, path}, r->substitution))
		return false;
	lines_put(l, (struct text){target.s + taken, target.len - taken});
	*ret = lines_made(l, from);
	return !l->full;
}

/*
 * The new Host; what it was goes to X-Forwarded-Host, once, if that is wanted, and to Envoy's own
 * header (Utility::updateAuthority).
 */
static void set_host(struct lines *l, struct text host, bool forwarded, bool keep_old)
{
	const struct line *old = lines_find(l, "host", 0);
	const struct line *last = NULL, *next;

	while ((next = lines_find(l, "x-forwarded-host", last ? last - l->line + 1 : 0)))
		last = next;
	if (forwarded && old && old->value.len) {
		struct text value = old->value;
		const char *comma = last ? memrchr(last->value.s, ',', last->value.len) : NULL;
		struct text tail = last ? last->value : (struct text){"", 0};

		if (comma)
			tail = (struct text){comma + 1, tail.s + tail.len - comma - 1};
		while (tail.len && *tail.s == ' ')
			tail.s++, tail.len--;
		if (tail.len != value.len || memcmp(tail.s, value.s, value.len))
			lines_append(l, "x-forwarded-host", value, ",");
	}
	if (keep_old && old && old->value.len && !lines_find(l, "x-envoy-original-host", 0))
		lines_add(l, text_of("x-envoy-original-host"), old->value);
	lines_set(l, "host", host);
}

static bool is_host(struct text t)
{
	for (__u32 i = 0; i < t.len; i++)
		if ((__u8)t.s[i] <= ' ' || t.s[i] == 0x7f || strchr("/?#@,", t.s[i]))
			return false;
	return t.len > 0;
}

const char *hostname_of(const struct worker *w, __u32 endpoint)
{
	const struct sl_compiled *c = w->args->compiled;
	__u32 member =
		c->hosts && endpoint < SL_MAX_ENDPOINTS ? c->hosts[endpoint].member : c->n_members;

	return member < c->n_members ? c->members[member].hostname : NULL;
}

static void rewrite_host(struct values *v, const struct sl_rewrite *r, struct lines *l,
			 bool keep_old)
{
	const struct line *line;
	struct text host = {0};
	__u32 from = l->made_len;

	if (r->host) {
		host = text_of(r->host);
	} else if (r->host_format) {
		host = value_of(v, r->host_format);
	} else if (r->auto_host && hostname_of(v->w, v->f->x.endpoint)) {
		host = text_of(hostname_of(v->w, v->f->x.endpoint));
	} else if (r->host_header && (line = lines_find(l, r->host_header, 0))) {
		host = line->value;
	} else if (r->host_regex) {
		if (replace(l, r->host_regex, (struct text){l->target.s, path_len(l->target)},
			    r->host_substitution))
			host = lines_made(l, from);
	}
	if (is_host(host))
		set_host(l, host, r->forwarded_host, keep_old);
}

/* path_rewrite: the path that the format makes, and the query as it was. False: it makes none. */
static bool format_path(struct values *v, const struct sl_rewrite *r, struct text target,
			struct text *ret)
{
	__u32 path = path_len(target), from = v->out->made_len;

	if (!value_of(v, r->path_format).len)
		return false;
	lines_put(v->out, (struct text){target.s + path, target.len - path});
	*ret = lines_made(v->out, from);
	return true;
}

__u32 rewrite_target(struct worker *w, struct front *f, const struct sl_route_action *action,
		     bool keep_old, struct lines *l)
{
	struct values v = {.w = w, .f = f, .out = l, .request = l};
	const struct sl_rewrite *r = action->rewrite;
	struct text target;

	/* Of the split's cluster before the route's, which has the last word. */
	for (__u32 i = 0; i < action->n_targets; i++)
		if (action->targets[i].cluster == f->x.picked && action->targets[i].host)
			set_host(l, text_of(action->targets[i].host), false, keep_old);
	if (!r)
		return 0;
	rewrite_host(&v, r, l, keep_old);
	/* OPTIONS * has no path. */
	if ((!r->prefix && !r->regex && !r->path_format) || l->target.s[0] != '/')
		return 0;
	if (r->path_format && !format_path(&v, r, l->target, &target))
		return 0;
	if (!r->path_format && !rewrite_path(r, l->target, l, &target))
		return 500;
	if (!is_target(target))
		return 500;
	if (keep_old)
		lines_set(l, "x-envoy-original-path", l->target);
	l->target = target;
	return 0;
}
