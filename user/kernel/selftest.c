// SPDX-License-Identifier: GPL-2.0-only
#include "kernel/selftest.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/libbpf.h>

#include "kernel/selftest_checks.h"

struct check {
	const char *name;
	int (*fn)(struct rig *r);
};

static const struct check colocated_checks[] = {
	{"TCP counters", check_counters},
	{"FIONREAD", check_fionread},
	{"reader's backlog", check_backlog},
	{"order", check_order},
	{"overflow", check_overflow},
	{"egress redirect", check_egress},
	{},
};

static const struct check canned_checks[] = {
	{"answers in place", check_answers},
	{},
};

static int be_silent(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	(void)level;
	(void)fmt;
	(void)ap;
	return 0;
}

/* Runs @checks until one fails, and says which and why. */
static bool all_pass(struct rig *r, const struct check *checks, char *why)
{
	why[0] = '\0';
	for (; checks->fn; checks++) {
		char said[SL_WHY_MAX] = "";
		int rc;

		r->why = said;
		rc = checks->fn(r);
		rig_close(r);
		if (!rc)
			continue;
		snprintf(why, SL_WHY_MAX, "%s: %.200s", checks->name,
			 said[0] ? said : strerror(-rc));
		return false;
	}
	return true;
}

int sl_selftest_run_planted(struct sl_selftest *ret, __u32 planted)
{
	libbpf_print_fn_t print = NULL;
	const bool quiet = !getenv("SLUICE_BPF_LOG");
	char why[SL_WHY_MAX]; /* of rig_open(); rc tells enough */
	struct rig r = {.why = why};
	int rc;

	if (quiet)
		print = libbpf_set_print(be_silent);
	rc = rig_load(&r, planted);
	/* Without a loopback the checks would fail, and say nothing about the kernel. */
	if (!rc)
		rc = rig_open(&r, 0);
	if (!rc)
		ret->colocated = all_pass(&r, colocated_checks, ret->why_colocated);
	if (!rc)
		ret->canned = all_pass(&r, canned_checks, ret->why_canned);
	rig_unload(&r);
	if (quiet)
		libbpf_set_print(print);
	return rc;
}

int sl_selftest_run(struct sl_selftest *ret)
{
	return sl_selftest_run_planted(ret, 0);
}
