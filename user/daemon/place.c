// SPDX-License-Identifier: GPL-2.0-only
#include "daemon/place.h"

#include <errno.h>
#include <string.h>

bool same_address(const struct sl_endpoint *a, const struct sl_endpoint *b)
{
	return a->family == b->family && a->port == b->port &&
	       SL_ENDPOINT_NETNS(a) == SL_ENDPOINT_NETNS(b) &&
	       !memcmp(a->addr, b->addr, sizeof(a->addr));
}

static bool is_it(const struct places *p, __u32 at, __u32 cluster, const struct sl_endpoint *want)
{
	const struct sl_endpoint *e = &p->live[at];

	return e->family && e->cluster == cluster && !p->taken[at] && same_address(e, want);
}

/* The slot of @want; most of a cluster's endpoints are one behind the other, so @hint first. */
static __u32 find_known(const struct places *p, __u32 cluster, const struct sl_endpoint *want,
			__u32 hint)
{
	if (hint < SL_MAX_ENDPOINTS && is_it(p, hint, cluster, want))
		return hint;
	for (__u32 i = 0; i < SL_MAX_ENDPOINTS; i++)
		if (is_it(p, i, cluster, want))
			return i;
	return SL_NO_ENDPOINT;
}

static __u32 find_free(struct places *p)
{
	while (p->free_from < SL_MAX_ENDPOINTS &&
	       (p->taken[p->free_from] || p->live[p->free_from].family))
		p->free_from++;
	return p->free_from;
}

int places_find(struct places *p, __u32 cluster, const struct sl_endpoint *want, __u32 n,
		__u32 *ret_at)
{
	__u32 hint = SL_NO_ENDPOINT;

	for (__u32 i = 0; i < n; i++) {
		ret_at[i] = find_known(p, cluster, &want[i], hint);
		if (ret_at[i] == SL_NO_ENDPOINT)
			continue;
		p->taken[ret_at[i]] = 1;
		hint = ret_at[i] + 1;
	}
	for (__u32 i = 0; i < n; i++) {
		if (ret_at[i] != SL_NO_ENDPOINT)
			continue;
		ret_at[i] = find_free(p);
		if (ret_at[i] == SL_MAX_ENDPOINTS)
			return -ENOSPC;
		p->taken[ret_at[i]] = 1;
	}
	return 0;
}
