/* SPDX-License-Identifier: GPL-2.0-only */
/* Listening sockets, and the addresses under which clients on this host reach them. */
#ifndef SL_LISTEN_H
#define SL_LISTEN_H

#include "config/compiled.h"
#include "kernel/maps.h"

/*
 * Opens a listening, non-blocking socket for listener @index of @c, in the network namespace
 * @netns (-1: ours), and marks it for the capture program. An attached one is on a port of its own
 * on loopback: connections to the listener's address are steered to it. An fd owned by the caller,
 * or -errno (-EADDRINUSE: somebody listens there).
 */
int sl_listen_open(const struct sl_maps *m, const struct sl_compiled *c, __u32 index, int netns);

/*
 * Fills `local_addrs`: for a listener on an address, that one; on a wildcard, all of its
 * namespace's now. A client that dials another address later is served as a remote one.
 * @netns: [c->n_netns] descriptors. 0 or -errno.
 */
int sl_listen_publish(const struct sl_maps *m, const struct sl_compiled *c, const int *netns);

/* The least that a listener takes, for BPF: what is above is the daemon's to judge. */
void sl_listen_limits(struct sl_control *control, const struct sl_compiled *c);

#endif /* SL_LISTEN_H */
