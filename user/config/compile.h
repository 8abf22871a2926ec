/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files of the compiler share. */
#ifndef SL_CONFIG_COMPILE_H
#define SL_CONFIG_COMPILE_H

#include "config/model.h"

struct compile {
	struct sl_walk *w;
	const struct cfg_root *root;
	const struct cfg_route_config *config; /* that is compiled */
	const struct sl_config_flags *flags;
	struct sl_compiled *out;
	__u32 n_strings; /* bytes of the pool in use */
};

/* compile.c: text @s into the pool. @at is where the error goes when the pool is full. */
struct sl_str sl_compile_text(struct compile *c, const struct sl_node *at, const char *s,
			      bool lower);

/*
 * canned.c: routes' own answers, into what the strings leave of the pool; those that find no room
 * are the user path's alone. The last step: c->out is complete.
 */
void sl_compile_canned(struct compile *c);

/*
 * actions.c: what lets the kernel look for no route of @rc, Envoy's name of it; NULL: nothing.
 */
const char *sl_routes_need_user(const struct cfg_route_config *rc);

/* compile_match.c: path and rules of @route from @m. */
void sl_compile_match(struct compile *c, const struct cfg_match *m, struct sl_route *route);

/* ... and rules for the headers of @list; a rule each. */
void sl_compile_rules(struct compile *c, enum sl_rule_what what, const struct cfg_list *list);

/*
 * actions.c: all actions, in the order of the table's routes, into c->out, and marks in the table
 * the routes that need the user path. 0 or -ENOMEM.
 */
int sl_compile_actions(struct compile *c);

#endif /* SL_CONFIG_COMPILE_H */
