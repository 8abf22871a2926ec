/* SPDX-License-Identifier: GPL-2.0-only */
/* A mapping's alternatives, protobuf's `oneof`: keys of which exactly one is to be given. */
#ifndef SL_CHOICE_H
#define SL_CHOICE_H

#include "config/schema.h"

struct sl_choice {
	const char *name;
	const struct sl_node *node; /* the key's value; NULL: not given, or wrong */
};

#define SL_N_CHOICES(all) (sizeof(all) / sizeof((all)[0]))

/* Two that exclude each other are given: an error at the later one. */
void sl_exclude(struct sl_walk *w, const struct sl_choice *a, const struct sl_choice *b);

/*
 * The one of @all's @n that is given in @map, or the first of several, which are an error. NULL:
 * none; that is the error @missing, if that is not NULL and none stands there, right or wrong, in
 * either spelling.
 */
const struct sl_choice *sl_oneof(struct sl_walk *w, const struct sl_node *map,
				 const struct sl_choice *all, size_t n, const char *missing);

#endif /* SL_CHOICE_H */
