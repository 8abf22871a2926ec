// SPDX-License-Identifier: GPL-2.0-only
/*
 * What one message costs in the kernel: parse of a browser's head, match in the tutorial's routes
 * and pick; and verified instructions. A measurement, not a test. Needs root.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "core_test.skel.h"
#include "core_case.h"
#include "config/index.h"

#define ROUNDS 1000000
#define REPEATS 5

static const char browser[] =
	"GET /service/1 HTTP/1.1\r\n"
	"Host: localhost:8000\r\n"
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:115.0) Gecko/20100101 Firefox/115.0\r\n"
	"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n"
	"Accept-Language: en-US,en;q=0.5\r\n"
	"Accept-Encoding: gzip, deflate\r\n"
	"Connection: keep-alive\r\n"
	"Upgrade-Insecure-Requests: 1\r\n"
	"Cache-Control: max-age=0\r\n\r\n";
static const char wrk[] = "GET /service/1 HTTP/1.1\r\nHost: localhost:8000\r\n\r\n";
static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 12\r\n"
			     "Connection: keep-alive\r\n\r\n";

static struct sl_str str(struct sl_table *t, __u32 *used, const char *s)
{
	struct sl_str ret = {.off = *used, .len = strlen(s)};

	memcpy(t->strings + *used, s, ret.len);
	*used += ret.len;
	return ret;
}

/* "*"; x-canary-version: service1a on /service/1; /service/1; /service/2. */
static void tutorial(struct sl_table *t)
{
	static const char *const paths[] = {"/service/1", "/service/1", "/service/2"};
	__u32 used = 0, i;

	memset(t, 0, sizeof(*t));
	t->n_domains = 1;
	t->n_configs = 1;
	t->configs[0].any = 1;
	t->domains[0].kind = SL_DOMAIN_ANY;
	t->n_vhosts = 1;
	t->vhosts[0].n_routes = 3;
	t->n_routes = 3;
	for (i = 0; i < 3; i++)
		t->routes[i].path = str(t, &used, paths[i]);
	t->n_rules = 1;
	t->routes[0].n_rules = 1;
	t->rules[0].kind = SL_RULE_EXACT;
	t->rules[0].name = str(t, &used, "x-canary-version");
	t->rules[0].value = str(t, &used, "service1a");
}

/*
 * @n routes, ten to a virtual host: nine prefixes, the last but one of which the request asks for
 * in the last host, and "/". The head of that request into @c.
 */
static void many(struct sl_table *t, struct core_case *c, __u32 n)
{
	char text[64];
	__u32 used = 0;

	memset(t, 0, sizeof(*t));
	t->n_configs = 1;
	for (__u32 i = 0; i < n; i++) {
		struct sl_route *r = &t->routes[t->n_routes++];

		if (i % 10 == 0) {
			snprintf(text, sizeof(text), "tenant%u.example.com", i / 10);
			t->domains[t->n_domains].vhost = t->n_vhosts;
			t->domains[t->n_domains++].name = str(t, &used, text);
			t->vhosts[t->n_vhosts++] =
				(struct sl_vhost){.first_route = i, .n_routes = 10};
		}
		snprintf(text, sizeof(text), "/service%u/api/v%u/", i % 10, i);
		r->path = str(t, &used, i % 10 == 9 ? "/" : text);
	}
	if (sl_index_build(t))
		printf("no index\n");
	memset(c, 0, sizeof(*c));
	c->len = snprintf((char *)c->buf, 4096,
			  "GET /service8/api/v%u/x HTTP/1.1\r\nHost: tenant%u.example.com\r\n"
			  "Accept: */*\r\nUser-Agent: curl/8.5.0\r\n\r\n",
			  n - 2, n / 10 - 1);
}

static double run(const struct bpf_program *prog, __u32 stages)
{
	struct {
		__u32 count;
		__u32 repeat;
	} ctx = {.count = stages, .repeat = ROUNDS};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = &ctx, .ctx_size_in = sizeof(ctx));
	double best = 1e9;
	int i;

	for (i = 0; i < REPEATS; i++) {
		struct timespec a, b;
		double ns;

		clock_gettime(CLOCK_MONOTONIC, &a);
		if (bpf_prog_test_run_opts(bpf_program__fd(prog), &opts))
			return -errno;
		clock_gettime(CLOCK_MONOTONIC, &b);
		ns = ((b.tv_sec - a.tv_sec) * 1e9 + (b.tv_nsec - a.tv_nsec)) / ROUNDS;
		best = ns < best ? ns : best;
	}
	return best;
}

int main(void)
{
	static const struct {
		const char *name;
		const char *bytes;
		__u32 stages;
	} jobs[] = {
		{"loop alone", browser, 0},
		{"browser's request: parse", browser, 1},
		{"browser's request: match", browser, 2},
		{"browser's request: pick", browser, 4},
		{"browser's request: parse, match, pick", browser, 7},
		{"wrk's request: parse, match, pick", wrk, 7},
		{"small response: parse", answer, 8},
	};
	struct core_test_bpf *skel = core_test_bpf__open_and_load();
	struct core_case *c;
	struct sl_table *t;
	__u32 i;

	if (!skel)
		return 1;
	c = mmap(NULL, sizeof(*c), PROT_READ | PROT_WRITE, MAP_SHARED,
		 bpf_map__fd(skel->maps.mailbox), 0);
	t = mmap(NULL, sizeof(*t), PROT_READ | PROT_WRITE, MAP_SHARED,
		 bpf_map__fd(skel->maps.table), 0);
	if (c == MAP_FAILED || t == MAP_FAILED)
		return 1;
	tutorial(t);
	c->split.n_targets = 2;
	c->split.targets[0].weight = 25;
	c->split.targets[1].weight = 75;
	for (i = 0; i < sizeof(jobs) / sizeof(jobs[0]); i++) {
		c->len = strlen(jobs[i].bytes);
		memcpy(c->buf, jobs[i].bytes, c->len);
		printf("%-40s %4u bytes %7.1f ns\n", jobs[i].name, c->len,
		       run(skel->progs.core_time, jobs[i].stages));
	}
	printf("route %d, parse %u\n", (int)c->route, c->parse);
	for (__u32 n = 10; n <= 10000; n = n == 10 ? 1000 : n * 10) {
		double match;

		many(t, c, n);
		run(skel->progs.core_time, 1);
		match = run(skel->progs.core_time, 2);
		printf("%5u routes: match %7.1f ns; parse, match, pick %7.1f ns\n", n, match,
		       run(skel->progs.core_time, 7));
		if (c->route != n - 2)
			printf("wrong route %d\n", (int)c->route);
	}
	core_test_bpf__destroy(skel);
	return 0;
}
