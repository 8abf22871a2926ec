/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Weighted choice by a counter. Not by a random number, and not by the golden ratio
 * either: for an interval in the wrong place that sequence is 7 requests off after 2.5
 * million, and more later. Here targets are the leaves of a binary tree, and each node shares its n
 * requests between its halves by rounding n * left / (left + right): at most half
 * a request off at each of the four levels, so below 2 whatever the weights and
 * however many requests. Sharing in a fixed rhythm would send every other request of a
 * client that alternates to the same place, so requests are shuffled in groups of four:
 * below 2 more. Weight 0 gets nothing, exactly.
 */
#ifndef SL_PICK_H
#define SL_PICK_H

#include "sl_types.h"
#include "sl_limits.h"
#include "sl_bytes.h"
#include "sl_table.h"

#define SL_NO_TARGET 0xffffffffU

_Static_assert(SL_MAX_SPLIT_TARGETS == 16, "a tree of four levels");

SL_FN __u64 sl_weight(const struct sl_split *s, __u32 i)
{
	return i < s->n_targets ? s->targets[i & (SL_MAX_SPLIT_TARGETS - 1)].weight : 0;
}

/* The place of request @n in its group of four, shuffled by a hash of the group's number. */
SL_FN __u64 sl_shuffle(__u64 n)
{
	__u64 h = (n >> 2) + 0x9E3779B97F4A7C15ULL;

	h = (h ^ h >> 30) * 0xBF58476D1CE4E5B9ULL;
	h = (h ^ h >> 27) * 0x94D049BB133111EBULL;
	return n ^ h >> 62;
}

/*
 * One node of the tree: of *@n requests, of which the next is asked for, *@n * left / total
 * rounded have gone to the left. Returns whether the next goes left too, and makes *@n the
 * number of requests before it on its side. @left <= @total, 0 < @total < 2^32.
 */
SL_FN bool sl_share(__u64 *n, __u64 left, __u64 total)
{
	__u64 rounds = *n / total, rest = *n - rounds * total;
	__u64 x = rest * left + (total >> 1), before = x / total;
	bool yes = x - before * total + left >= total;

	before += rounds * left;
	*n = yes ? before : *n - before;
	return yes;
}

/* The same, but 0 for the targets that have their bit in @without. */
SL_FN __u64 sl_weight_without(const struct sl_split *s, __u32 i, __u32 without)
{
	/* Without a branch, which would double the verifier's states at each target. */
	return sl_weight(s, i) & ((__u64)(without >> (i & (SL_MAX_SPLIT_TARGETS - 1)) & 1) - 1);
}

/*
 * The target, 0 .. n_targets-1, of request number @n (0, 1, 2, ...) of @s: of the first n requests,
 * each gets n * weight / sum, give or take less than 4. SL_NO_TARGET: the sum is 0 or over 2^32-1.
 * Targets with their bit in @without have the weight 0.
 */
SL_FN __u32 sl_pick_without(const struct sl_split *s, __u64 n, __u32 without)
{
	__u32 first = 0, half, i;
	__u64 total = 0;

	SL_UNROLL
	for (i = 0; i < SL_MAX_SPLIT_TARGETS; i++)
		total += sl_weight_without(s, i, without);
	if (total == 0 || total > 0xffffffffULL)
		return SL_NO_TARGET;
	n = sl_shuffle(n);
	SL_UNROLL
	for (half = SL_MAX_SPLIT_TARGETS / 2; half; half /= 2) {
		__u64 left = 0;

		if (first + half >= s->n_targets)
			continue;
		for (i = 0; i < half; i++)
			left += sl_weight_without(s, first + i, without);
		if (!sl_share(&n, left, total)) {
			first += half;
			total -= left;
		} else {
			total = left;
		}
	}
	return first;
}

SL_FN __u32 sl_pick(const struct sl_split *s, __u64 n)
{
	return sl_pick_without(s, n, 0);
}

#endif /* SL_PICK_H */
