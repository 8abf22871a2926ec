// SPDX-License-Identifier: GPL-2.0-only
/* Heads of requests that are refused: each a known way to make two parsers disagree. */
#include "head_text.h"

#define GET "GET / HTTP/1.1\r\n"
#define GET_OF(target) "GET " target " HTTP/1.1\r\nHost: a\r\n\r\n"
#define PUT "PUT / HTTP/1.1\r\nHost: a\r\n"
#define HOST "Host: a\r\n"
#define END "\r\n"
#define A64 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define LINE(line) line "\r\nHost: a\r\n\r\n"

static const struct head_case lines[] = {
	{"bare LF", "GET / HTTP/1.1\nHost: a\n\n", "bad 400", 0},
	{"bare LF after a header line", GET "Host: a\nX: b\r\n\r\n", "bad 400", 0},
	{"bare CR", GET "Host: a\rX: b\r\n\r\n", "bad 400", 0},
	{"CR CR LF", "GET / HTTP/1.1\r\r\nHost: a\r\n\r\n", "bad 400", 0},
	{"LF at the end", GET HOST "\n", "bad 400", 0},
	{"empty line in front", "\r\n" GET HOST END, "bad 400", 0},
	{"LF in front", "\n" GET HOST END, "bad 400", 0},
	{"NUL in a value", "GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n", "bad 400", 35},
	{"NUL in a name", "GET / HTTP/1.1\r\nHost: a\r\nX\0: a\r\n\r\n", "bad 400", 34},
	{"NUL in a target", "GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n", "bad 400", 28},
	{"DEL", GET HOST "X: \x7f\r\n\r\n", "bad 400", 0},
	{"VT", GET HOST "X: \x0b\r\n\r\n", "bad 400", 0},
	{"ESC", GET HOST "X: \x1b[0m\r\n\r\n", "bad 400", 0},
	{"obs-fold by space", GET HOST "X: a\r\n b\r\n\r\n", "bad 400", 0},
	{"obs-fold by tab", GET HOST "X: a\r\n\tb\r\n\r\n", "bad 400", 0},
	{"space before the first header", GET " Host: a\r\n\r\n", "bad 400", 0},
	{"space before the colon", GET "Host : a\r\n\r\n", "bad 400", 0},
	{"tab before the colon", GET HOST "X\t: a\r\n\r\n", "bad 400", 0},
	{"space in a name", GET HOST "X Y: a\r\n\r\n", "bad 400", 0},
	{"no colon", GET HOST "X\r\n\r\n", "bad 400", 0},
	{"no name", GET HOST ": a\r\n\r\n", "bad 400", 0},
	{"separators in a name: (", GET HOST "X(: a\r\n\r\n", "bad 400", 0},
	{"separators in a name: /", GET HOST "X/: a\r\n\r\n", "bad 400", 0},
	{"separators in a name: @", GET HOST "X@: a\r\n\r\n", "bad 400", 0},
	{"separators in a name: [", GET HOST "X[: a\r\n\r\n", "bad 400", 0},
	{"separators in a name: \"", GET HOST "X\": a\r\n\r\n", "bad 400", 0},
	{"separators in a name: ,", GET HOST "X,: a\r\n\r\n", "bad 400", 0},
	{"8 bits in a name", GET HOST "X\xc3\xa9: a\r\n\r\n", "bad 400", 0},
	{"a long name that is bad late", GET HOST A64 "{: a\r\n\r\n", "bad 400", 0},
	{"TLS", "\x16\x03\x01\x02", "bad 400", 0},
	{"HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "bad 505", 0},
};

static const struct head_case request_lines[] = {
	{"HTTP/2.0", LINE("GET / HTTP/2.0"), "bad 505", 0},
	{"HTTP/1.2", LINE("GET / HTTP/1.2"), "bad 505", 0},
	{"HTTP/0.9", LINE("GET / HTTP/0.9"), "bad 505", 0},
	{"no version", LINE("GET /"), "bad 400", 0},
	{"no version, space", LINE("GET / "), "bad 400", 0},
	{"version in lower case", LINE("GET / http/1.1"), "bad 400", 0},
	{"version of two digits", LINE("GET / HTTP/1.10"), "bad 400", 0},
	{"version with zero", LINE("GET / HTTP/01.1"), "bad 400", 0},
	{"version without digit", LINE("GET / HTTP/1."), "bad 400", 0},
	{"version with letter", LINE("GET / HTTP/1.x"), "bad 400", 0},
	{"version with comma", LINE("GET / HTTP/1,1"), "bad 400", 0},
	{"another protocol", LINE("GET / HTCP/1.1"), "bad 400", 0},
	{"space after the version", LINE("GET / HTTP/1.1 "), "bad 400", 0},
	{"tab after the version", LINE("GET / HTTP/1.1\t"), "bad 400", 0},
	{"two spaces", LINE("GET  / HTTP/1.1"), "bad 400", 0},
	{"two spaces before the version", LINE("GET /  HTTP/1.1"), "bad 400", 0},
	{"tab for a space", LINE("GET\t/ HTTP/1.1"), "bad 400", 0},
	{"space in front", LINE(" GET / HTTP/1.1"), "bad 400", 0},
	{"no target", LINE("GET HTTP/1.1"), "bad 400", 0},
	{"empty target", LINE("GET  HTTP/1.1"), "bad 400", 0},
	{"no method", LINE("/ HTTP/1.1"), "bad 400", 0},
	{"method with (", LINE("GE( / HTTP/1.1"), "bad 400", 0},
	{"method with 8 bits", LINE("G\xe9 / HTTP/1.1"), "bad 400", 0},
	{"long method with :", LINE("GETTTTTTTT: / HTTP/1.1"), "bad 400", 0},
	{"space in a target", LINE("GET /a b HTTP/1.1"), "bad 400", 0},
	{"tab in a target", LINE("GET /a\tb HTTP/1.1"), "bad 400", 0},
	{"8 bits in a target", LINE("GET /\xc3\xa9 HTTP/1.1"), "bad 400", 0},
	{"8 bits late in a target", LINE("GET /" A64 "\x80 HTTP/1.1"), "bad 400", 0},
	{"fragment", LINE("GET /a#b HTTP/1.1"), "bad 400", 0},
	{"fragment in a query", LINE("GET /a?b#c HTTP/1.1"), "bad 400", 0},
	{"relative target", LINE("GET a HTTP/1.1"), "bad 400", 0},
	{"query for a target", LINE("GET ?a HTTP/1.1"), "bad 400", 0},
	{"asterisk for GET", LINE("GET * HTTP/1.1"), "bad 400", 0},
	{"asterisk and more", LINE("OPTIONS *a HTTP/1.1"), "bad 400", 0},
	{"CONNECT to a path", LINE("CONNECT / HTTP/1.1"), "bad 400", 0},
	{"CONNECT without port", LINE("CONNECT a HTTP/1.1"), "bad 400", 0},
	{"CONNECT with empty port", LINE("CONNECT a: HTTP/1.1"), "bad 400", 0},
	{"CONNECT with letters for a port", LINE("CONNECT a:8x HTTP/1.1"), "bad 400", 0},
	{"CONNECT without host", LINE("CONNECT :80 HTTP/1.1"), "bad 400", 0},
	{"CONNECT to IPv6 without port", LINE("CONNECT [::1] HTTP/1.1"), "bad 400", 0},
	{"CONNECT to a URL", LINE("CONNECT http://a:80/ HTTP/1.1"), "bad 400", 0},
	{"CONNECT with user", LINE("CONNECT u@a:80 HTTP/1.1"), "bad 400", 0},
	{"absolute-form without host", LINE("GET http:///a HTTP/1.1"), "bad 400", 0},
	{"absolute-form, nothing", LINE("GET http:// HTTP/1.1"), "bad 400", 0},
	{"absolute-form, query alone", LINE("GET http://a?b HTTP/1.1"), "bad 400", 0},
	{"absolute-form with user", LINE("GET http://u@a/ HTTP/1.1"), "bad 400", 0},
	{"absolute-form, comma", LINE("GET http://a,b/ HTTP/1.1"), "bad 400", 0},
	{"absolute-form, another scheme", LINE("GET ftp://a/ HTTP/1.1"), "bad 400", 0},
	{"absolute-form, one slash", LINE("GET http:/a HTTP/1.1"), "bad 400", 0},
};

static const struct head_case hosts[] = {
	{"no Host", GET "X: a\r\n\r\n", "bad 400", 0},
	{"no header at all", GET END, "bad 400", 0},
	{"absolute-form does not excuse from Host", "GET http://a/ HTTP/1.1\r\n\r\n", "bad 400", 0},
	{"two Hosts", GET HOST HOST END, "bad 400", 0},
	{"two Hosts, apart, another case", GET HOST "X: y\r\nhOST: b\r\n\r\n", "bad 400", 0},
	{"two Hosts, one empty", GET "Host:\r\n" HOST END, "bad 400", 0},
	{"two Hosts in 1.0", "GET / HTTP/1.0\r\n" HOST HOST END, "bad 400", 0},
	{"Host with comma", GET "Host: a,b\r\n\r\n", "bad 400", 0},
	{"Host with space", GET "Host: a b\r\n\r\n", "bad 400", 0},
	{"Host with tab", GET "Host: a\tb\r\n\r\n", "bad 400", 0},
	{"Host with path", GET "Host: a/b\r\n\r\n", "bad 400", 0},
	{"Host with user", GET "Host: u@a\r\n\r\n", "bad 400", 0},
	{"Host with ?", GET "Host: a?b\r\n\r\n", "bad 400", 0},
	{"Host with #", GET "Host: a#b\r\n\r\n", "bad 400", 0},
	{"Host with \\", GET "Host: a\\b\r\n\r\n", "bad 400", 0},
	{"Host with \"", GET "Host: \"a\"\r\n\r\n", "bad 400", 0},
	{"Host with 8 bits", GET "Host: a\xe9\r\n\r\n", "bad 400", 0},
	{"Host with a port that is none", GET "Host: a:b\r\n\r\n", "bad 400", 0},
	{"Host with a port and more", GET "Host: a:80b\r\n\r\n", "bad 400", 0},
	{"Host with two ports", GET "Host: a:1:2\r\n\r\n", "bad 400", 0},
	{"long Host with two ports", GET "Host: " A64 ":1:2\r\n\r\n", "bad 400", 0},
	{"Host with the port's colon in its first word, another behind",
	 GET "Host: abcdef:12345678:1\r\n\r\n", "bad 400", 0},
	{"Host with a letter in the port's second word", GET "Host: abcdef:1234567a\r\n\r\n",
	 "bad 400", 0},
	{"Host with an address of IPv6, bare", GET "Host: ::1\r\n\r\n", "bad 400", 0},
	{"Host with ]", GET "Host: a]\r\n\r\n", "bad 400", 0},
	{"Host with [ inside", GET "Host: a[::1]\r\n\r\n", "bad 400", 0},
	{"Host with [ alone", GET "Host: [::1\r\n\r\n", "bad 400", 0},
	{"Host with [ twice", GET "Host: [[::1]]\r\n\r\n", "bad 400", 0},
	{"Host with a name behind ]", GET "Host: [::1]a\r\n\r\n", "bad 400", 0},
	{"absolute-form with a port that is none", GET_OF("http://a:b/"), "bad 400", 0},
	{"absolute-form with a port alone", GET_OF("http://:80/"), "bad 400", 0},
	{"long Host, bad at its end", GET "Host: " A64 "@\r\n\r\n", "bad 400", 0},
	{"Host of 33 bytes, bad at its end", GET "Host: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa^\r\n\r\n",
	 "bad 400", 0},
};

static const struct head_case framing[] = {
	{"Content-Length twice", PUT "Content-Length: 5\r\nContent-Length: 5\r\n\r\n", "bad 400",
	 0},
	{"Content-Length twice, different", PUT "Content-Length: 5\r\ncontent-length: 6\r\n\r\n",
	 "bad 400", 0},
	{"Content-Length 5, 5", PUT "Content-Length: 5, 5\r\n\r\n", "bad 400", 0},
	{"Content-Length 5,5", PUT "Content-Length: 5,5\r\n\r\n", "bad 400", 0},
	{"Content-Length +5", PUT "Content-Length: +5\r\n\r\n", "bad 400", 0},
	{"Content-Length -5", PUT "Content-Length: -5\r\n\r\n", "bad 400", 0},
	{"Content-Length 0x5", PUT "Content-Length: 0x5\r\n\r\n", "bad 400", 0},
	{"Content-Length 5 5", PUT "Content-Length: 5 5\r\n\r\n", "bad 400", 0},
	{"Content-Length 5;", PUT "Content-Length: 5;\r\n\r\n", "bad 400", 0},
	{"Content-Length 123456789a", PUT "Content-Length: 123456789a\r\n\r\n", "bad 400", 0},
	{"Content-Length a", PUT "Content-Length: a\r\n\r\n", "bad 400", 0},
	{"Content-Length 5.0", PUT "Content-Length: 5.0\r\n\r\n", "bad 400", 0},
	{"Content-Length \"5\"", PUT "Content-Length: \"5\"\r\n\r\n", "bad 400", 0},
	{"Content-Length empty", PUT "Content-Length:\r\n\r\n", "bad 400", 0},
	{"Content-Length 2^63", PUT "Content-Length: 9223372036854775808\r\n\r\n", "bad 400", 0},
	{"Content-Length 2^64", PUT "Content-Length: 18446744073709551616\r\n\r\n", "bad 400", 0},
	{"Content-Length of 20 digits", PUT "Content-Length: 00000000000000000005\r\n\r\n",
	 "bad 400", 0},
	{"Content-Length with TE", PUT "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
	 "bad 400", 0},
	{"TE with Content-Length", PUT "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n",
	 "bad 400", 0},
	{"TE twice", PUT "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
	 "bad 400", 0},
	{"TE, then another", PUT "Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n\r\n",
	 "bad 400", 0},
	{"TE in 1.0", "PUT / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", "bad 400", 0},
	{"TE gzip", PUT "Transfer-Encoding: gzip\r\n\r\n", "bad 501", 0},
	{"TE gzip, chunked", PUT "Transfer-Encoding: gzip, chunked\r\n\r\n", "bad 501", 0},
	{"TE chunked, chunked", PUT "Transfer-Encoding: chunked, chunked\r\n\r\n", "bad 501", 0},
	{"TE identity", PUT "Transfer-Encoding: identity\r\n\r\n", "bad 501", 0},
	{"TE empty", PUT "Transfer-Encoding:\r\n\r\n", "bad 501", 0},
	{"TE \"chunked\"", PUT "Transfer-Encoding: \"chunked\"\r\n\r\n", "bad 501", 0},
	{"TE chunked;q", PUT "Transfer-Encoding: chunked;q=1\r\n\r\n", "bad 501", 0},
	{"TE xchunked", PUT "Transfer-Encoding: xchunked\r\n\r\n", "bad 501", 0},
	{"TE chunke", PUT "Transfer-Encoding: chunke\r\n\r\n", "bad 501", 0},
	{"TE with VT",
	 PUT "Transfer-Encoding: \x0b"
	     "chunked\r\n\r\n",
	 "bad 400", 0},
	{"TE with space before the colon", PUT "Transfer-Encoding : chunked\r\n\r\n", "bad 400", 0},
	{"the first fault decides", PUT "Transfer-Encoding: gzip\r\nX : y\r\n\r\n", "bad 501", 0},
};

static const struct head_case early[] = {
	{"fault in a line that goes on: method", "GE(", "bad 400", 0},
	{"method without space", "GET/ HTTP/1.1", "bad 400", 0},
	{"target", "GET /a#", "bad 400", 0},
	{"second space", "GET  ", "bad 400", 0},
	{"version", "GET / HTTQ", "bad 400", 0},
	{"version, digit", "GET / HTTP/x", "bad 400", 0},
	{"version, end", "GET / HTTP/1.1x", "bad 400", 0},
	{"version, CR too early", "GET / HTTP/1\r", "bad 400", 0},
	{"name", GET "Host :", "bad 400", 0},
	{"fold", GET HOST " ", "bad 400", 0},
	{"no colon, CR", GET HOST "X\r", "bad 400", 0},
	{"bare LF far from a line's end", "G\n", "bad 400", 0},
};

static void run(const struct head_case *cases, size_t n)
{
	__u8 *buf = guarded(SL_HEAD_MAX);

	for (size_t i = 0; i < n; i++)
		head_case_run(&cases[i], buf, false);
}

#define RUN(cases) run(cases, sizeof(cases) / sizeof(cases[0]))

static void bad_lines(void)
{
	RUN(lines);
}

static void bad_request_lines(void)
{
	RUN(request_lines);
}

static void bad_hosts(void)
{
	RUN(hosts);
}

static void bad_framing(void)
{
	RUN(framing);
}

static void bad_early(void)
{
	RUN(early);
}

/* Every byte at every place of a head: what is taken must still be strict there. */
static void every_byte(void)
{
	static const char head[] = "GET /a?b HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n";
	const __u32 len = sizeof(head) - 1;
	__u8 *buf = guarded(SL_HEAD_MAX);
	struct sl_head h;

	for (__u32 i = 0; i < len; i++) {
		for (__u32 c = 0; c < 256; c++) {
			bool line_end = head[i] == '\r' || head[i] == '\n';
			bool control = (c < 0x20 && c != '\t') || c == 0x7f;
			enum sl_parse result;

			memcpy(buf, head, len);
			buf[i] = c;
			if (c == (__u8)head[i])
				continue;
			result = sl_request_parse(&h, buf, len);
			if (line_end || control)
				CU_ASSERT_NOT_EQUAL(result, SL_PARSE_DONE);
			/* 8-bit bytes and HTAB stand in a value alone, those at 24 and 30. */
			if (c >= 0x80 || c == '\t')
				CU_ASSERT_EQUAL(result == SL_PARSE_DONE,
						i == 30 || i == 31 ||
							(c == '\t' && (i == 24 || i == 25)));
		}
	}
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"bytes and lines", bad_lines},
		{"request lines", bad_request_lines},
		{"Host", bad_hosts},
		{"framing", bad_framing},
		{"faults are seen before the line ends", bad_early},
		{"every byte at every place", every_byte},
		CU_TEST_INFO_NULL,
	};

	return run_suite("http: refused requests", tests);
}
