/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Whether the kernel path can answer a request itself, with the canned answer of its route
 * (sl_table.h): one text, but for its date and white space. BPF writes it over the request, which
 * must have room for it.
 */
#ifndef SL_CANNED_H
#define SL_CANNED_H

#include "sl_types.h"
#include "sl_reason.h"
#include "sl_head.h"
#include "sl_body.h"
#include "sl_table.h"
#include "sl_date.h"

/* Bytes of the answer without white space to fill it up. */
SL_FN __u32 sl_canned_size(const struct sl_canned *c)
{
	return c->text.len + SL_DATE_LINE;
}

/* Why the request @h, of which @size bytes are at hand, is not answered with @c; NONE: it is. */
SL_FN enum sl_reason sl_canned_reason(const struct sl_canned *c, const struct sl_head *h,
				      __u32 size)
{
	const struct sl_body body = sl_request_body(h);

	/* A HEAD's answer has no body; a body would have to be read first. */
	if (h->method == SL_METHOD_HEAD || size != h->len || !sl_body_done(&body))
		return SL_REASON_ROUTE_NEEDS_USER;
	/* The redirect keeps the request's query. */
	if ((c->flags & SL_CANNED_NO_QUERY) && h->target.len != h->path.len)
		return SL_REASON_ROUTE_NEEDS_USER;
	return size < sl_canned_size(c) ? SL_REASON_ANSWER_LONG : SL_REASON_NONE;
}

#endif /* SL_CANNED_H */
