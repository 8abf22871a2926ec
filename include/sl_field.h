/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Header lines of HTTP/1.1 (RFC 9112 section 5) and the meaning of the few that decide
 * framing and routing. The caller has checked that a line holds no control byte but
 * HTAB and that CR LF follows it, so a search for an odd byte always ends inside the buffer.
 */
#ifndef SL_FIELD_H
#define SL_FIELD_H

#include "sl_bytes.h"
#include "sl_head.h"

/*
 * Searches of one byte a call: rare paths only. The place comes from the loop's index and not from
 * a counter kept here, so that the verifier sees the same state in each round.
 */
struct sl_cursor {
	const __u8 *buf;
	__u32 at; /* where the search began */
	__u32 end;
	__u32 stop;  /* where it stopped */
	__u32 found; /* free for the callback's use */
};

static long sl_token_step(__u32 i, void *data)
{
	struct sl_cursor *c = data;
	__u32 at = c->at + i;

	if (at < c->end && sl_is_tchar(sl_byte(c->buf, at)))
		return 0;
	c->stop = at;
	return 1;
}

/* Index of the first byte in @at..@end that is no tchar; @end if all are. */
SL_ALONE __u32 sl_token_end(const struct sl_buf *head, __u32 at, __u32 end)
{
	struct sl_cursor c = {.at = at, .end = end};

	if (!head)
		return 0;
	c.buf = head->bytes;
	sl_loop(SL_HEAD_MAX + 1, sl_token_step, &c);
	return c.stop;
}

SL_FN bool sl_is_ows(__u8 c)
{
	return c == ' ' || c == '\t';
}

static long sl_trim_front_step(__u32 i, void *data)
{
	struct sl_cursor *c = data;
	__u32 at = c->at + i;

	if (at < c->end && sl_is_ows(sl_byte(c->buf, at)))
		return 0;
	c->stop = at;
	return 1;
}

static long sl_trim_back_step(__u32 i, void *data)
{
	struct sl_cursor *c = data;
	__u32 end = c->end - i;

	if (c->stop < end && sl_is_ows(sl_byte(c->buf, end - 1)))
		return 0;
	c->found = end;
	return 1;
}

/* @at..@end without the white space around it: offset, and length in the upper half. */
SL_ALONE __u32 sl_trim(const struct sl_buf *head, __u32 at, __u32 end)
{
	struct sl_cursor c = {.at = at, .end = end};

	if (!head)
		return 0;
	c.buf = head->bytes;
	sl_loop(SL_HEAD_MAX + 1, sl_trim_front_step, &c);
	sl_loop(SL_HEAD_MAX + 1, sl_trim_back_step, &c);
	return (c.stop & 0xffff) | (c.found - c.stop) << 16;
}

/*
 * reg-name, IPv4address and IP-literal of RFC 3986 3.2.2 byte by byte, with the colon and the
 * brackets, which have their places; without userinfo and without the comma: two Host lines that
 * someone joined.
 */
SL_FN bool sl_is_host_char(__u8 c)
{
	/* !$%&'()*+-. 0-9 : ; = | A-Z [ ] _ a-z ~ */
	const __u64 lo = 0x2fff6ff200000000ULL, hi = 0x47fffffeaffffffeULL;

	if (c & 0x80)
		return false;
	return ((c & 0x40 ? hi : lo) >> (c & 63)) & 1;
}

enum sl_host_part {
	SL_HOST_NAME,	 /* reg-name or IPv4address */
	SL_HOST_LITERAL, /* between the brackets */
	SL_HOST_BEHIND,	 /* of ']': a port, or nothing */
	SL_HOST_PORT,
};

struct sl_uri_host_scan {
	const __u8 *buf;
	__u32 at;
	__u32 end;
	__u32 stop; /* where it stopped */
	__u32 port; /* the colon before the port */
	__u32 part; /* enum sl_host_part */
	__u32 zero;
};

/* uri-host [ ":" port ], RFC 9112 3.2. */
static long sl_host_step(__u32 i, void *data)
{
	struct sl_uri_host_scan *c = data;
	__u32 at = c->at + i;
	__u8 b;

	c->stop = at;
	if (at >= c->end)
		return 1;
	b = sl_byte(c->buf, at);
	if (c->part == SL_HOST_PORT)
		return b < '0' || b > '9';
	if (b == '[' && i == 0) {
		c->part = SL_HOST_LITERAL;
	} else if (c->part == SL_HOST_LITERAL) {
		if (b == ']')
			c->part = SL_HOST_BEHIND;
		else
			return b == '[' || !sl_is_host_char(b);
	} else if (b == ':') {
		c->part = SL_HOST_PORT;
		c->port = at;
	} else {
		return c->part == SL_HOST_BEHIND || b == '[' || b == ']' || !sl_is_host_char(b);
	}
	return 0;
}

/*
 * Checks that @at..@end is a host, with or without a port. Returns 0: it is not; else 1, or the
 * offset of the colon before the port, which may be empty.
 */
SL_ALONE __u32 sl_host_check(const struct sl_buf *head, __u32 at, __u32 end)
{
	struct sl_uri_host_scan c = {.at = at, .end = end};

	if (!head)
		return 0;
	c.buf = head->bytes;
	sl_loop(SL_HEAD_MAX + 1, sl_host_step, &c);
	if (c.stop != end || c.part == SL_HOST_LITERAL)
		return 0;
	return c.port ? c.port : 1;
}

/* Is the value of Host valid? May be empty (RFC 9112 3.2). */
SL_FN bool sl_host_valid(const __u8 *buf, __u32 off, __u32 len)
{
	__u64 port = 0; /* all ones behind the colon */
	__u32 i;

	for (i = 0; i < 4; i++) {
		__u64 w = sl_load(buf, off + i * 8), digits, ok, colon, before;

		if (i * 8 >= len)
			return true;
		digits = sl_between(w, '0', '9');
		colon = sl_eq(w, ':');
		colon &= -colon; /* the first */
		before = (colon - 1) & ~port;
		ok = sl_between(w | SL_REP(0x20), 'a', 'z') | digits | sl_between(w, '-', '.');
		ok = (ok & before) | (colon & ~port) | (digits & ~before);
		if (~ok & SL_HIGH & sl_first(len - i * 8))
			break;
		port |= -(__u64)(colon != 0);
	}
	return sl_host_check(sl_buf(buf), off, off + len);
}

struct sl_digits {
	const __u8 *buf;
	struct sl_head *h; /* length: the value. In BPF in a map, see struct sl_search */
	__u32 at;
	__u32 end;
	__u32 zero;
	__u32 ok; /* 1: digits to the end */
};

static long sl_digit_step(__u32 i, void *data)
{
	struct sl_digits *d = data;
	__u32 at = d->at + i;
	__u8 b;

	if (at >= d->end) {
		d->ok = 1;
		return 1;
	}
	b = sl_byte(d->buf, at);
	if (b < '0' || b > '9')
		return 1;
	d->h->length = d->h->length * 10 + (b - '0');
	return 0;
}

SL_SLOW __u32 sl_long_length(struct sl_head *h, const __u8 *buf, __u32 off, __u32 len)
{
	struct sl_digits d = {.buf = buf, .h = h, .at = off, .end = off + len};

	if (len > 19)
		return 400;
	h->length = 0;
	sl_loop(20, sl_digit_step, &d);
	return d.ok && !(h->length >> 63) ? 0 : 400;
}

/*
 * Content-Length = 1*DIGIT, up to 2^63 - 1 and 19 digits: signed 64 bits elsewhere.
 * Returns 0 or the status to answer.
 */
SL_FN __u32 sl_content_length(struct sl_head *h, const __u8 *buf, __u32 off, __u32 len)
{
	const __u64 even = 0x000000ff000000ffULL;
	__u64 w;

	if (len > 8)
		return sl_long_length(h, buf, off, len);
	w = sl_load(buf, off);
	if (len == 0 || ~sl_between(w, '0', '9') & SL_HIGH & sl_first(len))
		return 400;
	/* Eight digits, zeros in front: pairs, then fours, then all, by multiplication. */
	w = (w & SL_REP(0x0f)) << (((8 - len) * 8) & 63);
	w = w * 10 + (w >> 8);
	h->length =
		((w & even) * 0x000f424000000064ULL + ((w >> 16) & even) * 0x0000271000000001ULL) >>
		32;
	return 0;
}

/* Connection's options, one token: which flag it sets. */
SL_FN __u16 sl_connection_option(const __u8 *buf, __u32 off, __u32 len)
{
	__u64 w = sl_load(buf, off);

	if (len == 5 &&
	    ((sl_lower(w) ^ SL_PACK('c', 'l', 'o', 's', 'e', 0, 0, 0)) & sl_first(5)) == 0)
		return SL_HEAD_CLOSE;
	if (len == 10 && sl_lower(w) == SL_PACK('k', 'e', 'e', 'p', '-', 'a', 'l', 'i') &&
	    ((sl_lower(sl_load(buf, off + 8)) ^ SL_PACK('v', 'e', 0, 0, 0, 0, 0, 0)) &
	     sl_first(2)) == 0)
		return SL_HEAD_KEEP_ALIVE;
	return SL_HEAD_CONNECTION;
}

struct sl_options_scan {
	const __u8 *buf;
	__u32 at;
	__u32 end;
	__u32 zero;
	__u32 start; /* first byte of the token, when len is not 0 */
	__u32 flags;
	__u32 len;
};

static long sl_option_step(__u32 i, void *data)
{
	struct sl_options_scan *s = data;
	__u32 at = s->at + i;
	__u8 b = at < s->end ? sl_byte(s->buf, at) : ',';

	if (b == ',') {
		if (s->len)
			s->flags |= sl_connection_option(s->buf, s->start, s->len);
		s->len = 0;
		return at >= s->end;
	}
	if (!sl_is_ows(b)) {
		if (!s->len)
			s->start = at;
		s->len = at + 1 - s->start;
	}
	return 0;
}

/* RFC 9110 7.6.1: a list; empty elements are allowed (5.6.1.2). Returns flags. */
SL_SLOW __u32 sl_connection_list(const __u8 *buf, __u32 off, __u32 len)
{
	struct sl_options_scan s = {.buf = buf, .at = off, .end = off + len};

	sl_loop(SL_HEAD_MAX + 1, sl_option_step, &s);
	return s.flags;
}

SL_FN __u32 sl_transfer_encoding(struct sl_head *h, const __u8 *buf, __u32 off, __u32 len)
{
	/* RFC 9112 6.1: not in 1.0; 6.3: with Content-Length it is an attack. */
	if (h->flags & (SL_HEAD_CHUNKED | SL_HEAD_LENGTH | SL_HEAD_HTTP10))
		return 400;
	if (len != 7 ||
	    ((sl_lower(sl_load(buf, off)) ^ SL_PACK('c', 'h', 'u', 'n', 'k', 'e', 'd', 0)) &
	     sl_first(7)))
		return 501;
	h->flags |= SL_HEAD_CHUNKED;
	return 0;
}

/* Reads the value of a header that decides something. 0, or the status to answer. */
SL_FN __u32 sl_known_field(struct sl_head *h, const __u8 *buf, __u32 name, __u32 name_len,
			   __u32 off, __u32 len)
{
	/* Exact, since a name is made of tchars: none but a letter folds onto a letter or '-'. */
	__u64 w = sl_load(buf, name) | SL_REP(0x20), v;

	switch (name_len) {
	case 4:
		if ((__u32)w != (__u32)SL_PACK('h', 'o', 's', 't', 0, 0, 0, 0))
			return 0;
		if (h->flags & SL_HEAD_HOST || !sl_host_valid(buf, off, len))
			return 400;
		h->flags |= SL_HEAD_HOST;
		if (h->flags & (SL_HEAD_ABSOLUTE | SL_HEAD_AUTHORITY))
			return 0; /* RFC 9112 3.2.2: the target's host wins */
		h->host.off = off;
		h->host.len = len;
		return 0;
	case 6:
		if ((w ^ SL_PACK('e', 'x', 'p', 'e', 'c', 't', 0, 0)) & sl_first(6))
			return 0;
		h->flags |= SL_HEAD_EXPECT;
		if (len == 12 &&
		    sl_lower(sl_load(buf, off)) ==
			    SL_PACK('1', '0', '0', '-', 'c', 'o', 'n', 't') &&
		    (__u32)sl_lower(sl_load(buf, off + 8)) ==
			    (__u32)SL_PACK('i', 'n', 'u', 'e', 0, 0, 0, 0))
			h->flags |= SL_HEAD_EXPECT_CONTINUE;
		return 0;
	case 7:
		if (((w ^ SL_PACK('u', 'p', 'g', 'r', 'a', 'd', 'e', 0)) & sl_first(7)) == 0)
			h->flags |= SL_HEAD_UPGRADE;
		return 0;
	case 10:
		if (w != SL_PACK('c', 'o', 'n', 'n', 'e', 'c', 't', 'i'))
			return 0;
		v = sl_load(buf, name + 8) | SL_REP(0x20);
		if ((v ^ SL_PACK('o', 'n', 0, 0, 0, 0, 0, 0)) & sl_first(2))
			return 0;
		v = sl_connection_option(buf, off, len);
		h->flags |= v != SL_HEAD_CONNECTION ? v : sl_connection_list(buf, off, len);
		return 0;
	case 12:
		/* RFC 9110 7.6.2: of other methods it says nothing. */
		if (w != SL_PACK('m', 'a', 'x', '-', 'f', 'o', 'r', 'w') ||
		    (h->method != SL_METHOD_OPTIONS && h->method != SL_METHOD_TRACE))
			return 0;
		v = sl_load(buf, name + 8) | SL_REP(0x20);
		if (((v ^ SL_PACK('a', 'r', 'd', 's', 0, 0, 0, 0)) & sl_first(4)) == 0)
			h->flags |= SL_HEAD_MAX_FORWARDS;
		return 0;
	case 14:
		if (w != SL_PACK('c', 'o', 'n', 't', 'e', 'n', 't', '-'))
			return 0;
		v = sl_load(buf, name + 8) | SL_REP(0x20);
		if ((v ^ SL_PACK('l', 'e', 'n', 'g', 't', 'h', 0, 0)) & sl_first(6))
			return 0;
		if (h->flags & (SL_HEAD_CHUNKED | SL_HEAD_LENGTH))
			return 400;
		h->flags |= SL_HEAD_LENGTH;
		return sl_content_length(h, buf, off, len);
	case 17:
		if (w != SL_PACK('t', 'r', 'a', 'n', 's', 'f', 'e', 'r'))
			return 0;
		v = sl_load(buf, name + 8) | SL_REP(0x20);
		if (v != SL_PACK('-', 'e', 'n', 'c', 'o', 'd', 'i', 'n') ||
		    (sl_byte(buf, name + 16) | 0x20) != 'g')
			return 0;
		return sl_transfer_encoding(h, buf, off, len);
	}
	return 0;
}

/* field-name ":" OWS field-value OWS in @line..@end. 0, or the status to answer. */
SL_FN __u32 sl_field_line(struct sl_head *h, const __u8 *buf, __u32 line, __u32 end)
{
	__u32 n = h->n_headers, colon = line, off, len, i;
	struct sl_header *field;
	__u64 odd = 0;

	if (n >= SL_MAX_HEADERS)
		return 431;
	for (i = 0; i < 4; i++) {
		odd = ~sl_plain_token(sl_load(buf, colon)) & SL_HIGH;
		if (odd)
			break;
		colon += 8;
	}
	if (odd)
		colon += sl_index(odd);
	if (!odd || sl_byte(buf, colon) != ':')
		colon = sl_token_end(sl_buf(buf), line, end);
	/* RFC 9112 5.1: no white space before the colon; 5.2: no line folding. */
	if (colon == line || colon >= end || sl_byte(buf, colon) != ':')
		return 400;

	off = colon + 1;
	if (sl_byte(buf, off) == ' ')
		off++;
	len = end - off;
	if (sl_is_ows(sl_byte(buf, off)) || (len && sl_is_ows(sl_byte(buf, end - 1)))) {
		__u32 span = sl_trim(sl_buf(buf), off, end);

		off = span & 0xffff;
		len = span >> 16;
	}
	h->n_headers = n + 1;
	field = &h->headers[n & (SL_MAX_HEADERS - 1)];
	field->name.off = line;
	field->name.len = colon - line;
	field->value.off = off;
	field->value.len = len;
	return sl_known_field(h, buf, line, colon - line, off, len);
}

/* Can @line..@end, the end of what there is and without its CR LF yet, begin a line of the header?
 */
SL_FN bool sl_begins_field(const __u8 *buf, __u32 line, __u32 end)
{
	__u32 colon = sl_token_end(sl_buf(buf), line, end);

	if (colon >= end)
		return true;
	/* CR as the only byte: of the empty line. */
	return sl_byte(buf, colon) == (colon == line ? '\r' : ':');
}

#endif /* SL_FIELD_H */
