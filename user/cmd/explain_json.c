// SPDX-License-Identifier: GPL-2.0-only
/* What was found out about a request, for programs. */
#include "cmd/explain.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/by_name.h"
#include "sl_match.h"
#include "util/json.h"

static json_t *json_bytes(const char *s, size_t len)
{
	char *text = strndup(s, len);
	json_t *j = text ? sl_json_text(text) : NULL;

	free(text);
	return j;
}

static json_t *json_targets(const struct sl_explain *e, const struct sl_split *s)
{
	struct sl_split alive = sl_explain_alive(e, s);
	json_t *list = json_array();

	for (__u32 i = 0; i < s->n_targets; i++) {
		const struct sl_cluster *c = &e->config->clusters[s->targets[i].cluster];
		json_t *endpoints = json_array();
		char text[SL_MEMBER_TEXT];

		for (__u32 j = 0; j < e->config->n_members; j++) {
			if (e->config->members[j].cluster != s->targets[i].cluster)
				continue;
			sl_explain_member(text, e->config, j);
			json_array_append_new(endpoints, sl_json_text(text));
		}
		json_array_append_new(
			list, json_pack("{s:o, s:I, s:f, s:o}", "name", sl_json_text(c->name),
					"weight", (json_int_t)s->targets[i].weight, "share",
					sl_explain_share(&alive, i), "endpoints", endpoints));
	}
	return list;
}

static json_t *json_route(const struct sl_explain *e)
{
	const struct sl_compiled *c = e->config;
	const struct sl_route *r;
	struct sl_split s;

	if (e->route == SL_NO_ROUTE)
		return json_null();
	r = &c->table->routes[e->route];
	s = sl_explain_targets(e);
	return json_pack("{s:o, s:i, s:i, s:o, s:s, s:o}", "name",
			 json_bytes((const char *)c->table->strings + r->name.off, r->name.len),
			 "index", (int)e->route, "line", (int)c->route_lines[e->route], "match",
			 sl_json_text(c->route_matches[e->route]), "action", sl_explain_action(e),
			 "clusters", json_targets(e, &s));
}

static json_t *json_not_matched(const struct sl_explain *e)
{
	json_t *list = json_array();

	for (__u32 i = 0; i < e->n_why; i++) {
		const struct sl_route_info *info = &e->config->route_infos[e->why[i].route];
		char *why;

		if (e->why[i].verdict == SL_VERDICT_MATCH)
			continue;
		why = sl_explain_why(e, &e->why[i]);
		json_array_append_new(
			list,
			json_pack("{s:o, s:o, s:o}", "name", sl_json_text(info->name), "match",
				  sl_json_text(e->config->route_matches[e->why[i].route]), "why",
				  why ? sl_json_text(why) : NULL));
		free(why);
	}
	return list;
}

/* {cluster: the least weight with which it would have the user}; null: none. */
static json_t *json_from_weights(const struct sl_explain *e, const struct sl_split *s)
{
	json_t *all = json_object();

	for (__u32 i = 0; i < s->n_targets; i++) {
		__u32 weight = sl_explain_from_weight(e, s, i);

		json_object_set_new(all, e->config->clusters[s->targets[i].cluster].name,
				    weight ? json_integer(weight) : json_null());
	}
	return all;
}

/* The cohort's hash and cluster; null: the split is not sticky. */
static json_t *json_cohort(const struct sl_explain *e)
{
	const char *cluster = NULL;
	struct sl_split s;
	char hash[24];

	if (e->cohort == SL_COHORT_NONE)
		return json_null();
	s = sl_explain_targets(e);
	snprintf(hash, sizeof(hash), "%016llx", (unsigned long long)e->hash);
	if (e->cohort == SL_COHORT_FOUND && e->target < s.n_targets)
		cluster = e->config->clusters[s.targets[e->target].cluster].name;
	return json_pack("{s:o, s:o, s:b, s:o}", "hash", cluster ? json_string(hash) : json_null(),
			 "cluster", cluster ? sl_json_text(cluster) : json_null(), "makes_cookie",
			 (int)e->makes_cookie, "from_weight",
			 cluster ? json_from_weights(e, &s) : json_null());
}

/* The cluster by weighted_clusters.header_name; null: no number in it, or no such header. */
static json_t *json_agreed(const struct sl_explain *e)
{
	struct sl_split s;

	if (e->route == SL_NO_ROUTE || e->agreed == SL_NO_TARGET)
		return json_null();
	s = sl_explain_targets(e);
	return sl_json_text(e->config->clusters[s.targets[e->agreed].cluster].name);
}

int sl_explain_json(const struct sl_explain *e, const char *path, bool line)
{
	const struct sl_compiled *c = e->config;
	const char *buf = (const char *)e->buf;
	const struct sl_domain *d = NULL;
	char *domain = NULL;
	__u32 status = sl_explain_own_status(e);
	json_t *root;

	if (e->domain != SL_NO_ROUTE) {
		d = &c->table->domains[e->domain];
		domain = sl_explain_domain(e);
	}
	root = json_pack(
		"{s:o, s:o, s:o, s:i, s:o, s:o, s:s, s:s, s:s, s:o}", "config", sl_json_text(path),
		"virtual_host", d ? sl_json_text(c->vhost_names[d->vhost]) : json_null(), "domain",
		domain ? sl_json_text(domain) : json_null(), "other_paths", (int)e->n_other_paths,
		"not_matched", json_not_matched(e), "route", json_route(e), "path",
		e->reason == SL_REASON_NONE ? "kernel" : "user", "reason",
		sl_explain_reason_name(e), "reason_text", sl_explain_reason_help(e), "status",
		status ? json_integer(status) : json_null());
	free(domain);
	if (root) {
		json_object_set_new(root, "listener", sl_json_text(c->listeners[e->listener].name));
		json_object_set_new(root, "cohort", json_cohort(e));
		json_object_set_new(root, "by_header_name", json_agreed(e));
	}
	if (root && sl_explain_served_for(e))
		json_object_set_new(root, "served_in_user_space_for",
				    json_string(sl_explain_served_for(e)));
	if (root && e->parse == SL_PARSE_DONE) {
		const struct sl_head *h = &e->head;

		json_object_set_new(root, "method",
				    json_bytes(buf + h->method_name.off, h->method_name.len));
		json_object_set_new(root, "target", json_bytes(buf + h->target.off, h->target.len));
		json_object_set_new(root, "host", json_bytes(buf + h->host.off, h->host.len));
	}
	return line ? sl_json_line(root) : sl_json_print(root);
}
