/* SPDX-License-Identifier: GPL-2.0-only */
/* Attached addresses in the maps of an instance: how steering begins and ends. */
#ifndef SL_POINT_H
#define SL_POINT_H

#include "attach/sockets.h"
#include "kernel/maps.h"

/* Fills point @index: the address, which is not steered yet. */
void sl_point_init(struct sl_attach_point *p, const struct sl_address *a, __u64 netns,
		   const char *name);

/* What is done with connections to @a in the namespace with cookie @netns: a point's index, or
 * SL_ATTACH_*. 0 or -errno. */
int sl_attached_set(const struct sl_maps *m, const struct sl_address *a, __u64 netns, __u32 value);

/*
 * Steers new connections to point @index. @all: listening sockets of its namespace, since below a
 * wildcard those of others on an address of their own keep it. 0 or -errno.
 */
int sl_point_on(const struct sl_maps *m, __u32 index, const struct sl_listening *all, __u32 n);
/* The next connection is the application's again. */
void sl_point_off(const struct sl_maps *m, __u32 index);

/* The point for @a in the namespace with cookie @netns; -1: none. */
int sl_point_find(const struct sl_maps *m, const struct sl_address *a, __u64 netns);
void sl_point_address(const struct sl_attach_point *p, struct sl_address *ret);

#endif /* SL_POINT_H */
