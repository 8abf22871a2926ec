/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The seam between the two worlds: fixed-width types, atomics and the loop
 * that the core uses, once for BPF and once for user space. Everything else in
 * include/ is the same text on both sides and includes nothing but this.
 */
#ifndef SL_TYPES_H
#define SL_TYPES_H

#ifdef __bpf__

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

/*
 * Calls @fn(index, ctx) for index 0..n-1 until it returns non-zero. Only
 * bpf_loop() verifies for thousands of bytes: a plain `for` is unrolled by the
 * verifier path by path and fails at 512.
 *
 * What a step changes stands in the upper half of an eight-byte word of its struct (`zero` fills
 * the lower one): the verifier forgets what is stored there. Of a word, and of its lower half, it
 * keeps the range, and follows the loop from range to range.
 */
#define sl_loop(n, fn, ctx) bpf_loop((n), (fn), (ctx), 0)

#ifndef NULL
#define NULL ((void *)0)
#endif

/* Keeps the compiler from undoing a clamp that the verifier has to see. */
#define sl_opaque(x) asm volatile("" : "+r"(x))

#define sl_memset(dst, c, n) __builtin_memset((dst), (c), (n))
#define sl_memcpy(dst, src, n) __builtin_memcpy((dst), (src), (n))

#define SL_READ(x) (sl_stall(), *(const volatile __typeof__(x) *)&(x))
#define SL_WRITE(x, v) (sl_stall(), *(volatile __typeof__(x) *)&(x) = (v))

#else /* user space */

#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

static inline long sl_loop(__u32 n, long (*fn)(__u32 i, void *ctx), void *ctx)
{
	for (__u32 i = 0; i < n; i++)
		if (fn(i, ctx))
			return i + 1;
	return n;
}

#define sl_opaque(x) ((void)(x))

#define sl_memset(dst, c, n) memset((dst), (c), (n))
#define sl_memcpy(dst, src, n) memcpy((dst), (src), (n))

/* The same instructions as by volatile alone, and what C11 asks for between threads. */
#define SL_READ(x) \
	(sl_stall(), __atomic_load_n((const volatile __typeof__(x) *)&(x), __ATOMIC_RELAXED))
#define SL_WRITE(x, v) \
	(sl_stall(), __atomic_store_n((volatile __typeof__(x) *)&(x), (v), __ATOMIC_RELAXED))
/* ... and what was done before the change that it sees is seen, too. */
#define SL_ACQUIRE(x) \
	(sl_stall(), __atomic_load_n((const volatile __typeof__(x) *)&(x), __ATOMIC_ACQUIRE))

#endif

#ifdef SL_STALL
#include "sl_stall.h"
#else
#define sl_stall() ((void)0)
#endif

/* Core functions are inlined on both sides: BPF calls cost more than the work. */
#define SL_FN static inline __attribute__((always_inline, unused))

/* Full-barrier atomics on shared words; clang emits BPF atomics (-mcpu=v3). */
#define sl_cmpxchg(ptr, old, new) (sl_stall(), __sync_val_compare_and_swap((ptr), (old), (new)))
#define sl_fetch_add(ptr, n) (sl_stall(), __sync_fetch_and_add((ptr), (n)))
#define sl_add(ptr, n) ((void)sl_fetch_add((ptr), (n)))
/*
 * Reads a word that this CPU will change in a moment: its cache line comes from another CPU as
 * this one's own, in one transfer. A load would share it first, and the change ask again.
 */
#define sl_read_own(ptr) sl_fetch_add((ptr), 0)

#endif /* SL_TYPES_H */
