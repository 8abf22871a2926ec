/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The matcher of the user path: the core's (sl_match.h), with an answer to each rule that the
 * kernel is unsure of: regular expressions, repeated headers, quoted cookies. Not for several
 * threads.
 */
#ifndef SL_MATCHER_H
#define SL_MATCHER_H

#include "sl_match.h"

struct sl_matcher;

/* For @t, which has to outlive it. 0, -ENOMEM, or -EINVAL: a regex of @t is none. */
int sl_matcher_new(const struct sl_table *t, struct sl_matcher **ret);
/* NULL is fine. */
void sl_matcher_free(struct sl_matcher *m);

/* Do answers depend on whether the client is internal? Then that has to be said for each request.
 */
bool sl_matcher_asks_internal(const struct sl_matcher *m);
void sl_matcher_internal(struct sl_matcher *m, bool internal);

/*
 * The route of request @h (its bytes in @buf) to listener @listener, or SL_NO_ROUTE. @draw: a
 * random number, or the one that BPF had for the same request.
 */
__u32 sl_matcher_find(struct sl_matcher *m, __u32 listener, const struct sl_head *h,
		      const __u8 *buf, __u64 draw);

/*
 * The domain by which its virtual host is found, as sl_domain_find(): by the route configuration's
 * vhost_header, if it has one.
 */
__u32 sl_matcher_domain(struct sl_matcher *m, __u32 listener, const struct sl_head *h,
			const __u8 *buf);

/*
 * The request as the routes of @listener are compared with it: *@h and *@buf themselves, or a copy
 * of m's own without path parameters. Until sl_matcher_find(), ":path" is as it was sent.
 */
void sl_matcher_see(struct sl_matcher *m, __u32 listener, const struct sl_head **h,
		    const __u8 **buf);

/* Does rule @rule of the table match, all alone? */
bool sl_matcher_rule(struct sl_matcher *m, const struct sl_head *h, const __u8 *buf, __u64 draw,
		     __u32 rule);

/* Is there what the rule compares: the header, the parameter, the cookie? */
bool sl_matcher_present(struct sl_matcher *m, const struct sl_head *h, const __u8 *buf, __u32 rule);

#endif /* SL_MATCHER_H */
