// SPDX-License-Identifier: GPL-2.0-only
/*
 * Loads every program of the data path and holds its verified instruction count against
 * budget.txt ("PROGRAM MAXIMUM" a line): the verifier gives up at a million, and what grows
 * unseen is found there first. A program without a budget fails, and so does a budget without a
 * program.
 */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "attach.skel.h"
#include "sluice.skel.h"

#define MAX_PROGS 32

static struct budget {
	char name[64];
	unsigned int max;
	bool seen;
} budgets[MAX_PROGS];
static int n_budgets;

static int read_budgets(const char *path)
{
	char line[256];
	FILE *f = fopen(path, "r");

	if (!f) {
		perror(path);
		return -1;
	}
	while (n_budgets < MAX_PROGS && fgets(line, sizeof(line), f)) {
		struct budget *b = &budgets[n_budgets];

		if (line[0] != '#' && sscanf(line, "%63s %u", b->name, &b->max) == 2)
			n_budgets++;
	}
	fclose(f);
	return 0;
}

static bool within_budget(const struct bpf_program *prog)
{
	const char *name = bpf_program__name(prog);
	struct bpf_prog_info info = {};
	__u32 len = sizeof(info);

	if (bpf_obj_get_info_by_fd(bpf_program__fd(prog), &info, &len)) {
		printf("FAIL %s: no information on the program\n", name);
		return false;
	}
	for (int i = 0; i < n_budgets; i++) {
		if (strcmp(budgets[i].name, name))
			continue;
		budgets[i].seen = true;
		printf("%s %s: %u verified instructions of %u, %u in the program\n",
		       info.verified_insns <= budgets[i].max ? "ok" : "FAIL", name,
		       info.verified_insns, budgets[i].max, info.xlated_prog_len / 8);
		return info.verified_insns <= budgets[i].max;
	}
	printf("FAIL %s: has no budget (%u verified instructions)\n", name, info.verified_insns);
	return false;
}

int main(int argc, char **argv)
{
	struct sluice_bpf *skel;
	struct attach_bpf *attach;
	struct bpf_program *prog;
	int passed = 0, failed = 0;

	if (argc != 2 || read_budgets(argv[1])) {
		fprintf(stderr, "usage: test_load BUDGET-FILE\n");
		return 1;
	}
	skel = sluice_bpf__open_and_load();
	attach = attach_bpf__open_and_load();
	if (!skel || !attach) {
		printf("FAIL load: the programs do not load\n0 passed, 1 failed\n");
		return 1;
	}
	bpf_object__for_each_program(prog, skel->obj) * (within_budget(prog) ? &passed : &failed) +=
		1;
	bpf_object__for_each_program(prog, attach->obj) *
		(within_budget(prog) ? &passed : &failed) += 1;
	for (int i = 0; i < n_budgets; i++) {
		if (budgets[i].seen)
			continue;
		printf("FAIL %s: a budget for no program\n", budgets[i].name);
		failed++;
	}
	attach_bpf__destroy(attach);
	sluice_bpf__destroy(skel);
	printf("%d passed, %d failed\n", passed, failed);
	return failed != 0;
}
