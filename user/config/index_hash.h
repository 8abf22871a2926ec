/* SPDX-License-Identifier: GPL-2.0-only */
/* The hash table of the index as it is built: entries first, then a place for each. */
#ifndef SL_CONFIG_INDEX_HASH_H
#define SL_CONFIG_INDEX_HASH_H

#include "sl_table.h"

/* More would leave too few free slots. */
#define SL_INDEX_ENTRIES (SL_INDEX_SLOTS / 4 * 3)

struct sl_index_entry {
	__u32 kind; /* enum sl_index_kind, and what is added to it */
	__u32 owner;
	struct sl_str key; /* in the pool */
	__u32 value;
};

struct sl_index_entries {
	struct sl_index_entry *all; /* [SL_INDEX_ENTRIES] */
	__u32 n;
};

/* The hash of @key as include/sl_index.h computes it from the bytes of a head. */
__u64 sl_index_hash(const struct sl_table *t, __u32 kind, __u32 owner, struct sl_str key);

/*
 * Places every entry in t->slots; equal ones once, the first counts. Tries other seeds when two
 * keys have one hash. 0 or -ENOSPC.
 */
int sl_index_place(struct sl_table *t, const struct sl_index_entries *e);

#endif /* SL_CONFIG_INDEX_HASH_H */
