/* SPDX-License-Identifier: GPL-2.0-only */
/* The listening sockets behind an address that is to be attached, and how steering begins and ends.
 */
#ifndef SL_TARGET_H
#define SL_TARGET_H

#include "attach/sockets.h"

struct sl_target {
	struct sl_address address; /* as asked for */
	__u32 n_sockets;	   /* more than one: an SO_REUSEPORT group */
	bool covered;		   /* they listen on the wildcard, which takes the address, too */
	bool dual;		   /* [::] that takes IPv4, too */
	struct sl_listening first; /* one of them */
	struct sl_owner owner;	   /* its process; filled by sl_target_owner() */
};

/*
 * Who among @all would be given a connection to @a. 0, or -ENOENT: nobody; then
 * ret->first is one on the same port, if ret->n_sockets is 0 and its port is not.
 */
int sl_target_find(const struct sl_listening *all, __u32 n, const struct sl_address *a,
		   struct sl_target *ret);

/*
 * An address at which the application can be dialled in its namespace @netns (-1: ours): the
 * target's own, or for a wildcard loopback's or any other that it takes. 0, or -EHOSTUNREACH.
 */
int sl_target_reach(int netns, const struct sl_target *t, const struct sl_listening *all, __u32 n,
		    struct sl_address *ret);

#define SL_LOCAL_MAX 64

/* Addresses that are dialled to reach a listening socket. */
struct sl_local {
	struct sl_address addresses[SL_LOCAL_MAX];
	__u32 n;
};

/*
 * Those of a socket on @a in @netns (-1: ours): just that, or for a wildcard (@dual: [::] that
 * takes IPv4) loopback's and then the interfaces', as many as there is room for. 0 or -errno.
 */
int sl_local_find(int netns, const struct sl_address *a, bool dual, struct sl_local *ret);

/* Finds the process. 0 or -errno. */
int sl_target_owner(struct sl_target *t);

#endif /* SL_TARGET_H */
