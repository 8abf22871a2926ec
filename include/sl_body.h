/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Framing of message bodies, RFC 9112 section 6 and 7.1: where a message ends. Pure:
 * a few integers that can be handed between BPF and the daemon at any byte.
 */
#ifndef SL_BODY_H
#define SL_BODY_H

#include "sl_types.h"
#include "sl_head.h"
#include "sl_bytes.h"

enum sl_body_kind {
	SL_BODY_NONE,	 /* no body: done from the start */
	SL_BODY_LENGTH,	 /* `left` bytes to come */
	SL_BODY_CHUNKED, /* chunk state machine */
	SL_BODY_CLOSE,	 /* response that ends with the connection */
};

/* sl_body.state of CHUNKED: what the next byte is. */
enum sl_chunk_state {
	SL_CHUNK_SIZE_FIRST, /* first digit of a chunk size */
	SL_CHUNK_SIZE,	     /* a further digit, ';' or CR */
	SL_CHUNK_EXT,	     /* chunk extension, to CR */
	SL_CHUNK_SIZE_LF,
	SL_CHUNK_DATA, /* `left` bytes: sl_body_skip() */
	SL_CHUNK_DATA_CR,
	SL_CHUNK_DATA_LF,
	SL_CHUNK_LINE,	/* first byte of a trailer line, or CR of the last line */
	SL_CHUNK_NAME,	/* trailer's name, to ':' */
	SL_CHUNK_VALUE, /* trailer's value, to CR */
	SL_CHUNK_VALUE_LF,
	SL_CHUNK_LAST_LF,
	SL_CHUNK_DONE,
	SL_CHUNK_BAD,
};

enum sl_body_result {
	SL_BODY_MORE, /* the body goes on */
	SL_BODY_DONE, /* it has ended */
	SL_BODY_BAD,  /* it is not valid: end the connection */
};

#define SL_CHUNK_DIGITS 16	   /* of a chunk size, leading zeros too: 64 bits */
#define SL_CHUNK_LINE_MAX 4096	   /* bytes of a chunk size line: extensions are read by nobody */
#define SL_CHUNK_TRAILERS_MAX 8192 /* bytes of all trailer lines */

struct sl_body {
	__u64 left;  /* LENGTH: bytes to come; CHUNKED: bytes of chunk data to come */
	__u32 count; /* CHUNKED: bytes of the current line or of the trailers, for limits */
	__u8 kind;   /* enum sl_body_kind */
	__u8 state;  /* CHUNKED: enum sl_chunk_state */
	__u16 zero;
};

_Static_assert(sizeof(struct sl_body) == 16, "part of the map ABI");

/* Has the body ended? A body of kind CLOSE ends with its connection alone. */
SL_FN bool sl_body_done(const struct sl_body *b)
{
	switch (b->kind) {
	case SL_BODY_NONE:
		return true;
	case SL_BODY_LENGTH:
		return b->left == 0;
	case SL_BODY_CHUNKED:
		return b->state == SL_CHUNK_DONE;
	}
	return false;
}

/* RFC 9112 6.3 for a request: neither length nor chunked is no body. */
SL_FN struct sl_body sl_request_body(const struct sl_head *h)
{
	struct sl_body b = {.kind = SL_BODY_NONE};

	if (h->flags & SL_HEAD_CHUNKED) {
		b.kind = SL_BODY_CHUNKED;
	} else if (h->flags & SL_HEAD_LENGTH) {
		b.kind = SL_BODY_LENGTH;
		b.left = h->length;
	}
	return b;
}

/*
 * RFC 9112 6.3 for a response; @head_request: it answers a HEAD. An interim response
 * (1xx) has none, and another head follows. CONNECT is the caller's.
 */
SL_FN struct sl_body sl_response_body(const struct sl_head *h, bool head_request)
{
	struct sl_body b = {.kind = SL_BODY_NONE};

	if (head_request || h->status < 200 || h->status == 204 || h->status == 304)
		return b;
	b = sl_request_body(h);
	if (!(h->flags & (SL_HEAD_CHUNKED | SL_HEAD_LENGTH)))
		b.kind = SL_BODY_CLOSE;
	return b;
}

/*
 * How many of the next @n bytes are the body's data and nothing else; they are taken.
 * 0 for n > 0: the body is done or, CHUNKED, the next byte is for sl_chunk_byte().
 */
SL_FN __u32 sl_body_skip(struct sl_body *b, __u32 n)
{
	__u64 left = b->left;

	if (b->kind == SL_BODY_CLOSE)
		return n;
	if (b->kind == SL_BODY_NONE || (b->kind == SL_BODY_CHUNKED && b->state != SL_CHUNK_DATA))
		return 0;
	if (n < left) {
		b->left = left - n;
		return n;
	}
	b->left = 0;
	b->state = SL_CHUNK_DATA_CR;
	return left;
}

/* Value of a hex digit, 16 for any other byte. */
SL_FN __u32 sl_hex(__u8 c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : 16;
}

/* What @c does in a chunk size line: the next state. */
SL_FN __u8 sl_chunk_size_byte(struct sl_body *b, __u8 c)
{
	__u32 digit = sl_hex(c);

	b->count++;
	if (digit < 16) {
		b->left = b->left << 4 | digit;
		return b->count <= SL_CHUNK_DIGITS ? SL_CHUNK_SIZE : SL_CHUNK_BAD;
	}
	if (b->state == SL_CHUNK_SIZE_FIRST)
		return SL_CHUNK_BAD;
	/* RFC 9112 7.1.1 lets "bad" white space stand before ';': strict here. */
	if (c == ';')
		return SL_CHUNK_EXT;
	return c == '\r' ? SL_CHUNK_SIZE_LF : SL_CHUNK_BAD;
}

/* Text of an extension or a trailer's value: what stands before CR. */
SL_FN __u8 sl_chunk_text_byte(__u8 c, __u8 here, __u8 after)
{
	if (c == '\r')
		return after;
	return (c < 0x20 && c != '\t') || c == 0x7f ? SL_CHUNK_BAD : here;
}

/*
 * Takes one byte of a CHUNKED body that sl_body_skip() left: of a size line, of the CR LF after
 * the data, of the trailers. RFC 9112 7.1, CR LF alone ends a line.
 */
SL_FN enum sl_body_result sl_chunk_byte(struct sl_body *b, __u8 c)
{
	__u8 next = SL_CHUNK_BAD;

	switch (b->state) {
	case SL_CHUNK_SIZE_FIRST:
	case SL_CHUNK_SIZE:
		next = sl_chunk_size_byte(b, c);
		break;
	case SL_CHUNK_EXT:
		if (++b->count <= SL_CHUNK_LINE_MAX)
			next = sl_chunk_text_byte(c, SL_CHUNK_EXT, SL_CHUNK_SIZE_LF);
		break;
	case SL_CHUNK_SIZE_LF:
		b->count = 0;
		if (c == '\n')
			next = b->left ? SL_CHUNK_DATA : SL_CHUNK_LINE;
		break;
	case SL_CHUNK_DATA_CR:
		if (c == '\r')
			next = SL_CHUNK_DATA_LF;
		break;
	case SL_CHUNK_DATA_LF:
		if (c == '\n')
			next = SL_CHUNK_SIZE_FIRST;
		break;
	case SL_CHUNK_LINE:
		if (c == '\r')
			next = SL_CHUNK_LAST_LF;
		else if (++b->count <= SL_CHUNK_TRAILERS_MAX && sl_is_tchar(c))
			next = SL_CHUNK_NAME;
		break;
	case SL_CHUNK_NAME:
		if (++b->count > SL_CHUNK_TRAILERS_MAX)
			break;
		if (c == ':')
			next = SL_CHUNK_VALUE;
		else if (sl_is_tchar(c))
			next = SL_CHUNK_NAME;
		break;
	case SL_CHUNK_VALUE:
		if (++b->count <= SL_CHUNK_TRAILERS_MAX)
			next = sl_chunk_text_byte(c, SL_CHUNK_VALUE, SL_CHUNK_VALUE_LF);
		break;
	case SL_CHUNK_VALUE_LF:
		b->count++;
		if (c == '\n')
			next = SL_CHUNK_LINE;
		break;
	case SL_CHUNK_LAST_LF:
		if (c == '\n')
			next = SL_CHUNK_DONE;
		break;
	}
	b->state = next;
	if (next == SL_CHUNK_BAD)
		return SL_BODY_BAD;
	return next == SL_CHUNK_DONE ? SL_BODY_DONE : SL_BODY_MORE;
}

#ifndef __bpf__
/*
 * Takes the body's bytes from the front of @buf[0..@len): *@ret_used of them are the body's (on
 * BAD: those before the fault). DONE is also the answer to @len 0 when the body has ended; a CLOSE
 * body takes all there is and never ends.
 */
SL_FN enum sl_body_result sl_body_feed(struct sl_body *b, const __u8 *buf, __u32 len,
				       __u32 *ret_used)
{
	__u32 used = 0;
	enum sl_body_result result = SL_BODY_MORE;

	while (used < len && result == SL_BODY_MORE && !sl_body_done(b)) {
		__u32 n = sl_body_skip(b, len - used);

		used += n;
		if (n || b->kind != SL_BODY_CHUNKED)
			continue;
		result = sl_chunk_byte(b, buf[used]);
		used += result != SL_BODY_BAD;
	}
	*ret_used = used;
	if (result == SL_BODY_MORE && sl_body_done(b))
		result = SL_BODY_DONE;
	return result;
}
#endif

#endif /* SL_BODY_H */
