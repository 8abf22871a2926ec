/* SPDX-License-Identifier: GPL-2.0-only */
/* What a test says of each thing that it looks at, and of all. */
#ifndef OUTCOME_H
#define OUTCOME_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

static int passed, failed;

static void check(bool ok, const char *name)
{
	if (ok)
		passed++;
	else
		failed++;
	printf("%s %s\n", ok ? "ok  " : "FAIL", name);
}

static void die(const char *what, const char *why)
{
	printf("FAIL %s: %s\n%d passed, %d failed\n", what, why, passed, failed + 1);
	exit(1);
}

#endif /* OUTCOME_H */
