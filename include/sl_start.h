/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Request lines and status lines, RFC 9112 sections 3 and 4. The line is @buf[0..@end), without a
 * control byte but HTAB; CR LF follows it.
 */
#ifndef SL_START_H
#define SL_START_H

#include "sl_bytes.h"
#include "sl_head.h"
#include "sl_field.h"

/* Sets HTTP10 by the version in @w, eight bytes. 0, or the status to answer. */
SL_FN __u32 sl_version(struct sl_head *h, __u64 w)
{
	const __u64 http = SL_PACK('H', 'T', 'T', 'P', '/', 0, '.', 0);
	__u64 digits;

	if (w == (http | SL_PACK(0, 0, 0, 0, 0, '1', 0, '1')))
		return 0;
	if (w == (http | SL_PACK(0, 0, 0, 0, 0, '1', 0, '0'))) {
		h->flags |= SL_HEAD_HTTP10;
		return 0;
	}
	digits = sl_between(w, '0', '9') & SL_PACK(0, 0, 0, 0, 0, 0x80, 0, 0x80);
	if ((w & ~SL_PACK(0, 0, 0, 0, 0, 0xff, 0, 0xff)) == http &&
	    digits == SL_PACK(0, 0, 0, 0, 0, 0x80, 0, 0x80))
		return 505;
	return 400;
}

SL_FN __u8 sl_method_of(__u64 w)
{
	if (w == SL_PACK('G', 'E', 'T', 0, 0, 0, 0, 0))
		return SL_METHOD_GET;
	if (w == SL_PACK('H', 'E', 'A', 'D', 0, 0, 0, 0))
		return SL_METHOD_HEAD;
	if (w == SL_PACK('P', 'O', 'S', 'T', 0, 0, 0, 0))
		return SL_METHOD_POST;
	if (w == SL_PACK('P', 'U', 'T', 0, 0, 0, 0, 0))
		return SL_METHOD_PUT;
	if (w == SL_PACK('D', 'E', 'L', 'E', 'T', 'E', 0, 0))
		return SL_METHOD_DELETE;
	if (w == SL_PACK('O', 'P', 'T', 'I', 'O', 'N', 'S', 0))
		return SL_METHOD_OPTIONS;
	if (w == SL_PACK('P', 'A', 'T', 'C', 'H', 0, 0, 0))
		return SL_METHOD_PATCH;
	if (w == SL_PACK('C', 'O', 'N', 'N', 'E', 'C', 'T', 0))
		return SL_METHOD_CONNECT;
	if (w == SL_PACK('T', 'R', 'A', 'C', 'E', 0, 0, 0))
		return SL_METHOD_TRACE;
	return SL_METHOD_OTHER;
}

struct sl_target_scan {
	const __u8 *buf;
	__u32 at;
	__u32 end;
	__u32 query; /* offset of the first '?', 0: none yet */
	__u32 bad;
};

/* Eight words of the target. */
static long sl_target_step(__u32 i, void *data)
{
	struct sl_target_scan *s = data;
	__u32 at = s->at + i * 64, end = s->end, j;

	SL_UNROLL
	for (j = 0; j < 8; j++) {
		__u64 w, in, query;

		if (at >= end)
			return 1;
		w = sl_load(s->buf, at);
		in = sl_first(end - at) & SL_HIGH;
		/* Controls are out already, all but HTAB. */
		if ((~sl_between(w, '!', '~') | sl_eq(w, '#')) & in) {
			s->bad = 1;
			return 1;
		}
		query = sl_eq(w, '?') & in;
		if (query && !s->query)
			s->query = at + sl_index(query);
		at += 8;
	}
	return 0;
}

static long sl_authority_step(__u32 i, void *data)
{
	struct sl_cursor *c = data;
	__u32 at = c->at + i;
	__u8 b;

	c->stop = at;
	if (at >= c->end)
		return 1;
	b = sl_byte(c->buf, at);
	return b == '/' || b == '?';
}

/* RFC 9112 3.2.2: "http://authority/path?query". h->target and h->path are set. */
SL_SLOW __u32 sl_absolute_form(struct sl_head *h, const __u8 *buf)
{
	__u32 at = h->target.off, end = at + h->target.len, query = h->path.off + h->path.len;
	__u64 w = sl_lower(sl_load(buf, at));
	struct sl_cursor c = {.buf = buf, .end = end};
	__u32 path;

	if (((w ^ SL_PACK('h', 't', 't', 'p', ':', '/', '/', 0)) & sl_first(7)) == 0)
		at += 7;
	else if (w == SL_PACK('h', 't', 't', 'p', 's', ':', '/', '/'))
		at += 8;
	else
		return 400;
	c.at = at;
	sl_loop(SL_HEAD_MAX + 1, sl_authority_step, &c);
	path = c.stop;
	if (path == at || !sl_host_check(buf, at, path))
		return 400;
	h->flags |= SL_HEAD_ABSOLUTE;
	h->host.off = at;
	h->host.len = path - at;
	if (path == end) { /* empty path: "/", and there is one just before the authority */
		path = at - 1;
		end = at;
		query = at;
	} else if (sl_byte(buf, path) == '?') {
		return 400; /* no span of the buffer is its origin-form */
	}
	h->target.off = path;
	h->target.len = end - path;
	h->path.off = path;
	h->path.len = query - path;
	return 0;
}

/* Targets that do not begin with '/'. h->target and h->path are set. 0, or the status to answer. */
SL_SLOW __u32 sl_other_form(struct sl_head *h, const __u8 *buf)
{
	__u32 at = h->target.off, len = h->target.len, port;

	if (h->method == SL_METHOD_CONNECT) { /* RFC 9112 3.2.3: host ":" port */
		port = sl_host_check(buf, at, at + len);
		if (port <= at || port + 1 >= at + len)
			return 400;
		h->flags |= SL_HEAD_AUTHORITY;
		h->host.off = at;
		h->host.len = len;
		return 0;
	}
	if (len == 1 && sl_byte(buf, at) == '*') {
		if (h->method != SL_METHOD_OPTIONS)
			return 400;
		h->flags |= SL_HEAD_ASTERISK;
		return 0;
	}
	return sl_absolute_form(h, buf);
}

/* method SP request-target SP HTTP-version. 0, or the status to answer. */
SL_FN __u32 sl_request_line(struct sl_head *h, const __u8 *buf, __u32 end)
{
	__u64 w = sl_load(buf, 0), odd = ~sl_plain_token(w) & SL_HIGH;
	struct sl_target_scan s = {.buf = buf};
	__u32 n = odd ? sl_index(odd) : 8, error;

	if (sl_byte(buf, n) != ' ')
		n = sl_token_end(buf, 0, end);
	if (n == 0 || n + 11 > end || sl_byte(buf, n) != ' ' || sl_byte(buf, end - 9) != ' ')
		return 400;
	error = sl_version(h, sl_load(buf, end - 8));
	if (error)
		return error;
	h->method_name.len = n;
	if (n < 8)
		h->method = sl_method_of(w & sl_first(n));

	s.at = n + 1;
	s.end = end - 9;
	sl_loop(SL_HEAD_MAX / 64 + 1, sl_target_step, &s);
	if (s.bad)
		return 400;
	h->target.off = n + 1;
	h->target.len = end - 9 - (n + 1);
	h->path.off = n + 1;
	h->path.len = (s.query ? s.query : end - 9) - (n + 1);
	if (sl_byte(buf, n + 1) != '/')
		return sl_other_form(h, buf);
	return h->method == SL_METHOD_CONNECT ? 400 : 0;
}

/* HTTP-version SP 3DIGIT [ SP [ reason-phrase ] ]. 0, or the status to answer. */
SL_FN __u32 sl_status_line(struct sl_head *h, const __u8 *buf, __u32 end)
{
	__u64 w = sl_load(buf, 8);
	__u32 error;

	/* Some servers leave out the space before an empty reason: no danger in it. */
	if (end < 12 || (end > 12 && sl_byte(buf, 12) != ' '))
		return 400;
	error = sl_version(h, sl_load(buf, 0));
	if (error)
		return error;
	if ((w & 0xff) != ' ' ||
	    (~sl_between(w, '0', '9') & SL_PACK(0, 0x80, 0x80, 0x80, 0, 0, 0, 0)))
		return 400;
	h->status = ((w >> 8) & 15) * 100 + ((w >> 16) & 15) * 10 + ((w >> 24) & 15);
	return h->status < 100 || h->status > 599 ? 400 : 0;
}

#endif /* SL_START_H */
