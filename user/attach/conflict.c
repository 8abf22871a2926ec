// SPDX-License-Identifier: GPL-2.0-only
#include "attach/conflict.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "attach/instances.h"
#include "attach/point.h"
#include "attach/target.h"

struct search {
	__u64 cookie;
	const struct sl_address *address;
	bool dual;
	const char *but;
	struct sl_conflict *found;
	struct sl_lookup_ask ask;
};

static bool takes(const struct sl_address *any, bool dual, const struct sl_address *a)
{
	return sl_address_is_any(any) && (any->family == a->family || dual);
}

static bool overlaps(const struct search *s, const struct sl_attach_point *p)
{
	struct sl_address a;

	sl_point_address(p, &a);
	if (!(SL_READ(p->flags) & SL_A_ON) || p->netns != s->cookie || a.port != s->address->port)
		return false;
	return sl_address_equal(&a, s->address) || takes(&a, p->dual, s->address) ||
	       takes(s->address, s->dual, &a);
}

/* Its points are known; its program is told from others' by its map. */
static int look_at_instance(void *ctx, const struct sl_instance *i)
{
	struct search *s = ctx;

	if (s->ask.n_own < SL_LOOKUP_PROGRAMS)
		s->ask.own_maps[s->ask.n_own++] = sl_maps_attached_id(i->maps);
	if (!i->runs || (s->but && !strcmp(s->but, i->name)))
		return 0;
	for (__u32 k = 0; k < SL_MAX_LISTENERS; k++) {
		if (!overlaps(s, &i->maps->points[k]))
			continue;
		snprintf(s->found->instance, sizeof(s->found->instance), "%s", i->name);
		sl_point_address(&i->maps->points[k], &s->found->address);
		return 1;
	}
	return 0;
}

int sl_conflict_find(int netns, __u64 cookie, const struct sl_address *a, bool dual,
		     const char *but, struct sl_conflict *ret)
{
	struct search s = {.cookie = cookie, .address = a, .dual = dual, .but = but, .found = ret};
	struct sl_local local;
	int rc;

	memset(ret, 0, sizeof(*ret));
	rc = sl_instances_each(look_at_instance, &s);
	if (rc)
		return rc;
	rc = sl_local_find(netns, a, dual, &local);
	s.ask.addresses = local.addresses;
	s.ask.n_addresses = local.n;
	return rc ? rc : sl_lookup_answers(netns, &s.ask, &ret->program);
}

const char *sl_conflict_text(char *buf, const struct sl_conflict *c, const struct sl_address *a)
{
	char theirs[SL_ADDRESS_MAX], ours[SL_ADDRESS_MAX];

	sl_address_text(theirs, &c->address);
	sl_address_text(ours, a);
	if (c->instance[0] && sl_address_equal(&c->address, a))
		snprintf(buf, SL_CONFLICT_TEXT, "%s is attached already (instance '%s')", ours,
			 c->instance);
	else if (c->instance[0])
		snprintf(buf, SL_CONFLICT_TEXT,
			 "instance '%s' has %s attached, which has connections in common with %s",
			 c->instance, theirs, ours);
	else
		snprintf(buf, SL_CONFLICT_TEXT,
			 "another sk_lookup program ('%s', id %u) answers for %s; two would depend "
			 "on their order. 'bpftool link' says whose it is",
			 c->program.name, c->program.id, ours);
	return buf;
}
