// SPDX-License-Identifier: GPL-2.0-only
#include "attach/point.h"

#include <string.h>
#include <sys/socket.h>

#include "attach/target.h"

void sl_point_init(struct sl_attach_point *p, const struct sl_address *a, __u64 netns,
		   const char *name)
{
	memset(p, 0, sizeof(*p));
	p->netns = netns;
	p->port = a->port;
	p->family = a->family;
	memcpy(p->addr, a->addr, sizeof(p->addr));
	strncpy(p->name, name, sizeof(p->name) - 1);
	SL_WRITE(p->flags, SL_A_USED);
}

void sl_point_address(const struct sl_attach_point *p, struct sl_address *ret)
{
	*ret = (struct sl_address){.port = p->port, .family = p->family};
	memcpy(ret->addr, p->addr, sizeof(ret->addr));
}

int sl_attached_set(const struct sl_maps *m, const struct sl_address *a, __u64 netns, __u32 value)
{
	struct sl_attach_key key = {.netns = netns, .port = a->port};

	sl_address_mapped(key.addr, a);
	return sl_maps_attached_set(m, &key, value);
}

/* Those of the last time: who had them may be gone. */
static void clear_exceptions(const struct sl_maps *m, __u16 port, __u64 netns)
{
	struct sl_attach_key key, next;
	bool more = !sl_maps_attached_next(m, NULL, &next);
	__u32 value;

	while (more) {
		key = next;
		more = !sl_maps_attached_next(m, &key, &next);
		if (key.netns == netns && key.port == port &&
		    !sl_maps_attached_get(m, &key, &value) && value == SL_ATTACH_EXCEPT)
			(void)sl_maps_attached_del(m, &key);
	}
}

/* Other people's sockets on one address of the wildcard @a. */
static int set_exceptions(const struct sl_maps *m, const struct sl_target *t, __u64 netns,
			  const struct sl_listening *all, __u32 n)
{
	int rc = 0;

	for (__u32 i = 0; i < n && !rc; i++) {
		const struct sl_address *other = &all[i].address;

		if (other->port != t->address.port || sl_address_is_any(other) ||
		    (other->family != t->address.family && !t->dual))
			continue;
		rc = sl_attached_set(m, other, netns, SL_ATTACH_EXCEPT);
	}
	return rc;
}

/* The IPv4 of [::], which it may not take any more: 0.0.0.0 may be somebody else's now. */
static void clear_ipv4(const struct sl_maps *m, __u32 index, const struct sl_address *any4,
		       __u64 netns)
{
	struct sl_attach_key key = {.netns = netns, .port = any4->port};
	__u32 value;

	sl_address_mapped(key.addr, any4);
	if (!sl_maps_attached_get(m, &key, &value) && value == index &&
	    m->points[index].family == AF_INET6)
		(void)sl_maps_attached_del(m, &key);
}

/* [::] takes IPv4, unless somebody has 0.0.0.0. */
static bool takes_ipv4(const struct sl_target *t, const struct sl_listening *all, __u32 n)
{
	const struct sl_address any4 = {.port = t->address.port, .family = AF_INET};

	for (__u32 i = 0; t->dual && i < n; i++)
		if (sl_address_equal(&all[i].address, &any4))
			return false;
	return t->dual;
}

int sl_point_on(const struct sl_maps *m, __u32 index, const struct sl_listening *all, __u32 n)
{
	struct sl_attach_point *p = &m->points[index];
	struct sl_address any4 = {.port = p->port, .family = AF_INET}, a;
	struct sl_target t;
	int rc = 0;

	sl_point_address(p, &a);
	(void)sl_target_find(all, n, &a, &t);
	if (sl_address_is_any(&a)) {
		clear_exceptions(m, a.port, p->netns);
		rc = set_exceptions(m, &t, p->netns, all, n);
	}
	if (!rc && takes_ipv4(&t, all, n))
		rc = sl_attached_set(m, &any4, p->netns, index);
	else if (!rc)
		clear_ipv4(m, index, &any4, p->netns);
	if (!rc)
		rc = sl_attached_set(m, &a, p->netns, index);
	if (rc)
		return rc;
	p->dual = t.dual;
	__sync_fetch_and_or(&p->flags, SL_A_ON);
	return 0;
}

void sl_point_off(const struct sl_maps *m, __u32 index)
{
	__sync_fetch_and_and(&m->points[index].flags, ~SL_A_ON);
}

int sl_point_find(const struct sl_maps *m, const struct sl_address *a, __u64 netns)
{
	for (int i = 0; i < SL_MAX_LISTENERS; i++) {
		const struct sl_attach_point *p = &m->points[i];
		struct sl_address own;

		sl_point_address(p, &own);
		if ((p->flags & SL_A_USED) && p->netns == netns && sl_address_equal(&own, a))
			return i;
	}
	return -1;
}
