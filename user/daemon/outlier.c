// SPDX-License-Identifier: GPL-2.0-only
/*
 * Outlier detection: endpoints that fail several times one after another leave the view for a
 * while. Both paths count (sl_outcome.h). Rules: Envoy's outlier_detection_impl.cc.
 */
#include "sl_outcome.h"
#include "health.h"

static const struct sl_outlier *rules_of(const struct worker *w, __u32 endpoint)
{
	return &health_rules(w, w->maps->endpoints[endpoint].cluster)->outlier;
}

static __u32 chance(struct worker *w, __u32 n)
{
	w->random = sl_mix(w->random + 1);
	return n ? (w->random >> 32) % n : 0;
}

static void counts_reset(struct sl_endpoint *e)
{
	SL_WRITE(e->n_5xx, 0);
	SL_WRITE(e->n_gateway, 0);
}

/* max_ejection_percent: may one more of the cluster go? */
static bool may_eject(const struct worker *w, __u32 endpoint, const struct sl_outlier *o)
{
	const struct sl_cluster *c = &w->maps->clusters[w->maps->endpoints[endpoint].cluster];
	__u32 n = 0, ejected = 0;

	sl_each_endpoint (i, c, w->maps->endpoints) {
		n++;
		ejected += !!(w->maps->hosts[i].flags & SL_HOST_EJECTED);
	}
	if (o->always_one && !ejected)
		return true;
	return n && 100.0 * (ejected + 1) / n <= o->max_percent;
}

static void eject(struct worker *w, __u32 endpoint, const struct sl_outlier *o, __u32 enforcing)
{
	__u32 cluster = w->maps->endpoints[endpoint].cluster;
	struct sl_host *h = &w->maps->hosts[endpoint];

	if (!may_eject(w, endpoint, o)) {
		count_limit(w, SL_COUNT_EJECTIONS_OVERFLOW, cluster);
		return;
	}
	if (chance(w, 100) >= enforcing)
		return;
	h->ejections++;
	h->ejected_ns = w->now_ns;
	h->jitter_ms = chance(w, o->jitter_ms + 1);
	if ((__u64)h->backoff * o->base_ms < (__u64)o->max_ms + o->base_ms)
		h->backoff++;
	h->flags |= SL_HOST_EJECTED;
	count_limit(w, SL_COUNT_EJECTIONS, cluster);
	balance_update(w, cluster);
}

void outlier_look(struct worker *w, __u32 endpoint)
{
	struct sl_endpoint *e = &w->maps->endpoints[endpoint];
	struct sl_host *h = &w->maps->hosts[endpoint];
	const struct sl_outlier *o;
	__u32 n_5xx = SL_READ(e->n_5xx), n_gateway = SL_READ(e->n_gateway);

	if (!w->health || !(e->flags & SL_ENDPOINT_WATCHED) || (h->flags & SL_HOST_EJECTED))
		return;
	o = rules_of(w, endpoint);
	if (o->consecutive_gateway && n_gateway >= o->consecutive_gateway) {
		eject(w, endpoint, o, o->enforce_gateway);
		SL_WRITE(e->n_gateway, 0);
	}
	if (o->consecutive_5xx && n_5xx >= o->consecutive_5xx) {
		if (!(h->flags & SL_HOST_EJECTED))
			eject(w, endpoint, o, o->enforce_5xx);
		SL_WRITE(e->n_5xx, 0);
	}
}

void outlier_report(struct worker *w, __u32 endpoint, __u32 status)
{
	const struct mail look = {.kind = MAIL_ENDPOINT, .index = endpoint};

	if (endpoint >= SL_MAX_ENDPOINTS || !sl_outcome(&w->maps->endpoints[endpoint], status))
		return;
	if (is_main(w))
		outlier_look(w, endpoint);
	else
		(void)crew_write(w->crew->all[0], &look);
}

void outlier_back(struct worker *w, __u32 endpoint)
{
	struct sl_host *h = &w->maps->hosts[endpoint];

	if (!(h->flags & SL_HOST_EJECTED))
		return;
	h->flags &= ~SL_HOST_EJECTED;
	counts_reset(&w->maps->endpoints[endpoint]);
	balance_update(w, w->maps->endpoints[endpoint].cluster);
}

void outlier_interval(struct worker *w, __u32 endpoint)
{
	const struct sl_outlier *o = rules_of(w, endpoint);
	struct sl_host *h = &w->maps->hosts[endpoint];
	__u64 ms = (__u64)o->base_ms * h->backoff;

	outlier_look(w, endpoint); /* an event may have been lost */
	if (!(h->flags & SL_HOST_EJECTED)) {
		h->backoff -= !!h->backoff;
		return;
	}
	ms = (ms < o->max_ms ? ms : o->max_ms) + h->jitter_ms;
	if (w->now_ns - h->ejected_ns >= ms * NS_PER_MS)
		outlier_back(w, endpoint);
}

void outlier_config(struct worker *w, __u32 endpoint, const struct sl_outlier *o)
{
	struct sl_endpoint *e = &w->maps->endpoints[endpoint];

	SL_WRITE(e->limit_5xx, o->consecutive_5xx);
	SL_WRITE(e->limit_gateway, o->consecutive_gateway);
	if (o->interval_ms) {
		SL_WRITE(e->flags, e->flags | SL_ENDPOINT_WATCHED);
		return;
	}
	SL_WRITE(e->flags, e->flags & ~SL_ENDPOINT_WATCHED);
	w->maps->hosts[endpoint].flags &= ~SL_HOST_EJECTED;
}
