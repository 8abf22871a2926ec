/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The Upgrade of a request and of the 101 or 426 that answers it (RFC 9110 section 7.8): of one
 * hop, so rewrite.c leaves them out, and we say them again when they are meant for the far end.
 */
#include "internal.h"

static bool names(const struct sl_head *h, const __u8 *buf, const char *header, const char *token)
{
	for (__u32 i = 0; i < h->n_headers; i++)
		if (span_is(buf, h->headers[i].name, header) &&
		    list_holds(buf, h->headers[i].value, token, strlen(token)))
			return true;
	return false;
}

/*
 * Any protocol but HTTP/2: its requests inside the tunnel would pass by the routes. Envoy ignores
 * h2c, too, and a server that offers it answers in HTTP/1.1 as well. HTTP/1.0 has no Upgrade.
 */
bool upgrade_asked(const struct sl_head *h, const __u8 *buf)
{
	return (h->flags & SL_HEAD_UPGRADE) && !(h->flags & SL_HEAD_HTTP10) &&
	       names(h, buf, "connection", "upgrade") && !names(h, buf, "upgrade", "h2c");
}

bool upgrade_required(const struct sl_head *h, const __u8 *buf)
{
	return h->status == 426 && names(h, buf, "connection", "upgrade");
}

bool upgrade_add(struct buffer *out, const struct sl_head *h, const __u8 *buf)
{
	out->end -= 2; /* the empty line comes last */
	if (!buffer_adds(out, "connection: upgrade\r\n"))
		return false;
	for (__u32 i = 0; i < h->n_headers; i++) {
		struct sl_span n = h->headers[i].name, v = h->headers[i].value;

		if (span_is(buf, n, "upgrade") &&
		    !(buffer_add(out, buf + n.off, n.len) && buffer_adds(out, ": ") &&
		      buffer_add(out, buf + v.off, v.len) && buffer_adds(out, "\r\n")))
			return false;
	}
	return buffer_adds(out, "\r\n");
}
