/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One message through the core, its input and all it answers: compiled for BPF and for
 * user space, so that both can be compared byte for byte.
 */
#ifndef CORE_CASE_H
#define CORE_CASE_H

#include "sl_http.h"
#include "sl_body.h"
#include "sl_match.h"
#include "sl_pick.h"
#include "sl_decide.h"

#define CORE_BATCH 256 /* messages for each run of the program */

struct core_case {
	/* Input. */
	__u8 buf[4096 + 8];
	__u32 len;
	__u32 response; /* 1: buf is a response */
	__u64 n;	/* sequence number for the pick */
	struct sl_split split;

	/* Output. */
	struct sl_head head;
	struct sl_body body;
	__u32 parse;
	__u32 route;
	__u32 target;
	__u32 reason;
	__u32 body_result;
	__u32 body_used;
	__u32 plain;
	__u32 runs; /* counts up: the program did look at this one */
};

struct core_feed {
	struct sl_body *b;
	const __u8 *buf;
	__u32 at;
	__u32 end;
	__u32 result;
};

/* The body's machine in the two pieces that BPF programs use. */
static long core_feed_step(__u32 i __attribute__((unused)), void *data)
{
	struct core_feed *f = data;
	__u32 n;

	if (f->at >= f->end || f->result != SL_BODY_MORE)
		return 1;
	if (sl_body_done(f->b)) {
		f->result = SL_BODY_DONE;
		return 1;
	}
	n = sl_body_skip(f->b, f->end - f->at);
	f->at += n;
	if (n || f->b->kind != SL_BODY_CHUNKED)
		return 0;
	f->result = sl_chunk_byte(f->b, sl_byte(f->buf, f->at));
	f->at += f->result != SL_BODY_BAD;
	return 0;
}

SL_FN void core_run(struct core_case *c, const struct sl_table *t)
{
	struct core_feed f = {.b = &c->body, .buf = c->buf};

	c->runs++;
	c->route = SL_NO_ROUTE;
	c->target = SL_NO_TARGET;
	c->reason = 0;
	c->body_result = 0;
	c->body_used = 0;
	c->plain = 0;
	if (c->response)
		c->parse = sl_response_parse(&c->head, c->buf, c->len);
	else
		c->parse = sl_request_parse(&c->head, c->buf, c->len);
#if defined(SL_PLANTED) && !defined(__bpf__)
	/* A fault in one side, for the test of the test: rare, and small. */
	if (c->head.n_headers == 2 && c->head.path.len == 10)
		c->head.path.len--;
#endif
	if (c->parse != SL_PARSE_DONE)
		return;
	if (c->response) {
		c->body = sl_response_body(&c->head, c->n & 1);
		c->plain = sl_response_is_plain(&c->head, &c->body);
	} else {
		c->body = sl_request_body(&c->head);
		c->reason = sl_kernel_reason(&c->head);
		c->route = sl_match(t, &c->head, c->buf);
		c->target = sl_pick(&c->split, c->n);
	}
	f.at = c->head.len;
	f.end = c->len;
	sl_loop(4096 * 2, core_feed_step, &f);
	if (f.result == SL_BODY_MORE && sl_body_done(&c->body))
		f.result = SL_BODY_DONE;
	c->body_result = f.result;
	c->body_used = f.at - c->head.len;
}

#endif /* CORE_CASE_H */
