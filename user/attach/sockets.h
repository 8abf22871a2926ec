/* SPDX-License-Identifier: GPL-2.0-only */
/* TCP sockets of a network namespace, as sock_diag(7) lists them, and the processes that own them.
 */
#ifndef SL_SOCKETS_H
#define SL_SOCKETS_H

#include <sys/types.h>

#include "util/address.h"

struct sl_listening {
	struct sl_address address;
	bool only6;   /* IPv6 socket that takes no IPv4 */
	__u32 device; /* index of the interface that it is bound to; 0: any */
	__u32 inode;  /* by which /proc/PID/fd names it */
	__u64 cookie; /* SO_COOKIE */
};

/*
 * All listening sockets of the namespace @netns (-1: ours), in the order of their ports. @ret is
 * the caller's, to free(). 0 or -errno.
 */
int sl_listening_list(int netns, struct sl_listening **ret, __u32 *ret_n);

/* Established connections to @a; @dual: IPv4 ones to [::], too. Their number or -errno. */
int sl_established_count(int netns, const struct sl_address *a, bool dual);

/* Who has a socket open: the process with the lowest pid, which started the others. */
struct sl_owner {
	__u32 inode; /* given by the caller */
	pid_t pid;   /* 0: nobody that we can see */
	int fd;	     /* the socket's number in it */
	__u32 n_processes;
	char name[16]; /* of the process */
};

/* Fills all of @list in one pass over /proc. 0 or -errno. */
int sl_owners_find(struct sl_owner *list, __u32 n);

/*
 * A descriptor of our own for @owner's socket, if it is still the one with @cookie; the process
 * does not notice. An fd owned by the caller, who closes it soon (as long as it is open the socket
 * goes on to listen), or -errno (-ESTALE: another socket now; -EPERM: needs CAP_SYS_PTRACE).
 */
int sl_owner_socket(const struct sl_owner *owner, __u64 cookie);

#endif /* SL_SOCKETS_H */
