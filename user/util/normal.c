// SPDX-License-Identifier: GPL-2.0-only
#include "util/normal.h"

#include <ctype.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "sl_http.h"

struct out {
	char *s;
	size_t len;
	size_t cap;
	bool full;
};

static void put(struct out *o, char c)
{
	if (o->len == o->cap)
		o->full = true;
	else
		o->s[o->len++] = c;
}

static int hex(int c)
{
	return isdigit(c) ? c - '0' : isxdigit(c) ? (c | 0x20) - 'a' + 10 : -1;
}

/* The byte that "%XX" at @s stands for; -1: there is none. */
static int escaped(const char *s, const char *end)
{
	if (end - s < 3 || s[0] != '%' || hex((unsigned char)s[1]) < 0 ||
	    hex((unsigned char)s[2]) < 0)
		return -1;
	return hex((unsigned char)s[1]) << 4 | hex((unsigned char)s[2]);
}

/* ---- path_with_escaped_slashes_action ---- */

/* Copies @len bytes with "%2F" and "%5C" as what they stand for. Whether there was one. */
static bool unescape_slashes(struct out *o, const char *s, size_t len)
{
	const char *end = s + len;
	bool found = false;

	while (s < end) {
		int c = escaped(s, end);

		if (c == '/' || c == '\\') {
			found = true;
			put(o, c);
			s += 3;
		} else {
			put(o, *s++);
		}
	}
	return found;
}

/* ---- normalize_path: Chromium's url::CanonicalizePath(), as Envoy uses it ---- */

/* Unreserved but for the dot: as it is, whether it came escaped or not. */
static bool is_plain(int c)
{
	return isalnum(c) || (c && strchr("-_~", c));
}

static bool must_escape(int c)
{
	return c <= ' ' || c >= 0x7f || strchr("\"#<>?^`{|}", c);
}

static void put_escaped(struct out *o, unsigned char c)
{
	static const char digits[] = "0123456789ABCDEF";

	put(o, '%');
	put(o, digits[c >> 4]);
	put(o, digits[c & 15]);
}

/* Bytes of a dot at @s, escaped or not; 0: there is none. */
static int dot(const char *s, const char *end)
{
	if (s < end && *s == '.')
		return 1;
	return escaped(s, end) == '.' ? 3 : 0;
}

static bool is_slash(const char *s)
{
	return *s == '/' || *s == '\\';
}

/* Takes the last part of the path off, which ends with a slash. */
static void up(struct out *o)
{
	if (o->len <= 1)
		return;
	o->len--;
	while (o->len > 1 && o->s[o->len - 1] != '/')
		o->len--;
}

/* Bytes of the path parameters (";...") at @s. */
static size_t parameters(const char *s, const char *end)
{
	const char *p = s;

	if (s < end && *s == ';')
		while (p < end && !is_slash(p))
			p++;
	return p - s;
}

/*
 * A dot of @n bytes behind a slash: "./" and "../" are taken away, with their parameters, which
 * many servers do not look at (Envoy since 1.36.10). Bytes that are done with.
 */
static int dots(struct out *o, const char *s, const char *end, int n)
{
	const char *one = s + n + parameters(s + n, end);
	int second = dot(s + n, end);
	const char *two = s + n + second;

	if (one == end || is_slash(one))
		return one - s + (one < end);
	two += parameters(two, end);
	if (second && (two == end || is_slash(two))) {
		up(o);
		return two - s + (two < end);
	}
	put(o, '.');
	return n;
}

/*
 * "%%30" before a "0" must not become "%00": a percent sign that stands for itself is escaped when
 * what has been unescaped behind it would make it mean something (CheckForNestedEscapes()).
 */
static void check_nested(struct out *o, size_t percent, const char *next, const char *end)
{
	size_t n = o->len - percent - 1; /* bytes behind it */
	char text[3] = {'%', o->s[percent + 1], 0};

	text[2] = n == 2 ? o->s[percent + 2] : next < end ? *next : 0;
	if (escaped(text, text + sizeof(text)) < 0)
		return;
	o->len = percent + 1;
	put(o, '2');
	put(o, '5');
	put(o, text[1]);
	if (n == 2)
		put(o, text[2]);
}

/* "%XX" at @s. False: it cannot be in a path. */
static bool put_unescaped(struct out *o, const char *s, const char *end, size_t percent)
{
	int c = escaped(s, end);

	if (is_plain(c)) {
		put(o, c);
		if (percent + 1 < o->len && percent + 3 >= o->len)
			check_nested(o, percent, s + 3, end);
		return true;
	}
	for (int i = 0; i < 3; i++)
		put(o, s[i]);
	return c != 0;
}

/* False: there is no such path. */
static bool canonical(struct out *o, const char *s, size_t len)
{
	size_t percent = SIZE_MAX - 3; /* where the last "%" is that escapes nothing */
	const char *end = s + len;
	int n;

	for (; s < end; s += n) {
		unsigned char c = *s;

		n = dot(s, end);
		if (n && o->len && o->s[o->len - 1] == '/') {
			n = dots(o, s, end, n);
		} else if (n) {
			put(o, '.');
		} else if (escaped(s, end) >= 0) {
			n = 3;
			if (!put_unescaped(o, s, end, percent))
				return false;
		} else {
			n = 1;
			if (c == '%')
				percent = o->len;
			if (c == '%' || !must_escape(c))
				put(o, c == '\\' ? '/' : c);
			else
				put_escaped(o, c);
		}
	}
	return true;
}

/* ---- merge_slashes ---- */

static size_t merge(char *s, size_t len)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++)
		if (s[i] != '/' || !n || s[n - 1] != '/')
			s[n++] = s[i];
	return n;
}

/* ---- hosts ---- */

/* "example.com." and "example.com.:80" without the dot (stripTrailingHostDot()). */
static size_t strip_dot(char *s, size_t len)
{
	char *last = memrchr(s, '.', len);
	size_t behind = last ? (size_t)(s + len - last - 1) : 1;

	if (last && behind && last[1] != ':')
		return len;
	if (last)
		memmove(last, last + 1, behind);
	return last ? len - 1 : len;
}

/* Without the port, if it is @port; 0: whichever it is (stripPortFromHost()). */
static size_t strip_port(const char *s, size_t len, __u32 port)
{
	const char *colon = memrchr(s, ':', len), *end = s + len;
	__u64 n = 0;

	if (!colon || colon + 1 == end || memchr(colon, ']', end - colon))
		return len;
	for (const char *p = colon + 1; p < end; p++) {
		n = n * 10 + (*p - '0');
		if (!isdigit((unsigned char)*p) || n > UINT_MAX)
			return len;
	}
	return port && n != port ? len : (size_t)(colon - s);
}

/* ---- all of it ---- */

/* 0 or a status. */
static __u32 parse_again(struct sl_head *h, const __u8 *buf, const __u32 *len)
{
	switch (sl_request_parse(h, buf, *len < SL_HEAD_MAX ? *len : SL_HEAD_MAX)) {
	case SL_PARSE_DONE:
		return 0;
	case SL_PARSE_BAD:
		return 400;
	default:
		return 431;
	}
}

/* The text @s in place of @old; the head is parsed anew. 0 or a status. */
static __u32 replace(struct sl_head *h, __u8 *buf, __u32 *len, __u32 cap, struct sl_span old,
		     const struct out *s)
{
	__u32 behind = old.off + old.len;

	if (s->full || *len - old.len + s->len > cap)
		return 431;
	if (s->len == old.len && !memcmp(buf + old.off, s->s, s->len))
		return 0;
	memmove(buf + old.off + s->len, buf + behind, *len - behind);
	memcpy(buf + old.off, s->s, s->len);
	*len += s->len - old.len;
	return parse_again(h, buf, len);
}

static __u32 normal_path(struct sl_normal *n, const char *s, size_t len, struct out *o)
{
	char unescaped[SL_HEAD_MAX];
	struct out first = {.s = unescaped, .cap = sizeof(unescaped)};

	if (unescape_slashes(&first, s, len)) {
		if (n->flags & SL_NORMAL_SLASH_REJECT)
			return 400;
		n->redirect = n->flags & SL_NORMAL_SLASH_REDIRECT;
		if (n->flags & (SL_NORMAL_SLASH_REDIRECT | SL_NORMAL_SLASH_FORWARD)) {
			s = first.s;
			len = first.len;
		}
	}
	if (n->flags & SL_NORMAL_PATH) {
		if (!canonical(o, s, len))
			return 400;
	} else {
		while (len--)
			put(o, *s++);
	}
	if (n->flags & SL_NORMAL_MERGE)
		o->len = merge(o->s, o->len);
	return 0;
}

static __u32 normalize_target(struct sl_normal *n, struct sl_head *h, __u8 *buf, __u32 *len,
			      __u32 cap)
{
	const char *s = (const char *)buf + h->target.off;
	char text[SL_HEAD_MAX];
	struct out o = {.s = text, .cap = sizeof(text)};
	__u32 status;

	/* OPTIONS * has no path. */
	if (!h->target.len || s[0] != '/')
		return 0;
	status = normal_path(n, s, h->path.len, &o);
	for (__u32 i = h->path.len; i < h->target.len; i++)
		put(&o, s[i]);
	return status ? status : replace(h, buf, len, cap, h->target, &o);
}

static __u32 normalize_host(const struct sl_normal *n, struct sl_head *h, __u8 *buf, __u32 *len,
			    __u32 cap)
{
	char text[SL_HEAD_MAX];
	struct out o = {.s = text, .len = h->host.len};

	memcpy(text, buf + h->host.off, o.len);
	if (n->flags & SL_NORMAL_STRIP_DOT)
		o.len = strip_dot(text, o.len);
	if (n->flags & SL_NORMAL_STRIP_PORT)
		o.len = strip_port(text, o.len, 0);
	else if (n->flags & SL_NORMAL_STRIP_OWN)
		o.len = strip_port(text, o.len, n->port);
	return replace(h, buf, len, cap, h->host, &o);
}

/* ---- headers ---- */

static bool is_removed(const struct sl_normal *n, const __u8 *buf, struct sl_span name)
{
	for (__u32 i = 0; i < n->n_removed; i++)
		if (strlen(n->removed[i]) == name.len &&
		    !strncasecmp(n->removed[i], (const char *)buf + name.off, name.len))
			return true;
	return false;
}

/* Line by line from the last on, so that the spans before it stay right. */
static __u32 remove_headers(const struct sl_normal *n, struct sl_head *h, __u8 *buf, __u32 *len)
{
	__u32 before = *len;

	for (__u32 i = h->n_headers; i-- > 0;) {
		struct sl_header line = h->headers[i];
		__u32 end = line.value.off + line.value.len;

		if (!is_removed(n, buf, line.name))
			continue;
		while (buf[end++] != '\n')
			;
		memmove(buf + line.name.off, buf + end, *len - end);
		*len -= end - line.name.off;
	}
	return *len == before ? 0 : parse_again(h, buf, len);
}

__u32 sl_normal_no_params(struct sl_head *h, __u8 *buf, __u32 *len, __u32 cap)
{
	const char *s = (const char *)buf + h->path.off, *end = s + h->path.len;
	char text[SL_HEAD_MAX];
	struct out o = {.s = text, .cap = sizeof(text)};

	while (s < end) {
		while (s < end && *s == ';')
			for (s++; s < end && *s != '/' && *s != ';'; s++)
				;
		if (s < end)
			put(&o, *s++);
	}
	return replace(h, buf, len, cap, h->path, &o);
}

__u32 sl_normalize(struct sl_normal *n, struct sl_head *h, __u8 *buf, __u32 *len, __u32 cap)
{
	__u32 status = 0;

	n->redirect = false;
	if (n->n_removed)
		status = remove_headers(n, h, buf, len);
	if (!status && (n->flags & SL_NORMAL_PATHS))
		status = normalize_target(n, h, buf, len, cap);
	if (!status && (n->flags & SL_NORMAL_HOSTS) && h->host.len)
		status = normalize_host(n, h, buf, len, cap);
	return status;
}
