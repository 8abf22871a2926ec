// SPDX-License-Identifier: GPL-2.0-only
/*
 * The core in the kernel, on the messages of an mmap-able mailbox: run by
 * bpf_prog_test_run_opts(). No socket, no side effect.
 */
#include "core_case.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, CORE_BATCH);
	__type(key, __u32);
	__type(value, struct core_case);
} mailbox SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct sl_table);
} table SEC(".maps");

SL_FN bool sl_view_of(struct sl_request_view *v, __u32 i)
{
	struct core_case *c = bpf_map_lookup_elem(&mailbox, &i);
	__u32 zero = 0;

	v->t = bpf_map_lookup_elem(&table, &zero);
	if (!c || !v->t)
		return false;
	v->h = &c->head;
	v->buf = c->buf;
	v->key = i;
	return true;
}

struct core_batch {
	__u32 count;
	__u32 repeat;
};

static long run_one(__u32 i, void *data)
{
	struct core_case *c = bpf_map_lookup_elem(&mailbox, &i);
	__u32 zero = 0;
	const struct sl_table *t = bpf_map_lookup_elem(&table, &zero);

	if (!c || !t)
		return 1;
	core_run(c, t);
	return 0;
}

/* Runs the first ctx->count messages of the mailbox. */
SEC("syscall")
int core_batch(struct core_batch *ctx)
{
	bpf_loop(ctx->count, run_one, NULL, 0);
	return 0;
}

struct core_timing {
	struct core_case *c;
	const struct sl_table *t;
	__u32 stages;
};

static long time_one(__u32 i, void *data)
{
	struct core_timing *w = data;
	struct core_case *c = w->c;

	if (w->stages & 1)
		c->parse = sl_request_parse(&c->head, c->buf, c->len);
	if (w->stages & 2)
		c->route = core_match(c, w->t);
	if (w->stages & 4)
		c->target = sl_pick(&c->split, i);
	if (w->stages & 8)
		c->parse = sl_response_parse(&c->head, c->buf, c->len);
	return 0;
}

/*
 * The stages ctx->count (1 parse, 2 match, 4 pick, 8 parse a response) of the first message,
 * ctx->repeat times: for measuring.
 */
SEC("syscall")
int core_time(struct core_batch *ctx)
{
	__u32 zero = 0;
	struct core_timing w = {
		.c = bpf_map_lookup_elem(&mailbox, &zero),
		.t = bpf_map_lookup_elem(&table, &zero),
		.stages = ctx->count,
	};

	if (!w.c || !w.t)
		return 1;
	bpf_loop(ctx->repeat, time_one, &w, 0);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
