// SPDX-License-Identifier: GPL-2.0-only
/* Envoy's messages that hold nothing but timeouts and limits, as tables (schema.h). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config/envoy_keys.h"
#include "config/key_tables.h"
#include "config/limits_model.h"
#include "sl_limits.h"

#define COUNT(n, st, field) KEY(n, U32, 0, st, field, .max = 4294967295u)

/* ---- common_http_protocol_options ---- */

static const struct sl_key hcm_options_keys[] = {
	TIMEOUT("idle_timeout", struct cfg_http_options, idle),
	TIMEOUT("max_connection_duration", struct cfg_http_options, max_duration),
	TIMEOUT("max_stream_duration", struct cfg_http_options, max_stream),
	KEY("max_headers_count", U32, 0, struct cfg_http_options, max_headers, .min = 1,
	    .max = SL_MAX_HEADERS),
	END,
};
PUBLIC_SCHEMA(hcm_options, struct cfg_http_options, "common_http_protocol_options",
	      .unsupported = sl_no_hcm_options);

static const struct sl_key cluster_options_keys[] = {
	TIMEOUT("idle_timeout", struct cfg_http_options, idle),
	TIMEOUT("max_connection_duration", struct cfg_http_options, max_duration),
	COUNT("max_requests_per_connection", struct cfg_http_options, max_requests),
	END,
};
PUBLIC_SCHEMA(cluster_options, struct cfg_http_options, "common_http_protocol_options",
	      .unsupported = sl_no_cluster_options);

/* ---- max_stream_duration of a route ---- */

static const struct sl_key stream_duration_keys[] = {
	TIMEOUT("max_stream_duration", struct cfg_stream_duration, max),
	END,
};
PUBLIC_SCHEMA(stream_duration, struct cfg_stream_duration, "max_stream_duration",
	      .unsupported = sl_no_stream_duration);

/* ---- typed_extension_protocol_options of a cluster ---- */

/* Its presence alone says something; of what it can hold nothing is served. */
static void http1_done(struct sl_walk *w, void *dst)
{
	const struct cfg_explicit_http *e = dst;

	if (e->http1 && e->http1->kind == SL_NODE_MAP && e->http1->n)
		sl_error(w, e->http1->items[0],
			 "'%.64s' of http_protocol_options is not supported yet",
			 e->http1->items[0]->text);
}

static const struct sl_key explicit_http_keys[] = {
	KEY("http_protocol_options", ANY, 0, struct cfg_explicit_http, http1),
	WARN("http2_protocol_options",
	     "HTTP/2 to backends is not supported yet; HTTP/1.1 is spoken to this cluster"),
	END,
};
SCHEMA(explicit_http, struct cfg_explicit_http, "HTTP protocol config",
       .unsupported = sl_no_explicit_http, .done = http1_done);

static const char http_options_type[] =
	"type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions";

static void type_check(struct sl_walk *w, const struct sl_node *type, const char *want)
{
	if (type && strcmp(type->text, want))
		sl_error(w, type, "'%.128s' is not supported yet; only '%s' is", type->text, want);
}

static void upstream_http_done(struct sl_walk *w, void *dst)
{
	type_check(w, ((struct cfg_upstream_http *)dst)->type_url, http_options_type);
}

static const struct sl_key upstream_http_keys[] = {
	KEY("@type", STRING, REQ, struct cfg_upstream_http, type_url),
	KEY("common_http_protocol_options", MAP, 0, struct cfg_upstream_http, common,
	    .sub = &sl_schema_cluster_options),
	KEY("explicit_http_config", MAP, 0, struct cfg_upstream_http, explicit_http,
	    .sub = &explicit_http),
	KEY("use_downstream_protocol_config", MAP, 0, struct cfg_upstream_http, downstream_http,
	    .sub = &explicit_http),
	END,
};
SCHEMA(upstream_http, struct cfg_upstream_http, "HttpProtocolOptions",
       .unsupported = sl_no_upstream_http, .done = upstream_http_done);

static const struct sl_key extensions_keys[] = {
	KEY("envoy.extensions.upstreams.http.v3.HttpProtocolOptions", MAP, 0, struct cfg_extensions,
	    http, .sub = &upstream_http),
	END,
};
PUBLIC_SCHEMA(extensions, struct cfg_extensions, "typed_extension_protocol_options");

/* ---- circuit_breakers ---- */

static const char *const priorities[] = {"DEFAULT", "HIGH", NULL};

static const struct sl_key budget_percent_keys[] = {
	KEY("value", DECIMAL, 0, struct cfg_budget_percent, value, .max = 100000),
	END,
};
SCHEMA(budget_percent, struct cfg_budget_percent, "a percentage");

static const struct sl_key budget_keys[] = {
	KEY("budget_percent", MAP, 0, struct cfg_budget, percent, .sub = &budget_percent),
	COUNT("min_retry_concurrency", struct cfg_budget, min),
	END,
};
SCHEMA(budget, struct cfg_budget, "retry_budget");

static const struct sl_key threshold_keys[] = {
	KEY("priority", ENUM, 0, struct cfg_threshold, priority, .names = priorities,
	    .note = "DEFAULT or HIGH"),
	KEY("max_connections", U32, 0, struct cfg_threshold, max_connections, .min = 1,
	    .max = 4294967295u),
	COUNT("max_pending_requests", struct cfg_threshold, max_pending),
	COUNT("max_requests", struct cfg_threshold, max_requests),
	COUNT("max_retries", struct cfg_threshold, max_retries),
	KEY("retry_budget", MAP, 0, struct cfg_threshold, budget, .sub = &budget),
	END,
};
SCHEMA(threshold, struct cfg_threshold, "circuit breaker threshold",
       .unsupported = sl_no_threshold);

static const struct sl_key breakers_keys[] = {
	KEY("thresholds", LIST, 0, struct cfg_breakers, thresholds, .sub = &threshold),
	END,
};
PUBLIC_SCHEMA(breakers, struct cfg_breakers, "circuit_breakers", .unsupported = sl_no_breakers);

/* ---- overload_manager ---- */

#define CONNECTIONS "envoy.resource_monitors.global_downstream_max_connections"
#define HEAP "envoy.resource_monitors.fixed_heap"
#define MONITOR_TYPE(name) "type.googleapis.com/envoy.extensions.resource_monitors." name

static const char connections_type[] =
	MONITOR_TYPE("downstream_connections.v3.DownstreamConnectionsConfig");
static const char heap_type[] = MONITOR_TYPE("fixed_heap.v3.FixedHeapConfig");

static const struct sl_key monitor_config_keys[] = {
	KEY("@type", STRING, REQ, struct cfg_monitor_config, type_url),
	KEY("max_active_downstream_connections", U32, 0, struct cfg_monitor_config, max_connections,
	    .min = 1, .max = 4294967295u),
	KEY("max_heap_size_bytes", STRING, 0, struct cfg_monitor_config, max_heap),
	END,
};
SCHEMA(monitor_config, struct cfg_monitor_config, "resource monitor");

/* A uint64 of protobuf: more than the tables' numbers hold. */
static void heap_read(struct sl_walk *w, struct cfg_monitor_config *c)
{
	char *end;

	errno = 0;
	c->heap = strtoull(c->max_heap->text, &end, 10);
	if (*c->max_heap->text < '0' || *c->max_heap->text > '9' || *end || errno || !c->heap)
		sl_error(w, c->max_heap,
			 "'max_heap_size_bytes' is a number from 1 to 18446744073709551615, not "
			 "'%.64s'",
			 c->max_heap->text);
}

static void wants(struct sl_walk *w, const struct cfg_monitor *m, const struct sl_node *one,
		  const struct sl_node *other, const char *name)
{
	if (!one && !w->unsure)
		sl_error(w, m->config.node, "resource monitor lacks '%s'", name);
	if (other)
		sl_error(w, other, "this is no key of '%.128s'", m->name->text);
}

static void monitor_done(struct sl_walk *w, void *dst)
{
	struct cfg_monitor *m = dst;
	const struct sl_node *connections = m->config.max_connections.node;

	if (m->config.max_heap)
		heap_read(w, &m->config);
	if (!m->name || !m->config.node)
		return;
	if (!strcmp(m->name->text, CONNECTIONS)) {
		type_check(w, m->config.type_url, connections_type);
		wants(w, m, connections, m->config.max_heap, "max_active_downstream_connections");
	} else if (!strcmp(m->name->text, HEAP)) {
		type_check(w, m->config.type_url, heap_type);
		wants(w, m, m->config.max_heap, connections, "max_heap_size_bytes");
	} else {
		sl_error(w, m->name,
			 "resource monitor '%.128s' is not supported yet; only '" CONNECTIONS
			 "' and '" HEAP "' are",
			 m->name->text);
	}
}

static const struct sl_key monitor_keys[] = {
	KEY("name", STRING, FULL, struct cfg_monitor, name),
	KEY("typed_config", MAP, REQ, struct cfg_monitor, config, .sub = &monitor_config),
	END,
};
SCHEMA(monitor, struct cfg_monitor, "resource monitor", .done = monitor_done);

static const struct sl_key overload_threshold_keys[] = {
	KEY("value", DECIMAL, REQ, struct cfg_overload_threshold, value, .max = 1000),
	END,
};
SCHEMA(overload_threshold, struct cfg_overload_threshold, "overload trigger's threshold");

static void trigger_done(struct sl_walk *w, void *dst)
{
	const struct cfg_trigger *t = dst;

	if (t->name && strcmp(t->name->text, HEAP))
		sl_error(w, t->name,
			 "a trigger by '%.128s' is not supported yet; only by '" HEAP "'",
			 t->name->text);
}

static const struct sl_key trigger_keys[] = {
	KEY("name", STRING, FULL, struct cfg_trigger, name),
	KEY("threshold", MAP, REQ, struct cfg_trigger, threshold, .sub = &overload_threshold),
	END,
};
SCHEMA(trigger, struct cfg_trigger, "overload trigger", .unsupported = sl_no_trigger,
       .done = trigger_done);

/* shrink_heap: nothing is kept over the limit in any case. */
static const char *const overload_actions[] = {
	"envoy.overload_actions.stop_accepting_requests",
	"envoy.overload_actions.shrink_heap",
	"-envoy.overload_actions.stop_accepting_connections",
	"-envoy.overload_actions.reject_incoming_connections",
	"-envoy.overload_actions.disable_http_keepalive",
	"-envoy.overload_actions.reduce_timeouts",
	"-envoy.overload_actions.reset_high_memory_stream",
	NULL};

static const struct sl_key overload_action_keys[] = {
	KEY("name", ENUM, REQ, struct cfg_overload_action, name, .names = overload_actions,
	    .note = "envoy.overload_actions.stop_accepting_requests or shrink_heap"),
	KEY("triggers", LIST, FULL, struct cfg_overload_action, triggers, .sub = &trigger),
	END,
};
SCHEMA(overload_action, struct cfg_overload_action, "overload action",
       .unsupported = sl_no_overload_action);

/* A trigger is by a monitor that is there. */
static void overload_done(struct sl_walk *w, void *dst)
{
	const struct cfg_overload *o = dst;
	const struct cfg_monitor *all = o->monitors.items;
	const struct sl_node *heap = NULL;

	for (__u32 i = 0; i < o->monitors.n; i++)
		if (all[i].config.max_heap)
			heap = all[i].config.node;
	if (o->actions.n && !heap && !w->unsure)
		sl_error(w, o->actions.node,
			 "'actions' of overload_manager without the monitor that triggers them");
	if (heap && !o->actions.n && !w->unsure)
		sl_warning(w, heap, "without 'actions' '" HEAP "' limits nothing");
}

static const struct sl_key overload_keys[] = {
	KEY("resource_monitors", LIST, FULL, struct cfg_overload, monitors, .sub = &monitor),
	KEY("actions", LIST, 0, struct cfg_overload, actions, .sub = &overload_action),
	IGNORED("refresh_interval"), /* it is counted, not sampled */
	END,
};
PUBLIC_SCHEMA(overload, struct cfg_overload, "overload_manager", .unsupported = sl_no_overload,
	      .done = overload_done);
