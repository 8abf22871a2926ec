// SPDX-License-Identifier: GPL-2.0-only
/* Timeouts and limits: rules across keys, and what was given, else the default. */
#include "config/limits.h"

#include "config/limits_model.h"
#include "sl_limits.h"

#define BUFFER_BYTES 69632 /* of one direction of a connection, in the daemon: BUFFER_CAP */

/* ---- rules across keys ---- */

/* One thing in two places of the file: protobuf would have two fields, and one would win. */
static void twice(struct sl_walk *w, const struct cfg_u32 *a, const struct cfg_u32 *b,
		  const char *what)
{
	const struct cfg_u32 *second = a, *first = b;

	if (!a->node || !b->node)
		return;
	if (b->node->line > a->node->line) {
		second = b;
		first = a;
	}
	sl_error(w, second->node, "%s is given twice; first at line %u", what, first->node->line);
}

void sl_validate_hcm_limits(struct sl_walk *w, const struct cfg_hcm_limits *l)
{
	twice(w, &l->idle, &l->common.idle, "'idle_timeout' of the HTTP connection manager");
}

static void warn_zero(struct sl_walk *w, const struct cfg_u32 *n, const char *name)
{
	if (n->node && !n->value)
		sl_warning(w, n->node, "'%s: 0' lets no request through; all are answered 503",
			   name);
}

/* The first of a priority counts (Envoy); NULL: there is none of DEFAULT, the only one that we
 * have. */
static const struct cfg_threshold *threshold(const struct cfg_breakers *b)
{
	const struct cfg_threshold *all = b->thresholds.items;

	for (__u32 i = 0; i < b->thresholds.n; i++)
		if (!all[i].priority.value)
			return &all[i];
	return NULL;
}

static void warn_unused(struct sl_walk *w, const struct cfg_breakers *b)
{
	const struct cfg_threshold *all = b->thresholds.items;
	const struct cfg_threshold *used = threshold(b);

	for (__u32 i = 0; i < b->thresholds.n; i++) {
		if (all[i].priority.value == 1)
			sl_warning(w, all[i].node,
				   "no request has the priority HIGH here; ignored");
		else if (!all[i].priority.value && &all[i] != used)
			sl_warning(w, all[i].node,
				   "the threshold at line %u has the same priority; ignored",
				   used->node->line);
	}
}

void sl_validate_cluster_limits(struct sl_walk *w, const struct cfg_cluster_limits *l)
{
	const struct cfg_http_options *ext = &l->extensions.http.common;
	const struct cfg_threshold *t = threshold(&l->breakers);

	if (l->common.node && ext->node)
		sl_error(w, ext->node,
			 "'common_http_protocol_options' is given twice; first at line %u",
			 l->common.node->line);
	twice(w, &l->max_requests, &l->common.max_requests, "'max_requests_per_connection'");
	twice(w, &l->max_requests, &ext->max_requests, "'max_requests_per_connection'");
	warn_unused(w, &l->breakers);
	if (!t)
		return;
	if (t->max_connections.value > SL_MAX_LANES)
		sl_warning(w, t->max_connections.node,
			   "'max_connections' is over the limit of %u connections in all "
			   "(SL_MAX_LANES)",
			   SL_MAX_LANES);
	warn_zero(w, &t->max_pending, "max_pending_requests");
	warn_zero(w, &t->max_requests, "max_requests");
}

void sl_validate_buffer_limit(struct sl_walk *w, const struct cfg_u32 *bytes)
{
	if (bytes->node && bytes->value < BUFFER_BYTES)
		sl_warning(w, bytes->node,
			   "'per_connection_buffer_limit_bytes' is taken as %u: a direction of a "
			   "connection has a buffer of that size",
			   BUFFER_BYTES);
}

/* ---- values ---- */

static __u32 value_or(const struct cfg_u32 *v, __u32 or)
{
	return v->node ? v->value : or ;
}

struct sl_listener_limits sl_compile_hcm_limits(const struct cfg_hcm_limits *l)
{
	struct sl_listener_limits out = sl_listener_defaults;

	if (!l)
		return out;
	out.request_headers_ms = value_or(&l->request_headers, out.request_headers_ms);
	out.request_ms = value_or(&l->request, out.request_ms);
	out.stream_idle_ms = value_or(&l->stream_idle, out.stream_idle_ms);
	out.flush_ms = value_or(&l->flush, out.flush_ms);
	out.idle_ms = value_or(&l->common.idle, value_or(&l->idle, out.idle_ms));
	out.max_stream_ms = value_or(&l->common.max_stream, out.max_stream_ms);
	out.max_duration_ms = value_or(&l->common.max_duration, out.max_duration_ms);
	out.drain_ms = value_or(&l->drain, out.drain_ms);
	out.max_head = value_or(&l->max_head_kb, SL_HEAD_KB) * 1024;
	out.max_headers = value_or(&l->common.max_headers, out.max_headers);
	return out;
}

struct sl_route_limits sl_compile_route_limits(const struct cfg_route_limits *l)
{
	return (struct sl_route_limits){
		.timeout_ms = value_or(&l->timeout, sl_route_defaults.timeout_ms),
		.idle_ms = value_or(&l->idle, sl_route_defaults.idle_ms),
		.flush_ms = value_or(&l->flush, sl_route_defaults.flush_ms),
		.max_stream_ms = value_or(&l->max_stream.max, sl_route_defaults.max_stream_ms),
	};
}

struct sl_cluster_limits sl_compile_cluster_limits(const struct cfg_cluster_limits *l)
{
	const struct cfg_http_options *o = l->common.node ? &l->common : &l->extensions.http.common;
	struct sl_cluster_limits out = sl_cluster_defaults;
	const struct cfg_threshold *t = threshold(&l->breakers);

	out.connect_ms = value_or(&l->connect, out.connect_ms);
	out.idle_ms = value_or(&o->idle, out.idle_ms);
	out.max_duration_ms = value_or(&o->max_duration, out.max_duration_ms);
	out.lane_requests = value_or(&l->max_requests, value_or(&o->max_requests, 0));
	if (!t)
		return out;
	out.max_connections = value_or(&t->max_connections, out.max_connections);
	out.max_pending = value_or(&t->max_pending, out.max_pending);
	out.max_requests = value_or(&t->max_requests, out.max_requests);
	out.max_retries = value_or(&t->max_retries, out.max_retries);
	out.has_budget = t->budget.node;
	out.retry_budget = value_or(&t->budget.percent.value, SL_RETRY_BUDGET);
	out.min_retries = value_or(&t->budget.min, SL_MIN_RETRIES);
	return out;
}

__u32 sl_compile_max_sessions(const struct cfg_u32 *ours, const struct cfg_overload *envoys)
{
	const struct cfg_monitor *all = envoys->monitors.items;
	__u32 max = value_or(ours, SL_NO_LIMIT);

	for (__u32 i = 0; i < envoys->monitors.n; i++)
		if (all[i].config.max_connections.node && all[i].config.max_connections.value < max)
			max = all[i].config.max_connections.value;
	return max;
}

static __u64 max_heap(const struct cfg_overload *envoys)
{
	const struct cfg_monitor *all = envoys->monitors.items;
	__u64 max = 0;

	for (__u32 i = 0; i < envoys->monitors.n; i++)
		if (all[i].config.heap && (!max || all[i].config.heap < max))
			max = all[i].config.heap;
	return max;
}

/* The first of the action's triggers that fires; thousandths. */
static __u32 lowest_threshold(const struct cfg_overload_action *a)
{
	const struct cfg_trigger *all = a->triggers.items;
	__u32 lowest = 1000;

	for (__u32 i = 0; i < a->triggers.n; i++)
		if (all[i].threshold.value.value < lowest)
			lowest = all[i].threshold.value.value;
	return lowest;
}

__u64 sl_compile_heap_stop(const struct cfg_overload *envoys)
{
	const struct cfg_overload_action *all = envoys->actions.items;
	__u64 max = max_heap(envoys), stop = 0;

	for (__u32 i = 0; i < envoys->actions.n && max; i++) {
		__u64 at = (__u64)((double)max / 1000 * lowest_threshold(&all[i]));

		if (all[i].name.value == SL_OVERLOAD_STOP_REQUESTS && (!stop || at < stop))
			stop = at ? at : 1;
	}
	return stop;
}
