// SPDX-License-Identifier: GPL-2.0-only
/*
 * Any bytes as a chunked body, whole and in pieces: the same end, the same state, and what is
 * taken as data is as much as the sizes say, told by a second, plain reader.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "sl_http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
	if (!ok)
		abort();
}

/* Bytes of data in a chunked body that is known to be valid and whole, and where it ends. */
static size_t plain_reader(const uint8_t *data, size_t size, size_t *ret_data)
{
	size_t at = 0;

	*ret_data = 0;
	for (;;) {
		unsigned long long n = strtoull((const char *)data + at, NULL, 16);

		while (data[at++] != '\n')
			require(at < size);
		if (n == 0)
			break;
		*ret_data += n;
		at += n + 2;
		require(at < size);
	}
	/* Trailers: to the line that is empty. */
	while (data[at] != '\r') {
		while (data[at++] != '\n')
			require(at < size);
		require(at < size);
	}
	return at + 2;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sl_body whole = {.kind = SL_BODY_CHUNKED}, parts = whole, steps = whole;
	enum sl_body_result result, piece = SL_BODY_MORE, step = SL_BODY_MORE;
	__u32 used, taken, n;
	size_t at = 0, content = 0, expected, i = 0;
	uint8_t *text;

	if (size == 0 || size > 65536)
		return 0;
	result = sl_body_feed(&whole, data, size, &used);
	require(used <= size && (result != SL_BODY_MORE || used == size));
	require(sl_body_done(&whole) == (result == SL_BODY_DONE));

	/* In pieces, of lengths that the input itself gives. */
	while (at < size && piece == SL_BODY_MORE) {
		n = data[size - 1 - at % size] % 19 + 1;
		n = n < size - at ? n : size - at;
		piece = sl_body_feed(&parts, data + at, n, &taken);
		at += taken;
	}
	require(piece == result && at == used && !memcmp(&parts, &whole, sizeof(parts)));

	/* By the two functions of BPF programs, counting data. */
	while (i < size && step == SL_BODY_MORE) {
		n = sl_body_skip(&steps, size - i);
		content += n;
		i += n;
		if (!n) {
			step = sl_chunk_byte(&steps, data[i]);
			i += step != SL_BODY_BAD;
		}
	}
	require(step == result && i == used && !memcmp(&steps, &whole, sizeof(steps)));
	if (result != SL_BODY_DONE)
		return 0;

	text = malloc(size + 1);
	memcpy(text, data, size);
	text[size] = 0;
	require(plain_reader(text, size + 1, &expected) == used && expected == content);
	free(text);
	return 0;
}
