/* SPDX-License-Identifier: GPL-2.0-only */
/* Listening sockets, and the addresses under which clients on this host reach them. */
#ifndef SL_LISTEN_H
#define SL_LISTEN_H

#include "config/compiled.h"
#include "kernel/maps.h"

/*
 * Opens a listening, non-blocking socket for listener @index of @c and marks it for the capture
 * program. An fd owned by the caller, or -errno (-EADDRINUSE: somebody listens there).
 */
int sl_listen_open(const struct sl_maps *m, const struct sl_compiled *c, __u32 index);

/*
 * Fills `local_addrs`: for a listener on an address, that one; on a wildcard, all of this host's
 * now. A client that dials another address later is served as a remote one. 0 or -errno.
 */
int sl_listen_publish(const struct sl_maps *m, const struct sl_compiled *c);

#endif /* SL_LISTEN_H */
