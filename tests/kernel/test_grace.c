// SPDX-License-Identifier: GPL-2.0-only
/*
 * A session's or a lane's slot that is freed while a program stands still is nobody's before that
 * one has ended: it may have looked at the generation, and still write.
 */
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "daemon/internal.h"
#include "grace.skel.h"
#include "instance_test.h"

#define LONG_US 300000 /* many grace periods */
#define TRIES 300
#define GEN 7

static struct grace_bpf *skel;
static struct crew crew;

static void clean_up(void)
{
	grace_stop(&crew);
	grace_bpf__destroy(skel);
	instance_unload();
}

static void load(const char *instance)
{
	instance_load(instance);
	skel = grace_bpf__open_and_load();
	if (!skel)
		die("load of the test's own program", strerror(errno));
}

static void *stand(void *arg)
{
	char packet[64] = {0};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = packet, .data_size_in = sizeof(packet));

	if (bpf_prog_test_run_opts(bpf_program__fd(skel->progs.stand), &opts))
		die("bpf_prog_test_run_opts", strerror(errno));
	return arg;
}

static __u32 *next_session(__u32 slot)
{
	return slot < SL_MAX_SESSIONS ? &maps.sessions[slot].next : NULL;
}

static __u32 *next_lane(__u32 slot)
{
	return slot < SL_MAX_LANES ? &maps.lanes[slot].next : NULL;
}

static bool is_on(const __u64 *list, __u32 *(*next_of)(__u32 slot), __u32 slot)
{
	__u32 slot1 = SL_STACK_SLOT(SL_READ(*list));

	for (__u32 n = 0; slot1 && n < SL_MAX_SESSIONS + SL_MAX_LANES; n++) {
		if (slot1 == slot + 1)
			return true;
		slot1 = SL_READ(*next_of(slot1 - 1));
	}
	return false;
}

static bool are_free(__u32 session, __u32 lane)
{
	return is_on(&maps.control->free_sessions, next_session, session) &&
	       is_on(&maps.control->free_lanes, next_lane, lane);
}

static bool are_nowhere_free(__u32 session, __u32 lane)
{
	return !is_on(&maps.control->free_sessions, next_session, session) &&
	       !is_on(&maps.control->free_lanes, next_lane, lane);
}

static bool come_free(__u32 session, __u32 lane)
{
	for (int i = 0; i < TRIES && !are_free(session, lane); i++)
		usleep(10000);
	return are_free(session, lane);
}

int main(void)
{
	char instance[32];
	pthread_t thread;
	__u32 session, lane;

	snprintf(instance, sizeof(instance), "test-grace-%d", getpid());
	atexit(clean_up);
	load(instance);
	if (grace_start(&crew, &maps))
		die("grace_start", "no thread");
	session = sl_stack_pop(&maps.control->free_sessions, next_session) - 1;
	lane = sl_stack_pop(&maps.control->free_lanes, next_lane) - 1;
	maps.sessions[session].word = SL_WORD(GEN, SL_S_CLOSING);
	maps.lanes[lane].word = SL_WORD(GEN, SL_LANE_FREE);
	if (pthread_create(&thread, NULL, stand, NULL))
		die("pthread_create", strerror(errno));
	while (!skel->bss->stands)
		usleep(1000);
	(void)sl_stack_push(&maps.control->freed_sessions, next_session(session), session);
	(void)sl_stack_push(&maps.control->freed_lanes, next_lane(lane), lane);
	grace_want(&crew);
	usleep(LONG_US);
	check(are_nowhere_free(session, lane),
	      "a slot is not free while a program runs that may know it");
	check(SL_GEN(maps.sessions[session].word) != GEN && SL_GEN(maps.lanes[lane].word) != GEN,
	      "a program that begins now does not find the tenant that it had");
	skel->bss->go = 1;
	(void)pthread_join(thread, NULL);
	check(come_free(session, lane), "it is when the program has ended");
	check(!SL_STACK_SLOT(maps.control->freed_sessions) &&
		      !SL_STACK_SLOT(maps.control->waiting_sessions) &&
		      !SL_STACK_SLOT(maps.control->freed_lanes) &&
		      !SL_STACK_SLOT(maps.control->waiting_lanes),
	      "and on no other list");
	printf("%d passed, %d failed\n", passed, failed);
	return failed ? 1 : 0;
}
