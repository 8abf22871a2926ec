// SPDX-License-Identifier: GPL-2.0-only
#include "maps.h"

#include <string.h>

static __u8 *head_at(const struct sl_maps *m, __u32 slot)
{
	return m->request_heads + (size_t)slot * m->head_size;
}

void sl_maps_request_head(const struct sl_maps *m, __u32 slot, __u8 *ret)
{
	memcpy(ret, head_at(m, slot), SL_KERNEL_HEAD_MAX);
}

void sl_maps_request_head_set(const struct sl_maps *m, __u32 slot, const __u8 *head, __u32 len)
{
	memcpy(head_at(m, slot), head, len);
}
