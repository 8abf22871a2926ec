// SPDX-License-Identifier: GPL-2.0-only
/* The core's steps, one at a time. */
#include "cmd/explain.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sl_decide.h"
#include "sl_http.h"
#include "sl_match.h"

/* The domain that takes the request, by the step that sl_match() takes. */
static __u32 find_domain(const struct sl_explain *e)
{
	const struct sl_table *t = e->config->table;
	struct sl_match_scan s = {
		.t = t, .h = &e->head, .buf = e->buf, .end = t->n_domains, .found = SL_NO_ROUTE};

	sl_loop(SL_MAX_DOMAINS, sl_domains_step, &s);
	return s.found == SL_NO_ROUTE ? SL_NO_ROUTE : s.at;
}

/* Does route @index of @t match, all alone? */
static bool one_route(const struct sl_explain *e, const struct sl_table *t, __u32 index)
{
	struct sl_match_scan s = {
		.t = t,
		.h = &e->head,
		.buf = e->buf,
		.at = index,
		.end = index + 1,
		.found = SL_NO_ROUTE,
	};

	s.word = sl_load(e->buf, e->head.target.off) & sl_first(e->head.target.len);
	sl_loop(1, sl_routes_step, &s);
	return s.found == index;
}

/* @scratch is a copy of the table that may be changed and is put back. */
static struct sl_why why_header(const struct sl_explain *e, struct sl_table *scratch, __u32 rule)
{
	struct sl_header_rule *r = &scratch->header_rules[rule];
	struct sl_header_rule saved = *r;
	struct sl_why why = {.rule = rule};
	bool present;

	r->kind = SL_HEADER_PRESENT;
	r->invert = 0;
	present = sl_rule_matches(scratch, &e->head, e->buf, rule);
	*r = saved;
	if (!present)
		why.verdict = SL_VERDICT_HEADER_MISSING;
	else if (r->kind == SL_HEADER_PRESENT)
		why.verdict = SL_VERDICT_HEADER_PRESENT;
	else
		why.verdict = r->invert ? SL_VERDICT_HEADER_EQUAL : SL_VERDICT_HEADER_VALUE;
	return why;
}

static struct sl_why why_route(const struct sl_explain *e, struct sl_table *scratch, __u32 index)
{
	struct sl_route *r = &scratch->routes[index];
	__u32 n_headers = r->n_headers;
	bool path;

	if (one_route(e, scratch, index))
		return (struct sl_why){.verdict = SL_VERDICT_MATCH};
	r->n_headers = 0;
	path = one_route(e, scratch, index);
	r->n_headers = n_headers;
	for (__u32 i = r->first_header; path && i < r->first_header + n_headers; i++)
		if (!sl_rule_matches(scratch, &e->head, e->buf, i))
			return why_header(e, scratch, i);
	return (struct sl_why){.verdict = SL_VERDICT_PATH};
}

/* Tries the routes of the virtual host in order. */
static int try_routes(struct sl_explain *e)
{
	const struct sl_table *t = e->config->table;
	const struct sl_vhost *v = &t->vhosts[t->domains[e->domain].vhost];
	struct sl_table *scratch = malloc(sizeof(*scratch));

	if (!scratch)
		return -ENOMEM;
	*scratch = *t;
	e->first = v->first_route;
	while (e->n_tried < v->n_routes && e->route == SL_NO_ROUTE) {
		__u32 index = v->first_route + e->n_tried;

		e->why[e->n_tried] = why_route(e, scratch, index);
		if (e->why[e->n_tried].verdict == SL_VERDICT_MATCH)
			e->route = index;
		e->n_tried++;
	}
	free(scratch);
	return 0;
}

/* Has any cluster with a share an endpoint? */
static bool has_endpoint(const struct sl_compiled *c, const struct sl_route *r)
{
	const struct sl_split *s = &c->splits[r->target];

	if (r->action == SL_ACTION_CLUSTER)
		return c->clusters[r->target].n_endpoints > 0;
	for (__u32 i = 0; i < s->n_targets; i++)
		if (s->targets[i].weight && c->clusters[s->targets[i].cluster].n_endpoints)
			return true;
	return false;
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
	if (e->route == SL_NO_ROUTE)
		return SL_REASON_NO_ROUTE;
	r = &c->table->routes[e->route];
	if (r->action == SL_ACTION_DIRECT || (r->flags & SL_ROUTE_NEEDS_USER))
		return SL_REASON_ROUTE_NEEDS_USER;
	return has_endpoint(c, r) ? SL_REASON_NONE : SL_REASON_NO_ENDPOINT;
}

int sl_explain(struct sl_explain *e)
{
	int err = 0;

	e->domain = SL_NO_ROUTE;
	e->route = SL_NO_ROUTE;
	e->n_tried = 0;
	e->parse = sl_request_parse(&e->head, e->buf, e->len);
	if (e->parse == SL_PARSE_DONE) {
		e->domain = find_domain(e);
		if (e->domain != SL_NO_ROUTE)
			err = try_routes(e);
		if (!err && e->route != sl_match(e->config->table, &e->head, e->buf))
			err = -EPROTO;
	}
	e->reason = find_reason(e);
	return err;
}

/* ---- in words ---- */

static const char *pool(const struct sl_explain *e, struct sl_str s)
{
	return (const char *)e->config->table->strings + s.off;
}

char *sl_explain_why(const struct sl_explain *e, const struct sl_why *why, __u32 route)
{
	const struct sl_route *r = &e->config->table->routes[route];
	const struct sl_header_rule *h = &e->config->table->header_rules[why->rule];
	char *text = NULL;
	int n = -1;

	switch (why->verdict) {
	case SL_VERDICT_MATCH:
		n = asprintf(&text, "matches");
		break;
	case SL_VERDICT_PATH:
		n = asprintf(&text, "path %s '%.*s'",
			     r->path_kind == SL_PATH_PREFIX ? "does not begin with" : "is not",
			     (int)r->path.len, pool(e, r->path));
		break;
	case SL_VERDICT_HEADER_MISSING:
		n = asprintf(
			&text, "header '%.*s' is missing%s", (int)h->name.len, pool(e, h->name),
			h->kind == SL_HEADER_EXACT && h->invert
				? " (a value is compared, inverted or not, only if there is one)"
				: "");
		break;
	case SL_VERDICT_HEADER_VALUE:
	case SL_VERDICT_HEADER_EQUAL:
		n = asprintf(&text, "header '%.*s' is %s'%.*s'", (int)h->name.len, pool(e, h->name),
			     why->verdict == SL_VERDICT_HEADER_VALUE ? "not " : "",
			     (int)h->value.len, pool(e, h->value));
		break;
	case SL_VERDICT_HEADER_PRESENT:
		n = asprintf(&text, "header '%.*s' is present", (int)h->name.len, pool(e, h->name));
		break;
	}
	return n < 0 ? NULL : text;
}

void sl_explain_address(char dst[SL_ADDRESS_TEXT], const struct sl_endpoint *ep)
{
	char ip[INET6_ADDRSTRLEN] = "?";

	inet_ntop(ep->family, ep->addr, ip, sizeof(ip));
	snprintf(dst, SL_ADDRESS_TEXT, ep->family == AF_INET6 ? "[%s]:%u" : "%s:%u", ip, ep->port);
}
