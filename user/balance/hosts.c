// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "balance/balance.h"

__u64 sl_lb_id(const struct sl_endpoint *e)
{
	__u64 words[2];

	memcpy(words, e->addr, sizeof(words));
	return sl_mix(sl_mix(sl_mix(words[0]) ^ words[1]) ^ ((__u64)e->port << 8 | e->family));
}

__u32 sl_lb_slow_start(const struct sl_slow_start *s, __u32 weight, __u64 age_ms)
{
	double whole = weight > 4000000 ? 4294967295. : weight * 1000., factor;

	if (age_ms >= s->window_ms)
		return whole;
	factor = pow((age_ms ? age_ms : 1) / (double)s->window_ms, 1000. / s->aggression);
	if (factor < s->min_percent / 100000.)
		factor = s->min_percent / 100000.;
	return whole * factor < 1 ? 1 : whole * factor;
}

__u32 sl_lb_hosts(const struct sl_cluster *cl, const struct sl_endpoint *endpoints,
		  const struct sl_host_config *hosts, struct sl_lb_host *ret)
{
	__u32 n = 0;

	sl_each_endpoint (i, cl, endpoints) {
		ret[n++] = (struct sl_lb_host){
			.endpoint = i,
			.weight = hosts ? hosts[i].weight : 1,
			.priority = hosts ? hosts[i].priority : 0,
			.healthy = !hosts || !hosts[i].unhealthy,
			.id = sl_lb_id(&endpoints[i]),
		};
	}
	return n;
}

static int first_view(struct sl_compiled *c, __u32 cluster, struct sl_lb_host *hosts,
		      struct sl_lb_slots *all)
{
	struct sl_cluster *cl = &c->clusters[cluster];
	__u32 n = sl_lb_hosts(cl, c->endpoints, c->hosts, hosts);
	struct sl_lb_slots slots = {0};
	int err = sl_lb_view(&c->cluster_lbs[cluster], hosts, n, &slots, &cl->view), at;

	/* No room: the worker knows what to do without. */
	if (err || slots.n > SL_LB_SLOTS - all->n) {
		cl->view = 0;
		free(slots.items);
		return err;
	}
	at = sl_lb_slots_add(all, slots.n);
	if (at >= 0 && slots.n) {
		cl->view = sl_lb_slots_move(&slots, at, cl->view);
		cl->regions[0] = (struct sl_region){at, slots.n};
		memcpy(all->items + at, slots.items, slots.n * sizeof(*slots.items));
	}
	for (__u32 i = 0; i < n; i++) {
		struct sl_endpoint *e = &c->endpoints[hosts[i].endpoint];

		e->weight = hosts[i].weight;
		if (!hosts[i].picked)
			e->flags |= SL_ENDPOINT_OUT;
	}
	free(slots.items);
	return at < 0 ? at : 0;
}

int sl_lb_first(struct sl_compiled *c, struct sl_lb_slot **ret_slots, __u32 *ret_n)
{
	struct sl_lb_host *hosts = calloc(SL_MAX_ENDPOINTS, sizeof(*hosts));
	struct sl_lb_slots all = {0};
	int err = hosts ? 0 : -ENOMEM;

	for (__u32 i = 0; i < c->table->n_clusters && !err; i++)
		err = first_view(c, i, hosts, &all);
	free(hosts);
	*ret_slots = all.items;
	*ret_n = all.n;
	return err;
}
