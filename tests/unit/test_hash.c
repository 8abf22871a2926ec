// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hash policies and sticky splits: XXH64 against published vectors, what each policy looks
 * at, and 100,000 users while weights move.
 */
#include <math.h>
#include "core.h"
#include "sl_cohort.h"
#include "sl_hash.h"
#include "sl_http.h"

#define USERS 100000
#define SL_FIXED_EXPO_1 0x910a2dec89025ccULL
#define SL_FIXED_USER_42 0x397e9d3a76af7c81ULL

static __u64 hash_text(const char *text, __u64 seed)
{
	__u8 *buf = guarded(SL_HEAD_BUF);

	memcpy(buf + 3, text, strlen(text));
	return sl_hash_span(buf, 3, strlen(text), seed);
}

static void vectors(void)
{
	static const struct {
		const char *text;
		__u64 hash;
	} all[] = {
		{"", 0xef46db3751d8e999ULL},
		{"a", 0xd24ec4f1a98c6e5bULL},
		{"abc", 0x44bc2cf5ad770999ULL},
		{"message digest", 0x066ed728fceeb3beULL},
		{"abcdefghijklmnopqrstuvwxyz", 0xcfe1f278fa89835cULL},
		{"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
		 0xaaa46907d3047814ULL},
		{"1234567890123456789012345678901234567890"
		 "1234567890123456789012345678901234567890",
		 0xe04a477f19ee145dULL},
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		__u64 got = hash_text(all[i].text, 0);

		CHECK_CASE(got == all[i].hash, all[i].text, "%016llx", (unsigned long long)got);
	}
}

static void words_are_bytes(void)
{
	__u64 a, b;

	memcpy(&a, "0123456789abcdef", 8);
	memcpy(&b, "89abcdef", 8);
	CU_ASSERT_EQUAL(sl_hash_words(a, b), hash_text("0123456789abcdef", 0));
}

/* ---- policies ---- */

static struct sl_table *table;

static struct sl_hash_rule rule(enum sl_hash_kind kind, const char *name, __u8 flags)
{
	struct sl_hash_rule r = {.kind = kind, .flags = flags, .name.off = 5};

	r.name.len = strlen(name);
	memcpy(table->strings + 5, name, r.name.len);
	return r;
}

/* What the policy @r hashes of the head with @lines: its text, or NULL for nothing. */
static void expect(const char *name, const struct sl_hash_rule *r, const char *target,
		   const char *lines, const char *wanted)
{
	static struct sl_head h;
	__u8 *buf = guarded(SL_HEAD_BUF);
	struct sl_hasher x = {.t = table, .h = &h, .buf = buf, .fresh = 77};
	enum sl_hashed got;
	__u64 hash;
	int len = snprintf((char *)buf, SL_HEAD_BUF, "GET %s HTTP/1.1\r\nHost: h.example\r\n%s\r\n",
			   target, lines);

	if (sl_request_parse(&h, buf, len) != SL_PARSE_DONE) {
		CHECK_CASE(0, name, "does not parse");
		return;
	}
	got = sl_hash_one(&x, r, &hash);
	if (!wanted)
		CHECK_CASE(got == SL_HASHED_NOT, name, "hashed");
	else
		CHECK_CASE(got == SL_HASHED && hash == hash_text(wanted, 0), name,
			   "not the hash of '%s' (%d)", wanted, got);
}

static void headers(void)
{
	struct sl_hash_rule r = rule(SL_HASH_HEADER, "x-user-identity", 0);
	__u64 two;

	expect("there", &r, "/", "A: b\r\nX-User-Identity: alice\r\n", "alice");
	expect("case of the value counts", &r, "/", "X-User-Identity: Alice\r\n", "Alice");
	expect("missing", &r, "/", "X-User-Identitz: alice\r\n", NULL);
	expect("empty is a value", &r, "/", "X-User-Identity:\r\n", "");
	r = rule(SL_HASH_HEADER, "host", 0);
	expect("host", &r, "/a?b", "", "h.example");
	r = rule(SL_HASH_HEADER, ":path", 0);
	expect(":path", &r, "/a?b", "", "/a?b");
	r = rule(SL_HASH_HEADER, ":method", 0);
	expect(":method", &r, "/a?b", "", "GET");

	/* Repeated: one after another, so their order counts. */
	two = hash_text("b", hash_text("a", 0));
	{
		static struct sl_head h;
		__u8 *buf = guarded(SL_HEAD_BUF);
		struct sl_hasher x = {.t = table, .h = &h, .buf = buf};
		const char *text = "GET / HTTP/1.1\r\nHost: h\r\nX: a\r\nY: z\r\nx: b\r\n\r\n";
		__u64 hash;

		memcpy(buf, text, strlen(text));
		r = rule(SL_HASH_HEADER, "x", 0);
		CU_ASSERT_EQUAL(sl_request_parse(&h, buf, strlen(text)), SL_PARSE_DONE);
		CU_ASSERT_EQUAL(sl_hash_one(&x, &r, &hash), SL_HASHED);
		CU_ASSERT_EQUAL(hash, two);
	}
}

static void cookies(void)
{
	struct sl_hash_rule r = rule(SL_HASH_COOKIE, "user", 0);

	expect("alone", &r, "/", "Cookie: user=alice\r\n", "alice");
	expect("second", &r, "/", "Cookie: a=b; user=alice; c=d\r\n", "alice");
	expect("no space", &r, "/", "Cookie: a=b;user=alice;c=d\r\n", "alice");
	expect("many spaces", &r, "/", "Cookie: a=b;   user=alice\r\n", "alice");
	expect("longer name before", &r, "/", "Cookie: username=x; user=alice\r\n", "alice");
	expect("name in a value", &r, "/", "Cookie: a=user=x; user=alice\r\n", "alice");
	expect("case of the name", &r, "/", "Cookie: User=x\r\n", NULL);
	expect("quoted", &r, "/", "Cookie: user=\"alice\"\r\n", "alice");
	expect("one quote", &r, "/", "Cookie: user=\"\r\n", "\"");
	expect("empty", &r, "/", "Cookie: user=\r\n", NULL);
	expect("empty in quotes", &r, "/", "Cookie: user=\"\"\r\n", NULL);
	expect("no value", &r, "/", "Cookie: user\r\n", NULL);
	expect("first counts", &r, "/", "Cookie: user=a; user=b\r\n", "a");
	expect("second line", &r, "/", "Cookie: a=b\r\nX: y\r\nCOOKIE: user=alice\r\n", "alice");
	expect("value with =", &r, "/", "Cookie: user=a=b\r\n", "a=b");
	expect("none", &r, "/", "X: user=alice\r\n", NULL);
	r = rule(SL_HASH_COOKIE, "a-name-of-cookie-over-eight", 0);
	expect("long name", &r, "/",
	       "Cookie: a-name-of-cookie-over-eighT=1; "
	       "a-name-of-cookie-over-eight=2\r\n",
	       "2");
}

static void parameters(void)
{
	struct sl_hash_rule r = rule(SL_HASH_QUERY, "user", 0);

	expect("alone", &r, "/p?user=alice", "", "alice");
	expect("second", &r, "/p?a=b&user=alice&c=d", "", "alice");
	expect("first counts", &r, "/p?user=a&user=b", "", "a");
	expect("longer name", &r, "/p?users=a", "", NULL);
	expect("bare", &r, "/p?user", "", "");
	expect("bare, then others", &r, "/p?user&a=b", "", "");
	expect("empty", &r, "/p?user=&a=b", "", "");
	expect("no query", &r, "/user=alice", "", NULL);
	expect("empty query", &r, "/p?", "", NULL);
	expect("not decoded", &r, "/p?user=a%20b", "", "a%20b");
	expect("quotes stay", &r, "/p?user=\"a\"", "", "\"a\"");
}

/* Envoy's HashPolicyImpl::generateHash(): each is xored into the rotated earlier ones. */
static void combined(void)
{
	struct sl_hash_rule plain = {.kind = SL_HASH_HEADER}, last = {.flags = SL_HASH_TERMINAL};
	struct sl_hash x = {0};

	CU_ASSERT(!sl_hash_add(&x, &last, 0, SL_HASHED_NOT, 9));
	CU_ASSERT(!x.found);
	CU_ASSERT(!sl_hash_add(&x, &plain, 1, SL_HASHED, 0x8000000000000001ULL));
	CU_ASSERT(x.found && x.value == 0x8000000000000001ULL);
	CU_ASSERT(!sl_hash_add(&x, &plain, 2, SL_HASHED_FRESH, 0x10));
	CU_ASSERT_EQUAL(x.value, 3 ^ 0x10);
	CU_ASSERT_EQUAL(x.generate, 4);
	CU_ASSERT(sl_hash_add(&x, &last, 3, SL_HASHED_NOT, 9));
	CU_ASSERT_EQUAL(x.value, 3 ^ 0x10);
}

static void made_cookie(void)
{
	struct sl_hash_rule r = rule(SL_HASH_COOKIE, "user", SL_HASH_GENERATE);
	static struct sl_head h;
	__u8 *buf = guarded(SL_HEAD_BUF);
	struct sl_hasher x = {.t = table, .h = &h, .buf = buf, .fresh = 77};
	const char *text = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
	__u64 hash;

	memcpy(buf, text, strlen(text));
	CU_ASSERT_EQUAL(sl_request_parse(&h, buf, strlen(text)), SL_PARSE_DONE);
	CU_ASSERT_EQUAL(sl_hash_one(&x, &r, &hash), SL_HASHED_FRESH);
	CU_ASSERT_EQUAL(hash, 77);
}

/* ---- cohorts ---- */

struct world {
	__u32 n;
	__u32 weights[SL_MAX_SPLIT_TARGETS];
	__u64 names[SL_MAX_SPLIT_TARGETS];
};

static __u64 user(__u32 i)
{
	char text[32];
	__u8 buf[SL_HEAD_BUF];
	int len = snprintf(text, sizeof(text), "user-%u", i);

	memcpy(buf, text, len);
	return sl_hash_span(buf, 0, len, 0);
}

static __u32 choose(const struct world *w, __u64 hash)
{
	struct sl_cohort c = {.hash = hash, .target = SL_NO_TARGET};

	for (__u32 i = 0; i < w->n; i++)
		sl_cohort_offer(&c, i, w->weights[i], w->names[i]);
	return c.target;
}

static __u8 before[USERS], now[USERS];
static __u64 hashes[USERS];

static void place(const struct world *w, __u8 *to, __u32 *counts)
{
	memset(counts, 0, sizeof(*counts) * SL_MAX_SPLIT_TARGETS);
	for (__u32 i = 0; i < USERS; i++) {
		__u32 target = choose(w, hashes[i]);

		to[i] = target;
		if (target < w->n)
			counts[target]++;
	}
}

/* Each share within five standard deviations of a binomial's; weight 0: nobody. */
static void check_shares(const char *name, const struct world *w, const __u32 *counts)
{
	double total = 0;

	for (__u32 i = 0; i < w->n; i++)
		total += w->weights[i];
	for (__u32 i = 0; i < w->n; i++) {
		double p = w->weights[i] / total, noise = 5 * sqrt(USERS * p * (1 - p));

		CHECK_CASE(fabs(counts[i] - USERS * p) <= noise, name,
			   "cluster %u has %u users, not %.0f +- %.0f", i, counts[i], USERS * p,
			   noise);
	}
}

static struct world world(__u32 n)
{
	struct world w = {.n = n};
	char name[16];

	for (__u32 i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "v%u", i);
		w.names[i] = hash_text(name, 0);
		w.weights[i] = 1;
	}
	return w;
}

/* 1, 5, 10, 50, 100 %, and back. A cohort holds all smaller ones, strictly. */
static void ladder(void)
{
	static const __u32 steps[] = {0, 1, 5, 10, 50, 100, 50, 10, 5, 1, 0};
	struct world w = world(2);
	__u32 counts[SL_MAX_SPLIT_TARGETS], wrong = 0;

	for (__u32 s = 0; s < sizeof(steps) / sizeof(steps[0]); s++) {
		w.weights[1] = steps[s];
		w.weights[0] = 100 - steps[s];
		place(&w, now, counts);
		check_shares("ladder", &w, counts);
		for (__u32 i = 0; s && i < USERS; i++)
			wrong += steps[s] > steps[s - 1] ? before[i] == 1 && now[i] != 1
							 : before[i] == 0 && now[i] != 0;
		CHECK_CASE(!wrong, "ladder", "%u users moved the wrong way to %u %%", wrong,
			   steps[s]);
		memcpy(before, now, sizeof(now));
	}
}

/* One weight of many changes: users move to it, or from it, and between no two others. */
static void one_of_many(void)
{
	for (__u32 n = 2; n <= SL_MAX_SPLIT_TARGETS; n += 7) {
		struct world w = world(n);
		__u32 counts[SL_MAX_SPLIT_TARGETS], wrong = 0, moved = 0;

		for (__u32 i = 0; i < n; i++)
			w.weights[i] = 1 + i * i;
		place(&w, before, counts);
		check_shares("many", &w, counts);
		w.weights[1] = 40;
		place(&w, now, counts);
		check_shares("many, one raised", &w, counts);
		for (__u32 i = 0; i < USERS; i++) {
			wrong += before[i] != now[i] && now[i] != 1;
			moved += before[i] != now[i];
		}
		CHECK_CASE(!wrong && moved, "raised", "%u of %u moved elsewhere", wrong, moved);
		w.weights[1] = 3;
		memcpy(before, now, sizeof(now));
		place(&w, now, counts);
		for (__u32 i = 0; i < USERS; i++)
			wrong += before[i] != now[i] && before[i] != 1;
		CHECK_CASE(!wrong, "lowered", "%u of others moved", wrong);
	}
}

/* Any change of all weights: from a to b only if b has grown against a. */
static void pairwise(void)
{
	struct world w = world(5), x;
	__u32 counts[SL_MAX_SPLIT_TARGETS], wrong = 0;
	__u64 state = 1;

	for (int round = 0; round < 10; round++) {
		place(&w, before, counts);
		x = w;
		for (__u32 i = 0; i < w.n; i++)
			w.weights[i] = sl_mix(++state) % 1000;
		w.weights[0]++;
		place(&w, now, counts);
		check_shares("pairwise", &w, counts);
		for (__u32 i = 0; i < USERS; i++) {
			__u32 a = before[i], b = now[i];

			wrong += a != b && (__u64)x.weights[b] * w.weights[a] >=
						   (__u64)w.weights[b] * x.weights[a];
		}
	}
	CHECK_CASE(!wrong, "pairwise", "%u users moved against the ratio", wrong);
}

/* Order, scale and clusters of weight 0 do not matter. */
static void same_answer(void)
{
	struct world w = world(3), x = world(4);
	__u32 wrong = 0;

	w.weights[0] = 7;
	w.weights[2] = 20;
	for (__u32 i = 0; i < 3; i++) {
		x.weights[3 - i] = w.weights[i] * 1000;
		x.names[3 - i] = w.names[i];
	}
	x.weights[0] = 0;
	for (__u32 i = 0; i < USERS; i++)
		wrong += choose(&w, hashes[i]) != 3 - choose(&x, hashes[i]);
	CU_ASSERT_EQUAL(wrong, 0);
	w = world(2);
	w.weights[0] = w.weights[1] = 0;
	CU_ASSERT_EQUAL(choose(&w, 1), SL_NO_TARGET);
	/* The largest weights, and one user in 4 billion. */
	w.weights[0] = 0xfffffffe;
	w.weights[1] = 1;
	for (__u32 i = 0; i < USERS; i++)
		wrong += choose(&w, hashes[i]) != 0;
	CU_ASSERT(wrong <= 1);
}

/* For ever the same: what hosts and versions agree on. */
static void fixed(void)
{
	CU_ASSERT_EQUAL(sl_expo(1), SL_FIXED_EXPO_1);
	CU_ASSERT_EQUAL(user(42), SL_FIXED_USER_42);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"XXH64", vectors},
		{"words are bytes", words_are_bytes},
		{"headers", headers},
		{"cookies", cookies},
		{"query parameters", parameters},
		{"combined", combined},
		{"a cookie to be made", made_cookie},
		{"the ladder of 100,000 users", ladder},
		{"one of many", one_of_many},
		{"any change", pairwise},
		{"the same answer", same_answer},
		{"fixed", fixed},
		CU_TEST_INFO_NULL,
	};

	table = calloc(1, sizeof(*table));
	for (__u32 i = 0; i < USERS; i++)
		hashes[i] = user(i);
	return run_suite("hash", tests);
}
