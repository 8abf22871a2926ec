/* SPDX-License-Identifier: GPL-2.0-only */
/* What a route matches, as read: see model.h. */
#ifndef SL_MATCH_MODEL_H
#define SL_MATCH_MODEL_H

#include "config/schema.h"
#include "config/uri_template.h"
#include "sl_table.h"

/* safe_regex, and the fields that hold one */
struct cfg_regex {
	const struct sl_node *node;
	const struct sl_node *google_re2; /* the only engine */
	const struct sl_node *regex;
};

struct cfg_string_match {
	const struct sl_node *node;
	const struct sl_node *exact;
	const struct sl_node *prefix;
	const struct sl_node *suffix;
	const struct sl_node *contains;
	const struct sl_node *old_regex;
	struct cfg_regex regex;
	struct cfg_u32 ignore_case;
};

struct cfg_range {
	const struct sl_node *node;
	const struct sl_node *start;
	const struct sl_node *end;
};

/* A header, query parameter or cookie matcher; the old spellings are of headers alone. */
struct cfg_rule {
	const struct sl_node *node;
	const struct sl_node *name;
	struct cfg_string_match string;
	struct cfg_range range;
	struct cfg_u32 present;
	struct cfg_u32 invert;
	struct cfg_u32 missing_empty; /* treat_missing_header_as_empty */
	const struct sl_node *exact;
	const struct sl_node *prefix;
	const struct sl_node *suffix;
	const struct sl_node *contains;
	const struct sl_node *old_regex;
	const struct sl_node *old_value;
	struct cfg_u32 is_regex; /* old_value */
	struct cfg_regex regex;

	/* done: one of all these. */
	enum sl_rule_kind kind;
	const struct sl_node *value; /* NULL: PRESENT, RANGE, or was wrong */
	bool no_case;
	__s64 from, to; /* RANGE */
};

struct cfg_percent {
	const struct sl_node *node;
	struct cfg_u32 numerator;
	struct cfg_u32 denominator; /* enum: 100, 10000, 1000000 */
};

struct cfg_fraction {
	const struct sl_node *node;
	struct cfg_percent value;
};

struct cfg_grpc {
	const struct sl_node *node;
};

/* UriTemplateMatchConfig, UriTemplateRewriteConfig */
struct cfg_uri_template {
	const struct sl_node *node;
	const struct sl_node *type_url;
	const struct sl_node *text;
};

/* path_match_policy and path_rewrite_policy: extensions, of which we have those of URI templates.
 */
struct cfg_path_policy {
	const struct sl_node *node;
	const struct sl_node *name;
	const struct sl_node *typed_config;
	const struct sl_node *template; /* NULL: not given, or was wrong */
};

struct cfg_match {
	const struct sl_node *node;
	const struct sl_node *prefix;
	const struct sl_node *path;
	const struct sl_node *separated;
	const struct sl_node *old_regex;
	struct cfg_regex regex;
	struct cfg_u32 case_sensitive;
	struct cfg_fraction fraction;
	struct cfg_list headers; /* struct cfg_rule */
	struct cfg_list queries; /* struct cfg_rule */
	struct cfg_list cookies; /* struct cfg_rule */
	struct cfg_grpc grpc;
	struct cfg_path_policy policy;
	struct sl_uri_variables variables; /* of its template */

	/* done: one of prefix, path, separated, old_regex, regex and the policy's template. */
	const struct sl_node *text; /* NULL: was wrong */
	bool is_regex;
	bool folded; /* case_sensitive: false */
};

extern const struct sl_schema sl_schema_match;
extern const struct sl_schema sl_schema_header;
extern const struct sl_schema sl_schema_regex;
extern const struct sl_schema sl_schema_fraction;
extern const struct sl_schema sl_schema_rewrite_policy;

/* 100, 10000 or 1000000. */
__u32 sl_fraction_of(const struct cfg_fraction *f);

/* How many rules of the table it takes. */
__u32 sl_match_rules(const struct cfg_match *m);

/* match_check.c: what is wrong with a match by itself. */
void sl_validate_match(struct sl_walk *w, const struct cfg_match *m);
/* The same for header matchers (struct cfg_rule) that stand alone. */
void sl_validate_headers(struct sl_walk *w, const struct cfg_list *headers);
/*
 * How many bytes the beginning of every text is that the regex matches, which begins at *ret_start:
 * so only paths that begin with them need the user path.
 */
size_t sl_regex_literal(const char *regex, const char **ret_start);
/* Does every request that matches @b match @a too? False when in doubt. */
bool sl_match_covers(const struct cfg_match *a, const struct cfg_match *b);

/* match_text.c: "prefix /service/1, x-canary-version: service1a"; to be freed. NULL: no memory. */
char *sl_match_text(const struct cfg_match *m);

#endif /* SL_MATCH_MODEL_H */
