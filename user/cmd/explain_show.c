// SPDX-License-Identifier: GPL-2.0-only
/* What was found out about a request, for people. */
#include "cmd/explain.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config/by_name.h"
#include "sl_canned.h"
#include "sl_match.h"
#include "util/columns.h"

#define SHOWN_ENDPOINTS 8

static void add_endpoints(struct sl_columns *t, const struct sl_explain *e, __u32 cluster)
{
	char text[SHOWN_ENDPOINTS * (SL_MEMBER_TEXT + 2) + 64] = "";
	__u32 n_all = 0;
	size_t n = 0;

	for (__u32 i = 0; i < e->config->n_members; i++) {
		char one[SL_MEMBER_TEXT];

		if (e->config->members[i].cluster != cluster || n_all++ >= SHOWN_ENDPOINTS)
			continue;
		sl_explain_member(one, e->config, i);
		n += snprintf(text + n, sizeof(text) - n, "%s%s", n ? ", " : "", one);
	}
	if (n_all > SHOWN_ENDPOINTS)
		snprintf(text + n, sizeof(text) - n, ", ... (%u in all)", n_all);
	sl_columns_add(t, "%s",
		       n_all ? text
		       : e->config->actions->clusters[cluster]
			       ? "no endpoints"
			       : "the cluster that the header names");
}

static void add_from_weight(struct sl_columns *t, const struct sl_explain *e,
			    const struct sl_split *s, __u32 i)
{
	__u32 weight = sl_explain_from_weight(e, s, i);

	if (weight)
		sl_columns_add(t, "weight %u", weight);
	else
		sl_columns_add(t, "never");
}

static int show_targets(const struct sl_explain *e, const struct sl_split *s, bool split)
{
	static const struct sl_column columns[] = {
		{.title = "  CLUSTER"},
		{.title = "WEIGHT", .right = true},
		{.title = "SHARE", .right = true},
		{.title = "ENDPOINTS"},
	};
	static const struct sl_column sticky[] = {
		{.title = "  CLUSTER"},
		{.title = "WEIGHT", .right = true},
		{.title = "SHARE", .right = true},
		{.title = "HAS THE USER FROM", .right = true},
		{.title = "ENDPOINTS"},
	};
	bool found = e->cohort == SL_COHORT_FOUND;
	struct sl_split alive = sl_explain_alive(e, s);
	struct sl_columns t = {.columns = found ? sticky : columns, .n_columns = found ? 5 : 4};
	int err;

	for (__u32 i = 0; i < s->n_targets; i++) {
		const struct sl_cluster *c = &e->config->clusters[s->targets[i].cluster];

		sl_columns_add(&t, "  %s", c->name);
		if (split)
			sl_columns_add(&t, "%u", s->targets[i].weight);
		else
			sl_columns_add(&t, "%s", "-");
		sl_columns_add(&t, "%.4g %%", 100 * sl_explain_share(&alive, i));
		if (found)
			add_from_weight(&t, e, s, i);
		add_endpoints(&t, e, s->targets[i].cluster);
	}
	err = sl_columns_print(&t, stdout);
	sl_columns_free(&t);
	return err;
}

static int show_tried(const struct sl_explain *e)
{
	static const struct sl_column columns[] = {
		{.title = "  ROUTE"},
		{.title = "MATCH"},
		{.title = "VERDICT"},
	};
	struct sl_columns t = {.columns = columns, .n_columns = 3};
	int err;

	for (__u32 i = 0; i < e->n_why; i++) {
		const struct sl_route_info *info = &e->config->route_infos[e->why[i].route];
		char *why = sl_explain_why(e, &e->why[i]);

		sl_columns_add(&t, "  %s", info->name);
		sl_columns_add(&t, "%s", e->config->route_matches[e->why[i].route]);
		sl_columns_add(&t, "%s", why ? why : "?");
		free(why);
	}
	if (e->n_why)
		err = sl_columns_print(&t, stdout);
	else
		err = e->n_tried || puts("  (no routes)") >= 0 ? 0 : -EIO;
	sl_columns_free(&t);
	if (e->n_left_out)
		printf("  and %u more whose path fits\n", e->n_left_out);
	if (e->n_other_paths && (!e->n_why || e->n_tried > 16))
		printf("  and %u earlier ones for other paths\n", e->n_other_paths);
	return err;
}

static void show_cohort(const struct sl_explain *e, const struct sl_split *s)
{
	switch (e->cohort) {
	case SL_COHORT_NONE:
		return;
	case SL_COHORT_NOTHING:
		puts("Sticky, but there is nothing to hash: shared out as in any split.");
		return;
	case SL_COHORT_COOKIE:
		puts("Sticky: a cookie would be made, and its value decides.");
		return;
	case SL_COHORT_FOUND:
		printf("Sticky: hash %016llx, always to %s.\n", (unsigned long long)e->hash,
		       e->target < s->n_targets
			       ? e->config->clusters[s->targets[e->target].cluster].name
			       : "none");
	}
}

/* What a header of the request decides. */
static void show_by_headers(const struct sl_explain *e, const struct sl_split *s)
{
	const struct sl_route_action *a = sl_explain_route_action(e);

	if (a && a->cluster_header && e->named == SL_NO_TARGET)
		printf("Header '%s' names no cluster.\n", a->cluster_header);
	else if (a && a->cluster_header)
		printf("Header '%s' names the cluster.\n", a->cluster_header);
	if (e->agreed < s->n_targets)
		printf("By the number in header '%s': to %s.\n", a->split_header,
		       e->config->clusters[s->targets[e->agreed].cluster].name);
}

static int show_route(const struct sl_explain *e, const char *path)
{
	const struct sl_compiled *c = e->config;
	const struct sl_route *r;
	struct sl_split s;
	char *domain;
	int err;

	if (e->domain == SL_NO_ROUTE) {
		puts("No virtual host has this domain.");
		return 0;
	}
	domain = sl_explain_domain(e);
	printf("Virtual host '%s', by its domain '%s':\n",
	       c->vhost_names[c->table->domains[e->domain].vhost], domain ? domain : "?");
	free(domain);
	err = show_tried(e);
	if (err || e->route == SL_NO_ROUTE)
		return err;
	r = &c->table->routes[e->route];
	s = sl_explain_targets(e);
	printf("\nRoute '%s' (%s:%u): %s\n", c->route_infos[e->route].name, path,
	       c->route_lines[e->route], sl_explain_action(e));
	if (e->chance)
		puts("By a draw of runtime_fraction: another request may go elsewhere.");
	if (s.n_targets)
		err = show_targets(e, &s, r->action == SL_ACTION_SPLIT);
	show_by_headers(e, &s);
	show_cohort(e, &s);
	return err;
}

static void show_path(const struct sl_explain *e)
{
	const struct sl_canned *c = sl_explain_canned(e);

	if (e->reason != SL_REASON_NONE)
		printf("\nUser path: %s (%s)\n", sl_explain_reason_name(e),
		       sl_explain_reason_help(e));
	else
		printf("\nKernel path, when the client is captured%s.\n",
		       c ? " and on this host" : " and an upstream connection is idle");
	if (c && (e->reason == SL_REASON_NONE || e->reason == SL_REASON_ANSWER_LONG))
		printf("The answer is written over the request: it takes %u bytes, the request has "
		       "%u.\n",
		       sl_canned_size(c), e->head.len);
}

int sl_explain_text(const struct sl_explain *e, const char *path)
{
	const char *buf = (const char *)e->buf;
	__u32 status = sl_explain_own_status(e);
	int err = 0;

	if (e->parse == SL_PARSE_DONE) {
		printf("%.*s %.*s, host '%.*s'\n", e->head.method_name.len,
		       buf + e->head.method_name.off, e->head.target.len, buf + e->head.target.off,
		       e->head.host.len, buf + e->head.host.off);
		err = show_route(e, path);
	} else {
		puts("Refused before it is routed.");
	}
	show_path(e);
	if (e->unsure)
		puts("Only user space can tell its route: a regex, a repeated header, a path "
		     "or host that its listener changes, or too many "
		     "routes with this path.");
	if (sl_explain_served_for(e))
		printf("%s: served in user space.\n", sl_explain_served_for(e));
	if (status)
		printf("Answered %u by sluice itself.\n", status);
	return err ? err : ferror(stdout) ? -EIO : 0;
}
