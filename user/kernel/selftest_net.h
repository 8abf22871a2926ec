/* SPDX-License-Identifier: GPL-2.0-only */
/* Loopback connections with deadlines. Private to user/kernel/selftest*.c. */
#ifndef SL_SELFTEST_NET_H
#define SL_SELFTEST_NET_H

#include <sys/socket.h>

#include "sl_types.h"

/*
 * A kernel that works never waits this often; one that does not costs a second or two a failed
 * check. Counted in waits and not by the clock: on a machine that is busy with others the kernel's
 * workers get as little of it as we do, and slow is not wrong.
 */
#define ST_YIELDS 100 /* waits that only let others run */
#define ST_WAITS 1100 /* ... behind them a millisecond each */

/* Lets others run. @waits is how often it was called, from 0; false when that is enough. */
bool st_wait(__u32 *waits);

/*
 * A non-blocking socket bound to 127.0.0.1:0 or [::1]:0 (@family), listening if @listening. An fd
 * of the caller's, or -errno (-EADDRNOTAVAIL, -EAFNOSUPPORT: no such loopback).
 */
int st_listen(int family, bool listening);

/* Its address. 0 or -errno. */
int st_address(int fd, struct sockaddr_storage *ret, socklen_t *ret_len);

/*
 * Connects to @listener and accepts; both ends non-blocking, without delay, and closed by reset (no
 * TIME_WAIT). @active: the socket to connect with, now *ret_active's, or -1 for a new one. 0 or
 * -errno; on failure *ret_active may be set (the caller closes it), *ret_passive is not.
 */
int st_connect(int listener, int active, int *ret_active, int *ret_passive);

#endif /* SL_SELFTEST_NET_H */
