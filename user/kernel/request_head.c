// SPDX-License-Identifier: GPL-2.0-only
#include "maps.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>

int sl_maps_request_head(const struct sl_maps *m, __u32 slot, __u8 *ret)
{
	struct bpf_map_info info = {0};
	__u32 len = sizeof(info);
	__u8 *value;
	int rc = 0;

	if (bpf_obj_get_info_by_fd(m->request_heads_fd, &info, &len))
		return -errno;
	if (info.value_size < SL_KERNEL_HEAD_MAX)
		return -EPROTO;
	value = malloc(info.value_size + 8);
	if (!value)
		return -ENOMEM;
	if (bpf_map_lookup_elem(m->request_heads_fd, &slot, value))
		rc = -errno;
	else
		memcpy(ret, value, SL_KERNEL_HEAD_MAX);
	free(value);
	return rc;
}
