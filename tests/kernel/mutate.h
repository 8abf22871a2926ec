/* SPDX-License-Identifier: GPL-2.0-only */
/* Messages for the differential test: a corpus, and seeded mutations of it. */
#ifndef MUTATE_H
#define MUTATE_H

#include "core_case.h"

#define SEEDS_MAX 512
#define SEED_MAX 4300 /* bytes of one */

struct seed {
	char name[64]; /* "req-VERDICT-..." or "resp-VERDICT-..." */
	__u8 bytes[SEED_MAX];
	__u32 len;
	__u32 response;
	enum sl_parse expected;
};

struct corpus {
	struct seed seeds[SEEDS_MAX];
	__u32 n;
};

/* The next of a stream of numbers that *@state fully decides. */
__u64 next_random(__u64 *state);
/* 0 .. @n-1 */
__u32 below(__u64 *state, __u32 n);

/* Reads every file in @dir. 0, or -1 after a message. */
int corpus_read(struct corpus *c, const char *dir);

/* Fills @c's input from a seed as it is. */
void case_from_seed(struct core_case *c, const struct seed *s);

/* Fills @c's input: a mutated seed, any split, any sequence number. */
void case_mutated(struct core_case *c, const struct corpus *corpus, __u64 *state);

/* A table with every kind of rule; then, in some of the calls, hostile numbers in it. */
void table_fill(struct sl_table *t);
void table_spoil(struct sl_table *t, __u64 *state);

/* A random table, and a request that comes near to the routes of the last one. */
void table_random(struct sl_table *t, __u64 *state);
void case_near(struct core_case *c, __u64 *state);

#endif /* MUTATE_H */
