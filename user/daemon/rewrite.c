/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Heads as they are sent on: the same lines in the same order, without those that are for one
 * hop alone (RFC 9110 section 7.6.1), and with what this hop has to say instead.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <strings.h>
#include "mutate.h"

bool span_is(const __u8 *buf, struct sl_span s, const char *lower)
{
	size_t len = strlen(lower);

	return s.len == len && !strncasecmp((const char *)buf + s.off, lower, len);
}

static bool is_one_hop(const __u8 *buf, struct sl_span name)
{
	switch (name.len) {
	case 2:
		return span_is(buf, name, "te");
	case 7:
		return span_is(buf, name, "upgrade");
	case 10:
		return span_is(buf, name, "connection") || span_is(buf, name, "keep-alive");
	case 16:
		return span_is(buf, name, "proxy-connection");
	case 17:
		return span_is(buf, name, "transfer-encoding");
	}
	return false;
}

bool list_holds(const __u8 *buf, struct sl_span list, const void *token, __u32 len)
{
	__u32 at = list.off, end = list.off + list.len;

	while (at < end) {
		__u32 from, to;

		while (at < end && (buf[at] == ' ' || buf[at] == '\t' || buf[at] == ','))
			at++;
		from = at;
		while (at < end && buf[at] != ',')
			at++;
		to = at;
		while (to > from && (buf[to - 1] == ' ' || buf[to - 1] == '\t'))
			to--;
		if (to - from == len && !strncasecmp((const char *)buf + from, token, len))
			return true;
	}
	return false;
}

/*
 * Whether a Connection header names @name. Framing and Host are never for one hop, whatever it
 * says: dropping them is how requests are smuggled.
 */
static bool is_nominated(const struct sl_head *h, const __u8 *buf, struct sl_span name)
{
	if (!(h->flags & SL_HEAD_CONNECTION) || span_is(buf, name, "content-length") ||
	    span_is(buf, name, "host"))
		return false;
	for (__u32 i = 0; i < h->n_headers; i++)
		if (span_is(buf, h->headers[i].name, "connection") &&
		    list_holds(buf, h->headers[i].value, buf + name.off, name.len))
			return true;
	return false;
}

static struct text span_text(const __u8 *buf, struct sl_span s)
{
	return (struct text){(const char *)buf + s.off, s.len};
}

/* RFC 9110 section 10.1.1: ignored in HTTP/1.0, which the request is no more behind us. */
static bool is_ignored(const struct sl_head *h, const __u8 *buf, struct sl_span name)
{
	return (h->flags & SL_HEAD_HTTP10) && span_is(buf, name, "expect");
}

/* All lines but those of one hop; @skip_host: nor Host. */
static void add_headers(struct lines *l, const struct sl_head *h, const __u8 *buf, bool skip_host)
{
	for (__u32 i = 0; i < h->n_headers; i++) {
		const struct sl_header *hd = &h->headers[i];

		if (is_one_hop(buf, hd->name) || is_nominated(h, buf, hd->name) ||
		    is_ignored(h, buf, hd->name) || (skip_host && span_is(buf, hd->name, "host")))
			continue;
		lines_add(l, span_text(buf, hd->name), span_text(buf, hd->value));
	}
}

void put_host(const struct worker *w, __u32 endpoint, struct lines *l)
{
	const struct sl_endpoint *e = &w->maps->endpoints[endpoint];
	char ip[INET6_ADDRSTRLEN] = "", host[INET6_ADDRSTRLEN + 16];
	const char *name = hostname_of(w, endpoint);

	if (e->family == AF_UNIX) {
		lines_puts(l, name ? name : "localhost");
		return;
	}
	inet_ntop(e->family, e->addr, ip, sizeof(ip));
	snprintf(host, sizeof(host), e->family == AF_INET6 ? "[%s]:%u" : "%s:%u", ip, e->port);
	lines_puts(l, host);
}

/*
 * Host by RFC 9112 section 3.2.2: of an absolute-form target before the header's. An HTTP/1.0
 * request may have none; HTTP/1.1 needs one: the endpoint's, if there is one. Returns that.
 */
static struct text add_host(const struct worker *w, const struct exchange *x, struct lines *l,
			    const struct sl_head *h, const __u8 *buf)
{
	__u32 from = l->made_len;
	struct text made = {0};

	if (h->flags & SL_HEAD_ABSOLUTE) {
		lines_add_first(l, text_of("host"), span_text(buf, h->host));
		return made;
	}
	if ((h->flags & SL_HEAD_HOST) || x->cluster == NO_INDEX || x->endpoint >= SL_MAX_ENDPOINTS)
		return made;
	put_host(w, x->endpoint, l);
	made = lines_made(l, from);
	lines_add_first(l, text_of("host"), made);
	return made;
}

/* Whether Host still is what add_host() made, and not what the route wants in its place. */
static bool host_is(struct lines *l, struct text made)
{
	const struct line *host = lines_find(l, "host", 0);

	return made.len && host && host->value.s == made.s;
}

void lines_of_head(struct lines *l, const struct sl_head *h, const __u8 *buf)
{
	l->method = span_text(buf, h->method_name);
	l->target = span_text(buf, h->target);
	add_headers(l, h, buf, h->flags & SL_HEAD_ABSOLUTE);
}

static bool add_text(struct buffer *out, struct text t)
{
	return buffer_add(out, t.s, t.len);
}

static bool add_lines(struct buffer *out, const struct lines *l)
{
	for (__u32 i = 0; i < l->n; i++)
		if (!add_text(out, l->line[i].name) || !buffer_adds(out, ": ") ||
		    !add_text(out, l->line[i].value) || !buffer_adds(out, "\r\n"))
			return false;
	return !l->full;
}

/* Ends what began at @from: a head that does not fit is not there in part, either. Returns @ok. */
static bool whole_or_none(struct buffer *out, __u32 from, bool ok)
{
	if (!ok)
		out->framed = out->end = from;
	return ok;
}

static bool add_request(struct buffer *out, const struct lines *l, bool chunked)
{
	bool ok;

	out->pos = out->framed = out->end = 0;
	ok = add_text(out, l->method) && buffer_adds(out, " ") && add_text(out, l->target) &&
	     buffer_adds(out, " HTTP/1.1\r\n") && add_lines(out, l);
	if (ok && chunked)
		ok = buffer_adds(out, "transfer-encoding: chunked\r\n");
	return whole_or_none(out, 0, ok && buffer_adds(out, "\r\n"));
}

/* The request as it came, and what the connection manager adds. Returns a Host that was made. */
static struct text collect(struct worker *w, struct front *f, const struct sl_head *h,
			   const __u8 *buf)
{
	struct text made;

	lines_reset(&w->request);
	lines_of_head(&w->request, h, buf);
	if (h->flags & SL_HEAD_MAX_FORWARDS)
		hops_count(&w->request);
	made = add_host(w, &f->x, &w->request, h, buf);
	forwarded_request(w, f, &w->request);
	return made;
}

/*
 * RFC 9112 section 3.2.4: OPTIONS of an absolute-form target without path and query is about the
 * server as a whole. It is routed as "/", which the parser finds before the authority.
 */
static bool is_of_server(const struct sl_head *h)
{
	return h->method == SL_METHOD_OPTIONS && (h->flags & SL_HEAD_ABSOLUTE) &&
	       h->target.off < h->host.off;
}

__u32 rewrite_request(struct worker *w, struct front *f, const struct sl_head *h, const __u8 *buf)
{
	const struct sl_config_action *config = config_action_of(w, f);
	const struct sl_route_action *action = action_of(w, f);
	struct text made = collect(w, f, h, buf);
	__u32 status = 0;

	if (action) {
		mutate_request(w, f, &w->request);
		status = rewrite_target(w, f, action, !config || !config->suppress_envoy_headers,
					&w->request);
	}
	if (status)
		return status;
	f->x.named = f->x.endpoint;
	f->x.host_made = host_is(&w->request, made);
	if (is_of_server(h) && w->request.target.len == 1 && w->request.target.s[0] == '/')
		w->request.target = text_of("*");
	return add_request(&f->req, &w->request, h->flags & SL_HEAD_CHUNKED) ? 0 : 431;
}

void rewrite_kept(struct worker *w, struct front *f, const struct sl_head *h, const __u8 *buf)
{
	(void)collect(w, f, h, buf);
	(void)add_request(&f->req, &w->request, false);
}

/* Status code and reason phrase as they came, the version ours. */
static bool add_status_line(struct buffer *out, const __u8 *buf)
{
	__u32 end = 8; /* behind "HTTP/1.x" */

	while (buf[end] != '\r')
		end++;
	return buffer_adds(out, "HTTP/1.1") && buffer_add(out, buf + 8, end - 8) &&
	       buffer_adds(out, "\r\n");
}

bool rewrite_interim(struct worker *w, struct buffer *out, const struct sl_head *h, const __u8 *buf)
{
	const __u32 from = out->end;

	lines_reset(&w->response);
	add_headers(&w->response, h, buf, false);
	return whole_or_none(out, from,
			     add_status_line(out, buf) && add_lines(out, &w->response) &&
				     buffer_adds(out, "\r\n"));
}

/* Those that the request was to be given, see sticky.c. */
static bool add_cookies(struct front *f)
{
	return !f->cookies.data || buffer_add(&f->out, f->cookies.data, f->cookies.end);
}

bool rewrite_switch(struct worker *w, struct front *f, const struct sl_head *h, const __u8 *buf)
{
	const __u32 from = f->out.end;

	lines_reset(&w->response);
	add_headers(&w->response, h, buf, false);
	mutate_response(w, f, &w->response);
	forwarded_response(w, f, &w->response, false);
	return whole_or_none(&f->out, from,
			     add_status_line(&f->out, buf) && add_lines(&f->out, &w->response) &&
				     add_cookies(f) && buffer_adds(&f->out, "\r\n") &&
				     upgrade_add(&f->out, h, buf));
}

/* How the session goes on behind the answer. */
static bool add_connection(struct buffer *out, const struct exchange *x)
{
	if (x->close)
		return buffer_adds(out, "connection: close\r\n\r\n");
	if (x->client10)
		return buffer_adds(out, "connection: keep-alive\r\n\r\n");
	return buffer_adds(out, "\r\n");
}

bool rewrite_response(struct worker *w, struct front *f, const struct sl_head *h, const __u8 *buf)
{
	const struct exchange *x = &f->x;
	const __u32 from = f->out.end;
	bool ok;

	lines_reset(&w->response);
	add_headers(&w->response, h, buf, false);
	mutate_response(w, f, &w->response);
	forwarded_response(w, f, &w->response, false);
	ok = add_status_line(&f->out, buf) && add_lines(&f->out, &w->response) && add_cookies(f);
	if (ok && (h->flags & SL_HEAD_CHUNKED) && !x->client10)
		ok = buffer_adds(&f->out, "transfer-encoding: chunked\r\n");
	ok = ok && add_connection(&f->out, x);
	if (ok && upgrade_required(h, buf) && !x->client10)
		ok = upgrade_add(&f->out, h, buf);
	return whole_or_none(&f->out, from, ok);
}

bool rewrite_reply(struct worker *w, struct front *f, __u32 status, const char *phrase)
{
	const __u32 from = f->out.end;
	char line[64];

	mutate_response(w, f, &w->response);
	forwarded_response(w, f, &w->response, true);
	snprintf(line, sizeof(line), "HTTP/1.1 %u %s\r\n", status, phrase);
	return whole_or_none(&f->out, from,
			     buffer_adds(&f->out, line) && add_lines(&f->out, &w->response) &&
				     add_connection(&f->out, &f->x));
}
