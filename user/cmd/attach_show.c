// SPDX-License-Identifier: GPL-2.0-only
/* What `sluice attach` prints: the list of listening sockets, and a plan. */
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

const struct sl_endpoint *sl_attach_endpoint(const struct sl_attach_source *s, __u32 index)
{
	if (index >= SL_MAX_ENDPOINTS)
		return NULL;
	return s->maps ? &s->maps->endpoints[index] : &s->compiled->endpoints[index];
}

/* ---- the plan ---- */

static void add_endpoints(struct sl_columns *t, const struct sl_attach_source *s,
			  const struct sl_cluster *c)
{
	char text[512] = "none", one[SL_ADDRESS_MAX];
	size_t n = 0;

	for (__u32 i = 0; c && i < c->n_endpoints && n < sizeof(text) - 80; i++) {
		const struct sl_endpoint *e = sl_attach_endpoint(s, c->first_endpoint + i);
		struct sl_address a;

		if (!e)
			break;
		a = (struct sl_address){.port = e->port, .family = e->family};
		memcpy(a.addr, e->addr, sizeof(a.addr));
		n += snprintf(text + n, sizeof(text) - n, "%s%s", i ? ", " : "",
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
	add_endpoints(t, s, c);
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
	if (p->running)
		printf("Instance '%s' runs and has this address in its config.\n", p->instance);
	else
		printf("Instance '%s' would be started, with %s.\n", p->instance,
		       args->config ? args->config : "a config for this address alone");
	if (args->l4 || (p->point >= 0 && (p->maps.points[p->point].flags & SL_A_L4)))
		printf("New connections would go straight to a backend, by this route:\n");
	else
		printf("New connections would go through sluice, and their requests by these "
		       "routes:\n");
	status = show_routes(&p->source);
	printf("Established connections stay with %s: %d now.\n",
	       sl_attach_who(who, &p->target.owner), p->established > 0 ? p->established : 0);
	printf("Dry run: nothing was changed.\n");
	return status;
}

/* ---- the list ---- */

struct listing {
	__u64 netns;
	const struct sl_listening *all;
	__u32 n;
	struct sl_columns *t;
	/* For one address: */
	const struct sl_address *address;
	char attached[64];
	unsigned long long steered;
};

static int find_point(void *ctx, const struct sl_instance *i)
{
	struct listing *l = ctx;
	int point = sl_point_find(i->maps, l->address, l->netns);
	const struct sl_attach_point *p;

	if (!i->runs || point < 0)
		return 0;
	p = &i->maps->points[point];
	snprintf(l->attached, sizeof(l->attached), "%s%s%s", i->name,
		 p->flags & SL_A_L4 ? ", L4" : "", p->flags & SL_A_ON ? "" : ", given back");
	l->steered = SL_READ(p->steered);
	return p->flags & SL_A_ON ? 1 : 0;
}

static void add_row(struct listing *l, const struct sl_address *a, const struct sl_owner *o)
{
	char text[SL_ADDRESS_MAX];

	l->address = a;
	l->attached[0] = '\0';
	l->steered = 0;
	(void)sl_instances_each(find_point, l);
	sl_columns_add(l->t, "%s", sl_address_text(text, a));
	sl_columns_add(l->t, "%s", o && o->pid ? o->name : "-");
	sl_columns_add(l->t, "%d", o ? o->pid : 0);
	sl_columns_add(l->t, "%s", l->attached);
	sl_columns_add(l->t, l->attached[0] ? "%llu" : "", l->steered);
}

/* Attached addresses that are no listening socket's: below a wildcard, or nobody's now. */
static int add_points(void *ctx, const struct sl_instance *i)
{
	struct listing *l = ctx;

	for (int p = 0; i->runs && p < SL_MAX_LISTENERS; p++) {
		const struct sl_attach_point *point = &i->maps->points[p];
		struct sl_owner owner = {};
		struct sl_target t;
		struct sl_address a;

		if (!(point->flags & SL_A_USED) || point->netns != l->netns)
			continue;
		sl_point_address(point, &a);
		if (!sl_target_find(l->all, l->n, &a, &t)) {
			if (!t.covered)
				continue; /* has its row */
			(void)sl_target_owner(&t);
			owner = t.owner;
		}
		add_row(l, &a, &owner);
	}
	return 0;
}

static int is_shut(void *ctx, const struct sl_instance *i)
{
	const struct listing *l = ctx;
	struct sl_attach_key key = {.netns = l->netns, .port = l->address->port};
	__u32 value;

	return i->runs && !sl_maps_attached_get(i->maps, &key, &value) && value == SL_ATTACH_SHUT;
}

static void add_sockets(struct listing *l, const struct sl_owner *owners)
{
	for (__u32 i = 0; i < l->n; i++) {
		l->address = &l->all[i].address;
		/* A group is one line. */
		if (i && sl_address_equal(l->address, &l->all[i - 1].address))
			continue;
		/* Where connections are steered to is nobody's to dial. */
		if (sl_instances_each(is_shut, l) != 1)
			add_row(l, l->address, &owners[i]);
	}
}

int sl_attach_list(int netns, __u64 cookie)
{
	static const struct sl_column columns[] = {
		{.title = "ADDRESS"},
		{.title = "PROCESS"},
		{.title = "PID", .right = true},
		{.title = "ATTACHED TO", .optional = true},
		{.title = "CONNECTIONS", .right = true, .optional = true},
	};
	struct sl_columns t = {.columns = columns, .n_columns = 5};
	struct listing l = {.netns = cookie, .t = &t};
	struct sl_listening *all = NULL;
	struct sl_owner *owners = NULL;
	int rc = sl_listening_list(netns, &all, &l.n);

	if (!rc)
		owners = calloc(l.n + 1, sizeof(*owners));
	for (__u32 i = 0; owners && i < l.n; i++)
		owners[i].inode = all[i].inode;
	if (owners && !sl_owners_find(owners, l.n)) {
		l.all = all;
		add_sockets(&l, owners);
		(void)sl_instances_each(add_points, &l);
		rc = sl_columns_print(&t, stdout);
	} else if (!rc) {
		rc = -1;
	}
	if (rc)
		fprintf(stderr, "sluice attach: cannot list the listening sockets\n");
	sl_columns_free(&t);
	free(owners);
	free(all);
	return rc ? SL_EXIT_SYSTEM : SL_EXIT_DONE;
}
