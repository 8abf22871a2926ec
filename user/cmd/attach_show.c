// SPDX-License-Identifier: GPL-2.0-only
/* What `sluice attach` says of a plan. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/attach.h"
#include "cmd/cmd.h"
#include "cmd/weights.h"
#include "util/columns.h"

/* ---- a source's tables ---- */

__u32 sl_attach_n_routes(const struct sl_attach_source *s)
{
	__u32 n = s->maps ? s->maps->table->n_routes : s->compiled->table->n_routes;

	return n < SL_MAX_ROUTES ? n : SL_MAX_ROUTES;
}

bool sl_attach_route(const struct sl_attach_source *s, __u32 index, struct sl_route_info *ret)
{
	if (s->maps)
		return !sl_maps_route_get(s->maps, index, ret);
	if (index >= s->compiled->table->n_routes)
		return false;
	*ret = s->compiled->route_infos[index];
	return true;
}

bool sl_attach_split(const struct sl_attach_source *s, __u32 id, struct sl_split *ret)
{
	if (s->maps)
		return !sl_maps_split_get(s->maps, id, ret);
	if (id >= s->compiled->table->n_splits)
		return false;
	*ret = s->compiled->splits[id];
	return true;
}

const struct sl_cluster *sl_attach_cluster(const struct sl_attach_source *s, __u32 index)
{
	const struct sl_table *t = s->maps ? s->maps->table : s->compiled->table;

	if (index >= t->n_clusters || index >= SL_MAX_CLUSTERS)
		return NULL;
	return s->maps ? &s->maps->clusters[index] : &s->compiled->clusters[index];
}

const struct sl_endpoint *sl_attach_endpoints(const struct sl_attach_source *s)
{
	return s->maps ? s->maps->endpoints : s->compiled->endpoints;
}

/* ---- the plan ---- */

static void add_endpoints(struct sl_columns *t, const struct sl_attach_source *s,
			  const struct sl_cluster *c)
{
	const struct sl_endpoint *all = sl_attach_endpoints(s);
	char text[512] = "none", one[SL_ADDRESS_MAX];
	size_t n = 0;

	sl_each_endpoint (i, c, all) {
		struct sl_address a = {.port = all[i].port, .family = all[i].family};

		if (n >= sizeof(text) - 80)
			break;
		memcpy(a.addr, all[i].addr, sizeof(a.addr));
		n += snprintf(text + n, sizeof(text) - n, "%s%s", n ? ", " : "",
			      sl_address_text(one, &a));
	}
	sl_columns_add(t, "%s", text);
}

static void add_target(struct sl_columns *t, const struct sl_attach_source *s,
		       const struct sl_route_info *r, bool first, __u32 cluster, const char *share)
{
	const struct sl_cluster *c = sl_attach_cluster(s, cluster);

	sl_columns_add(t, "  %s", first ? r->name : "");
	sl_columns_add(t, "%s", first ? r->match : "");
	sl_columns_add(t, "%s", c ? c->name : "(no such cluster)");
	sl_columns_add(t, "%s", share);
	if (c)
		add_endpoints(t, s, c);
	else
		sl_columns_add(t, "none");
}

static void add_split(struct sl_columns *t, const struct sl_attach_source *s,
		      const struct sl_route_info *r)
{
	struct sl_split split;
	char share[32];

	if (!sl_attach_split(s, r->target, &split))
		return;
	for (__u32 i = 0; i < sl_split_targets(&split); i++) {
		__u64 sum = sl_split_sum(&split);

		snprintf(share, sizeof(share), "%.2f %%",
			 sum ? split.targets[i].weight * 100.0 / sum : 0.0);
		add_target(t, s, r, !i, split.targets[i].cluster, share);
	}
}

static int show_routes(const struct sl_attach_source *s)
{
	static const struct sl_column columns[] = {
		{.title = "  ROUTE"},	{.title = "MATCH"},
		{.title = "CLUSTER"},	{.title = "SHARE", .right = true},
		{.title = "ENDPOINTS"},
	};
	struct sl_columns t = {.columns = columns, .n_columns = 5};
	struct sl_route_info r;
	int rc;

	for (__u32 i = 0; i < sl_attach_n_routes(s) && sl_attach_route(s, i, &r); i++) {
		r.name[SL_NAME_MAX - 1] = r.match[SL_NAME_MAX - 1] = '\0';
		if (r.action == SL_ACTION_SPLIT)
			add_split(&t, s, &r);
		else if (r.action == SL_ACTION_CLUSTER)
			add_target(&t, s, &r, true, r.target, "100.00 %");
		else {
			sl_columns_add(&t, "  %s", r.name);
			sl_columns_add(&t, "%s", r.match);
			sl_columns_add(&t, "(sluice answers)");
			sl_columns_add(&t, "%s", "");
			sl_columns_add(&t, "%s", "");
		}
	}
	rc = sl_columns_print(&t, stdout);
	sl_columns_free(&t);
	return rc ? SL_EXIT_SYSTEM : SL_EXIT_DONE;
}

static void show_listener(const struct sl_attach_plan *p, const struct sl_attach_args *args)
{
	char who[SL_WHO_MAX], wide[SL_ADDRESS_MAX];

	printf("Listener: %s of %s", args->text, sl_attach_who(who, &p->target.owner));
	if (p->target.owner.n_processes > 1)
		printf(" and %u more of its processes", p->target.owner.n_processes - 1);
	if (p->target.covered)
		printf(", which listens on %s", sl_address_text(wide, &p->target.first.address));
	if (p->target.n_sockets > 1)
		printf(", %u sockets (SO_REUSEPORT)", p->target.n_sockets);
	if (p->target.dual)
		printf(", IPv6 and IPv4");
	printf(".\n");
}

int sl_attach_show_plan(const struct sl_attach_plan *p, const struct sl_attach_args *args)
{
	char who[SL_WHO_MAX];
	int status;

	show_listener(p, args);
	if (p->replace)
		printf("Instance '%s' would take %s as its config; if its listeners change, finish "
		       "what it has in hand, and be started anew.\n",
		       p->instance, args->config);
	else if (p->running)
		printf("Instance '%s' runs and has this address in its config.\n", p->instance);
	else
		printf("Instance '%s' would be started, with %s.\n", p->instance,
		       args->config ? args->config : "a config for this address alone");
	if (p->l4)
		printf("New connections would go straight to a backend, by this route:\n");
	else
		printf("New connections would go through sluice, and their requests by these "
		       "routes:\n");
	status = show_routes(&p->source);
	if (!p->l4)
		printf("What comes is read as HTTP/1.1 without TLS (if it is not: --l4), and the "
		       "cluster sees it come from sluice's address.\n");
	printf("Established connections stay with %s: %d now.\n",
	       sl_attach_who(who, &p->target.owner), p->established > 0 ? p->established : 0);
	printf("Dry run: nothing was changed.\n");
	return status;
}

/* ---- L4 ---- */

/* Whether @e has a listening socket in the plan's namespace. */
static bool listens(const struct sl_attach_plan *p, const struct sl_endpoint *e)
{
	struct sl_address a = {.port = e->port, .family = e->family};
	struct sl_target t;

	memcpy(a.addr, e->addr, sizeof(a.addr));
	return !!SL_ENDPOINT_NETNS(e) == (p->netns >= 0) &&
	       !sl_target_find(p->all, p->n_all, &a, &t);
}

static void warn_cluster(const struct sl_attach_plan *p, __u32 cluster)
{
	const struct sl_cluster *c = sl_attach_cluster(&p->source, cluster);
	const struct sl_endpoint *all = sl_attach_endpoints(&p->source);
	char text[SL_ADDRESS_MAX];

	if (!c)
		return;
	sl_each_endpoint (i, c, all) {
		struct sl_address a = {.port = all[i].port, .family = all[i].family};

		if (listens(p, &all[i]))
			continue;
		memcpy(a.addr, all[i].addr, sizeof(a.addr));
		fprintf(stderr,
			"sluice attach: warning: cluster '%s': nobody listens on %s in this "
			"network "
			"namespace now; the application itself gets what no other endpoint takes\n",
			c->name, sl_address_text(text, &a));
	}
}

void sl_attach_warn_l4(const struct sl_attach_plan *p)
{
	struct sl_route_info r;
	struct sl_split split;

	if (!sl_attach_route(&p->source, 0, &r))
		return;
	if (r.action == SL_ACTION_CLUSTER)
		warn_cluster(p, r.target);
	if (r.action != SL_ACTION_SPLIT || !sl_attach_split(&p->source, r.target, &split))
		return;
	for (__u32 i = 0; i < sl_split_targets(&split); i++)
		warn_cluster(p, split.targets[i].cluster);
}
