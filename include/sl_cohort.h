/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Sticky choice: a user's hash decides the cluster of a split (use_hash_policy). Each
 * cluster draws an exponential variate E from the user's hash and the cluster's name, and
 * the greatest weight / E is taken: the share of a cluster is weight / sum exactly, for any
 * number of clusters (weighted rendezvous hashing).
 *
 * A user moves from cluster a to b only when the ratio of b's weight to a's has grown. So raising
 * one cluster's weight moves users to it and nowhere else, lowering it moves its own users alone,
 * and no more than the shares ask for; a cohort of 10 % holds the one of 5 %. With two
 * clusters this is so for any change. With more, when several weights change at once, the part of
 * users that moves is at most 2d / (1 + d), d being the least that the shares ask for: no
 * rule that looks at nothing but user and weights can do better (Bavarian et al. 2016).
 * The order of the clusters, the size of the weights and other clusters' coming and going do not
 * matter.
 */
#ifndef SL_COHORT_H
#define SL_COHORT_H

#include "sl_bytes.h"
#include "sl_pick.h"

#define SL_EXPO_DRAWS 64 /* 4.3 on average; after as many the rest of E is left out */
#define SL_EXPO_WHOLE 15 /* greatest whole part: seen once in 3 million draws */

/* splitmix64's finalizer. */
SL_FN __u64 sl_mix(__u64 x)
{
	x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9ULL;
	x = (x ^ x >> 27) * 0x94D049BB133111EBULL;
	return x ^ x >> 31;
}

struct sl_expo {
	__u64 state; /* of the uniform numbers */
	__u64 first; /* of the run */
	__u64 last;
	__u32 zero;
	__u32 length; /* of the run so far */
	__u32 zero2;
	__u32 whole; /* runs of even length before it */
};

/* One uniform number: it goes on with the falling run, or ends it and is given up. */
static long sl_expo_step(SL_UNUSED __u32 i, void *data)
{
	struct sl_expo *e = data;
	__u64 u = sl_mix(e->state += 0x9E3779B97F4A7C15ULL);

	if (e->length == 0)
		e->first = u;
	if (e->length == 0 || u < e->last) {
		e->last = u;
		e->length++;
		return 0;
	}
	if (e->length & 1)
		return 1;
	e->length = 0;
	if (e->whole < SL_EXPO_WHOLE)
		e->whole++;
	return 0;
}

/*
 * An exponential variate of mean 2^60, from @seed alone. By comparisons only (von Neumann 1951: a
 * falling run that begins with x has odd length with probability e^-x), so there is no logarithm
 * to be rounded in one way here and in another in the kernel.
 */
SL_ALONE __u64 sl_expo(__u64 seed)
{
	struct sl_expo e = {.state = seed};

	sl_loop(SL_EXPO_DRAWS, sl_expo_step, &e);
	return (__u64)e.whole << 60 | e.first >> 4;
}

/* Is a * b < c * d? */
SL_FN bool sl_product_less(__u64 a, __u32 b, __u64 c, __u32 d)
{
	__u64 ab = (a & 0xffffffff) * b, cd = (c & 0xffffffff) * d;
	__u64 ab_high = (a >> 32) * b + (ab >> 32), cd_high = (c >> 32) * d + (cd >> 32);

	return ab_high < cd_high || (ab_high == cd_high && (ab & 0xffffffff) < (cd & 0xffffffff));
}

/* The best of the targets seen so far. Begin with {.hash = the user's, .target = SL_NO_TARGET}. */
struct sl_cohort {
	__u64 hash;
	__u64 expo;
	__u32 weight;
	__u32 target;
};

/* Target @i with its weight and sl_cluster.name_hash. Weight 0 is never taken. */
SL_FN void sl_cohort_offer(struct sl_cohort *c, __u32 i, __u32 weight, __u64 name_hash)
{
	__u64 expo;

	if (!weight)
		return;
	expo = sl_expo(sl_mix(c->hash ^ name_hash));
	if (c->target != SL_NO_TARGET && !sl_product_less(expo, c->weight, c->expo, weight))
		return;
	c->expo = expo;
	c->weight = weight;
	c->target = i;
}

#endif /* SL_COHORT_H */
