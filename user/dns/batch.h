/* SPDX-License-Identifier: GPL-2.0-only */
/* The names of a config that has just been read are looked up, before it is served. */
#ifndef SL_DNS_BATCH_H
#define SL_DNS_BATCH_H

#include <stdio.h>

#include "config/compiled.h"
#include "dns/resolver.h"

/* A config is served when each of its names has had an answer, or after so long. */
#define SL_DNS_FIRST_MS 10000

/*
 * Takes @a for @name. True: its addresses are others. They stay when there is no answer, and of
 * LOGICAL_DNS when there is no address.
 */
bool sl_name_answered(struct sl_name *name, const struct sl_dns_answer *a);

/* Names of @c that have not been asked for are. */
struct sl_batch {
	struct sl_dns *dns;
	struct sl_compiled *c;
	__u32 left; /* answers to come */
	struct sl_batch_name {
		struct sl_batch *batch;
		__u32 name;
	} names[];
};

/* 0 or -errno; *ret is to be freed with sl_batch_free(), NULL is fine. */
int sl_batch_new(struct sl_compiled *c, struct sl_batch **ret);
void sl_batch_free(struct sl_batch *b);

/* The same, and waits: c's endpoints are laid out with what was found. 0 or -errno. */
int sl_names_first(struct sl_compiled *c);

/* Warns of names of @c without addresses, each line begins with @prefix. */
void sl_names_warn(const struct sl_compiled *c, FILE *f, const char *prefix);

#endif /* SL_DNS_BATCH_H */
