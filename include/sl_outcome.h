/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What an answer says of the endpoint that gave it: outlier detection by consecutive failures, as
 * DetectorHostMonitorImpl::putHttpResponseCode() of Envoy's outlier_detection_impl.cc counts.
 */
#ifndef SL_OUTCOME_H
#define SL_OUTCOME_H

#include "sl_table.h"

/* Counts an answer of @e with @status. True: the daemon has to look at it. */
SL_FN bool sl_outcome(struct sl_endpoint *e, __u32 status)
{
	bool reached = false;

	if (!(SL_READ(e->flags) & SL_ENDPOINT_WATCHED))
		return false;
	if (status < 500) {
		/* Nearly always 0 already: no write to what others read. */
		if (SL_READ(e->n_5xx))
			SL_WRITE(e->n_5xx, 0);
		if (SL_READ(e->n_gateway))
			SL_WRITE(e->n_gateway, 0);
		return false;
	}
	if (status >= 502 && status <= 504)
		reached = sl_fetch_add(&e->n_gateway, 1) + 1 == SL_READ(e->limit_gateway);
	else
		SL_WRITE(e->n_gateway, 0);
	return (sl_fetch_add(&e->n_5xx, 1) + 1 == SL_READ(e->limit_5xx)) | reached;
}

#endif /* SL_OUTCOME_H */
