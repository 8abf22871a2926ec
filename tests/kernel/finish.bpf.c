// SPDX-License-Identifier: GPL-2.0-only
/* The end of an exchange, called as the server's program calls it; see test_finish.c. */
#include "balance.bpf.h"
#include "path.bpf.h"
#include "finish_case.h"

char LICENSE[] SEC("license") = "GPL";

SEC("syscall")
int finish(struct finish_case *c)
{
	return exchange_finish(c->slot, c->gen, c->lane_slot, c->lane_gen);
}
