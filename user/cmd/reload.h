/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SL_CMD_RELOAD_H
#define SL_CMD_RELOAD_H

#include "kernel/maps.h"

/*
 * Has @instance (@m: its maps) read its config again, or @config instead of it from now on (NULL:
 * the one it has), waits, and prints what it says: on stdout what it did, on stderr why not. 0 with
 * its answer in @ret_status: 0, or the errno of its refusal (SL_RELOAD_NEEDS_RESTART, ...); or
 * -errno: it could not be asked.
 */
int sl_reload_ask(const struct sl_maps *m, const char *instance, const char *config,
		  int *ret_status);

#endif /* SL_CMD_RELOAD_H */
