/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Envoy's keys that we know by name only: sl_no_*: not supported yet, refused. sl_tune_*:
 * tune Envoy itself, ignored with a warning. NULL at the end of each.
 */
#ifndef SL_ENVOY_KEYS_H
#define SL_ENVOY_KEYS_H

extern const char *const sl_no_socket_address[];
extern const char *const sl_no_address[];
extern const char *const sl_no_string_match[];
extern const char *const sl_no_header_value[];
extern const char *const sl_no_redirect[];
extern const char *const sl_no_retry[];
extern const char *const sl_no_mirror[];
extern const char *const sl_no_cookie[];
extern const char *const sl_no_match[];
extern const char *const sl_no_weight[];
extern const char *const sl_no_action[];
extern const char *const sl_no_body[];
extern const char *const sl_no_body_format[];
extern const char *const sl_no_route[];
extern const char *const sl_no_vhost[];
extern const char *const sl_no_route_config[];
extern const char *const sl_no_router[];
extern const char *const sl_no_http_filter[];
extern const char *const sl_no_upgrade[];
extern const char *const sl_no_hcm[];
extern const char *const sl_no_filter[];
extern const char *const sl_no_filter_chain[];
extern const char *const sl_no_listener[];
extern const char *const sl_no_endpoint[];
extern const char *const sl_no_lb_endpoint[];
extern const char *const sl_no_locality[];
extern const char *const sl_no_assignment[];
extern const char *const sl_no_threshold[];
extern const char *const sl_no_breakers[];
extern const char *const sl_no_hcm_options[];
extern const char *const sl_no_stream_duration[];
extern const char *const sl_no_cluster_options[];
extern const char *const sl_no_explicit_http[];
extern const char *const sl_no_upstream_http[];
extern const char *const sl_no_overload[];
extern const char *const sl_no_overload_action[];
extern const char *const sl_no_trigger[];
extern const char *const sl_no_cluster[];
extern const char *const sl_no_http_check[];
extern const char *const sl_no_tcp_check[];
extern const char *const sl_no_health_check[];
extern const char *const sl_no_outlier[];
extern const char *const sl_tune_health_check[];
extern const char *const sl_no_round_robin[];
extern const char *const sl_no_least_request[];
extern const char *const sl_no_ring_hash[];
extern const char *const sl_no_zone_aware[];
extern const char *const sl_no_common_lb[];
extern const char *const sl_no_assignment_policy[];
extern const char *const sl_no_cares[];
extern const char *const sl_no_static[];
extern const char *const sl_no_root[];

extern const char *const sl_tune_metadata[];
extern const char *const sl_tune_route[];
extern const char *const sl_tune_router[];
extern const char *const sl_tune_listener[];
extern const char *const sl_tune_locality[];
extern const char *const sl_tune_cluster[];
extern const char *const sl_tune_root[];

#endif /* SL_ENVOY_KEYS_H */
