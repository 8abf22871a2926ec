/* SPDX-License-Identifier: GPL-2.0-only */
/* The processes of `sluice demo`: three services and a `sluice run`. */
#ifndef SL_CMD_DEMO_H
#define SL_CMD_DEMO_H

#include <linux/types.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

#define SL_DEMO_FRONT_PORT 8000
#define SL_DEMO_SERVICES 3

struct sl_demo {
	const char *instance;
	sigset_t signals; /* blocked: SIGINT, SIGTERM, SIGHUP, SIGCHLD */
	sigset_t old_signals;
	int listen_fds[SL_DEMO_SERVICES]; /* -1: none */
	pid_t services[SL_DEMO_SERVICES]; /* 0: none */
	pid_t sluice;
	char config[32]; /* path of the written config; "": none */
};

/*
 * Starts everything and waits until sluice serves. Prints what goes wrong. True: it runs;
 * false: end with *@ret_status. sl_demo_stop() cleans up in both cases.
 */
bool sl_demo_start(struct sl_demo *d, const char *instance, int *ret_status);

/* Waits until a signal or the end of a part ends the demo; returns the exit status. */
int sl_demo_wait(struct sl_demo *d);

/* Ends the parts and removes the config. The signals stay blocked: a second Ctrl-C is late. */
void sl_demo_stop(struct sl_demo *d);

#endif /* SL_CMD_DEMO_H */
