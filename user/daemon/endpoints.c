// SPDX-License-Identifier: GPL-2.0-only
/*
 * Slots of the map `endpoints`, and a name's new addresses. An endpoint that has left its cluster
 * keeps its slot for a while: see left.c.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/place.h"
#include "internal.h"

__u32 endpoints_top(const struct worker *w)
{
	__u32 n = SL_READ(w->maps->control->n_endpoints);

	return n < SL_MAX_ENDPOINTS ? n : SL_MAX_ENDPOINTS;
}

void endpoint_begin(struct worker *w, __u32 i, const struct sl_endpoint *e)
{
	struct sl_endpoint *live = &w->maps->endpoints[i];

	*live = *e;
	live->busy = 0;
	w->maps->hosts[i] = (struct sl_host){.healthy_ns = w->now_ns};
}

/* ---- a name's new addresses ---- */

struct update {
	__u32 cluster;
	__u32 n;
	struct sl_endpoint want[SL_MAX_ENDPOINTS];
	struct sl_host_config hosts[SL_MAX_ENDPOINTS];
	__u32 at[SL_MAX_ENDPOINTS];	 /* their slots */
	__u32 leaving[SL_MAX_ENDPOINTS]; /* slots of those that are not wanted any more */
	__u32 n_leaving;
	__u8 taken[SL_MAX_ENDPOINTS];
};

/* The one endpoint of LOGICAL_DNS: new connections go elsewhere, those that there are stay. */
static bool move_logical(struct worker *w, const struct update *u)
{
	const struct sl_compiled *c = w->args->compiled;
	const struct sl_member *m = &c->members[u->hosts[0].member];
	struct sl_cluster *cl = &w->maps->clusters[u->cluster];
	struct sl_endpoint *e;

	if (u->n != 1 || cl->n_endpoints != 1 || m->name == SL_NO_NAME ||
	    !c->names[m->name].rules.logical)
		return false;
	e = &w->maps->endpoints[sl_endpoint_first(cl) % SL_MAX_ENDPOINTS];
	memcpy(e->addr, u->want[0].addr, sizeof(e->addr));
	SL_WRITE(e->family, u->want[0].family);
	return true;
}

static void come(struct worker *w, const struct update *u, __u32 k)
{
	struct sl_host_config *known = (struct sl_host_config *)w->args->compiled->hosts;
	struct sl_endpoint *e = &w->maps->endpoints[u->at[k]];

	if (!e->family) {
		endpoint_begin(w, u->at[k], &u->want[k]);
		e->flags |= SL_ENDPOINT_OUT;
	}
	known[u->at[k]] = u->hosts[k];
	w->maps->hosts[u->at[k]].member = u->hosts[k].member + 1;
	if (u->at[k] >= endpoints_top(w))
		SL_WRITE(w->maps->control->n_endpoints, u->at[k] + 1);
	/* It may have left a moment ago. */
	SL_WRITE(e->flags, e->flags & ~SL_ENDPOINT_DRAINING);
}

/* From the last to the first, so that whoever walks the list comes to an end. */
static void list_make(struct worker *w, const struct update *u)
{
	for (__u32 k = u->n; k-- > 0;)
		SL_WRITE(w->maps->endpoints[u->at[k]].next, k + 1 < u->n ? u->at[k + 1] + 1 : 0);
	sl_cluster_range_set(&w->maps->clusters[u->cluster],
			     (__u64)u->n << 32 | (u->n ? u->at[0] : 0));
}

static void find_leaving(struct worker *w, struct update *u)
{
	sl_each_endpoint (i, &w->maps->clusters[u->cluster], w->maps->endpoints)
		if (!u->taken[i])
			u->leaving[u->n_leaving++] = i;
}

static void update(struct worker *w, struct update *u)
{
	struct places p = {.live = w->maps->endpoints, .taken = u->taken};

	u->n = sl_members_of(w->args->compiled, u->cluster, u->want, u->hosts, SL_MAX_ENDPOINTS);
	if (move_logical(w, u))
		return;
	if (places_find(&p, u->cluster, u->want, u->n, u->at)) {
		fprintf(stderr, "sluice: cluster '%.*s': no room for its %u addresses\n",
			SL_NAME_MAX, w->maps->clusters[u->cluster].name, u->n);
		return;
	}
	find_leaving(w, u);
	for (__u32 k = 0; k < u->n; k++)
		come(w, u, k);
	list_make(w, u);
	for (__u32 k = 0; k < u->n; k++)
		health_begin(w, u->at[k]);
	/* Whoever leaves is in no view before its door is shut. */
	balance_update(w, u->cluster);
	for (__u32 k = 0; k < u->n_leaving; k++) {
		struct sl_endpoint *e = &w->maps->endpoints[u->leaving[k]];

		SL_WRITE(e->flags, e->flags | SL_ENDPOINT_DRAINING);
		health_end(w, u->leaving[k]);
	}
	if (u->n_leaving)
		left_changed(w);
}

void endpoints_update(struct worker *w, __u32 cluster)
{
	struct update *u = calloc(1, sizeof(*u));

	if (!u)
		return;
	u->cluster = cluster;
	crew_pause(w);
	update(w, u);
	crew_resume(w);
	free(u);
	count_limit(w, SL_COUNT_MEMBERSHIP_CHANGE, cluster);
}
