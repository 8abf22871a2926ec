// SPDX-License-Identifier: GPL-2.0-only
/* RouteMatch and the matchers in it, as tables (schema.h). v2 and v3 stand side by side. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config/choice.h"
#include "config/envoy_keys.h"
#include "config/key_tables.h"
#include "config/match_model.h"

/* ---- texts ---- */

static const struct sl_key re2_keys[] = {
	WARN("max_program_size", "the steps of a match are limited, not its program; ignored"),
	END,
};
SCHEMA(re2, const struct sl_node *, "google_re2");

static const struct sl_key regex_keys[] = {
	KEY("regex", STRING, FULL, struct cfg_regex, regex),
	KEY("google_re2", MAP, 0, struct cfg_regex, google_re2, .sub = &re2),
	END,
};
const struct sl_schema sl_schema_regex = {
	.what = "regex",
	.size = sizeof(struct cfg_regex),
	.keys = regex_keys,
};

static void string_match_done(struct sl_walk *w, void *dst)
{
	struct cfg_string_match *m = dst;
	const struct sl_choice all[] = {
		{"exact", m->exact},	   {"prefix", m->prefix},	  {"suffix", m->suffix},
		{"contains", m->contains}, {"safe_regex", m->regex.node}, {"regex", m->old_regex},
	};

	sl_oneof(w, m->node, all, SL_N_CHOICES(all),
		 "missing 'exact', 'prefix', 'suffix', 'contains' or 'safe_regex' in "
		 "string_match");
}

static const struct sl_key string_match_keys[] = {
	KEY("exact", STRING, 0, struct cfg_string_match, exact),
	KEY("prefix", STRING, SL_KEY_NONEMPTY, struct cfg_string_match, prefix),
	KEY("suffix", STRING, SL_KEY_NONEMPTY, struct cfg_string_match, suffix),
	KEY("contains", STRING, SL_KEY_NONEMPTY, struct cfg_string_match, contains),
	KEY("safe_regex", MAP, 0, struct cfg_string_match, regex, .sub = &sl_schema_regex),
	KEY("regex", STRING, SL_KEY_NONEMPTY, struct cfg_string_match, old_regex),
	KEY("ignore_case", BOOL, 0, struct cfg_string_match, ignore_case),
	END,
};
SCHEMA(string_match, struct cfg_string_match, "string_match", .unsupported = sl_no_string_match,
       .done = string_match_done);

static const struct sl_key range_keys[] = {
	KEY("start", STRING, 0, struct cfg_range, start),
	KEY("end", STRING, 0, struct cfg_range, end),
	END,
};
SCHEMA(range, struct cfg_range, "range_match");

/* ---- headers, query parameters, cookies ---- */

/* An int64 of the config; 0: not given. */
static __s64 number(struct sl_walk *w, const struct sl_node *n)
{
	char *end;
	long long v;

	if (!n)
		return 0;
	errno = 0;
	v = strtoll(n->text, &end, 10);
	if (errno || end == n->text || *end || strchr(" \t+", n->text[0]))
		sl_error(w, n, "'%.64s' is no whole number of 64 bits", n->text);
	return v;
}

static void take(struct cfg_rule *r, enum sl_rule_kind kind, const struct sl_node *value)
{
	if (!value)
		return;
	r->kind = kind;
	r->value = value;
}

static void rule_done(struct sl_walk *w, void *dst)
{
	struct cfg_rule *r = dst;
	const struct cfg_string_match *s = &r->string;
	const struct sl_choice all[] = {
		{"string_match", s->node},	    {"range_match", r->range.node},
		{"present_match", r->present.node}, {"exact_match", r->exact},
		{"prefix_match", r->prefix},	    {"suffix_match", r->suffix},
		{"contains_match", r->contains},    {"safe_regex_match", r->regex.node},
		{"regex_match", r->old_regex},	    {"value", r->old_value},
	};

	sl_oneof(w, r->node, all, SL_N_CHOICES(all), NULL);
	r->kind = SL_RULE_PRESENT;
	take(r, SL_RULE_EXACT, s->exact);
	take(r, SL_RULE_PREFIX, s->prefix);
	take(r, SL_RULE_SUFFIX, s->suffix);
	take(r, SL_RULE_CONTAINS, s->contains);
	take(r, SL_RULE_REGEX, s->regex.regex);
	take(r, SL_RULE_REGEX, s->old_regex);
	/* The old exact_match: '' is satisfied by any value (Envoy: HeaderMatchType::Value). */
	take(r, SL_RULE_EXACT, r->exact && r->exact->len ? r->exact : NULL);
	take(r, SL_RULE_PREFIX, r->prefix);
	take(r, SL_RULE_SUFFIX, r->suffix);
	take(r, SL_RULE_CONTAINS, r->contains);
	take(r, SL_RULE_REGEX, r->regex.regex);
	take(r, SL_RULE_REGEX, r->old_regex);
	take(r, r->is_regex.value ? SL_RULE_REGEX : SL_RULE_EXACT,
	     r->old_value && r->old_value->len ? r->old_value : NULL);
	/* ignore_case has no effect on a regex. */
	r->no_case = s->ignore_case.value && r->kind != SL_RULE_REGEX;
	if (!r->range.node)
		return;
	r->kind = SL_RULE_RANGE;
	r->from = number(w, r->range.start);
	r->to = number(w, r->range.end);
	if (r->from >= r->to)
		sl_warning(w, r->range.node, "range_match takes no number: 'end' is not in it");
}

#define RULE_KEYS                                                                           \
	KEY("name", STRING, FULL, struct cfg_rule, name),                                   \
		KEY("string_match", MAP, 0, struct cfg_rule, string, .sub = &string_match), \
		KEY("present_match", BOOL, 0, struct cfg_rule, present)
/* Of v1 headers and v2 parameters. */
#define OLD_RULE_KEYS                                        \
	KEY("value", STRING, 0, struct cfg_rule, old_value), \
		KEY("regex", BOOL, 0, struct cfg_rule, is_regex)

static const struct sl_key header_keys[] = {
	RULE_KEYS,
	KEY("range_match", MAP, 0, struct cfg_rule, range, .sub = &range),
	KEY("invert_match", BOOL, 0, struct cfg_rule, invert),
	KEY("treat_missing_header_as_empty", BOOL, 0, struct cfg_rule, missing_empty),
	KEY("exact_match", STRING, 0, struct cfg_rule, exact),
	KEY("prefix_match", STRING, SL_KEY_NONEMPTY, struct cfg_rule, prefix),
	KEY("suffix_match", STRING, SL_KEY_NONEMPTY, struct cfg_rule, suffix),
	KEY("contains_match", STRING, SL_KEY_NONEMPTY, struct cfg_rule, contains),
	KEY("safe_regex_match", MAP, 0, struct cfg_rule, regex, .sub = &sl_schema_regex),
	KEY("regex_match", STRING, SL_KEY_NONEMPTY, struct cfg_rule, old_regex),
	OLD_RULE_KEYS,
	END,
};
const struct sl_schema sl_schema_header = {
	.what = "header matcher",
	.size = sizeof(struct cfg_rule),
	.keys = header_keys,
	.done = rule_done,
};

static const struct sl_key query_keys[] = {
	RULE_KEYS,
	OLD_RULE_KEYS,
	END,
};
SCHEMA(query, struct cfg_rule, "query parameter matcher", .done = rule_done);

static const struct sl_key cookie_keys[] = {
	RULE_KEYS,
	KEY("invert_match", BOOL, 0, struct cfg_rule, invert),
	END,
};
SCHEMA(cookie, struct cfg_rule, "cookie matcher", .unsupported = sl_no_cookie, .done = rule_done);

/* ---- runtime_fraction ---- */

static const char *const denominators[] = {"HUNDRED", "TEN_THOUSAND", "MILLION", NULL};

__u32 sl_fraction_of(const struct cfg_fraction *f)
{
	static const __u32 of[] = {100, 10000, 1000000};

	return of[f->value.denominator.value % 3];
}

static const struct sl_key percent_keys[] = {
	KEY("numerator", U32, 0, struct cfg_percent, numerator, .max = 4294967295u),
	KEY("denominator", ENUM, 0, struct cfg_percent, denominator, .names = denominators,
	    .note = "HUNDRED, TEN_THOUSAND or MILLION"),
	END,
};
SCHEMA(percent, struct cfg_percent, "fractional percent");

static const struct sl_key fraction_keys[] = {
	KEY("default_value", MAP, REQ, struct cfg_fraction, value, .sub = &percent),
	WARN("runtime_key", "there is no runtime: 'default_value' counts; ignored"),
	END,
};
const struct sl_schema sl_schema_fraction = {
	.what = "runtime_fraction",
	.size = sizeof(struct cfg_fraction),
	.keys = fraction_keys,
};

/* ---- URI templates ---- */

static const char template_type[] =
	"type.googleapis.com/envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig";
static const char rewrite_type[] =
	"type.googleapis.com/"
	"envoy.extensions.path.rewrite.uri_template.v3.UriTemplateRewriteConfig";

static const struct sl_key template_keys[] = {
	KEY("@type", STRING, REQ, struct cfg_uri_template, type_url),
	KEY("path_template", STRING, FULL, struct cfg_uri_template, text),
	END,
};
SCHEMA(template, struct cfg_uri_template, "URI template matcher");

static const struct sl_key rewrite_keys[] = {
	KEY("@type", STRING, REQ, struct cfg_uri_template, type_url),
	KEY("path_template_rewrite", STRING, FULL, struct cfg_uri_template, text),
	END,
};
SCHEMA(rewrite, struct cfg_uri_template, "URI template rewriter");

/* The extension of @p is what @schema describes. */
static void policy_done(struct sl_walk *w, struct cfg_path_policy *p,
			const struct sl_schema *schema, const char *want)
{
	const struct sl_node *type = sl_node_get(p->typed_config, "@type");
	const struct cfg_uri_template *t;

	if (!p->typed_config)
		return;
	if (type && type->kind == SL_NODE_SCALAR && strcmp(type->text, want)) {
		sl_error(w, type, "'%.128s' is not supported yet; only the %s is ('%s')",
			 type->text, schema->what, want);
		return;
	}
	t = sl_schema_new(w, schema, p->typed_config);
	p->template = t && t->text && t->text->len ? t->text : NULL;
}

static void match_policy_done(struct sl_walk *w, void *dst)
{
	policy_done(w, dst, &template, template_type);
}

static void rewrite_policy_done(struct sl_walk *w, void *dst)
{
	policy_done(w, dst, &rewrite, rewrite_type);
}

static const struct sl_key match_policy_keys[] = {
	KEY("name", STRING, FULL, struct cfg_path_policy, name),
	KEY("typed_config", ANY, REQ, struct cfg_path_policy, typed_config, .sub = &template),
	END,
};
SCHEMA(match_policy, struct cfg_path_policy, "path_match_policy", .done = match_policy_done);

static const struct sl_key rewrite_policy_keys[] = {
	KEY("name", STRING, FULL, struct cfg_path_policy, name),
	KEY("typed_config", ANY, REQ, struct cfg_path_policy, typed_config, .sub = &rewrite),
	END,
};
const struct sl_schema sl_schema_rewrite_policy = {
	.what = "path_rewrite_policy",
	.size = sizeof(struct cfg_path_policy),
	.keys = rewrite_policy_keys,
	.done = rewrite_policy_done,
};

/* The template of @m as a regex; NULL: it is wrong. */
static const struct sl_node *regex_of(struct sl_walk *w, struct cfg_match *m)
{
	const struct sl_node *at = m->policy.template;
	struct sl_node *n = sl_arena_alloc(w->arena, sizeof(*n));
	char *text = at ? sl_arena_alloc(w->arena, SL_URI_REGEX_SIZE(at->len)) : NULL;
	const char *why;

	if (!at)
		return NULL;
	if (!n || !text) {
		w->err = -ENOMEM;
		return NULL;
	}
	if (sl_uri_template(at->text, text, &m->variables, &why)) {
		sl_error(w, at, "URI template: %s", why);
		return NULL;
	}
	*n = (struct sl_node){.kind = SL_NODE_SCALAR, .line = at->line, .col = at->col};
	n->text = text;
	n->len = strlen(text);
	return n;
}

/* ---- the whole ---- */

static void match_done(struct sl_walk *w, void *dst)
{
	struct cfg_match *m = dst;
	const struct sl_choice all[] = {
		{"prefix", m->prefix},
		{"path", m->path},
		{"path_separated_prefix", m->separated},
		{"safe_regex", m->regex.node},
		{"regex", m->old_regex},
		{"path_match_policy", m->policy.node},
	};
	const struct sl_choice *one = sl_oneof(
		w, m->node, all, SL_N_CHOICES(all),
		"missing 'prefix', 'path', 'path_separated_prefix' or 'safe_regex' in match");
	const struct sl_node *node = one ? one->node : NULL;

	m->is_regex =
		node && (node == m->regex.node || node == m->old_regex || node == m->policy.node);
	m->text = node && node == m->regex.node	   ? m->regex.regex
		  : node && node == m->policy.node ? regex_of(w, m)
						   : node;
	/* case_sensitive has no effect on a regex. */
	m->folded = m->case_sensitive.node && !m->case_sensitive.value && !m->is_regex;
}

static const struct sl_key grpc_keys[] = {END};
SCHEMA(grpc, struct cfg_grpc, "grpc");

static const struct sl_key match_keys[] = {
	KEY("prefix", STRING, 0, struct cfg_match, prefix),
	KEY("path", STRING, SL_KEY_NONEMPTY, struct cfg_match, path),
	KEY("path_separated_prefix", STRING, SL_KEY_NONEMPTY, struct cfg_match, separated),
	KEY("safe_regex", MAP, 0, struct cfg_match, regex, .sub = &sl_schema_regex),
	KEY("regex", STRING, SL_KEY_NONEMPTY, struct cfg_match, old_regex),
	KEY("case_sensitive", BOOL, 0, struct cfg_match, case_sensitive),
	KEY("runtime_fraction", MAP, 0, struct cfg_match, fraction, .sub = &sl_schema_fraction),
	KEY("headers", LIST, 0, struct cfg_match, headers, .sub = &sl_schema_header),
	KEY("query_parameters", LIST, 0, struct cfg_match, queries, .sub = &query),
	KEY("cookies", LIST, 0, struct cfg_match, cookies, .sub = &cookie),
	KEY("grpc", MAP, 0, struct cfg_match, grpc, .sub = &grpc),
	KEY("path_match_policy", MAP, 0, struct cfg_match, policy, .sub = &match_policy),
	END,
};

const struct sl_schema sl_schema_match = {
	.what = "match",
	.size = sizeof(struct cfg_match),
	.keys = match_keys,
	.unsupported = sl_no_match,
	.done = match_done,
};
