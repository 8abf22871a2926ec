// SPDX-License-Identifier: GPL-2.0-only
/* Validated model -> struct sl_actions, one action for each route of the table. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config/compile.h"
#include "util/normal.h"
#include "util/regex.h"

struct actions {
	struct sl_walk w; /* everything was validated: no message is kept */
	struct sl_diag_list diags;
	struct compile *c;
	struct sl_actions *out;
	struct sl_table *table;
	__u32 n_regexes_max;
	int err;
};

static void *alloc(struct actions *a, size_t size)
{
	void *p = sl_arena_alloc(&a->out->arena, size);

	if (!p)
		a->err = -ENOMEM;
	return p;
}

static bool is_given(const struct sl_node *n)
{
	return n && n->len;
}

/* NULL for a node that is not given or empty. */
static const char *text(struct actions *a, const struct sl_node *n, bool lower)
{
	char *s;

	if (!n || !n->len)
		return NULL;
	s = alloc(a, n->len + 1);
	for (__u32 i = 0; s && i < n->len; i++)
		s[i] = lower ? tolower((unsigned char)n->text[i]) : n->text[i];
	return s;
}

static const char *text_or_empty(struct actions *a, const struct sl_node *n)
{
	const char *s = text(a, n, false);

	return s ? s : "";
}

static struct sl_regex *regex(struct actions *a, const struct cfg_regex *r, bool whole)
{
	struct sl_regex **bigger, *ret = NULL;
	char why[SL_REGEX_WHY];
	int err;

	if (!r->regex)
		return NULL;
	if (a->out->n_regexes == a->n_regexes_max) {
		a->n_regexes_max = a->n_regexes_max ? 2 * a->n_regexes_max : 16;
		bigger = realloc(a->out->regexes, a->n_regexes_max * sizeof(*bigger));
		if (!bigger) {
			a->err = -ENOMEM;
			return NULL;
		}
		a->out->regexes = bigger;
	}
	err = sl_regex_new(r->regex->text, whole, &ret, why);
	if (err)
		a->err = err;
	else
		a->out->regexes[a->out->n_regexes++] = ret;
	return ret;
}

/* ---- headers ---- */

static enum sl_append_action append_action(const struct cfg_header_option *o)
{
	if (o->append.node)
		return o->append.value ? SL_APPEND_OR_ADD : SL_OVERWRITE_OR_ADD;
	return o->action.value;
}

static void compile_mutation(struct actions *a, const struct cfg_list *add,
			     const struct cfg_list *remove, enum sl_format_use use,
			     struct sl_mutation *out)
{
	const struct cfg_header_option *options = add->items;
	const struct sl_node *const *names = remove->items;

	out->adds = alloc(a, add->n * sizeof(*out->adds));
	out->removes = alloc(a, remove->n * sizeof(*out->removes));
	for (__u32 i = 0; i < add->n && !a->err; i++) {
		struct sl_header_add *h = &out->adds[out->n_adds++];

		h->name = text(a, options[i].header.key, true);
		h->action = append_action(&options[i]);
		h->keep_empty = options[i].keep_empty.value;
		if (sl_format_compile(&a->w, options[i].header.value, use, &a->out->arena,
				      &h->value))
			a->err = -ENOMEM;
	}
	for (__u32 i = 0; i < remove->n && !a->err; i++)
		out->removes[out->n_removes++] = text(a, names[i], true);
}

static bool has_changes(const struct cfg_header_changes *c)
{
	return c->request_add.n || c->request_remove.n || c->response_add.n || c->response_remove.n;
}

static void compile_changes(struct actions *a, const struct cfg_header_changes *c,
			    struct sl_header_changes *out)
{
	compile_mutation(a, &c->request_add, &c->request_remove, SL_FOR_REQUEST, &out->request);
	compile_mutation(a, &c->response_add, &c->response_remove, SL_FOR_RESPONSE, &out->response);
}

static const struct sl_header_changes *new_changes(struct actions *a,
						   const struct cfg_header_changes *c)
{
	struct sl_header_changes *out = has_changes(c) ? alloc(a, sizeof(*out)) : NULL;

	if (out)
		compile_changes(a, c, out);
	return out;
}

static const char *changed(const struct cfg_header_changes *c)
{
	return c->request_add.n	     ? "request_headers_to_add"
	       : c->request_remove.n ? "request_headers_to_remove"
	       : c->response_add.n   ? "response_headers_to_add"
				     : "response_headers_to_remove";
}

/* ---- routes ---- */

/* Bytes of the path that @m takes; 0: all of it (RouteEntryImplBase::rewritePathHeader). */
static __u32 matched(const struct cfg_match *m)
{
	return m->prefix ? m->prefix->len : m->separated ? m->separated->len : 0;
}

/* NULL for a node that is not given or empty. */
static const struct sl_format *format(struct actions *a, const struct sl_node *n,
				      enum sl_format_use use, const char *missing)
{
	struct sl_format *f = n && n->len ? alloc(a, sizeof(*f)) : NULL;

	if (!f)
		return NULL;
	if (sl_format_compile(&a->w, n, use, &a->out->arena, f))
		a->err = -ENOMEM;
	f->missing = missing;
	return f;
}

/* path_rewrite_policy: the path's regex with another text for what its variables stand for. */
static void compile_policy(struct actions *a, const struct cfg_path_policy *p,
			   const struct cfg_match *m, struct sl_rewrite *r)
{
	char *pattern = p->template ? alloc(a, m->text->len + 3) : NULL;
	char *substitution = p->template ? alloc(a, p->template->len + 1) : NULL;
	struct sl_node whole = {.text = pattern};
	const char *why;

	if (!pattern || !substitution)
		return;
	stpcpy(stpcpy(stpcpy(pattern, "^"), m->text->text), "$");
	(void)sl_uri_rewrite(p->template->text, &m->variables, substitution, &why);
	r->regex = regex(a, &(struct cfg_regex){.regex = &whole}, false);
	r->substitution = substitution;
}

static const char *compile_rewrite(struct actions *a, const struct cfg_rewrite *c,
				   const struct cfg_match *m, const struct sl_rewrite **ret)
{
	const char *why = is_given(c->prefix)	     ? "prefix_rewrite"
			  : c->regex.node	     ? "regex_rewrite"
			  : is_given(c->path)	     ? "path_rewrite"
			  : c->policy.node	     ? "path_rewrite_policy"
			  : is_given(c->host)	     ? "host_rewrite_literal"
			  : is_given(c->host_format) ? "host_rewrite"
			  : c->host_header	     ? "host_rewrite_header"
			  : c->host_regex.node	     ? "host_rewrite_path_regex"
			  : c->auto_host.value	     ? "auto_host_rewrite"
						     : NULL;
	struct sl_rewrite *r = why ? alloc(a, sizeof(*r)) : NULL;

	if (!r)
		return NULL;
	r->prefix = text(a, c->prefix, false);
	r->matched = matched(m);
	r->regex = regex(a, &c->regex.pattern, false);
	r->substitution = text_or_empty(a, c->regex.substitution);
	compile_policy(a, &c->policy, m, r);
	/* Whether a value that is missing leaves a sign is Envoy's choice of omit_empty_values. */
	r->path_format = format(a, c->path, SL_FOR_REQUEST, NULL);
	r->host_format = format(a, c->host_format, SL_FOR_REQUEST, "-");
	r->host = text(a, c->host, false);
	r->host_header = text(a, c->host_header, true);
	r->host_regex = regex(a, &c->host_regex.pattern, false);
	r->host_substitution = text_or_empty(a, c->host_regex.substitution);
	r->auto_host = c->auto_host.value;
	r->forwarded_host = c->forwarded_host.value;
	*ret = r;
	return why;
}

__u32 sl_redirect_status(const struct cfg_redirect *r)
{
	static const __u16 codes[] = {301, 302, 303, 307, 308};

	return codes[r->code.value];
}

static const char *compile_redirect(struct actions *a, const struct cfg_redirect *c,
				    const struct cfg_match *m, const struct sl_redirect **ret)
{
	struct sl_redirect *r = alloc(a, sizeof(*r));

	if (!r)
		return NULL;
	r->scheme = c->https.value ? "https" : text(a, c->scheme, false);
	r->host = text(a, c->host, false);
	r->path = text(a, c->path, false);
	r->rewrite.prefix = text(a, c->prefix, false);
	r->rewrite.matched = matched(m);
	r->rewrite.regex = regex(a, &c->regex.pattern, false);
	r->rewrite.substitution = text_or_empty(a, c->regex.substitution);
	r->port = c->port.value;
	r->status = sl_redirect_status(c);
	r->strip_query = c->strip_query.value;
	*ret = r;
	return "redirect";
}

static const char *compile_targets(struct actions *a, const struct cfg_split *s,
				   struct sl_route_action *out)
{
	const struct cfg_weight *all = s->clusters.items;
	const char *why = NULL;

	for (__u32 i = 0; i < s->clusters.n && !why; i++)
		why = all[i].header			? "cluster_header"
		      : has_changes(&all[i].changes)	? changed(&all[i].changes)
		      : all[i].host && all[i].host->len ? "host_rewrite_literal"
							: NULL;
	if (!why)
		return NULL;
	out->targets = alloc(a, s->clusters.n * sizeof(*out->targets));
	for (__u32 i = 0; i < s->clusters.n && !a->err; i++) {
		struct sl_target_action *t = &out->targets[out->n_targets++];

		t->cluster = all[i].cluster;
		t->cluster_header = text(a, all[i].header, true);
		t->host = text(a, all[i].host, false);
		compile_changes(a, &all[i].changes, &t->changes);
	}
	return why;
}

static struct sl_rules compile_rules(struct actions *a, const struct cfg_list *headers)
{
	struct sl_rules r = {.first = a->table->n_rules};

	sl_compile_rules(a->c, SL_RULE_HEADER, headers);
	r.n = a->table->n_rules - r.first;
	return r;
}

/* NULL: there is none. */
static const struct sl_retry *compile_retry(struct actions *a, const struct cfg_retry *c)
{
	struct sl_retry *r = c->node ? alloc(a, sizeof(*r)) : NULL;

	if (!r)
		return NULL;
	*r = sl_retry_of(c);
	r->headers = compile_rules(a, &c->headers);
	r->request_headers = compile_rules(a, &c->request_headers);
	return r;
}

/* Of the first of @lists that has any. */
static const char *compile_mirrors(struct actions *a, const struct cfg_list *const *lists,
				   struct sl_route_action *out)
{
	const struct cfg_list *l = lists[0]->n ? lists[0] : lists[1]->n ? lists[1] : lists[2];
	const struct cfg_mirror *all = l->items;
	struct sl_mirror *m;

	if (!l->n)
		return NULL;
	m = alloc(a, l->n * sizeof(*m));
	for (__u32 i = 0; m && i < l->n; i++) {
		m[i] = sl_mirror_of(&all[i]);
		m[i].cluster_header = text(a, all[i].cluster_header, true);
	}
	out->mirrors = m;
	out->n_mirrors = m ? l->n : 0;
	return "request_mirror_policies";
}

/* For the rules that compile_hashes() makes. */
static const char *compile_hash_rewrites(struct actions *a, const struct cfg_list *policies,
					 struct sl_route_action *out)
{
	const struct cfg_hash_policy *all = policies->items;
	struct sl_hash_rewrite *r = NULL;
	__u32 n = 0;

	for (__u32 i = 0; i < policies->n && !r; i++)
		if (all[i].header.rewrite.node)
			r = alloc(a, policies->n * sizeof(*r));
	for (__u32 i = 0; r && i < policies->n; i++) {
		if (!sl_hashes(&all[i]))
			continue;
		r[n].regex = regex(a, &all[i].header.rewrite.pattern, false);
		r[n++].substitution = text_or_empty(a, all[i].header.rewrite.substitution);
	}
	out->hash_rewrites = r;
	return r ? "hash_policy with regex_rewrite" : NULL;
}

/* Keeps the first reason. */
static void because(struct sl_route_action *out, const char *why)
{
	if (!out->why)
		out->why = why;
}

static void compile_body_format(struct actions *a, const struct cfg_body_format *c,
				struct sl_route_action *out)
{
	const char *missing = c->omit_empty.value ? NULL : "-";
	struct sl_format *f;

	out->content_type = text(a, c->content_type, false);
	if (!c->json) {
		out->body = format(a, c->text ? c->text : c->source.text, SL_FOR_BODY, missing);
		return;
	}
	f = alloc(a, sizeof(*f));
	if (!f)
		return;
	if (sl_format_json(&a->w, c->json, c->json_options.sort.value, &a->out->arena, f))
		a->err = -ENOMEM;
	f->missing = missing;
	out->body = f;
	if (!out->content_type)
		out->content_type = "application/json";
}

static void compile_route(struct actions *a, const struct cfg_route *r, struct sl_route_action *out)
{
	static const __u16 not_found[] = {503, 404, 500};
	const struct cfg_route_action *action = &r->route;

	out->name = text_or_empty(a, r->name);
	out->changes[0] = new_changes(a, &r->changes);
	if (r->direct.node) {
		if (r->direct.format.node)
			compile_body_format(a, &r->direct.format, out);
		because(out, "direct_response");
		return;
	}
	if (r->redirect.node) {
		because(out, compile_redirect(a, &r->redirect, &r->match, &out->redirect));
		return;
	}
	out->not_found = not_found[action->not_found.value];
	out->cluster_header = text(a, action->cluster_header, true);
	out->split_header = text(a, action->split.header_name, true);
	if (out->cluster_header)
		because(out, "cluster_header");
	if (out->split_header)
		because(out, "header_name");
	because(out, compile_rewrite(a, &action->rewrite, &r->match, &out->rewrite));
	because(out, compile_targets(a, &action->split, out));
	because(out, compile_hash_rewrites(a, &action->hash, out));
	if (out->changes[0])
		because(out, changed(&r->changes));
}

static void compile_internal(struct actions *a, const struct cfg_list *ranges,
			     struct sl_forwarded *f)
{
	const struct cfg_cidr *all = ranges->items;

	f->internal = alloc(a, (ranges->n + 1) * sizeof(*f->internal));
	for (__u32 i = 0; f->internal && i < ranges->n; i++) {
		struct sl_cidr *r = &f->internal[f->n_internal++];

		(void)sl_parse_ip(all[i].prefix->text, r->addr, &r->family);
		r->bits = all[i].len.value;
	}
}

static const char *compile_forwarded(struct actions *a, const struct cfg_forwarded *c,
				     struct sl_forwarded *f)
{
	static const enum sl_server_header servers[] = {SL_SERVER_OVERWRITE, SL_SERVER_IF_ABSENT,
							SL_SERVER_PASS};

	compile_internal(a, &c->internal.ranges, f);
	f->use_remote_address = c->use_remote_address.value;
	f->trusted_hops = c->trusted_hops.value;
	f->skip_xff_append = c->skip_xff_append.value;
	f->forwarded_port = f->use_remote_address && c->forwarded_port.value;
	f->generate_request_id = c->generate_request_id.value;
	f->preserve_request_id = c->preserve_request_id.value;
	f->request_id_in_response = c->request_id_in_response.value;
	f->server = text(a, c->server_name, false);
	if (f->server || c->server_header.node)
		f->server_header = servers[c->server_header.value];
	if (!f->server)
		f->server = "sluice";
	f->via = text(a, c->via, false);
	return f->use_remote_address		    ? "use_remote_address"
	       : f->generate_request_id		    ? "generate_request_id"
	       : f->request_id_in_response	    ? "always_set_request_id_in_response"
	       : f->via				    ? "via"
	       : f->server_header == SL_SERVER_PASS ? NULL
	       : c->server_name			    ? "server_name"
						    : "server_header_transformation";
}

const char *sl_routes_need_user(const struct cfg_route_config *rc)
{
	return is_given(rc->vhost_header) ? "vhost_header"
	       : rc->internal_only.n	  ? "internal_only_headers"
					  : NULL;
}

static void compile_internal_only(struct actions *a, const struct cfg_list *names,
				  struct sl_config_action *out)
{
	const struct sl_node *const *all = names->items;

	out->internal_only = alloc(a, (names->n + 1) * sizeof(*out->internal_only));
	for (__u32 i = 0; i < names->n && !a->err; i++)
		out->internal_only[out->n_internal_only++] = text(a, all[i], true);
}

static void compile_tries(const struct cfg_vhost *v, struct sl_route_action *out)
{
	out->count_tries = v->count_tries.value;
	out->tell_tries = v->tell_tries.value;
	if (out->count_tries)
		because(out, "include_request_attempt_count");
	if (out->tell_tries)
		because(out, "include_attempt_count_in_response");
}

/* ---- the whole ---- */

/* Headers that its virtual host and the route config change reach each route. */
static void compile_vhost(struct actions *a, const struct cfg_vhost *v,
			  const struct cfg_route_config *rc,
			  const struct sl_header_changes *config_changes, const char *forwarded)
{
	const struct cfg_route *routes = v->routes.items;
	const struct sl_header_changes *changes = new_changes(a, &v->changes);
	const struct sl_retry *retry = compile_retry(a, &v->retry);
	const char *name = text_or_empty(a, v->name);

	for (__u32 i = 0; i < v->routes.n && !a->err; i++) {
		__u32 index = a->out->n_routes++;
		struct sl_route_action *out = &a->out->routes[index];

		compile_route(a, &routes[i], out);
		if (routes[i].route.node) {
			const struct cfg_list *const mirrors[] = {&routes[i].route.mirrors,
								  &v->mirrors, &rc->mirrors};

			out->retry = compile_retry(a, &routes[i].route.retry);
			if (!out->retry)
				out->retry = retry;
			if (out->retry)
				because(out, "retry_policy");
			because(out, compile_mirrors(a, mirrors, out));
			compile_tries(v, out);
		}
		out->vhost = name;
		out->changes[1] = changes;
		out->changes[2] = config_changes;
		if (changes)
			because(out, changed(&v->changes));
		if (config_changes)
			because(out, changed(&rc->changes));
		because(out, forwarded);
		because(out, sl_routes_need_user(rc));
		if (out->why)
			a->table->routes[index].flags |= SL_ROUTE_NEEDS_USER;
	}
}

static void compile_config(struct actions *a, const struct cfg_route_config *rc)
{
	struct sl_config_action *out = &a->out->configs[a->out->n_configs++];
	const struct cfg_http_filter *filter = rc->hcm->http_filters.items;
	const struct sl_header_changes *changes = new_changes(a, &rc->changes);
	const struct cfg_vhost *vhosts = rc->vhosts.items;
	const char *forwarded = compile_forwarded(a, &rc->hcm->forwarded, &out->forwarded);

	a->c->config = rc;
	out->forwarded.any = forwarded;
	out->normal = sl_normal_flags(&rc->hcm->normal);
	compile_internal_only(a, &rc->internal_only, out);
	out->most_specific_wins = rc->most_specific_wins.value;
	out->suppress_envoy_headers = rc->hcm->http_filters.n && filter->suppress_envoy_headers;
	for (__u32 i = 0; i < rc->vhosts.n && !a->err; i++)
		compile_vhost(a, &vhosts[i], rc, changes, forwarded);
}

static void compile_all(struct actions *a)
{
	const struct cfg_root *root = a->c->root;
	const struct cfg_cluster *clusters = root->resources.clusters.items;

	a->out->routes = alloc(a, a->table->n_routes * sizeof(*a->out->routes));
	a->out->configs = alloc(a, root->n_configs * sizeof(*a->out->configs));
	a->out->clusters = alloc(a, root->resources.clusters.n * sizeof(*a->out->clusters));
	for (__u32 i = 0; i < root->resources.clusters.n && !a->err; i++)
		a->out->clusters[a->out->n_clusters++] =
			clusters[i].by_header ? NULL : text_or_empty(a, clusters[i].name);
	for (__u32 i = 0; i < root->n_configs && !a->err; i++)
		compile_config(a, root->configs[i]);
}

int sl_compile_actions(struct compile *c)
{
	struct actions a = {.c = c, .table = c->out->table, .out = calloc(1, sizeof(*a.out))};

	if (!a.out)
		return -ENOMEM;
	a.w.diags = &a.diags;
	a.w.arena = &a.out->arena;
	compile_all(&a);
	sl_diag_free(&a.diags);
	if (a.err) {
		sl_actions_free(a.out);
		return a.err;
	}
	c->out->actions = a.out;
	return 0;
}

int sl_actions_renumber(struct sl_actions *a, const __u32 *to, __u32 n)
{
	const char **names = sl_arena_alloc(&a->arena, n * sizeof(*names));

	if (!names)
		return -ENOMEM;
	for (__u32 i = 0; i < a->n_clusters; i++)
		names[to[i]] = a->clusters[i];
	a->clusters = names;
	a->n_clusters = n;
	for (__u32 i = 0; i < a->n_routes; i++) {
		struct sl_route_action *r = &a->routes[i];

		for (__u32 k = 0; k < r->n_targets; k++)
			r->targets[k].cluster = to[r->targets[k].cluster];
		for (__u32 k = 0; k < r->n_mirrors; k++)
			r->mirrors[k].cluster = to[r->mirrors[k].cluster];
	}
	return 0;
}

void sl_config_normal(const struct sl_config_action *a, bool internal, struct sl_normal *ret)
{
	ret->flags = a->normal;
	/* ConnectionManagerUtility::cleanInternalHeaders(), before the route is looked for */
	ret->removed = a->internal_only;
	ret->n_removed = internal ? 0 : a->n_internal_only;
}

void sl_actions_free(struct sl_actions *a)
{
	if (!a)
		return;
	for (__u32 i = 0; i < a->n_regexes; i++)
		sl_regex_free(a->regexes[i]);
	free(a->regexes);
	sl_arena_free(&a->arena);
	free(a);
}
