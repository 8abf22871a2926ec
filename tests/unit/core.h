/* SPDX-License-Identifier: GPL-2.0-only */
/* What the tests of the core share: guarded buffers, cases by name, counting. */
#ifndef TEST_CORE_H
#define TEST_CORE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "suite.h"

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

#endif /* TEST_CORE_H */
