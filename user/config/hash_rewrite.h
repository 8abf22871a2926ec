/* SPDX-License-Identifier: GPL-2.0-only */
/* The hash of a header's values as a regex rewrites them: hash_policy's regex_rewrite. */
#ifndef SL_HASH_REWRITE_H
#define SL_HASH_REWRITE_H

#include "config/actions.h"
#include "sl_hash.h"

/* As sl_hash_one(), by policy @r of the route with the actions @action (NULL: it has none), whose
 * rule number @index it is.
 */
enum sl_hashed sl_hash_policy(const struct sl_hasher *s, const struct sl_hash_rule *r,
			      const struct sl_route_action *action, __u32 index, __u64 *ret);

#endif /* SL_HASH_REWRITE_H */
