/* SPDX-License-Identifier: GPL-2.0-only */
/* Which slots of the map `endpoints` the endpoints of a cluster have. */
#ifndef SL_DAEMON_PLACE_H
#define SL_DAEMON_PLACE_H

#include "sl_table.h"

/* One plan: of a reload, or of a cluster's new addresses. */
struct places {
	const struct sl_endpoint *live; /* [SL_MAX_ENDPOINTS] */
	__u8 *taken;			/* [SL_MAX_ENDPOINTS], zeroed */
	__u32 free_from;		/* no slot below it is free */
};

/*
 * Slots for the @n endpoints @want of @cluster (NO_INDEX: a new one) into @ret_at: an endpoint of
 * the cluster whose address is the same keeps its own, with its lanes and its health, and a free
 * one is one without family. 0 or -ENOSPC.
 */
int places_find(struct places *p, __u32 cluster, const struct sl_endpoint *want, __u32 n,
		__u32 *ret_at);

bool same_address(const struct sl_endpoint *a, const struct sl_endpoint *b);

#endif /* SL_DAEMON_PLACE_H */
