/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Built with SL_STALL (`make stalls`): before one access in SL_STALL_ONE to a word that programs
 * and threads share, whoever makes it stands still for up to SL_STALL_US or so, as on a machine
 * whose CPUs are taken away at any instruction. What may happen in between then does. For hunts:
 * a build without it has nothing of this.
 */
#ifndef SL_STALL_H
#define SL_STALL_H

#ifndef SL_STALL_ONE
#define SL_STALL_ONE 64
#endif
#ifndef SL_STALL_US
#define SL_STALL_US 512 /* a power of two */
#endif

#ifdef __bpf__

/* There is no helper that waits. This one copies, about 2 GB a second, and needs no stack. */
#define SL_STALL_BYTES (2048U * SL_STALL_US)
static char sl_stall_from[SL_STALL_BYTES], sl_stall_to[SL_STALL_BYTES];

static inline __attribute__((always_inline, unused)) void sl_stall(void)
{
	__u32 random = bpf_get_prandom_u32();

	if (!(random % SL_STALL_ONE))
		bpf_probe_read_kernel(sl_stall_to, random / SL_STALL_ONE & (SL_STALL_BYTES - 1),
				      sl_stall_from);
}

#else

#include <time.h>

static inline __attribute__((unused)) void sl_stall(void)
{
	static __thread __u32 random;
	struct timespec pause = {0};

	if (!random)
		random = (__u32)(unsigned long)&random | 1;
	random ^= random << 13; /* xorshift32 */
	random ^= random >> 17;
	random ^= random << 5;
	if (!(random % SL_STALL_ONE)) {
		pause.tv_nsec = random / SL_STALL_ONE % SL_STALL_US * 1000;
		nanosleep(&pause, NULL);
	}
}

#endif

#endif /* SL_STALL_H */
