/* SPDX-License-Identifier: GPL-2.0-only */
#include "torture.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <zlib.h>

const char *const method_names[N_METHODS] = {"GET", "HEAD", "POST", "PUT", "DELETE"};

/* Around every limit on the way: a segment, a pipe, the queues of redirected bytes. */
static uint32_t size_of(struct dice *d)
{
	static const uint32_t sizes[] = {0,    1,    17,   200,	  200,	 200,	200,   700,
					 1500, 4096, 8000, 16400, 33000, 65536, 70000, 300000};

	return sizes[dice_below(d, sizeof(sizes) / sizeof(sizes[0]))];
}

static enum method method_of(struct dice *d)
{
	static const enum method likely[] = {METHOD_GET,  METHOD_GET,  METHOD_GET,
					     METHOD_GET,  METHOD_HEAD, METHOD_POST,
					     METHOD_POST, METHOD_PUT,  METHOD_DELETE};

	return likely[dice_below(d, sizeof(likely) / sizeof(likely[0]))];
}

static void ask_request(struct ask *a, struct dice *d)
{
	a->method = method_of(d);
	a->version10 = dice_percent(d, 2);
	a->says_close = dice_percent(d, 3);
	if (a->method != METHOD_POST && a->method != METHOD_PUT)
		return;
	a->body_len = size_of(d);
	a->chunked = !a->version10 && dice_percent(d, 30);
	a->expects = !a->version10 && dice_percent(d, 5);
}

static enum framing framing_of(struct dice *d)
{
	uint32_t n = dice_below(d, 100);

	if (n < 60)
		return FRAMED_LENGTH;
	if (n < 92)
		return FRAMED_CHUNKED;
	return n < 96 ? FRAMED_CLOSE : n < 98 ? FRAMED_LENGTH10 : FRAMED_CLOSE10;
}

static enum fate fate_of(struct dice *d, char mix)
{
	uint32_t n = dice_below(d, 100);

	if (n < 5)
		return FATE_SAID_CLOSE;
	if (mix == MIX_STEADY || n < 70)
		return FATE_KEEP;
	if (mix == MIX_CLOSING || n < 80)
		return n & 1 ? FATE_CLOSE : FATE_IDLE_CLOSE;
	return FATE_DIE + (n - 80) / 4;
}

struct ask ask_of(char mix, uint64_t key)
{
	struct dice d = {.state = mix64(key)};
	struct ask a = {.key = key, .mix = mix};

	ask_request(&a, &d);
	a.status = dice_percent(&d, 4) ? 204 : dice_percent(&d, 4) ? 304 : 200;
	a.framing = framing_of(&d);
	a.fate = fate_of(&d, mix);
	a.resets = dice_percent(&d, 50);
	a.early = dice_percent(&d, 10);
	a.n_interim = dice_percent(&d, 5) ? 1 + dice_below(&d, 3) : 0;
	/* Bytes behind a body that ends with its connection would be the body's. */
	if ((a.framing == FRAMED_CLOSE || a.framing == FRAMED_CLOSE10) &&
	    (a.fate == FATE_SURPLUS || a.fate == FATE_TIMEOUT))
		a.fate = FATE_CLOSE;
	a.early |= a.fate == FATE_EARLY_CLOSE;
	a.answer_len = size_of(&d);
	if (a.fate == FATE_DIE_MID && a.answer_len < 2)
		a.answer_len = 200;
	/* An answer that can be seen to be cut. */
	if (a.fate == FATE_DIE_MID && (a.method == METHOD_HEAD || a.status != 200))
		a.fate = FATE_DIE;
	/* ... which a FIN does not show when it is the end. */
	if (a.framing == FRAMED_CLOSE || a.framing == FRAMED_CLOSE10)
		a.resets = true;
	if (a.status != 200 && a.framing != FRAMED_LENGTH)
		a.framing = FRAMED_LENGTH;
	if (a.status == 204)
		a.answer_len = 0;
	a.dice = d;
	return a;
}

bool ask_may_fail(const struct ask *a)
{
	return a->fate == FATE_DIE || a->fate == FATE_DIE_MID ||
	       (a->fate == FATE_EARLY_CLOSE && ask_has_body(a));
}

bool ask_is_idempotent(const struct ask *a)
{
	return a->method != METHOD_POST;
}

bool ask_is_repeatable(const struct ask *a)
{
	return ask_is_idempotent(a) && !ask_has_body(a);
}

bool ask_has_no_answer_body(const struct ask *a)
{
	return a->method == METHOD_HEAD || a->status == 204 || a->status == 304;
}

bool ask_keeps(const struct ask *a)
{
	switch (a->framing) {
	case FRAMED_LENGTH10:
	case FRAMED_CLOSE10:
		return false;
	case FRAMED_CLOSE:
		return ask_has_no_answer_body(a);
	default:
		return true;
	}
}

static size_t put_chunk(struct dice *d, uint64_t key, size_t at, size_t n, uint8_t *buf)
{
	size_t used = sprintf((char *)buf, "%zx%s\r\n", n, dice_percent(d, 10) ? ";ext=\"v\"" : "");

	pattern_write(key, at, buf + used, n);
	used += n;
	memcpy(buf + used, "\r\n", 2);
	return used + 2;
}

size_t chunks_write(struct dice *d, uint64_t key, size_t len, uint8_t *buf)
{
	static const uint32_t sizes[] = {1, 7, 300, 5000, 40000, 1 << 20};
	size_t used = 0, at = 0, n;

	/* So that the room is enough: small chunks for short bodies, or few of them. */
	for (int i = 0; at < len; i++) {
		n = sizes[dice_below(d, i < 20 ? 6 : 3) + (i < 20 ? 0 : 3)];
		n = n < len - at ? n : len - at;
		used += put_chunk(d, key, at, n, buf + used);
		at += n;
	}
	return used + sprintf((char *)buf + used, "0%s\r\n%s\r\n",
			      dice_percent(d, 10) ? ";last" : "",
			      dice_percent(d, 10) ? "X-Trailer: one\r\n" : "");
}

size_t ask_room(const struct ask *a)
{
	return 1024 + CHUNKS_ROOM + (size_t)a->body_len;
}

size_t ask_write(const struct ask *a, uint8_t *buf, size_t *ret_head)
{
	struct dice d = a->dice;
	bool has_body = a->method == METHOD_POST || a->method == METHOD_PUT;
	char *p = (char *)buf;
	size_t n;

	n = sprintf(p, "%s /%c/%016" PRIx64 " HTTP/1.%d\r\nHost: torture\r\n",
		    method_names[a->method], a->mix, a->key, a->version10 ? 0 : 1);
	if (dice_percent(&d, 30))
		n += sprintf(p + n, "User-Agent: torture/1.0\r\nAccept: */*\r\nX-Pad: %.*s\r\n",
			     (int)dice_below(&d, 64),
			     "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef");
	if (a->says_close)
		n += sprintf(p + n, "Connection: close\r\n");
	if (a->expects)
		n += sprintf(p + n, "Expect: 100-continue\r\n");
	if (a->chunked)
		n += sprintf(p + n, "Transfer-Encoding: chunked\r\n");
	else if (has_body)
		n += sprintf(p + n, "Content-Length: %u\r\n", a->body_len);
	n += sprintf(p + n, "\r\n");
	*ret_head = n;
	if (a->chunked)
		return n + chunks_write(&d, a->key, a->body_len, buf + n);
	pattern_write(a->key, 0, buf + n, a->body_len);
	return n + a->body_len;
}

uint32_t sum_more(uint32_t sum, const uint8_t *data, size_t len)
{
	return crc32(sum, data, len);
}

bool ask_has_body(const struct ask *a)
{
	return a->body_len || a->chunked;
}

uint32_t sum_begin(const struct ask *a)
{
	char line[64];
	int n = snprintf(line, sizeof(line), "%s /%c/%016" PRIx64, method_names[a->method], a->mix,
			 a->key);

	return sum_more(0, (const uint8_t *)line, n);
}

uint32_t ask_sum(const struct ask *a)
{
	uint8_t buf[4096];
	uint32_t sum = sum_begin(a);

	if (a->early)
		return sum;
	for (size_t at = 0; at < a->body_len;) {
		size_t n = a->body_len - at < sizeof(buf) ? a->body_len - at : sizeof(buf);

		pattern_write(a->key, at, buf, n);
		sum = sum_more(sum, buf, n);
		at += n;
	}
	return sum;
}

uint64_t answer_key(const struct ask *a)
{
	return mix64(a->key ^ 0x5a5a5a5a5a5a5a5aULL);
}

void pattern_write(uint64_t key, size_t at, uint8_t *buf, size_t len)
{
	for (size_t i = 0; i < len;) {
		uint64_t word = mix64(key + (at + i) / 8);
		size_t skip = (at + i) % 8, n = 8 - skip < len - i ? 8 - skip : len - i;

		memcpy(buf + i, (const uint8_t *)&word + skip, n);
		i += n;
	}
}

size_t pattern_differs(uint64_t key, size_t at, const uint8_t *buf, size_t len)
{
	uint8_t want[4096];

	for (size_t i = 0; i < len;) {
		size_t n = len - i < sizeof(want) ? len - i : sizeof(want), k = 0;

		pattern_write(key, at + i, want, n);
		if (memcmp(want, buf + i, n)) {
			while (want[k] == buf[i + k])
				k++;
			return i + k;
		}
		i += n;
	}
	return len;
}

const char *ask_text(const struct ask *a)
{
	static const char *const framings[] = {"length", "chunked", "close", "length/1.0",
					       "close/1.0"};
	static const char *const fates[] = {"keep",	   "said close", "close",
					    "idle close",  "die",	 "die mid",
					    "early close", "surplus",	 "timeout"};
	static __thread char text[256];

	snprintf(text, sizeof(text),
		 "%s /%c/%016" PRIx64 "%s%s%s body %u%s, answer %u %s %u%s%s, %s%s",
		 method_names[a->method], a->mix, a->key, a->version10 ? " HTTP/1.0" : "",
		 a->says_close ? " close" : "", a->expects ? " expect" : "", a->body_len,
		 a->chunked ? " chunked" : "", a->status, framings[a->framing], a->answer_len,
		 a->n_interim ? " after 103" : "", a->early ? " early" : "", fates[a->fate],
		 a->resets ? " by RST" : "");
	return text;
}
