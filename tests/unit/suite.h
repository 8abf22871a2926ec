/* SPDX-License-Identifier: GPL-2.0-only */
/* main() of a test program: one suite, whose last line is `N passed, N failed`. */
#ifndef TEST_SUITE_H
#define TEST_SUITE_H

#include <CUnit/Basic.h>
#include <stdio.h>

/*
 * Runs @tests, up to CU_TEST_INFO_NULL, between @set_up and @tear_down (NULL: nothing). main()'s
 * status: 0 when there were some, all of them ran and none failed.
 */
static inline int run_suite_with(const char *name, CU_InitializeFunc set_up,
				 CU_CleanupFunc tear_down, CU_TestInfo *tests)
{
	CU_SuiteInfo suites[] = {{name, set_up, tear_down, NULL, NULL, tests}, CU_SUITE_INFO_NULL};
	unsigned int failed, run, n = 0;

	while (tests[n].pTestFunc)
		n++;
	if (CU_initialize_registry() || CU_register_suites(suites))
		return 1;
	CU_basic_set_mode(CU_BRM_NORMAL);
	CU_basic_run_tests();
	failed = CU_get_number_of_tests_failed();
	run = CU_get_number_of_tests_run();
	CU_cleanup_registry();
	printf("%u passed, %u failed\n", run - failed, failed);
	return failed || !n || run != n;
}

static inline int run_suite(const char *name, CU_TestInfo *tests)
{
	return run_suite_with(name, NULL, NULL, tests);
}

#endif /* TEST_SUITE_H */
