/* SPDX-License-Identifier: GPL-2.0-only */
/* The two file systems that BPF lives in, found or mounted. */
#ifndef SL_MOUNTS_H
#define SL_MOUNTS_H

/*
 * An open directory at the root of cgroup2, wherever it is mounted (/sys/fs/cgroup or
 * /sys/fs/cgroup/unified); mounted privately, on no path, when none is visible (as under
 * `ip netns exec`). An fd owned by the caller, or -errno.
 */
int sl_cgroup2_open(void);

/* Makes sure that bpffs is at /sys/fs/bpf; mounts it there if not. 0 or -errno. */
int sl_bpffs_ensure(void);

#endif /* SL_MOUNTS_H */
