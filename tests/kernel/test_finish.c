// SPDX-License-Identifier: GPL-2.0-only
/*
 * The end of an exchange whose client is gone as it comes, and whose session's slot is another's
 * by then, in an exchange with another lane: exchange_finish() touches neither. A program that
 * stands still between its mark and what follows cannot be had in a test, so it is called by
 * itself, on the maps of an instance that captures nothing.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "finish.skel.h"
#include "finish_case.h"
#include "instance_test.h"

#define SLOT 5
#define GEN 2
#define STEADY (SL_S_CLIENT | SL_S_FRONT | SL_S_ADOPTED)
#define BOTH_DONE (STEADY | SL_S_EXCHANGE | SL_S_REQ_DONE | SL_S_RESP_DONE)
#define LANE (SL_L_BACK | SL_L_SERVER | SL_L_PAIRED)

enum { LANE_OF_BEFORE = 7, LANE_OF_NOW = 9 };

static struct finish_bpf *skel;

static void clean_up(void)
{
	finish_bpf__destroy(skel);
	instance_unload();
}

/* The program, on the instance's maps. */
static void load(const char *instance)
{
	char path[PATH_MAX];
	struct bpf_map *map;

	instance_load(instance);
	skel = finish_bpf__open();
	if (!skel)
		die("open", strerror(errno));
	bpf_object__for_each_map(map, skel->obj)
	{
		int fd;

		sl_pin_path(path, instance, bpf_map__name(map));
		fd = bpf_obj_get(path);
		if (fd >= 0 && bpf_map__reuse_fd(map, fd))
			die("reuse", path);
		if (fd >= 0)
			close(fd);
	}
	if (finish_bpf__load(skel))
		die("load of the test's own program", strerror(errno));
}

static void lane_of(__u32 slot, __u32 session_gen)
{
	struct sl_lane *l = &maps.lanes[slot];

	l->word = SL_WORD(1, LANE | SL_LANE_KERNEL);
	l->session = SLOT + 1;
	l->session_gen = session_gen;
	l->endpoint = 0;
	l->status = 200;
}

/* The slot's session of generation GEN is in an exchange; the one before it was, too. */
static void prepare(void)
{
	struct sl_session *s = &maps.sessions[SLOT];

	lane_of(LANE_OF_BEFORE, GEN - 1);
	lane_of(LANE_OF_NOW, GEN);
	s->word = SL_WORD(GEN, BOTH_DONE);
	s->lane = LANE_OF_NOW + 1;
	s->lane_gen = 1;
	s->last_ns = 0;
	maps.endpoints[0].busy = 2;
}

static void finish(__u32 gen, __u32 lane)
{
	struct finish_case c = {.slot = SLOT, .gen = gen, .lane_slot = lane, .lane_gen = 1};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = &c, .ctx_size_in = sizeof(c));

	if (bpf_prog_test_run_opts(bpf_program__fd(skel->progs.finish), &opts))
		die("bpf_prog_test_run_opts", strerror(errno));
}

static __u32 state_of(__u32 lane)
{
	return SL_BITS(maps.lanes[lane].word) & SL_L_STATE;
}

int main(void)
{
	const struct sl_session *s;
	const __u64 *requests;
	char instance[32];

	snprintf(instance, sizeof(instance), "test-finish-%d", getpid());
	atexit(clean_up);
	load(instance);
	s = &maps.sessions[SLOT];
	requests = &maps.generations[sl_generation_key(0, 0)].exchanges;

	prepare();
	finish(GEN - 1, LANE_OF_BEFORE);
	check(state_of(LANE_OF_BEFORE) == SL_LANE_IDLE, "the lane of the exchange is idle");
	check(state_of(LANE_OF_NOW) == SL_LANE_KERNEL && maps.lanes[LANE_OF_NOW].session,
	      "the lane of the slot's next session is its own");
	check(s->word == SL_WORD(GEN, BOTH_DONE) && s->lane == LANE_OF_NOW + 1 && !s->last_ns,
	      "that session is as it was");
	check(!*requests, "and its exchange is not counted");
	finish(GEN, LANE_OF_NOW);
	check(state_of(LANE_OF_NOW) == SL_LANE_IDLE && !s->lane &&
		      s->word == SL_WORD(GEN, STEADY) && s->last_ns,
	      "it ends by itself");
	printf("%d passed, %d failed\n", passed, failed);
	return failed ? 1 : 0;
}
