/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Attached listeners of a running instance: the sk_lookup programs, one a network namespace, and
 * the sockets that they hand connections to. Belongs to the supervisor; what it makes ends with it
 * and its worker.
 */
#ifndef SL_STEER_H
#define SL_STEER_H

#include "config/compiled.h"
#include "kernel/loader.h"
#include "kernel/maps.h"

struct sl_steer;

/*
 * Prepares what is attached in @c; nothing is steered yet. @listen_fds: [c->n_listeners], -1 for L4
 * ones; @netns_fds: [c->n_netns]. *ret is NULL when nothing is attached. 0, or -errno with @reterr
 * set (-EBUSY: another sk_lookup program answers for an address).
 */
int sl_steer_start(const struct sl_maps *m, const struct sl_compiled *c, const int *listen_fds,
		   const int *netns_fds, struct sl_steer **ret, struct sl_load_error *reterr);

/* Steering begins. @warn is told of addresses on which nobody listens now. 0 or -errno. */
int sl_steer_on(struct sl_steer *s, void (*warn)(const char *text));

/*
 * Once a second: whether L4 sockets came (those that went leave by themselves) is looked up.
 * Whether anything is L4, so that it has to be called. @s NULL is fine.
 */
bool sl_steer_has_l4(const struct sl_steer *s);
void sl_steer_refresh(struct sl_steer *s);

/* Whether any address is steered now. NULL: no. */
bool sl_steer_is_on(const struct sl_steer *s);

/* Ends steering and unloads. NULL is fine. */
void sl_steer_free(struct sl_steer *s);

#endif /* SL_STEER_H */
