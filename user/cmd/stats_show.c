// SPDX-License-Identifier: GPL-2.0-only
#include "cmd/stats.h"

#include "cmd/cmd.h"
#include "util/columns.h"

static const char *const reason_names[SL_N_REASONS] = {
#define X(name, text, help) #text,
	SL_REASONS (X)
#undef X
};

static const char *const reason_helps[SL_N_REASONS] = {
#define X(name, text, help) help,
	SL_REASONS (X)
#undef X
};

static double percent(__u64 part, __u64 whole)
{
	return whole ? 100.0 * part / whole : 0;
}

/* "731 us", "12.3 ms", "4.56 s". */
static void add_time(struct sl_columns *t, double us)
{
	if (us <= 0)
		sl_columns_add(t, "-");
	else if (us < 1000)
		sl_columns_add(t, "%.0f us", us < 1 ? 1 : us);
	else if (us < 1e6)
		sl_columns_add(t, us < 1e4 ? "%.2f ms" : "%.1f ms", us / 1e3);
	else
		sl_columns_add(t, "%.2f s", us / 1e6);
}

/* One blank line before each table. */
static int print(struct sl_columns *t)
{
	int err;

	putchar('\n');
	err = sl_columns_print(t, stdout);
	sl_columns_free(t);
	return err;
}

static void add_counts(struct sl_columns *t, const char *name, const struct sl_stat_sum *s)
{
	__u64 total = sl_stats_total(&s->all);

	sl_columns_add(t, "%s", name);
	sl_columns_add(t, "%llu", (unsigned long long)total);
	for (int class = 1; class < SL_STATUS_CLASSES; class ++)
		sl_columns_add(t, "%llu", (unsigned long long)s->all.status[class]);
	sl_columns_add(t, "%llu", (unsigned long long)s->all.status[0]);
	if (total)
		sl_columns_add(t, "%.2f %%", percent(s->kernel, total));
	else
		sl_columns_add(t, "-");
}

static int print_counts(const char *title, const char *(*name)(const void *ctx, __u32 i),
			const void *ctx, const struct sl_stat_sum *sums, __u32 n)
{
	const struct sl_column columns[] = {
		{.title = title},
		{.title = "REQUESTS", .right = true},
		{.title = "1xx", .right = true, .optional = true},
		{.title = "2xx", .right = true},
		{.title = "3xx", .right = true, .optional = true},
		{.title = "4xx", .right = true, .optional = true},
		{.title = "5xx", .right = true, .optional = true},
		{.title = "NONE", .right = true, .optional = true},
		{.title = "KERNEL", .right = true},
	};
	struct sl_columns t = {.columns = columns, .n_columns = 9};

	for (__u32 i = 0; i < n; i++)
		add_counts(&t, name(ctx, i), &sums[i]);
	return print(&t);
}

static int print_latency(const char *title, const char *(*name)(const void *ctx, __u32 i),
			 const void *ctx, const struct sl_stat_sum *sums, __u32 n)
{
	const struct sl_column columns[] = {
		{.title = title},
		{.title = "MEAN", .right = true},
		{.title = "P50", .right = true},
		{.title = "P90", .right = true},
		{.title = "P99", .right = true},
	};
	struct sl_columns t = {.columns = columns, .n_columns = 5};
	bool any = false;

	for (__u32 i = 0; i < n; i++) {
		const struct sl_stats *s = &sums[i].all;

		if (!sl_stats_total(s))
			continue;
		any = true;
		sl_columns_add(&t, "%s", name(ctx, i));
		add_time(&t, sl_stats_mean(s));
		add_time(&t, sl_stats_percentile(s, 50));
		add_time(&t, sl_stats_percentile(s, 90));
		add_time(&t, sl_stats_percentile(s, 99));
	}
	if (any)
		return print(&t);
	sl_columns_free(&t);
	return 0;
}

static const char *route_name(const void *snapshot, __u32 i)
{
	return ((const struct sl_snapshot *)snapshot)->routes[i].name;
}

static const char *cluster_name(const void *snapshot, __u32 i)
{
	return ((const struct sl_snapshot *)snapshot)->cluster_names[i];
}

static int print_endpoints(const struct sl_maps *m, const struct sl_snapshot *s)
{
	static const struct sl_column columns[] = {
		{.title = "ENDPOINT"},
		{.title = "CLUSTER"},
		{.title = "IDLE LANES", .right = true},
		{.title = "CHECKS", .right = true, .optional = true},
		{.title = "FAILED", .right = true, .optional = true},
		{.title = "EJECTED", .right = true, .optional = true},
		{.title = "HEALTH", .optional = true},
	};
	struct sl_columns t = {.columns = columns, .n_columns = 7};
	char text[SL_ENDPOINT_TEXT], health[SL_HEALTH_TEXT];

	for (__u32 i = 0; i < s->n_endpoints; i++) {
		if (!m->endpoints[i].family)
			continue;
		sl_cmd_endpoint(m, i, text);
		sl_columns_add(&t, "%s", text);
		sl_columns_add(&t, "%s", sl_cmd_cluster_name(m, m->endpoints[i].cluster));
		sl_columns_add(&t, "%u", s->idle[i]);
		sl_columns_add(&t, "%u", m->hosts[i].checks);
		sl_columns_add(&t, "%u", m->hosts[i].failures);
		sl_columns_add(&t, "%u", m->hosts[i].ejections);
		sl_endpoint_health(m, i, health);
		sl_columns_add(&t, "%s", health);
	}
	return print(&t);
}

static int print_reasons(const struct sl_snapshot *s)
{
	static const struct sl_column columns[] = {
		{.title = "USER PATH"},
		{.title = "REQUESTS", .right = true},
		{.title = "BECAUSE"},
	};
	struct sl_columns t = {.columns = columns, .n_columns = 3};

	for (__u32 i = SL_REASON_NONE + 1; i < SL_N_REASONS; i++) {
		if (!s->reasons[i])
			continue;
		sl_columns_add(&t, "%s", reason_names[i]);
		sl_columns_add(&t, "%llu", (unsigned long long)s->reasons[i]);
		sl_columns_add(&t, "%s", reason_helps[i]);
	}
	if (t.n_cells)
		return print(&t);
	sl_columns_free(&t);
	return 0;
}

static void print_census(const struct sl_maps *m, const struct sl_census *c)
{
	printf("\nsessions %u open: %u co-located, %u in a kernel exchange, %u the daemon's\n",
	       c->sessions, c->colocated, c->in_exchange, c->in_user);
	printf("lanes    %u open: %u co-located", c->lanes, c->lane_colocated);
	for (int i = SL_LANE_FREE + 1; i < 16; i++)
		if (c->lane_states[i])
			printf(", %u %s", c->lane_states[i],
			       sl_lane_state_names[i] ? sl_lane_state_names[i] : "in no state");
	putchar('\n');
	if (m->control->no_session || m->control->lost_events)
		printf("connections without a session slot %llu, lost events %llu\n",
		       (unsigned long long)m->control->no_session,
		       (unsigned long long)m->control->lost_events);
}

int sl_stats_print(const struct sl_maps *m, const char *instance, const struct sl_snapshot *s,
		   const struct sl_snapshot *before, double seconds)
{
	__u64 total = s->kernel + s->user;
	bool failed;

	printf("instance %s: config generation %u%s\n", instance, m->table->generation,
	       m->control->flags & SL_C_BYPASS ? ", kernel path off" : "");
	printf("requests %llu: kernel path %llu (%.2f %%), user path %llu (%.2f %%)\n",
	       (unsigned long long)total, (unsigned long long)s->kernel, percent(s->kernel, total),
	       (unsigned long long)s->user, percent(s->user, total));
	if (s->direct)
		printf("answers to requests of the user path that the kernel moved %llu\n",
		       (unsigned long long)s->direct);
	if (before && seconds > 0)
		printf("now %.0f requests/s\n", (total - before->kernel - before->user) / seconds);
	failed = print_counts("ROUTE", route_name, s, s->route_sums, s->n_routes);
	failed |= print_latency("ROUTE", route_name, s, s->route_sums, s->n_routes);
	failed |= print_counts("CLUSTER", cluster_name, s, s->cluster_sums, s->n_clusters);
	failed |= print_latency("CLUSTER", cluster_name, s, s->cluster_sums, s->n_clusters);
	failed |= print_endpoints(m, s);
	failed |= print_reasons(s);
	failed |= sl_counts_print(s);
	print_census(m, &s->census);
	return failed || fflush(stdout) ? SL_EXIT_SYSTEM : SL_EXIT_DONE;
}
