// SPDX-License-Identifier: GPL-2.0-only
/* Rules of network namespaces and of attached listeners. */
#include <string.h>

#include "config/model.h"

/* Gives @sa the number of its namespace; see sl_listener.netns. */
static void number(struct sl_walk *w, struct cfg_root *root, struct cfg_socket_address *sa)
{
	if (!sa->netns)
		return;
	if (sa->netns->text[0] != '/') {
		sl_error(w, sa->netns, "the path of a network namespace begins with '/'");
		return;
	}
	for (__u32 i = 0; i < root->n_netns; i++) {
		if (strcmp(root->netns[i]->text, sa->netns->text))
			continue;
		sa->netns_index = i + 1;
		return;
	}
	if (root->n_netns == SL_MAX_NETNS) {
		sl_error(w, sa->netns,
			 "too many network namespaces; the limit is %u (SL_MAX_NETNS)",
			 SL_MAX_NETNS);
		return;
	}
	root->netns[root->n_netns++] = sa->netns;
	sa->netns_index = root->n_netns;
}

static void number_cluster(struct sl_walk *w, struct cfg_root *root, struct cfg_cluster *c)
{
	struct cfg_locality *loc = c->assignment.endpoints.items;

	for (__u32 i = 0; i < c->hosts.n; i++)
		number(w, root, &cfg_items(c->hosts, struct cfg_address)[i].socket);
	for (__u32 i = 0; i < c->assignment.endpoints.n; i++) {
		struct cfg_lb_endpoint *lb = loc[i].lb_endpoints.items;

		for (__u32 j = 0; j < loc[i].lb_endpoints.n; j++)
			number(w, root, &lb[j].endpoint.address.socket);
	}
}

void sl_validate_netns(struct sl_walk *w, struct cfg_root *root)
{
	struct cfg_static *r = &root->resources;

	for (__u32 i = 0; i < r->listeners.n; i++)
		number(w, root, &cfg_items(r->listeners, struct cfg_listener)[i].address.socket);
	for (__u32 i = 0; i < r->clusters.n; i++)
		number_cluster(w, root, &cfg_items(r->clusters, struct cfg_cluster)[i]);
}

/* The one route that takes whatever comes: all that can be told at SYN time. */
static bool takes_everything(const struct cfg_route_config *rc)
{
	const struct cfg_vhost *v = rc->vhosts.items;
	const struct cfg_route *r;

	if (rc->vhosts.n != 1 || v->routes.n != 1)
		return false;
	r = v->routes.items;
	return r->route.node && r->match.prefix && !strcmp(r->match.prefix->text, "/") &&
	       !r->match.headers.n && !r->match.queries.n && !r->match.cookies.n &&
	       !r->match.fraction.node;
}

static void check_l4(struct sl_walk *w, const struct cfg_root *root, const struct cfg_listener *l)
{
	if (!l->sluice.attach.value)
		sl_error(w, l->sluice.l4.node, "'l4: true' needs 'attach: true' beside it");
	else if (root->n_configs && !takes_everything(root->configs[l->config]))
		sl_error(w, l->sluice.l4.node,
			 "with 'l4: true' connections are split before a byte is read: the routes "
			 "must be one, 'prefix: \"/\"' without headers, to a cluster or to "
			 "weighted_clusters");
}

void sl_validate_attach(struct sl_walk *w, const struct cfg_root *root)
{
	const struct cfg_list *list = &root->resources.listeners;

	for (__u32 i = 0; i < list->n; i++) {
		const struct cfg_listener *l = &cfg_items(*list, struct cfg_listener)[i];

		if (l->sluice.l4.value)
			check_l4(w, root, l);
	}
}
