/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a parsed head is: spans of the caller's buffer and flags. Types only; the parser is
 * sl_http.h.
 */
#ifndef SL_HEAD_H
#define SL_HEAD_H

#include "sl_types.h"
#include "sl_limits.h"

/*
 * Memory of a head's buffer. User space needs SL_HEAD_MAX bytes. In BPF eight more have to follow
 * (any bytes, never looked at): words are loaded at any offset without a further check.
 */
#ifdef __bpf__
#define SL_HEAD_BUF (SL_HEAD_MAX + 8)
#else
#define SL_HEAD_BUF SL_HEAD_MAX
#endif

/* A head's buffer as an argument of what is SL_ALONE. To the verifier it may be NULL there. */
struct sl_buf {
	__u8 bytes[SL_HEAD_BUF];
};
#define sl_buf(buf) ((const struct sl_buf *)(buf))

/* Bytes of the head's buffer; always clamp with SL_HEAD_MAX - 1. */
struct sl_span {
	__u16 off;
	__u16 len;
};

struct sl_header {
	struct sl_span name;
	struct sl_span value; /* without the white space around it */
};

enum sl_parse {
	SL_PARSE_DONE, /* a whole head: head->len bytes, its end line included */
	SL_PARSE_MORE, /* all bytes so far are the beginning of a strict head */
	SL_PARSE_BAD,  /* not one: answer head->error and close */
	SL_PARSE_LONG, /* over SL_HEAD_MAX or SL_MAX_HEADERS: 431 or 414 (head->error) */
};

enum sl_method {
	SL_METHOD_OTHER, /* any other token */
	SL_METHOD_GET,
	SL_METHOD_HEAD,
	SL_METHOD_POST,
	SL_METHOD_PUT,
	SL_METHOD_DELETE,
	SL_METHOD_OPTIONS,
	SL_METHOD_PATCH,
	SL_METHOD_CONNECT,
	SL_METHOD_TRACE,
};

/* sl_head.flags */
#define SL_HEAD_HTTP10 0x0001	       /* HTTP/1.0 */
#define SL_HEAD_CLOSE 0x0002	       /* Connection: close */
#define SL_HEAD_KEEP_ALIVE 0x0004      /* Connection: keep-alive */
#define SL_HEAD_CONNECTION 0x0008      /* Connection has another option */
#define SL_HEAD_UPGRADE 0x0010	       /* Upgrade is present */
#define SL_HEAD_EXPECT 0x0020	       /* Expect is present */
#define SL_HEAD_EXPECT_CONTINUE 0x0040 /* ... and is 100-continue */
#define SL_HEAD_LENGTH 0x0080	       /* Content-Length is present: head->length */
#define SL_HEAD_CHUNKED 0x0100	       /* Transfer-Encoding: chunked */
#define SL_HEAD_ABSOLUTE 0x0200	       /* absolute-form target; host is from the target */
#define SL_HEAD_ASTERISK 0x0400	       /* asterisk-form target (OPTIONS) */
#define SL_HEAD_AUTHORITY 0x0800       /* authority-form target (CONNECT); host is the target */
#define SL_HEAD_HOST 0x1000	       /* Host is present */
#define SL_HEAD_MAX_FORWARDS 0x2000    /* Max-Forwards is, of OPTIONS or TRACE */

struct sl_head {
	__u32 len;    /* bytes of the head; valid on DONE */
	__u16 flags;  /* SL_HEAD_* */
	__u16 error;  /* on BAD or LONG: status to answer (400, 414, 431, 501, 505) */
	__u64 length; /* Content-Length */
	__u16 status; /* response: status code 100..599 */
	__u16 n_headers;
	__u8 method; /* request: enum sl_method */
	__u8 result; /* enum sl_parse, the parser's answer */
	__u8 zero[2];
	/* The parser's own; here since BPF's verifier has to forget their values. */
	__u32 scan_line;  /* first byte of the line that the scan is in */
	__u32 scan_block; /* the next 64 bytes */
	__u32 scan_next;  /* first byte after the last CR LF */
	__u32 scan_pair;  /* of sl_hash.h: the next cookie or parameter, and where the list ends */
	__u32 scan_pair_end;
	__u64 scan_found; /* control bytes of the block before scan_block that are still to be taken
			   */
	struct sl_span method_name; /* request */
	struct sl_span target;	    /* request: path and query ("*" for asterisk-form) */
	struct sl_span path;	    /* request: target without its query */
	struct sl_span host;	    /* request: Host value (or the authority of absolute-form) */
	struct sl_header headers[SL_MAX_HEADERS]; /* from n_headers on: not set */
};

/* What a route's hash policies make of a request (sl_hash.h). */
struct sl_hash {
	__u64 value;
	__u32 found;	/* 1: there is one */
	__u32 generate; /* bit i: policy i of the route asks for a cookie to be made */
};

#endif /* SL_HEAD_H */
