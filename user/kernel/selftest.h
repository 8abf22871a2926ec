/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The start-up self-test: does this kernel do what the data path relies on? Behaviour is tested,
 * on loopback sockets of our own; versions are not. What fails switches a door off.
 */
#ifndef SL_SELFTEST_USER_H
#define SL_SELFTEST_USER_H

#include "kernel/maps.h"

#define SL_WHY_MAX 256

struct sl_selftest {
	bool colocated;			/* the doors work: SL_C_COLOCATED_CLIENTS and _SERVERS */
	bool canned;			/* BPF can answer in place: SL_C_CANNED */
	char why_colocated[SL_WHY_MAX]; /* one line, no full stop; empty when it works */
	char why_canned[SL_WHY_MAX];
};

/*
 * Loads a BPF object of its own, tests, unloads; some tens of milliseconds, nothing is pinned.
 * Needs the privileges of sl_loader_load() and a loopback interface that is up. 0 when it ran, with
 * *ret filled; -errno when it could not run at all, and nothing is known.
 */
int sl_selftest_run(struct sl_selftest *ret);

/* The same with faults planted (SL_ST_* of sl_selftest.h), to see that each check can fail. */
int sl_selftest_run_planted(struct sl_selftest *ret, __u32 planted);

/*
 * Whether the real capture program, loaded and attached, finds both ends of a connection on this
 * host: a client's and its front's, a back's and its server's, over IPv4 and (where there is any)
 * IPv6. Tests what control->flags has switched on and leaves the tables as they were; run it before
 * the worker starts. 0; else -errno (-EPROTO: it ran and they are not found) with @why set.
 */
int sl_selftest_pairing(const struct sl_maps *m, char why[SL_WHY_MAX]);

#endif /* SL_SELFTEST_USER_H */
