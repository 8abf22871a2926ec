// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tables for policies by hash: Envoy's ring (ring_hash_lb.cc) and Maglev (maglev_lb.cc; Eisenbud
 * et al. 2016). Places depend on the endpoints' addresses and weights alone.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "balance/balance.h"

static __u64 weights(const struct sl_lb_host *const *hosts, __u32 n, __u32 *ret_max)
{
	__u64 total = 0;

	*ret_max = 0;
	for (__u32 i = 0; i < n; i++) {
		total += hosts[i]->weight;
		*ret_max = hosts[i]->weight > *ret_max ? hosts[i]->weight : *ret_max;
	}
	return total;
}

/* Addresses in order: the table does not depend on the order in the file. */
static int by_id(const void *a, const void *b)
{
	const struct sl_lb_host *x = *(const struct sl_lb_host *const *)a;
	const struct sl_lb_host *y = *(const struct sl_lb_host *const *)b;

	return x->id < y->id ? -1 : x->id > y->id;
}

static const struct sl_lb_host **sorted(const struct sl_lb_host *const *hosts, __u32 n)
{
	const struct sl_lb_host **copy = malloc(n * sizeof(*copy));

	if (!copy)
		return NULL;
	memcpy(copy, hosts, n * sizeof(*copy));
	qsort(copy, n, sizeof(*copy), by_id);
	return copy;
}

/* ---- ring ---- */

struct point {
	__u32 hash;
	__u32 endpoint;
	__u64 id;
};

static int by_hash(const void *a, const void *b)
{
	const struct point *x = a, *y = b;

	if (x->hash != y->hash)
		return x->hash < y->hash ? -1 : 1;
	return x->id < y->id ? -1 : x->id > y->id;
}

int sl_lb_ring(const struct sl_cluster_lb *lb, const struct sl_lb_host *const *hosts, __u32 n,
	       __u32 least, __u64 total, struct sl_lb_slots *slots, __u32 *ret_ref)
{
	const struct sl_lb_host **all = sorted(hosts, n);
	__u32 k = 0, max = lb->ring_max + n;
	double scale = ceil((double)least / total * lb->ring_min) / ((double)least / total);
	struct point *points = calloc(max, sizeof(*points));
	int at = -ENOMEM;

	if (!all || !points)
		goto out;
	if (scale > lb->ring_max)
		scale = lb->ring_max;
	for (__u32 i = 0; i < n; i++) {
		double points_of = ceil(scale * ((double)all[i]->weight / total));

		for (__u32 j = 0; j < points_of && k < max; j++, k++)
			points[k] = (struct point){
				.hash = sl_mix(sl_mix(all[i]->id) + j) >> 32,
				.endpoint = all[i]->endpoint,
				.id = all[i]->id,
			};
	}
	qsort(points, k, sizeof(*points), by_hash);
	at = sl_lb_slots_add(slots, 1 + (k + 1) / 2);
	if (at < 0)
		goto out;
	slots->items[at].w[0] = k;
	for (__u32 i = 0; i < k; i++) {
		__u32 *w = &slots->items[at + 1 + i / 2].w[(i & 1) * 2];

		w[0] = points[i].hash;
		w[1] = points[i].endpoint;
	}
	*ret_ref = SL_REF_RING | at;
out:
	free(all);
	free(points);
	return at < 0 ? at : 0;
}

/* ---- Maglev ---- */

struct entry {
	__u64 offset;
	__u64 skip;
	__u64 next;
	double weight; /* of the sum */
	double target;
};

static void maglev_fill(struct entry *e, const struct sl_lb_host *const *hosts, __u32 n,
			double most, __u32 size, __u32 *table)
{
	__u32 left = size;

	for (__u32 round = 1; left; round++) {
		for (__u32 i = 0; i < n && left; i++) {
			__u64 c;

			/* One of a third of the greatest weight is taken every third round. */
			if (round * e[i].weight < e[i].target)
				continue;
			e[i].target += most;
			do {
				c = (e[i].offset + e[i].skip * e[i].next++) % size;
			} while (table[c] != SL_NO_ENDPOINT);
			table[c] = hosts[i]->endpoint;
			left--;
		}
	}
}

int sl_lb_maglev(const struct sl_cluster_lb *lb, const struct sl_lb_host *const *hosts, __u32 n,
		 struct sl_lb_slots *slots, __u32 *ret_ref)
{
	const struct sl_lb_host **all = sorted(hosts, n);
	__u32 most, size = lb->table_size, *table;
	__u64 total = weights(hosts, n, &most);
	struct entry *e = calloc(n, sizeof(*e));
	int at = sl_lb_slots_add(slots, 1 + (size + 3) / 4);

	if (at < 0 || !all || !e) {
		free(all);
		free(e);
		return -ENOMEM;
	}
	for (__u32 i = 0; i < n; i++) {
		e[i].offset = sl_mix(all[i]->id) % size;
		e[i].skip = sl_mix(all[i]->id + 1) % (size - 1) + 1;
		e[i].weight = (double)all[i]->weight / total;
	}
	slots->items[at].w[0] = size;
	table = slots->items[at + 1].w;
	memset(table, 0xff, (size_t)(size + 3) / 4 * sizeof(*slots->items));
	maglev_fill(e, all, n, (double)most / total, size, table);
	*ret_ref = SL_REF_MAGLEV | at;
	free(all);
	free(e);
	return 0;
}

__u32 sl_lb_slots_max(const struct sl_cluster_lb *lb, __u32 n)
{
	__u32 tables = n < SL_MAX_PRIORITIES ? n : SL_MAX_PRIORITIES;

	if (lb->policy == SL_LB_RING_HASH)
		return n + tables * (3 + lb->ring_max / 2);
	if (lb->policy == SL_LB_MAGLEV)
		return tables * (2 + (lb->table_size + 3) / 4);
	return n + SL_MAX_PRIORITIES;
}
