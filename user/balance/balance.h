/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * From a cluster's endpoints, their weights, priorities and health, to the view (include/sl_lb.h)
 * by which both paths pick one. Envoy's rules: source/common/upstream/load_balancer_impl.cc and
 * source/extensions/load_balancing_policies/.
 */
#ifndef SL_BALANCE_H
#define SL_BALANCE_H

#include "config/compiled.h"
#include "sl_lb.h"

struct sl_lb_host {
	__u32 endpoint;
	__u32 weight; /* effective; 0: gets nothing, and is there all the same */
	__u8 priority;
	bool healthy;
	bool picked; /* out: is in the view */
	__u64 id;    /* hash of its address: where it stands in tables, whatever its index */
};

/* priority.c: how the load is shared between priorities, in percent; load[] sums up to 100. */
struct sl_lb_loads {
	__u32 n; /* priorities */
	__u32 load[SL_MAX_PRIORITIES];
	bool panic[SL_MAX_PRIORITIES]; /* all of its endpoints are picked from, not the healthy */
};

void sl_lb_loads(const struct sl_cluster_lb *lb, const struct sl_lb_host *hosts, __u32 n,
		 struct sl_lb_loads *ret);

/* Slots under construction. */
struct sl_lb_slots {
	struct sl_lb_slot *items; /* freed by the caller */
	__u32 n;
	__u32 cap;
	__u32 base; /* references are to base + index */
};

/* @n slots more, zeroed: the index of the first, or -ENOMEM. */
int sl_lb_slots_add(struct sl_lb_slots *s, __u32 n);

/*
 * view.c: the view of @hosts by @lb's rules; marks the hosts that are in it. The slots go to
 * @slots (zeroed by the caller; its base is set when they have a place, see
 * sl_lb_slots_move()). 0 or -ENOMEM.
 */
int sl_lb_view(const struct sl_cluster_lb *lb, struct sl_lb_host *hosts, __u32 n,
	       struct sl_lb_slots *slots, __u64 *ret_view);

/* The slots, made for slots->base (0 at first), are for @base: the view that goes with them, moved
 * too. */
__u64 sl_lb_slots_move(struct sl_lb_slots *slots, __u32 base, __u64 view);

/*
 * tables.c: the table of @hosts of which all are picked (weight > 0, n > 0). ring: as large as for
 * @least and @total, the least weight and the sum of all in the priority, healthy or not: so
 * those that stay keep their points. maglev: lb->table_size endpoints. 0 or -ENOMEM.
 */
int sl_lb_ring(const struct sl_cluster_lb *lb, const struct sl_lb_host *const *hosts, __u32 n,
	       __u32 least, __u64 total, struct sl_lb_slots *slots, __u32 *ret_ref);
int sl_lb_maglev(const struct sl_cluster_lb *lb, const struct sl_lb_host *const *hosts, __u32 n,
		 struct sl_lb_slots *slots, __u32 *ret_ref);

/* Slots that the view of @n hosts by @lb can take, at most. */
__u32 sl_lb_slots_max(const struct sl_cluster_lb *lb, __u32 n);

/*
 * hosts.c: the weight of @weight for an endpoint that has been healthy for @age_ms
 * (EdfLoadBalancerBase::applySlowStartFactor): in thousandths, so that it can grow in small steps.
 */
__u32 sl_lb_slow_start(const struct sl_slow_start *s, __u32 weight, __u64 age_ms);

/* hosts.c: what places @e in tables of hashes. */
__u64 sl_lb_id(const struct sl_endpoint *e);

/*
 * The endpoints of @cl, of @endpoints, with what the config says of them (@hosts; NULL: weight 1,
 * priority 0), into @ret; their number.
 */
__u32 sl_lb_hosts(const struct sl_cluster *cl, const struct sl_endpoint *endpoints,
		  const struct sl_host_config *hosts, struct sl_lb_host *ret);

/*
 * Views of all clusters of @c as it was compiled, into its clusters and endpoints, for a start;
 * *ret_slots: what lb_slots has to hold, from slot 0 on; freed by the caller. 0 or -ENOMEM.
 */
int sl_lb_first(struct sl_compiled *c, struct sl_lb_slot **ret_slots, __u32 *ret_n);

/*
 * room.c: which slots are free. Regions are given back when nobody reads them any more: the caller
 * waits.
 */
struct sl_lb_room {
	struct sl_region *used; /* sorted */
	__u32 n;
	__u32 cap;
	__u32 size; /* slots in all */
};

/* 0 or -ENOSPC, -ENOMEM. len 0 is always there. */
int sl_lb_room_take(struct sl_lb_room *r, __u32 len, struct sl_region *ret);
/* Marks a region that is known to be in use. 0 or -ENOMEM, -EEXIST: overlaps with another. */
int sl_lb_room_mark(struct sl_lb_room *r, struct sl_region region);
void sl_lb_room_give(struct sl_lb_room *r, struct sl_region region);

#endif /* SL_BALANCE_H */
