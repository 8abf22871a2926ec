/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Addresses of both families in one form, IPv4 mapped. By value, and kept apart by barriers: clang
 * would merge the loads of both families into one of a variable offset, which a context does not
 * allow.
 */
#ifndef SL_MAPPED_BPF_H
#define SL_MAPPED_BPF_H

#include "sl_types.h"
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define AF_INET 2

SL_FN void mapped(__u8 dst[16], __u32 ip)
{
	__u32 *w = (__u32 *)dst;

	barrier_var(ip);
	w[0] = 0;
	w[1] = 0;
	w[2] = bpf_htonl(0xffff);
	w[3] = ip;
}

SL_FN void mapped6(__u8 dst[16], __u32 a0, __u32 a1, __u32 a2, __u32 a3)
{
	__u32 *w = (__u32 *)dst;

	barrier_var(a0);
	barrier_var(a3);
	w[0] = a0;
	w[1] = a1;
	w[2] = a2;
	w[3] = a3;
}

#endif /* SL_MAPPED_BPF_H */
