/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Is there nothing in a request's path and host that its listener would change before it looks for
 * the route (user/util/normal.h)? Then the kernel can route it; a "no" may be too cautious.
 */
#ifndef SL_PLAIN_H
#define SL_PLAIN_H

#include "sl_bytes.h"
#include "sl_head.h"
#include "sl_table.h"

struct sl_plain_scan {
	const __u8 *buf;
	__u32 end;
	__u32 at;
	__u32 odd; /* 1: something is not plain */
};

/* Bytes of a path that are escaped, unescaped, turned round, or that begin parameters. */
SL_FN __u64 sl_path_odd(__u64 w)
{
	return sl_eq(w, '%') | sl_eq(w, '\\') | sl_eq(w, '"') | sl_eq(w, '<') | sl_eq(w, '>') |
	       sl_eq(w, '^') | sl_eq(w, '`') | sl_eq(w, ';') | sl_between(w, '{', '}') |
	       (w & SL_HIGH);
}

static long sl_plain_path_step(SL_UNUSED __u32 i, void *data)
{
	struct sl_plain_scan *s = data;
	__u32 k;

	for (k = 0; k < 4; k++) {
		__u32 at = s->at;
		__u64 w, next, odd;

		if (at >= s->end)
			return 1;
		w = sl_load(s->buf, at);
		next = sl_load(s->buf, at + 1);
		/* "//", "/./" and "/../"; behind the path stands a space or '?' */
		odd = sl_eq(w, '/') & (sl_eq(next, '/') | sl_eq(next, '.'));
		if ((odd | sl_path_odd(w)) & sl_first(s->end - at)) {
			s->odd = 1;
			return 1;
		}
		s->at = at + 8;
	}
	return 0;
}

static long sl_plain_host_step(SL_UNUSED __u32 i, void *data)
{
	struct sl_plain_scan *s = data;
	__u32 k;

	for (k = 0; k < 4; k++) {
		__u32 at = s->at;

		if (at >= s->end)
			return 1;
		if (sl_eq(sl_load(s->buf, at), ':') & sl_first(s->end - at)) {
			s->odd = 1;
			return 1;
		}
		s->at = at + 8;
	}
	return 0;
}

/* The request @h, parsed from @buf; @flags: of its route configuration. */
SL_FN bool sl_is_plain(const struct sl_table *t, const struct sl_head *h, const __u8 *buf,
		       __u32 flags)
{
	struct sl_plain_scan s = {.buf = buf};

	s.odd = t->zero | (flags & SL_CONFIG_USER);
	if (!s.odd && (flags & SL_CONFIG_PLAIN_PATH)) {
		s.at = h->path.off + t->zero;
		s.end = h->path.off + h->path.len;
		sl_loop(SL_HEAD_MAX / 32 + 1, sl_plain_path_step, &s);
	}
	if (!s.odd && (flags & SL_CONFIG_PLAIN_HOST)) {
		s.at = h->host.off + t->zero;
		s.end = h->host.off + h->host.len;
		s.odd = h->host.len && sl_byte(buf, s.end - 1) == '.';
		if (!s.odd)
			sl_loop(SL_HEAD_MAX / 32 + 1, sl_plain_host_step, &s);
	}
	return !s.odd;
}

#endif /* SL_PLAIN_H */
