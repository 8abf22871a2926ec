// SPDX-License-Identifier: GPL-2.0-only
/*
 * Weighted choice: after every single request of millions, each cluster is within 4
 * requests of its share, counted from the first request or from any other; weight 0 gets nothing.
 */
#include "core.h"
#include "sl_pick.h"

#define BOUND 4.0

static struct sl_split make(const __u32 *weights, __u32 n)
{
	struct sl_split s = {.n_targets = n};

	for (__u32 i = 0; i < n; i++)
		s.targets[i] = (struct sl_split_target){.cluster = i, .weight = weights[i]};
	return s;
}

/*
 * Requests @from .. @from + @n: the most that any cluster was off its share at any time, and
 * (ret_swing) the most between any two moments, which is what is seen when counting begins in
 * between.
 */
static double worst(const struct sl_split *s, __u64 from, __u64 n, double *ret_swing)
{
	__u64 total = 0, counts[SL_MAX_SPLIT_TARGETS] = {0};
	double high[SL_MAX_SPLIT_TARGETS] = {0}, low[SL_MAX_SPLIT_TARGETS] = {0}, most = 0;

	for (__u32 i = 0; i < s->n_targets; i++)
		total += s->targets[i].weight;
	*ret_swing = 0;
	for (__u64 k = 0; k < n; k++) {
		__u32 target = sl_pick(s, from + k);

		if (target >= s->n_targets || s->targets[target].weight == 0)
			return 1e18;
		counts[target]++;
		for (__u32 i = 0; i < s->n_targets; i++) {
			double off = counts[i] - (double)(k + 1) * s->targets[i].weight / total;

			high[i] = off > high[i] ? off : high[i];
			low[i] = off < low[i] ? off : low[i];
		}
	}
	for (__u32 i = 0; i < s->n_targets; i++) {
		most = high[i] > most ? high[i] : most;
		most = -low[i] > most ? -low[i] : most;
		if (high[i] - low[i] > *ret_swing)
			*ret_swing = high[i] - low[i];
	}
	return most;
}

static void check(const char *name, const __u32 *weights, __u32 n, __u64 from, __u64 requests)
{
	struct sl_split s = make(weights, n);
	double swing, off = worst(&s, from, requests, &swing);

	CHECK_CASE(off < BOUND, name, "off by %.2f from request %llu on", off,
		   (unsigned long long)from);
}

static void named_splits(void)
{
	static const struct {
		const char *name;
		__u32 n;
		__u32 weights[SL_MAX_SPLIT_TARGETS];
	} cases[] = {
		{"25/75", 2, {25, 75}},
		{"1/99", 2, {1, 99}},
		{"100/0", 2, {100, 0}},
		{"0/100", 2, {0, 100}},
		{"50/50", 2, {1, 1}},
		{"20+30", 2, {20, 30}},
		{"1/2/10/87", 4, {1, 2, 10, 87}},
		{"one", 1, {7}},
		{"0/0/1/0", 4, {0, 0, 1, 0}},
		{"1/999999", 2, {1, 999999}},
		{"sum 2^32-1", 2, {0x7fffffff, 0x80000000}},
		{"sum 2^32-1, one of it", 2, {0xfffffffe, 1}},
		{"sum 2^32-1, 16 clusters",
		 16,
		 {0x10000000, 0x10000000, 0x10000000, 0x10000000, 0x10000000, 0x10000000,
		  0x10000000, 0x10000000, 0x10000000, 0x10000000, 0x10000000, 0x10000000,
		  0x10000000, 0x10000000, 0x10000000, 0x0fffffff}},
		{"16 clusters", 16, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}},
		{"primes", 7, {2, 3, 5, 7, 11, 13, 101}},
	};
	__u32 i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		check(cases[i].name, cases[i].weights, cases[i].n, 0, 2000000);
		/* The counter is 64 bits wide and never starts again. */
		check(cases[i].name, cases[i].weights, cases[i].n, 0, 1000);
		check(cases[i].name, cases[i].weights, cases[i].n, (1ULL << 40) * 100, 100000);
	}
}

static void random_splits(void)
{
	unsigned int seed = 1;
	__u32 weights[SL_MAX_SPLIT_TARGETS], i, j;

	for (i = 0; i < 300; i++) {
		__u32 n = 1 + rand_r(&seed) % SL_MAX_SPLIT_TARGETS;
		__u32 range = 1 + rand_r(&seed) % 3 * 100 + rand_r(&seed) % 2 * 100000000;
		char name[32];

		for (j = 0; j < n; j++)
			weights[j] = rand_r(&seed) % 4 ? (__u32)rand_r(&seed) % range : 0;
		weights[rand_r(&seed) % n] = range;
		snprintf(name, sizeof(name), "random split %u", i);
		check(name, weights, n, 0, 40000);
	}
}

/* Targets left out are as if their weight were 0. */
static void without_some(void)
{
	unsigned int seed = 7;
	__u32 weights[SL_MAX_SPLIT_TARGETS], wrong = 0;

	for (__u32 i = 0; i < 2000; i++) {
		__u32 n = 1 + rand_r(&seed) % SL_MAX_SPLIT_TARGETS,
		      without = rand_r(&seed) & 0xffff;
		struct sl_split s, rest;

		for (__u32 j = 0; j < n; j++)
			weights[j] = rand_r(&seed) % 4 ? (__u32)rand_r(&seed) % 1000 : 0;
		s = rest = make(weights, n);
		for (__u32 j = 0; j < n; j++)
			if (without >> j & 1)
				rest.targets[j].weight = 0;
		for (__u64 k = 0; k < 200; k++)
			wrong += sl_pick_without(&s, k, without) != sl_pick(&rest, k);
	}
	CU_ASSERT_EQUAL(wrong, 0);
}

/* From one moment to any other, too: a change of weights begins to count anywhere. */
static void between_any_two_moments(void)
{
	static const __u32 two[][2] = {{25, 75}, {1, 99}, {50, 50}, {20, 30}, {1, 2}, {499, 501}};
	double swing;
	__u32 i;

	for (i = 0; i < sizeof(two) / sizeof(two[0]); i++) {
		struct sl_split s = make(two[i], 2);

		/* Half a request by rounding, and at most one by the shuffle. */
		CHECK_CASE(worst(&s, 0, 1000000, &swing) <= 1.5, "two clusters", "%u/%u is off",
			   two[i][0], two[i][1]);
		CHECK_CASE(swing < BOUND, "two clusters", "%u/%u swings by %.2f", two[i][0],
			   two[i][1], swing);
	}
	/* Rounded, not cut off: the one of a hundred comes in their middle. */
	{
		struct sl_split s = make(two[1], 2);

		CU_ASSERT(worst(&s, 0, 100000, &swing) < 0.6);
	}
}

/* Whole rounds of the sum are exact when they are whole groups of the shuffle. */
static void full_enumeration(void)
{
	for (__u32 a = 0; a <= 40; a++) {
		for (__u32 b = 0; b <= 40; b++) {
			__u32 weights[3] = {a, b, 3}, counts[3] = {0}, total = a + b + 3;
			struct sl_split s = make(weights, 3);

			for (__u32 k = 0; k < total * 4; k++)
				counts[sl_pick(&s, k) % 3]++;
			CHECK_CASE(counts[0] == a * 4 && counts[1] == b * 4 && counts[2] == 12,
				   "whole rounds", "%u/%u/3: %u %u %u", a, b, counts[0], counts[1],
				   counts[2]);
		}
	}
}

/* A client that alternates between two requests must not send each kind to one place. */
static void no_rhythm(void)
{
	static const __u32 half[] = {1, 1}, quarter[] = {25, 75};
	struct sl_split a = make(half, 2), b = make(quarter, 2);

	for (__u32 period = 2; period <= 4; period++) {
		__u32 first[2] = {0}, k;

		for (k = 0; k < 100000; k += period) {
			first[0] += sl_pick(&a, k) == 0;
			first[1] += sl_pick(&b, k) == 0;
		}
		CU_ASSERT(first[0] > 100000 / period * 0.45 && first[0] < 100000 / period * 0.55);
		CU_ASSERT(first[1] > 100000 / period * 0.20 && first[1] < 100000 / period * 0.30);
	}
}

static void not_routable(void)
{
	struct sl_split s = {.n_targets = 0};

	CU_ASSERT_EQUAL(sl_pick(&s, 0), SL_NO_TARGET);
	s.targets[0].weight = 5; /* past n_targets: not there */
	CU_ASSERT_EQUAL(sl_pick(&s, 0), SL_NO_TARGET);
	s.n_targets = 2;
	s.targets[0].weight = 0;
	CU_ASSERT_EQUAL(sl_pick(&s, 7), SL_NO_TARGET);
	s.targets[0].weight = s.targets[1].weight = 0x80000000; /* the sum is 2^32 */
	CU_ASSERT_EQUAL(sl_pick(&s, 7), SL_NO_TARGET);
	/* More targets than there can be are read as the most. */
	s.n_targets = 0xffffffff;
	s.targets[0].weight = s.targets[1].weight = 0;
	s.targets[15].weight = 1;
	CU_ASSERT_EQUAL(sl_pick(&s, ~0ULL), 15);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"named splits stay within 4 of their shares", named_splits},
		{"random splits do", random_splits},
		{"without some", without_some},
		{"so do counts between any two moments", between_any_two_moments},
		{"whole rounds are exact", full_enumeration},
		{"no rhythm shows", no_rhythm},
		{"sums of 0 and over 2^32-1 are not routable", not_routable},
		CU_TEST_INFO_NULL,
	};

	return run_suite("pick", tests);
}
