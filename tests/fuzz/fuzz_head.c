// SPDX-License-Identifier: GPL-2.0-only
/*
 * Any bytes as a head. What has to hold: no byte outside is read, bytes behind the input change
 * nothing, a verdict is the same for every longer input, and what is taken is made of
 * lines that no other parser can read in another way.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define SL_HEAD_MAX 4096
#include "sl_http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
	if (!ok)
		abort();
}

static enum sl_parse parse(struct sl_head *h, const uint8_t *data, __u32 len, int filler,
			   bool response)
{
	/* On the heap: a read past it is found. */
	__u8 *buf = malloc(SL_HEAD_MAX);
	enum sl_parse result;

	memset(h, filler, sizeof(*h));
	memset(buf, filler, SL_HEAD_MAX);
	memcpy(buf, data, len);
	result = response ? sl_response_parse(h, buf, len) : sl_request_parse(h, buf, len);
	free(buf);
	return result;
}

static void check_span(const struct sl_head *h, struct sl_span s)
{
	require(s.off + s.len <= h->len);
}

static void check_header(const struct sl_head *h, const uint8_t *data, const struct sl_header *f)
{
	__u32 i, end = f->value.off + f->value.len;

	check_span(h, f->name);
	check_span(h, f->value);
	require(f->name.len > 0 && f->name.off >= 2 && data[f->name.off - 1] == '\n');
	require(data[f->name.off + f->name.len] == ':');
	require(f->value.off > f->name.off + f->name.len);
	for (i = 0; i < f->name.len; i++)
		require(sl_is_tchar(data[f->name.off + i]));
	for (i = f->value.off; i < end; i++)
		require(data[i] == '\t' || (data[i] >= 0x20 && data[i] != 0x7f));
	if (f->value.len)
		require(!sl_is_ows(data[f->value.off]) && !sl_is_ows(data[end - 1]));
	while (sl_is_ows(data[end]))
		end++;
	require(data[end] == '\r' && data[end + 1] == '\n');
}

static void check_done(const struct sl_head *h, const uint8_t *data, __u32 len, bool response)
{
	__u32 i, lines = 0;

	require(h->len >= 4 && h->len <= len && !memcmp(data + h->len - 4, "\r\n\r\n", 4));
	for (i = 0; i < h->len; i++) {
		require((data[i] == '\r') == (i + 1 < h->len && data[i + 1] == '\n'));
		lines += data[i] == '\n';
	}
	/* Each line between the first and the empty one is one header. */
	require(h->n_headers <= SL_MAX_HEADERS && lines == h->n_headers + 2U);
	for (i = 0; i < h->n_headers; i++)
		check_header(h, data, &h->headers[i]);
	require(!(h->flags & SL_HEAD_LENGTH) || !(h->flags & SL_HEAD_CHUNKED));
	if (response) {
		require(h->status >= 100 && h->status <= 599);
		return;
	}
	check_span(h, h->method_name);
	check_span(h, h->target);
	check_span(h, h->path);
	check_span(h, h->host);
	require(h->method_name.len && h->target.len && h->path.len);
	require(h->path.off == h->target.off && h->path.len <= h->target.len);
	require(h->flags & (SL_HEAD_ASTERISK | SL_HEAD_AUTHORITY) || data[h->path.off] == '/');
	for (i = 0; i < h->target.len; i++)
		require(data[h->target.off + i] > 0x20 && data[h->target.off + i] < 0x7f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct sl_head a, b;
	enum sl_parse whole, part;
	bool response;
	__u32 cut;

	if (size < 3)
		return 0;
	/* The last three bytes choose, so that a corpus of plain heads is of use. */
	response = data[size - 1] & 1;
	if (!memcmp(data, "HTTP", size < 4 ? size : 4))
		response = !response;
	cut = data[size - 2] | data[size - 3] << 8;
	if (size > SL_HEAD_MAX)
		size = SL_HEAD_MAX;

	whole = parse(&a, data, size, 0, response);
	require(whole <= SL_PARSE_LONG && whole == (enum sl_parse)a.result);
	part = parse(&b, data, size, '\n', response);
	require(whole == part && !memcmp(&a, &b, __builtin_offsetof(struct sl_head, headers)));
	require(whole != SL_PARSE_DONE ||
		!memcmp(a.headers, b.headers, a.n_headers * sizeof(a.headers[0])));
	if (whole == SL_PARSE_DONE)
		check_done(&a, data, size, response);
	else
		require(whole == SL_PARSE_MORE || a.error >= 400);

	part = parse(&b, data, cut % size, ':', response);
	if (part != SL_PARSE_MORE)
		require(part == whole && a.error == b.error);
	else if (whole == SL_PARSE_DONE)
		require(cut % size < a.len);
	return 0;
}
