/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SL_CONFIG_INDEX_H
#define SL_CONFIG_INDEX_H

#include "sl_table.h"

/* A virtual host of at most so many routes is searched as a list: that is faster. */
#define SL_LIST_ROUTES 8

/*
 * Fills the index (include/sl_index.h) of a table whose configurations, domains, virtual hosts,
 * routes and rules are complete: slots, paths, lists, lengths, and what refers to them. Virtual
 * hosts whose routes find no room in it stay lists; domains always find room. 0 or -ENOMEM.
 */
int sl_index_build(struct sl_table *t);

#endif /* SL_CONFIG_INDEX_H */
