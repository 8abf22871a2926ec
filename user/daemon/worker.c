/* SPDX-License-Identifier: GPL-2.0-only */
/* The worker's loop: wait, dispatch, deadlines, and once a second a look at the tables. */
#include "worker.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>
#include "daemon/reload.h"
#include "internal.h"

#define EVENT_BATCH 256

__u64 clock_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

/* Edge-triggered for sockets; listeners and the rest are told again while there is more. */
int io_add(struct worker *w, struct io *io, __u32 events)
{
	struct epoll_event e = {.events = events, .data.ptr = io};

	if (io->kind == IO_FRONT || io->kind == IO_BACK)
		e.events |= EPOLLET;
	return epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD, io->fd, &e) ? -errno : 0;
}

void timer_set(struct worker *w, struct front *f, __u64 deadline_ns)
{
	f->deadline_ns = deadline_ns;
	if (deadline_ns < w->due_ns)
		w->due_ns = deadline_ns;
	if (list_empty(&f->timed))
		list_add(&w->timed, &f->timed);
}

void timer_clear(struct front *f)
{
	f->deadline_ns = 0;
	list_del(&f->timed);
}

static void signals_read(struct worker *w)
{
	struct signalfd_siginfo si;

	while (read(w->args->signal_fd, &si, sizeof(si)) == sizeof(si))
		if (si.ssi_signo == SIGHUP)
			reload_run(w);
		else if (si.ssi_signo == SIGTERM || si.ssi_signo == SIGINT)
			drain_begin(w);
}

/* Some of what it was sent is lost. Nobody may take what there is of a tunnel for all of it. */
static void front_torn(struct worker *w, struct front *f)
{
	if (!f->x.tunnel)
		front_close(w, f);
	else if (!f->x.cut)
		tunnel_break(w, f);
}

void worker_event(struct worker *w, const struct sl_event *e)
{
	struct front *f = e->slot < w->n_sessions ? w->front_of[e->slot] : NULL;
	struct back *b = e->slot < w->n_lanes ? w->back_of[e->slot] : NULL;

	switch (e->type) {
	case SL_EVENT_USER:
		if (f && f->gen == e->gen && (session_bits(f) & SL_S_USER)) {
			f->io.readable = true;
			front_event(w, f);
		}
		break;
	case SL_EVENT_TORN:
		if (f && f->gen == e->gen && (session_bits(f) & SL_S_TORN))
			front_torn(w, f);
		break;
	case SL_EVENT_LANE:
		if (b && b->gen == e->gen)
			lane_surrendered(w, b);
		break;
	}
}

/* BPF tells of a session or a lane that is ours now. A hint: the words are the truth. */
static void on_event(void *ctx, const struct sl_event *e)
{
	struct worker *w = ctx;
	const struct mail mail = {.kind = MAIL_EVENT, .event = *e};
	__u32 owner = 0;

	if (e->type == SL_EVENT_ENDPOINT) {
		if (e->slot < SL_MAX_ENDPOINTS)
			outlier_look(w, e->slot);
		return;
	}
	if ((e->type == SL_EVENT_USER || e->type == SL_EVENT_TORN) && e->slot < SL_MAX_SESSIONS)
		owner = SL_READ(w->crew->session_owner[e->slot]);
	if (e->type == SL_EVENT_LANE && e->slot < SL_MAX_LANES)
		owner = SL_READ(w->crew->lane_owner[e->slot]);
	if (owner && owner < w->crew->n)
		(void)crew_write(w->crew->all[owner], &mail);
	else
		worker_event(w, e);
}

static void dispatch(struct worker *w, struct io *io, __u32 events)
{
	if (io->fd < 0)
		return;
	if (events & (EPOLLIN | EPOLLRDHUP | EPOLLERR | EPOLLHUP))
		io->readable = true;
	if (events & EPOLLOUT)
		io->writable = true;
	if (events & EPOLLRDHUP)
		io->rdhup = true;
	if (events & EPOLLPRI)
		io->readable = io->urgent = true;
	switch (io->kind) {
	case IO_LISTENER:
		front_accept(w, io);
		break;
	case IO_FRONT:
		io->failed |= !!(events & (EPOLLERR | EPOLLHUP));
		front_event(w, (struct front *)io);
		break;
	case IO_BACK:
		/* What it said before it failed is still there to read. */
		io->failed |= !!(events & (EPOLLERR | EPOLLHUP));
		lane_event(w, (struct back *)io);
		break;
	case IO_SIGNAL:
		signals_read(w);
		break;
	case IO_CHECK:
		check_event(w, io, events);
		break;
	case IO_DNS:
		names_event(w);
		break;
	case IO_EVENTS:
		sl_events_consume(w->events);
		break;
	case IO_MAIL:
		crew_read(w);
		break;
	}
}

static void deadlines_check(struct worker *w)
{
	struct list passed = {&passed, &passed}, *l, *next;

	if (w->due_ns > w->now_ns)
		return;
	w->due_ns = ~0ULL;
	for (l = w->timed.next; l != &w->timed; l = next) {
		struct front *f = FRONT_OF(l, timed);

		next = l->next;
		if (f->deadline_ns <= w->now_ns) {
			list_del(l);
			list_add(&passed, l);
		} else if (f->deadline_ns < w->due_ns) {
			w->due_ns = f->deadline_ns;
		}
	}
	/* From a list of their own: one that ends can end others. */
	while (!list_empty(&passed)) {
		struct front *f = FRONT_OF(passed.next, timed);
		bool due = f->deadline_ns <= w->now_ns;

		list_del(&f->timed);
		if (due)
			front_timeout(w, f);
		else
			timer_set(w, f, f->deadline_ns); /* set anew by the end of another */
	}
}

/* All threads wait for connections; one of those that sleep is woken. */
static int listener_add(struct worker *w, struct io *listener)
{
	return io_add(w, listener, EPOLLIN | (w->crew->n > 1 ? EPOLLEXCLUSIVE : 0));
}

int worker_listen(struct worker *w)
{
	int rc = 0;

	w->listening = true;
	for (__u32 i = 0; i < w->n_listeners && !rc; i++) {
		w->listeners[i].fd = w->args->listen_fds[i];
		w->listeners[i].kind = IO_LISTENER;
		if (w->listeners[i].fd >= 0)
			rc = listener_add(w, &w->listeners[i]);
	}
	return rc;
}

/* Listeners that were left alone for want of descriptors are tried again. */
static void listeners_resume(struct worker *w)
{
	for (__u32 i = 0; i < w->n_listeners && w->listening; i++)
		if (w->listeners[i].failed && !listener_add(w, &w->listeners[i]))
			w->listeners[i].failed = false;
}

/*
 * The client was on this host and its socket is gone. TCP alone would only tell by a FIN, as of
 * a client that still reads: what it left unread was in a queue that close() sends no RST for.
 */
static bool client_is_gone(const struct front *f, __u32 bits)
{
	return f->slot != NO_SLOT && f->s->client_sk && f->io.rdhup &&
	       (bits & (SL_S_CLIENT | SL_S_GONE)) != SL_S_CLIENT;
}

/* What events may have been lost for. */
static void sessions_sweep(struct worker *w)
{
	struct list *l, *next;

	for (l = w->fronts.next; l != &w->fronts; l = next) {
		struct front *f = FRONT_OF(l, all);
		__u32 bits = session_bits(f);

		next = l->next;
		if (client_is_gone(f, bits) && !f->x.tunnel) {
			front_close(w, f);
			continue;
		}
		if ((bits & SL_S_TORN) && !f->lingering) {
			front_torn(w, f);
			continue;
		}
		if (f->lingering || f->owned || f->x.kernel)
			continue;
		if (bits & SL_S_USER) {
			f->io.readable = true;
			front_event(w, f);
		} else if (w->draining) {
			drain_front(w, f);
		}
	}
}

static void graveyard_empty(struct worker *w)
{
	while (!list_empty(&w->dead_fronts)) {
		struct front *f = FRONT_OF(w->dead_fronts.next, all);

		list_del(&f->all);
		free(f);
	}
	while (!list_empty(&w->dead_backs)) {
		struct back *b = BACK_OF(w->dead_backs.next, all);

		list_del(&b->all);
		free(b);
	}
}

/* BPF's clock of the day is CLOCK_TAI: what that is ahead changes when somebody sets it. */
static void tell_tai(struct worker *w)
{
	struct timespec tai, now;
	__s64 ahead_ns;

	if (clock_gettime(CLOCK_TAI, &tai) || clock_gettime(CLOCK_REALTIME, &now))
		return;
	ahead_ns = (tai.tv_sec - now.tv_sec) * (__s64)NS_PER_S + tai.tv_nsec - now.tv_nsec;
	/* Whole seconds, never negative; the two were not read at once. */
	SL_WRITE(w->maps->control->tai_s,
		 (__s32)((ahead_ns + (__s64)NS_PER_S / 2) / (__s64)NS_PER_S));
}

/* Of what there is once. */
static void tick_main(struct worker *w, bool sweep)
{
	if (sweep) {
		tell_tai(w);
		limits_heap_tell(w);
		leaks_scan(w);
		left_reap(w);
	}
	names_tick(w);
	reload_tick(w);
	health_tick(w);
	balance_tick(w);
}

static void tick(struct worker *w)
{
	bool sweep = w->now_ns - w->sweep_ns >= (w->draining ? TICK_NS : SWEEP_NS);

	if (w->now_ns - w->tick_ns >= TICK_NS) {
		w->tick_ns = w->now_ns;
		deadlines_check(w);
		listeners_resume(w);
	}
	if (sweep) {
		w->sweep_ns = w->now_ns;
		sessions_sweep(w);
		lane_timeouts(w);
		mirror_timeouts(w);
	}
	if (is_main(w))
		tick_main(w, sweep);
	watch_scan(w);
	lane_sweep(w);
}

static int timeout_ms(const struct worker *w)
{
	__u64 next = w->now_ns + SWEEP_NS;

	if (!list_empty(&w->ready))
		return 0;
	/* Nobody tells when BPF puts a lane back that a request waits for. */
	if (!list_empty(&w->undrained) || !list_empty(&w->again) || w->n_waiting)
		return 1;
	if (w->draining)
		return 20;
	if (w->due_ns < next)
		next = w->due_ns;
	if (w->watch_ns < next)
		next = w->watch_ns;
	if (!list_empty(&w->settling) && w->settle_look_ns < next)
		next = w->settle_look_ns;
	if (health_due(w) < next)
		next = health_due(w);
	if (balance_due(w) < next)
		next = balance_due(w);
	if (names_due(w) < next)
		next = names_due(w);
	if (reload_due(w) < next)
		next = reload_due(w);
	return next <= w->now_ns ? 1 : (next - w->now_ns + NS_PER_MS - 1) / NS_PER_MS;
}

int worker_step(struct worker *w, int wait_ms)
{
	struct epoll_event events[EVENT_BATCH];
	int n = epoll_wait(w->epoll_fd, events, EVENT_BATCH, wait_ms);

	if (n < 0 && errno != EINTR)
		return -errno;
	w->now_ns = clock_ns();
	if (n > 1)
		outbox_gather(w);
	for (int i = 0; i < n; i++)
		dispatch(w, events[i].data.ptr, events[i].events);
	outbox_flush(w);
	exchanges_go_on(w);
	door_retry(w);
	lanes_retry(w);
	lanes_settled(w, false);
	tick(w);
	waiting_serve(w);
	graveyard_empty(w);
	crew_rest(w);
	return n > 0 ? n : 0;
}

/*
 * Who wakes us goes on with what it does: with SCHED_OTHER each connection and write of a client
 * on our CPU would have it make way for us, to serve one event at a time. So we find several at
 * once when its turn is over (wakeup_preempt_fair() of kernel/sched/fair.c). A policy that
 * somebody chose for us stays.
 */
static void wake_in_turn(void)
{
	const struct sched_param none = {0};

	if (sched_getscheduler(0) == SCHED_OTHER)
		(void)sched_setscheduler(0, SCHED_BATCH, &none);
}

int worker_loop(struct worker *w)
{
	bool left;

	wake_in_turn();
	for (;;) {
		int rc = worker_step(w, timeout_ms(w));

		if (rc < 0)
			return rc;
		if (!w->draining)
			continue;
		if (drain_done(w)) {
			crew_join(w, false);
			return 0;
		}
		if (w->now_ns >= w->drain_until_ns)
			break;
	}
	left = SL_READ(w->crew->n_fronts);
	crew_join(w, true);
	drain_hard(w);
	graveyard_empty(w);
	return left ? -ETIMEDOUT : 0;
}

static int sources_add(struct worker *w)
{
	int rc = 0;

	if (w->args->signal_fd >= 0) {
		w->signal_io.fd = w->args->signal_fd;
		w->signal_io.kind = IO_SIGNAL;
		rc = io_add(w, &w->signal_io, EPOLLIN);
	}
	w->events = sl_events_open(w->maps, on_event, w);
	if (!rc && w->events) {
		w->events_io.fd = sl_events_poll_fd(w->events);
		w->events_io.kind = IO_EVENTS;
		rc = io_add(w, &w->events_io, EPOLLIN);
	}
	return rc;
}

/* What every thread has, empty. */
static void clear(struct worker *w, const struct sl_worker_args *args)
{
	memset(w, 0, sizeof(*w));
	w->epoll_fd = w->mailbox.fd = -1;
	pthread_mutex_init(&w->mailbox.lock, NULL);
	w->args_given = args;
	w->own_args = *args;
	w->args = &w->own_args;
	w->maps = args->maps;
	w->n_sessions = w->maps->control->n_sessions;
	w->n_lanes = w->maps->control->n_lanes;
	list_init(&w->fronts);
	list_init(&w->backs);
	list_init(&w->timed);
	list_init(&w->undrained);
	list_init(&w->ready);
	list_init(&w->again);
	list_init(&w->settling);
	list_init(&w->waiting);
	list_init(&w->mirrors);
	list_init(&w->dead_fronts);
	list_init(&w->dead_backs);
	w->now_ns = w->start_ns = w->tick_ns = w->sweep_ns = clock_ns();
	w->due_ns = ~0ULL;
}

static int make(struct worker *w)
{
	int rc;

	w->shortest_ns = limits_shortest_ns(w);
	w->n_listeners = w->args->compiled->n_listeners;
	w->listeners = calloc(w->n_listeners + 1, sizeof(*w->listeners));
	w->front_of = calloc(w->n_sessions + 1, sizeof(*w->front_of));
	w->back_of = calloc(w->n_lanes + 1, sizeof(*w->back_of));
	w->dirty_endpoints = calloc(SL_MAX_ENDPOINTS, 1);
	if (!w->listeners || !w->front_of || !w->back_of || !w->dirty_endpoints)
		return -ENOMEM;
	if (lines_init(&w->request) || lines_init(&w->response))
		return -ENOMEM;
	w->random = w->now_ns ^ (__u64)gettid() << 40;
	/* In our own memory: that of the maps goes with the next table. */
	rc = sl_matcher_new(w->args->compiled->table, &w->matcher);
	if (rc)
		return rc;
	w->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	return w->epoll_fd < 0 ? -errno : 0;
}

int worker_init(struct worker *w, const struct sl_worker_args *args)
{
	clear(w, args);
	w->table = args->maps->table ? args->maps->table : args->compiled->table;
	tell_tai(w);
	if (left_init(w) || crew_init(w))
		return -ENOMEM;
	return make(w);
}

int worker_init_thread(struct worker *w, struct worker *main)
{
	clear(w, main->args);
	w->crew = main->crew;
	w->index = main->crew->n;
	w->table = main->table;
	return make(w);
}

void worker_free(struct worker *w)
{
	graveyard_empty(w);
	free(w->mailbox.mail);
	free(w->mailbox.spare);
	sl_events_close(w->events);
	if (w->epoll_fd >= 0)
		close(w->epoll_fd);
	outbox_free(w);
	leaks_free(w);
	reload_cancel(w);
	names_stop(w);
	health_free(w);
	balance_free(w);
	buffer_pool_free(w);
	splice_pool_free(w);
	free(w->request.made);
	free(w->response.made);
	free(w->front_of);
	free(w->back_of);
	free(w->listeners);
	free(w->dirty_endpoints);
	left_free(w);
	sl_matcher_free(w->matcher);
	sl_matcher_free(w->retired_matcher);
	if (is_main(w))
		crew_free(w);
}

int sl_worker_run(const struct sl_worker_args *args)
{
	struct worker *w = malloc(sizeof(*w));
	int rc;

	if (!w)
		return -ENOMEM;
	signal(SIGPIPE, SIG_IGN);
	rc = worker_init(w, args);
	if (!rc)
		rc = sources_add(w);
	if (!rc)
		rc = reload_resume(w);
	if (!rc)
		rc = health_init(w);
	if (!rc)
		rc = balance_init(w);
	if (!rc)
		rc = adopt_all(w);
	/* Its sockets are none that a dead worker has left. */
	if (!rc)
		rc = names_start(w);
	if (!rc)
		rc = crew_start(w);
	if (!rc)
		rc = worker_listen(w);
	if (!rc && args->shared)
		SL_WRITE(args->shared->served, 1);
	if (!rc)
		rc = worker_loop(w);
	/* With another error it ends with its process, and so do threads that still run. */
	if (!rc || rc == -ETIMEDOUT) {
		worker_free(w);
		free(w);
	}
	return rc;
}
