// SPDX-License-Identifier: GPL-2.0-only
/*
 * The core in the kernel against the core in user space: each message of a corpus and many
 * mutated ones go through both, and all that they answer has to be the same, byte for
 * byte. Built with SL_PLANTED, one side has a fault: then a difference has to be found, or
 * this test could not find any. Needs root.
 *
 *	differential CORPUS-DIRECTORY [MESSAGES [SEED]]
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "core_test.skel.h"
#include "mutate.h"

static struct corpus corpus;
static struct core_case ours[CORE_BATCH];

struct kernel {
	struct core_test_bpf *skel;
	struct core_case *cases; /* shared with the program */
	struct sl_table *table;	 /* shared too: both sides read the same one */
};

struct totals {
	unsigned long messages;
	unsigned long different;
	unsigned long verdicts[4];
	unsigned long routed;
	unsigned long unsure;
	unsigned long bodies;
};

static void *map_memory(const struct bpf_map *map, size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0);

	return p == MAP_FAILED ? NULL : p;
}

static int kernel_open(struct kernel *k)
{
	k->skel = core_test_bpf__open_and_load();
	if (!k->skel) {
		fprintf(stderr, "the core does not load\n");
		return -1;
	}
	k->cases = map_memory(k->skel->maps.mailbox, sizeof(struct core_case) * CORE_BATCH);
	k->table = map_memory(k->skel->maps.table, sizeof(struct sl_table));
	if (!k->cases || !k->table) {
		perror("mmap");
		return -1;
	}
	return 0;
}

static int kernel_run(struct kernel *k, __u32 count)
{
	struct {
		__u32 count;
		__u32 repeat;
	} ctx = {.count = count};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = &ctx, .ctx_size_in = sizeof(ctx));
	int err = bpf_prog_test_run_opts(bpf_program__fd(k->skel->progs.core_batch), &opts);

	if (err || opts.retval) {
		fprintf(stderr, "core_batch: %s, returned %u\n", strerror(errno), opts.retval);
		return -1;
	}
	return 0;
}

static void print_case(const struct core_case *c)
{
	__u32 i;

	printf("    %s, %u bytes: \"", c->response ? "response" : "request", c->len);
	for (i = 0; i < c->len && i < 2000; i++) {
		if (c->buf[i] < 0x20 || c->buf[i] >= 0x7f || c->buf[i] == '"' || c->buf[i] == '\\')
			printf("\\x%02x", c->buf[i]);
		else
			putchar(c->buf[i]);
	}
	printf("\"\n");
}

static void print_answers(const char *side, const struct core_case *c)
{
	printf("    %s: parse %u error %u length %u flags %#x headers %u route %d target %d reason "
	       "%u "
	       "body %u used %u plain %u\n",
	       side, c->parse, c->head.error, c->head.len, c->head.flags, c->head.n_headers,
	       (int)c->route, (int)c->target, c->reason, c->body_result, c->body_used, c->plain);
}

/* Runs the first @count cases on both sides and compares. 0, or -1: the kernel's run failed. */
static int compare(struct kernel *k, __u32 count, struct totals *t)
{
	__u32 i;

	memcpy(ours, k->cases, count * sizeof(ours[0]));
	if (kernel_run(k, count))
		return -1;
	for (i = 0; i < count; i++) {
		struct core_case *mine = &ours[i], *theirs = &k->cases[i];

		core_run(mine, k->table);
		t->messages++;
		t->verdicts[mine->parse & 3]++;
		t->routed += mine->route < SL_MAX_ROUTES;
		t->unsure += mine->route == SL_ROUTE_UNSURE;
		t->bodies += mine->body_used != 0;
		if (mine->runs == 1 && !memcmp(mine, theirs, sizeof(*mine)))
			continue;
		if (t->different++ < 5) {
			printf("FAIL different:\n");
			print_case(mine);
			print_answers("user  ", mine);
			print_answers("kernel", theirs);
		}
	}
	return 0;
}

static int run_corpus(struct kernel *k, struct totals *t, int *wrong)
{
	__u32 i;

	for (i = 0; i < corpus.n; i++) {
		const struct seed *s = &corpus.seeds[i];

		case_from_seed(&k->cases[0], s);
		k->cases[0].index = 0;
		if (compare(k, 1, t))
			return -1;
		if (ours[0].parse == (__u32)s->expected)
			continue;
		printf("FAIL %s: verdict %u\n", s->name, ours[0].parse);
		(*wrong)++;
	}
	return 0;
}

static int run_mutated(struct kernel *k, unsigned long messages, __u64 *state, struct totals *t)
{
	while (messages) {
		__u32 count = messages < CORE_BATCH ? messages : CORE_BATCH, i;

		bool near = below(state, 4) == 0;

		if (near)
			table_random(k->table, state);
		else
			table_fill(k->table);
		if (below(state, 4) == 0)
			table_spoil(k->table, state);
		for (i = 0; i < count; i++) {
			if (near)
				case_near(&k->cases[i], state);
			else
				case_mutated(&k->cases[i], &corpus, state);
			k->cases[i].index = i;
		}
		if (compare(k, count, t))
			return -1;
		messages -= count;
	}
	return 0;
}

/* Mutations that all end in the same branch test nothing. */
static bool covers(const struct totals *t)
{
	unsigned long least = t->messages / 200;

	return t->verdicts[SL_PARSE_DONE] > least && t->verdicts[SL_PARSE_MORE] > least &&
	       t->verdicts[SL_PARSE_BAD] > least && t->verdicts[SL_PARSE_LONG] > least &&
	       t->routed > least && t->bodies > least && t->unsure > 0;
}

int main(int argc, char **argv)
{
	unsigned long messages = argc > 2 ? strtoul(argv[2], NULL, 10) : 1000000;
	__u64 seed = argc > 3 ? strtoull(argv[3], NULL, 0) : (__u64)time(NULL), state = seed;
	struct totals t = {0};
	struct kernel k;
	int failed = 0, wrong = 0;

	if (argc < 2 || corpus_read(&corpus, argv[1])) {
		fprintf(stderr, "usage: differential CORPUS-DIRECTORY [MESSAGES [SEED]]\n");
		return 1;
	}
	printf("seed %#llx\n", (unsigned long long)seed);
	if (kernel_open(&k)) {
		printf("0 passed, 1 failed\n");
		return 1;
	}
	table_fill(k.table);
	if (run_corpus(&k, &t, &wrong) || run_mutated(&k, messages, &state, &t)) {
		printf("0 passed, 1 failed\n");
		return 1;
	}
	core_test_bpf__destroy(k.skel);
	printf("%lu messages: %lu done, %lu more, %lu bad, %lu long; %lu routed, %lu unsure, "
	       "%lu with body bytes; %lu different\n",
	       t.messages, t.verdicts[SL_PARSE_DONE], t.verdicts[SL_PARSE_MORE],
	       t.verdicts[SL_PARSE_BAD], t.verdicts[SL_PARSE_LONG], t.routed, t.unsure, t.bodies,
	       t.different);
#ifdef SL_PLANTED
	(void)covers;
	failed = t.different == 0;
	printf("%s the planted difference is found\n", failed ? "FAIL" : "ok  ");
	printf("%d passed, %d failed\n", !failed, failed);
#else
	failed = (t.different != 0) + (wrong != 0) + !covers(&t);
	printf("%s kernel and user space answer the same\n", t.different ? "FAIL" : "ok  ");
	printf("%s the corpus' %u files have the verdicts of their names\n",
	       wrong ? "FAIL" : "ok  ", corpus.n);
	printf("%s every verdict is among the mutated messages\n", covers(&t) ? "ok  " : "FAIL");
	printf("%d passed, %d failed\n", 3 - failed, failed);
#endif
	return failed != 0;
}
