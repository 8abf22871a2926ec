// SPDX-License-Identifier: GPL-2.0-only
/* When what is done for the health of endpoints, and for which. */
#include "health.h"

#include <errno.h>
#include <stdlib.h>

const struct sl_cluster_lb *health_rules(const struct worker *w, __u32 cluster)
{
	const struct sl_compiled *c = w->health->config;

	if (!c->cluster_lbs || cluster >= c->table->n_clusters)
		return &sl_cluster_lb_defaults;
	return &c->cluster_lbs[cluster];
}

/* Calls @fn for each endpoint of @cluster that the config has. */
static void each(struct worker *w, __u32 cluster,
		 void (*fn)(struct worker *w, __u32 endpoint, const struct sl_cluster_lb *lb))
{
	const struct sl_cluster_lb *lb = health_rules(w, cluster);
	const struct sl_cluster *c = &w->maps->clusters[cluster];

	sl_each_endpoint (i, c, w->maps->endpoints)
		fn(w, i, lb);
}

static void config_at_start(struct worker *w, __u32 endpoint, const struct sl_cluster_lb *lb)
{
	outlier_config(w, endpoint, &lb->outlier);
	check_config(w, endpoint, &lb->check, true);
}

static void config_later(struct worker *w, __u32 endpoint, const struct sl_cluster_lb *lb)
{
	outlier_config(w, endpoint, &lb->outlier);
	check_config(w, endpoint, &lb->check, false);
}

static void interval_done(struct worker *w, __u32 endpoint, const struct sl_cluster_lb *lb)
{
	(void)lb;
	outlier_interval(w, endpoint);
}

static void configure(struct worker *w, const struct sl_compiled *c, bool at_start)
{
	const struct sl_health_check none = {0};

	w->health->config = c;
	w->health->due_ns = 0;
	for (__u32 i = 0; i < SL_MAX_ENDPOINTS; i++)
		if (w->health->checks[i] && (w->maps->endpoints[i].flags & SL_ENDPOINT_DRAINING))
			check_config(w, i, &none, false);
	for (__u32 i = 0; i < SL_MAX_CLUSTERS; i++) {
		w->health->interval_ns[i] = 0;
		if (i < c->table->n_clusters)
			each(w, i, at_start ? config_at_start : config_later);
	}
}

void health_config(struct worker *w, const struct sl_compiled *c)
{
	if (w->health)
		configure(w, c, false);
}

int health_init(struct worker *w)
{
	w->health = calloc(1, sizeof(*w->health));
	if (!w->health)
		return -ENOMEM;
	list_init(&w->health->dead);
	configure(w, w->args->compiled, true);
	return 0;
}

void health_free(struct worker *w)
{
	const struct sl_health_check none = {0};

	if (!w->health)
		return;
	for (__u32 i = 0; i < SL_MAX_ENDPOINTS; i++)
		if (w->health->checks[i])
			check_config(w, i, &none, false);
	checks_bury(w);
	free(w->health);
	w->health = NULL;
}

void health_begin(struct worker *w, __u32 endpoint)
{
	if (w->health)
		config_later(w, endpoint, health_rules(w, w->maps->endpoints[endpoint].cluster));
}

void health_end(struct worker *w, __u32 endpoint)
{
	const struct sl_health_check none = {0};

	if (w->health && w->health->checks[endpoint])
		check_config(w, endpoint, &none, false);
}

static void intervals(struct worker *w, __u64 *due)
{
	struct health *h = w->health;

	for (__u32 i = 0; i < h->config->table->n_clusters && i < SL_MAX_CLUSTERS; i++) {
		__u64 ns = health_rules(w, i)->outlier.interval_ms * NS_PER_MS;

		if (!ns)
			continue;
		if (h->interval_ns[i] && h->interval_ns[i] <= w->now_ns)
			each(w, i, interval_done);
		if (h->interval_ns[i] <= w->now_ns)
			h->interval_ns[i] = w->now_ns + ns;
		*due = h->interval_ns[i] < *due ? h->interval_ns[i] : *due;
	}
}

void health_tick(struct worker *w)
{
	struct health *h = w->health;
	__u64 due = ~0ULL;

	if (!h || w->draining)
		return;
	checks_bury(w);
	if (h->due_ns > w->now_ns)
		return;
	h->due_ns = ~0ULL;
	for (__u32 i = 0; i < SL_MAX_ENDPOINTS; i++) {
		__u64 next = h->checks[i] ? check_tick(w, h->checks[i]) : due;

		due = next < due ? next : due;
	}
	intervals(w, &due);
	h->due_ns = due < h->due_ns ? due : h->due_ns;
}

__u64 health_due(const struct worker *w)
{
	return w->health && !w->draining ? w->health->due_ns : ~0ULL;
}
