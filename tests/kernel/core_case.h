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
#include "sl_hash.h"
#include "sl_pick.h"
#include "sl_cohort.h"
#include "sl_decide.h"

#define CORE_BATCH 256 /* messages for each run of the program */

struct core_case {
	/* Input. */
	__u8 buf[4096 + 8];
	__u32 len;
	__u32 response; /* 1: buf is a response */
	__u32 index;	/* in the mailbox */
	__u32 zero0;
	__u64 n; /* sequence number for the pick, and the draw */
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
	__u32 cohort;
	struct sl_hash hash;
	__u32 zero;
	__u32 plain;
	struct sl_search search;
	__u32 runs; /* counts up: the program did look at this one */
};

/* What BPF programs do in several functions: every policy of the route, then the split's cohort. */
struct core_sticky {
	struct core_case *c;
	const struct sl_table *t;
	__u32 first;
	__u32 n;
	struct sl_cohort best;
};

/* Verified alone, as in the data path: a function for each policy. */
SL_SLOW int core_hash_rule(struct core_case *c, const struct sl_table *t, __u32 rule, __u32 index)
{
	const struct sl_hash_rule *r = &t->hash_rules[rule & (SL_MAX_HASH_RULES - 1)];
	struct sl_hasher x = {.t = t, .h = &c->head, .buf = c->buf, .source = c->n};
	__u64 one;
	enum sl_hashed got = sl_hash_one(&x, r, &one);

	return sl_hash_add(&c->hash, r, index, got, one);
}

static long core_hash_step(__u32 i, void *data)
{
	struct core_sticky *s = data;

	return i >= s->n || core_hash_rule(s->c, s->t, s->first + i, i) != 0;
}

static long core_cohort_step(__u32 i, void *data)
{
	struct core_sticky *s = data;
	const struct sl_split_target *t = &s->c->split.targets[i & (SL_MAX_SPLIT_TARGETS - 1)];

	if (i >= s->c->split.n_targets)
		return 1;
	sl_cohort_offer(&s->best, i, t->weight, t->cluster * 0x9E3779B97F4A7C15ULL);
	return 0;
}

SL_FN void core_sticky(struct core_case *c, const struct sl_table *t)
{
	const struct sl_route *r = &t->routes[c->route & (SL_MAX_ROUTES - 1)];
	struct core_sticky s = {.c = c, .t = t, .first = r->first_hash, .n = r->n_hashes};

	if (c->route >= SL_MAX_ROUTES)
		return;
	sl_loop(SL_MAX_ROUTE_HASHES, core_hash_step, &s);
	s.best.hash = c->hash.value;
	s.best.target = SL_NO_TARGET;
	sl_loop(SL_MAX_SPLIT_TARGETS, core_cohort_step, &s);
	c->cohort = s.best.target;
}

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

SL_FN __u32 core_match(struct core_case *c, const struct sl_table *t)
{
	struct sl_match_scan m = {.v = {.t = t, .h = &c->head, .buf = c->buf}};

	m.s = &c->search;
	c->search.draw = c->n;

#ifdef __bpf__
	m.v.key = c->index;
#endif
	return sl_match(&m, c->n);
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
	c->cohort = SL_NO_TARGET;
	sl_memset(&c->hash, 0, sizeof(c->hash));
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
		c->route = core_match(c, t);
		c->target = sl_pick(&c->split, c->n);
		core_sticky(c, t);
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
