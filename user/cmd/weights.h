/* SPDX-License-Identifier: GPL-2.0-only */
/* The split routes of an instance, as `sluice weights` shows and sets them. */
#ifndef SL_WEIGHTS_H
#define SL_WEIGHTS_H

#include "kernel/maps.h"

/* One split route: its place and its weights. */
struct sl_split_route {
	__u32 index;
	struct sl_route_info info;
	struct sl_split split;
	struct sl_split before; /* as it was, when `changed` */
	bool changed;
};

/* Number of targets, clamped: the maps are a public interface. */
static inline __u32 sl_split_targets(const struct sl_split *split)
{
	return split->n_targets < SL_MAX_SPLIT_TARGETS ? split->n_targets : SL_MAX_SPLIT_TARGETS;
}

static inline __u64 sl_split_sum(const struct sl_split *split)
{
	__u64 sum = 0;

	for (__u32 i = 0; i < sl_split_targets(split); i++)
		sum += split->targets[i].weight;
	return sum;
}

/* Prints @n routes to stdout; returns the exit status. */
int sl_weights_print(const struct sl_maps *m, const struct sl_split_route *list, __u32 n);
int sl_weights_print_json(const struct sl_maps *m, const struct sl_split_route *list, __u32 n);

#endif /* SL_WEIGHTS_H */
