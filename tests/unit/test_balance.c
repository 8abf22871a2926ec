// SPDX-License-Identifier: GPL-2.0-only
/* Views, and the choices that are made by them. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "balance/balance.h"
#include "suite.h"

#define N 64

static struct sl_lb_slot slots[SL_LB_SLOTS];
static struct sl_endpoint endpoints[SL_MAX_ENDPOINTS];
static struct sl_lb_host hosts[SL_MAX_ENDPOINTS];
static __u32 got[SL_MAX_ENDPOINTS];

static struct sl_cluster_lb rules(__u32 policy)
{
	struct sl_cluster_lb lb = sl_cluster_lb_defaults;

	lb.policy = policy;
	return lb;
}

static void host(__u32 i, __u32 weight, __u8 priority, bool healthy)
{
	hosts[i] = (struct sl_lb_host){.endpoint = i,
				       .weight = weight,
				       .priority = priority,
				       .healthy = healthy,
				       .id = sl_mix(i + 1000)};
	endpoints[i].weight = weight;
	endpoints[i].busy = 0;
}

static void equal(__u32 n)
{
	for (__u32 i = 0; i < n; i++)
		host(i, 1, 0, true);
}

/* The view of @n hosts at slot @base. */
static __u64 make(const struct sl_cluster_lb *lb, __u32 n, __u32 base)
{
	struct sl_lb_slots made = {0};
	__u64 view = 0;

	CU_ASSERT_FATAL(!sl_lb_view(lb, hosts, n, &made, &view));
	CU_ASSERT_FATAL(base + made.n <= SL_LB_SLOTS);
	CU_ASSERT(made.n <= sl_lb_slots_max(lb, n));
	/* There, back, and there again. */
	view = sl_lb_slots_move(&made, base + 17, view);
	view = sl_lb_slots_move(&made, 0, view);
	view = sl_lb_slots_move(&made, base, view);
	if (made.n)
		memcpy(slots + base, made.items, made.n * sizeof(*made.items));
	free(made.items);
	return view;
}

static __u32 pick(__u64 view, __u64 n)
{
	struct sl_lb_request r = {.slots = slots,
				  .endpoints = endpoints,
				  .turn = n,
				  .random = sl_mix(n),
				  .hash = sl_mix(n ^ 0xabcdef)};

	return sl_lb_pick(view, &r);
}

static void count(__u64 view, __u64 from, __u64 n)
{
	memset(got, 0, sizeof(got));
	for (__u64 i = 0; i < n; i++) {
		__u32 e = pick(view, from + i);

		CU_ASSERT_FATAL(e < SL_MAX_ENDPOINTS);
		got[e]++;
	}
}

/* ---- round robin ---- */

/* Whatever the weights: after as many requests as their sum each has exactly its weight. */
static void exact_after_a_round(void)
{
	struct sl_cluster_lb lb = rules(SL_LB_ROUND_ROBIN);

	srand(1);
	for (int round = 0; round < 300; round++) {
		__u32 n = 1 + rand() % N, total = 0;
		__u64 view;

		for (__u32 i = 0; i < n; i++) {
			host(i, 1 + rand() % 20, 0, true);
			total += hosts[i].weight;
		}
		view = make(&lb, n, rand() % 1000);
		count(view, (__u64)total * (rand() % 1000), total);
		for (__u32 i = 0; i < n; i++)
			if (got[i] != hosts[i].weight)
				CU_FAIL("not its weight");
	}
}

/* Within log2(n) / 2 + 1 requests of its share at any time. */
static void near_share_always(void)
{
	struct sl_cluster_lb lb = rules(SL_LB_ROUND_ROBIN);
	static const __u32 weights[] = {1000003, 7, 1, 500000, 12345, 99, 4000000, 3};
	__u64 view, total = 0;
	double off, worst = 0;

	for (__u32 i = 0; i < 8; i++) {
		host(i, weights[i], 0, true);
		total += weights[i];
	}
	view = make(&lb, 8, 77);
	memset(got, 0, sizeof(got));
	for (__u64 n = 0; n < 200000; n++) {
		got[pick(view, n)]++;
		for (__u32 i = 0; i < 8; i++) {
			off = fabs(got[i] - (double)(n + 1) * weights[i] / total);
			worst = off > worst ? off : worst;
		}
	}
	CU_ASSERT(worst <= 2.5);
}

static void rotates(void)
{
	struct sl_cluster_lb lb = rules(SL_LB_ROUND_ROBIN);

	for (__u32 n = 1; n <= 17; n++) {
		__u64 view;

		equal(n);
		view = make(&lb, n, 0);
		for (__u32 k = 0; k < 5; k++) {
			count(view, k * n, n);
			for (__u32 i = 0; i < n; i++)
				CU_ASSERT(got[i] == 1);
		}
	}
}

/* Sums beyond 2^32, and as many endpoints as there can be. */
static void large(void)
{
	struct sl_cluster_lb lb = rules(SL_LB_ROUND_ROBIN);
	__u64 view;

	for (__u32 i = 0; i < 4; i++)
		host(i, i ? 0xffffffff : 1, 0, true);
	view = make(&lb, 4, 0);
	count(view, 0, 300000);
	CU_ASSERT(got[0] <= 2);
	for (__u32 i = 1; i < 4; i++)
		CU_ASSERT(abs((int)got[i] - 100000) <= 2);
	equal(SL_MAX_ENDPOINTS);
	view = make(&lb, SL_MAX_ENDPOINTS, 5);
	count(view, 0, SL_MAX_ENDPOINTS);
	for (__u32 i = 0; i < SL_MAX_ENDPOINTS; i++)
		if (got[i] != 1)
			CU_FAIL("one each");
}

/* ---- by chance ---- */

static void by_chance(void)
{
	struct sl_cluster_lb lb = rules(SL_LB_RANDOM);
	__u64 view;

	host(0, 1, 0, true);
	host(1, 2, 0, true);
	host(2, 7, 0, true);
	host(3, 10, 0, true);
	view = make(&lb, 4, 3);
	count(view, 0, 200000);
	for (__u32 i = 0; i < 4; i++) {
		double want = 10000.0 * hosts[i].weight;

		CU_ASSERT(fabs(got[i] - want) < 5 * sqrt(want));
	}
}

/* Requests under way follow the choices: the fuller an endpoint, the less it gets. */
static void least_request(void)
{
	struct sl_cluster_lb lb = rules(SL_LB_LEAST_REQUEST);
	__u64 view;

	equal(4);
	view = make(&lb, 4, 9);
	endpoints[2].busy = 100;
	count(view, 0, 40000);
	/* Only when it is drawn twice. */
	CU_ASSERT(got[2] > 2200 && got[2] < 2800);
	lb.choices = SL_LB_CHOICES_MAX;
	view = make(&lb, 4, 9);
	count(view, 0, 40000);
	CU_ASSERT(got[2] < 10);
	/* Nobody ends: all of them fill alike, and a heavy one twice as much. */
	host(1, 2, 0, true);
	lb.choices = 2;
	view = make(&lb, 4, 9);
	endpoints[2].busy = 0;
	for (__u64 n = 0; n < 50000; n++)
		endpoints[pick(view, n)].busy++;
	for (__u32 i = 0; i < 4; i++)
		CU_ASSERT(abs((int)endpoints[i].busy - 10000 * (i == 1 ? 2 : 1)) < 100);
}

/* ---- by hash ---- */

/* Shares are near the weights; without one endpoint only its users move. */
static void hashed(__u32 policy, double tolerance, double strays)
{
	struct sl_cluster_lb lb = rules(policy);
	__u32 users = 100000, moved = 0, lost = 0;
	__u64 before, after;

	for (__u32 i = 0; i < 10; i++)
		host(i, i < 5 ? 1 : 3, 0, true);
	before = make(&lb, 10, 0);
	count(before, 0, users);
	for (__u32 i = 0; i < 10; i++) {
		double want = users / 20.0 * hosts[i].weight;

		CU_ASSERT(fabs(got[i] - want) < want * tolerance);
	}
	hosts[7].healthy = false;
	after = make(&lb, 10, 200000);
	for (__u32 i = 0; i < users; i++) {
		__u32 a = pick(before, i), b = pick(after, i);

		CU_ASSERT_FATAL(b != 7);
		lost += a == 7;
		moved += a != 7 && a != b;
	}
	if (!lost || moved > strays * users) {
		printf("%u of %u moved\n", moved, users);
		CU_FAIL("others moved");
	}
	/* It is back: everybody is where he was. The order in the file does not matter. */
	hosts[7].healthy = true;
	for (__u32 i = 0; i < 5; i++) {
		struct sl_lb_host h = hosts[i];

		hosts[i] = hosts[9 - i];
		hosts[9 - i] = h;
	}
	after = make(&lb, 10, 200000);
	for (__u32 i = 0; i < users; i++)
		if (pick(before, i) != pick(after, i))
			CU_FAIL("moved");
}

static void ring(void)
{
	hashed(SL_LB_RING_HASH, 0.35, 0);
}

static void maglev(void)
{
	hashed(SL_LB_MAGLEV, 0.05, 0.06);
}

static void table_sizes(void)
{
	struct sl_cluster_lb lb = rules(SL_LB_MAGLEV);
	__u64 view;

	lb.table_size = 7;
	for (__u32 n = 2; n < 20; n++) {
		equal(n);
		view = make(&lb, n, 0);
		count(view, 0, 1000);
	}
	lb = rules(SL_LB_RING_HASH);
	lb.ring_min = lb.ring_max = 1;
	for (__u32 n = 2; n < 20; n++) {
		equal(n);
		view = make(&lb, n, 0);
		count(view, 0, 1000);
	}
	lb.ring_min = lb.ring_max = SL_RING_MAX;
	host(0, 1, 0, true);
	host(1, 4000000, 0, true);
	view = make(&lb, 2, 0);
	count(view, 0, 1000);
	CU_ASSERT(got[1] > 990);
}

/* ---- health and priorities ---- */

struct priority_case {
	const char *name;
	__u32 panic;
	__u32 hosts[4]; /* of priority 0, 1, ... */
	__u32 healthy[4];
	__u32 load[4];
	bool in_panic[4];
};

/* Loads of envoy.readthedocs.io, "Priority levels" and "Panic threshold", and of its tests. */
static const struct priority_case cases[] = {
	{"all", 50, {100, 100}, {100, 100}, {100, 0}, {0}},
	{"72 %", 50, {100, 100}, {72, 72}, {100, 0}, {0}},
	{"71 %", 50, {100, 100}, {71, 71}, {99, 1}, {0}},
	{"50 %", 50, {100, 100}, {50, 50}, {70, 30}, {0}},
	{"25 %", 50, {100, 100}, {25, 100}, {35, 65}, {0}},
	{"25 and 25 %", 50, {100, 100}, {25, 25}, {50, 50}, {1, 1}},
	{"none in 0", 50, {100, 100}, {0, 100}, {0, 100}, {0}},
	{"three", 50, {100, 100, 100}, {25, 25, 25}, {35, 35, 30}, {0}},
	{"not enough", 50, {100, 100, 100}, {25, 25, 20}, {34, 33, 33}, {1, 1, 1}},
	{"one panics", 50, {100, 100}, {5, 65}, {8, 92}, {1, 0}},
	{"third serves", 50, {100, 100, 100}, {0, 0, 100}, {0, 0, 100}, {0}},
	{"72, 100", 50, {100, 100, 100}, {72, 72, 100}, {100, 0, 0}, {0}},
	{"50, 60", 50, {100, 100, 100}, {50, 60, 100}, {70, 30, 0}, {0}},
	{"50, 25", 50, {100, 100, 100}, {50, 25, 100}, {70, 30, 0}, {0}},
	{"nobody", 50, {10, 30}, {0, 0}, {25, 75}, {1, 1}},
	{"nobody, no panic", 0, {10, 30}, {0, 0}, {100, 0}, {0}},
	{"a third, no panic", 0, {3}, {1}, {100}, {0}},
	{"a gap", 50, {0, 5}, {0, 5}, {0, 100}, {0}},
	{"half", 50, {2}, {1}, {100}, {0}},
	{"less than half", 50, {5}, {2}, {100}, {1}},
};

static void loads(void)
{
	for (size_t k = 0; k < sizeof(cases) / sizeof(cases[0]); k++) {
		const struct priority_case *c = &cases[k];
		struct sl_cluster_lb lb = rules(SL_LB_ROUND_ROBIN);
		struct sl_lb_loads l;
		__u32 n = 0;

		lb.panic = c->panic;
		for (__u32 p = 0; p < 4; p++)
			for (__u32 i = 0; i < c->hosts[p]; i++)
				host(n++, 1, p, i < c->healthy[p]);
		sl_lb_loads(&lb, hosts, n, &l);
		for (__u32 p = 0; p < l.n; p++) {
			if (l.load[p] == c->load[p] && l.panic[p] == c->in_panic[p])
				continue;
			printf("%s: priority %u: %u%s\n", c->name, p, l.load[p],
			       l.panic[p] ? ", panic" : "");
			CU_FAIL("wrong load");
		}
	}
}

static void nobody_is_picked(void)
{
	struct sl_cluster_lb lb = rules(SL_LB_ROUND_ROBIN);

	CU_ASSERT(pick(make(&lb, 0, 0), 0) == SL_NO_ENDPOINT);
	lb.panic = 0;
	host(0, 1, 0, false);
	host(1, 1, 0, false);
	for (__u32 policy = 0; policy < SL_N_LB_POLICIES; policy++) {
		lb.policy = policy;
		CU_ASSERT(pick(make(&lb, 2, 0), 0) == SL_NO_ENDPOINT);
	}
	lb.panic = 50;
	lb.fail_on_panic = true;
	CU_ASSERT(pick(make(&lb, 2, 0), 0) == SL_NO_ENDPOINT);
}

/* Shares of priorities and of the weights within, by every policy. */
static void spill_over(void)
{
	for (__u32 policy = 0; policy < SL_N_LB_POLICIES; policy++) {
		struct sl_cluster_lb lb = rules(policy);
		double tolerance = policy ? 700 : 3;
		__u64 view;

		for (__u32 i = 0; i < 4; i++)
			host(i, 1, 0, i < 2); /* half of them: 70 % */
		host(4, 1, 1, true);
		host(5, 3, 1, true);
		view = make(&lb, 6, 11);
		count(view, 0, 100000);
		CU_ASSERT(!got[2] && !got[3]);
		CU_ASSERT(hosts[0].picked && !hosts[2].picked && hosts[5].picked);
		CU_ASSERT(fabs(got[0] + got[1] - 70000.) < tolerance);
		if (policy == SL_LB_RING_HASH || policy == SL_LB_LEAST_REQUEST)
			continue;
		CU_ASSERT(fabs(got[0] - 35000.) < tolerance);
		CU_ASSERT(fabs(got[5] - 22500.) < tolerance);
	}
}

/* Everybody is as good as nobody: below the threshold all are picked from. */
static void panic(void)
{
	struct sl_cluster_lb lb = rules(SL_LB_ROUND_ROBIN);

	for (__u32 i = 0; i < 5; i++)
		host(i, 1, 0, i < 2);
	count(make(&lb, 5, 0), 0, 100);
	CU_ASSERT(got[0] == 20 && got[4] == 20);
	hosts[2].healthy = true;
	count(make(&lb, 5, 0), 0, 99);
	CU_ASSERT(got[0] == 33 && got[2] == 33 && !got[3] && !got[4]);
}

/* A reference anywhere, by whoever writes the maps: no choice, and no crash. */
static void rubbish(void)
{
	struct sl_lb_request r = {.slots = slots, .endpoints = endpoints};

	for (size_t i = 0; i < SL_LB_SLOTS; i++)
		for (int k = 0; k < 4; k++)
			slots[i].w[k] = sl_mix(i * 4 + k);
	for (__u64 i = 0; i < 200000; i++) {
		r.turn = r.random = r.hash = sl_mix(i);
		(void)sl_lb_pick(sl_mix(i + 7), &r);
	}
	memset(slots, 0, sizeof(slots));
}

/* ---- slow start ---- */

/* Envoy's formula: weight * max(min_weight_percent, (age / window) ^ (1 / aggression)). */
static void slow_start(void)
{
	struct sl_slow_start s = {.window_ms = 1000, .aggression = 1000, .min_percent = 10000};

	CU_ASSERT(sl_lb_slow_start(&s, 1, 0) == 100);
	CU_ASSERT(sl_lb_slow_start(&s, 1, 50) == 100);
	CU_ASSERT(sl_lb_slow_start(&s, 1, 500) == 500);
	CU_ASSERT(sl_lb_slow_start(&s, 7, 500) == 3500);
	CU_ASSERT(sl_lb_slow_start(&s, 1, 1000) == 1000);
	CU_ASSERT(sl_lb_slow_start(&s, 3, ~0ULL) == 3000);
	CU_ASSERT(sl_lb_slow_start(&s, 0xffffffff, ~0ULL) == 0xffffffff);
	s.min_percent = 0;
	CU_ASSERT(sl_lb_slow_start(&s, 1, 0) == 1);
	s.aggression = 2000; /* faster at first */
	CU_ASSERT(sl_lb_slow_start(&s, 1, 250) == 500);
	s.aggression = 500; /* slower */
	CU_ASSERT(sl_lb_slow_start(&s, 1, 500) == 250);
}

/* ---- room ---- */

static void room(void)
{
	struct sl_lb_room r = {.size = 1000};
	struct sl_region a, b, c, none;

	CU_ASSERT(!sl_lb_room_take(&r, 400, &a) && !sl_lb_room_take(&r, 600, &b));
	CU_ASSERT(sl_lb_room_take(&r, 1, &c) == -ENOSPC);
	CU_ASSERT(!sl_lb_room_take(&r, 0, &none) && !none.len);
	sl_lb_room_give(&r, a);
	CU_ASSERT(!sl_lb_room_take(&r, 100, &c) && c.off == 0);
	CU_ASSERT(!sl_lb_room_take(&r, 300, &a) && a.off == 100);
	CU_ASSERT(sl_lb_room_mark(&r, (struct sl_region){50, 10}) == -EEXIST);
	CU_ASSERT(sl_lb_room_mark(&r, (struct sl_region){990, 20}) == -EEXIST);
	sl_lb_room_give(&r, b);
	CU_ASSERT(!sl_lb_room_mark(&r, (struct sl_region){500, 500}));
	CU_ASSERT(sl_lb_room_take(&r, 101, &b) == -ENOSPC);
	CU_ASSERT(!sl_lb_room_take(&r, 100, &b) && b.off == 400);
	free(r.used);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"exact after a round", exact_after_a_round},
		{"near share always", near_share_always},
		{"rotates", rotates},
		{"large", large},
		{"by chance", by_chance},
		{"least request", least_request},
		{"ring", ring},
		{"maglev", maglev},
		{"table sizes", table_sizes},
		{"loads", loads},
		{"nobody is picked", nobody_is_picked},
		{"spill over", spill_over},
		{"panic", panic},
		{"rubbish", rubbish},
		{"slow start", slow_start},
		{"room", room},
		CU_TEST_INFO_NULL,
	};

	return run_suite("balance", tests);
}
