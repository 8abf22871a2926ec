// SPDX-License-Identifier: GPL-2.0-only
/* What was found out about a request, for people and for programs. */
#include "cmd/explain.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sl_match.h"
#include "util/columns.h"
#include "util/json.h"

#define SHOWN_ENDPOINTS 8

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

/* What the daemon does with the requests of the route; NULL: out of memory as it was compiled. */
static const struct sl_route_action *action_of(const struct sl_explain *e)
{
	return e->route < e->config->actions->n_routes ? &e->config->actions->routes[e->route]
						       : NULL;
}

static const char *action_name(const struct sl_explain *e)
{
	const struct sl_route_action *a = action_of(e);

	if (a && a->redirect)
		return "redirect";
	return a && a->cluster_header ? "cluster_header"
				      : action_names[e->config->table->routes[e->route].action];
}

/* The field of the config that makes the user path serve the route; NULL: none. */
static const char *served_for(const struct sl_explain *e)
{
	const struct sl_route_action *a = e->route == SL_NO_ROUTE ? NULL : action_of(e);

	return a ? a->why : NULL;
}

/* The clusters of a route as a split, whatever its action. 0 targets for a direct response. */
static struct sl_split targets_of(const struct sl_explain *e, const struct sl_route *r)
{
	struct sl_split s = {0};

	if (r->action == SL_ACTION_SPLIT)
		return e->config->splits[r->target];
	if (r->action == SL_ACTION_CLUSTER) {
		s.n_targets = 1;
		s.targets[0] = (struct sl_split_target){.cluster = r->target, .weight = 1};
	}
	return s;
}

static double share(const struct sl_split *s, __u32 i)
{
	__u64 sum = 0;

	for (__u32 j = 0; j < s->n_targets; j++)
		sum += s->targets[j].weight;
	return sum ? (double)s->targets[i].weight / sum : 0;
}

/* The status that is answered without a backend; 0: a backend answers. */
static __u32 own_status(const struct sl_explain *e)
{
	if (e->parse == SL_PARSE_BAD || e->parse == SL_PARSE_LONG)
		return e->head.error;
	if (e->parse != SL_PARSE_DONE)
		return 0;
	if (e->route == SL_NO_ROUTE)
		return 404;
	if (e->config->table->routes[e->route].action == SL_ACTION_DIRECT &&
	    strcmp(action_name(e), "cluster_header"))
		return e->config->table->routes[e->route].target;
	return e->reason == SL_REASON_NO_ENDPOINT ? 503 : 0;
}

/* ---- text ---- */

static void add_endpoints(struct sl_columns *t, const struct sl_explain *e,
			  const struct sl_cluster *c)
{
	char text[SHOWN_ENDPOINTS * (SL_ADDRESS_TEXT + 2) + 64] = "";
	char one[SL_ADDRESS_TEXT];
	size_t n = 0;

	for (__u32 i = 0; i < c->n_endpoints && i < SHOWN_ENDPOINTS; i++) {
		sl_explain_address(one, &e->config->endpoints[c->first_endpoint + i]);
		n += snprintf(text + n, sizeof(text) - n, "%s%s", i ? ", " : "", one);
	}
	if (c->n_endpoints > SHOWN_ENDPOINTS)
		snprintf(text + n, sizeof(text) - n, ", ... (%u in all)", c->n_endpoints);
	sl_columns_add(t, "%s", c->n_endpoints ? text : "no endpoints");
}

static int show_targets(const struct sl_explain *e, const struct sl_split *s, bool split)
{
	static const struct sl_column columns[] = {
		{.title = "  CLUSTER"},
		{.title = "WEIGHT", .right = true},
		{.title = "SHARE", .right = true},
		{.title = "ENDPOINTS"},
	};
	struct sl_columns t = {.columns = columns, .n_columns = 4};
	int err;

	for (__u32 i = 0; i < s->n_targets; i++) {
		const struct sl_cluster *c = &e->config->clusters[s->targets[i].cluster];

		sl_columns_add(&t, "  %s", c->name);
		if (split)
			sl_columns_add(&t, "%u", s->targets[i].weight);
		else
			sl_columns_add(&t, "%s", "-");
		sl_columns_add(&t, "%.4g %%", 100 * share(s, i));
		add_endpoints(&t, e, c);
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
		sl_columns_add(&t, "%s", info->match);
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
	s = targets_of(e, r);
	printf("\nRoute '%s' (%s:%u): %s\n", c->route_infos[e->route].name, path,
	       c->route_lines[e->route], action_name(e));
	if (e->chance)
		puts("By a draw of runtime_fraction: another request may go elsewhere.");
	return s.n_targets ? show_targets(e, &s, r->action == SL_ACTION_SPLIT) : 0;
}

int sl_explain_text(const struct sl_explain *e, const char *path)
{
	const char *buf = (const char *)e->buf;
	__u32 status = own_status(e);
	int err = 0;

	if (e->parse == SL_PARSE_DONE) {
		printf("%.*s %.*s, host '%.*s'\n", e->head.method_name.len,
		       buf + e->head.method_name.off, e->head.target.len, buf + e->head.target.off,
		       e->head.host.len, buf + e->head.host.off);
		err = show_route(e, path);
	} else {
		puts("Refused before it is routed.");
	}
	if (e->reason == SL_REASON_NONE)
		puts("\nKernel path, when the client is captured and an upstream connection is "
		     "idle.");
	else
		printf("\nUser path: %s (%s)\n", reason_names[e->reason], reason_helps[e->reason]);
	if (served_for(e))
		printf("%s: served in user space.\n", served_for(e));
	if (status)
		printf("Answered %u by sluice itself.\n", status);
	return err ? err : ferror(stdout) ? -EIO : 0;
}

/* ---- JSON ---- */

static json_t *json_bytes(const char *s, size_t len)
{
	char *text = strndup(s, len);
	json_t *j = text ? sl_json_text(text) : NULL;

	free(text);
	return j;
}

static json_t *json_targets(const struct sl_explain *e, const struct sl_split *s)
{
	json_t *list = json_array();

	for (__u32 i = 0; i < s->n_targets; i++) {
		const struct sl_cluster *c = &e->config->clusters[s->targets[i].cluster];
		json_t *endpoints = json_array();
		char text[SL_ADDRESS_TEXT];

		for (__u32 j = 0; j < c->n_endpoints; j++) {
			sl_explain_address(text, &e->config->endpoints[c->first_endpoint + j]);
			json_array_append_new(endpoints, json_string(text));
		}
		json_array_append_new(list, json_pack("{s:o, s:I, s:f, s:o}", "name",
						      sl_json_text(c->name), "weight",
						      (json_int_t)s->targets[i].weight, "share",
						      share(s, i), "endpoints", endpoints));
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
	s = targets_of(e, r);
	return json_pack("{s:o, s:i, s:i, s:o, s:s, s:o}", "name",
			 json_bytes((const char *)c->table->strings + r->name.off, r->name.len),
			 "index", (int)e->route, "line", (int)c->route_lines[e->route], "match",
			 sl_json_text(c->route_infos[e->route].match), "action", action_name(e),
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
		json_array_append_new(list,
				      json_pack("{s:o, s:o, s:o}", "name", sl_json_text(info->name),
						"match", sl_json_text(info->match), "why",
						why ? sl_json_text(why) : NULL));
		free(why);
	}
	return list;
}

int sl_explain_json(const struct sl_explain *e, const char *path)
{
	const struct sl_compiled *c = e->config;
	const char *buf = (const char *)e->buf;
	const struct sl_domain *d = NULL;
	char *domain = NULL;
	__u32 status = own_status(e);
	json_t *root;

	if (e->domain != SL_NO_ROUTE) {
		d = &c->table->domains[e->domain];
		domain = sl_explain_domain(e);
	}
	root = json_pack("{s:o, s:o, s:o, s:i, s:o, s:o, s:s, s:s, s:s, s:o}", "config",
			 sl_json_text(path), "virtual_host",
			 d ? sl_json_text(c->vhost_names[d->vhost]) : json_null(), "domain",
			 domain ? sl_json_text(domain) : json_null(), "other_paths",
			 (int)e->n_other_paths, "not_matched", json_not_matched(e), "route",
			 json_route(e), "path", e->reason == SL_REASON_NONE ? "kernel" : "user",
			 "reason", reason_names[e->reason], "reason_text", reason_helps[e->reason],
			 "status", status ? json_integer(status) : json_null());
	free(domain);
	if (root && served_for(e))
		json_object_set_new(root, "served_in_user_space_for", json_string(served_for(e)));
	if (root && e->parse == SL_PARSE_DONE) {
		const struct sl_head *h = &e->head;

		json_object_set_new(root, "method",
				    json_bytes(buf + h->method_name.off, h->method_name.len));
		json_object_set_new(root, "target", json_bytes(buf + h->target.off, h->target.len));
		json_object_set_new(root, "host", json_bytes(buf + h->host.off, h->host.len));
	}
	return sl_json_print(root);
}
