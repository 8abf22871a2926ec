// SPDX-License-Identifier: GPL-2.0-only
#include "cmd/stats.h"

#include "cmd/cmd.h"
#include "util/json.h"

static const char *const reason_names[SL_N_REASONS] = {
#define X(name, text, help) #text,
	SL_REASONS (X)
#undef X
};

static json_t *number(__u64 n)
{
	return json_integer((json_int_t)n);
}

/* Adds the counters of @s to @object. */
static json_t *with_counters(json_t *object, const struct sl_stat_sum *s)
{
	static const char *const classes[SL_STATUS_CLASSES] = {"none", "1xx", "2xx",
							       "3xx",  "4xx", "5xx"};
	json_t *status = json_object();

	for (int i = 0; i < SL_STATUS_CLASSES; i++)
		json_object_set_new(status, classes[i], number(s->all.status[i]));
	json_object_set_new(object, "requests", number(sl_stats_total(&s->all)));
	json_object_set_new(object, "kernel", number(s->kernel));
	json_object_set_new(object, "user", number(s->user));
	json_object_set_new(object, "direct", number(s->direct));
	json_object_set_new(object, "status", status);
	json_object_set_new(object, "latency_us",
			    json_pack("{s:f, s:f, s:f, s:f}", "mean", sl_stats_mean(&s->all), "p50",
				      sl_stats_percentile(&s->all, 50), "p90",
				      sl_stats_percentile(&s->all, 90), "p99",
				      sl_stats_percentile(&s->all, 99)));
	return object;
}

static json_t *routes_json(const struct sl_snapshot *s)
{
	json_t *list = json_array();

	for (__u32 i = 0; i < s->n_routes; i++) {
		json_t *route = json_pack("{s:o, s:o}", "route", sl_json_text(s->routes[i].name),
					  "match", sl_json_text(s->routes[i].match));

		json_array_append_new(list, with_counters(route, &s->route_sums[i]));
	}
	return list;
}

static json_t *clusters_json(const struct sl_snapshot *s)
{
	json_t *list = json_array();

	for (__u32 i = 0; i < s->n_clusters; i++) {
		json_t *cluster = json_pack("{s:o}", "cluster", sl_json_text(s->cluster_names[i]));

		json_object_set_new(cluster, "limits", sl_counts_json(&s->up[i], true));
		json_array_append_new(list, with_counters(cluster, &s->cluster_sums[i]));
	}
	return list;
}

static json_t *endpoints_json(const struct sl_maps *m, const struct sl_snapshot *s)
{
	json_t *list = json_array();
	char text[SL_ENDPOINT_TEXT], health[SL_HEALTH_TEXT];

	for (__u32 i = 0; i < s->n_endpoints; i++) {
		const char *cluster = sl_cmd_cluster_name(m, m->endpoints[i].cluster);

		if (!m->endpoints[i].family)
			continue;
		sl_cmd_endpoint(m, i, text);
		sl_endpoint_health(m, i, health);
		json_array_append_new(
			list, json_pack("{s:s, s:o, s:i, s:i, s:i, s:i, s:i, s:s}", "endpoint",
					text, "cluster", sl_json_text(cluster), "idle_lanes",
					(int)s->idle[i], "busy_lanes", (int)m->endpoints[i].busy,
					"checks", (int)m->hosts[i].checks, "failed_checks",
					(int)m->hosts[i].failures, "ejections",
					(int)m->hosts[i].ejections, "health", health));
	}
	return list;
}

static json_t *reasons_json(const struct sl_snapshot *s)
{
	json_t *object = json_object();

	for (__u32 i = SL_REASON_NONE + 1; i < SL_N_REASONS; i++)
		json_object_set_new(object, reason_names[i], number(s->reasons[i]));
	return object;
}

static json_t *lanes_json(const struct sl_census *c)
{
	json_t *object =
		json_pack("{s:i, s:i}", "open", (int)c->lanes, "colocated", (int)c->lane_colocated);

	for (int i = 0; i < 16; i++)
		if (sl_lane_state_names[i])
			json_object_set_new(object, sl_lane_state_names[i],
					    number(c->lane_states[i]));
	return object;
}

/* The generations that are remembered, with the exchanges that each has decided. */
static json_t *generations_json(const struct sl_maps *m)
{
	__u32 last = m->table->generation,
	      first = last < SL_GENERATIONS ? 0 : last - SL_GENERATIONS;
	json_t *list = json_array();

	for (__u32 g = first + 1; g <= last; g++) {
		__u64 n = 0;

		for (__u32 i = 0; i < SL_STAT_SHARDS; i++)
			if (m->generations[sl_generation_key(g, i)].generation == g)
				n += m->generations[sl_generation_key(g, i)].exchanges;
		json_array_append_new(list, json_pack("{s:i, s:I}", "generation", (int)g,
						      "requests", (json_int_t)n));
	}
	return list;
}

int sl_stats_print_json(const struct sl_maps *m, const char *instance, const struct sl_snapshot *s)
{
	const struct sl_census *c = &s->census;
	json_t *sessions = json_pack("{s:i, s:i, s:i, s:i}", "open", (int)c->sessions, "colocated",
				     (int)c->colocated, "in_exchange", (int)c->in_exchange, "user",
				     (int)c->in_user);
	json_t *root = json_pack("{s:s, s:i, s:b, s:i, s:i, s:{s:I, s:I, s:I, s:I}, s:o, s:o, s:o, "
				 "s:o, s:o, s:o, s:I, "
				 "s:I}",
				 "instance", instance, "generation", (int)m->table->generation,
				 "kernel_path", !(m->control->flags & SL_C_BYPASS), "supervisor",
				 (int)m->control->supervisor, "worker", (int)m->control->worker,
				 "requests", "total", (json_int_t)(s->kernel + s->user), "kernel",
				 (json_int_t)s->kernel, "user", (json_int_t)s->user, "direct",
				 (json_int_t)s->direct, "reasons", reasons_json(s), "routes",
				 routes_json(s), "clusters", clusters_json(s), "endpoints",
				 endpoints_json(m, s), "sessions", sessions, "lanes", lanes_json(c),
				 "no_session", (json_int_t)m->control->no_session, "lost_events",
				 (json_int_t)m->control->lost_events);

	json_object_set_new(root, "heap", json_integer(m->control->heap));
	json_object_set_new(root, "generations", generations_json(m));
	json_object_set_new(root, "limits", sl_counts_json(&s->down, false));
	return sl_json_print(root) || fflush(stdout) ? SL_EXIT_SYSTEM : SL_EXIT_DONE;
}
