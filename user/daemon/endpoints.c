// SPDX-License-Identifier: GPL-2.0-only
/*
 * Slots of the map `endpoints`: an endpoint that has left its cluster keeps its slot until its
 * exchanges are done, its lanes closed, and whoever had read the cluster's old view is through.
 */
#include "internal.h"

#define LEFT_NS (3 * NS_PER_S) /* as long nobody has had to do with it */

__u32 endpoints_top(const struct worker *w)
{
	__u32 n = SL_READ(w->maps->control->n_endpoints);

	return n < SL_MAX_ENDPOINTS ? n : SL_MAX_ENDPOINTS;
}

void endpoint_begin(struct worker *w, __u32 i, const struct sl_endpoint *e)
{
	struct sl_endpoint *live = &w->maps->endpoints[i];
	__u64 idle = SL_READ(live->idle);

	*live = *e;
	live->idle = idle; /* its generation goes on */
	live->busy = 0;
	w->maps->hosts[i] = (struct sl_host){.healthy_ns = w->now_ns};
}

void endpoints_changed(struct worker *w)
{
	w->any_left = true;
}

/* Marks the endpoints that an exchange or a lane has to do with. */
static void mark_used(const struct worker *w, __u8 *used)
{
	for (const struct list *l = w->backs.next; l != &w->backs; l = l->next)
		if (BACK_OF(l, all)->endpoint < SL_MAX_ENDPOINTS)
			used[BACK_OF(l, all)->endpoint] = 1;
	for (const struct list *l = w->fronts.next; l != &w->fronts; l = l->next)
		if (FRONT_OF(l, all)->x.endpoint < SL_MAX_ENDPOINTS)
			used[FRONT_OF(l, all)->x.endpoint] = 1;
}

static void reap(struct worker *w, __u32 i, bool used)
{
	struct sl_endpoint *e = &w->maps->endpoints[i];

	if (used || SL_STACK_SLOT(SL_READ(e->idle)) || !w->left_ns[i]) {
		w->left_ns[i] = w->now_ns;
		return;
	}
	if (w->now_ns - w->left_ns[i] < LEFT_NS)
		return;
	sl_maps_l4_forget(w->maps, i);
	w->left_ns[i] = 0;
	/* It stays closed, for who has it in mind from long ago. */
	SL_WRITE(e->flags, SL_ENDPOINT_DRAINING);
	SL_WRITE(e->family, 0);
}

void endpoints_reap(struct worker *w)
{
	__u8 used[SL_MAX_ENDPOINTS] = {0};

	if (!w->any_left)
		return;
	w->any_left = false;
	mark_used(w, used);
	for (__u32 i = 0; i < endpoints_top(w); i++) {
		const struct sl_endpoint *e = &w->maps->endpoints[i];

		if (!e->family || !(e->flags & SL_ENDPOINT_DRAINING)) {
			w->left_ns[i] = 0;
			continue;
		}
		w->any_left = true;
		reap(w, i, used[i]);
	}
}
