// SPDX-License-Identifier: GPL-2.0-only
/* Heads of responses. */
#include "head_text.h"

#include "sl_decide.h"

#define OK "HTTP/1.1 200 OK\r\n"
#define LINE(line) line "\r\nX: y\r\n\r\n"

static const struct head_case cases[] = {
	{"simple", OK "Content-Length: 5\r\n\r\nhello", "38 200 length=5 | Content-Length=5", 0},
	{"no header", OK "\r\n", "19 200", 0},
	{"empty reason", "HTTP/1.1 200 \r\n\r\n", "17 200", 0},
	{"no reason, no space", "HTTP/1.1 404\r\n\r\n", "16 404", 0},
	{"reason of anything", "HTTP/1.1 599 a\tb \xe9 :\r\n\r\n", "24 599", 0},
	{"1.0", "HTTP/1.0 200 OK\r\n\r\n", "19 200 1.0", 0},
	{"interim", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", "25 100", 0},
	{"chunked", OK "Transfer-Encoding: chunked\r\n\r\n",
	 "47 200 chunked | Transfer-Encoding=chunked", 0},
	{"close", OK "Connection: close\r\n\r\n", "38 200 close | Connection=close", 0},
	{"Host means nothing", OK "Server: x\r\n\r\n", "30 200 | Server=x", 0},
	{"half a status", "HTTP/1.1 2", "more", 0},
	{"half a version", "HTT", "more", 0},
	{"two digits", LINE("HTTP/1.1 20 OK"), "bad 400", 0},
	{"two digits, end", LINE("HTTP/1.1 20"), "bad 400", 0},
	{"four digits", LINE("HTTP/1.1 2000 OK"), "bad 400", 0},
	{"below 100", LINE("HTTP/1.1 099 OK"), "bad 400", 0},
	{"above 599", LINE("HTTP/1.1 600 OK"), "bad 400", 0},
	{"letters", LINE("HTTP/1.1 2x0 OK"), "bad 400", 0},
	{"sign", LINE("HTTP/1.1 +20 OK"), "bad 400", 0},
	{"two spaces", LINE("HTTP/1.1  200 OK"), "bad 400", 0},
	{"tab", LINE("HTTP/1.1\t200 OK"), "bad 400", 0},
	{"tab before the reason", LINE("HTTP/1.1 200\tOK"), "bad 400", 0},
	{"version 2.0", LINE("HTTP/2.0 200 OK"), "bad 505", 0},
	{"version in lower case", LINE("http/1.1 200 OK"), "bad 400", 0},
	{"version alone", LINE("HTTP/1.1"), "bad 400", 0},
	{"another protocol", LINE("ICY 200 OK"), "bad 400", 0},
	{"space in front", LINE(" HTTP/1.1 200 OK"), "bad 400", 0},
	{"empty line in front", "\r\n" LINE(OK), "bad 400", 0},
	{"NUL in the reason", "HTTP/1.1 200 \0\r\n\r\n", "bad 400", 18},
	{"bare LF", "HTTP/1.1 200 OK\n\n", "bad 400", 0},
	{"Content-Length twice", OK "Content-Length: 5\r\nContent-Length: 5\r\n\r\n", "bad 400", 0},
	{"Content-Length and TE", OK "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
	 "bad 400", 0},
	{"TE gzip", OK "Transfer-Encoding: gzip\r\n\r\n", "bad 501", 0},
	{"TE in 1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "bad 400", 0},
	{"obs-fold", OK "X: y\r\n z\r\n\r\n", "bad 400", 0},
};

static void responses(void)
{
	__u8 *buf = guarded(SL_HEAD_MAX);

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		head_case_run(&cases[i], buf, true);
}

static void plain_responses(void)
{
	static const struct {
		const char *head;
		bool head_request, plain;
	} plain[] = {
		{OK "Content-Length: 5\r\n\r\n", false, true},
		{OK "Content-Length: 0\r\nConnection: keep-alive\r\n\r\n", false, true},
		{OK "Transfer-Encoding: chunked\r\n\r\n", false, true},
		{OK "\r\n", false, false}, /* ends with the connection */
		{OK "\r\n", true, true},   /* to HEAD: no body */
		{"HTTP/1.1 204 No Content\r\n\r\n", false, true},
		{"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", false, true},
		{"HTTP/1.1 503 x\r\nContent-Length: 0\r\n\r\n", false, true},
		{"HTTP/1.1 100 Continue\r\n\r\n", false, false},
		{"HTTP/1.1 101 x\r\nUpgrade: a\r\n\r\n", false, false},
		{"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n", false, false},
		{OK "Content-Length: 5\r\nConnection: close\r\n\r\n", false, false},
		{OK "Content-Length: 5\r\nConnection: x\r\n\r\n", false, false},
		{OK "Content-Length: 5\r\nConnection: keep-alive, x\r\n\r\n", false, false},
	};
	__u8 *buf = guarded(SL_HEAD_MAX);

	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
		struct sl_head h;
		struct sl_body b;

		memcpy(buf, plain[i].head, strlen(plain[i].head));
		CU_ASSERT_EQUAL(sl_response_parse(&h, buf, strlen(plain[i].head)), SL_PARSE_DONE);
		b = sl_response_body(&h, plain[i].head_request);
		CHECK_CASE(sl_response_is_plain(&h, &b) == plain[i].plain, plain[i].head, "not %d",
			   plain[i].plain);
	}
}

static void kernel_reasons(void)
{
	static const struct {
		const char *line;
		const char *header;
		enum sl_reason reason;
	} reasons[] = {
		{"GET / HTTP/1.1", "", SL_REASON_NONE},
		{"POST / HTTP/1.1", "Content-Length: 5\r\n", SL_REASON_NONE},
		{"POST / HTTP/1.1", "Transfer-Encoding: chunked\r\n", SL_REASON_NONE},
		{"GET / HTTP/1.1", "Connection: Keep-Alive\r\n", SL_REASON_NONE},
		{"GET / HTTP/1.0", "", SL_REASON_HTTP10},
		{"GET / HTTP/1.1", "Connection: close\r\n", SL_REASON_CONNECTION_HEADER},
		{"GET / HTTP/1.1", "Connection: keep-alive, te\r\n", SL_REASON_CONNECTION_HEADER},
		{"GET / HTTP/1.1", "Connection: upgrade\r\nUpgrade: h2c\r\n", SL_REASON_UPGRADE},
		{"GET / HTTP/1.1", "Upgrade: h2c\r\n", SL_REASON_UPGRADE},
		{"CONNECT a:1 HTTP/1.1", "", SL_REASON_UPGRADE},
		{"PUT / HTTP/1.1", "Expect: 100-continue\r\n", SL_REASON_EXPECT},
		{"PUT / HTTP/1.1", "Expect: x\r\n", SL_REASON_EXPECT},
		{"GET http://b/ HTTP/1.1", "", SL_REASON_NOT_CANONICAL},
		{"OPTIONS * HTTP/1.1", "", SL_REASON_NOT_CANONICAL},
		{"OPTIONS / HTTP/1.1", "", SL_REASON_NONE},
		{"OPTIONS / HTTP/1.1", "Max-forwards: 1\r\n", SL_REASON_MAX_FORWARDS},
		{"OPTIONS / HTTP/1.1", "Max-Forwarde: 1\r\n", SL_REASON_NONE},
		{"TRACE / HTTP/1.1", "MAX-FORWARDS: 1\r\n", SL_REASON_MAX_FORWARDS},
		{"GET / HTTP/1.1", "Max-Forwards: 1\r\n", SL_REASON_NONE},
	};
	__u8 *buf = guarded(SL_HEAD_MAX);

	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
		struct sl_head h;
		int len = snprintf((char *)buf, SL_HEAD_MAX, "%s\r\nHost: a\r\n%s\r\n",
				   reasons[i].line, reasons[i].header);

		CU_ASSERT_EQUAL(sl_request_parse(&h, buf, len), SL_PARSE_DONE);
		CHECK_CASE(sl_kernel_reason(&h) == reasons[i].reason, reasons[i].line,
			   "%s reason %u", reasons[i].header, sl_kernel_reason(&h));
	}
	CU_ASSERT_EQUAL(sl_parse_reason(SL_PARSE_DONE), SL_REASON_NONE);
	CU_ASSERT_EQUAL(sl_parse_reason(SL_PARSE_MORE), SL_REASON_HEAD_INCOMPLETE);
	CU_ASSERT_EQUAL(sl_parse_reason(SL_PARSE_BAD), SL_REASON_NOT_CANONICAL);
	CU_ASSERT_EQUAL(sl_parse_reason(SL_PARSE_LONG), SL_REASON_HEAD_TOO_LONG);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"responses", responses},
		{"responses that the kernel path forwards", plain_responses},
		{"reasons for the user path", kernel_reasons},
		CU_TEST_INFO_NULL,
	};

	return run_suite("http: responses, decisions", tests);
}
