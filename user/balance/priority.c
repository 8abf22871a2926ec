// SPDX-License-Identifier: GPL-2.0-only
/* The load of priorities: LoadBalancerBase of Envoy's load_balancer_impl.cc, function by function.
 */
#include <string.h>

#include "balance/balance.h"

struct level {
	__u32 hosts;
	__u32 healthy;
	__u32 health; /* percent, overprovisioned */
};

static __u32 min(__u32 a, __u32 b)
{
	return a < b ? a : b;
}

/* recalculateLoadInTotalPanic(): by the number of endpoints, healthy or not. */
static void total_panic(const struct level *levels, __u32 n_hosts, struct sl_lb_loads *ret)
{
	__u32 left = 100, first = SL_MAX_PRIORITIES;

	if (!n_hosts) {
		ret->load[0] = 100;
		return;
	}
	for (__u32 i = 0; i < ret->n; i++) {
		if (first == SL_MAX_PRIORITIES && levels[i].hosts)
			first = i;
		ret->load[i] = (__u64)100 * levels[i].hosts / n_hosts;
		left -= ret->load[i];
	}
	ret->load[first] += left;
}

/* distributeLoad(), and what rounding has left to the first that is available. */
static void distribute(const struct level *levels, __u32 available, struct sl_lb_loads *ret)
{
	__u32 left = 100, first = SL_MAX_PRIORITIES;

	for (__u32 i = 0; i < ret->n; i++) {
		if (first == SL_MAX_PRIORITIES && levels[i].health)
			first = i;
		ret->load[i] = min(left, levels[i].health * 100 / available);
		left -= ret->load[i];
	}
	ret->load[first] += left;
}

/* isHostSetInPanic() */
static bool in_panic(const struct sl_cluster_lb *lb, const struct level *l)
{
	return (l->hosts ? 100.0 * l->healthy / l->hosts : 0) < min(100, lb->panic);
}

void sl_lb_loads(const struct sl_cluster_lb *lb, const struct sl_lb_host *hosts, __u32 n,
		 struct sl_lb_loads *ret)
{
	struct level levels[SL_MAX_PRIORITIES] = {0};
	__u32 available = 0;
	bool all = true;

	memset(ret, 0, sizeof(*ret));
	ret->n = 1;
	for (__u32 i = 0; i < n; i++) {
		struct level *l = &levels[hosts[i].priority];

		l->hosts++;
		l->healthy += hosts[i].healthy;
		if (hosts[i].priority >= ret->n)
			ret->n = hosts[i].priority + 1;
	}
	for (__u32 i = 0; i < ret->n; i++) {
		struct level *l = &levels[i];

		if (l->hosts)
			l->health = min(100, (__u64)lb->overprovisioning * l->healthy / l->hosts);
		available = min(100, available + l->health);
	}
	if (available)
		distribute(levels, available, ret);
	if (!lb->panic && !available) {
		ret->load[0] = 100;
		return;
	}
	for (__u32 i = 0; i < ret->n; i++) {
		ret->panic[i] = available < 100 && in_panic(lb, &levels[i]);
		all = all && ret->panic[i];
	}
	if (all)
		total_panic(levels, n, ret);
}
