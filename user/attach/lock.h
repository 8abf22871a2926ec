/* SPDX-License-Identifier: GPL-2.0-only */
/* What must be done one after another, on this host. */
#ifndef SL_LOCK_H
#define SL_LOCK_H

/*
 * For the time of a `sluice attach` to @instance, so that two do not write its config or start it;
 * that it has to wait is told to @waits (NULL is fine). A descriptor, whose close() ends it, or
 * -errno.
 */
int sl_lock_commands(const char *instance, void (*waits)(void));

/*
 * From the question who else decides over an address until it is steered; and for the decision
 * of an instance to end, after which nobody steers anything to it. Held for moments.
 */
int sl_lock_steering(void);

#endif /* SL_LOCK_H */
