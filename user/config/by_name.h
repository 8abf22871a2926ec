/* SPDX-License-Identifier: GPL-2.0-only */
/* What a request's headers say about its cluster: the daemon's choice, and what explain tells. */
#ifndef SL_BY_NAME_H
#define SL_BY_NAME_H

#include "config/actions.h"
#include "sl_head.h"
#include "sl_pick.h"

/* The cluster that the first value of @header names; SL_NO_TARGET: none. */
__u32 sl_cluster_by_header(const struct sl_actions *a, const char *header, const struct sl_head *h,
			   const __u8 *buf);

/*
 * weighted_clusters.header_name: the target by the number in @header that another proxy drew, for
 * the same pick here (WeightedClusterSpecifierPlugin). SL_NO_TARGET: the request has not just one
 * such number.
 */
__u32 sl_target_by_header(const struct sl_split *s, const char *header, const struct sl_head *h,
			  const __u8 *buf);

#endif /* SL_BY_NAME_H */
