/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How often a timeout or a limit ended something, by Envoy's names: one list for the daemon,
 * the commands and the tests. Map `counts`, array (mmap-able): 0: of all listeners; 1 +
 * cluster index: of a cluster -> struct sl_counts. Written by the daemon, with atomic adds;
 * both paths' exchanges are in it. Append only: the number is part of the map ABI.
 */
#ifndef SL_COUNTS_H
#define SL_COUNTS_H

#include "sl_types.h"
#include "sl_limits.h"

#define SL_COUNTS(X)                                                                            \
	X(DOWN_CX_OVERFLOW, downstream_cx_overflow, "connections over max_sessions")            \
	X(DOWN_CX_WAIT, downstream_cx_accept_wait, "connections that waited for a descriptor")  \
	X(DOWN_CX_IDLE, downstream_cx_idle_timeout, "clients' connections idle too long")       \
	X(DOWN_CX_DURATION, downstream_cx_max_duration_reached, "clients' connections too old") \
	X(DOWN_RQ_HEADER, downstream_rq_header_timeout, "heads that took too long: 408")        \
	X(DOWN_RQ_TIMEOUT, downstream_rq_timeout, "requests that took too long to arrive: 408") \
	X(DOWN_RQ_IDLE, downstream_rq_idle_timeout, "exchanges without a byte for too long")    \
	X(DOWN_RQ_HEAD_LARGE, downstream_rq_head_too_large, "heads over the limit: 431, 414")   \
	X(DOWN_RQ_DURATION, downstream_rq_max_duration_reached, "exchanges that took too long") \
	X(DOWN_RQ_OVERLOAD, downstream_rq_overload_close, "requests over max_heap_size: 503")   \
	X(UP_CX_OVERFLOW, upstream_cx_overflow, "connections not made for max_connections")     \
	X(UP_CX_CONNECT_FAIL, upstream_cx_connect_fail, "connections refused or unreachable")   \
	X(UP_CX_CONNECT_TIMEOUT, upstream_cx_connect_timeout, "connections not made in time")   \
	X(UP_CX_IDLE, upstream_cx_idle_timeout, "idle connections closed")                      \
	X(UP_CX_DURATION, upstream_cx_max_duration_reached, "connections too old")              \
	X(UP_CX_MAX_REQUESTS, upstream_cx_max_requests, "connections with their last request")  \
	X(UP_RQ_PENDING_OVERFLOW, upstream_rq_pending_overflow,                                 \
	  "requests over max_pending_requests or max_requests: 503")                            \
	X(UP_RQ_TIMEOUT, upstream_rq_timeout, "answers over the route's timeout: 504")          \
	X(UP_RQ_RETRY_OVERFLOW, upstream_rq_retry_overflow, "retries not made for max_retries") \
	X(HC_FAILURE, health_check_failure, "health checks that failed")                        \
	X(EJECTIONS, ejections_enforced_total, "endpoints ejected by outlier detection")        \
	X(EJECTIONS_OVERFLOW, ejections_overflow, "not ejected for max_ejection_percent")       \
	X(UPDATE_SUCCESS, update_success, "answers about the cluster's names")                  \
	X(UPDATE_FAILURE, update_failure, "names that could not be looked up")                  \
	X(MEMBERSHIP_CHANGE, membership_change, "changes of the names' addresses")

enum sl_count {
#define X(name, text, help) SL_COUNT_##name,
	SL_COUNTS(X)
#undef X
		SL_N_COUNTS
};

#define SL_COUNTS_MAX 32			  /* room for more */
#define SL_COUNT_FIRST_UP SL_COUNT_UP_CX_OVERFLOW /* from here on they are clusters' */

struct sl_counts {
	__u64 n[SL_COUNTS_MAX]; /* by enum sl_count */
};

_Static_assert(SL_N_COUNTS <= SL_COUNTS_MAX, "part of the map ABI");

#endif /* SL_COUNTS_H */
