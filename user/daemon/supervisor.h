/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The supervisor: owns the programs, the pins and the listening sockets, and one file-descriptor
 * table that it shares with the worker (clone(2), CLONE_FILES). So every socket outlives a
 * worker's crash, and the data path with it; the next worker adopts what it finds.
 */
#ifndef SL_SUPERVISOR_H
#define SL_SUPERVISOR_H

#include "config/compiled.h"
#include "kernel/loader.h"

/*
 * Runs instance @instance with @c until SIGTERM or SIGINT. Calls @ready (may be NULL) when it
 * serves. 0 after a clean end, or -errno with @reterr set: could not start (-EBUSY: the instance
 * runs already).
 */
int sl_supervisor_run(const char *instance, const struct sl_compiled *c, void (*ready)(void),
		      struct sl_load_error *reterr);

#endif /* SL_SUPERVISOR_H */
