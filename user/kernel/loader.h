/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Loads the BPF programs, pins programs' maps and links under SL_PIN_ROOT/INSTANCE and fills the
 * tables. The only user of libbpf's object API.
 */
#ifndef SL_LOADER_H
#define SL_LOADER_H

#include "config/compiled.h"

struct sl_loader;

/* Why loading failed, for the person who asked; the errno alone says too little. */
struct sl_load_error {
	char text[1024];
};

/*
 * Loads and pins everything for @instance, with @c in the tables; nothing is captured yet.
 * @n_threads: that its worker will have, at most SL_MAX_THREADS. 0, or -errno with @reterr set:
 * -EPERM (privileges), -EOPNOTSUPP (kernel lacks something), other.
 */
int sl_loader_load(const char *instance, struct sl_compiled *c, __u32 n_threads,
		   struct sl_loader **ret, struct sl_load_error *reterr);

/* Attaches the sock_ops program to the cgroup2 root @cgroup_fd: capture begins. 0 or -errno. */
int sl_loader_attach(struct sl_loader *l, int cgroup_fd, struct sl_load_error *reterr);

/* Detaches, unpins, unloads. NULL is fine. */
void sl_loader_unload(struct sl_loader *l);

/* Removes what a killed instance left pinned. 0 (also when there was nothing) or -errno. */
int sl_loader_clean(const char *instance);

/* The path of a pin: @buf of PATH_MAX bytes; @name NULL: the directory. */
void sl_pin_path(char *buf, const char *instance, const char *name);

#endif /* SL_LOADER_H */
