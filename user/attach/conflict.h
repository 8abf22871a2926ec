/* SPDX-License-Identifier: GPL-2.0-only */
/* Who else decides over connections to an address: two who do would depend on their order. */
#ifndef SL_CONFLICT_H
#define SL_CONFLICT_H

#include "kernel/lookup.h"
#include "util/address.h"
#include "util/parse.h"

struct sl_conflict {
	char instance[SL_INSTANCE_MAX + 1]; /* of sluice; "": none */
	struct sl_address address;	    /* ... that it has attached: the same, or in part */
	struct sl_lookup_program program;   /* else another's sk_lookup program */
};

/*
 * Looks for whoever steers connections to @a (@dual: [::] that takes IPv4) in @netns, by its
 * descriptor (-1: ours) and @cookie; the instance @but (NULL: none) is left out. 1 with @ret
 * filled, 0, or -errno (-EPERM: needs CAP_SYS_ADMIN, to look at others' programs).
 */
int sl_conflict_find(int netns, __u64 cookie, const struct sl_address *a, bool dual,
		     const char *but, struct sl_conflict *ret);

/* "is attached already (instance 'x')", or the like; @buf of SL_CONFLICT_TEXT bytes, returned. */
#define SL_CONFLICT_TEXT 256
const char *sl_conflict_text(char *buf, const struct sl_conflict *c, const struct sl_address *a);

#endif /* SL_CONFLICT_H */
