// SPDX-License-Identifier: GPL-2.0-only
/* What a route matches -> its path and its rules in the table. */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "config/compile.h"
#include "config/internal_address.h"
#include "util/regex.h"

static struct sl_rule *add_rule(struct compile *c, enum sl_rule_what what, enum sl_rule_kind kind)
{
	struct sl_table *t = c->out->table;
	struct sl_rule *r = &t->rules[t->n_rules++];

	r->what = what;
	r->kind = kind;
	return r;
}

/* ---- :scheme ---- */

/* Is @scheme what the rule wants? */
static bool scheme_matches(const struct cfg_rule *r, const char *scheme)
{
	size_t len = r->value ? r->value->len : 0, have = strlen(scheme);
	int (*same)(const char *, const char *, size_t) = r->no_case ? strncasecmp : strncmp;
	char why[SL_REGEX_WHY];
	struct sl_regex *regex;
	bool yes;

	switch (r->kind) {
	case SL_RULE_PRESENT:
		return !r->present.node || r->present.value;
	case SL_RULE_EXACT:
		return len == have && !same(scheme, r->value->text, have);
	case SL_RULE_PREFIX:
		return len <= have && !same(scheme, r->value->text, len);
	case SL_RULE_SUFFIX:
		return len <= have && !same(scheme + have - len, r->value->text, len);
	case SL_RULE_CONTAINS:
		return (r->no_case ? strcasestr : strstr)(scheme, r->value->text);
	case SL_RULE_REGEX:
		if (sl_regex_new(r->value->text, true, &regex, why))
			return false;
		yes = sl_regex_matches(regex, scheme, have);
		sl_regex_free(regex);
		return yes;
	default:
		return false;
	}
}

/*
 * A request without TLS is "http", unless a proxy before us has said in X-Forwarded-Proto what it
 * was there (ConnectionManagerUtility::mutateRequestHeaders), and is believed.
 */
static void compile_scheme(struct compile *c, const struct cfg_rule *in)
{
	bool invert = in->invert.value;
	bool http = scheme_matches(in, "http") != invert;
	bool https = scheme_matches(in, "https") != invert;
	struct sl_rule *r;

	if (http == https || !sl_proto_is_believed(&c->config->hcm->forwarded)) {
		/* The answer is the same for all. */
		r = add_rule(c, SL_RULE_FRACTION, SL_RULE_PRESENT);
		r->range.start = http;
		r->range.end = 1;
		return;
	}
	r = add_rule(c, SL_RULE_HEADER, SL_RULE_EXACT);
	r->name = sl_compile_text(c, in->name, "x-forwarded-proto", false);
	r->value = sl_compile_text(c, in->name, "https", false);
	r->flags = SL_RULE_NO_CASE | (http ? SL_RULE_INVERT | SL_RULE_NO_MISSING : 0);
}

/* ---- headers, query parameters, cookies ---- */

/* Names that the kernel's search would take for something else. */
static bool odd_name(const struct compile *c, enum sl_rule_what what, const char *name)
{
	/* As it was sent, where routes are looked for without path parameters. */
	if (what == SL_RULE_HEADER && c->config->ignore_params.value && !strcasecmp(name, ":path"))
		return true;
	if (what == SL_RULE_QUERY)
		return strpbrk(name, "=&#");
	if (what == SL_RULE_HEADER)
		return !strcasecmp(name, SL_INTERNAL_HEADER);
	return what == SL_RULE_COOKIE && (strpbrk(name, "=;") || name[0] == ' ');
}

static void compile_rule(struct compile *c, enum sl_rule_what what, const struct cfg_rule *in)
{
	struct sl_rule *r;

	if (what == SL_RULE_HEADER && !strcasecmp(in->name->text, ":scheme")) {
		compile_scheme(c, in);
		return;
	}
	r = add_rule(c, what, in->kind);
	r->name = sl_compile_text(c, in->name, in->name->text, what == SL_RULE_HEADER);
	if (in->value)
		r->value = sl_compile_text(c, in->value, in->value->text, in->no_case);
	if (in->kind == SL_RULE_RANGE) {
		r->range.start = in->from;
		r->range.end = in->to;
	}
	r->flags |= in->invert.value ? SL_RULE_INVERT : 0;
	r->flags |= in->no_case ? SL_RULE_NO_CASE : 0;
	r->flags |= in->missing_empty.value ? SL_RULE_NO_MISSING : 0;
	r->flags |= odd_name(c, what, in->name->text) ? SL_RULE_USER : 0;
	if (in->kind == SL_RULE_PRESENT && in->present.node && !in->present.value)
		r->flags ^= SL_RULE_INVERT;
}

void sl_compile_rules(struct compile *c, enum sl_rule_what what, const struct cfg_list *list)
{
	const struct cfg_rule *all = list->items;

	for (__u32 i = 0; i < list->n; i++)
		compile_rule(c, what, &all[i]);
}

/* Grpc::Common::isGrpcRequestHeaders() */
static void compile_grpc(struct compile *c, const struct cfg_match *m)
{
	struct sl_rule *r = add_rule(c, SL_RULE_HEADER, SL_RULE_REGEX);

	r->name = sl_compile_text(c, m->grpc.node, "content-type", false);
	r->value = sl_compile_text(c, m->grpc.node, "application/grpc(\\+.*)?", false);
}

/* ---- the path ---- */

static void compile_path_regex(struct compile *c, const struct cfg_match *m, struct sl_route *route)
{
	struct sl_rule *r = add_rule(c, SL_RULE_PATH, SL_RULE_REGEX);
	const char *start;
	size_t n = sl_regex_literal(m->text->text, &start);

	if (m->policy.template)
		r->name = sl_compile_text(c, m->text, m->policy.template->text, false);
	r->value = sl_compile_text(c, m->text, m->text->text, false);
	route->path_kind = SL_PATH_PREFIX;
	if (r->value.len)
		route->path = (struct sl_str){r->value.off + (start - m->text->text), n};
}

void sl_compile_match(struct compile *c, const struct cfg_match *m, struct sl_route *route)
{
	struct sl_table *t = c->out->table;

	route->first_rule = t->n_rules;
	if (m->fraction.node) {
		struct sl_rule *r = add_rule(c, SL_RULE_FRACTION, SL_RULE_PRESENT);

		r->range.start = m->fraction.value.numerator.value;
		r->range.end = sl_fraction_of(&m->fraction);
		t->flags |= SL_TABLE_DRAWS;
	}
	sl_compile_rules(c, SL_RULE_HEADER, &m->headers);
	if (m->grpc.node)
		compile_grpc(c, m);
	sl_compile_rules(c, SL_RULE_QUERY, &m->queries);
	sl_compile_rules(c, SL_RULE_COOKIE, &m->cookies);
	if (m->is_regex) {
		compile_path_regex(c, m, route);
	} else {
		route->path = sl_compile_text(c, m->text, m->text->text, m->folded);
		route->path_kind = m->prefix	  ? SL_PATH_PREFIX
				   : m->separated ? SL_PATH_SEPARATED
						  : SL_PATH_EXACT;
	}
	if (m->folded)
		route->flags |= SL_ROUTE_FOLDED;
	route->n_rules = t->n_rules - route->first_rule;
}
