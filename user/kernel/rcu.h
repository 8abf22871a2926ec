/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A grace period of the kernel's RCU: what BPF programs that have begun may still do is done when
 * it is over.
 */
#ifndef SL_RCU_H
#define SL_RCU_H

/* Two maps that no program knows. Both descriptors are closed by exec(). -1: not open. */
struct sl_rcu {
	int outer_fd;
	int inner_fd;
};

/* 0, or -errno with nothing open. */
int sl_rcu_open(struct sl_rcu *r);
/*
 * Returns 0 when every program that runs under rcu_read_lock(), on any CPU or preempted, and has
 * begun before the call has ended: all but the sleepable ones, of which we have none. That takes
 * milliseconds, on a busy host seconds, and no signal ends it, SIGKILL neither: a process whose
 * thread is in here ends behind it. Needs no memory to speak of, but -errno is possible: then
 * nothing is known of any program.
 */
int sl_rcu_wait(const struct sl_rcu *r);
void sl_rcu_close(struct sl_rcu *r);

#endif /* SL_RCU_H */
