/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Heads as they are sent on: the same lines in the same order, without those that are for one
 * hop alone (RFC 9110 section 7.6.1), and with what this hop has to say instead.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <strings.h>
#include "internal.h"

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

static bool add_span(struct buffer *out, const __u8 *buf, struct sl_span s)
{
	return buffer_add(out, buf + s.off, s.len);
}

static bool add_header(struct buffer *out, const __u8 *buf, const struct sl_header *hd)
{
	return add_span(out, buf, hd->name) && buffer_adds(out, ": ") &&
	       add_span(out, buf, hd->value) && buffer_adds(out, "\r\n");
}

/* All lines but those of one hop; @skip_host: nor Host. */
static bool add_headers(struct buffer *out, const struct sl_head *h, const __u8 *buf,
			bool skip_host)
{
	for (__u32 i = 0; i < h->n_headers; i++) {
		const struct sl_header *hd = &h->headers[i];

		if (is_one_hop(buf, hd->name) || is_nominated(h, buf, hd->name) ||
		    (skip_host && span_is(buf, hd->name, "host")))
			continue;
		if (!add_header(out, buf, hd))
			return false;
	}
	return true;
}

/*
 * Host by RFC 9112 section 3.2.2: of an absolute-form target before the header's. An HTTP/1.0
 * request may have none; HTTP/1.1 needs one: the endpoint's address.
 */
static bool add_host(struct buffer *out, const struct sl_head *h, const __u8 *buf,
		     const struct sl_endpoint *e)
{
	char text[INET6_ADDRSTRLEN] = "", line[INET6_ADDRSTRLEN + 32];

	if (h->flags & SL_HEAD_ABSOLUTE)
		return buffer_adds(out, "host: ") && add_span(out, buf, h->host) &&
		       buffer_adds(out, "\r\n");
	if (h->flags & SL_HEAD_HOST)
		return true;
	inet_ntop(e->family, e->addr, text, sizeof(text));
	snprintf(line, sizeof(line),
		 e->family == AF_INET6 ? "host: [%s]:%u\r\n" : "host: %s:%u\r\n", text, e->port);
	return buffer_adds(out, line);
}

bool rewrite_request(struct buffer *out, const struct sl_head *h, const __u8 *buf,
		     const struct sl_endpoint *e)
{
	bool absolute = h->flags & SL_HEAD_ABSOLUTE;
	bool ok;

	out->pos = out->framed = out->end = 0;
	ok = add_span(out, buf, h->method_name) && buffer_adds(out, " ") &&
	     add_span(out, buf, h->target) && buffer_adds(out, " HTTP/1.1\r\n") &&
	     add_host(out, h, buf, e) && add_headers(out, h, buf, absolute);
	if (ok && (h->flags & SL_HEAD_CHUNKED))
		ok = buffer_adds(out, "transfer-encoding: chunked\r\n");
	return ok && buffer_adds(out, "\r\n");
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

bool rewrite_interim(struct buffer *out, const struct sl_head *h, const __u8 *buf)
{
	return add_status_line(out, buf) && add_headers(out, h, buf, false) &&
	       buffer_adds(out, "\r\n");
}

bool rewrite_response(struct buffer *out, const struct sl_head *h, const __u8 *buf,
		      const struct front *f)
{
	const struct exchange *x = &f->x;
	bool ok = add_status_line(out, buf) && add_headers(out, h, buf, false);

	if (ok && f->cookies.data)
		ok = buffer_add(out, f->cookies.data, f->cookies.end);

	if (ok && (h->flags & SL_HEAD_CHUNKED) && !x->client10)
		ok = buffer_adds(out, "transfer-encoding: chunked\r\n");
	if (ok && x->close)
		ok = buffer_adds(out, "connection: close\r\n");
	else if (ok && x->client10)
		ok = buffer_adds(out, "connection: keep-alive\r\n");
	return ok && buffer_adds(out, "\r\n");
}
