/* SPDX-License-Identifier: GPL-2.0-only */
/* Network namespaces, each by a descriptor of it; -1 stands for our own. */
#ifndef SL_NETNS_H
#define SL_NETNS_H

#include <linux/types.h>

/*
 * Opens a namespace by its path ("/run/netns/blue", "/proc/812/ns/net") or by the pid of a process
 * in it ("812"). An fd owned by the caller, or -errno (-EINVAL: no namespace of this kind).
 */
int sl_netns_open(const char *where);

/*
 * Moves the calling thread into @fd's namespace until sl_netns_leave(@ret_back), which cannot fail
 * (it ends the process instead: nothing may go on in the wrong namespace). @fd -1: nothing to do.
 * 0 or -errno (-EPERM: needs CAP_SYS_ADMIN).
 */
int sl_netns_enter(int fd, int *ret_back);
void sl_netns_leave(int back);

/* socket(2) in the namespace @fd. An fd owned by the caller, close-on-exec, or -errno. */
int sl_netns_socket(int fd, int domain, int type, int protocol);

/* The cookie by which BPF knows the namespace. 0 or -errno. */
int sl_netns_cookie(int fd, __u64 *ret);

#endif /* SL_NETNS_H */
