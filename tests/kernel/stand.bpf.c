// SPDX-License-Identifier: GPL-2.0-only
/* A program that stands still, under rcu_read_lock() as ours are; see stand.h. */
#include "sl_types.h"

char LICENSE[] SEC("license") = "GPL";

volatile __u32 stands; /* it has begun */
volatile __u32 go;     /* it may end */

static long look(__u32 i, void *arg)
{
	return go != 0;
}

static long look_long(__u32 i, void *arg)
{
	bpf_loop(1 << 14, look, NULL, 0);
	return go != 0;
}

SEC("tc")
int stand(struct __sk_buff *skb)
{
	stands = 1;
	bpf_loop(1 << 20, look_long, NULL, 0); /* half a minute */
	return 0;
}
