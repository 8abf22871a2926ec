/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * HTTP/1.1 heads, strict RFC 9112. One parser for BPF and user space.
 *
 * Bytes are taken in their order and the first fault decides, so once a prefix of a
 * stream is DONE, BAD or LONG, every longer one is the same. Stricter than the RFC
 * asks: no empty line before the request line, no comma in Host, no '#' in a target,
 * no absolute-form with a query but no path, Content-Length at most 2^63 - 1.
 */
#ifndef SL_HTTP_H
#define SL_HTTP_H

#include "sl_types.h"
#include "sl_limits.h"
#include "sl_reason.h"
#include "sl_body.h"
#include "sl_head.h"
#include "sl_bytes.h"
#include "sl_field.h"
#include "sl_start.h"

struct sl_scan {
	struct sl_head *h;
	const __u8 *buf;
	__u32 len;
	__u32 response;
};

SL_FN long sl_scan_stop(struct sl_head *h, __u32 error)
{
	h->error = error;
	h->result = error == 431 || error == 414 ? SL_PARSE_LONG : SL_PARSE_BAD;
	return 1;
}

/* The line that ends before @end, CR LF follows. Returns 1 to stop: h->result is set. */
SL_FN long sl_scan_line(struct sl_scan *c, struct sl_head *h, __u32 end)
{
	__u32 line = h->scan_line, error;

	h->scan_line = end + 2;
	if (line == 0)
		error = c->response ? sl_status_line(h, c->buf, end)
				    : sl_request_line(h, c->buf, end);
	else if (line == end) {
		h->len = end + 2;
		h->result = SL_PARSE_DONE;
		return 1;
	} else {
		error = sl_field_line(h, c->buf, line, end);
	}
	return error ? sl_scan_stop(h, error) : 0;
}

/* Control bytes of the 64 bytes at @base, one bit each. */
SL_FN __u64 sl_scan_controls(const __u8 *buf, __u32 base)
{
	__u64 found = 0;
	__u32 i;

	SL_UNROLL
	for (i = 0; i < 8; i++)
		found |= sl_bitmap(sl_controls(sl_word_at(buf + base + i * 8))) << (i * 8);
	return found;
}

/* The next 64 bytes' control bytes into h->scan_found. Returns 1 at the end of the input. */
SL_FN long sl_scan_block(struct sl_scan *c, struct sl_head *h)
{
	__u32 base = h->scan_block & (SL_HEAD_MAX - 64);
	__u64 found;

	if (h->scan_block >= c->len)
		return 1;
	found = sl_scan_controls(c->buf, base);
	if (c->len - base < 64)
		found &= (1ULL << ((c->len - base) & 63)) - 1;
	if (h->scan_next > base)
		found &= ~1ULL; /* LF, whose CR ended the last block */
	h->scan_block = base + 64;
	h->scan_found = found;
	return 0;
}

/*
 * Takes the next control byte, with the line that it ends. One a step: unrolled further, it costs
 * the verifier more and gains nothing.
 */
static long sl_scan_step(SL_UNUSED __u32 i, void *data)
{
	struct sl_scan *c = data;
	struct sl_head *h = c->h;
	__u64 found;
	__u32 at;
	__u8 b;

	if (!h->scan_found && sl_scan_block(c, h))
		return 1; /* MORE */
	found = h->scan_found;
	if (!found)
		return 0;
	at = h->scan_block - 64 + sl_ctz(found);
	found &= found - 1;
	b = sl_byte(c->buf, at);
	if (b != '\t') {
		/* RFC 9112 2.2: CR and LF in a pair alone; RFC 9110 5.5: no other control. */
		if (b != '\r')
			return sl_scan_stop(h, 400);
		if (at + 1 >= c->len)
			return 1; /* MORE */
		if (sl_byte(c->buf, at + 1) != '\n')
			return sl_scan_stop(h, 400);
		found &= found - 1;
		h->scan_next = at + 2;
		if (sl_scan_line(c, h, at))
			return 1;
	}
	h->scan_found = found;
	return 0;
}

/*
 * Can the line that is not whole yet begin a strict one? What it is answered here, every longer
 * input is too: the checks of whole lines come in the same order.
 */
SL_SLOW bool sl_scan_begins(const struct sl_head *h, const __u8 *buf, __u32 len, bool response)
{
	if (h->scan_line == 0)
		return response ? sl_begins_status(buf, len) : sl_begins_request(buf, len);
	if (h->n_headers >= SL_MAX_HEADERS)
		return true; /* LONG or BAD: the end of the line will tell */
	return sl_begins_field(buf, h->scan_line, len);
}

SL_FN enum sl_parse sl_head_parse(struct sl_head *h, const __u8 *buf, __u32 len, bool response)
{
	struct sl_scan c = {.h = h, .buf = buf, .len = len, .response = response};

	if (c.len > SL_HEAD_MAX)
		c.len = SL_HEAD_MAX;
	sl_memset(h, 0, __builtin_offsetof(struct sl_head, headers));
	h->result = SL_PARSE_MORE;
	/* Each step takes a byte, or finds none in 64. */
	sl_loop(SL_HEAD_MAX + SL_HEAD_MAX / 64 + 1, sl_scan_step, &c);
	if (h->result == SL_PARSE_MORE) {
		if (!sl_scan_begins(h, buf, c.len, response))
			sl_scan_stop(h, 400);
		else if (c.len == SL_HEAD_MAX) /* RFC 9112 3: a target that does not fit is 414 */
			sl_scan_stop(h, h->scan_line || response ? 431 : 414);
	}
	return h->result;
}

/*
 * Parses the head of a request in @buf[0..@len). @buf has SL_HEAD_BUF bytes of memory, @len of them
 * are the stream's; what stands behind them changes nothing. @h is written whatever the
 * answer, its fields are valid on DONE. To go on after MORE, call again with more bytes.
 */
SL_FN enum sl_parse sl_request_parse(struct sl_head *h, const __u8 *buf, __u32 len)
{
	enum sl_parse result = sl_head_parse(h, buf, len, false);

	/* RFC 9112 3.2: a 1.1 request without Host is answered 400. */
	if (result == SL_PARSE_DONE && !(h->flags & (SL_HEAD_HOST | SL_HEAD_HTTP10))) {
		sl_scan_stop(h, 400);
		return SL_PARSE_BAD;
	}
	return result;
}

/* The same for the head of a response, interim (1xx) ones included. */
SL_FN enum sl_parse sl_response_parse(struct sl_head *h, const __u8 *buf, __u32 len)
{
	enum sl_parse result = sl_head_parse(h, buf, len, true);

	/* RFC 9110 8.6, RFC 9112 6.1: 1xx and 204 have no length (0 is sent, and does no harm) and
	 * no coding: some reader would wait for the body that they promise. */
	if (result == SL_PARSE_DONE && (h->status < 200 || h->status == 204) &&
	    ((h->flags & SL_HEAD_CHUNKED) || h->length)) {
		sl_scan_stop(h, 400);
		return SL_PARSE_BAD;
	}
	return result;
}

#endif /* SL_HTTP_H */
