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

static long time_one(__u32 i, void *data)
{
	struct core_case *c = *(struct core_case **)data;
	__u32 zero = 0;
	const struct sl_table *t = bpf_map_lookup_elem(&table, &zero);

	if (!t)
		return 1;
	c->parse = sl_request_parse(&c->head, c->buf, c->len);
	if (c->parse != SL_PARSE_DONE)
		return 1;
	c->route = sl_match(t, &c->head, c->buf);
	c->target = sl_pick(&c->split, i);
	return 0;
}

/* Parse, match and pick of the first message, ctx->repeat times: for measuring. */
SEC("syscall")
int core_time(struct core_batch *ctx)
{
	__u32 zero = 0;
	struct core_case *c = bpf_map_lookup_elem(&mailbox, &zero);

	if (!c)
		return 1;
	bpf_loop(ctx->repeat, time_one, &c, 0);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
