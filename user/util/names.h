/* SPDX-License-Identifier: GPL-2.0-only */
/* A set of names with something behind each: grows as it needs. Neither is copied. */
#ifndef SL_NAMES_H
#define SL_NAMES_H

struct sl_names;

/* NULL: no memory. */
struct sl_names *sl_names_new(void);
/* NULL is fine. */
void sl_names_free(struct sl_names *n);

/* What is behind @name; NULL: nothing. */
const void *sl_names_get(const struct sl_names *n, const char *name);

/* Puts @value behind @name unless something is there already. What is there then; NULL: no memory.
 */
const void *sl_names_add(struct sl_names *n, const char *name, const void *value);

#endif /* SL_NAMES_H */
