// SPDX-License-Identifier: GPL-2.0-only
/* What `sluice stats` computes: percentiles, and the conservation check on made-up tables. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/stats.h"
#include "suite.h"

#define N 16 /* slots */

/* The kernel's part of a snapshot is not tested here. */
int sl_maps_route_get(const struct sl_maps *m, __u32 index, struct sl_route_info *ret)
{
	(void)m;
	(void)index;
	(void)ret;
	return -ENOENT;
}

static struct sl_control control;
static struct sl_session sessions[N];
static struct sl_lane lanes[N];
static struct sl_endpoint endpoints[SL_MAX_ENDPOINTS];
static __u64 pools[2 * SL_MAX_ENDPOINTS];
static struct sl_maps maps = {
	.max_routes = SL_MAX_ROUTES,
	.control = &control,
	.sessions = sessions,
	.lanes = lanes,
	.endpoints = endpoints,
	.pools = pools,
	.n_pools = 2,
};

/*
 * Sessions 0 (idle) and 1 (in an exchange with lane 2); lanes 0 and 1 idle at endpoints 0 and 1,
 * 3 the daemon's, 4 dead in endpoint 0's pool, 5 waiting for its server to close; the rest free.
 */
static void make_tables(void)
{
	memset(&control, 0, sizeof(control));
	memset(sessions, 0, sizeof(sessions));
	memset(lanes, 0, sizeof(lanes));
	memset(endpoints, 0, sizeof(endpoints));
	memset(pools, 0, sizeof(pools));
	control.n_sessions = N;
	control.n_lanes = N;
	for (int i = N - 1; i >= 2; i--)
		sl_stack_push(&control.free_sessions, &sessions[i].next, i);
	for (int i = N - 1; i >= 6; i--)
		sl_stack_push(&control.free_lanes, &lanes[i].next, i);
	sessions[0].word = SL_WORD(3, SL_S_CLIENT | SL_S_FRONT);
	sessions[1].word = SL_WORD(4, SL_S_CLIENT | SL_S_FRONT | SL_S_EXCHANGE);
	sessions[1].lane = 2 + 1;
	sessions[1].lane_gen = 9;
	lanes[0].word = SL_WORD(1, SL_LANE_IDLE | SL_L_SERVER | SL_L_BACK);
	sl_stack_push(sl_maps_pool(&maps, 0, 0), &lanes[0].next, 0);
	lanes[1].word = SL_WORD(1, SL_LANE_IDLE | SL_L_BACK);
	lanes[1].endpoint = 1;
	sl_stack_push(sl_maps_pool(&maps, 1, 1), &lanes[1].next, 1);
	lanes[2].word = SL_WORD(9, SL_LANE_KERNEL | SL_L_SERVER | SL_L_BACK);
	lanes[2].session = 1 + 1;
	lanes[2].session_gen = 4;
	lanes[3].word = SL_WORD(1, SL_LANE_USER | SL_L_BACK);
	lanes[4].word = SL_WORD(1, SL_LANE_DEAD | SL_L_BACK);
	sl_stack_push(sl_maps_pool(&maps, 0, 0), &lanes[4].next, 4);
	lanes[5].word = SL_WORD(1, SL_LANE_FREE | SL_L_SERVER);
}

/* The check finds @n things wrong, one of which says @text. */
static void finds(int n, const char *text)
{
	char *out = NULL;
	size_t len;
	FILE *f = open_memstream(&out, &len);
	int got = sl_conservation_check(&maps, f);

	fclose(f);
	CU_ASSERT_EQUAL(got, n);
	CU_ASSERT_PTR_NOT_NULL(strstr(out, text));
	if (got != n || !strstr(out, text))
		printf("%d, not %d with '%s':\n%s", got, n, text, out);
	free(out);
	make_tables();
}

static void test_conserved(void)
{
	make_tables();
	finds(0, "");
}

static void test_session_leaks(void)
{
	make_tables();
	sessions[0].word = SL_WORD(3, 0);
	finds(1, "session 0 (generation 3, bits 0x0) is not open and not on the free list");
	sessions[5].word = SL_WORD(1, SL_S_FRONT);
	finds(1, "session 5 (generation 1, bits 0x2) is open, and on the free list");
	sessions[5].word = SL_WORD(1, SL_S_EXCHANGE);
	finds(1, "session 5 (generation 1, bits 0x20) is on the free list in the middle");
	sessions[N - 1].next = 2 + 1; /* a circle: 2 is reached twice */
	finds(1, "session 2 (generation 0, bits 0x0) is on the free list more than once");
}

static void test_lane_leaks(void)
{
	make_tables();
	lanes[0].word = SL_WORD(1, SL_LANE_FREE);
	finds(1, "lane 0 (generation 1, bits 0x0) is not idle, and in a pool");
	*sl_maps_pool(&maps, 1, 1) = 0;
	finds(1, "lane 1 (generation 1, bits 0x22) is idle, and not in its endpoint's pool");
	lanes[1].endpoint = 0;
	finds(1, "lane 1 (generation 1, bits 0x22) is in another endpoint's pool");
	lanes[7].word = SL_WORD(1, SL_LANE_USER | SL_L_BACK);
	finds(1, "lane 7 (generation 1, bits 0x24) is in use, and on the free list");
	lanes[5].word = SL_WORD(1, SL_LANE_FREE);
	finds(1, "lane 5 (generation 1, bits 0x0) is free and not on the free list");
	lanes[3].word = SL_WORD(1, SL_LANE_USER);
	finds(1, "lane 3 (generation 1, bits 0x4) is the daemon's, which does not hold it");
	lanes[3].word = SL_WORD(1, 12 | SL_L_BACK);
	finds(1, "lane 3 (generation 1, bits 0x2c) is in no known state");
	sl_stack_push(sl_maps_pool(&maps, 0, 3), &lanes[N - 1].next,
		      N - 1); /* it is free already */
	finds(1, "lane 15 (generation 0, bits 0x0) is on more than one list");
}

static void test_bindings(void)
{
	make_tables();
	lanes[2].session_gen = 3; /* of a session that has ended */
	finds(2, "lane 2 (generation 9, bits 0x33) is in an exchange with a session");
	lanes[2].session = 0 + 1;
	finds(2, "session 1 (generation 4, bits 0x23) is in an exchange with a lane");
	sessions[1].lane = 0; /* not chosen yet */
	finds(1, "lane 2 (generation 9, bits 0x33) is in an exchange with a session");
	sessions[1].word = SL_WORD(4, SL_S_CLIENT | SL_S_FRONT); /* ended; the lane forgotten */
	finds(1, "lane 2 (generation 9, bits 0x33) is in an exchange with a session");
	lanes[2].session = N + 1;
	finds(2, "lane 2");
	sessions[1].lane = 100000;
	finds(2, "session 1");
}

static void test_nonsense(void)
{
	make_tables();
	control.n_lanes = SL_MAX_LANES + 1;
	CU_ASSERT(sl_conservation_check(&maps, stdout) < 0);
	make_tables();
	control.free_lanes = SL_STACK_HEAD(0ULL, 0xffffffff);
	CU_ASSERT(sl_conservation_check(&maps, fopen("/dev/null", "w")) >= N - 6);
	make_tables();
}

static void test_percentiles(void)
{
	struct sl_stats s = {};

	CU_ASSERT_EQUAL(sl_stats_total(&s), 0);
	CU_ASSERT_EQUAL(sl_stats_mean(&s), 0);
	CU_ASSERT_EQUAL(sl_stats_percentile(&s, 99), 0);
	/* 100 between 64 and 128 us, evenly: the middle is 96. */
	for (int i = 0; i < 100; i++)
		sl_stats_count(&s, 200, 64000 + i * 640);
	CU_ASSERT_EQUAL(sl_stats_total(&s), 100);
	CU_ASSERT_DOUBLE_EQUAL(sl_stats_mean(&s), 64 + 0.64 * 49.5, 0.01);
	CU_ASSERT_DOUBLE_EQUAL(sl_stats_percentile(&s, 50), 96, 0.01);
	CU_ASSERT_DOUBLE_EQUAL(sl_stats_percentile(&s, 100), 128, 0.01);
	/* As many under 1 us: half of all is there. */
	for (int i = 0; i < 100; i++)
		sl_stats_count(&s, 503, 1);
	CU_ASSERT_DOUBLE_EQUAL(sl_stats_percentile(&s, 50), 1, 0.01);
	CU_ASSERT_DOUBLE_EQUAL(sl_stats_percentile(&s, 75), 96, 0.01);
	CU_ASSERT_EQUAL(s.status[2], 100);
	CU_ASSERT_EQUAL(s.status[5], 100);
	/* Hours: the last bucket takes them. */
	for (int i = 0; i < 100000; i++)
		sl_stats_count(&s, 0, 7200ULL * 1000 * 1000 * 1000);
	CU_ASSERT_EQUAL(s.status[0], 100000);
	CU_ASSERT(sl_stats_percentile(&s, 99) >= (double)(1U << 30));
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"tables in order", test_conserved},
		{"sessions out of place", test_session_leaks},
		{"lanes out of place", test_lane_leaks},
		{"exchanges half bound", test_bindings},
		{"nonsense in the maps", test_nonsense},
		{"percentiles", test_percentiles},
		CU_TEST_INFO_NULL,
	};

	return run_suite("stats", tests);
}
