// SPDX-License-Identifier: GPL-2.0-only
/*
 * The compiled table against a naive list of its routes, on random tables and requests: a million
 * pairs, the same in every run unless a seed is given. What the kernel is unsure of has to be few,
 * and what it is sure of has to be right.
 */
#include "core.h"
#include "config/config.h"
#include "config/matcher.h"
#include "random_table.h"
#include "sl_http.h"

#define TABLES 2600
#define REQUESTS 400

static __u64 state = 1;

struct count {
	unsigned long pairs, routed, unsure, indexed, wrong;
};

static void print_pair(const struct rt_table *rt, const char *head, __u32 want, __u32 got)
{
	printf("\n    wanted %d, got %d for\n%s", (int)want, (int)got, head);
	for (__u32 i = 0; i < 2; i++) {
		__u32 index = i ? got : want;

		if (index < RT_ROUTES)
			printf("    route %u: path '%s' kind %u folded %d, rules %u\n", index,
			       rt->routes[index].path, rt->routes[index].kind,
			       rt->routes[index].folded, rt->routes[index].n_rules);
	}
}

static void one_request(const struct rt_table *rt, const struct sl_table *t, struct sl_matcher *m,
			struct count *c)
{
	static __u8 buf[SL_HEAD_MAX];
	struct sl_request_view v = {.t = t, .buf = buf};
	struct rt_request q;
	struct sl_head head;
	__u32 want, got, kernel, len;

	rt_random_request(rt, &q, &state);
	len = rt_head(&q, (char *)buf);
	if (sl_request_parse(&head, buf, len) != SL_PARSE_DONE)
		return;
	v.h = &head;
	v.draw = q.draw;
	want = rt_naive(rt, &q);
	got = sl_matcher_find(m, q.listener, &head, buf, q.draw);
	kernel = sl_match_view(&v, q.listener);
	c->pairs++;
	c->routed += want != SL_NO_ROUTE;
	c->unsure += kernel == SL_ROUTE_UNSURE;
	if (got == want && (kernel == want || kernel == SL_ROUTE_UNSURE))
		return;
	if (c->wrong++ < 5)
		print_pair(rt, (char *)buf, want, got == want ? kernel : got);
}

static void a_million_pairs(void)
{
	struct rt_table *rt = malloc(sizeof(*rt));
	struct sl_table *t = calloc(1, sizeof(*t));
	struct count c = {0};

	CU_ASSERT_FATAL(rt && t);
	for (__u32 i = 0; i < TABLES; i++) {
		struct sl_matcher *m;
		const char *why = "";

		rt_random_table(rt, &state);
		rt_build(rt, t);
		for (__u32 k = 0; k < t->n_vhosts; k++)
			c.indexed += t->vhosts[k].flags & SL_VHOST_INDEXED;
		CHECK_CASE(!sl_table_check(t, &why), "table check", "%s", why);
		CU_ASSERT_FATAL(!sl_matcher_new(t, &m));
		for (__u32 k = 0; k < REQUESTS; k++)
			one_request(rt, t, m, &c);
		sl_matcher_free(m);
	}
	printf("%lu pairs, %lu routed, %lu unsure in the kernel, %lu indexed hosts: ", c.pairs,
	       c.routed, c.unsure, c.indexed);
	CU_ASSERT_EQUAL(c.wrong, 0);
	CU_ASSERT(c.pairs >= 1000000);
	CU_ASSERT(c.routed > c.pairs / 8 && c.routed < c.pairs);
	CU_ASSERT(c.unsure < c.pairs / 4);
	CU_ASSERT(c.indexed > TABLES);
	free(rt);
	free(t);
}

int main(int argc, char **argv)
{
	CU_TestInfo tests[] = {
		{"a million pairs of table and request", a_million_pairs},
		CU_TEST_INFO_NULL,
	};

	if (argc > 1)
		state = strtoull(argv[1], NULL, 0);
	return run_suite("match, random", tests);
}
