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
	__u32 query; /* offset of the first '?', 0: none yet */
	__u32 stop;  /* offset of the first byte that cannot be in a target, 0: none yet */
	__u32 zero;
};

/* Eight bytes of the target. Returns 1 when it ends in them. */
SL_FN long sl_target_word(struct sl_target_scan *s, __u32 at)
{
	__u64 w = sl_load(s->buf, at), query = sl_eq(w, '?');
	__u64 stop = (~sl_between(w, '!', '~') | sl_eq(w, '#')) & SL_HIGH;

	/* One behind the stop is no harm: what follows a target that is taken holds none. */
	if (query && !s->query)
		s->query = at + sl_index(query);
	if (stop)
		s->stop = at + sl_index(stop);
	return stop != 0;
}

static long sl_target_step(__u32 i, void *data)
{
	struct sl_target_scan *s = data;
	__u32 at = s->at + i * 64, j;

	SL_UNROLL
	for (j = 0; j < 8; j++) {
		if (sl_target_word(s, at))
			return 1;
		at += 8;
	}
	return 0;
}

/* Finds the end of the target that begins at @s->at: s->stop, and s->query. */
SL_FN void sl_target_end(struct sl_target_scan *s)
{
	__u32 i;

	SL_UNROLL
	for (i = 0; i < 3; i++) {
		if (sl_target_word(s, s->at + i * 8))
			return;
	}
	s->at += 24;
	sl_loop(SL_HEAD_MAX / 64 + 1, sl_target_step, s);
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
	__u32 path, host;

	if (((w ^ SL_PACK('h', 't', 't', 'p', ':', '/', '/', 0)) & sl_first(7)) == 0)
		at += 7;
	else if (w == SL_PACK('h', 't', 't', 'p', 's', ':', '/', '/'))
		at += 8;
	else
		return 400;
	c.at = at;
	sl_loop(SL_HEAD_MAX + 1, sl_authority_step, &c);
	path = c.stop;
	host = sl_host_check(sl_buf(buf), at, path);
	if (path == at || !host || host == at) /* RFC 9110 4.2.1: not an empty one */
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
		port = sl_host_check(sl_buf(buf), at, at + len);
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
		n = sl_token_end(sl_buf(buf), 0, end);
	if (n == 0 || sl_byte(buf, n) != ' ')
		return 400;
	s.at = n + 1;
	sl_target_end(&s);
	if (s.stop == n + 1 || s.stop + 9 != end || sl_byte(buf, s.stop) != ' ')
		return 400;
	error = sl_version(h, sl_load(buf, s.stop + 1));
	if (error)
		return error;
	h->method_name.len = n;
	if (n < 8)
		h->method = sl_method_of(w & sl_first(n));
	h->target.off = n + 1;
	h->target.len = s.stop - (n + 1);
	h->path.off = n + 1;
	h->path.len = (s.query ? s.query : s.stop) - (n + 1);
	if (sl_byte(buf, n + 1) != '/')
		return sl_other_form(h, buf);
	return h->method == SL_METHOD_CONNECT ? 400 : 0;
}

/* Are the first @n bytes of @w (8 at most) those of an HTTP-version? */
SL_FN bool sl_begins_version(__u64 w, __u32 n)
{
	const __u64 digits = SL_PACK(0, 0, 0, 0, 0, 0x80, 0, 0x80);
	const __u64 fixed = SL_PACK(0xff, 0xff, 0xff, 0xff, 0xff, 0, 0xff, 0);

	return (((w ^ SL_PACK('H', 'T', 'T', 'P', '/', 0, '.', 0)) & fixed & sl_first(n)) |
		(~sl_between(w, '0', '9') & digits & sl_first(n))) == 0;
}

/* HTTP-version SP 3DIGIT [ SP [ reason-phrase ] ]. 0, or the status to answer. */
SL_FN __u32 sl_status_line(struct sl_head *h, const __u8 *buf, __u32 end)
{
	__u64 w = sl_load(buf, 8);
	__u32 error;

	/* Some servers leave out the space before an empty reason: no danger in it. */
	if (end < 12 || (end > 12 && sl_byte(buf, 12) != ' ') || (w & 0xff) != ' ' ||
	    (~sl_between(w, '0', '9') & SL_PACK(0, 0x80, 0x80, 0x80, 0, 0, 0, 0)))
		return 400;
	error = sl_version(h, sl_load(buf, 0));
	if (error)
		return error;
	h->status = ((w >> 8) & 15) * 100 + ((w >> 16) & 15) * 10 + ((w >> 24) & 15);
	return h->status < 100 || h->status > 599 ? 400 : 0;
}

/* Can @buf[0..@len), which does not hold the line's CR LF yet, begin a request line? */
SL_FN bool sl_begins_request(const __u8 *buf, __u32 len)
{
	struct sl_target_scan s = {.buf = buf};
	__u32 n = sl_token_end(sl_buf(buf), 0, len), left;

	if (n >= len)
		return true;
	if (n == 0 || sl_byte(buf, n) != ' ')
		return false;
	s.at = n + 1;
	sl_target_end(&s);
	if (s.stop >= len || !s.stop)
		return true;
	if (s.stop == n + 1 || sl_byte(buf, s.stop) != ' ')
		return false;
	left = len - (s.stop + 1);
	return sl_begins_version(sl_load(buf, s.stop + 1), left) &&
	       (left <= 8 || sl_byte(buf, s.stop + 9) == '\r');
}

/* The same for a status line. */
SL_FN bool sl_begins_status(const __u8 *buf, __u32 len)
{
	__u64 w = sl_load(buf, 8);
	__u32 left = len > 8 ? len - 8 : 0;

	return sl_begins_version(sl_load(buf, 0), len) &&
	       ((w ^ ' ') & 0xff & sl_first(left)) == 0 &&
	       (~sl_between(w, '0', '9') & SL_PACK(0, 0x80, 0x80, 0x80, 0, 0, 0, 0) &
		sl_first(left)) == 0 &&
	       (len <= 12 || sl_byte(buf, 12) == ' ' || sl_byte(buf, 12) == '\r');
}

#endif /* SL_START_H */
