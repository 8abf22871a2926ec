// SPDX-License-Identifier: GPL-2.0-only
#include "attach/l4.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "attach/sockets.h"
#include "attach/target.h"

static void cluster_endpoints(const struct sl_maps *m, __u32 cluster,
			      void (*fn)(void *ctx, __u32 cluster, __u32 endpoint), void *ctx)
{
	if (cluster >= SL_MAX_CLUSTERS)
		return;
	sl_each_endpoint (i, &m->clusters[cluster], m->endpoints)
		fn(ctx, cluster, i);
}

void sl_l4_endpoints(const struct sl_maps *m, const struct sl_attach_point *p,
		     void (*fn)(void *ctx, __u32 cluster, __u32 endpoint), void *ctx)
{
	struct sl_split split;

	if (p->action == SL_ACTION_CLUSTER) {
		cluster_endpoints(m, p->target, fn, ctx);
		return;
	}
	if (sl_maps_split_get(m, p->target, &split))
		return;
	for (__u32 i = 0; i < split.n_targets && i < SL_MAX_SPLIT_TARGETS; i++)
		cluster_endpoints(m, split.targets[i].cluster, fn, ctx);
}

struct refresh {
	const struct sl_maps *m;
	__u32 netns_index;
	const struct sl_listening *all;
	__u32 n;
};

/* The slot among @endpoint's for a socket with @cookie: a free one; -1: it is there, or all are
 * taken. */
static int slot_for(const struct sl_maps *m, __u32 endpoint, __u64 cookie)
{
	int slot = -1;

	for (__u32 i = 0; i < SL_L4_SOCKETS; i++) {
		__u32 at = endpoint * SL_L4_SOCKETS + i;
		__u64 have = sl_maps_sockmap_cookie(m->l4_sockets_fd, at);

		if (have == cookie)
			return -1;
		if (!have && slot < 0)
			slot = at;
	}
	return slot;
}

static void take_in(const struct sl_maps *m, __u32 endpoint, const struct sl_listening *l)
{
	int slot = slot_for(m, endpoint, l->cookie), fd;
	struct sl_owner owner = {.inode = l->inode};

	if (slot < 0 || sl_owners_find(&owner, 1) || !owner.pid)
		return;
	fd = sl_owner_socket(&owner, l->cookie);
	if (fd < 0)
		return;
	(void)sl_maps_sockmap_set(m->l4_sockets_fd, slot, fd);
	/* The map holds the socket without holding it open. */
	close(fd);
}

static void look_for(void *ctx, __u32 cluster, __u32 endpoint)
{
	struct refresh *r = ctx;
	const struct sl_endpoint *e = &r->m->endpoints[endpoint];
	struct sl_address a = {.port = e->port, .family = e->family};
	struct sl_target t;

	(void)cluster;
	if (SL_ENDPOINT_NETNS(e) != r->netns_index)
		return;
	memcpy(a.addr, e->addr, sizeof(a.addr));
	if (sl_target_find(r->all, r->n, &a, &t))
		return;
	for (__u32 i = 0; i < r->n; i++)
		if (sl_address_equal(&r->all[i].address, &t.first.address))
			take_in(r->m, endpoint, &r->all[i]);
}

void sl_l4_refresh(const struct sl_maps *m, const struct sl_attach_point *p, __u32 netns_index,
		   int netns)
{
	struct refresh r = {.m = m, .netns_index = netns_index};
	struct sl_listening *all = NULL;

	if (sl_listening_list(netns, &all, &r.n))
		return;
	r.all = all;
	sl_l4_endpoints(m, p, look_for, &r);
	free(all);
}
