// SPDX-License-Identifier: GPL-2.0-only
#include <stddef.h>

#include "config/envoy_keys.h"

#define LIST(id, ...) const char *const id[] = {__VA_ARGS__, NULL}

LIST(sl_no_socket_address, "named_port", "resolver_name", "ipv4_compat");
LIST(sl_no_address, "envoy_internal_address");
LIST(sl_no_string_match, "custom");
LIST(sl_no_cookie, "range_match", "treat_missing_cookie_as_empty");
LIST(sl_no_match, "connect_matcher", "runtime", "tls_context", "dynamic_metadata", "filter_state",
     "method");
LIST(sl_no_header_value, "raw_value");
LIST(sl_no_redirect, "path_rewrite");
LIST(sl_no_retry, "retry_priority", "retry_options_predicates", "rate_limited_retry_back_off");
LIST(sl_no_mirror, "trace_sampled", "runtime_key", "request_headers_mutations",
     "host_rewrite_literal");
LIST(sl_no_weight, "metadata_match", "typed_per_filter_config", "per_filter_config");
LIST(sl_no_action, "cluster_specifier_plugin", "inline_cluster_specifier_plugin", "metadata_match",
     "host_rewrite_path", "early_data_policy", "retry_policy_typed_config", "request_mirror_policy",
     "rate_limits", "include_vh_rate_limits", "cors", "max_grpc_timeout", "grpc_timeout_offset",
     "internal_redirect_policy", "internal_redirect_action", "max_internal_redirects",
     "hedge_policy", "use_websocket");
LIST(sl_no_body, "watched_directory");
LIST(sl_no_body_format, "formatters");
LIST(sl_no_route, "filter_action", "non_forwarding_action", "per_filter_config",
     "typed_per_filter_config");
LIST(sl_no_vhost, "rate_limits", "cors", "typed_per_filter_config", "per_filter_config",
     "retry_policy_typed_config", "hedge_policy", "include_is_timeout_retry_header", "matcher");
LIST(sl_no_route_config, "vhds", "cluster_specifier_plugins", "typed_per_filter_config");
LIST(sl_no_router, "upstream_log", "upstream_log_options", "upstream_http_filters",
     "strict_check_headers");
LIST(sl_no_http_filter, "config_discovery", "is_optional", "disabled");
LIST(sl_no_upgrade, "filters", "connect_config");
LIST(sl_no_hcm, "rds", "scoped_routes", "add_user_agent", "tracing", "http_protocol_options",
     "http2_protocol_options", "http3_protocol_options", "scheme_header_transformation",
     "delayed_close_timeout", "original_ip_detection_extensions",
     "early_header_mutation_extensions", "forward_client_cert_details",
     "set_current_client_cert_details", "proxy_100_continue",
     "represent_ipv4_remote_address_as_ipv4_mapped_ipv6", "request_id_extension",
     "local_reply_config", "stream_error_on_invalid_http_message", "path_normalization_options",
     "proxy_status_config", "typed_header_validation_config", "append_local_overload",
     "http1_safe_max_connection_duration");
LIST(sl_no_filter, "config_discovery");
LIST(sl_no_filter_chain, "filter_chain_match", "tls_context", "transport_socket", "use_proxy_proto",
     "transport_socket_connect_timeout", "on_demand_configuration");
LIST(sl_no_listener, "additional_addresses", "use_original_dst", "default_filter_chain",
     "filter_chain_matcher", "listener_filters", "transparent", "freebind", "socket_options",
     "tcp_fast_open_queue_length", "udp_listener_config", "api_listener",
     "connection_balance_config", "bind_to_port", "internal_listener", "fcds_config",
     "enable_mptcp");
LIST(sl_no_endpoint, "health_check_config", "additional_addresses");
LIST(sl_no_lb_endpoint, "endpoint_name");
LIST(sl_no_locality, "load_balancing_weight", "leds_cluster_locality_config",
     "load_balancer_endpoints");
LIST(sl_no_assignment, "named_endpoints");
LIST(sl_no_assignment_policy, "drop_overloads", "endpoint_stale_after", "weighted_priority_health",
     "disable_overprovisioning");
LIST(sl_no_round_robin, "locality_lb_config");
LIST(sl_no_least_request, "active_request_bias", "locality_lb_config", "enable_full_scan",
     "selection_method");
LIST(sl_no_ring_hash, "hash_function", "deprecated_v1");
LIST(sl_no_zone_aware, "routing_enabled", "min_cluster_size", "force_locality_direct_routing",
     "force_local_zone", "locality_basis");
LIST(sl_no_common_lb, "locality_weighted_lb_config", "update_merge_window",
     "ignore_new_hosts_until_first_hc", "close_connections_on_host_set_change",
     "consistent_hashing_lb_config", "override_host_status");
LIST(sl_no_threshold, "track_remaining", "max_connection_pools");
LIST(sl_no_stream_duration, "grpc_timeout_header_max", "grpc_timeout_header_offset");
LIST(sl_no_hcm_options, "headers_with_underscores_action", "max_requests_per_connection",
     "max_response_headers_kb");
LIST(sl_no_cluster_options, "max_stream_duration", "headers_with_underscores_action",
     "max_headers_count", "max_response_headers_kb");
LIST(sl_no_explicit_http, "http3_protocol_options");
LIST(sl_no_upstream_http, "upstream_http_protocol_options", "auto_config", "http_filters",
     "header_validation_config", "outlier_detection");
LIST(sl_no_overload, "loadshed_points", "buffer_factory_config");
LIST(sl_no_overload_action, "typed_config");
LIST(sl_no_trigger, "scaled");
LIST(sl_no_http_check, "send", "receive", "response_buffer_size", "service_name_matcher",
     "request_headers_to_add", "request_headers_to_remove", "use_http2", "service_name");
LIST(sl_no_tcp_check, "send", "receive", "proxy_protocol_config");
LIST(sl_no_health_check, "grpc_health_check", "custom_health_check", "redis_health_check",
     "alt_port", "tls_options", "transport_socket_match_criteria");
LIST(sl_no_outlier, "success_rate_minimum_hosts", "success_rate_request_volume",
     "success_rate_stdev_factor", "split_external_local_origin_errors",
     "consecutive_local_origin_failure", "enforcing_consecutive_local_origin_failure",
     "enforcing_local_origin_success_rate", "failure_percentage_threshold",
     "enforcing_failure_percentage", "enforcing_failure_percentage_local_origin",
     "failure_percentage_minimum_hosts", "failure_percentage_request_volume", "monitors",
     "detect_degraded_hosts");
LIST(sl_no_cares, "use_resolvers_as_fallback", "filter_unroutable_families",
     "edns0_max_payload_size", "max_udp_channel_duration", "reinit_channel_on_timeout");
LIST(sl_no_breakers, "per_host_thresholds");
LIST(sl_no_cluster, "transport_socket_matches", "cluster_type", "eds_cluster_config",
     "load_balancing_policy", "tls_context", "upstream_http_protocol_options",
     "http_protocol_options", "extension_protocol_options", "upstream_bind_config",
     "lb_subset_config", "original_dst_lb_config", "transport_socket", "protocol_selection",
     "upstream_connection_options", "drain_connections_on_host_removal", "filters", "lrs_server",
     "upstream_config", "preconnect_policy", "connection_pool_per_downstream_connection");
LIST(sl_no_static, "secrets");
LIST(sl_no_root, "dynamic_resources", "cluster_manager", "hds_config", "stats_sinks", "tracing",
     "layered_runtime", "runtime", "default_regex_engine", "bootstrap_extensions", "fatal_actions",
     "grpc_async_client_manager_config", "inline_headers", "default_socket_interface",
     "certificate_provider_instances", "xds_delegate_extension", "xds_config_tracker_extension",
     "application_log_config", "default_config_source", "config_sources", "listener_manager",
     "node_context_params");

LIST(sl_tune_metadata, "metadata");
LIST(sl_tune_route, "metadata", "decorator", "tracing", "stat_prefix");
LIST(sl_tune_router, "dynamic_stats", "start_child_span", "respect_expected_rq_timeout",
     "suppress_grpc_request_failure_code_stats");
LIST(sl_tune_listener, "metadata", "deprecated_v1", "drain_type", "listener_filters_timeout",
     "continue_on_listener_filters_timeout", "traffic_direction", "reuse_port", "enable_reuse_port",
     "tcp_backlog_size", "max_connections_to_accept_per_socket_event", "ignore_global_conn_limit",
     "stat_prefix", "bypass_overload_manager");
LIST(sl_tune_locality, "locality", "proximity", "metadata");
LIST(sl_tune_cluster, "alt_stat_name", "cleanup_interval", "metadata", "track_timeout_budgets",
     "track_cluster_stats");
LIST(sl_tune_health_check, "event_log_path", "event_service", "event_logger",
     "always_log_health_check_failures", "always_log_health_check_success");
LIST(sl_tune_root, "node", "flags_path", "stats_config", "stats_flush_interval",
     "stats_flush_on_admin", "watchdog", "watchdogs", "enable_dispatcher_stats", "header_prefix",
     "stats_server_version_override", "memory_allocator_manager", "perf_tracing_file_path");
