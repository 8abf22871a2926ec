/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The hash of a request by its route's hash policies, as Envoy's hash_policy: XXH64 (seed 0)
 * of a header's, a cookie's or a query parameter's value, or of the client's address; several are
 * combined as in Envoy's HashPolicyImpl::generateHash(). It depends on the request and
 * the config alone: the same on both paths, after a restart and on every host.
 */
#ifndef SL_HASH_H
#define SL_HASH_H

#include "sl_match.h"

#define SL_XXH_1 0x9E3779B185EBCA87ULL
#define SL_XXH_2 0xC2B2AE3D27D4EB4FULL
#define SL_XXH_3 0x165667B19E3779F9ULL
#define SL_XXH_4 0x85EBCA77C2B2AE63ULL
#define SL_XXH_5 0x27D4EB2F165667C5ULL

SL_FN __u64 sl_rotate(__u64 x, __u32 n)
{
	return x << n | x >> (64 - n);
}

SL_FN __u64 sl_xxh_round(__u64 acc, __u64 word)
{
	return sl_rotate(acc + word * SL_XXH_2, 31) * SL_XXH_1;
}

SL_FN __u64 sl_xxh_word(__u64 h, __u64 word)
{
	return sl_rotate(h ^ sl_xxh_round(0, word), 27) * SL_XXH_1 + SL_XXH_4;
}

SL_FN __u64 sl_xxh_end(__u64 h)
{
	h = (h ^ h >> 33) * SL_XXH_2;
	h = (h ^ h >> 29) * SL_XXH_3;
	return h ^ h >> 32;
}

/* XXH64 of sixteen bytes given as two words: an address, IPv4 mapped into IPv6. */
SL_FN __u64 sl_hash_words(__u64 a, __u64 b)
{
	return sl_xxh_end(sl_xxh_word(sl_xxh_word(SL_XXH_5 + 16, a), b));
}

struct sl_xxh {
	const __u8 *buf;
	__u32 off;
	__u32 stripes; /* whole ones */
	__u64 acc[4];
};

/* Stripe @i: thirty-two bytes. Places come from @i: a counter of its own would never be the same
 * again for the verifier. */
static long sl_xxh_step(__u32 i, void *data)
{
	struct sl_xxh *x = data;
	__u32 at = x->off + i * 32, k;

	if (i >= x->stripes)
		return 1;
	SL_UNROLL
	for (k = 0; k < 4; k++)
		x->acc[k] = sl_xxh_round(x->acc[k], sl_load(x->buf, at + k * 8));
	return 0;
}

/* The last bytes, fewer than 32, at @at. */
SL_FN __u64 sl_xxh_tail(__u64 h, const __u8 *buf, __u32 at, __u32 end)
{
	__u32 k;

	SL_UNROLL
	for (k = 0; k < 3; k++) {
		if (end - at >= 8) {
			h = sl_xxh_word(h, sl_load(buf, at));
			at += 8;
		}
	}
	if (end - at >= 4) {
		h ^= (sl_load(buf, at) & 0xffffffff) * SL_XXH_1;
		h = sl_rotate(h, 23) * SL_XXH_2 + SL_XXH_3;
		at += 4;
	}
	SL_UNROLL
	for (k = 0; k < 3; k++) {
		if (at < end) {
			h = sl_rotate(h ^ sl_byte(buf, at) * SL_XXH_5, 11) * SL_XXH_1;
			at++;
		}
	}
	return sl_xxh_end(h);
}

SL_ALONE __u64 sl_hash_bytes(const struct sl_buf *head, __u32 off, __u32 len, __u64 seed)
{
	const __u8 *buf = head ? head->bytes : NULL;
	struct sl_xxh x = {.buf = buf, .off = off, .stripes = len / 32};
	__u64 h = seed + SL_XXH_5;
	__u32 k;

	if (!buf)
		return 0;
	if (len >= 32) {
		x.acc[0] = seed + SL_XXH_1 + SL_XXH_2;
		x.acc[1] = seed + SL_XXH_2;
		x.acc[2] = seed;
		x.acc[3] = seed - SL_XXH_1;
		sl_loop(SL_HEAD_MAX / 32 + 1, sl_xxh_step, &x);
		h = sl_rotate(x.acc[0], 1) + sl_rotate(x.acc[1], 7) + sl_rotate(x.acc[2], 12) +
		    sl_rotate(x.acc[3], 18);
		SL_UNROLL
		for (k = 0; k < 4; k++)
			h = (h ^ sl_xxh_round(0, x.acc[k])) * SL_XXH_1 + SL_XXH_4;
	}
	return sl_xxh_tail(h + len, buf, off + len / 32 * 32, off + len);
}

/* XXH64 of @len bytes at @off of a head's buffer (see SL_HEAD_BUF). */
SL_FN __u64 sl_hash_span(const __u8 *buf, __u32 off, __u32 len, __u64 seed)
{
	return sl_hash_bytes(sl_buf(buf), off, len, seed);
}

struct sl_find {
	const __u8 *buf;
	__u64 byte; /* eight times */
	__u32 from;
	__u32 end;
	__u32 zero;
	__u32 at; /* the answer */
};

static long sl_find_step(__u32 i, void *data)
{
	struct sl_find *f = data;
	__u32 at = f->from + i * 64, k;

	for (k = 0; k < 8; k++) {
		__u64 found;

		if (at >= f->end)
			return 1;
		found = sl_eq(sl_load(f->buf, at) ^ f->byte, 0);
		if (found) {
			f->at = at + sl_index(found);
			return 1;
		}
		at += 8;
	}
	return 0;
}

/* Place of the first @byte in buf[at..end), or @end. */
SL_ALONE __u32 sl_find_byte(const struct sl_buf *head, __u32 at, __u32 end, __u8 byte)
{
	struct sl_find f = {.byte = SL_REP(byte), .from = at, .end = end, .at = end};

	if (!head)
		return end;
	f.buf = head->bytes;
	sl_loop(SL_HEAD_MAX / 64 + 1, sl_find_step, &f);
	return f.at < end ? f.at : end;
}

/* One request, for its hash. */
struct sl_hasher {
	const struct sl_table *t;
	struct sl_head *h; /* only scan_pair and scan_pair_end are written */
	const __u8 *buf;
	__u64 source; /* sl_hash_words() of the client's address */
	__u64 fresh;  /* hash of the value that a missing cookie with a ttl will have */
};

/* The search for the values that one policy looks at. */
struct sl_values {
	const struct sl_hasher *s;
	struct sl_str name; /* of the header, cookie or parameter */
	__u64 word;	    /* first bytes of it */
	__u64 line;	    /* first bytes of the name of the lines to look at, lower case */
	__u64 hash;
	__u32 line_len; /* 0: a query: there is no further line */
	__u32 field;	/* next line to look at */
	__u32 pairs;	/* 1: NAME=VALUE pairs in the lines, or in the query; 0: whole lines */
	__u32 found;
};

/* Takes the value buf[off..end). Returns 1 to stop. */
SL_FN long sl_value_take(struct sl_values *v, __u32 off, __u32 end)
{
	const __u8 *buf = v->s->buf;

	if (v->pairs && v->line_len) {
		/* Envoy: what double quotes enclose; an empty cookie is none. */
		if (end - off >= 2 && sl_byte(buf, off) == '"' && sl_byte(buf, end - 1) == '"') {
			off++;
			end--;
		}
		if (off == end)
			return 1;
	}
	v->hash = sl_hash_span(buf, off, end - off, v->hash);
	v->found = 1;
	return v->pairs;
}

/* The pair that begins at scan_pair. */
SL_FN long sl_value_pair(struct sl_values *v)
{
	const struct sl_hasher *s = v->s;
	__u32 at = s->h->scan_pair, len = v->name.len, end;
	bool query = !v->line_len;

	if (!query && sl_byte(s->buf, at) == ' ') {
		s->h->scan_pair = at + 1;
		return 0;
	}
	end = sl_find_byte(sl_buf(s->buf), at, s->h->scan_pair_end, query ? '&' : ';');
	s->h->scan_pair = end + 1;
	if (end - at < len || ((sl_load(s->buf, at) ^ v->word) & sl_first(len)))
		return 0;
	/* A parameter's name may stand alone. */
	if (end - at == len ? !query : sl_byte(s->buf, at + len) != '=')
		return 0;
	if (len > 8 && !sl_same_bytes(s->t, v->name.off + 8, s->buf, at + 8, at + len))
		return 0;
	return sl_value_take(v, at + len + (end - at > len), end);
}

/* The next line of the wanted name. */
SL_FN long sl_value_line(struct sl_values *v)
{
	const struct sl_hasher *s = v->s;
	const struct sl_header *field = &s->h->headers[v->field & (SL_MAX_HEADERS - 1)];
	__u32 len = v->line_len, off = field->name.off;

	if (!len || v->field >= s->h->n_headers)
		return 1;
	v->field++;
	if (field->name.len != len || ((sl_lower(sl_load(s->buf, off)) ^ v->line) & sl_first(len)))
		return 0;
	if (len > 8 && !sl_same_folded(s->t, v->name.off + 8, s->buf, off + 8, off + len))
		return 0;
	if (!v->pairs)
		return sl_value_take(v, field->value.off, field->value.off + field->value.len);
	s->h->scan_pair = field->value.off;
	s->h->scan_pair_end = field->value.off + field->value.len;
	return 0;
}

static long sl_values_step(SL_UNUSED __u32 i, void *data)
{
	struct sl_values *v = data;

	if (v->pairs && v->s->h->scan_pair < v->s->h->scan_pair_end)
		return sl_value_pair(v) != 0;
	return sl_value_line(v) != 0;
}

/* The span of a header that Envoy takes from the request line; Host is :authority. */
SL_FN bool sl_hash_part(const struct sl_head *h, __u64 word, __u32 len, struct sl_span *ret)
{
	*ret = h->host;
	if (len == 5 && word == SL_PACK(':', 'p', 'a', 't', 'h', 0, 0, 0))
		*ret = h->target;
	else if (len == 7 && word == SL_PACK(':', 'm', 'e', 't', 'h', 'o', 'd', 0))
		*ret = h->method_name;
	else
		return (word & 0xff) == ':' ||
		       (len == 4 && word == SL_PACK('h', 'o', 's', 't', 0, 0, 0, 0));
	return true;
}

/* Where policy @r looks. True: *@part is the value. */
SL_FN bool sl_hash_look(struct sl_values *v, const struct sl_hash_rule *r, struct sl_span *part)
{
	struct sl_head *h = v->s->h;

	v->name = r->name;
	v->word = sl_load_pool(v->s->t->strings, v->name.off) & sl_first(v->name.len);
	h->scan_pair = h->scan_pair_end = 0;
	switch (r->kind) {
	case SL_HASH_HEADER:
		v->line = v->word;
		v->line_len = v->name.len;
		return sl_hash_part(h, v->word, v->name.len, part);
	case SL_HASH_COOKIE:
		v->line = SL_PACK('c', 'o', 'o', 'k', 'i', 'e', 0, 0);
		v->line_len = 6;
		v->pairs = 1;
		break;
	default:
		v->pairs = 1;
		h->scan_pair = h->path.off + h->path.len + 1;
		h->scan_pair_end = h->target.off + h->target.len;
	}
	return false;
}

enum sl_hashed {
	SL_HASHED_NOT,	/* what the policy looks at is not there */
	SL_HASHED,	/* *ret is its hash */
	SL_HASHED_FRESH /* the hash of a cookie that is still to be made */
};

/* The hash of the request by the policy @r alone. */
SL_FN enum sl_hashed sl_hash_one(const struct sl_hasher *s, const struct sl_hash_rule *r,
				 __u64 *ret)
{
	struct sl_values v = {.s = s};
	struct sl_span part = {0};

	if (r->kind == SL_HASH_SOURCE_IP) {
		*ret = s->source;
		return SL_HASHED;
	}
	if (sl_hash_look(&v, r, &part))
		sl_value_take(&v, part.off, part.off + part.len);
	else
		sl_loop(SL_HEAD_MAX + SL_MAX_HEADERS + 1, sl_values_step, &v);
	*ret = v.hash;
	if (v.found)
		return SL_HASHED;
	if (r->kind != SL_HASH_COOKIE || !(r->flags & SL_HASH_GENERATE))
		return SL_HASHED_NOT;
	*ret = s->fresh;
	return SL_HASHED_FRESH;
}

/* Adds policy @index of the route, @r. Returns 1: the ones behind it do not count. */
SL_FN long sl_hash_add(struct sl_hash *x, const struct sl_hash_rule *r, __u32 index,
		       enum sl_hashed got, __u64 one)
{
	if (got != SL_HASHED_NOT) {
		x->value = (x->found ? sl_rotate(x->value, 1) : 0) ^ one;
		x->found = 1;
	}
	if (got == SL_HASHED_FRESH)
		x->generate |= 1U << (index & 31);
	return (r->flags & SL_HASH_TERMINAL) && x->found;
}

#endif /* SL_HASH_H */
