/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Grace periods of the kernel's RCU: behind one, BPF programs that had begun before are done with
 * all that they may still do.
 */
#ifndef SL_RCU_H
#define SL_RCU_H

#include "sl_types.h"

/* In memory that a process shares with those that it makes. */
struct sl_rcu {
	int outer_fd; /* two maps that no program knows; closed by exec() */
	int inner_fd;
	__u32 asked; /* waits that were begun */
	__u32 over;  /* as many of them are over */
};

/*
 * 0, or -errno with nothing open. It serves, by a thread of the calling process, until that process
 * ends; which takes, behind all else that its end does, as long as a grace period if one is under
 * way.
 */
int sl_rcu_open(struct sl_rcu **ret);
/*
 * Returns when every program that runs under rcu_read_lock(), on any CPU or preempted, and has
 * begun before the call has ended: all but the sleepable ones, of which we have none. That takes
 * milliseconds, on a busy host seconds, for ever if the process that serves is gone; but the end of
 * the calling one does not wait for it.
 */
void sl_rcu_wait(struct sl_rcu *r);

#endif /* SL_RCU_H */
