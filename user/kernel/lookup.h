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
#include "util/address.h"

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
};

/* As many as the kernel lets a namespace have (netns_bpf_max_progs()). */
#define SL_LOOKUP_PROGRAMS 64

struct sl_lookup_ask {
	const struct sl_address *addresses; /* [n_addresses]; a connection to each is tried */
	__u32 n_addresses;
	__u32 own_maps[SL_LOOKUP_PROGRAMS]; /* [n_own]; ids: whose programs are left out */
	__u32 n_own;
};

/*
 * The first program on the namespace @netns that decides over one of the addresses: each program
 * is run on an example. 1 with @ret filled, 0, or -errno (-EPERM: needs CAP_SYS_ADMIN).
 */
int sl_lookup_answers(int netns, const struct sl_lookup_ask *ask, struct sl_lookup_program *ret);

#endif /* SL_LOOKUP_H */
