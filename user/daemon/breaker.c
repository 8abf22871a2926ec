/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Circuit breakers of clusters (Envoy's thresholds). One exchange at a time is on a lane, so the
 * number of lanes bounds the requests of both paths: sl_cluster.max_lanes is the lesser of
 * max_connections and max_requests. What is left to decide here is what becomes of a
 * request for which no lane may be made: it waits, or it is answered 503.
 */
#include "internal.h"

__u32 breaker_overflow(struct worker *w, struct front *f)
{
	count_limit(w, SL_COUNT_UP_RQ_PENDING_OVERFLOW, f->x.cluster);
	f->x.why = RESET_REASON "overflow\n";
	f->x.overloaded = true;
	return 503;
}

bool breaker_pend(struct worker *w, struct front *f, __u32 spare)
{
	__u32 cluster = f->x.cluster;
	__u64 max;

	if (f->x.pending)
		return true;
	if (cluster >= SL_MAX_CLUSTERS || !limits_of_cluster(w, cluster)->max_pending)
		return false;
	max = (__u64)limits_of_cluster(w, cluster)->max_pending + spare;
	if (!count_below(&w->crew->n_pending[cluster], max))
		return false;
	f->x.pending = true;
	return true;
}

void breaker_unpend(struct worker *w, struct front *f)
{
	if (!f->x.pending)
		return;
	f->x.pending = false;
	sl_add(&w->crew->n_pending[f->x.cluster], -1);
}

bool breaker_requests_bind(const struct worker *w, __u32 cluster)
{
	const struct sl_cluster_limits *l = limits_of_cluster(w, cluster);

	return l->max_requests < l->max_connections;
}

/* Requests that are under way to @cluster or wait for a connection, on both paths. */
static __u64 under_way(const struct worker *w, __u32 cluster)
{
	__u64 n = SL_READ(w->crew->n_pending[cluster]);

	sl_each_endpoint (i, &w->maps->clusters[cluster], w->maps->endpoints)
		n += SL_READ(w->maps->endpoints[i].busy);
	return n;
}

/* ResourceManagerImpl::RetryBudgetImpl::max(), or max_retries. */
static __u64 max_retries(const struct worker *w, __u32 cluster)
{
	const struct sl_cluster_limits *l = limits_of_cluster(w, cluster);
	__u64 share;

	if (!l->has_budget)
		return l->max_retries;
	share = under_way(w, cluster) * l->retry_budget / 100000;
	return share > l->min_retries ? share : l->min_retries;
}

bool breaker_retry(struct worker *w, struct front *f)
{
	__u32 cluster = f->x.cluster;
	__u64 max;

	if (f->x.retrying)
		return true;
	max = cluster < SL_MAX_CLUSTERS ? max_retries(w, cluster) : 0;
	if (!max || !count_below(&w->crew->n_retrying[cluster], max)) {
		count_limit(w, SL_COUNT_UP_RQ_RETRY_OVERFLOW, cluster);
		return false;
	}
	f->x.retrying = true;
	return true;
}

void breaker_forget(struct worker *w, struct front *f)
{
	breaker_unpend(w, f);
	if (!f->x.retrying)
		return;
	f->x.retrying = false;
	sl_add(&w->crew->n_retrying[f->x.cluster], -1);
}
