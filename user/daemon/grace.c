// SPDX-License-Identifier: GPL-2.0-only
/*
 * Session slots between two tenants. A program may stand still behind its look at the generation (a
 * virtual CPU is taken away, or another thread has it) for as long as a reset and a new connection
 * take, and write to the slot then. All our programs run under rcu_read_lock(), so behind a grace
 * period none is left that began before the slot was freed. One serves all the slots that have been
 * freed until it begins: BPF and the daemon put them on `freed`, from there they go to `waiting`,
 * and behind the grace period to `free`. They are on a list all the time, for the next worker.
 */
#include <errno.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "internal.h"

#define PAUSE_NS \
	(20 * NS_PER_MS) /* between two: 20,000 sessions a second are 800 slots meanwhile */

struct grace {
	struct sl_maps *maps;
	pthread_t thread;
	pthread_mutex_t lock; /* slots change lists */
	pthread_cond_t wake;
	bool wanted;
	bool stop;
};

static struct sl_session *sessions; /* sl_stack_pop() takes a plain function */

static __u32 *next_of(__u32 slot)
{
	return slot < SL_MAX_SESSIONS ? &sessions[slot].next : NULL;
}

/* All that is on @from to @to. Whether there was any. */
static bool pour(__u64 *from, __u64 *to)
{
	bool any = false;
	__u32 slot1;

	/* BPF may add as we take. */
	for (__u32 n = 0; n < SL_MAX_SESSIONS && SL_STACK_SLOT(SL_READ(*from)); n++) {
		slot1 = sl_stack_pop(from, next_of);
		while (slot1 && !sl_stack_push(to, &sessions[slot1 - 1].next, slot1 - 1))
			;
		any |= slot1 != 0;
	}
	return any;
}

/* synchronize_rcu(). Not where CPUs run without a tick (nohz_full): a program takes microseconds.
 */
static void synchronize(void)
{
	const struct timespec long_enough = {.tv_sec = 1};

	if (syscall(__NR_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0))
		nanosleep(&long_enough, NULL);
}

/* False: nothing has been freed. */
static bool round_of(struct grace *g)
{
	struct sl_control *c = g->maps->control;
	bool any;

	any = pour(&c->freed_sessions, &c->waiting_sessions) ||
	      SL_STACK_SLOT(SL_READ(c->waiting_sessions));
	if (!any)
		return false;
	pthread_mutex_unlock(&g->lock);
	synchronize();
	pthread_mutex_lock(&g->lock);
	pour(&c->waiting_sessions, &c->free_sessions);
	return true;
}

static void *run(void *arg)
{
	const struct timespec pause = {.tv_nsec = PAUSE_NS};
	struct grace *g = arg;

	pthread_setname_np(pthread_self(), "sluice-grace");
	pthread_mutex_lock(&g->lock);
	while (!g->stop) {
		if (!g->wanted) {
			pthread_cond_wait(&g->wake, &g->lock);
			continue;
		}
		SL_WRITE(g->wanted, round_of(g));
		pthread_mutex_unlock(&g->lock);
		nanosleep(&pause, NULL);
		pthread_mutex_lock(&g->lock);
	}
	pthread_mutex_unlock(&g->lock);
	return NULL;
}

int grace_start(struct crew *c, struct sl_maps *maps)
{
	struct grace *g = calloc(1, sizeof(*g));
	int rc;

	if (!g)
		return -ENOMEM;
	g->maps = maps;
	g->wanted = true; /* what the last worker has left */
	sessions = maps->sessions;
	pthread_mutex_init(&g->lock, NULL);
	pthread_cond_init(&g->wake, NULL);
	rc = -pthread_create(&g->thread, NULL, run, g);
	if (rc) {
		free(g);
		return rc;
	}
	c->grace = g;
	return 0;
}

void grace_stop(struct crew *c)
{
	struct grace *g = c->grace;

	if (!g)
		return;
	pthread_mutex_lock(&g->lock);
	g->stop = true;
	pthread_cond_signal(&g->wake);
	pthread_mutex_unlock(&g->lock);
	(void)pthread_join(g->thread, NULL);
	free(g);
	c->grace = NULL;
}

void grace_want(struct crew *c)
{
	struct grace *g = c->grace;

	if (!g || SL_READ(g->wanted))
		return;
	pthread_mutex_lock(&g->lock);
	SL_WRITE(g->wanted, true);
	pthread_cond_signal(&g->wake);
	pthread_mutex_unlock(&g->lock);
}

void grace_hold(struct crew *c)
{
	if (c->grace)
		pthread_mutex_lock(&c->grace->lock);
}

void grace_go_on(struct crew *c)
{
	if (c->grace)
		pthread_mutex_unlock(&c->grace->lock);
}
