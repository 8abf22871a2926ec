// SPDX-License-Identifier: GPL-2.0-only
/*
 * Routes' own answers that are the same for every request: as user/daemon/reply.c gives them, to
 * the byte but for the white space before the date.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "config/compile.h"
#include "sl_canned.h"
#include "util/status.h"

struct canned_text {
	char s[SL_KERNEL_HEAD_MAX];
	__u32 len;
	bool full;
};

static void add(struct canned_text *t, const char *s, __u32 len)
{
	if (len > sizeof(t->s) - t->len) {
		t->full = true;
		return;
	}
	memcpy(t->s + t->len, s, len);
	t->len += len;
}

static void __attribute__((format(printf, 2, 3))) addf(struct canned_text *t, const char *fmt, ...)
{
	const __u32 room = sizeof(t->s) - t->len;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(t->s + t->len, room, fmt, ap);
	va_end(ap);
	if (n < 0 || (__u32)n >= room)
		t->full = true;
	else
		t->len += n;
}

/* Neither by the route's headers nor by the connection manager's is one answer unlike another. */
static bool is_constant(const struct sl_route_action *a, const struct sl_forwarded *f)
{
	for (int i = 0; i < 3; i++) {
		const struct sl_mutation *m = a->changes[i] ? &a->changes[i]->response : NULL;

		if (m && (m->n_adds || m->n_removes))
			return false;
	}
	return !a->cluster_header && !a->body && !a->content_type && !a->tell_tries && !f->via &&
	       !f->request_id_in_response;
}

/*
 * The Location of redirect @r (user/daemon/redirect.c), if nothing in it is the request's but
 * perhaps the query, which *ret_query tells. False: it depends on the request.
 */
static bool add_location(struct canned_text *t, const struct sl_redirect *r, bool *ret_query)
{
	/* The request's scheme can be what a proxy before us says. */
	if (!r->scheme || !r->host || !r->path)
		return false;
	*ret_query = !r->strip_query && !strchr(r->path, '?');
	addf(t, "location: %s://%s", r->scheme, r->host);
	if (r->port)
		addf(t, ":%u", r->port);
	addf(t, "%s%s\r\n", r->path[0] == '/' ? "" : "/", r->path);
	return true;
}

/* RFC 9110 section 6.4.1 */
static bool has_no_body(__u32 status)
{
	return status < 200 || status == 204 || status == 304;
}

/* The answer of a route into @t and @out. False: there is no single one, or it is too long. */
static bool make(struct canned_text *t, const struct sl_direct *d, const struct sl_route_action *a,
		 const struct sl_forwarded *f, struct sl_canned *out)
{
	__u32 len = d->body && !has_no_body(d->status) ? d->body_len : 0;
	bool query = false;

	addf(t, "HTTP/1.1 %u %s\r\ndate:", d->status, sl_status_phrase(d->status));
	out->head = t->len;
	if (a->redirect && !add_location(t, a->redirect, &query))
		return false;
	if (!has_no_body(d->status))
		addf(t, "content-length: %u\r\n", len);
	if (len)
		addf(t, "content-type: text/plain\r\n");
	addf(t, "server: %s\r\n\r\n", f->server);
	add(t, d->body ? d->body : "", len);
	out->text.len = t->len;
	out->status = d->status;
	out->flags = query ? SL_CANNED_NO_QUERY : 0;
	return !t->full && sl_canned_size(out) <= SL_KERNEL_HEAD_MAX;
}

static void compile_one(struct compile *c, __u32 index, const struct sl_forwarded *f)
{
	const struct sl_route_action *a = &c->out->actions->routes[index];
	struct sl_table *t = c->out->table;
	struct sl_route *route = &t->routes[index];
	struct sl_canned out = {0};
	struct canned_text text;

	text.len = 0;
	text.full = false;
	if (route->action != SL_ACTION_DIRECT || t->n_canned == SL_MAX_CANNED ||
	    !is_constant(a, f) || !make(&text, &c->out->directs[index], a, f, &out) ||
	    text.len > SL_STRING_POOL - c->n_strings)
		return;
	out.text.off = c->n_strings;
	memcpy(t->strings + c->n_strings, text.s, text.len);
	c->n_strings += text.len;
	route->flags |= SL_ROUTE_CANNED;
	route->canned = t->n_canned;
	t->canned[t->n_canned++] = out;
}

void sl_compile_canned(struct compile *c)
{
	__u32 index = 0;

	for (__u32 i = 0; i < c->root->n_configs; i++) {
		const struct cfg_list *vhosts = &c->root->configs[i]->vhosts;

		for (__u32 j = 0; j < vhosts->n; j++) {
			__u32 n = cfg_items(*vhosts, struct cfg_vhost)[j].routes.n;

			for (; n; n--)
				compile_one(c, index++, &c->out->actions->configs[i].forwarded);
		}
	}
}
