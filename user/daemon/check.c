// SPDX-License-Identifier: GPL-2.0-only
/*
 * Active health checks: a connection, or a request and its answer, every so often. How results
 * count is Envoy's (ActiveHealthCheckSession of health_checker_base_impl.cc): a status that is not
 * expected counts at once, a connection that fails when it has happened unhealthy_threshold times.
 */
#include "health.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum check_state {
	CHECK_WAIT,
	CHECK_CONNECT,
	CHECK_ANSWER,
};

/* One endpoint's. io is first: the epoll data is its address. */
struct check {
	struct io io;
	struct list dead;
	__u32 endpoint;
	enum check_state state;
	bool reused;  /* the connection has served a check before */
	__u64 due_ns; /* the next check, or the timeout of this one */
	struct buffer in;
	struct sl_health_check rules;
};

static void hang_up(struct worker *w, struct check *c)
{
	if (c->io.fd >= 0)
		close(c->io.fd);
	c->io.fd = -1;
	buffer_drop(w, &c->in);
}

static void due_set(struct worker *w, struct check *c, __u64 ns)
{
	c->due_ns = ns;
	if (ns < w->health->due_ns)
		w->health->due_ns = ns;
}

static __u64 chance(struct worker *w, __u64 n)
{
	w->random = sl_mix(w->random + 1);
	return n ? (w->random >> 16) % n : 0;
}

/* Until the next check; @pending: a threshold is not reached yet. */
static __u64 interval(struct worker *w, const struct check *c, bool ok, bool pending)
{
	const struct sl_health_check *r = &c->rules;
	__u32 cluster = w->maps->endpoints[c->endpoint].cluster;
	__u64 ms;

	if (!SL_READ(w->crew->had_traffic[cluster]))
		ms = ok && !pending ? r->no_traffic_healthy_ms : r->no_traffic_ms;
	else if (pending)
		ms = ok ? r->healthy_edge_ms : r->unhealthy_edge_ms;
	else
		ms = ok ? r->interval_ms : r->unhealthy_interval_ms;
	ms += chance(w, ms * r->jitter_percent / 100 + 1) + chance(w, r->jitter_ms + 1);
	return ms * NS_PER_MS;
}

/* Of @w, which is this thread or rests. */
static void lanes_close(struct worker *w, __u32 endpoint)
{
	for (struct list *l = w->backs.next; l != &w->backs; l = l->next) {
		struct back *b = BACK_OF(l, all);

		if (b->endpoint != endpoint)
			continue;
		lane_mark_surplus(b);
		if (lane_move(b, SL_LANE_IDLE, SL_LANE_DEAD)) {
			w->dirty_endpoints[endpoint] = 1;
			w->sweep_wanted = true;
		}
	}
}

/* Its connections are given up: no request more on any of them. */
static void give_up(struct worker *w, __u32 endpoint)
{
	crew_pause(w);
	sl_each_worker (other, w)
		lanes_close(other, endpoint);
	crew_resume(w);
}

static void failed_set(struct worker *w, struct check *c, bool failed)
{
	struct sl_host *h = &w->maps->hosts[c->endpoint];

	h->streak = 0;
	h->flags = failed ? h->flags | SL_HOST_FAILED_CHECK : h->flags & ~SL_HOST_FAILED_CHECK;
	balance_update(w, w->maps->endpoints[c->endpoint].cluster);
	if (failed && c->rules.close_on_failure)
		give_up(w, c->endpoint);
}

/* @hard: the endpoint itself has said so. Whether a threshold is still to be reached. */
static bool result_count(struct worker *w, struct check *c, bool ok, bool hard)
{
	struct sl_host *h = &w->maps->hosts[c->endpoint];
	bool was = h->flags & SL_HOST_FAILED_CHECK, first = h->flags & SL_HOST_PENDING;
	__u32 threshold = ok ? c->rules.healthy_threshold : c->rules.unhealthy_threshold;

	h->checks++;
	h->failures += !ok;
	h->flags &= ~SL_HOST_PENDING;
	if (!ok)
		count_limit(w, SL_COUNT_HC_FAILURE, w->maps->endpoints[c->endpoint].cluster);
	if (was == !ok) {
		h->streak = 0;
		return false;
	}
	/* The first result counts at once, whatever it is. */
	if (!first && !hard && ++h->streak < threshold)
		return true;
	failed_set(w, c, !ok);
	return false;
}

static void done(struct worker *w, struct check *c, bool ok, bool hard, bool keep)
{
	bool pending = result_count(w, c, ok, hard);

	if (ok && health_rules(w, w->maps->endpoints[c->endpoint].cluster)->outlier.check_unejects)
		outlier_back(w, c->endpoint);
	c->state = CHECK_WAIT;
	if (!keep)
		hang_up(w, c);
	buffer_drop(w, &c->in);
	due_set(w, c, w->now_ns + interval(w, c, ok, pending));
}

/* Nothing is known: at its next turn. */
static void put_off(struct worker *w, struct check *c)
{
	const bool failed = w->maps->hosts[c->endpoint].flags & SL_HOST_FAILED_CHECK;

	c->state = CHECK_WAIT;
	hang_up(w, c);
	due_set(w, c, w->now_ns + interval(w, c, !failed, false));
}

/* ---- a check ---- */

static void ask(struct worker *w, struct check *c)
{
	size_t len = strlen(c->rules.request);

	c->state = CHECK_ANSWER;
	if (!c->rules.http)
		done(w, c, true, false, false);
	else if (!buffer_take(w, &c->in) ||
		 send(c->io.fd, c->rules.request, len, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)len)
		done(w, c, false, false, false);
}

/* That there is room to write epoll, level-triggered here, would say for ever. */
static void established(struct worker *w, struct check *c)
{
	struct epoll_event e = {.events = EPOLLIN | EPOLLRDHUP, .data.ptr = &c->io};

	(void)epoll_ctl(w->epoll_fd, EPOLL_CTL_MOD, c->io.fd, &e);
	ask(w, c);
}

static void begin(struct worker *w, struct check *c)
{
	const struct sl_endpoint *e = &w->maps->endpoints[c->endpoint];
	int rc;

	due_set(w, c, w->now_ns + c->rules.timeout_ms * NS_PER_MS);
	c->reused = c->io.fd >= 0;
	if (c->reused) {
		ask(w, c);
		return;
	}
	c->io = (struct io){.fd = endpoint_socket(w, e), .kind = IO_CHECK};
	c->state = CHECK_CONNECT;
	if (c->io.fd < 0 || io_add(w, &c->io, IO_EVENTS_ALL)) {
		put_off(w, c);
		return;
	}
	rc = endpoint_connect(w, e, c->io.fd);
	if (endpoint_is_not_to_blame(rc))
		put_off(w, c);
	else if (rc && rc != -EINPROGRESS)
		done(w, c, false, false, false);
}

static bool in_ranges(const struct sl_status_range *r, __u32 n, __u32 status)
{
	for (__u32 i = 0; i < n; i++)
		if (status >= r[i].start && status < r[i].end)
			return true;
	return false;
}

static void answered(struct worker *w, struct check *c, const struct sl_head *h)
{
	const struct sl_health_check *r = &c->rules;
	struct sl_body body = sl_response_body(h, r->head);
	bool ok = in_ranges(r->expected, r->n_expected, h->status);
	__u64 rest = c->in.end - h->len;
	bool keep = r->reuse && sl_response_is_plain(h, &body) && body.kind != SL_BODY_CHUNKED &&
		    body.left == rest;

	done(w, c, ok, !ok && !in_ranges(r->retriable, r->n_retriable, h->status), keep);
}

/* What has come so far; more may be needed. */
static void look(struct worker *w, struct check *c)
{
	struct sl_head *h = &w->head;

	for (;;) {
		switch (c->in.end ? sl_response_parse(h, c->in.data, c->in.end) : SL_PARSE_MORE) {
		case SL_PARSE_MORE:
			return;
		case SL_PARSE_DONE:
			break;
		default:
			done(w, c, false, false, false);
			return;
		}
		if (h->status >= 200 || h->status == 101)
			break;
		c->in.end -= h->len;
		memmove(c->in.data, c->in.data + h->len, c->in.end);
	}
	answered(w, c, h);
}

/* The server has hung up. It may do so between checks; then the request is made once more. */
static void ended(struct worker *w, struct check *c)
{
	bool again = c->reused && !c->in.end;

	hang_up(w, c);
	if (again)
		begin(w, c);
	else
		done(w, c, false, false, false);
}

static void answer_read(struct worker *w, struct check *c)
{
	ssize_t n = c->in.end < BUFFER_READ ? recv(c->io.fd, c->in.data + c->in.end,
						   BUFFER_READ - c->in.end, MSG_DONTWAIT)
					    : 0;

	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		ended(w, c);
		return;
	}
	c->in.end += n;
	look(w, c);
}

void check_event(struct worker *w, struct io *io, __u32 events)
{
	struct check *c = (struct check *)io;
	socklen_t len = sizeof(int);
	int err = 0;

	switch (c->state) {
	case CHECK_WAIT: /* whatever it says between checks, it is not asked again */
		if (events & (EPOLLIN | EPOLLRDHUP | EPOLLERR | EPOLLHUP))
			hang_up(w, c);
		break;
	case CHECK_CONNECT:
		if (getsockopt(io->fd, SOL_SOCKET, SO_ERROR, &err, &len) || err ||
		    (events & (EPOLLERR | EPOLLHUP)))
			done(w, c, false, false, false);
		else if (events & EPOLLOUT)
			established(w, c);
		break;
	case CHECK_ANSWER:
		if (events & (EPOLLIN | EPOLLRDHUP | EPOLLERR | EPOLLHUP))
			answer_read(w, c);
		break;
	}
}

__u64 check_tick(struct worker *w, struct check *c)
{
	if (c->due_ns > w->now_ns)
		return c->due_ns;
	if (c->state == CHECK_WAIT)
		begin(w, c);
	else
		done(w, c, false, false, false);
	return c->due_ns;
}

/* ---- which there are ---- */

static void check_end(struct worker *w, __u32 endpoint)
{
	struct check *c = w->health->checks[endpoint];
	struct sl_host *h = &w->maps->hosts[endpoint];

	h->flags &= ~(SL_HOST_PENDING | SL_HOST_FAILED_CHECK);
	h->streak = 0;
	if (!c)
		return;
	w->health->checks[endpoint] = NULL;
	hang_up(w, c);
	list_add(&w->health->dead, &c->dead);
}

void check_config(struct worker *w, __u32 endpoint, const struct sl_health_check *rules,
		  bool at_start)
{
	struct check *c = w->health->checks[endpoint];
	struct sl_host *h = &w->maps->hosts[endpoint];

	if (!rules->interval_ms) {
		check_end(w, endpoint);
		return;
	}
	if (c) {
		c->rules = *rules;
		return;
	}
	c = calloc(1, sizeof(*c));
	if (!c)
		return;
	c->io.fd = -1;
	c->endpoint = endpoint;
	c->rules = *rules;
	list_init(&c->dead);
	w->health->checks[endpoint] = c;
	/* Who comes later gets nothing before a check has passed; at the start all are alike. A
	 * worker that follows another goes on with what that one knew. */
	if (!h->checks)
		h->flags |= SL_HOST_PENDING | (at_start ? 0 : SL_HOST_FAILED_CHECK);
	due_set(w, c, w->now_ns + chance(w, rules->initial_jitter_ms + 1) * NS_PER_MS);
}

void checks_bury(struct worker *w)
{
	while (!list_empty(&w->health->dead)) {
		struct list *l = w->health->dead.next;

		list_del(l);
		free((char *)l - offsetof(struct check, dead));
	}
}
