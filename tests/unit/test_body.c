// SPDX-License-Identifier: GPL-2.0-only
/* Where bodies end, RFC 9112 sections 6.3 and 7.1: each case whole, byte by byte and split
 * anywhere. */
#include "core.h"
#include "sl_http.h"

struct body_case {
	const char *name;
	const char *input;
	__u32 used; /* bytes taken: to the body's end, or to the fault */
	enum sl_body_result result;
	__u32 len; /* 0: strlen(input) */
};

static const struct body_case chunked[] = {
	{"one chunk", "5\r\nhello\r\n0\r\n\r\n", 15, SL_BODY_DONE, 0},
	{"no chunk", "0\r\n\r\n", 5, SL_BODY_DONE, 0},
	{"what follows is not its", "0\r\n\r\n0\r\n", 5, SL_BODY_DONE, 0},
	{"hex, both cases", "a\r\n0123456789\r\nA\r\n0123456789\r\n00\r\n\r\n", 36, SL_BODY_DONE,
	 0},
	{"data of any bytes", "6\r\n\r\n0\r\n\n\r\n0\r\n\r\n", 16, SL_BODY_DONE, 0},
	{"16 digits", "0000000000000001\r\nx\r\n0000000000000000\r\n\r\n", 41, SL_BODY_DONE, 0},
	{"extension", "1;a\r\nx\r\n0;b=\"c;\\\"\t\xe9\"\r\n\r\n", 24, SL_BODY_DONE, 0},
	{"trailers", "0\r\nA: b\r\nX-Y:\r\nZ: \t \xe9\r\n\r\n", 25, SL_BODY_DONE, 0},
	{"not whole: size", "5", 1, SL_BODY_MORE, 0},
	{"not whole: data", "5\r\nhel", 6, SL_BODY_MORE, 0},
	{"not whole: end of data", "5\r\nhello\r", 9, SL_BODY_MORE, 0},
	{"not whole: trailers", "0\r\nA: b\r\n", 9, SL_BODY_MORE, 0},
	{"not whole: last LF", "0\r\n\r", 4, SL_BODY_MORE, 0},
	{"no digit", "\r\n", 0, SL_BODY_BAD, 0},
	{"no digit, extension", ";a\r\n", 0, SL_BODY_BAD, 0},
	{"not hex", "g\r\n", 0, SL_BODY_BAD, 0},
	{"not hex, later", "1g\r\n", 1, SL_BODY_BAD, 0},
	{"sign", "+1\r\n", 0, SL_BODY_BAD, 0},
	{"0x", "0x1\r\n", 1, SL_BODY_BAD, 0},
	{"space before the size", " 1\r\n", 0, SL_BODY_BAD, 0},
	{"space after the size", "1 \r\n", 1, SL_BODY_BAD, 0},
	{"space before an extension", "1 ;a\r\n", 1, SL_BODY_BAD, 0},
	{"17 digits", "00000000000000001\r\n", 16, SL_BODY_BAD, 0},
	{"17 digits, 2^64", "10000000000000000\r\n", 16, SL_BODY_BAD, 0},
	{"bare LF after the size", "1\nx\r\n", 1, SL_BODY_BAD, 0},
	{"bare LF in an extension", "1;a\nx\r\n", 3, SL_BODY_BAD, 0},
	{"CR alone after the size", "1\rx\r\n", 2, SL_BODY_BAD, 0},
	{"CR in an extension", "1;a\rb\r\n", 4, SL_BODY_BAD, 0},
	{"NUL in an extension", "1;\0\r\n", 2, SL_BODY_BAD, 6},
	{"DEL in an extension", "1;\x7f\r\n", 2, SL_BODY_BAD, 0},
	{"data too long", "1\r\nxy\r\n", 4, SL_BODY_BAD, 0},
	{"bare LF after the data", "1\r\nx\n", 4, SL_BODY_BAD, 0},
	{"CR CR after the data", "1\r\nx\r\r\n", 5, SL_BODY_BAD, 0},
	{"trailer without colon", "0\r\nA\r\n\r\n", 4, SL_BODY_BAD, 0},
	{"trailer without name", "0\r\n: a\r\n\r\n", 3, SL_BODY_BAD, 0},
	{"trailer with a space in the name", "0\r\nA : a\r\n\r\n", 4, SL_BODY_BAD, 0},
	{"trailer that is folded", "0\r\nA: b\r\n c\r\n\r\n", 9, SL_BODY_BAD, 0},
	{"trailer with 8 bits in the name", "0\r\nA\xe9: b\r\n\r\n", 4, SL_BODY_BAD, 0},
	{"trailer with bare LF", "0\r\nA: b\n\r\n", 7, SL_BODY_BAD, 0},
	{"trailer with bare CR", "0\r\nA: b\rc\r\n", 8, SL_BODY_BAD, 0},
	{"bare LF at the end", "0\r\n\n", 3, SL_BODY_BAD, 0},
	{"CR CR at the end", "0\r\n\r\r", 4, SL_BODY_BAD, 0},
};

static struct sl_body new_chunked(void)
{
	struct sl_body b = {.kind = SL_BODY_CHUNKED};

	return b;
}

/* The input in pieces of @a, then @b, then @a ... bytes; the sum of what was taken. */
static enum sl_body_result feed(struct sl_body *body, const char *input, __u32 len, __u32 a,
				__u32 b, __u32 *ret_used)
{
	enum sl_body_result result = SL_BODY_MORE;
	__u32 at = 0, next = a, used;
	static __u8 *end; /* each piece ends where memory does */

	if (!end)
		end = guarded(4096) + 4096;
	*ret_used = 0;
	while (at < len && result == SL_BODY_MORE) {
		__u32 n = next < len - at ? next : len - at;
		__u8 *piece = end - n;

		memcpy(piece, input + at, n);
		result = sl_body_feed(body, piece, n, &used);
		*ret_used += used;
		CU_ASSERT(used <= n && (result != SL_BODY_MORE || used == n));
		at += n;
		next = next == a ? b : a;
	}
	return result;
}

static void chunked_bodies(void)
{
	for (size_t i = 0; i < sizeof(chunked) / sizeof(chunked[0]); i++) {
		const struct body_case *c = &chunked[i];
		__u32 len = c->len ? c->len : strlen(c->input), split, used;

		for (split = 0; split <= len; split++) {
			/* Split 0: byte by byte; len: whole; else in two. */
			struct sl_body b = new_chunked();
			enum sl_body_result result =
				feed(&b, c->input, len, split ? split : 1, split ? len : 1, &used);

			CHECK_CASE(result == c->result && used == c->used, c->name,
				   "split %u: result %u, %u bytes", split, result, used);
			CHECK_CASE(sl_body_done(&b) == (c->result == SL_BODY_DONE), c->name,
				   "done");
		}
	}
}

/* The two pieces that BPF uses, by hand: data is never passed byte by byte. */
static void skip_and_byte(void)
{
	struct sl_body b = new_chunked();
	const char *line = "10\r\n";

	CU_ASSERT_EQUAL(sl_body_skip(&b, 100), 0);
	while (*line)
		CU_ASSERT_EQUAL(sl_chunk_byte(&b, *line++), SL_BODY_MORE);
	CU_ASSERT_EQUAL(sl_body_skip(&b, 5), 5);
	CU_ASSERT_EQUAL(sl_body_skip(&b, 0), 0);
	CU_ASSERT_EQUAL(sl_body_skip(&b, 100), 11);
	CU_ASSERT_EQUAL(sl_body_skip(&b, 100), 0);
	CU_ASSERT_EQUAL(sl_chunk_byte(&b, '\r'), SL_BODY_MORE);
	CU_ASSERT_EQUAL(sl_chunk_byte(&b, '\n'), SL_BODY_MORE);
	/* Data that ends just with the bytes that there are. */
	CU_ASSERT_EQUAL(sl_chunk_byte(&b, '3'), SL_BODY_MORE);
	CU_ASSERT_EQUAL(sl_chunk_byte(&b, '\r'), SL_BODY_MORE);
	CU_ASSERT_EQUAL(sl_chunk_byte(&b, '\n'), SL_BODY_MORE);
	CU_ASSERT_EQUAL(sl_body_skip(&b, 3), 3);
	CU_ASSERT_EQUAL(sl_chunk_byte(&b, '\r'), SL_BODY_MORE);
	CU_ASSERT_EQUAL(sl_chunk_byte(&b, '\n'), SL_BODY_MORE);
	CU_ASSERT_EQUAL(sl_chunk_byte(&b, 'x'), SL_BODY_BAD);
	CU_ASSERT_EQUAL(sl_chunk_byte(&b, '0'), SL_BODY_BAD); /* and stays it */
	CU_ASSERT_FALSE(sl_body_done(&b));
	b.state = 200; /* maps are a public interface */
	CU_ASSERT_EQUAL(sl_chunk_byte(&b, '0'), SL_BODY_BAD);
}

static void largest_chunk(void)
{
	struct sl_body b = new_chunked();
	__u32 used;

	CU_ASSERT_EQUAL(feed(&b, "ffffffffffffffff\r\n", 18, 18, 18, &used), SL_BODY_MORE);
	CU_ASSERT_EQUAL(b.left, ~0ULL);
	CU_ASSERT_EQUAL(sl_body_skip(&b, ~0U), ~0U);
	CU_ASSERT_EQUAL(b.left, ~0ULL - ~0U);
}

/* @n bytes of @c after @front; how many of them are taken before the limit. */
static __u32 until_bad(const char *front, char c)
{
	struct sl_body b = new_chunked();
	__u32 n = 0;

	for (; *front; front++)
		CU_ASSERT_EQUAL(sl_chunk_byte(&b, *front), SL_BODY_MORE);
	while (n < 100000 && sl_chunk_byte(&b, c) != SL_BODY_BAD)
		n++;
	return n;
}

static void limits(void)
{
	struct sl_body b = new_chunked();
	const char *p = "0\r\n";
	__u32 n;

	CU_ASSERT_EQUAL(until_bad("1;", 'x'), SL_CHUNK_LINE_MAX - 2);
	CU_ASSERT_EQUAL(until_bad("0\r\n", 'A'), SL_CHUNK_TRAILERS_MAX);
	CU_ASSERT_EQUAL(until_bad("0\r\nA:", 'x'), SL_CHUNK_TRAILERS_MAX - 2);
	/* All trailers together. */
	for (; *p; p++)
		sl_chunk_byte(&b, *p);
	for (n = 0; n < SL_CHUNK_TRAILERS_MAX; n += 5) {
		for (p = "A:b\r\n"; *p; p++) {
			if (sl_chunk_byte(&b, *p) == SL_BODY_BAD)
				goto out;
		}
	}
out:
	CU_ASSERT(n > SL_CHUNK_TRAILERS_MAX - 5 && n <= SL_CHUNK_TRAILERS_MAX);
}

static void other_kinds(void)
{
	struct sl_body b = {.kind = SL_BODY_LENGTH, .left = 5};
	__u32 used;

	CU_ASSERT_EQUAL(sl_body_feed(&b, (const __u8 *)"abc", 3, &used), SL_BODY_MORE);
	CU_ASSERT_EQUAL(used, 3);
	CU_ASSERT_EQUAL(sl_body_feed(&b, (const __u8 *)"defgh", 5, &used), SL_BODY_DONE);
	CU_ASSERT_EQUAL(used, 2);
	CU_ASSERT_EQUAL(sl_body_feed(&b, (const __u8 *)"x", 1, &used), SL_BODY_DONE);
	CU_ASSERT_EQUAL(used, 0);

	b = (struct sl_body){.kind = SL_BODY_LENGTH, .left = 0};
	CU_ASSERT_TRUE(sl_body_done(&b));
	b = (struct sl_body){.kind = SL_BODY_NONE};
	CU_ASSERT_TRUE(sl_body_done(&b));
	CU_ASSERT_EQUAL(sl_body_skip(&b, 10), 0);
	CU_ASSERT_EQUAL(sl_body_feed(&b, NULL, 0, &used), SL_BODY_DONE);

	b = (struct sl_body){.kind = SL_BODY_CLOSE};
	CU_ASSERT_EQUAL(sl_body_feed(&b, (const __u8 *)"abc", 3, &used), SL_BODY_MORE);
	CU_ASSERT_EQUAL(used, 3);
	CU_ASSERT_FALSE(sl_body_done(&b));
}

static void kinds_of_messages(void)
{
	const struct sl_head none = {.status = 200},
			     length = {.flags = SL_HEAD_LENGTH, .length = 7},
			     chunks = {.flags = SL_HEAD_CHUNKED};
	static const struct {
		__u16 status;
		__u16 flags;
		bool head;
		enum sl_body_kind kind;
	} responses[] = {
		{200, 0, false, SL_BODY_CLOSE},
		{200, SL_HEAD_LENGTH, false, SL_BODY_LENGTH},
		{200, SL_HEAD_CHUNKED, false, SL_BODY_CHUNKED},
		{200, 0, true, SL_BODY_NONE},
		{200, SL_HEAD_LENGTH, true, SL_BODY_NONE},
		{200, SL_HEAD_CHUNKED, true, SL_BODY_NONE},
		{204, SL_HEAD_LENGTH, false, SL_BODY_NONE},
		{304, SL_HEAD_LENGTH, false, SL_BODY_NONE},
		{304, SL_HEAD_CHUNKED, false, SL_BODY_NONE},
		{100, SL_HEAD_LENGTH, false, SL_BODY_NONE},
		{199, 0, false, SL_BODY_NONE},
		{205, SL_HEAD_LENGTH, false, SL_BODY_LENGTH},
		{500, 0, false, SL_BODY_CLOSE},
	};

	CU_ASSERT_EQUAL(sl_request_body(&none).kind, SL_BODY_NONE);
	CU_ASSERT_EQUAL(sl_request_body(&length).kind, SL_BODY_LENGTH);
	CU_ASSERT_EQUAL(sl_request_body(&length).left, 7);
	CU_ASSERT_EQUAL(sl_request_body(&chunks).kind, SL_BODY_CHUNKED);
	for (size_t i = 0; i < sizeof(responses) / sizeof(responses[0]); i++) {
		struct sl_head h = {
			.status = responses[i].status, .flags = responses[i].flags, .length = 9};
		struct sl_body b = sl_response_body(&h, responses[i].head);

		CU_ASSERT_EQUAL(b.kind, responses[i].kind);
		CU_ASSERT_EQUAL(b.left, b.kind == SL_BODY_LENGTH ? 9 : 0);
	}
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"chunked bodies", chunked_bodies},
		{"skip and byte", skip_and_byte},
		{"the largest chunk", largest_chunk},
		{"limits", limits},
		{"length, none, close", other_kinds},
		{"which kind a message has", kinds_of_messages},
		CU_TEST_INFO_NULL,
	};

	return run_suite("body", tests);
}
