/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How an application sends the bytes that a sk_msg program has before it.
 *
 * What is redirected out through a socket of ours goes out there with the application's own flags
 * (tcp_bpf_sendmsg_redir()). No program is told of them. With MSG_OOB a byte is marked as urgent,
 * and a remote reader without SO_OOBINLINE takes it out of the stream: it finds another end of the
 * message than we. But the program runs inside the call that sends, and the caller's registers, as
 * the kernel saved them, say which call that is and with what flags. Nobody changes them meanwhile:
 * a debugger can only before the call begins, and then the kernel obeys what the debugger has
 * written. Not so in the threads that the kernel makes for io_uring, which are in no call.
 *
 * Only calls that are known are taken for plain. That leaves out 32-bit programs, whose calls have
 * other numbers: those that have one of these are no sends.
 */
#ifndef SL_SENDER_BPF_H
#define SL_SENDER_BPF_H

#include "sl_types.h"
#include <bpf/bpf_core_read.h>

/* MSG_DONTWAIT, _EOR, _NOSIGNAL, _MORE and _ZEROCOPY: no reader is told of them. */
#define SENDER_FLAGS (0x40 | 0x80 | 0x4000 | 0x8000 | 0x4000000)

#define SENDER_IO_WORKER 0x10 /* PF_IO_WORKER of linux/sched.h */

#if defined(__TARGET_ARCH_x86)

#define SENDER_NR_WRITE 1
#define SENDER_NR_WRITEV 20
#define SENDER_NR_SENDFILE 40
#define SENDER_NR_SENDTO 44
#define SENDER_NR_SENDMSG 46
#define SENDER_NR_SPLICE 275
#define SENDER_NR_SENDMMSG 307

struct pt_regs___sender {
	unsigned long r10;
	unsigned long ax;
	unsigned long dx;
	unsigned long orig_ax;
} __attribute__((preserve_access_index));

#define SENDER_THIRD(r) ((r)->dx)
#define SENDER_FOURTH(r) ((r)->r10)

/*
 * The number of the call that the thread is in, or -1. ax is -ENOSYS until the call is over: then
 * what a call leaves to be done on the way out of the kernel is done (task work).
 */
SL_FN __u64 sender_call(const struct pt_regs___sender *r)
{
	return r->ax == -38ul ? r->orig_ax : -1ull;
}

#elif defined(__TARGET_ARCH_arm64)

#define SENDER_NR_WRITE 64
#define SENDER_NR_WRITEV 66
#define SENDER_NR_SENDFILE 71
#define SENDER_NR_SPLICE 76
#define SENDER_NR_SENDTO 206
#define SENDER_NR_SENDMSG 211
#define SENDER_NR_SENDMMSG 269

struct pt_regs___sender {
	__u64 regs[31];
	__s32 syscallno;
} __attribute__((preserve_access_index));

#define SENDER_THIRD(r) ((r)->regs[2])
#define SENDER_FOURTH(r) ((r)->regs[3])

/* As above, but nothing tells when the call is over. */
SL_FN __u64 sender_call(const struct pt_regs___sender *r)
{
	return (__s64)r->syscallno;
}

#endif

/*
 * Whether the send under way is by a call of which it is known that its flags make no difference.
 * Not so for a thread that has used io_uring: its sends can be carried out on its way out of any
 * other call. Nor for one that the kernel makes for that: its registers are its maker's, until a
 * debugger (ptrace) writes others, which nothing obeys.
 */
SL_FN bool sender_is_plain(void)
{
#ifdef SENDER_NR_WRITE
	struct task_struct *task = bpf_get_current_task_btf();
	const struct pt_regs___sender *r = (const void *)bpf_task_pt_regs(task);

	if ((task->flags & SENDER_IO_WORKER) ||
	    (bpf_core_field_exists(task->io_uring) && task->io_uring))
		return false;
	switch (sender_call(r)) {
	case SENDER_NR_WRITE:
	case SENDER_NR_WRITEV:
	case SENDER_NR_SENDFILE:
	case SENDER_NR_SPLICE:
		return true;
	case SENDER_NR_SENDMSG:
		return !((__u32)SENDER_THIRD(r) & ~SENDER_FLAGS);
	case SENDER_NR_SENDTO:
	case SENDER_NR_SENDMMSG:
		return !((__u32)SENDER_FOURTH(r) & ~SENDER_FLAGS);
	}
#endif
	return false;
}

#endif /* SL_SENDER_BPF_H */
