// SPDX-License-Identifier: GPL-2.0-only
#include "daemon/crew.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "internal.h"

#define MAIL_MIN 64 /* mails that a box has room for before it needs memory */
#define UNEVEN 2    /* sessions that one thread may have more than another */

bool is_main(const struct worker *w)
{
	return !w->index;
}

/* ---- mail ---- */

/* Its lock is held: a descriptor's number could be another's already. */
static void wake(const struct mailbox *b)
{
	const __u64 one = 1;

	if (b->fd >= 0)
		(void)!write(b->fd, &one, sizeof(one));
}

static bool grow(struct mailbox *b)
{
	__u32 cap = b->cap ? 2 * b->cap : MAIL_MIN; /* 0: both are being read */
	struct mail *m = realloc(b->mail, cap * sizeof(*m));

	if (!m)
		return false;
	b->mail = m;
	b->cap = cap;
	return true;
}

bool crew_write(struct worker *to, const struct mail *mail)
{
	struct mailbox *b = &to->mailbox;
	bool ok;

	pthread_mutex_lock(&b->lock);
	ok = b->fd >= 0 && (b->n < b->cap || grow(b));
	if (ok) {
		b->mail[b->n++] = *mail;
		if (mail->kind == MAIL_FRONT)
			sl_add(&b->n_fronts, 1);
	}
	if (ok && b->n == 1)
		wake(b);
	pthread_mutex_unlock(&b->lock);
	return ok;
}

/* Closes the box: nobody writes to it any more. What is in it can still be read. */
static void box_close(struct mailbox *b)
{
	pthread_mutex_lock(&b->lock);
	if (b->fd >= 0)
		close(b->fd);
	b->fd = -1;
	pthread_mutex_unlock(&b->lock);
}

/* Its release gives it to who waits. */
static void give_room(struct worker *w, __u32 cluster)
{
	struct back *b = lane_any(w, cluster);

	if (b)
		lane_rest(w, b);
}

static void mail_read(struct worker *w, const struct mail *m)
{
	switch (m->kind) {
	case MAIL_FRONT:
		front_add(w, m->fd, m->index, &m->socket);
		sl_add(&w->mailbox.n_fronts, -1);
		break;
	case MAIL_EVENT:
		worker_event(w, &m->event);
		break;
	case MAIL_ENDPOINT:
		outlier_look(w, m->index);
		break;
	case MAIL_ROOM:
		give_room(w, m->index);
		break;
	case MAIL_SCARCE:
		(void)lane_give_up(w);
		break;
	case MAIL_LANE:
		lane_comes(w, m->back);
		break;
	}
}

void crew_drain(struct worker *main, bool hard)
{
	struct crew *c = main->crew;

	for (__u32 i = 1; i < c->n; i++) {
		struct mailbox *b = &c->all[i]->mailbox;

		pthread_mutex_lock(&b->lock);
		b->drain = true;
		b->stop |= hard;
		wake(b);
		pthread_mutex_unlock(&b->lock);
	}
}

void crew_read(struct worker *w)
{
	struct mailbox *b = &w->mailbox;
	struct mail *mail;
	bool drain, stop;
	__u64 count;
	__u32 n, cap;

	if (b->fd >= 0)
		(void)!read(b->fd, &count, sizeof(count));
	pthread_mutex_lock(&b->lock);
	mail = b->mail;
	cap = b->cap;
	n = b->n;
	b->mail = b->spare;
	b->cap = b->spare_cap;
	b->spare = NULL;
	b->n = b->spare_cap = 0;
	drain = b->drain;
	stop = b->stop;
	pthread_mutex_unlock(&b->lock);
	for (__u32 i = 0; i < n; i++)
		mail_read(w, &mail[i]);
	pthread_mutex_lock(&b->lock);
	if (!b->spare) {
		b->spare = mail;
		b->spare_cap = cap;
		mail = NULL;
	}
	pthread_mutex_unlock(&b->lock);
	free(mail);
	if (drain)
		drain_own(w);
	if (stop)
		w->drain_until_ns = 0;
}

/* ---- sessions and lanes that go from one to another ---- */

/* Sessions that it serves, or is about to. */
static __u32 load_of(struct worker *w)
{
	return SL_READ(w->n_served) + SL_READ(w->mailbox.n_fronts);
}

static struct worker *least_loaded(const struct worker *w)
{
	struct worker *least = w->crew->all[0];

	sl_each_worker (other, w)
		if (load_of(other) < load_of(least))
			least = other;
	return least;
}

/* Even if its client has gone already: BPF may have begun an exchange. */
bool crew_is_of_main(const struct worker *w, const struct sl_socket *me)
{
	return me->role == SL_ROLE_FRONT && me->slot < w->n_sessions &&
	       w->maps->sessions[me->slot].client_sk;
}

/*
 * Whoever accepts keeps: to hand a session on costs a wake-up. But for a burst that one thread has
 * accepted and that would stay for long.
 */
struct worker *crew_whose(struct worker *w, const struct sl_socket *me)
{
	struct worker *least;

	if (crew_is_of_main(w, me))
		return w->crew->all[0];
	if (w->crew->n == 1 || w->draining || me->role == SL_ROLE_LOOP)
		return w;
	least = least_loaded(w);
	return load_of(w) > load_of(least) + UNEVEN ? least : w;
}

static void ask_others(struct worker *w, const struct mail *ask)
{
	sl_each_worker (other, w)
		if (other != w)
			(void)crew_write(other, ask);
}

void crew_ask_room(struct worker *w, __u32 cluster)
{
	ask_others(w, &(struct mail){.kind = MAIL_ROOM, .index = cluster});
}

void crew_ask_descriptor(struct worker *w)
{
	ask_others(w, &(struct mail){.kind = MAIL_SCARCE});
}

bool crew_give(struct worker *w, struct back *b)
{
	__u32 cluster = w->maps->endpoints[b->endpoint].cluster, n = w->crew->n;
	__u32 own = w->n_waiting_of[cluster], all = SL_READ(w->crew->n_waiting_of[cluster]);
	struct mail mail = {.kind = MAIL_LANE};

	if (all <= own)
		return false;
	/* If somebody waits here, too, they get their share. */
	w->owed += all - own;
	if (own && w->owed < all)
		return false;
	w->owed = 0;
	for (__u32 i = 1; i < n; i++) {
		struct worker *to = w->crew->all[(w->index + i) % n];

		if (!SL_READ(to->n_waiting_of[cluster]))
			continue;
		mail.back = lane_leave(w, b);
		if (!mail.back)
			return false;
		if (!crew_write(to, &mail))
			lane_returns(w, mail.back); /* it ends just now */
		return true;
	}
	return false;
}

/* ---- rest ---- */

void crew_pause(struct worker *main)
{
	struct crew *c = main->crew;

	if (c->n == 1 || c->depth++)
		return;
	pthread_mutex_lock(&c->lock);
	SL_WRITE(c->pausing, true);
	for (__u32 i = 1; i < c->n; i++) {
		pthread_mutex_lock(&c->all[i]->mailbox.lock);
		wake(&c->all[i]->mailbox);
		pthread_mutex_unlock(&c->all[i]->mailbox.lock);
	}
	while (c->n_paused < c->n_running)
		pthread_cond_wait(&c->changed, &c->lock);
	pthread_mutex_unlock(&c->lock);
}

void crew_resume(struct worker *main)
{
	struct crew *c = main->crew;

	if (c->n == 1 || --c->depth)
		return;
	pthread_mutex_lock(&c->lock);
	SL_WRITE(c->pausing, false);
	pthread_cond_broadcast(&c->changed);
	pthread_mutex_unlock(&c->lock);
}

void crew_rest(struct worker *w)
{
	struct crew *c = w->crew;

	if (is_main(w) || !SL_READ(c->pausing))
		return;
	pthread_mutex_lock(&c->lock);
	c->n_paused++;
	pthread_cond_broadcast(&c->changed);
	while (c->pausing)
		pthread_cond_wait(&c->changed, &c->lock);
	c->n_paused--;
	pthread_mutex_unlock(&c->lock);
}

/* ---- begin and end ---- */

/* 0, -ETIMEDOUT: sessions were closed hard; or -errno. */
static int serve(struct worker *w)
{
	int rc = worker_listen(w);

	if (!rc)
		rc = worker_loop(w);
	box_close(&w->mailbox);
	crew_read(w);
	/* A session that came in the last moment was promised an answer, too. */
	return rc ? rc : worker_loop(w);
}

static void *thread_run(void *arg)
{
	struct worker *w = arg;
	struct crew *c = w->crew;
	int rc = serve(w);

	/* As a worker that died: the next one goes on with the sessions. */
	if (rc && rc != -ETIMEDOUT) {
		fprintf(stderr, "sluice: a thread of the worker ended: error %d\n", -rc);
		_exit(EXIT_FAILURE);
	}
	drain_hard(w);
	pthread_mutex_lock(&c->lock);
	c->n_running--;
	pthread_cond_broadcast(&c->changed);
	pthread_mutex_unlock(&c->lock);
	return NULL;
}

static int box_open(struct worker *w)
{
	struct mailbox *b = &w->mailbox;

	b->mail = calloc(MAIL_MIN, sizeof(*b->mail));
	b->spare = calloc(MAIL_MIN, sizeof(*b->spare));
	if (!b->mail || !b->spare)
		return -ENOMEM;
	b->cap = b->spare_cap = MAIL_MIN;
	b->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (b->fd < 0)
		return -errno;
	w->mail_io = (struct io){.fd = w->mailbox.fd, .kind = IO_MAIL};
	return io_add(w, &w->mail_io, EPOLLIN);
}

int crew_init(struct worker *main)
{
	struct crew *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->changed, NULL);
	c->all[0] = main;
	c->n = 1;
	main->crew = c;
	return 0;
}

static int thread_new(struct worker *main, struct worker **ret)
{
	struct worker *w = malloc(sizeof(*w));
	int rc;

	if (!w)
		return -ENOMEM;
	rc = worker_init_thread(w, main);
	if (!rc)
		rc = box_open(w);
	if (!rc) {
		*ret = w;
		return 0;
	}
	worker_free(w);
	free(w);
	return rc;
}

int crew_start(struct worker *main)
{
	__u32 n = main->maps->control->n_threads;
	struct crew *c = main->crew;
	int rc = n > 1 ? box_open(main) : 0;

	/* All are there before one runs: they write to each other. */
	for (__u32 i = 1; i < n && i < SL_MAX_THREADS && !rc; i++) {
		rc = thread_new(main, &c->all[i]);
		if (!rc)
			c->n++;
	}
	if (!rc)
		rc = grace_start(c, main->maps, main->args->rcu);
	if (!rc)
		limits_descriptors(main);
	for (__u32 i = 1; i < c->n && !rc; i++) {
		c->all[i]->max_fronts = main->max_fronts;
		c->all[i]->scarce_at = main->scarce_at;
		c->all[i]->max_pipes = main->max_pipes;
		c->n_running++;
		rc = -pthread_create(&c->threads[i], NULL, thread_run, c->all[i]);
	}
	return rc;
}

void crew_join(struct worker *w, bool hard)
{
	struct crew *c = w->crew;

	if (!is_main(w))
		return;
	if (hard)
		crew_drain(w, true);
	for (__u32 i = 1; i < c->n; i++)
		(void)pthread_join(c->threads[i], NULL);
	grace_stop(c);
}

bool crew_is_busy(const struct worker *main)
{
	struct crew *c = main->crew;
	bool running;

	/* What one that has ended wrote to us before is seen behind its end. */
	pthread_mutex_lock(&c->lock);
	running = c->n_running;
	pthread_mutex_unlock(&c->lock);
	return running || SL_READ(main->mailbox.n);
}

void crew_free(struct worker *main)
{
	struct crew *c = main->crew;

	if (!c)
		return;
	for (__u32 i = 1; i < c->n; i++) {
		worker_free(c->all[i]);
		free(c->all[i]);
	}
	box_close(&main->mailbox);
	free(c);
}
