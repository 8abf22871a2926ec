// SPDX-License-Identifier: GPL-2.0-only
/* The core's steps, one at a time. */
#include "cmd/explain.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "config/internal_address.h"
#include "sl_canned.h"
#include "sl_decide.h"
#include "sl_http.h"
#include "sl_match.h"
#include "sl_plain.h"
#include "util/normal.h"

/* As the kernel sees the request: nobody to ask. */
static struct sl_request_view view_of(const struct sl_explain *e)
{
	return (struct sl_request_view){
		.t = e->config->table, .h = &e->head, .buf = e->buf, .draw = e->draw};
}

static bool path_fits(const struct sl_explain *e, const struct sl_route *r)
{
	struct sl_search q = {0};
	struct sl_match_scan s = {.v = view_of(e), .s = &q};

	s.v.h = e->seen;
	s.v.buf = e->seen_buf;
	q.word = sl_load(e->seen_buf, e->seen->path.off) & sl_first(e->seen->path.len);
	return sl_path_likely(&s, r) && sl_path_same(&s, r) && sl_path_ends(&s, r);
}

/* Why rule @index, which fails, does so. */
static enum sl_verdict why_rule(const struct sl_explain *e, __u32 index)
{
	const struct sl_rule *r = &e->config->table->rules[index];
	bool invert = r->flags & SL_RULE_INVERT;

	if (r->what == SL_RULE_FRACTION)
		return SL_VERDICT_CHANCE;
	if (r->what == SL_RULE_PATH)
		return SL_VERDICT_PATH;
	if (!sl_matcher_present(e->matcher, e->seen, e->seen_buf, index))
		return SL_VERDICT_MISSING;
	if (r->kind == SL_RULE_PRESENT)
		return SL_VERDICT_PRESENT;
	return invert ? SL_VERDICT_EQUAL : SL_VERDICT_VALUE;
}

static struct sl_why why_route(struct sl_explain *e, __u32 index)
{
	const struct sl_table *t = e->config->table;
	const struct sl_route *r = &t->routes[index];
	struct sl_why why = {.route = index, .verdict = SL_VERDICT_PATH};
	__u32 last = r->first_rule + r->n_rules;

	if (!path_fits(e, r))
		return why;
	for (__u32 i = r->first_rule; i < last; i++) {
		bool yes = sl_matcher_rule(e->matcher, e->seen, e->seen_buf, e->draw, i);

		e->chance |= t->rules[i].what == SL_RULE_FRACTION && t->rules[i].range.start &&
			     t->rules[i].range.start < t->rules[i].range.end;
		if (yes)
			continue;
		why.verdict = why_rule(e, i);
		why.rule = i;
		return why;
	}
	why.verdict = SL_VERDICT_MATCH;
	return why;
}

static void note(struct sl_explain *e, struct sl_why why, bool short_list)
{
	if (why.verdict == SL_VERDICT_PATH) {
		e->n_other_paths++;
		if (!short_list)
			return;
	}
	if (e->n_why < SL_EXPLAIN_LISTED)
		e->why[e->n_why++] = why;
	else if (why.verdict == SL_VERDICT_MATCH)
		e->why[SL_EXPLAIN_LISTED - 1] = why, e->n_left_out++;
	else
		e->n_left_out++;
}

/* Tries the routes of the virtual host in order. A few are all told, of many those with the path.
 */
static void try_routes(struct sl_explain *e)
{
	const struct sl_table *t = e->config->table;
	const struct sl_vhost *v = &t->vhosts[t->domains[e->domain].vhost];

	while (e->n_tried < v->n_routes && e->route == SL_NO_ROUTE) {
		struct sl_why why = why_route(e, v->first_route + e->n_tried);

		note(e, why, v->n_routes <= 16);
		if (why.verdict == SL_VERDICT_MATCH)
			e->route = why.route;
		e->n_tried++;
	}
}

/* What @cluster has: NONE if an endpoint that the kernel path can serve, or a name. */
static enum sl_reason cluster_reason(const struct sl_compiled *c, __u32 cluster)
{
	enum sl_reason reason = SL_REASON_NO_ENDPOINT;

	for (__u32 i = 0; i < c->n_members; i++) {
		if (c->members[i].cluster != cluster)
			continue;
		if (c->members[i].endpoint.family != AF_UNIX)
			return SL_REASON_NONE;
		reason = SL_REASON_PIPE_ENDPOINT;
	}
	return reason;
}

/* The best that any cluster with a share has. */
static enum sl_reason endpoint_reason(const struct sl_compiled *c, const struct sl_route *r)
{
	enum sl_reason best = SL_REASON_NO_ENDPOINT, one;
	const struct sl_split *s = &c->splits[r->target];

	if (r->action == SL_ACTION_CLUSTER)
		return cluster_reason(c, r->target);
	for (__u32 i = 0; i < s->n_targets && best != SL_REASON_NONE; i++) {
		one = s->targets[i].weight ? cluster_reason(c, s->targets[i].cluster) : best;
		if (one != SL_REASON_NO_ENDPOINT)
			best = one;
	}
	return best;
}

/* In the order in which the data path decides. */
static enum sl_reason find_reason(const struct sl_explain *e)
{
	const struct sl_compiled *c = e->config;
	const struct sl_route *r;

	if (!c->options.kernel_path)
		return SL_REASON_KERNEL_PATH_OFF;
	if (e->parse != SL_PARSE_DONE)
		return sl_parse_reason(e->parse);
	if (e->head.len > SL_KERNEL_HEAD_MAX)
		return SL_REASON_HEAD_TOO_LONG;
	if (sl_kernel_reason(&e->head) != SL_REASON_NONE)
		return sl_kernel_reason(&e->head);
	if (e->unsure)
		return SL_REASON_ROUTE_NEEDS_USER;
	if (e->route == SL_NO_ROUTE)
		return SL_REASON_NO_ROUTE;
	r = &c->table->routes[e->route];
	if (r->flags & SL_ROUTE_CANNED)
		return sl_canned_reason(&c->table->canned[r->canned], &e->head, e->head.len);
	if (r->action == SL_ACTION_DIRECT || (r->flags & SL_ROUTE_NEEDS_USER) || e->makes_cookie)
		return SL_REASON_ROUTE_NEEDS_USER;
	return endpoint_reason(c, r);
}

static bool is_internal(const struct sl_explain *e, const struct sl_config_action *config)
{
	return config &&
	       sl_request_is_internal(&config->forwarded, &e->head, e->buf, e->family, e->addr);
}

/* Head as the listener makes it. False: the kernel would not look for the route. */
static bool normalize(struct sl_explain *e)
{
	const struct sl_table *t = e->config->table;
	__u32 index = t->config_of[e->listener % SL_MAX_LISTENERS];
	const struct sl_actions *a = e->config->actions;
	const struct sl_config_action *config = index < a->n_configs ? &a->configs[index] : NULL;
	bool plain = sl_is_plain(t, &e->head, e->buf, t->configs[index].flags);
	bool internal = is_internal(e, config);
	struct sl_normal n = {.port = e->config->listeners[e->listener].port};

	sl_matcher_internal(e->matcher, internal);
	if (config)
		sl_config_normal(config, internal, &n);
	if ((n.flags || n.n_removed) && sl_normalize(&n, &e->head, e->buf, &e->len, SL_HEAD_MAX))
		e->parse = SL_PARSE_BAD;
	return plain;
}

/* Virtual host and route, from the normalized head. */
static void find_route(struct sl_explain *e)
{
	e->seen = &e->head;
	e->seen_buf = e->buf;
	e->domain = sl_matcher_domain(e->matcher, e->listener, &e->head, e->buf);
	sl_matcher_see(e->matcher, e->listener, &e->seen, &e->seen_buf);
	if (e->domain != SL_NO_ROUTE)
		try_routes(e);
}

int sl_explain(struct sl_explain *e)
{
	int err = 0;

	e->domain = SL_NO_ROUTE;
	e->route = SL_NO_ROUTE;
	e->n_tried = 0;
	e->n_other_paths = 0;
	e->n_why = 0;
	e->n_left_out = 0;
	e->chance = false;
	e->unsure = false;
	e->parse = sl_request_parse(&e->head, e->buf, e->len);
	if (e->parse == SL_PARSE_DONE) {
		struct sl_request_view v = view_of(e);
		bool plain = normalize(e);
		__u32 kernel = sl_match_view(&v, e->listener);

		find_route(e);
		e->unsure = !plain || kernel == SL_ROUTE_UNSURE;
		if (e->route != sl_matcher_find(e->matcher, e->listener, &e->head, e->buf, e->draw))
			err = -EPROTO;
		if (!e->unsure && kernel != e->route)
			err = -EPROTO;
	}
	sl_explain_cohort(e);
	e->reason = find_reason(e);
	return err;
}

/* ---- in words ---- */

static const char *pool(const struct sl_explain *e, struct sl_str s)
{
	return (const char *)e->config->table->strings + s.off;
}

/* "header", "query parameter" or "cookie"; the rule's name and value as %.*s takes them. */
struct words {
	const char *what;
	int name_len, value_len;
	const char *name, *value;
	const char *kind; /* "", "begin with ", ... */
};

static struct words words_of(const struct sl_explain *e, const struct sl_rule *r)
{
	static const char *const whats[] = {"header", "query parameter", "cookie", "path", ""};
	static const char *const kinds[] = {
		[SL_RULE_PRESENT] = "",
		[SL_RULE_EXACT] = "",
		[SL_RULE_PREFIX] = "something that begins with ",
		[SL_RULE_SUFFIX] = "something that ends with ",
		[SL_RULE_CONTAINS] = "something that contains ",
		[SL_RULE_RANGE] = "a number in the range",
		[SL_RULE_REGEX] = "what the regex takes: ",
	};
	struct words w = {.what = whats[r->what], .kind = kinds[r->kind]};

	w.name_len = r->name.len;
	w.name = pool(e, r->name);
	if (r->kind != SL_RULE_RANGE) {
		w.value_len = r->value.len;
		w.value = pool(e, r->value);
	}
	return w;
}

static int path_words(const struct sl_explain *e, const struct sl_why *why, char **ret)
{
	const struct sl_route *r = &e->config->table->routes[why->route];
	static const char *const words[] = {
		[SL_PATH_PREFIX] = "does not begin with",
		[SL_PATH_EXACT] = "is not",
		[SL_PATH_SEPARATED] = "is neither below nor",
	};

	for (__u32 i = r->first_rule; i < r->first_rule + r->n_rules; i++) {
		const struct sl_rule *rule = &e->config->table->rules[i];

		if (rule->what == SL_RULE_PATH && rule->name.len)
			return asprintf(ret, "path does not match the template '%.*s'",
					(int)rule->name.len, pool(e, rule->name));
		if (rule->what == SL_RULE_PATH)
			return asprintf(ret, "path does not match the regex '%.*s'",
					(int)rule->value.len, pool(e, rule->value));
	}
	return asprintf(ret, "path %s '%.*s'", words[r->path_kind], (int)r->path.len,
			pool(e, r->path));
}

char *sl_explain_why(const struct sl_explain *e, const struct sl_why *why)
{
	const struct sl_rule *r = &e->config->table->rules[why->rule];
	struct words w = words_of(e, r);
	bool value = r->kind != SL_RULE_PRESENT && (r->flags & SL_RULE_INVERT);
	char *text = NULL;
	int n = -1;

	switch (why->verdict) {
	case SL_VERDICT_MATCH:
		n = asprintf(&text, "matches");
		break;
	case SL_VERDICT_PATH:
		n = path_words(e, why, &text);
		break;
	case SL_VERDICT_CHANCE:
		n = asprintf(&text, "not among the %lld of %lld requests that it takes",
			     r->range.start, r->range.end);
		break;
	case SL_VERDICT_MISSING:
		n = asprintf(&text, "%s '%.*s' is missing%s", w.what, w.name_len, w.name,
			     value ? " (a value is compared, inverted or not, only if there is one)"
				   : "");
		break;
	case SL_VERDICT_VALUE:
	case SL_VERDICT_EQUAL:
		n = asprintf(&text, "%s '%.*s' is %s%s%s%.*s%s", w.what, w.name_len, w.name,
			     why->verdict == SL_VERDICT_VALUE ? "not " : "", w.kind,
			     w.value ? "'" : "", w.value_len, w.value ? w.value : "",
			     w.value ? "'" : "");
		break;
	case SL_VERDICT_PRESENT:
		n = asprintf(&text, "%s '%.*s' is present", w.what, w.name_len, w.name);
		break;
	}
	return n < 0 ? NULL : text;
}

char *sl_explain_domain(const struct sl_explain *e)
{
	const struct sl_domain *d = &e->config->table->domains[e->domain];
	char *text = NULL;
	int n = asprintf(&text, "%s%.*s%s",
			 d->kind == SL_DOMAIN_SUFFIX || d->kind == SL_DOMAIN_ANY ? "*" : "",
			 (int)d->name.len, pool(e, d->name),
			 d->kind == SL_DOMAIN_PREFIX ? "*" : "");

	return n < 0 ? NULL : text;
}

void sl_explain_member(char dst[SL_MEMBER_TEXT], const struct sl_compiled *c, __u32 i)
{
	const struct sl_member *m = &c->members[i];
	char ip[INET6_ADDRSTRLEN] = "?";

	if (m->name != SL_NO_NAME) {
		snprintf(dst, SL_MEMBER_TEXT, "%s:%u", c->names[m->name].host, m->endpoint.port);
		return;
	}
	for (__u32 k = 0; m->endpoint.family == AF_UNIX && k < c->n_pipes; k++)
		if (!memcmp(&c->pipes[k].key, m->endpoint.addr, sizeof(c->pipes[k].key)))
			snprintf(dst, SL_MEMBER_TEXT, "%s", c->pipes[k].path);
	if (m->endpoint.family == AF_UNIX)
		return;
	inet_ntop(m->endpoint.family, m->endpoint.addr, ip, sizeof(ip));
	snprintf(dst, SL_MEMBER_TEXT, strchr(ip, ':') ? "[%s]:%u" : "%s:%u", ip, m->endpoint.port);
}
