/* SPDX-License-Identifier: GPL-2.0-only */
/* What the tests of the core share: guarded buffers, cases by name, counting. */
#ifndef TEST_CORE_H
#define TEST_CORE_H

#include <CUnit/Basic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* @size bytes that end where an unreadable page begins: one byte too far is a crash. */
static inline unsigned char *guarded(size_t size)
{
	size_t page = sysconf(_SC_PAGESIZE), whole = (size + page - 1) / page * page;
	unsigned char *p = mmap(NULL, whole + page, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED || mprotect(p + whole, page, PROT_NONE)) {
		perror("mmap");
		exit(1);
	}
	return p + whole - size;
}

/* A failure that says which case of a table it was. */
#define CHECK_CASE(ok, name, ...)                   \
	do {                                        \
		if (!(ok)) {                        \
			printf("\n    %s: ", name); \
			printf(__VA_ARGS__);        \
			CU_FAIL(name);              \
		} else {                            \
			CU_PASS(name);              \
		}                                   \
	} while (0)

/* Runs the suite of the given tests; prints `N passed, N failed`; main()'s status. */
static inline int run_suite(const char *name, CU_TestInfo *tests)
{
	CU_SuiteInfo suites[] = {{name, NULL, NULL, NULL, NULL, tests}, CU_SUITE_INFO_NULL};
	unsigned int failed;

	if (CU_initialize_registry() || CU_register_suites(suites))
		return 1;
	CU_basic_set_mode(CU_BRM_NORMAL);
	CU_basic_run_tests();
	failed = CU_get_number_of_tests_failed();
	printf("%u passed, %u failed\n", CU_get_number_of_tests_run() - failed, failed);
	CU_cleanup_registry();
	return failed != 0;
}

#endif /* TEST_CORE_H */
