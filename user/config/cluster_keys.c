// SPDX-License-Identifier: GPL-2.0-only
/* Cluster and its endpoints, as tables (schema.h). v2 and v3 stand side by side. */
#include "config/choice.h"
#include "config/envoy_keys.h"
#include "config/key_tables.h"
#include "config/model.h"

static const struct sl_key endpoint_keys[] = {
	KEY("address", MAP, REQ, struct cfg_endpoint, address, .sub = &sl_schema_address),
	KEY("hostname", STRING, 0, struct cfg_endpoint, hostname),
	END,
};
SCHEMA(endpoint, struct cfg_endpoint, "endpoint", .unsupported = sl_no_endpoint);

static const char *const health_statuses[] = {"UNKNOWN", "HEALTHY",   "UNHEALTHY", "DRAINING",
					      "TIMEOUT", "-DEGRADED", NULL};

static const struct sl_key lb_endpoint_keys[] = {
	KEY("endpoint", MAP, REQ, struct cfg_lb_endpoint, endpoint, .sub = &endpoint),
	KEY("load_balancing_weight", U32, 0, struct cfg_lb_endpoint, weight, .min = 1,
	    .max = 4294967295u),
	KEY("health_status", ENUM, 0, struct cfg_lb_endpoint, health, .names = health_statuses,
	    .note = "UNKNOWN, HEALTHY, UNHEALTHY, DRAINING or TIMEOUT"),
	END,
};
SCHEMA(lb_endpoint, struct cfg_lb_endpoint, "lb_endpoint", .unsupported = sl_no_lb_endpoint,
       .tuning = sl_tune_metadata);

static const struct sl_key locality_keys[] = {
	KEY("lb_endpoints", LIST, 0, struct cfg_locality, lb_endpoints, .sub = &lb_endpoint),
	KEY("priority", U32, 0, struct cfg_locality, priority, .max = SL_MAX_PRIORITIES - 1),
	END,
};
SCHEMA(locality, struct cfg_locality, "endpoints", .unsupported = sl_no_locality,
       .tuning = sl_tune_locality);

static const struct sl_key assignment_keys[] = {
	KEY("cluster_name", STRING, 0, struct cfg_assignment, cluster_name),
	KEY("endpoints", LIST, 0, struct cfg_assignment, endpoints, .sub = &locality),
	KEY("policy", MAP, 0, struct cfg_assignment, policy, .sub = &sl_schema_assignment_policy),
	END,
};
SCHEMA(assignment, struct cfg_assignment, "load_assignment", .unsupported = sl_no_assignment);

static const char *const cluster_types[] = {"STATIC", "STRICT_DNS",    "LOGICAL_DNS",
					    "-EDS",   "-ORIGINAL_DST", NULL};
/* In the order of enum sl_lb_policy. */
static const char *const lb_policies[] = {"ROUND_ROBIN",
					  "RANDOM",
					  "LEAST_REQUEST",
					  "RING_HASH",
					  "MAGLEV",
					  "-CLUSTER_PROVIDED",
					  "-ORIGINAL_DST_LB",
					  "-LOAD_BALANCING_POLICY_CONFIG",
					  NULL};

static void cluster_done(struct sl_walk *w, void *dst)
{
	struct cfg_cluster *c = dst;
	const struct sl_choice all[] = {{"hosts", c->hosts.node},
					{"load_assignment", c->assignment.node}};

	c->balance.name = c->name;
	sl_oneof(w, c->node, all, SL_N_CHOICES(all), "missing 'load_assignment' in cluster");
}

static const struct sl_key cluster_keys[] = {
	KEY("name", STRING, FULL, struct cfg_cluster, name),
	KEY("type", ENUM, 0, struct cfg_cluster, type, .names = cluster_types,
	    .note = "STATIC, STRICT_DNS or LOGICAL_DNS"),
	KEY("connect_timeout", DURATION, 0, struct cfg_cluster, limits.connect, .min = 1,
	    .max = SL_CONNECT_MAX_MS),
	KEY("lb_policy", ENUM, 0, struct cfg_cluster, balance.policy, .names = lb_policies,
	    .note = "ROUND_ROBIN, LEAST_REQUEST, RANDOM, RING_HASH or MAGLEV"),
	KEY("health_checks", LIST, 0, struct cfg_cluster, balance.checks,
	    .sub = &sl_schema_health_check),
	KEY("close_connections_on_host_health_failure", BOOL, 0, struct cfg_cluster,
	    balance.close_on_failure),
	KEY("outlier_detection", MAP, 0, struct cfg_cluster, balance.outlier,
	    .sub = &sl_schema_outlier),
	KEY("round_robin_lb_config", MAP, 0, struct cfg_cluster, balance.round_robin,
	    .sub = &sl_schema_round_robin),
	KEY("least_request_lb_config", MAP, 0, struct cfg_cluster, balance.least_request,
	    .sub = &sl_schema_least_request),
	KEY("ring_hash_lb_config", MAP, 0, struct cfg_cluster, balance.ring,
	    .sub = &sl_schema_ring_hash),
	KEY("maglev_lb_config", MAP, 0, struct cfg_cluster, balance.maglev,
	    .sub = &sl_schema_maglev),
	KEY("common_lb_config", MAP, 0, struct cfg_cluster, balance.common,
	    .sub = &sl_schema_common_lb),
	DNS_KEYS(struct cfg_cluster, dns),
	KEY("load_assignment", MAP, 0, struct cfg_cluster, assignment, .sub = &assignment),
	KEY("hosts", LIST, 0, struct cfg_cluster, hosts, .sub = &sl_schema_address),
	KEY("circuit_breakers", MAP, 0, struct cfg_cluster, limits.breakers,
	    .sub = &sl_schema_breakers),
	KEY("max_requests_per_connection", U32, 0, struct cfg_cluster, limits.max_requests,
	    .max = 4294967295u),
	KEY("common_http_protocol_options", MAP, 0, struct cfg_cluster, limits.common,
	    .sub = &sl_schema_cluster_options),
	KEY("typed_extension_protocol_options", MAP, 0, struct cfg_cluster, limits.extensions,
	    .sub = &sl_schema_extensions),
	KEY("per_connection_buffer_limit_bytes", U32, 0, struct cfg_cluster, buffer_limit,
	    .max = 4294967295u),
	WARN("http2_protocol_options",
	     "HTTP/2 to backends is not supported yet; HTTP/1.1 is spoken to this cluster"),
	END,
};
PUBLIC_SCHEMA(cluster, struct cfg_cluster, "cluster", .unsupported = sl_no_cluster,
	      .tuning = sl_tune_cluster, .done = cluster_done);
