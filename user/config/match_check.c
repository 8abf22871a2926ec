// SPDX-License-Identifier: GPL-2.0-only
/* What is wrong with a match, and which match leaves nothing to another. */
#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "config/match_model.h"
#include "sl_limits.h"
#include "util/regex.h"

static bool is_token(const struct sl_node *n)
{
	/* RFC 9110 section 5.6.2 */
	for (__u32 i = 0; i < n->len; i++)
		if (!isalnum((unsigned char)n->text[i]) && !strchr("!#$%&'*+-.^_`|~", n->text[i]))
			return false;
	return true;
}

static bool has_control(const struct sl_node *n)
{
	for (__u32 i = 0; i < n->len; i++)
		if (((unsigned char)n->text[i] < 0x20 && n->text[i] != '\t') || n->text[i] == 0x7f)
			return true;
	return false;
}

static void check_regex(struct sl_walk *w, const struct sl_node *n)
{
	struct sl_regex *r = NULL;
	char why[SL_REGEX_WHY];
	int err;

	if (n->len >= SL_KERNEL_HEAD_MAX) {
		sl_error(w, n, "longer than %u bytes", SL_KERNEL_HEAD_MAX - 1);
		return;
	}
	err = sl_regex_new(n->text, true, &r, why);
	if (err == -EINVAL)
		sl_error(w, n, "regex: %s", why);
	else if (err)
		w->err = err;
	sl_regex_free(r);
}

/* ---- path ---- */

/* ^[^?#]+[^?#/]$ (Envoy's rule for path_separated_prefix). */
static void check_separated(struct sl_walk *w, const struct sl_node *n)
{
	if (n->len < 2 || strpbrk(n->text, "?#") || n->text[n->len - 1] == '/')
		sl_error(w, n,
			 "path_separated_prefix needs two characters at least, no '?' or '#', and "
			 "no '/' at its end");
}

static void check_path(struct sl_walk *w, const struct cfg_match *m)
{
	const struct sl_node *n = m->text;

	if (!n)
		return;
	if (m->is_regex) {
		check_regex(w, n);
		return;
	}
	if (m->separated)
		check_separated(w, n);
	if (has_control(n) || strchr(n->text, ' ') || strchr(n->text, '\t'))
		sl_error(w, n, "a request's path cannot hold spaces or control characters");
	else if (n->len >= SL_KERNEL_HEAD_MAX)
		sl_error(w, n, "longer than %u bytes", SL_KERNEL_HEAD_MAX - 1);
	else if (n->len && n->text[0] != '/' && strcmp(n->text, "*"))
		sl_warning(w, n, "can never match: a request's path begins with '/'");
	else if (!m->separated && strchr(n->text, '?'))
		sl_warning(w, n, "can never match: '%s' is compared without the query",
			   m->prefix ? "prefix" : "path");
	else if (!m->separated && strchr(n->text, '#'))
		sl_warning(w, n, "can never match: a request has no '#' fragment");
}

/* ---- headers, query parameters, cookies ---- */

static void check_value(struct sl_walk *w, const struct cfg_rule *r, bool header)
{
	const struct sl_node *v = r->value;

	if (!v)
		return;
	if (r->kind == SL_RULE_REGEX)
		check_regex(w, v);
	else if (has_control(v))
		sl_error(w, v, "a %s value cannot hold control characters",
			 header ? "header's" : "parameter's");
	else if (v->len >= SL_KERNEL_HEAD_MAX)
		sl_error(w, v, "longer than %u bytes", SL_KERNEL_HEAD_MAX - 1);
	else if (header && r->kind == SL_RULE_EXACT && v->len &&
		 (strchr(" \t", v->text[0]) || strchr(" \t", v->text[v->len - 1])))
		sl_warning(w, v,
			   "can never be equal: white space around a header's value is not part "
			   "of it");
}

static void check_header(struct sl_walk *w, const struct cfg_rule *r)
{
	static const char *const parts[] = {":method", ":path", ":authority", ":scheme", NULL};
	const struct sl_node *n = r->name;
	int i = 0;

	if (!n)
		return;
	while (parts[i] && strcasecmp(n->text, parts[i]))
		i++;
	/* Envoy's names for parts of the request line; the matcher knows them. */
	if (n->text[0] == ':' && !parts[i])
		sl_error(w, n, "matching '%.64s' is not supported yet", n->text);
	else if (n->text[0] != ':' && !is_token(n))
		sl_error(w, n, "'%.64s' is no header name", n->text);
	else if (n->len > 255)
		sl_error(w, n, "header name longer than 255 bytes");
	check_value(w, r, true);
}

static void check_params(struct sl_walk *w, const struct cfg_list *list, const char *what)
{
	const struct cfg_rule *all = list->items;

	for (__u32 i = 0; i < list->n; i++) {
		const struct sl_node *n = all[i].name;

		if (n && n->len > 1024) /* Envoy's limit */
			sl_error(w, n, "name of a %s longer than 1024 bytes", what);
		check_value(w, &all[i], false);
	}
}

/* ---- what rules say of one another ---- */

static bool same_name(const struct cfg_rule *a, const struct cfg_rule *b, bool header)
{
	return a->name && b->name && !(header ? strcasecmp : strcmp)(a->name->text, b->name->text);
}

static bool wants_present(const struct cfg_rule *r)
{
	return (!r->present.node || r->present.value) != r->invert.value;
}

/* Is it false of what is not there? A value is compared only if there is one, but a cookie's. */
static bool needs_it(const struct cfg_rule *r, bool header)
{
	if (r->kind == SL_RULE_PRESENT)
		return wants_present(r) && !r->missing_empty.value;
	return !r->missing_empty.value && (header || !r->invert.value);
}

/* The one value that @r takes; NULL: there are others, or that of nothing is it, too. */
static const struct sl_node *only_value(const struct cfg_rule *r)
{
	return r->kind == SL_RULE_EXACT && !r->invert.value && !r->no_case && r->value &&
			       r->value->len
		       ? r->value
		       : NULL;
}

static bool ends_with(const struct sl_node *v, const struct sl_node *end, bool no_case)
{
	return v->len >= end->len &&
	       !(no_case ? strcasecmp : strcmp)(v->text + v->len - end->len, end->text);
}

enum taken { TAKEN, NOT_TAKEN, NOT_KNOWN };

/* What becomes of the value @v at the rule @r, which is not of presence. */
static enum taken takes(const struct cfg_rule *r, const struct sl_node *v)
{
	const struct sl_node *own = r->value;
	bool yes;

	if (!own)
		return NOT_KNOWN;
	switch (r->kind) {
	case SL_RULE_EXACT:
		yes = v->len == own->len && ends_with(v, own, r->no_case);
		break;
	case SL_RULE_PREFIX:
		yes = !(r->no_case ? strncasecmp : strncmp)(v->text, own->text, own->len);
		break;
	case SL_RULE_SUFFIX:
		yes = ends_with(v, own, r->no_case);
		break;
	case SL_RULE_CONTAINS:
		yes = (r->no_case ? strcasestr : strstr)(v->text, own->text);
		break;
	default:
		return NOT_KNOWN;
	}
	return yes != r->invert.value ? TAKEN : NOT_TAKEN;
}

static bool contradicts(const struct cfg_rule *a, const struct cfg_rule *b, bool header)
{
	const struct sl_node *v = only_value(a);

	if (a->kind == SL_RULE_PRESENT && !wants_present(a))
		return needs_it(b, header);
	return v && b->kind != SL_RULE_PRESENT && takes(b, v) == NOT_TAKEN;
}

static void check_contradictions(struct sl_walk *w, const struct cfg_list *list, bool header)
{
	const struct cfg_rule *all = list->items;

	for (__u32 j = 1; j < list->n && j < SL_MAX_ROUTE_RULES; j++) {
		__u32 i = 0;

		while (i < j && !(same_name(&all[i], &all[j], header) &&
				  (contradicts(&all[i], &all[j], header) ||
				   contradicts(&all[j], &all[i], header))))
			i++;
		if (i < j)
			sl_warning(w, all[j].node,
				   "can never match: it contradicts the matcher of '%.64s' at "
				   "line %u",
				   all[i].name->text, all[i].node->line);
	}
}

void sl_validate_headers(struct sl_walk *w, const struct cfg_list *headers)
{
	const struct cfg_rule *all = headers->items;

	for (__u32 i = 0; i < headers->n; i++)
		check_header(w, &all[i]);
}

__u32 sl_match_rules(const struct cfg_match *m)
{
	/* A fraction and a regex of the path are rules, too. */
	return m->headers.n + m->queries.n + m->cookies.n + m->is_regex + !!m->fraction.node +
	       !!m->grpc.node;
}

void sl_validate_match(struct sl_walk *w, const struct cfg_match *m)
{

	check_path(w, m);
	sl_validate_headers(w, &m->headers);
	check_params(w, &m->queries, "query parameter");
	check_params(w, &m->cookies, "cookie");
	check_contradictions(w, &m->headers, true);
	check_contradictions(w, &m->queries, false);
	check_contradictions(w, &m->cookies, false);
	if (m->fraction.node && m->fraction.value.numerator.value == 0)
		sl_warning(w, m->fraction.node, "can never match: 0 of %u requests",
			   sl_fraction_of(&m->fraction));
	if (sl_match_rules(m) > SL_MAX_ROUTE_RULES)
		sl_error(w, m->node,
			 "too many matchers in one route; the limit is %u (SL_MAX_ROUTE_RULES)",
			 SL_MAX_ROUTE_RULES);
}

/* ---- covers ---- */

size_t sl_regex_literal(const char *regex, const char **ret_start)
{
	size_t n = 0;

	*ret_start = regex + (regex[0] == '^');
	regex = *ret_start;
	if (strchr(regex, '|'))
		return 0;
	while (isalnum((unsigned char)regex[n]) || (regex[n] && strchr("/-_~%@:,", regex[n])))
		n++;
	/* What is repeated may be missing. */
	if (n && regex[n] && strchr("*?{", regex[n]))
		n--;
	return n;
}

static bool same_value(const struct cfg_rule *a, const struct cfg_rule *b)
{
	if (a->kind != b->kind || a->no_case != b->no_case)
		return false;
	if (a->kind == SL_RULE_RANGE)
		return a->from == b->from && a->to == b->to;
	return a->value && b->value && !strcmp(a->value->text, b->value->text);
}

static bool rule_covers(const struct cfg_rule *a, const struct cfg_rule *b, bool header)
{
	const struct sl_node *v = only_value(b);

	if (!same_name(a, b, header) || a->missing_empty.value != b->missing_empty.value)
		return false;
	if (a->kind == SL_RULE_PRESENT && b->kind == SL_RULE_PRESENT)
		return wants_present(a) == wants_present(b);
	if (a->kind == SL_RULE_PRESENT)
		return wants_present(a) && needs_it(b, header);
	if (v && takes(a, v) != NOT_KNOWN)
		return takes(a, v) == TAKEN;
	return a->invert.value == b->invert.value && same_value(a, b);
}

static bool rules_cover(const struct cfg_list *a, const struct cfg_list *b, bool header)
{
	const struct cfg_rule *ra = a->items, *rb = b->items;

	for (__u32 i = 0; i < a->n; i++) {
		__u32 j = 0;

		while (j < b->n && !rule_covers(&ra[i], &rb[j], header))
			j++;
		if (j == b->n)
			return false;
	}
	return true;
}

/* Is all that @regex takes below @a? */
static bool begins_regex(const struct cfg_match *a, const char *regex)
{
	const struct sl_node *path = a->text;
	const char *start;
	size_t n = sl_regex_literal(regex, &start);

	if (n < path->len || (a->folded ? strncasecmp : strncmp)(start, path->text, path->len))
		return false;
	return a->prefix || (a->separated && n > path->len && start[path->len] == '/');
}

static bool path_covers(const struct cfg_match *a, const struct cfg_match *b)
{
	const struct sl_node *pa = a->text, *pb = b->text;

	if (!pa || !pb)
		return false;
	if (a->prefix && !pa->len)
		return true;
	if (b->is_regex && !a->is_regex)
		return begins_regex(a, pb->text);
	if (a->is_regex || b->is_regex)
		return a->is_regex && b->is_regex && !strcmp(pa->text, pb->text);
	/* What is not folded fits into what is, if it does so folded. */
	if (b->folded && !a->folded)
		return false;
	if (pb->len < pa->len || (a->folded ? strncasecmp : strncmp)(pa->text, pb->text, pa->len))
		return false;
	if (a->prefix)
		return true;
	if (a->separated)
		return pb->len == pa->len ? !b->prefix : pb->text[pa->len] == '/';
	return a->path && b->path && pa->len == pb->len;
}

bool sl_match_covers(const struct cfg_match *a, const struct cfg_match *b)
{
	const struct cfg_percent *fa = &a->fraction.value;
	__u32 n = a->headers.n + a->queries.n + a->cookies.n;

	/* Over the limit is an error already; comparing all with all would take for ever. */
	if (!path_covers(a, b) || n > SL_MAX_ROUTE_RULES)
		return false;
	if (a->grpc.node && !b->grpc.node)
		return false;
	if (a->fraction.node && fa->numerator.value < sl_fraction_of(&a->fraction))
		return false;
	return rules_cover(&a->headers, &b->headers, true) &&
	       rules_cover(&a->queries, &b->queries, false) &&
	       rules_cover(&a->cookies, &b->cookies, false);
}
