/* SPDX-License-Identifier: GPL-2.0-only */
/* The backends' own listening sockets, of which an L4 point hands connections to one. */
#ifndef SL_L4_H
#define SL_L4_H

#include "kernel/maps.h"

/* Calls @fn for each endpoint of each cluster that @p splits over. */
void sl_l4_endpoints(const struct sl_maps *m, const struct sl_attach_point *p,
		     void (*fn)(void *ctx, __u32 cluster, __u32 endpoint), void *ctx);

/*
 * Puts sockets of @p's endpoints into `l4_sockets` that are not there yet. @netns_index and
 * @netns: its namespace, as a number of endpoints and as a descriptor; an endpoint in another one
 * gets none. What cannot be had now is tried again the next time.
 */
void sl_l4_refresh(const struct sl_maps *m, const struct sl_attach_point *p, __u32 netns_index,
		   int netns);

#endif /* SL_L4_H */
