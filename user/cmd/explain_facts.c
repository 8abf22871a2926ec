// SPDX-License-Identifier: GPL-2.0-only
/* What was found out about a request, in the words that text and JSON share. */
#include "cmd/explain.h"

#include <string.h>

#include "config/by_name.h"
#include "sl_match.h"

static const char *const reason_names[] = {
#define X(id, text, help) #text,
	SL_REASONS (X)
#undef X
};

static const char *const reason_helps[] = {
#define X(id, text, help) help,
	SL_REASONS (X)
#undef X
};

static const char *const action_names[] = {"cluster", "split", "direct_response"};

const struct sl_route_action *sl_explain_route_action(const struct sl_explain *e)
{
	return e->route < e->config->actions->n_routes ? &e->config->actions->routes[e->route]
						       : NULL;
}

const char *sl_explain_action(const struct sl_explain *e)
{
	const struct sl_route_action *a = sl_explain_route_action(e);

	if (a && a->redirect)
		return "redirect";
	return a && a->cluster_header ? "cluster_header"
				      : action_names[e->config->table->routes[e->route].action];
}

const char *sl_explain_served_for(const struct sl_explain *e)
{
	const struct sl_route_action *a = sl_explain_route_action(e);

	return a && e->reason != SL_REASON_NONE ? a->why : NULL;
}

const struct sl_canned *sl_explain_canned(const struct sl_explain *e)
{
	const struct sl_table *t = e->config->table;
	const struct sl_route *r = e->route == SL_NO_ROUTE ? NULL : &t->routes[e->route];

	return r && (r->flags & SL_ROUTE_CANNED) ? &t->canned[r->canned] : NULL;
}

const char *sl_explain_reason_name(const struct sl_explain *e)
{
	return reason_names[e->reason];
}

const char *sl_explain_reason_help(const struct sl_explain *e)
{
	return reason_helps[e->reason];
}

struct sl_split sl_explain_targets(const struct sl_explain *e)
{
	const struct sl_route *r = &e->config->table->routes[e->route];
	struct sl_split s = {.targets[0] = {.cluster = r->target, .weight = 1}};

	if (r->action == SL_ACTION_SPLIT)
		return e->config->splits[r->target];
	if (e->named != SL_NO_TARGET)
		s.targets[0].cluster = e->named;
	s.n_targets = r->action == SL_ACTION_CLUSTER || e->named != SL_NO_TARGET;
	return s;
}

double sl_explain_share(const struct sl_split *s, __u32 i)
{
	__u64 sum = 0;

	for (__u32 j = 0; j < s->n_targets; j++)
		sum += s->targets[j].weight;
	return sum ? (double)s->targets[i].weight / sum : 0;
}

__u32 sl_explain_own_status(const struct sl_explain *e)
{
	const struct sl_route_action *a;

	if (e->parse == SL_PARSE_BAD || e->parse == SL_PARSE_LONG)
		return e->head.error;
	if (e->parse != SL_PARSE_DONE)
		return 0;
	if (e->route == SL_NO_ROUTE)
		return 404;
	a = sl_explain_route_action(e);
	if (a && a->cluster_header && e->named == SL_NO_TARGET)
		return a->not_found;
	if (e->config->table->routes[e->route].action == SL_ACTION_DIRECT &&
	    strcmp(sl_explain_action(e), "cluster_header"))
		return e->config->table->routes[e->route].target;
	return e->reason == SL_REASON_NO_ENDPOINT ? 503 : 0;
}
