/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where idle lanes rest. Map `pools`, mmap-able array: pool * SL_MAX_ENDPOINTS + endpoint ->
 * sl_stack head. The main thread's lanes, which BPF takes, are in pools 0 .. n_cpu_pools - 1 of
 * their endpoint, by the CPU on which they were used last; those of thread `home` of the daemon are
 * in one pool of its own behind them.
 *
 * A request takes a lane from the pool of the CPU it is sent on, if there is one: then the server
 * that waits behind it last ran there too, so client and server share caches and wake one another
 * without an interrupt between CPUs. With one pool for all, 16 co-located POSTs left a quarter of
 * two cores idle.
 */
#ifndef SL_POOL_H
#define SL_POOL_H

#include "sl_session.h"

/* The pools of thread @home: @first, and those before @end. */
SL_FN __u32 sl_pool_first(const struct sl_control *c, __u32 home)
{
	return home ? c->n_cpu_pools - 1 + home : 0;
}

SL_FN __u32 sl_pool_end(const struct sl_control *c, __u32 home)
{
	return c->n_cpu_pools + home;
}

/* That of them in which a lane rests that was used on @cpu. */
SL_FN __u32 sl_pool_of(const struct sl_control *c, __u32 home, __u32 cpu)
{
	return home ? sl_pool_first(c, home) : cpu % c->n_cpu_pools;
}

SL_FN __u32 sl_pool_key(__u32 pool, __u32 endpoint)
{
	return pool * SL_MAX_ENDPOINTS + endpoint;
}

#endif /* SL_POOL_H */
