// SPDX-License-Identifier: GPL-2.0-only
#include "attach/target.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

/* Whether @l, on a wildcard, takes connections to @a. */
static bool covers(const struct sl_listening *l, const struct sl_address *a)
{
	if (!sl_address_is_any(&l->address) || l->address.port != a->port)
		return false;
	return l->address.family == a->family || (l->address.family == AF_INET6 && !l->only6);
}

int sl_target_find(const struct sl_listening *all, __u32 n, const struct sl_address *a,
		   struct sl_target *ret)
{
	*ret = (struct sl_target){.address = *a};
	for (__u32 i = 0; i < n; i++) {
		if (!sl_address_equal(&all[i].address, a))
			continue;
		ret->first = all[i];
		ret->n_sockets++;
		ret->dual |= a->family == AF_INET6 && sl_address_is_any(a) && !all[i].only6;
	}
	for (__u32 i = 0; !ret->n_sockets && i < n; i++) {
		if (!covers(&all[i], a))
			continue;
		ret->first = all[i];
		ret->covered = true;
	}
	if (ret->n_sockets)
		return 0;
	for (__u32 i = 0; ret->covered && i < n; i++)
		ret->n_sockets += sl_address_equal(&all[i].address, &ret->first.address);
	if (ret->covered)
		return 0;
	for (__u32 i = 0; i < n; i++)
		if (all[i].address.port == a->port)
			ret->first = all[i];
	return -ENOENT;
}

int sl_target_owner(struct sl_target *t)
{
	t->owner.inode = t->first.inode;
	return sl_owners_find(&t->owner, 1);
}
