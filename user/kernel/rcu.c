// SPDX-License-Identifier: GPL-2.0-only
/*
 * By an update of a map of maps, which the kernel returns from when no program can have the inner
 * map from before (maybe_wait_bpf_programs(): synchronize_rcu() or its expedited kin, since Linux
 * 4.20, whether a program knows the map or not, and the inner map may be the same again).
 * membarrier(MEMBARRIER_CMD_GLOBAL) is none: with one CPU online it returns at once, though a
 * program may have been preempted there, and with nohz_full it is refused.
 */
#include "kernel/rcu.h"

#include <unistd.h>

#include <bpf/bpf.h>

#include "sl_types.h"

#define NAME "sl_rcu"

int sl_rcu_open(struct sl_rcu *r)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts);
	const __u32 size = sizeof(__u32);
	int rc;

	r->outer_fd = -1;
	r->inner_fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, NAME, size, size, 1, NULL);
	if (r->inner_fd < 0)
		return r->inner_fd;
	opts.inner_map_fd = r->inner_fd;
	r->outer_fd = bpf_map_create(BPF_MAP_TYPE_ARRAY_OF_MAPS, NAME, size, size, 1, &opts);
	rc = r->outer_fd;
	if (rc >= 0)
		return 0;
	sl_rcu_close(r);
	return rc;
}

int sl_rcu_wait(const struct sl_rcu *r)
{
	const __u32 zero = 0;

	return bpf_map_update_elem(r->outer_fd, &zero, &r->inner_fd, BPF_ANY);
}

void sl_rcu_close(struct sl_rcu *r)
{
	if (r->inner_fd >= 0)
		close(r->inner_fd);
	if (r->outer_fd >= 0)
		close(r->outer_fd);
	r->inner_fd = r->outer_fd = -1;
}
