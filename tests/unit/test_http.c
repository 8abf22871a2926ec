// SPDX-License-Identifier: GPL-2.0-only
/* Heads of requests, RFC 9112: what is taken, what is refused and with which status. */
#include "head_text.h"

#define HOST "Host: a\r\n"
#define END "\r\n"
#define A8 "aaaaaaaa"
#define A64 A8 A8 A8 A8 A8 A8 A8 A8

static const struct head_case good[] = {
	{"simple", "GET / HTTP/1.1\r\n" HOST END, "27 get GET / / a host | Host=a", 0},
	{"query", "GET /p?q?r=/s HTTP/1.1\r\n" HOST END, "35 get GET /p?q?r=/s /p a host | Host=a",
	 0},
	{"empty query", "GET /? HTTP/1.1\r\n" HOST END, "28 get GET /? / a host | Host=a", 0},
	{"methods: HEAD", "HEAD / HTTP/1.1\r\n" HOST END, "28 head HEAD / / a host | Host=a", 0},
	{"methods: POST", "POST / HTTP/1.1\r\n" HOST END, "28 post POST / / a host | Host=a", 0},
	{"methods: PUT", "PUT / HTTP/1.1\r\n" HOST END, "27 put PUT / / a host | Host=a", 0},
	{"methods: DELETE", "DELETE / HTTP/1.1\r\n" HOST END,
	 "30 delete DELETE / / a host | Host=a", 0},
	{"methods: PATCH", "PATCH / HTTP/1.1\r\n" HOST END, "29 patch PATCH / / a host | Host=a",
	 0},
	{"methods: TRACE", "TRACE / HTTP/1.1\r\n" HOST END, "29 trace TRACE / / a host | Host=a",
	 0},
	{"methods: OPTIONS", "OPTIONS / HTTP/1.1\r\n" HOST END,
	 "31 options OPTIONS / / a host | Host=a", 0},
	{"methods are case-sensitive", "get / HTTP/1.1\r\n" HOST END,
	 "27 other get / / a host | Host=a", 0},
	{"method of one letter", "G / HTTP/1.1\r\n" HOST END, "25 other G / / a host | Host=a", 0},
	{"method of eight letters", "BASELINE / HTTP/1.1\r\n" HOST END,
	 "32 other BASELINE / / a host | Host=a", 0},
	{"method with every mark", "!#$%&'*+-.^_`|~0 / HTTP/1.1\r\n" HOST END,
	 "40 other !#$%&'*+-.^_`|~0 / / a host | Host=a", 0},
	{"target with every visible byte but #",
	 "GET /!\"$%&'()*+,-./09:;<=>@AZ[\\]^_`az{|}~? HTTP/1.1\r\n" HOST END,
	 "64 get GET /!\"$%&'()*+,-./09:;<=>@AZ[\\]^_`az{|}~? "
	 "/!\"$%&'()*+,-./09:;<=>@AZ[\\]^_`az{|}~ a host | Host=a",
	 0},
	{"target that begins with //", "GET //b/c HTTP/1.1\r\n" HOST END,
	 "31 get GET //b/c //b/c a host | Host=a", 0},
	{"target of 150 bytes, query late", "GET /" A64 A64 A8 A8 "?" A8 " HTTP/1.1\r\n" HOST END,
	 "180 get GET /" A64 A64 A8 A8 "?" A8 " /" A64 A64 A8 A8 " a host | Host=a", 0},
	{"1.0 without Host", "GET / HTTP/1.0\r\n" END, "18 get GET / /  1.0", 0},
	{"1.0 with Host", "GET / HTTP/1.0\r\n" HOST END, "27 get GET / / a 1.0 host | Host=a", 0},
	{"absolute-form", "GET http://b:1/p?q HTTP/1.1\r\n" HOST END,
	 "40 get GET /p?q /p b:1 absolute host | Host=a", 0},
	{"absolute-form, no path", "GET http://b HTTP/1.1\r\n" HOST END,
	 "34 get GET / / b absolute host | Host=a", 0},
	{"absolute-form, https and case", "GET HttpS://B/ HTTP/1.1\r\n" HOST END,
	 "36 get GET / / B absolute host | Host=a", 0},
	{"absolute-form, IPv6", "GET http://[::1]:80/x HTTP/1.1\r\n" HOST END,
	 "43 get GET /x /x [::1]:80 absolute host | Host=a", 0},
	{"absolute-form in 1.0", "GET http://b/ HTTP/1.0\r\n" END, "26 get GET / / b 1.0 absolute",
	 0},
	{"asterisk-form", "OPTIONS * HTTP/1.1\r\n" HOST END,
	 "31 options OPTIONS * * a asterisk host | Host=a", 0},
	{"authority-form", "CONNECT b:443 HTTP/1.1\r\n" HOST END,
	 "35 connect CONNECT b:443 b:443 b:443 authority host | Host=a", 0},
	{"authority-form, IPv6", "CONNECT [::1]:443 HTTP/1.1\r\n" HOST END,
	 "39 connect CONNECT [::1]:443 [::1]:443 [::1]:443 authority host | Host=a", 0},
	{"Host empty", "GET / HTTP/1.1\r\nHost:\r\n" END, "25 get GET / /  host | Host=", 0},
	{"Host, any case, no space, port", "GET / HTTP/1.1\r\nhOsT:A.b-c:80\r\n" END,
	 "33 get GET / / A.b-c:80 host | hOsT=A.b-c:80", 0},
	{"Host of 70 bytes", "GET / HTTP/1.1\r\nHost: " A64 ".b:80\r\n" END,
	 "95 get GET / / " A64 ".b:80 host | Host=" A64 ".b:80", 0},
	{"Host with sub-delims", "GET / HTTP/1.1\r\nHost: a.b!$&'()*+;=%41_~:80\r\n" END,
	 "47 get GET / / a.b!$&'()*+;=%41_~:80 host | Host=a.b!$&'()*+;=%41_~:80", 0},
	{"Host of the future", "GET / HTTP/1.1\r\nHost: [v1.a:!$&'()*+;=_~]:80\r\n" END,
	 "48 get GET / / [v1.a:!$&'()*+;=_~]:80 host | Host=[v1.a:!$&'()*+;=_~]:80", 0},
	{"Host of IPv6", "GET / HTTP/1.1\r\nHost: [::1]\r\n" END,
	 "31 get GET / / [::1] host | Host=[::1]", 0},
	{"Host with an empty port", "GET / HTTP/1.1\r\nHost: abcdefg:\r\n" END,
	 "34 get GET / / abcdefg: host | Host=abcdefg:", 0},
	{"Host with a port over two words", "GET / HTTP/1.1\r\nHost: abcdef:1234567\r\n" END,
	 "40 get GET / / abcdef:1234567 host | Host=abcdef:1234567", 0},
	{"white space around values", "GET / HTTP/1.1\r\n" HOST "X: \t b\tc d \t\r\n" END,
	 "41 get GET / / a host | Host=a | X=b\\x09c d", 0},
	{"values of white space", "GET / HTTP/1.1\r\n" HOST "X:\r\nY: \r\nZ: \t \r\n" END,
	 "43 get GET / / a host | Host=a | X= | Y= | Z=", 0},
	{"obs-text", "GET / HTTP/1.1\r\n" HOST "X: \x80\xff\r\n" END,
	 "34 get GET / / a host | Host=a | X=\\x80\\xff", 0},
	{"names with every mark", "GET / HTTP/1.1\r\n" HOST "!#$%&'*+-.^_`|~0aZ: 1\r\n" END,
	 "50 get GET / / a host | Host=a | !#$%&'*+-.^_`|~0aZ=1", 0},
	{"name of 31 bytes", "GET / HTTP/1.1\r\n" HOST A8 A8 A8 "aaaaaaa: 1\r\n" END,
	 "63 get GET / / a host | Host=a | " A8 A8 A8 "aaaaaaa=1", 0},
	{"name of 32 bytes", "GET / HTTP/1.1\r\n" HOST A8 A8 A8 A8 ": 1\r\n" END,
	 "64 get GET / / a host | Host=a | " A8 A8 A8 A8 "=1", 0},
	{"name of 64 bytes", "GET / HTTP/1.1\r\n" HOST A64 ": 1\r\n" END,
	 "96 get GET / / a host | Host=a | " A64 "=1", 0},
	{"lines of five bytes", "GET / HTTP/1.1\r\n" HOST "A:1\r\nB:2\r\nC:3\r\nD:4\r\n" END,
	 "47 get GET / / a host | Host=a | A=1 | B=2 | C=3 | D=4", 0},
	{"names nearly known",
	 "GET / HTTP/1.1\r\n" HOST "Content-Lengti: x\r\nTransfer-Encodinh: x\r\nConnectioo: x\r\n"
	 "Upgradf: x\r\nExpecu: x\r\nHosu: x\r\n" END,
	 "115 get GET / / a host | Host=a | Content-Lengti=x | Transfer-Encodinh=x | Connectioo=x "
	 "| "
	 "Upgradf=x | Expecu=x | Hosu=x",
	 0},
	{"names with a known one in front",
	 "GET / HTTP/1.1\r\n" HOST "Host2: x\r\nContent-Length2: x\r\nUpgrade2: x\r\n" END,
	 "70 get GET / / a host | Host=a | Host2=x | Content-Length2=x | Upgrade2=x", 0},
	{"Content-Length", "PUT / HTTP/1.1\r\n" HOST "Content-Length: 42\r\n" END,
	 "47 put PUT / / a length host=42 | Host=a | Content-Length=42", 0},
	{"Content-Length, any case", "PUT / HTTP/1.1\r\n" HOST "cONTENT-lENGTH:0\t\r\n" END,
	 "46 put PUT / / a length host=0 | Host=a | cONTENT-lENGTH=0", 0},
	{"Content-Length 2^63-1",
	 "PUT / HTTP/1.1\r\n" HOST "Content-Length: 9223372036854775807\r\n" END,
	 "64 put PUT / / a length host=9223372036854775807 | Host=a | "
	 "Content-Length=9223372036854775807",
	 0},
	{"Content-Length with zeros in front",
	 "PUT / HTTP/1.1\r\n" HOST "Content-Length: 0000000000000000123\r\n" END,
	 "64 put PUT / / a length host=123 | Host=a | Content-Length=0000000000000000123", 0},
	{"Content-Length of 8 and 9 digits",
	 "PUT / HTTP/1.1\r\n" HOST "Content-Length: 12345678\r\n" END,
	 "53 put PUT / / a length host=12345678 | Host=a | Content-Length=12345678", 0},
	{"Content-Length of 9 digits",
	 "PUT / HTTP/1.1\r\n" HOST "Content-Length: 987654321\r\n" END,
	 "54 put PUT / / a length host=987654321 | Host=a | Content-Length=987654321", 0},
	{"chunked", "PUT / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n" END,
	 "55 put PUT / / a chunked host | Host=a | Transfer-Encoding=chunked", 0},
	{"chunked, any case", "PUT / HTTP/1.1\r\n" HOST "tRANSFER-eNCODING:\tCHUNKed \r\n" END,
	 "56 put PUT / / a chunked host | Host=a | tRANSFER-eNCODING=CHUNKed", 0},
	{"Connection: close", "GET / HTTP/1.1\r\n" HOST "Connection: Close\r\n" END,
	 "46 get GET / / a close host | Host=a | Connection=Close", 0},
	{"Connection: keep-alive", "GET / HTTP/1.1\r\n" HOST "Connection: Keep-Alive\r\n" END,
	 "51 get GET / / a keep-alive host | Host=a | Connection=Keep-Alive", 0},
	{"Connection: a list",
	 "GET / HTTP/1.1\r\n" HOST "Connection: ,close ,\tX, keep-alive,\r\n" END,
	 "64 get GET / / a close keep-alive connection host | Host=a | "
	 "Connection=,close ,\\x09X, keep-alive,",
	 0},
	{"Connection: twice",
	 "GET / HTTP/1.1\r\n" HOST "Connection: close\r\nConnection: te\r\n" END,
	 "62 get GET / / a close connection host | Host=a | Connection=close | Connection=te", 0},
	{"Connection: nearly close", "GET / HTTP/1.1\r\n" HOST "Connection: closed\r\n" END,
	 "47 get GET / / a connection host | Host=a | Connection=closed", 0},
	{"Connection: nearly keep-alive",
	 "GET / HTTP/1.1\r\n" HOST "Connection: keep-alivf\r\n" END,
	 "51 get GET / / a connection host | Host=a | Connection=keep-alivf", 0},
	{"Connection: empty", "GET / HTTP/1.1\r\n" HOST "Connection:\r\n" END,
	 "40 get GET / / a host | Host=a | Connection=", 0},
	{"Connection: commas alone", "GET / HTTP/1.1\r\n" HOST "Connection: , ,\r\n" END,
	 "44 get GET / / a host | Host=a | Connection=, ,", 0},
	{"Upgrade", "GET / HTTP/1.1\r\n" HOST "Upgrade: h2c\r\n" END,
	 "41 get GET / / a upgrade host | Host=a | Upgrade=h2c", 0},
	{"Expect: 100-continue", "GET / HTTP/1.1\r\n" HOST "Expect: 100-Continue\r\n" END,
	 "49 get GET / / a expect continue host | Host=a | Expect=100-Continue", 0},
	{"Expect: another", "GET / HTTP/1.1\r\n" HOST "Expect: 100-continuf\r\n" END,
	 "49 get GET / / a expect host | Host=a | Expect=100-continuf", 0},
	{"what follows the head is not its", "GET / HTTP/1.1\r\n" HOST END "\n\x01GET",
	 "27 get GET / / a host | Host=a", 0},
};

static void requests_taken(void)
{
	__u8 *buf = guarded(SL_HEAD_MAX);

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		head_case_run(&good[i], buf, false);
}

static const struct head_case partial[] = {
	{"nothing", "", "more", 0},
	{"a method", "GE", "more", 0},
	{"a long method", A64 "!", "more", 0},
	{"a target", "GET /a", "more", 0},
	{"a version", "GET / HTTP/1", "more", 0},
	{"a version that may be unknown", "GET / HTTP/3.", "more", 0},
	{"CR", "GET / HTTP/1.1\r", "more", 0},
	{"a line", "GET / HTTP/1.1\r\n", "more", 0},
	{"a name", "GET / HTTP/1.1\r\nHos", "more", 0},
	{"a value", "GET / HTTP/1.1\r\nHost: a b", "more", 0},
	{"the last CR", "GET / HTTP/1.1\r\nHost: a\r\n\r", "more", 0},
};

static void beginnings(void)
{
	__u8 *buf = guarded(SL_HEAD_MAX);

	for (size_t i = 0; i < sizeof(partial) / sizeof(partial[0]); i++)
		head_case_run(&partial[i], buf, false);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"requests that are taken", requests_taken},
		{"beginnings of requests", beginnings},
		CU_TEST_INFO_NULL,
	};

	return run_suite("http: requests", tests);
}
