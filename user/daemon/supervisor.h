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

struct sl_supervisor_options {
	const char *instance;
	const char *config;  /* absolute path, for reloads; NULL: there are none */
	void (*ready)(void); /* called when it serves; or NULL */
	bool until_detached; /* ends by itself when nothing is attached and no session is open */
	__u32 concurrency; /* threads of the worker, at most SL_MAX_THREADS; 0: one for each CPU */
};

/*
 * Runs an instance with @c until SIGTERM or SIGINT. 0 after a clean end, or -errno with @reterr
 * set: could not start (-EBUSY: the instance runs already).
 */
int sl_supervisor_run(const struct sl_supervisor_options *o, struct sl_compiled *c,
		      struct sl_load_error *reterr);

#endif /* SL_SUPERVISOR_H */
