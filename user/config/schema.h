/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tables that say what a mapping may hold, and the one function that walks mappings by
 * them: unknown key, wrong type, range and missing key are handled there, once.
 */
#ifndef SL_SCHEMA_H
#define SL_SCHEMA_H

#include "config/yaml.h"

enum sl_key_type {
	SL_KEY_STRING,	 /* const struct sl_node * */
	SL_KEY_U32,	 /* struct cfg_u32, min..max */
	SL_KEY_BOOL,	 /* struct cfg_u32, 0 or 1 */
	SL_KEY_ENUM,	 /* struct cfg_u32, index into names; SL_ENUM_WRONG: was wrong */
	SL_KEY_DURATION, /* struct cfg_u32, milliseconds, min..max */
	SL_KEY_DECIMAL,	 /* struct cfg_u32, thousandths, min..max */
	SL_KEY_MAP,	 /* sub's struct, in place */
	SL_KEY_LIST,	 /* struct cfg_list of sub's structs */
	SL_KEY_STRINGS,	 /* struct cfg_list of const struct sl_node * */
	SL_KEY_ANY,	 /* const struct sl_node *: looked at by the schema's done() */
	SL_KEY_IGNORED,	 /* accepted: what it says is so here in any case */
	SL_KEY_WARN,	 /* accepted with the warning in note */
};

#define SL_ENUM_WRONG 0xffffffffu

#define SL_KEY_REQUIRED 0x1
#define SL_KEY_NONEMPTY 0x2 /* string: at least one character; list: at least one item */

/* Values keep their node, for the place of later errors. node NULL: not given, or wrong. */
struct cfg_u32 {
	const struct sl_node *node;
	__u32 value;
};

struct cfg_list {
	const struct sl_node *node;
	void *items;
	__u32 n;
};

struct sl_walk {
	struct sl_arena *arena;
	struct sl_diag_list *diags;
	int err; /* -ENOMEM: stop */
	/*
	 * In done(): a key of this mapping is misspelt or not supported yet, so what seems to be
	 * missing may be there; one error is enough.
	 */
	bool unsure;
};

struct sl_key {
	const char *name;
	enum sl_key_type type;
	__u32 flags;
	size_t offset;
	const struct sl_schema *sub; /* of ANY: what done() reads it by, for tests */
	const char *const *names; /* ENUM: spellings, NULL at the end; "-NAME": not supported yet */
	__u32 min, max;
	const char *note;
};

/* A struct that is filled by a schema begins with `const struct sl_node *node`, its mapping. */
struct sl_schema {
	const char *what; /* "cluster" */
	size_t size;
	const struct sl_key *keys;	/* name NULL at the end */
	const char *const *unsupported; /* Envoy's keys that are refused by name; or NULL */
	const char *const *tuning;	/* Envoy's keys that are ignored with a warning; or NULL */
	void (*done)(struct sl_walk *w, void *dst); /* after the keys; or NULL */
};

/*
 * Fills @dst (zeroed) from @node by @schema; whatever is wrong is added to w->diags. Both spellings
 * of a key are known, snake_case and protobuf's camelCase.
 */
void sl_schema_walk(struct sl_walk *w, const struct sl_schema *schema, const struct sl_node *node,
		    void *dst);

/* As sl_schema_walk(), into a new struct; NULL: @node is no mapping or no memory. */
void *sl_schema_new(struct sl_walk *w, const struct sl_schema *schema, const struct sl_node *node);

/* Is @name the key @key, in snake_case or in protobuf's camelCase? */
bool sl_same_key(const char *name, const char *key);

#define sl_error(w, at, ...) sl_diag_add((w)->diags, SL_ERROR, (at)->line, (at)->col, __VA_ARGS__)
#define sl_warning(w, at, ...) \
	sl_diag_add((w)->diags, SL_WARNING, (at)->line, (at)->col, __VA_ARGS__)

/* Scalars (scalar.c). 0, -EINVAL: not of this form, -ERANGE: out of the range. */
int sl_parse_bool(const char *s, __u32 *ret); /* YAML 1.1's words, any case */
/* "12.5" -> 12500; digits behind the third are cut. */
int sl_parse_decimal(const char *s, __u32 min, __u32 max, __u32 *ret);
int sl_parse_duration_ms(const char *s, __u32 min, __u32 max, __u32 *ret); /* "0.25s" */

#endif /* SL_SCHEMA_H */
