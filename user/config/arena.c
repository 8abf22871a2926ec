// SPDX-License-Identifier: GPL-2.0-only
#include <stdalign.h>
#include <stdlib.h>

#include "config/arena.h"

#define BLOCK_BYTES 65536

struct sl_arena_block {
	struct sl_arena_block *next;
	size_t used;
	size_t size;
	alignas(max_align_t) char data[];
};

void *sl_arena_alloc(struct sl_arena *a, size_t size)
{
	struct sl_arena_block *b = a->blocks;
	size_t align = alignof(max_align_t), room;
	void *p;

	if (size > (size_t)-1 / 2)
		return NULL;
	size = (size + align - 1) & ~(align - 1);
	if (!b || b->size - b->used < size) {
		room = size > BLOCK_BYTES ? size : BLOCK_BYTES;
		b = calloc(1, sizeof(*b) + room);
		if (!b)
			return NULL;
		b->size = room;
		b->next = a->blocks;
		a->blocks = b;
	}
	p = b->data + b->used;
	b->used += size;
	return p;
}

void sl_arena_free(struct sl_arena *a)
{
	struct sl_arena_block *b = a->blocks, *next;

	for (; b; b = next) {
		next = b->next;
		free(b);
	}
	a->blocks = NULL;
}
