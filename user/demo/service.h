/* SPDX-License-Identifier: GPL-2.0-only */
/* The demo's services, and its config, built in. */
#ifndef SL_DEMO_SERVICE_H
#define SL_DEMO_SERVICE_H

#include <linux/types.h>
#include <signal.h>
#include <stddef.h>

/* A TCP socket bound to 127.0.0.1:@port (host byte order) and listening. fd or -errno. */
int sl_demo_listen(__u16 port);

/*
 * Serves until SIGTERM: answers every /service/N path with a line that names @name, anything
 * else with 404. Takes over @listen_fd. @stop: a set with SIGTERM and SIGINT, which the
 * caller has blocked. 0 or -errno.
 */
int sl_demo_serve(const char *name, int listen_fd, const sigset_t *stop);

/* front-proxy.yaml: stage 2 of the tutorial. */
extern const char sl_demo_config[];
extern const char sl_demo_config_end[];

#endif /* SL_DEMO_SERVICE_H */
