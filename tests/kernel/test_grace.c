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
#include "instance_test.h"
#include "stand.h"

#define TRIES 300
#define GEN 7

static struct crew crew;
static struct sl_rcu *rcu;

static void clean_up(void)
{
	grace_stop(&crew);
	stand_bpf__destroy(stand);
	instance_unload();
}

static void load(const char *instance)
{
	instance_load(instance);
	stand_load();
	if (sl_rcu_open(&rcu))
		die("sl_rcu_open", "no thread");
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

static bool are_forgotten(__u32 session, __u32 lane)
{
	return SL_GEN(SL_READ(maps.sessions[session].word)) != GEN &&
	       SL_GEN(SL_READ(maps.lanes[lane].word)) != GEN;
}

static bool come_forgotten(__u32 session, __u32 lane)
{
	for (int i = 0; i < TRIES && !are_forgotten(session, lane); i++)
		usleep(10000);
	return are_forgotten(session, lane);
}

/* Of a tenant of generation GEN. */
static void take(__u32 *session, __u32 *lane)
{
	*session = sl_stack_pop(&maps.control->free_sessions, next_session) - 1;
	*lane = sl_stack_pop(&maps.control->free_lanes, next_lane) - 1;
	maps.sessions[*session].word = SL_WORD(GEN, SL_S_CLOSING);
	maps.lanes[*lane].word = SL_WORD(GEN, SL_LANE_FREE);
}

static void give_back(__u32 session, __u32 lane)
{
	(void)sl_stack_push(&maps.control->freed_sessions, next_session(session), session);
	(void)sl_stack_push(&maps.control->freed_lanes, next_lane(lane), lane);
	grace_want(&crew);
}

static void test_program_under_way(void)
{
	__u32 session, lane;

	take(&session, &lane);
	stand_begin();
	give_back(session, lane);
	check(come_forgotten(session, lane),
	      "a program that begins now does not find the tenant that a freed slot had");
	usleep(STANDS_US);
	check(are_nowhere_free(session, lane),
	      "the slot is not free while a program runs that may know it");
	stand_end();
	check(come_free(session, lane), "it is when the program has ended");
	check(!SL_STACK_SLOT(maps.control->freed_sessions) &&
		      !SL_STACK_SLOT(maps.control->waiting_sessions) &&
		      !SL_STACK_SLOT(maps.control->freed_lanes) &&
		      !SL_STACK_SLOT(maps.control->waiting_lanes),
	      "and on no other list");
}

static void test_no_wait(void)
{
	const int outer_fd = rcu->outer_fd;
	__u32 session, lane;

	SL_WRITE(rcu->outer_fd, -1);
	take(&session, &lane);
	give_back(session, lane);
	usleep(STANDS_US);
	check(are_nowhere_free(session, lane), "nor while the kernel refuses to wait");
	SL_WRITE(rcu->outer_fd, outer_fd);
	check(come_free(session, lane), "it is when the kernel does again");
}

int main(void)
{
	char instance[32];

	snprintf(instance, sizeof(instance), "test-grace-%d", getpid());
	atexit(clean_up);
	load(instance);
	if (grace_start(&crew, &maps, rcu))
		die("grace_start", "no thread");
	test_program_under_way();
	test_no_wait();
	printf("%d passed, %d failed\n", passed, failed);
	return failed ? 1 : 0;
}
