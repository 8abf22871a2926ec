// SPDX-License-Identifier: GPL-2.0-only
/*
 * Slots of sessions and lanes between two tenants. A program may stand still behind its look at the
 * generation (a virtual CPU is taken away, or another thread has it), or behind its pop of an idle
 * lane, for as long as a reset and a new connection take, and write to the slot then. All our
 * programs run under rcu_read_lock(), so behind a grace period none is left that began before it.
 * One serves all the slots that have been freed until it begins: BPF and the daemon put them on
 * `freed`, from there they go to `waiting`, with another generation, so that who looks from now on
 * finds no tenant, and behind the grace period to `free`. They are on a list all the time, for the
 * next worker.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "internal.h"

#define PAUSE_NS \
	(20 * NS_PER_MS) /* between two: 20,000 sessions a second are 800 slots meanwhile */

/* Whose slots change lists. In struct sl_session and struct sl_lane `word` is first. */
struct table {
	char *slots;
	size_t size, next; /* of a slot; where in it `next` is */
	__u32 n;
	__u64 *freed, *waiting, *free; /* sl_stack heads */
};

enum { SESSIONS, LANES, N_TABLES };

struct grace {
	struct table tables[N_TABLES];
	struct sl_rcu *rcu;
	pthread_mutex_t lock; /* slots change lists */
	pthread_cond_t wake;
	bool wanted;
	bool stop;
	/* Grace periods: the number of the last one that was asked for, has begun, is over. */
	__u64 asked, begun, over;
};

static __u32 *next_of(const struct table *t, __u32 slot)
{
	return slot < t->n ? (__u32 *)(t->slots + slot * t->size + t->next) : NULL;
}

/* Who knows the slot's last tenant by its generation finds it there no more. */
static void forget(const struct table *t, __u32 slot)
{
	__u64 *word = (__u64 *)(t->slots + slot * t->size), old;

	do
		old = SL_READ(*word);
	while (sl_cmpxchg(word, old, SL_WORD(SL_GEN(old) + 1, 0)) != old);
}

/* All that is on @from to @to. Whether there was any. */
static bool pour(const struct table *t, __u64 *from, __u64 *to)
{
	bool any = false;
	__u32 slot1;

#define next(slot) next_of(t, slot)
	/* BPF may add as we take. */
	for (__u32 n = 0; n < t->n && SL_STACK_SLOT(SL_READ(*from)); n++) {
		slot1 = sl_stack_pop(from, next);
		if (!slot1)
			continue;
		if (from == t->freed)
			forget(t, slot1 - 1);
		while (!sl_stack_push(to, next(slot1 - 1), slot1 - 1))
			;
		any = true;
	}
#undef next
	return any;
}

/* False: nothing has been freed, and nobody has asked. */
static bool round_of(struct grace *g)
{
	bool any = false;

	for (struct table *t = g->tables; t < g->tables + N_TABLES; t++)
		any |= pour(t, t->freed, t->waiting) || SL_STACK_SLOT(SL_READ(*t->waiting));
	if (!any && g->asked <= g->begun)
		return false;
	g->begun++;
	pthread_mutex_unlock(&g->lock);
	sl_rcu_wait(g->rcu);
	pthread_mutex_lock(&g->lock);
	__atomic_store_n(&g->over, g->begun, __ATOMIC_RELEASE);
	for (struct table *t = g->tables; t < g->tables + N_TABLES && !g->stop; t++)
		pour(t, t->waiting, t->free);
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
	free(g);
	return NULL;
}

static void tables_init(struct table *tables, const struct sl_maps *m)
{
	struct sl_control *c = m->control;

	tables[SESSIONS] = (struct table){
		.slots = (char *)m->sessions,
		.size = sizeof(*m->sessions),
		.next = offsetof(struct sl_session, next),
		.n = SL_MAX_SESSIONS,
		.freed = &c->freed_sessions,
		.waiting = &c->waiting_sessions,
		.free = &c->free_sessions,
	};
	tables[LANES] = (struct table){
		.slots = (char *)m->lanes,
		.size = sizeof(*m->lanes),
		.next = offsetof(struct sl_lane, next),
		.n = SL_MAX_LANES,
		.freed = &c->freed_lanes,
		.waiting = &c->waiting_lanes,
		.free = &c->free_lanes,
	};
}

int grace_start(struct crew *c, struct sl_maps *maps, struct sl_rcu *rcu)
{
	struct grace *g = calloc(1, sizeof(*g));
	pthread_t thread;
	int rc;

	if (!g)
		return -ENOMEM;
	tables_init(g->tables, maps);
	g->rcu = rcu;
	g->wanted = true; /* what the last worker has left */
	pthread_mutex_init(&g->lock, NULL);
	pthread_cond_init(&g->wake, NULL);
	rc = -pthread_create(&thread, NULL, run, g);
	if (rc) {
		free(g);
		return rc;
	}
	pthread_detach(thread);
	c->grace = g;
	return 0;
}

/* What waits is the next worker's, as if this one had been killed. The thread frees @g. */
void grace_stop(struct crew *c)
{
	struct grace *g = c->grace;

	if (!g)
		return;
	pthread_mutex_lock(&g->lock);
	g->stop = true;
	pthread_cond_signal(&g->wake);
	pthread_mutex_unlock(&g->lock);
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

__u64 grace_ask(struct crew *c)
{
	struct grace *g = c->grace;
	__u64 next;

	if (!g)
		return 0;
	pthread_mutex_lock(&g->lock);
	next = g->asked = g->begun + 1;
	SL_WRITE(g->wanted, true);
	pthread_cond_signal(&g->wake);
	pthread_mutex_unlock(&g->lock);
	return next;
}

bool grace_is_over(const struct crew *c, __u64 asked)
{
	return !c->grace || SL_ACQUIRE(c->grace->over) >= asked;
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
