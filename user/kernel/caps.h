/* SPDX-License-Identifier: GPL-2.0-only */
/* Privileges: which capabilities the data path takes. */
#ifndef SL_CAPS_H
#define SL_CAPS_H

#include <stddef.h>

/*
 * Whether this process may load and attach: CAP_NET_ADMIN (sockmaps), CAP_BPF, and CAP_PERFMON
 * (without it the verifier hardens against speculation, and the programs do not fit). 0, or
 * -EPERM with the missing ones' names, separated by ", ", in @ret_missing of @size bytes; other
 * -errno.
 */
int sl_caps_check(char *ret_missing, size_t size);

#endif /* SL_CAPS_H */
