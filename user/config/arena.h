/* SPDX-License-Identifier: GPL-2.0-only */
/* Memory that is freed all at once: the nodes and the model of one config file. */
#ifndef SL_ARENA_H
#define SL_ARENA_H

#include <stddef.h>

struct sl_arena_block;

/* Zeroed: empty. */
struct sl_arena {
	struct sl_arena_block *blocks;
};

/* @size zeroed bytes, aligned for any type; NULL: out of memory. Size 0 gives a valid pointer. */
void *sl_arena_alloc(struct sl_arena *a, size_t size);
void sl_arena_free(struct sl_arena *a);

#endif /* SL_ARENA_H */
