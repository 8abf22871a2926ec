/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The worker: one process, whose threads (crew.h) accept sessions, keep lanes and serve
 * the user path. It can die at any time; the supervisor starts the next one, which
 * adopts the sessions and lanes it finds in the maps.
 */
#ifndef SL_WORKER_H
#define SL_WORKER_H

#include "config/compiled.h"
#include "daemon/reload.h"
#include "kernel/maps.h"
#include "kernel/rcu.h"

struct sl_worker_args {
	const char *instance;
	struct sl_maps *maps;
	struct sl_rcu *rcu;
	const struct sl_compiled *compiled;
	const int *listen_fds; /* [compiled->n_listeners], listening, non-blocking; -1: has none */
	const int *netns_fds;  /* [compiled->n_netns] */
	struct sl_shared *shared; /* NULL: no reload */
	int signal_fd;		  /* signalfd: SIGTERM drains and returns */
	unsigned int drain_ms;	  /* longest time a drain may take */
};

/*
 * Serves until SIGTERM, then drains: no new connection, what is in flight is finished,
 * idle sessions are closed, lanes are closed. Returns 0 when nothing is left, -ETIMEDOUT when
 * drain_ms ran out (the rest was closed hard), other -errno: could not start.
 */
int sl_worker_run(const struct sl_worker_args *args);

#endif /* SL_WORKER_H */
