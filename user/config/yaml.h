/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * YAML text -> a tree of nodes with their places. Stricter than libyaml, which takes
 * duplicate keys, cycles, second documents and NULs silently: here each is an error.
 */
#ifndef SL_YAML_H
#define SL_YAML_H

#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>

#include "config/arena.h"
#include "config/diag.h"

#define SL_YAML_MAX_BYTES (32u << 20) /* of a file: far over any config that fits our tables */
#define SL_YAML_MAX_DEPTH 64	      /* Envoy's deepest message that we read is about 20 */
#define SL_YAML_MAX_KEYS 256	      /* of one mapping: more than any message has */
#define SL_YAML_MAX_ANCHORS 256
#define SL_YAML_MAX_NODES 1000000 /* with every alias written out */

enum sl_node_kind {
	SL_NODE_SCALAR,
	SL_NODE_LIST,
	SL_NODE_MAP,
};

struct sl_node {
	enum sl_node_kind kind;
	__u32 line;	  /* from 1 */
	__u32 col;	  /* from 1, in characters */
	__u32 n;	  /* items of a list, pairs of a map */
	__u32 size;	  /* nodes of this tree, aliases written out */
	bool plain;	  /* scalar without quotes */
	bool open;	  /* container that is still being read: an alias to it would be a cycle */
	const char *text; /* scalar: valid UTF-8 without NUL, NUL-terminated */
	__u32 len;	  /* bytes of text */
	struct sl_node *
		*items; /* list: [n]; map: [2 * n], key, value, key, ...; keys are scalars */
};

/*
 * Reads @text (@len bytes). Nodes live in @arena. 0 with the root in @ret (errors can have been
 * added all the same: it is the tree of the rest), -EINVAL: no tree, the errors say why; -ENOMEM.
 */
int sl_yaml_parse(const char *text, size_t len, struct sl_arena *arena, struct sl_diag_list *diags,
		  const struct sl_node **ret);

/* The value of @key in the map @map, NULL: not there (or @map is not a map). */
const struct sl_node *sl_node_get(const struct sl_node *map, const char *key);

/* Same kind, same text, same order, all the way down. */
bool sl_node_equal(const struct sl_node *a, const struct sl_node *b);

#endif /* SL_YAML_H */
