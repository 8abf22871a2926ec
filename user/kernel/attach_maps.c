// SPDX-License-Identifier: GPL-2.0-only
/* The maps of attached addresses. */
#include <errno.h>

#include <bpf/bpf.h>

#include "kernel/maps.h"

int sl_maps_attached_get(const struct sl_maps *m, const struct sl_attach_key *key, __u32 *ret)
{
	return bpf_map_lookup_elem(m->attached_fd, key, ret) ? -errno : 0;
}

int sl_maps_attached_set(const struct sl_maps *m, const struct sl_attach_key *key, __u32 value)
{
	return bpf_map_update_elem(m->attached_fd, key, &value, BPF_ANY) ? -errno : 0;
}

int sl_maps_attached_del(const struct sl_maps *m, const struct sl_attach_key *key)
{
	return bpf_map_delete_elem(m->attached_fd, key) ? -errno : 0;
}

int sl_maps_attached_next(const struct sl_maps *m, const struct sl_attach_key *key,
			  struct sl_attach_key *ret)
{
	return bpf_map_get_next_key(m->attached_fd, key, ret) ? -errno : 0;
}

__u32 sl_maps_attached_id(const struct sl_maps *m)
{
	struct bpf_map_info info = {};
	__u32 len = sizeof(info);

	return bpf_obj_get_info_by_fd(m->attached_fd, &info, &len) ? 0 : info.id;
}

__u64 sl_maps_sockmap_cookie(int map_fd, __u32 index)
{
	__u64 cookie = 0;

	return bpf_map_lookup_elem(map_fd, &index, &cookie) ? 0 : cookie;
}

void sl_maps_l4_forget(const struct sl_maps *m, __u32 endpoint)
{
	for (__u32 i = 0; i < SL_L4_SOCKETS; i++) {
		__u32 slot = endpoint * SL_L4_SOCKETS + i;

		(void)bpf_map_delete_elem(m->l4_sockets_fd, &slot);
	}
}
