// SPDX-License-Identifier: GPL-2.0-only
#include "config/by_name.h"

#include <string.h>
#include <strings.h>

static bool is_named(const struct sl_header *hd, const __u8 *buf, const char *name)
{
	return hd->name.len == strlen(name) &&
	       !strncasecmp((const char *)buf + hd->name.off, name, hd->name.len);
}

static __u32 cluster_named(const struct sl_actions *a, const __u8 *name, __u32 len)
{
	for (__u32 c = 0; c < a->n_clusters; c++)
		if (a->clusters[c] && strlen(a->clusters[c]) == len &&
		    !memcmp(a->clusters[c], name, len))
			return c;
	return SL_NO_TARGET;
}

__u32 sl_cluster_by_header(const struct sl_actions *a, const char *header, const struct sl_head *h,
			   const __u8 *buf)
{
	if (!strcmp(header, ":authority"))
		return cluster_named(a, buf + h->host.off, h->host.len);
	for (__u32 i = 0; i < h->n_headers; i++) {
		const struct sl_header *hd = &h->headers[i];

		if (is_named(hd, buf, header))
			return cluster_named(a, buf + hd->value.off, hd->value.len);
	}
	return SL_NO_TARGET;
}

/* The value of the header @name if the request has just one of it; len 0: not so. */
static struct sl_span single(const struct sl_head *h, const __u8 *buf, const char *name)
{
	struct sl_span value = {0};
	__u32 n = 0;

	for (__u32 i = 0; i < h->n_headers; i++) {
		if (!is_named(&h->headers[i], buf, name))
			continue;
		value = h->headers[i].value;
		n++;
	}
	return n == 1 ? value : (struct sl_span){0};
}

__u32 sl_target_by_header(const struct sl_split *s, const char *header, const struct sl_head *h,
			  const __u8 *buf)
{
	struct sl_span value = single(h, buf, header);
	__u64 sum = 0, n = 0;

	for (__u32 i = 0; i < value.len; i++) {
		__u8 c = buf[value.off + i];

		if (c < '0' || c > '9' || __builtin_mul_overflow(n, 10, &n) ||
		    __builtin_add_overflow(n, c - '0', &n))
			return SL_NO_TARGET;
	}
	for (__u32 i = 0; i < SL_MAX_SPLIT_TARGETS; i++)
		sum += sl_weight(s, i);
	if (!value.len || !sum)
		return SL_NO_TARGET;
	n %= sum;
	for (__u32 i = 0; i < SL_MAX_SPLIT_TARGETS; i++) {
		if (n < sl_weight(s, i))
			return i;
		n -= sl_weight(s, i);
	}
	return SL_NO_TARGET;
}
