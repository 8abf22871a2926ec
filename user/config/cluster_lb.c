// SPDX-License-Identifier: GPL-2.0-only
/* Choice of an endpoint: rules across keys; what was given, else the default. */
#include "config/cluster_model.h"
#include "sl_lb.h"

static __u32 value_or(const struct cfg_u32 *v, __u32 or)
{
	return v->node ? v->value : or ;
}

static bool is_prime(__u32 n)
{
	for (__u32 i = 2; i * i <= n; i++)
		if (n % i == 0)
			return false;
	return n > 1;
}

/* As Envoy does, who takes a policy's settings without the policy and makes nothing of them. */
static void idle_settings(struct sl_walk *w, const struct cfg_balance *b,
			  const struct sl_node *settings, __u32 policy, const char *name)
{
	if (settings && b->policy.value != SL_ENUM_WRONG && b->policy.value != policy)
		sl_warning(w, settings, "without 'lb_policy: %s' this does nothing", name);
}

void sl_validate_balance(struct sl_walk *w, const struct cfg_balance *b)
{
	__u32 min = value_or(&b->ring.min, sl_cluster_lb_defaults.ring_min);
	__u32 max = value_or(&b->ring.max, SL_RING_MAX);
	__u32 size = value_or(&b->maglev.table_size, SL_MAGLEV_MAX);

	if (min > max)
		sl_error(w, b->ring.min.node ? b->ring.min.node : b->ring.max.node,
			 "'minimum_ring_size' (%u) is over 'maximum_ring_size' (%u)", min, max);
	if (!is_prime(size))
		sl_error(w, b->maglev.table_size.node, "'table_size' must be a prime number");
	sl_validate_health(w, b);
	idle_settings(w, b, b->ring.node, SL_LB_RING_HASH, "RING_HASH");
	idle_settings(w, b, b->maglev.node, SL_LB_MAGLEV, "MAGLEV");
	idle_settings(w, b, b->round_robin.node, SL_LB_ROUND_ROBIN, "ROUND_ROBIN");
	idle_settings(w, b, b->least_request.node, SL_LB_LEAST_REQUEST, "LEAST_REQUEST");
}

__u32 sl_balance_slots(const struct cfg_balance *b)
{
	switch (b->policy.value) {
	case SL_LB_MAGLEV:
		return 2 * (value_or(&b->maglev.table_size, sl_cluster_lb_defaults.table_size) / 4);
	case SL_LB_RING_HASH:
		return 2 * (value_or(&b->ring.min, sl_cluster_lb_defaults.ring_min) / 2);
	default:
		return 0;
	}
}

static struct sl_slow_start compile_slow_start(const struct cfg_slow_start *s)
{
	return (struct sl_slow_start){
		.window_ms = s->window.value,
		.aggression = value_or(&s->aggression.value, 1000),
		.min_percent = value_or(&s->min.value, 10000),
	};
}

struct sl_cluster_lb sl_compile_balance(const struct cfg_balance *b,
					const struct cfg_assignment_policy *p)
{
	struct sl_cluster_lb out = sl_cluster_lb_defaults;

	out.policy = b->policy.value;
	out.choices = value_or(&b->least_request.choices, out.choices);
	out.ring_min = value_or(&b->ring.min, out.ring_min);
	out.ring_max = value_or(&b->ring.max, out.ring_max);
	out.table_size = value_or(&b->maglev.table_size, out.table_size);
	/* Envoy rounds to whole percents (PROTOBUF_PERCENT_TO_ROUNDED_INTEGER_OR_DEFAULT). */
	if (b->common.panic.node)
		out.panic = (b->common.panic.value.value + 500) / 1000;
	out.overprovisioning = value_or(&p->overprovisioning, out.overprovisioning);
	out.fail_on_panic = b->common.zone_aware.fail_on_panic.value;
	if (out.policy == SL_LB_ROUND_ROBIN)
		out.slow_start = compile_slow_start(&b->round_robin.slow_start);
	if (out.policy == SL_LB_LEAST_REQUEST)
		out.slow_start = compile_slow_start(&b->least_request.slow_start);
	sl_compile_health(b, &out);
	return out;
}
