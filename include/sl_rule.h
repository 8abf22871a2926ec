/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One matcher of a route: a header, a query parameter, a cookie, a share of the requests. The
 * answer is unsure where only the user path can tell: a regex, and whatever is rare enough to be
 * left to it.
 */
#ifndef SL_RULE_H
#define SL_RULE_H

#include "sl_index.h"

#define SL_MATCH_FIELDS 4 /* header lines looked at in one step */

enum sl_answer {
	SL_NO,
	SL_YES,
	SL_UNSURE,
};

/* ---- is it in there? ---- */

/* Looks for a needle of the pool in the head: a window of eight bytes at each offset. */
struct sl_find_scan {
	const struct sl_request_view *v;
	__u64 word; /* the needle's first bytes */
	__u32 needle;
	__u32 len; /* of the needle, > 0 */
	__u32 end; /* first offset at which it does not fit any more */
	__u32 at;
};

/* Eight offsets. True: it is at s->at. */
SL_FN bool sl_find_eight(struct sl_find_scan *s, bool fold)
{
	__u64 mask = sl_first(s->len);
	__u32 at = s->at, i;
	bool same;

	SL_UNROLL
	for (i = 0; i < 8; i++) {
		__u64 w;

		s->at = at;
		if (at >= s->end)
			return false;
		w = sl_load(s->v->buf, at);
		if (fold)
			w = sl_lower(w);
		if (((w ^ s->word) & mask) == 0)
			goto likely;
		at++;
	}
	s->at = at;
	return false;
likely:
	same = sl_same(s->v, s->needle, at, at + s->len, fold);
	s->at += !same;
	return same;
}

/* A text in another: SL_RULE_CONTAINS. */
struct sl_contains_scan {
	struct sl_find_scan find;
	__u32 fold;
	__u32 found; /* 1: it is at find.at */
};

static long sl_contains_step(SL_UNUSED __u32 step, void *data)
{
	struct sl_contains_scan *s = data;

	if (s->fold)
		s->found = sl_find_eight(&s->find, true);
	else
		s->found = sl_find_eight(&s->find, false);
	return s->found || s->find.at >= s->find.end;
}

SL_FN struct sl_find_scan sl_find_begin(const struct sl_request_view *v, struct sl_str needle,
					__u32 at, __u32 end)
{
	struct sl_find_scan s = {.v = v};

	at += v->t->zero;
	s.at = at;
	s.needle = needle.off;
	s.len = needle.len;
	s.word = sl_load_pool(v->t->strings, needle.off) & sl_first(needle.len);
	s.end = needle.len <= end - at ? end - needle.len + 1 : at;
	return s;
}

/* ---- headers ---- */

/* Where the value of a rule is: found << 32 | offset << 16 | length. */
enum sl_found {
	SL_MISSING,
	SL_FOUND,
	SL_SEVERAL, /* repeated, quoted, or in doubt: somebody else puts it together */
};

SL_FN __u64 sl_value_at(enum sl_found found, __u32 off, __u32 len)
{
	return (__u64)found << 32 | (off & 0xffff) << 16 | (len & 0xffff);
}

/* The lines of one header. */
struct sl_lines_scan {
	const struct sl_request_view *v;
	__u64 word;  /* first bytes of the name */
	__u32 name;  /* in the pool: what follows them */
	__u32 len;   /* of the name */
	__u32 field; /* next header line to look at */
	__u32 n;     /* lines seen: no more than two are looked for */
	__u32 off;   /* value of the last one */
	__u32 value_len;
};

static long sl_lines_step(SL_UNUSED __u32 i, void *data)
{
	struct sl_lines_scan *s = data;
	const struct sl_head *h = s->v->h;
	const struct sl_header *field = &h->headers[0];
	__u64 mask = sl_first(s->len);
	__u32 k = s->field, j;

	for (j = 0; j < SL_MATCH_FIELDS; j++) {
		if (k >= h->n_headers)
			return 1;
		field = &h->headers[k & (SL_MAX_HEADERS - 1)];
		k++;
		/* Could it be the name? By its length and first eight bytes. */
		if (field->name.len == s->len &&
		    ((sl_lower(sl_load(s->v->buf, field->name.off)) ^ s->word) & mask) == 0)
			break;
	}
	s->field = k;
	if (j == SL_MATCH_FIELDS)
		return 0;
	if (s->len > 8 &&
	    !sl_same(s->v, s->name, field->name.off + 8, field->name.off + field->name.len, true))
		return 0;
	s->off = field->value.off;
	s->value_len = field->value.len;
	s->n++;
	return s->n > 1;
}

/* @word: the name's first bytes; @name: what follows them in the pool; @len: of all of it. */
SL_FN __u64 sl_lines_find(const struct sl_request_view *v, __u64 word, __u32 name, __u32 len)
{
	__u32 zero = v->t->zero;
	struct sl_lines_scan s = {.v = v, .word = word, .name = name, .len = len, .field = zero};

	s.n = zero;
	s.off = zero;
	s.value_len = zero;
	sl_loop(SL_MAX_HEADERS + 1, sl_lines_step, &s);
	return sl_value_at(s.n > 1 ? SL_SEVERAL : (enum sl_found)s.n, s.off, s.value_len);
}

SL_FN __u64 sl_span_at(struct sl_span s)
{
	return sl_value_at(SL_FOUND, s.off, s.len);
}

/*
 * A header, or what Envoy takes from the request line by a name of its own. Host is :authority: the
 * target's when the target has one; HTTP/1.0 may have none. (:scheme is the compiler's
 * business.)
 */
SL_FN __u64 sl_header_find(const struct sl_request_view *v, struct sl_str name)
{
	const struct sl_head *h = v->h;
	__u64 word = sl_load_pool(v->t->strings, name.off) & sl_first(name.len);
	__u64 behind = sl_load_pool(v->t->strings, name.off + 8);

	if (name.len == 5 && word == SL_PACK(':', 'p', 'a', 't', 'h', 0, 0, 0))
		return sl_span_at(h->target);
	if (name.len == 7 && word == SL_PACK(':', 'm', 'e', 't', 'h', 'o', 'd', 0))
		return sl_span_at(h->method_name);
	if ((name.len == 4 && word == SL_PACK('h', 'o', 's', 't', 0, 0, 0, 0)) ||
	    (name.len == 10 && word == SL_PACK(':', 'a', 'u', 't', 'h', 'o', 'r', 'i') &&
	     (behind & 0xffff) == ('t' | 'y' << 8))) {
		if (h->host.len || (h->flags & SL_HEAD_HOST))
			return sl_span_at(h->host);
		return 0;
	}
	return sl_lines_find(v, word, name.off + 8, name.len);
}

/* ---- query parameters and cookies ---- */

/* NAME=VALUE, several of them: "a=1&b=2" or "a=1; b=2". */
struct sl_param_scan {
	struct sl_find_scan find; /* of the name; then of the value's end */
	__u32 start;
	__u32 end;
	__u32 value;  /* where it begins; `end`: it is empty */
	__u16 cookie; /* 1: a Cookie header, else a query */
	__u16 found;  /* enum sl_found */
};

/* Is the name at @at that of a parameter, not a part of something else? */
SL_FN enum sl_found sl_param_begins(const struct sl_param_scan *s, __u32 at)
{
	__u8 before = sl_byte(s->find.v->buf, at - 1);

	if (at == s->start)
		return SL_FOUND;
	if (!s->cookie)
		return before == '&';
	if (before != ' ')
		return before == ';';
	/* "; " as everybody writes it. More spaces: somebody else looks. */
	before = sl_byte(s->find.v->buf, at - 2);
	return before == ' ' ? SL_SEVERAL : (enum sl_found)(before == ';');
}

static long sl_param_step(SL_UNUSED __u32 i, void *data)
{
	struct sl_param_scan *s = data;
	__u32 at, behind;
	__u8 c;

	if (!sl_find_eight(&s->find, false))
		return s->find.at >= s->find.end;
	at = s->find.at;
	behind = at + s->find.len;
	s->find.at = at + 1;
	c = sl_byte(s->find.v->buf, behind);
	if (behind < s->end && c == '=')
		s->value = behind + 1;
	else if (!s->cookie && (behind >= s->end || c == '&'))
		s->value = s->end;
	else
		return 0;
	s->found = sl_param_begins(s, at);
	return s->found != SL_MISSING;
}

/* The value's end, eight words at a time; into find.at. */
static long sl_param_end_step(SL_UNUSED __u32 step, void *data)
{
	struct sl_param_scan *s = data;
	__u8 c = s->cookie ? ';' : '&';
	__u32 i;

	SL_UNROLL
	for (i = 0; i < 8; i++) {
		__u32 at = s->find.at;
		__u64 found;

		if (at >= s->end)
			return 1;
		found = sl_eq(sl_load(s->find.v->buf, at), c);
		if (found) {
			s->find.at = at + sl_index(found);
			return 1;
		}
		s->find.at = at + 8;
	}
	return 0;
}

/* The first parameter or cookie of rule @r's name in the text @span of the head (sl_value_at()). */
SL_FN __u64 sl_param_find(const struct sl_request_view *v, const struct sl_rule *r, __u32 span)
{
	__u32 start = span >> 16, end = start + (span & 0xffff), stop;
	struct sl_param_scan s = {.start = start, .end = end, .value = v->t->zero};

	s.cookie = r->what == SL_RULE_COOKIE;
	s.find = sl_find_begin(v, r->name, start, end);
	s.found = v->t->zero;
	sl_loop(SL_HEAD_MAX, sl_param_step, &s);
	if (s.found != SL_FOUND)
		return sl_value_at(s.found, 0, 0);
	s.find.at = s.value;
	sl_loop(SL_HEAD_MAX / 64 + 1, sl_param_end_step, &s);
	stop = s.find.at < end ? s.find.at : end;
	/* Quotes are not part of a cookie's value. */
	if (s.cookie && s.value < stop && sl_byte(v->buf, s.value) == '"')
		return sl_value_at(SL_SEVERAL, 0, 0);
	return sl_value_at(SL_FOUND, s.value, stop - s.value);
}

SL_FN const struct sl_rule *sl_rule_at(const struct sl_table *t, __u32 index)
{
	return &t->rules[index & (SL_MAX_RULES - 1)];
}

/* The text that rule @r's value is in: the query, the cookies, or a header's value itself. */
SL_FN __u64 sl_field_find(const struct sl_request_view *v, const struct sl_rule *r)
{
	const struct sl_head *h = v->h;
	__u32 start, end;

	if (r->what == SL_RULE_HEADER)
		return sl_header_find(v, r->name);
	if (r->what == SL_RULE_COOKIE)
		return sl_lines_find(v, SL_PACK('c', 'o', 'o', 'k', 'i', 'e', 0, 0), 0, 6);
	start = h->path.off + h->path.len + 1;
	end = h->target.off + h->target.len;
	return start < end ? sl_value_at(SL_FOUND, start, end - start) : 0;
}

/* ---- values ---- */

#define SL_NUMBER_DIGITS 16 /* below 2^53: no overflow to think of */

struct sl_number_scan {
	const __u8 *buf;
	__u64 value;
	__u32 at;
	__u32 end;
};

/* One digit; 1: it is none, or the end. */
static long sl_number_step(SL_UNUSED __u32 i, void *data)
{
	struct sl_number_scan *s = data;
	__u8 digit = sl_byte(s->buf, s->at) - '0';

	if (s->at >= s->end || digit > 9)
		return 1;
	s->value = s->value * 10 + digit;
	s->at++;
	return 0;
}

/* A decimal number with an optional sign, all of the text (Envoy: absl::SimpleAtoi), in the range?
 */
SL_FN enum sl_answer sl_range_check(const struct sl_request_view *v, const struct sl_rule *r,
				    __u32 off, __u32 len)
{
	__u8 sign = sl_byte(v->buf, off);
	__u32 skip = len && (sign == '-' || sign == '+');
	struct sl_number_scan s = {.buf = v->buf, .end = off + len};
	__s64 value;

	s.at = off + skip + v->t->zero;
	if (len - skip > SL_NUMBER_DIGITS)
		return SL_UNSURE;
	sl_loop(SL_NUMBER_DIGITS, sl_number_step, &s);
	if (len == skip || s.at < s.end)
		return SL_NO;
	value = sign == '-' ? -(__s64)s.value : (__s64)s.value;
	return value >= r->range.start && value < r->range.end;
}

/* Is the text, @len bytes at @off, what rule @index wants? Inversion is the caller's. */
SL_FN enum sl_answer sl_text_check(const struct sl_request_view *v, __u32 index, __u32 off,
				   __u32 len)
{
	const struct sl_rule *r = sl_rule_at(v->t, index);
	bool fold = r->flags & SL_RULE_NO_CASE;
	struct sl_str value = r->value;
	struct sl_contains_scan s;

	if (r->kind == SL_RULE_REGEX)
		return SL_UNSURE;
	if (r->kind == SL_RULE_RANGE)
		return sl_range_check(v, r, off, len);
	if (value.len > len || (r->kind == SL_RULE_EXACT && value.len != len))
		return SL_NO;
	if (value.len == 0)
		return SL_YES;
	if (r->kind == SL_RULE_CONTAINS) {
		s.find = sl_find_begin(v, value, off, off + len);
		s.fold = fold;
		s.found = 0;
		sl_loop(SL_HEAD_MAX, sl_contains_step, &s);
		return s.found;
	}
	if (r->kind == SL_RULE_SUFFIX)
		off += len - value.len;
	return sl_same(v, value.off, off, off + value.len, fold);
}

/* ---- all of it ---- */

/*
 * In BPF the three steps are functions that are verified alone: their states multiply neither with
 * each other nor with those of the routes. So they take the request by its key.
 */
#ifdef __bpf__
__noinline __u64 sl_field_call(__u32 key, __u32 rule)
{
	struct sl_request_view v = {};

	return sl_view_of(&v, key) ? sl_field_find(&v, sl_rule_at(v.t, rule)) : 0;
}

__noinline __u64 sl_param_call(__u32 key, __u32 rule, __u32 span)
{
	struct sl_request_view v = {};

	return sl_view_of(&v, key) ? sl_param_find(&v, sl_rule_at(v.t, rule), span) : 0;
}

__noinline int sl_text_call(__u32 key, __u32 rule, __u32 span)
{
	struct sl_request_view v = {};

	return sl_view_of(&v, key) ? sl_text_check(&v, rule, span >> 16, span & 0xffff) : SL_UNSURE;
}

#define sl_field_of(v, index) sl_field_call((v)->key, index)
#define sl_param_of(v, index, span) sl_param_call((v)->key, index, span)
#define sl_text_of(v, index, span) (enum sl_answer) sl_text_call((v)->key, index, span)
#else
#define sl_field_of(v, index) sl_field_find(v, sl_rule_at((v)->t, index))
#define sl_param_of(v, index, span) sl_param_find(v, sl_rule_at((v)->t, index), span)
#define sl_text_of(v, index, span) sl_text_check(v, index, (span) >> 16, (span)&0xffff)
#endif

/* Where the value is that rule @r, of @index, compares. */
SL_FN __u64 sl_value_find(const struct sl_request_view *v, const struct sl_rule *r, __u32 index)
{
	__u64 found = sl_field_of(v, index);

	if (r->what == SL_RULE_HEADER || found >> 32 != SL_FOUND)
		return found;
	return sl_param_of(v, index, (__u32)found);
}

/* An empty text that stands for what is missing. */
SL_FN bool sl_empty_matches(const struct sl_rule *r)
{
	return r->kind == SL_RULE_PRESENT || (r->kind != SL_RULE_RANGE && r->value.len == 0);
}

SL_FN enum sl_answer sl_rule_decide(const struct sl_request_view *v, const struct sl_rule *r,
				    __u32 index, __u64 draw)
{
	bool invert = r->flags & SL_RULE_INVERT, yes;
	enum sl_answer answer;
	__u64 value;

	if ((r->flags & SL_RULE_USER) || r->what == SL_RULE_PATH)
		return SL_UNSURE;
	if (r->what == SL_RULE_FRACTION)
		return r->range.end && draw % (__u64)r->range.end < (__u64)r->range.start;
	value = sl_value_find(v, r, index);
	if (value >> 32 == SL_SEVERAL && (r->kind != SL_RULE_PRESENT || r->what == SL_RULE_COOKIE))
		return SL_UNSURE;
	if (r->kind == SL_RULE_PRESENT)
		return ((value >> 32 != 0) | !!(r->flags & SL_RULE_NO_MISSING)) != invert;
	if (value >> 32 == SL_MISSING) {
		if (r->flags & SL_RULE_NO_MISSING) {
			yes = sl_empty_matches(r);
			return r->kind == SL_RULE_REGEX ? SL_UNSURE
							: (enum sl_answer)(yes != invert);
		}
		return r->what == SL_RULE_COOKIE && invert;
	}
	answer = sl_text_of(v, index, (__u32)value);
	if (answer == SL_UNSURE)
		return answer;
	return (answer == SL_YES) != invert;
}

/* Rule @index of the table, which is clamped. @draw: the request's random number, for FRACTION. */
SL_FN enum sl_answer sl_rule_check(const struct sl_request_view *v, __u32 index, __u64 draw)
{
	enum sl_answer answer = sl_rule_decide(v, sl_rule_at(v->t, index), index, draw);

#ifndef __bpf__
	if (answer == SL_UNSURE && v->ask)
		answer = v->ask(v->ctx, v, index & (SL_MAX_RULES - 1));
#endif
	return answer;
}

#endif /* SL_RULE_H */
