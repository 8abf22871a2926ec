// SPDX-License-Identifier: GPL-2.0-only
/*
 * Members of splits that a header names (WeightedCluster.ClusterWeight.cluster_header): in the
 * table each such header is a cluster without endpoints, called cluster_header:NAME, which has the
 * weight. Which cluster it is for a request only the user path can tell.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "config/model.h"

static const char prefix[] = "cluster_header:";

struct by_header {
	struct sl_walk *w;
	struct cfg_list *clusters;
	struct cfg_cluster *all; /* those of the config, then ours */
	__u32 n_config;
};

static const struct sl_node *name_of(struct by_header *b, const struct sl_node *header)
{
	struct sl_node *n = sl_arena_alloc(b->w->arena, sizeof(*n));
	char *s = sl_arena_alloc(b->w->arena, header->len + sizeof(prefix));

	if (!n || !s) {
		b->w->err = -ENOMEM;
		return header;
	}
	strcpy(s, prefix);
	for (__u32 i = 0; i < header->len; i++)
		s[sizeof(prefix) - 1 + i] = tolower((unsigned char)header->text[i]);
	*n = *header;
	n->text = s;
	n->len = strlen(s);
	return n;
}

/* The number of the cluster that stands for @header. */
static __u32 cluster_of(struct by_header *b, const struct sl_node *header)
{
	const struct sl_node *name = name_of(b, header);
	struct cfg_cluster *c;
	__u32 i = 0;

	while (i < b->clusters->n && (!b->all[i].name || strcmp(b->all[i].name->text, name->text)))
		i++;
	if (i < b->n_config)
		sl_error(b->w, header,
			 "the cluster at line %u has the name that stands for this header",
			 b->all[i].node->line);
	if (i < b->clusters->n)
		return i;
	if (i == SL_MAX_CLUSTERS)
		sl_error(
			b->w, header,
			"too many clusters, with one for each header that names some; the limit is "
			"%u (SL_MAX_CLUSTERS)",
			SL_MAX_CLUSTERS);
	c = &b->all[b->clusters->n++];
	c->node = header;
	c->name = name;
	c->by_header = true;
	return i;
}

static void each_member(const struct cfg_root *root, void (*fn)(void *ctx, struct cfg_weight *m),
			void *ctx)
{
	for (__u32 i = 0; i < root->n_configs; i++) {
		const struct cfg_list *vhosts = &root->configs[i]->vhosts;
		const struct cfg_vhost *v = vhosts->items;

		for (__u32 j = 0; j < vhosts->n; j++) {
			const struct cfg_route *r = v[j].routes.items;

			for (__u32 k = 0; k < v[j].routes.n; k++) {
				const struct cfg_list *l = &r[k].route.split.clusters;

				for (__u32 m = 0; m < l->n; m++)
					fn(ctx, &cfg_items(*l, struct cfg_weight)[m]);
			}
		}
	}
}

static void count(void *ctx, struct cfg_weight *m)
{
	*(__u32 *)ctx += m->header != NULL;
}

static void number(void *ctx, struct cfg_weight *m)
{
	if (m->header)
		m->cluster = cluster_of(ctx, m->header);
}

void sl_validate_by_header(struct sl_walk *w, struct cfg_root *root)
{
	struct cfg_list *clusters = &root->resources.clusters;
	struct by_header b = {.w = w, .clusters = clusters, .n_config = clusters->n};
	__u32 n = 0;

	each_member(root, count, &n);
	if (!n)
		return;
	b.all = sl_arena_alloc(w->arena, (clusters->n + n) * sizeof(*b.all));
	if (!b.all) {
		w->err = -ENOMEM;
		return;
	}
	if (clusters->n)
		memcpy(b.all, clusters->items, clusters->n * sizeof(*b.all));
	clusters->items = b.all;
	each_member(root, number, &b);
}
