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
static bool replace(struct lines *l, const struct sl_regex *regex, struct text subject,
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
 * The new Host; what it was goes to X-Forwarded-Host, once, if that is wanted
 * (Utility::updateAuthority).
 */
static void set_host(struct lines *l, struct text host, bool forwarded)
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
	lines_set(l, "host", host);
}

static bool is_host(struct text t)
{
	for (__u32 i = 0; i < t.len; i++)
		if ((__u8)t.s[i] <= ' ' || t.s[i] == 0x7f || strchr("/?#@,", t.s[i]))
			return false;
	return t.len > 0;
}

static void rewrite_host(const struct sl_rewrite *r, struct lines *l)
{
	const struct line *line;
	struct text host = {0};
	__u32 from = l->made_len;

	if (r->host) {
		host = text_of(r->host);
	} else if (r->host_header && (line = lines_find(l, r->host_header, 0))) {
		host = line->value;
	} else if (r->host_regex) {
		if (replace(l, r->host_regex, (struct text){l->target.s, path_len(l->target)},
			    r->host_substitution))
			host = lines_made(l, from);
	}
	if (is_host(host))
		set_host(l, host, r->forwarded_host);
}

__u32 rewrite_target(const struct sl_route_action *action, __u32 cluster, bool original_path,
		     struct lines *l)
{
	const struct sl_rewrite *r = action->rewrite;
	struct text target;

	/* Of the split's cluster before the route's, which has the last word. */
	for (__u32 i = 0; i < action->n_targets; i++)
		if (action->targets[i].cluster == cluster && action->targets[i].host)
			set_host(l, text_of(action->targets[i].host), false);
	if (!r)
		return 0;
	rewrite_host(r, l);
	/* OPTIONS * has no path. */
	if ((!r->prefix && !r->regex) || l->target.s[0] != '/')
		return 0;
	if (!rewrite_path(r, l->target, l, &target) || !is_target(target))
		return 500;
	if (original_path)
		lines_set(l, "x-envoy-original-path", l->target);
	l->target = target;
	return 0;
}
