// SPDX-License-Identifier: GPL-2.0-only
/*
 * Cuckoo hashing: each key has two buckets of four slots. It is in the second only if the first is
 * full, and a full bucket stays full: so the matcher looks into the second one rarely.
 */
#include "config/index_hash.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sl_index.h"

#define SEEDS 64  /* tried before giving up */
#define KICKS 500 /* entries moved to make room for one */

__u64 sl_index_hash(const struct sl_table *t, __u32 kind, __u32 owner, struct sl_str key)
{
	__u64 h = sl_key_begin(t, kind, owner);
	__u32 at = 0;

	for (; key.len - at >= 8; at += 8)
		h = sl_key_word(h, sl_load_pool(t->strings, key.off + at));
	return sl_key_end(h, sl_load_pool(t->strings, key.off + at) & sl_first((key.len - at) & 7),
			  key.len);
}

static struct sl_slot *bucket(struct sl_table *t, __u64 hash, bool second)
{
	__u32 at = (second ? hash >> 32 : hash) & (t->n_buckets - 1);

	return &t->slots[at * SL_BUCKET];
}

static struct sl_slot *free_in(struct sl_slot *b)
{
	for (int i = 0; i < SL_BUCKET; i++)
		if (!b[i].hash)
			return &b[i];
	return NULL;
}

/* Puts @s somewhere, moving others to their other bucket. */
static int place(struct sl_table *t, struct sl_slot s)
{
	__u32 turn = 0;

	for (int i = 0; i < KICKS; i++) {
		struct sl_slot *b = bucket(t, s.hash, false), *at = free_in(b), moved;

		if (!at)
			at = free_in(bucket(t, s.hash, true));
		if (at) {
			*at = s;
			return 0;
		}
		/* Both are full: take the place of one that has another bucket to go to. */
		at = (turn & 4 ? bucket(t, s.hash, true) : b) + turn % SL_BUCKET;
		turn = turn * 5 + 3;
		moved = *at;
		*at = s;
		s = moved;
	}
	return -ENOSPC;
}

static bool same_entry(const struct sl_table *t, const struct sl_index_entry *a,
		       const struct sl_index_entry *b)
{
	return a->kind == b->kind && a->owner == b->owner && a->key.len == b->key.len &&
	       !memcmp(t->strings + a->key.off, t->strings + b->key.off, a->key.len);
}

/* From hashes to entries, while they are placed. */
struct seen {
	__u64 hashes[SL_INDEX_ENTRIES];
	__u32 entry[SL_INDEX_SLOTS * 2]; /* index + 1; 0: free */
};

/* Remembers the entry. -EEXIST: an equal one is there; -EAGAIN: another one with its hash. */
static int remember(struct seen *seen, const struct sl_table *t, const struct sl_index_entries *e,
		    __u32 index)
{
	__u64 hash = seen->hashes[index];
	__u32 at = hash >> 8;

	for (;; at++) {
		__u32 *slot = &seen->entry[at % (SL_INDEX_SLOTS * 2)];

		if (!*slot) {
			*slot = index + 1;
			return 0;
		}
		if (seen->hashes[*slot - 1] == hash)
			return same_entry(t, &e->all[*slot - 1], &e->all[index]) ? -EEXIST
										 : -EAGAIN;
	}
}

static int place_all(struct sl_table *t, const struct sl_index_entries *e, struct seen *seen)
{
	memset(t->slots, 0, sizeof(t->slots[0]) * t->n_buckets * SL_BUCKET);
	memset(seen->entry, 0, sizeof(seen->entry));
	for (__u32 i = 0; i < e->n; i++) {
		const struct sl_index_entry *entry = &e->all[i];
		struct sl_slot s = {
			.hash = sl_index_hash(t, entry->kind, entry->owner, entry->key),
			.key = entry->key.off,
			.len = entry->key.len,
			.value = entry->value,
		};
		int err;

		seen->hashes[i] = s.hash;
		err = remember(seen, t, e, i);
		if (err == -EEXIST)
			continue;
		if (!err)
			err = place(t, s);
		if (err)
			return err;
	}
	return 0;
}

int sl_index_place(struct sl_table *t, const struct sl_index_entries *e)
{
	__u32 most = SL_INDEX_SLOTS / SL_BUCKET;
	struct seen *seen;
	int err = -EAGAIN;

	t->n_buckets = 0;
	if (!e->n)
		return 0;
	seen = malloc(sizeof(*seen));
	if (!seen)
		return -ENOMEM;
	/* About a third full: then nearly every key is in its first bucket. */
	for (t->n_buckets = 1; t->n_buckets < most && t->n_buckets * SL_BUCKET / 3 < e->n;)
		t->n_buckets *= 2;
	for (int i = 0; i < SEEDS && err; i++) {
		t->seed = i + 1;
		err = place_all(t, e, seen);
		if (err == -ENOSPC && t->n_buckets < most)
			t->n_buckets *= 2;
	}
	free(seen);
	return err ? -ENOSPC : 0;
}
