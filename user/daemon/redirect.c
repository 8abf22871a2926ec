// SPDX-License-Identifier: GPL-2.0-only
/* Where a redirect leads to (Envoy's Http::Utility::newUri). */
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include "mutate.h"

/*
 * The request's host without its port, if the redirect gives one, or if it is the old scheme's own
 * and the scheme changes.
 */
static struct text host_of(struct lines *l, struct text scheme, bool other_port)
{
	struct text old = forwarded_scheme(l);
	const struct line *line = lines_find(l, "host", 0);
	struct text host = line ? line->value : (struct text){"", 0};
	const char *colon = host.len ? memrchr(host.s, ':', host.len) : NULL;
	struct text port;

	if (!colon || (host.s[0] == '[' && colon[-1] != ']'))
		return host;
	port = (struct text){colon, host.s + host.len - colon};
	if (other_port ||
	    (!text_is(scheme, old.s) && text_is(port, text_is(old, "https") ? ":443" : ":80")))
		host.len = colon - host.s;
	return host;
}

static struct text without_query(struct text path)
{
	const char *query = memchr(path.s, '?', path.len);

	if (query)
		path.len = query - path.s;
	return path;
}

static void put_path(const struct sl_redirect *r, struct lines *l, struct text path)
{
	/* A query of its own stands instead of the request's, and stays. */
	if (r->path && strchr(r->path, '?')) {
		lines_puts(l, r->path[0] == '/' ? "" : "/");
		lines_puts(l, r->path);
		return;
	}
	if (r->path) {
		struct text old = without_query(path);

		lines_puts(l, r->path[0] == '/' ? "" : "/");
		lines_puts(l, r->path);
		path = (struct text){old.s + old.len, path.len - old.len};
	} else if (!path.len || path.s[0] != '/') {
		lines_puts(l, "/");
	}
	lines_put(l, r->strip_query ? without_query(path) : path);
}

struct text redirect_location(const struct sl_redirect *r, struct lines *l)
{
	struct text scheme = r->scheme ? text_of(r->scheme) : forwarded_scheme(l);
	struct text path = l->target;
	char port[16];
	__u32 from;

	if ((r->rewrite.prefix || r->rewrite.regex) &&
	    !rewrite_path(&r->rewrite, l->target, l, &path))
		path = l->target;
	from = l->made_len;
	lines_put(l, scheme);
	lines_puts(l, "://");
	if (r->host)
		lines_puts(l, r->host);
	else
		lines_put(l, host_of(l, scheme, r->port));
	if (r->port) {
		snprintf(port, sizeof(port), ":%u", r->port);
		lines_puts(l, port);
	}
	put_path(r, l, path);
	return lines_made(l, from);
}
