/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The sk_lookup program (bpf/attach.bpf.c) on a network namespace, and the programs of others
 * there.
 */
#ifndef SL_LOOKUP_H
#define SL_LOOKUP_H

#include "kernel/loader.h"
#include "kernel/maps.h"
#include "sl_attach.h"

struct sl_lookup;

/*
 * Loads a copy of the program on the maps @m and attaches it to the namespace @netns (-1: ours).
 * The link is not pinned: it lives as long as the processes that share our descriptors, and no
 * steering outlives them. 0 or -errno with @reterr set.
 */
int sl_lookup_attach(const struct sl_maps *m, int netns, struct sl_lookup **ret,
		     struct sl_load_error *reterr);
/* Detaches and unloads. NULL is fine. */
void sl_lookup_free(struct sl_lookup *l);

/* A program of somebody's on a namespace. */
struct sl_lookup_program {
	__u32 id;
	char name[16];
	bool answers; /* it decides over connections to the address that was asked for */
};

#define SL_LOOKUP_PROGRAMS 16

/*
 * The programs on the namespace @netns, at most SL_LOOKUP_PROGRAMS, in @ret; each is run on a
 * connection to @addr (@family; network byte order) and @port. Their number, or -errno.
 */
int sl_lookup_programs(int netns, __u8 family, const __u8 addr[16], __u16 port,
		       struct sl_lookup_program *ret);

#endif /* SL_LOOKUP_H */
