// SPDX-License-Identifier: GPL-2.0-only
/* `sluice attach` alone: who listens where, and what is attached. */
#include <stdio.h>
#include <stdlib.h>

#include "cmd/attach.h"
#include "cmd/cmd.h"
#include "util/columns.h"

/* Connections that went to each cluster at SYN time. */
static int list_l4(void *ctx, const struct sl_instance *i)
{
	static const struct sl_column columns[] = {
		{.title = "L4 CLUSTER"},
		{.title = "INSTANCE"},
		{.title = "CONNECTIONS", .right = true},
	};
	struct sl_columns t = {.columns = columns, .n_columns = 3};
	bool any = false;

	(void)ctx;
	for (__u32 p = 0; p < SL_MAX_LISTENERS; p++)
		any |= !!(i->maps->points[p].flags & SL_A_L4);
	if (!i->runs || !any)
		return 0;
	for (__u32 c = 0; c < i->maps->table->n_clusters && c < SL_MAX_CLUSTERS; c++) {
		sl_columns_add(&t, "%s", sl_cmd_cluster_name(i->maps, c));
		sl_columns_add(&t, "%s", i->name);
		sl_columns_add(&t, "%llu", (unsigned long long)SL_READ(i->maps->l4_counts[c]));
	}
	putchar('\n');
	(void)sl_columns_print(&t, stdout);
	sl_columns_free(&t);
	return 0;
}

struct elsewhere {
	__u64 netns;
	struct sl_columns t;
};

/* What is attached in other network namespaces, be they without a process by now. */
static int add_elsewhere(void *ctx, const struct sl_instance *i)
{
	struct elsewhere *e = ctx;

	for (__u32 p = 0; i->runs && p < SL_MAX_LISTENERS; p++) {
		const struct sl_attach_point *point = &i->maps->points[p];
		char text[SL_ADDRESS_MAX];
		struct sl_address a;

		if (!(SL_READ(point->flags) & SL_A_ON) || point->netns == e->netns)
			continue;
		sl_point_address(point, &a);
		sl_columns_add(&e->t, "%s", sl_address_text(text, &a));
		sl_columns_add(&e->t, "%s%s", i->name, point->flags & SL_A_L4 ? ", L4" : "");
		sl_columns_add(&e->t, "%llu", (unsigned long long)SL_READ(point->steered));
	}
	return 0;
}

static void list_elsewhere(__u64 netns)
{
	static const struct sl_column columns[] = {
		{.title = "IN ANOTHER NAMESPACE"},
		{.title = "ATTACHED TO"},
		{.title = "CONNECTIONS", .right = true},
	};
	struct elsewhere e = {.netns = netns, .t = {.columns = columns, .n_columns = 3}};

	(void)sl_instances_each(add_elsewhere, &e);
	if (e.t.n_cells) {
		putchar('\n');
		(void)sl_columns_print(&e.t, stdout);
	}
	sl_columns_free(&e.t);
}

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
	sl_columns_add(l->t, o && o->pid ? "%d" : "-", o ? o->pid : 0);
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

	sl_address_mapped(key.addr, l->address);
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
	int hidden = 0, rc = sl_listening_list(netns, &all, &l.n);

	if (!rc)
		owners = calloc(l.n + 1, sizeof(*owners));
	for (__u32 i = 0; owners && i < l.n; i++)
		owners[i].inode = all[i].inode;
	if (owners && !sl_owners_find(owners, l.n)) {
		l.all = all;
		add_sockets(&l, owners);
		hidden = sl_instances_each(add_points, &l);
		rc = sl_columns_print(&t, stdout);
		list_elsewhere(cookie);
		(void)sl_instances_each(list_l4, NULL);
	} else if (!rc) {
		rc = -1;
	}
	if (rc)
		fprintf(stderr, "sluice attach: cannot list the listening sockets\n");
	if (hidden)
		fprintf(stderr, "sluice attach: others' processes and what is attached cannot be "
				"seen; run as root\n");
	sl_columns_free(&t);
	free(owners);
	free(all);
	return rc ? SL_EXIT_SYSTEM : SL_EXIT_DONE;
}
