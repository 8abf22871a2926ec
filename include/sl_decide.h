/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the kernel path takes. A message that parses may still say something that only a
 * whole proxy can honour: those go to the user path, with the reason by name.
 */
#ifndef SL_DECIDE_H
#define SL_DECIDE_H

#include "sl_types.h"
#include "sl_reason.h"
#include "sl_head.h"
#include "sl_body.h"

/* Why the request @h (parsed, DONE) takes the user path; SL_REASON_NONE: it need not. */
SL_FN enum sl_reason sl_kernel_reason(const struct sl_head *h)
{
	__u32 f = h->flags;

	/* One test for nearly every request. */
	if (!(f & (SL_HEAD_HTTP10 | SL_HEAD_CLOSE | SL_HEAD_CONNECTION | SL_HEAD_UPGRADE |
		   SL_HEAD_EXPECT | SL_HEAD_ABSOLUTE | SL_HEAD_ASTERISK | SL_HEAD_AUTHORITY |
		   SL_HEAD_MAX_FORWARDS)))
		return SL_REASON_NONE;
	if (f & SL_HEAD_HTTP10)
		return SL_REASON_HTTP10;
	if (f & (SL_HEAD_UPGRADE | SL_HEAD_AUTHORITY))
		return SL_REASON_UPGRADE;
	if (f & SL_HEAD_EXPECT)
		return SL_REASON_EXPECT;
	if (f & (SL_HEAD_CLOSE | SL_HEAD_CONNECTION))
		return SL_REASON_CONNECTION_HEADER;
	if (f & (SL_HEAD_ABSOLUTE | SL_HEAD_ASTERISK))
		return SL_REASON_NOT_CANONICAL;
	return SL_REASON_MAX_FORWARDS;
}

/* Why a request whose head is not DONE takes the user path. */
SL_FN enum sl_reason sl_parse_reason(enum sl_parse result)
{
	switch (result) {
	case SL_PARSE_DONE:
		return SL_REASON_NONE;
	case SL_PARSE_MORE:
		return SL_REASON_HEAD_INCOMPLETE;
	case SL_PARSE_LONG:
		return SL_REASON_HEAD_TOO_LONG;
	case SL_PARSE_BAD:
		break;
	}
	return SL_REASON_NOT_CANONICAL;
}

/*
 * May the kernel path forward the final response @h with the body @b and keep both connections? The
 * end has to be known by its framing, and neither side may have asked to close.
 */
SL_FN bool sl_response_is_plain(const struct sl_head *h, const struct sl_body *b)
{
	const __u32 refused = SL_HEAD_HTTP10 | SL_HEAD_CLOSE | SL_HEAD_CONNECTION;

	return !(h->flags & refused) && h->status >= 200 && h->status <= 599 &&
	       b->kind != SL_BODY_CLOSE;
}

#endif /* SL_DECIDE_H */
