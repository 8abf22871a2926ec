// SPDX-License-Identifier: GPL-2.0-only
/* The limits of a head, at the kernel's size: each reached exactly, and passed by one byte. */
#define SL_HEAD_MAX 4096
#include "head_text.h"

#define LIMIT 4096
_Static_assert(SL_HEAD_MAX == LIMIT, "the kernel's limit");

/* A request of @len bytes by a long value of X. */
static __u32 long_request(__u8 *out, __u32 len)
{
	static const char front[] = "GET / HTTP/1.1\r\nHost: a\r\nX: ";
	__u32 n = sizeof(front) - 1;

	memcpy(out, front, n);
	memset(out + n, 'v', len - n - 4);
	memcpy(out + len - 4, "\r\n\r\n", 4);
	return len;
}

static void longest_head(void)
{
	static __u8 input[LIMIT + 64];
	__u8 *buf = guarded(LIMIT);
	struct sl_head h;
	__u32 len;

	/* Every place of the end in the last blocks, and one that ends with the buffer. */
	for (len = LIMIT - 140; len <= LIMIT; len++) {
		long_request(input, len);
		memcpy(buf, input, len);
		CU_ASSERT_EQUAL(sl_request_parse(&h, buf, len), SL_PARSE_DONE);
		CU_ASSERT_EQUAL(h.len, len);
		CU_ASSERT_EQUAL(h.headers[1].value.len, len - 32);
		CU_ASSERT_EQUAL(sl_request_parse(&h, buf, len - 1), SL_PARSE_MORE);
	}
	for (len = LIMIT + 1; len < LIMIT + 20; len++) {
		long_request(input, len);
		memcpy(buf, input, LIMIT);
		CU_ASSERT_EQUAL(sl_request_parse(&h, buf, LIMIT), SL_PARSE_LONG);
		CU_ASSERT_EQUAL(h.error, 431);
		CU_ASSERT_EQUAL(sl_request_parse(&h, buf, LIMIT - 1), SL_PARSE_MORE);
		/* More bytes than there is memory for: the caller's count is not trusted. */
		CU_ASSERT_EQUAL(sl_request_parse(&h, buf, LIMIT + 1000), SL_PARSE_LONG);
	}
}

static void no_line_end(void)
{
	__u8 *buf = guarded(LIMIT);
	struct sl_head h;

	memset(buf, 'A', LIMIT); /* a method */
	CU_ASSERT_EQUAL(sl_request_parse(&h, buf, LIMIT - 1), SL_PARSE_MORE);
	CU_ASSERT_EQUAL(sl_request_parse(&h, buf, LIMIT), SL_PARSE_LONG);
	CU_ASSERT_EQUAL(h.error, 414);
	memcpy(buf, "GET /", 5); /* a target */
	CU_ASSERT_EQUAL(sl_request_parse(&h, buf, LIMIT), SL_PARSE_LONG);
	CU_ASSERT_EQUAL(h.error, 414);
	buf[LIMIT - 1] = '\r';
	CU_ASSERT_EQUAL(sl_request_parse(&h, buf, LIMIT), SL_PARSE_BAD);
	memcpy(buf, "GET / HTTP/1.1\r\n", 16); /* a name */
	buf[LIMIT - 1] = 'A';
	CU_ASSERT_EQUAL(sl_request_parse(&h, buf, LIMIT), SL_PARSE_LONG);
	CU_ASSERT_EQUAL(h.error, 431);
	memset(buf + 16, '\t', LIMIT - 16);
	CU_ASSERT_EQUAL(sl_request_parse(&h, buf, LIMIT), SL_PARSE_BAD);
	memcpy(buf + 16, "Host: a\r\nX: ", 12); /* a value of tabs: each of them is looked at */
	CU_ASSERT_EQUAL(sl_request_parse(&h, buf, LIMIT), SL_PARSE_LONG);
	memcpy(buf + LIMIT - 4, "\r\n\r\n", 4);
	CU_ASSERT_EQUAL(sl_request_parse(&h, buf, LIMIT), SL_PARSE_DONE);
	CU_ASSERT_EQUAL(h.headers[1].value.len, 0);
	/* CR LF over the edges of words and blocks is in test_http's splits; here over the end. */
	memset(buf, 'A', LIMIT);
	memcpy(buf, "GET / HTTP/1.1\r\nHost: a\r\nX: ", 28);
	buf[LIMIT - 1] = '\r';
	CU_ASSERT_EQUAL(sl_request_parse(&h, buf, LIMIT), SL_PARSE_LONG);
}

static void most_headers(void)
{
	__u8 *buf = guarded(LIMIT);
	struct sl_head h;
	char *p = (char *)buf;
	__u32 n;

	p += sprintf(p, "GET / HTTP/1.1\r\nHost: a\r\n");
	for (n = 1; n < SL_MAX_HEADERS; n++)
		p += sprintf(p, "N%u: %u\r\n", n, n);
	sprintf(p, "\r\n");
	CU_ASSERT_EQUAL(sl_request_parse(&h, buf, (__u8 *)p + 2 - buf), SL_PARSE_DONE);
	CU_ASSERT_EQUAL(h.n_headers, SL_MAX_HEADERS);
	CU_ASSERT_EQUAL(h.headers[SL_MAX_HEADERS - 1].name.len, 3);
	sprintf(p, "Z: 1\r\n\r\n");
	CU_ASSERT_EQUAL(sl_request_parse(&h, buf, (__u8 *)p + 8 - buf), SL_PARSE_LONG);
	CU_ASSERT_EQUAL(h.error, 431);
	CU_ASSERT_EQUAL(h.n_headers, SL_MAX_HEADERS);
}

/* A line end at every place of a block of 64 bytes, with a line of every length after it. */
static void every_offset(void)
{
	__u8 *buf = guarded(LIMIT);
	struct sl_head h;

	for (__u32 pad = 0; pad < 130; pad++) {
		for (__u32 value = 0; value < 70; value++) {
			char *p = (char *)buf;
			__u32 len;

			p += sprintf(p, "GET /%0*d HTTP/1.1\r\nHost: a\r\nX:%0*d\r\nB: c\r\n\r\n",
				     pad + 1, 0, value + 1, 0);
			len = (__u8 *)p - buf;
			if (sl_request_parse(&h, buf, len) != SL_PARSE_DONE || h.len != len ||
			    h.target.len != pad + 2 || h.n_headers != 3 ||
			    h.headers[1].value.len != value + 1 || h.headers[2].value.len != 1)
				CHECK_CASE(0, "every offset", "%u, %u", pad, value);
		}
	}
	CU_PASS("every offset");
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"the longest head", longest_head},
		{"no line end within the limit", no_line_end},
		{"the most headers", most_headers},
		{"line ends at every offset", every_offset},
		CU_TEST_INFO_NULL,
	};

	return run_suite("http: limits", tests);
}
