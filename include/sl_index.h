/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The index of the compiled table: from a host to its virtual host, from a path to the lists of
 * routes that it can match. The cost does not grow with the number of domains and routes: an
 * exact name is one probe of a hash table, the longest of the prefixes of n lengths takes log2(n)
 * (binary search over the lengths, Waldvogel et al. 1997: user/config/index.c puts a
 * marker where the search has to go on to longer ones).
 */
#ifndef SL_INDEX_H
#define SL_INDEX_H

#include "sl_bytes.h"
#include "sl_head.h"
#include "sl_table.h"

#define SL_NO_SLOT 0xffffffffU
#define SL_NO_DOMAIN 0xffffffffU
#define SL_BUCKET 4 /* slots of one */

_Static_assert((SL_INDEX_SLOTS & (SL_INDEX_SLOTS - 1)) == 0, "clamped by a mask");
_Static_assert((SL_INDEX_LISTED & (SL_INDEX_LISTED - 1)) == 0, "clamped by a mask");
_Static_assert((SL_INDEX_LENGTHS & (SL_INDEX_LENGTHS - 1)) == 0, "clamped by a mask");
_Static_assert((SL_MAX_ROUTES & (SL_MAX_ROUTES - 1)) == 0, "clamped by a mask");

/* What is matched: a request, as sl_request_parse() has left it. */
struct sl_request_view {
	const struct sl_table *t;
	const struct sl_head *h;
	const __u8 *buf;
#ifdef __bpf__
	__u32 key; /* of the request, for sl_view_of() */
#else
	__u64 draw; /* a random number, one for the whole request: for FRACTION */
	/* Answers a rule that is unsure; NULL: it stays unsure, as in the kernel. */
	bool (*ask)(void *ctx, const struct sl_request_view *v, __u32 rule);
	void *ctx;
#endif
};

#ifdef __bpf__
/* The request with @key, but for the draw: each program defines it. False: there is none. */
SL_FN bool sl_view_of(struct sl_request_view *v, __u32 key);
#endif

/* ---- compare ---- */

/* Bytes at..end of the head and those at pool_at of the pool. */
struct sl_compare {
	const __u8 *pool;
	const __u8 *buf;
	__u32 pool_at;
	__u32 at;
	__u32 end;
	__u32 same; /* 1: the end was reached */
};

/* Eight words. */
SL_FN long sl_compare_words(struct sl_compare *c, __u32 step, bool fold)
{
	__u32 at = c->at + step * 64, end = c->end, pool_at = c->pool_at + step * 64, i;

	SL_UNROLL
	for (i = 0; i < 8; i++) {
		__u64 w;

		if (at >= end) {
			c->same = 1;
			return 1;
		}
		w = sl_load(c->buf, at);
		if (fold)
			w = sl_lower(w);
		if ((w ^ sl_load_pool(c->pool, pool_at)) & sl_first(end - at))
			return 1;
		at += 8;
		pool_at += 8;
	}
	return 0;
}

static long sl_compare_step(__u32 i, void *data)
{
	return sl_compare_words(data, i, false);
}

static long sl_compare_fold_step(__u32 i, void *data)
{
	return sl_compare_words(data, i, true);
}

/* Are bytes @at..@end of the head and as many of the pool from @pool_at the same? */
SL_SLOW bool sl_same_bytes(const struct sl_table *t, __u32 pool_at, const __u8 *buf, __u32 at,
			   __u32 end)
{
	struct sl_compare c = {
		.pool = t->strings, .buf = buf, .pool_at = pool_at, .at = at, .end = end};

	sl_loop(SL_HEAD_MAX / 64 + 1, sl_compare_step, &c);
	return c.same;
}

/* The same, with the head's bytes folded to lower case. */
SL_SLOW bool sl_same_folded(const struct sl_table *t, __u32 pool_at, const __u8 *buf, __u32 at,
			    __u32 end)
{
	struct sl_compare c = {
		.pool = t->strings, .buf = buf, .pool_at = pool_at, .at = at, .end = end};

	sl_loop(SL_HEAD_MAX / 64 + 1, sl_compare_fold_step, &c);
	return c.same;
}

SL_FN bool sl_compare(const struct sl_request_view *v, __u32 pool_at, __u32 at, __u32 end,
		      bool fold)
{
	struct sl_compare c = {
		.pool = v->t->strings, .buf = v->buf, .pool_at = pool_at, .at = at, .end = end};

	if (fold)
		sl_loop(SL_HEAD_MAX / 64 + 1, sl_compare_fold_step, &c);
	else
		sl_loop(SL_HEAD_MAX / 64 + 1, sl_compare_step, &c);
	return c.same;
}

#ifdef __bpf__
__noinline int sl_compare_call(__u32 key, __u32 pool_at, __u32 at, __u32 end, __u32 fold)
{
	struct sl_request_view v = {};

	return sl_view_of(&v, key) ? sl_compare(&v, pool_at, at, end, fold) : 0;
}
#endif

/* The same for a request: in BPF verified once for all callers. @fold: the head's bytes are. */
SL_FN bool sl_same(const struct sl_request_view *v, __u32 pool_at, __u32 at, __u32 end, bool fold)
{
#ifdef __bpf__
	return sl_compare_call(v->key, pool_at, at, end, fold);
#else
	return sl_compare(v, pool_at, at, end, fold);
#endif
}

/* ---- hash ---- */

/* The hash of no bytes yet, for a key of @kind (enum sl_index_kind) that belongs to @owner. */
SL_FN __u64 sl_key_begin(const struct sl_table *t, __u32 kind, __u32 owner)
{
	return ((__u64)(owner << 3 | kind) + 1) * 0xd6e8feb86659fd93ULL + t->seed;
}

SL_FN __u64 sl_key_word(__u64 h, __u64 w)
{
	h = (h ^ w) * 0x9e3779b97f4a7c15ULL;
	return h ^ h >> 32;
}

/* The last word, of the @len % 8 bytes that are left (0: a word of zeros). Not 0. */
SL_FN __u64 sl_key_end(__u64 h, __u64 w, __u32 len)
{
	h = sl_key_word(h, w);
	h = sl_key_word(h, len);
	return h ? h : 1;
}

/* Bytes of a head that are hashed: [at, end), of which [0, at) are in the hash already. */
struct sl_key_scan {
	const __u8 *buf;
	__u64 hash;
	__u32 off; /* of byte 0 */
	__u32 at;  /* multiple of eight */
	__u32 end;
	__u32 zero;
};

/* Eight words; 1: no whole word is left. */
SL_FN long sl_key_words(struct sl_key_scan *s, bool fold)
{
	__u32 at = s->at, end = s->end, i;

	SL_UNROLL
	for (i = 0; i < 8; i++) {
		__u64 w;

		if (end - at < 8)
			return 1;
		w = sl_load(s->buf, s->off + at);
		if (fold)
			w = sl_lower(w);
		s->hash = sl_key_word(s->hash, w);
		at += 8;
		s->at = at;
	}
	return 0;
}

static long sl_key_step(SL_UNUSED __u32 step, void *data)
{
	return sl_key_words(data, false);
}

static long sl_key_fold_step(SL_UNUSED __u32 step, void *data)
{
	return sl_key_words(data, true);
}

/* Takes in the whole words before @end; the hash of all of it. */
SL_FN __u64 sl_key_to(struct sl_key_scan *s, __u32 end, bool fold)
{
	__u64 w;

	s->end = end;
	if (end - s->at >= 8) {
		if (fold)
			sl_loop(SL_HEAD_MAX / 64 + 1, sl_key_fold_step, s);
		else
			sl_loop(SL_HEAD_MAX / 64 + 1, sl_key_step, s);
	}
	w = sl_load(s->buf, s->off + s->at);
	if (fold)
		w = sl_lower(w);
	return sl_key_end(s->hash, w & sl_first((end - s->at) & 7), end);
}

SL_FN __u32 sl_bucket_find(const struct sl_table *t, __u32 bucket, __u64 hash, __u64 *ret_last)
{
	__u32 at = (bucket * SL_BUCKET) & (SL_INDEX_SLOTS - SL_BUCKET), i;
	const struct sl_slot *s = &t->slots[at];

	SL_UNROLL
	for (i = 0; i < SL_BUCKET; i++)
		if (s[i].hash == hash)
			return at + i;
	*ret_last = s[SL_BUCKET - 1].hash;
	return SL_NO_SLOT;
}

/* The slot with @hash, or SL_NO_SLOT. Its key is still to be compared. */
SL_FN __u32 sl_slot_find(const struct sl_table *t, __u64 hash)
{
	__u32 mask = t->n_buckets - 1, slot;
	__u64 last;

	slot = sl_bucket_find(t, hash & mask, hash, &last);
	if (slot != SL_NO_SLOT || !last)
		return slot;
	return sl_bucket_find(t, hash >> 32 & mask, hash, &last);
}

SL_FN const struct sl_slot *sl_slot_at(const struct sl_table *t, __u32 slot)
{
	return &t->slots[slot & (SL_INDEX_SLOTS - 1)];
}

/* ---- hosts ---- */

/* A host, and where the search for its domain stands. */
struct sl_host_scan {
	const struct sl_request_view *v;
	__u32 off;
	__u32 len;
	__u32 config;
	__u32 length; /* index of the next of the wildcards' lengths */
	__u32 suffix; /* 1: of suffixes */
	__u32 found;  /* domain */
};

/* The domain of @kind whose name the @len bytes of the host at @off are, into s->found. */
SL_FN bool sl_host_probe(struct sl_host_scan *s, enum sl_domain_kind kind, __u32 off, __u32 len)
{
	const struct sl_table *t = s->v->t;
	struct sl_key_scan h = {.buf = s->v->buf, .off = off, .at = t->zero};
	const struct sl_slot *slot;
	__u32 at;

	h.hash = sl_key_begin(t, SL_INDEX_DOMAIN + kind, s->config);
	at = sl_slot_find(t, sl_key_to(&h, len, true));
	if (at == SL_NO_SLOT)
		return false;
	slot = sl_slot_at(t, at);
	if (slot->len != len || !sl_same(s->v, slot->key, off, off + len, true))
		return false;
	s->found = slot->value;
	return true;
}

static long sl_wildcard_step(SL_UNUSED __u32 i, void *data)
{
	struct sl_host_scan *s = data;
	__u32 len = s->v->t->lengths[s->length & (SL_INDEX_LENGTHS - 1)];

	s->length++;
	if (len >= s->len) /* the star stands for something */
		return 0;
	if (s->suffix)
		return sl_host_probe(s, SL_DOMAIN_SUFFIX, s->off + s->len - len, len);
	return sl_host_probe(s, SL_DOMAIN_PREFIX, s->off, len);
}

/* Eight bytes, backwards: the last ':' with no ']' behind it is the port's (Envoy: getPortStart).
 */
static long sl_port_step(SL_UNUSED __u32 step, void *data)
{
	struct sl_host_scan *s = data;
	__u32 at = s->found, i;

	SL_UNROLL
	for (i = 0; i < 8; i++) {
		__u8 c;

		if (at == 0)
			return 1;
		at--;
		c = sl_byte(s->v->buf, s->off + at);
		if (c == ']')
			return 1;
		if (c == ':') {
			s->len = at;
			return 1;
		}
	}
	s->found = at;
	return 0;
}

/*
 * The domain that a request has in route configuration @config, in Envoy's order: exact,
 * longest suffix, longest prefix, "*". Index into t->domains, or SL_NO_DOMAIN.
 */
SL_FN __u32 sl_domain_search(const struct sl_request_view *v, __u32 config)
{
	const struct sl_table *t = v->t;
	const struct sl_route_config *c = &t->configs[config & (SL_MAX_LISTENERS - 1)];
	struct sl_host_scan s = {.v = v, .config = config};

	s.off = v->h->host.off;
	s.len = v->h->host.len;
	if (c->flags & SL_CONFIG_IGNORE_PORT) {
		s.found = s.len + t->zero;
		sl_loop(SL_HEAD_MAX / 8, sl_port_step, &s);
	}
	if (c->n_exact && sl_host_probe(&s, SL_DOMAIN_EXACT, s.off, s.len))
		return s.found;
	s.found = SL_NO_DOMAIN;
	s.length = c->first_length;
	if (c->n_suffixes) {
		s.suffix = 1;
		sl_loop(c->n_suffixes, sl_wildcard_step, &s);
		if (s.found != SL_NO_DOMAIN)
			return s.found;
		s.length = c->first_length + c->n_suffixes;
	}
	if (c->n_prefixes) {
		s.suffix = 0;
		sl_loop(c->n_prefixes, sl_wildcard_step, &s);
		if (s.found != SL_NO_DOMAIN)
			return s.found;
	}
	return c->any - 1;
}

#ifdef __bpf__
__noinline int sl_domain_call(__u32 key, __u32 config)
{
	struct sl_request_view v = {};

	return sl_view_of(&v, key) ? sl_domain_search(&v, config) : SL_NO_DOMAIN;
}
#endif

/* The same; a configuration that has "*" alone needs no search. */
SL_FN __u32 sl_domain_find(const struct sl_request_view *v, __u32 config)
{
	const struct sl_route_config *c = &v->t->configs[config & (SL_MAX_LISTENERS - 1)];

	if (!(c->n_exact | c->n_suffixes | c->n_prefixes))
		return c->any - 1;
#ifdef __bpf__
	return sl_domain_call(v->key, config);
#else
	return sl_domain_search(v, config);
#endif
}

/* ---- paths ---- */

/* Binary search for the longest prefix. */
struct sl_prefix_scan {
	const struct sl_table *t;
	struct sl_key_scan hash; /* up to the longest one found */
	__u32 len;		 /* of the path */
	__u32 low;		 /* [low, high) are still to be looked at */
	__u32 first;		 /* of the lengths */
	__u32 high;
	__u32 fold;
	__u32 hit; /* slot of the longest one found, or SL_NO_SLOT */
};

static long sl_prefix_step(SL_UNUSED __u32 i, void *data)
{
	struct sl_prefix_scan *s = data;
	__u32 low = s->low, high = s->high, mid, len, slot;
	struct sl_key_scan h = s->hash;

	if (low >= high)
		return 1;
	mid = low + (high - low) / 2;
	len = s->t->lengths[(s->first + mid) & (SL_INDEX_LENGTHS - 1)];
	if (len > s->len) {
		s->high = mid;
		return 0;
	}
	slot = sl_slot_find(s->t, sl_key_to(&h, len, s->fold));
	if (slot == SL_NO_SLOT) {
		s->high = mid;
		return 0;
	}
	s->hit = slot;
	s->low = mid + 1;
	s->hash.hash = h.hash;
	s->hash.at = h.at;
	return 0;
}

#define SL_PATH_UNSURE 0x10000U

/* Domain @domain of the table, whatever the number. */
SL_FN const struct sl_domain *sl_domain_at(const struct sl_table *t, __u32 domain)
{
	return &t->domains[domain & (SL_MAX_DOMAINS - 1)];
}

/*
 * The longest prefix of the path that routes of the virtual host of @domain have: index into
 * t->paths, SL_NO_PATH, or SL_PATH_UNSURE: two keys have one hash, so that the search may have gone
 * astray.
 */
SL_FN __u32 sl_prefix_search(const struct sl_request_view *v, const struct sl_domain *d, __u32 fold)
{
	const struct sl_table *t = v->t;
	struct sl_prefix_scan s = {.t = t, .hit = SL_NO_SLOT, .fold = fold};
	const struct sl_slot *slot;
	__u32 off = v->h->path.off;

	s.len = v->h->path.len;
	s.first = d->routes.first_length + (fold ? d->routes.n_lengths : 0);
	s.high = fold ? d->routes.n_folded : d->routes.n_lengths;
	s.hash.buf = v->buf;
	s.hash.off = off;
	s.hash.at = t->zero;
	s.low = t->zero;
	s.hash.hash = sl_key_begin(t, SL_INDEX_PREFIX + fold, d->vhost);
	sl_loop(17, sl_prefix_step, &s);
	if (s.hit == SL_NO_SLOT)
		return SL_NO_PATH;
	slot = sl_slot_at(t, s.hit);
	if (slot->len > s.len || !sl_same(v, slot->key, off, off + slot->len, fold))
		return SL_PATH_UNSURE;
	return slot->value;
}

/* The path that is all of the request's: index into t->paths, or SL_NO_PATH. */
SL_FN __u32 sl_exact_search(const struct sl_request_view *v, const struct sl_domain *d, __u32 fold)
{
	const struct sl_table *t = v->t;
	struct sl_key_scan s = {.buf = v->buf, .off = v->h->path.off, .at = t->zero};
	__u32 len = v->h->path.len, at;
	const struct sl_slot *slot;

	s.hash = sl_key_begin(t, SL_INDEX_EXACT + fold, d->vhost);
	at = sl_slot_find(t, sl_key_to(&s, len, fold));
	if (at == SL_NO_SLOT)
		return SL_NO_PATH;
	slot = sl_slot_at(t, at);
	if (slot->len != len || !sl_same(v, slot->key, s.off, s.off + len, fold))
		return SL_NO_PATH;
	return slot->value;
}

/* Both, as prefix << 32 | exact. @fold: 0 or 1: those with case_sensitive: false. */
SL_FN __u64 sl_paths_search(const struct sl_request_view *v, __u32 domain, __u32 fold)
{
	const struct sl_domain *d = sl_domain_at(v->t, domain);
	__u64 exact = SL_NO_PATH, prefix = SL_NO_PATH;

	fold &= 1;
	if (fold ? d->routes.n_folded : d->routes.n_lengths)
		prefix = sl_prefix_search(v, d, fold);
	if (d->routes.flags & (fold ? SL_VHOST_EXACT_FOLDED : SL_VHOST_EXACT))
		exact = sl_exact_search(v, d, fold);
	return prefix << 32 | exact;
}

#ifdef __bpf__
__noinline __u64 sl_paths_call(__u32 key, __u32 domain, __u32 fold)
{
	struct sl_request_view v = {};

	return sl_view_of(&v, key) ? sl_paths_search(&v, domain, fold) : ~0ULL;
}

#define sl_paths_find(v, domain, fold) sl_paths_call((v)->key, domain, fold)
#else
#define sl_paths_find(v, domain, fold) sl_paths_search(v, domain, fold)
#endif

#endif /* SL_INDEX_H */
