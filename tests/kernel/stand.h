/* SPDX-License-Identifier: GPL-2.0-only */
/* A program (stand.bpf.c) that begins, in a thread of its own, and ends when it may. */
#ifndef STAND_H
#define STAND_H

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "outcome.h"
#include "stand.skel.h"

#define STANDS_US 300000 /* many grace periods */

static struct stand_bpf *stand;
static pthread_t stand_thread;

static void stand_load(void)
{
	stand = stand_bpf__open_and_load();
	if (!stand)
		die("load of the test's own program", strerror(errno));
}

static void *stand_run(void *arg)
{
	char packet[64] = {0};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = packet, .data_size_in = sizeof(packet));

	if (bpf_prog_test_run_opts(bpf_program__fd(stand->progs.stand), &opts))
		die("bpf_prog_test_run_opts", strerror(errno));
	return arg;
}

/* Returns when it has begun. */
static void stand_begin(void)
{
	if (pthread_create(&stand_thread, NULL, stand_run, NULL))
		die("pthread_create", strerror(errno));
	while (!stand->bss->stands)
		usleep(1000);
}

static void stand_end(void)
{
	stand->bss->go = 1;
	(void)pthread_join(stand_thread, NULL);
}

#endif /* STAND_H */
