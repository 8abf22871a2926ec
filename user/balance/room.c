// SPDX-License-Identifier: GPL-2.0-only
/* First fit. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "balance/balance.h"

static int insert(struct sl_lb_room *r, __u32 at, struct sl_region region)
{
	if (r->n == r->cap) {
		__u32 cap = r->cap ? r->cap * 2 : 64;
		struct sl_region *used = realloc(r->used, cap * sizeof(*used));

		if (!used)
			return -ENOMEM;
		r->used = used;
		r->cap = cap;
	}
	memmove(&r->used[at + 1], &r->used[at], (r->n - at) * sizeof(*r->used));
	r->used[at] = region;
	r->n++;
	return 0;
}

int sl_lb_room_take(struct sl_lb_room *r, __u32 len, struct sl_region *ret)
{
	__u32 from = 0;

	*ret = (struct sl_region){0};
	if (!len)
		return 0;
	for (__u32 i = 0; i <= r->n; i++) {
		__u32 to = i < r->n ? r->used[i].off : r->size;

		if (to >= from && to - from >= len) {
			*ret = (struct sl_region){from, len};
			return insert(r, i, *ret);
		}
		if (i < r->n)
			from = r->used[i].off + r->used[i].len;
	}
	return -ENOSPC;
}

int sl_lb_room_mark(struct sl_lb_room *r, struct sl_region region)
{
	__u32 i = 0;

	if (!region.len)
		return 0;
	if (region.off >= r->size || region.len > r->size - region.off)
		return -EEXIST;
	while (i < r->n && r->used[i].off < region.off)
		i++;
	if ((i && r->used[i - 1].off + r->used[i - 1].len > region.off) ||
	    (i < r->n && region.off + region.len > r->used[i].off))
		return -EEXIST;
	return insert(r, i, region);
}

void sl_lb_room_give(struct sl_lb_room *r, struct sl_region region)
{
	for (__u32 i = 0; region.len && i < r->n; i++) {
		if (r->used[i].off != region.off)
			continue;
		memmove(&r->used[i], &r->used[i + 1], (r->n - i - 1) * sizeof(*r->used));
		r->n--;
		return;
	}
}
