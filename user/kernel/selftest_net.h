/* SPDX-License-Identifier: GPL-2.0-only */
/* Loopback connections with deadlines. Private to user/kernel/selftest*.c. */
#ifndef SL_SELFTEST_NET_H
#define SL_SELFTEST_NET_H

#include <sys/socket.h>

#include "sl_types.h"

/* CLOCK_MONOTONIC. */
__u64 st_now_ns(void);

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
