/* SPDX-License-Identifier: GPL-2.0-only */
/* The config of an instance that `sluice attach` starts for one address. */
#ifndef SL_GENERATE_H
#define SL_GENERATE_H

#include "util/address.h"

struct sl_attach_wish {
	struct sl_address address;
	struct sl_address to;	/* where lanes reach the application */
	const char *as;		/* the cluster with the application's socket */
	const char *netns_path; /* NULL: our namespace */
	bool l4;
};

/*
 * A listener on the address, attached, with one split route 'all' to the cluster. Without timeouts
 * of answers and limits of connections: nothing is to change for the application's clients. The
 * text is the caller's, to free(). NULL: out of memory.
 */
char *sl_attach_generate(const struct sl_attach_wish *w);

#endif /* SL_GENERATE_H */
