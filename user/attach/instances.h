/* SPDX-License-Identifier: GPL-2.0-only */
/* The instances of this host, and what they have attached. */
#ifndef SL_INSTANCES_H
#define SL_INSTANCES_H

#include <sys/types.h>

#include "kernel/maps.h"

struct sl_instance {
	const char *name;
	struct sl_maps *maps;
	bool runs; /* false: killed, only its maps are left, and nothing is steered */
};

/*
 * Calls @fn for every instance whose maps are pinned and can be opened, until it returns non-zero,
 * which is returned; else 0 or -errno. What @fn is given is gone when it returns.
 */
int sl_instances_each(int (*fn)(void *ctx, const struct sl_instance *i), void *ctx);

/* Whether a supervisor of that name holds its lock. */
bool sl_instance_runs(const char *name);

/* Whether the process @pid is one of an instance: @ret_name (SL_INSTANCE_MAX + 1 bytes). */
bool sl_instance_of_process(pid_t pid, char *ret_name);

/* Directory of locks, and of what `sluice attach` writes for the instances that it starts. */
#define SL_RUN_DIR "/run/sluice"

#endif /* SL_INSTANCES_H */
