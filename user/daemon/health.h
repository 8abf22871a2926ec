/* SPDX-License-Identifier: GPL-2.0-only */
/* The health of endpoints: active checks (check.c) and outlier detection (outlier.c). */
#ifndef SL_DAEMON_HEALTH_H
#define SL_DAEMON_HEALTH_H

#include "config/cluster_lb.h"
#include "internal.h"

struct check;

struct health {
	const struct sl_compiled *config;
	__u64 due_ns;				/* nothing is to be done before */
	struct check *checks[SL_MAX_ENDPOINTS]; /* NULL: not checked */
	__u64 interval_ns[SL_MAX_CLUSTERS];	/* next outlier_interval(); 0: none */
	struct list dead;			/* checks, freed when no event can name them */
};

const struct sl_cluster_lb *health_rules(const struct worker *w, __u32 cluster);

/* check.c */
/* The check of @endpoint is as @rules say from now on (interval 0: there is none). */
void check_config(struct worker *w, __u32 endpoint, const struct sl_health_check *rules,
		  bool at_start);
/* Does what is due; when it wants to be called again. */
__u64 check_tick(struct worker *w, struct check *c);
void checks_bury(struct worker *w);

/* outlier.c */
void outlier_config(struct worker *w, __u32 endpoint, const struct sl_outlier *o);
/* Every `interval`. */
void outlier_interval(struct worker *w, __u32 endpoint);
/* The endpoint is let in again. */
void outlier_back(struct worker *w, __u32 endpoint);

#endif /* SL_DAEMON_HEALTH_H */
