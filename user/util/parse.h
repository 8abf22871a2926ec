/* SPDX-License-Identifier: GPL-2.0-only */
/* Words of the command line to values. */
#ifndef SL_PARSE_H
#define SL_PARSE_H

#include <linux/types.h>
#include <stdbool.h>

#define SL_INSTANCE_DEFAULT "default"
#define SL_INSTANCE_MAX 32 /* bytes of a name; it becomes a directory's name */

/*
 * Decimal digits alone (no sign, space, base prefix or rest) to @ret. 0, -EINVAL (not a
 * number), -ERANGE (over @max).
 */
int sl_parse_u32(const char *text, __u32 max, __u32 *ret);

/* An instance's name: 1 .. SL_INSTANCE_MAX letters, digits, '-' and '_'. */
bool sl_instance_valid(const char *name);

#endif /* SL_PARSE_H */
