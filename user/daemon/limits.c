/* SPDX-License-Identifier: GPL-2.0-only */
/* Which timeouts and limits hold for whom, and what is counted when one is reached. */
#include <dirent.h>
#include <sys/resource.h>
#include "internal.h"

const struct sl_listener_limits *limits_of_listener(const struct worker *w, const struct front *f)
{
	const struct sl_compiled *c = w->args->compiled;
	__u32 index = f->s->listener;

	return index < c->n_listeners ? &c->listeners[index].limits : &sl_listener_defaults;
}

const struct sl_route_limits *limits_of_route(const struct worker *w, __u32 route)
{
	const struct sl_compiled *c = w->args->compiled;

	if (!c->route_limits || route >= c->table->n_routes)
		return &sl_route_defaults;
	return &c->route_limits[route];
}

const struct sl_compiled *config_of(const struct worker *w, __u32 generation)
{
	const struct sl_compiled *c[] = {w->args->compiled, w->crew->all[0]->retired,
					 w->args_given->compiled};

	for (size_t i = 0; i < sizeof(c) / sizeof(c[0]); i++)
		if (c[i] && c[i]->table->generation == generation)
			return c[i];
	return NULL;
}

const struct sl_compiled *config_began(const struct worker *w, const struct front *f,
				       __u32 *ret_route)
{
	const struct sl_compiled *now = w->args->compiled, *c = NULL;

	if (f->x.generation && f->x.generation != now->table->generation)
		c = config_of(w, f->x.generation);
	*ret_route = c ? f->x.begun : f->x.route;
	return c ? c : now;
}

struct sl_matcher *matcher_of(const struct worker *w, const struct sl_compiled *c)
{
	const struct sl_compiled *before = w->crew->all[0]->retired;

	if (c == w->args->compiled)
		return w->matcher;
	return c == (before ? before : w->args_given->compiled) ? w->retired_matcher : NULL;
}

const struct sl_route_limits *limits_matched(const struct worker *w, const struct front *f)
{
	const struct sl_compiled *c = config_of(w, SL_READ(f->s->generation));
	__u32 route = SL_READ(f->s->route);

	if (!c)
		return limits_of_route(w, route);
	return c->route_limits && route < c->table->n_routes ? &c->route_limits[route]
							     : &sl_route_defaults;
}

const struct sl_cluster_limits *limits_of_cluster(const struct worker *w, __u32 cluster)
{
	const struct sl_compiled *c = w->args->compiled;

	if (!c->cluster_limits || cluster >= c->table->n_clusters)
		return &sl_cluster_defaults;
	return &c->cluster_limits[cluster];
}

__u32 limits_stream_idle_ms(const struct worker *w, const struct front *f,
			    const struct sl_route_limits *r)
{
	return r->idle_ms == SL_INHERIT ? limits_of_listener(w, f)->stream_idle_ms : r->idle_ms;
}

__u32 limits_flush_ms(const struct worker *w, const struct front *f,
		      const struct sl_route_limits *r)
{
	__u32 ms = r->flush_ms;

	if (ms == SL_INHERIT)
		ms = limits_of_listener(w, f)->flush_ms;
	return ms == SL_INHERIT ? limits_stream_idle_ms(w, f, r) : ms;
}

static void shorter(__u64 *ns, __u32 ms)
{
	if (ms && ms != SL_INHERIT && ms * NS_PER_MS < *ns)
		*ns = ms * NS_PER_MS;
}

__u64 limits_shortest_ns(const struct worker *w)
{
	const struct sl_compiled *c = w->args->compiled;
	__u64 ns = SWEEP_NS;

	for (__u32 i = 0; i < c->n_listeners; i++) {
		shorter(&ns, c->listeners[i].limits.request_ms);
		shorter(&ns, c->listeners[i].limits.stream_idle_ms);
		shorter(&ns, c->listeners[i].limits.max_stream_ms);
		shorter(&ns, c->listeners[i].limits.idle_ms);
		shorter(&ns, c->listeners[i].limits.max_duration_ms);
	}
	for (__u32 i = 0; c->route_limits && i < c->table->n_routes; i++) {
		shorter(&ns, c->route_limits[i].timeout_ms);
		shorter(&ns, c->route_limits[i].idle_ms);
		shorter(&ns, c->route_limits[i].max_stream_ms);
	}
	for (__u32 i = 0; c->cluster_limits && i < c->table->n_clusters; i++) {
		shorter(&ns, c->cluster_limits[i].idle_ms);
		shorter(&ns, c->cluster_limits[i].max_duration_ms);
	}
	return ns;
}

void count_limit(struct worker *w, enum sl_count what, __u32 cluster)
{
	__u32 key = what < SL_COUNT_FIRST_UP ? 0 : 1 + cluster;

	if (w->maps->counts && key <= SL_MAX_CLUSTERS)
		sl_add(&w->maps->counts[key].n[what], 1);
}

/* ---- memory ---- */

/* What grows with what clients do: nothing else of the daemon does. */
static __u64 heap_used(const struct worker *w)
{
	__u64 n = 0;

	sl_each_worker (other, w)
		n += (__u64)SL_READ(other->n_buffers) * BUFFER_CAP + SL_READ(other->mirror_bytes) +
		     (__u64)SL_READ(other->n_pipes_used) * PIPE_BYTES +
		     (__u64)SL_READ(other->n_fronts) * sizeof(struct front) +
		     (__u64)SL_READ(other->n_backs) * sizeof(struct back);
	return n;
}

bool limits_heap_full(const struct worker *w)
{
	__u64 stop = w->args->compiled->options.heap_stop;

	return stop && heap_used(w) >= stop;
}

void limits_heap_tell(struct worker *w)
{
	SL_WRITE(w->maps->control->heap, heap_used(w));
}

/* ---- open sessions ---- */

#define TOLD_MAX 256 /* sessions over the limit that are told so at a time; more: closed */

static __u32 max_sessions(const struct worker *w)
{
	__u32 max = w->args->compiled->options.max_sessions;

	return max ? max : SL_NO_LIMIT;
}

bool limits_reached(const struct worker *w)
{
	return SL_READ(w->crew->n_fronts) >= max_sessions(w);
}

/* BPF takes no request of a connection that we have not seen while we may have to refuse it. */
void limits_sessions_changed(struct worker *w)
{
	struct crew *c = w->crew;

	if (limits_reached(w) == SL_READ(c->full))
		return;
	/* Whoever changes their number last is the last to look. */
	pthread_mutex_lock(&c->lock);
	SL_WRITE(c->full, limits_reached(w));
	if (c->full)
		__sync_fetch_and_or(&w->maps->control->flags, SL_C_FULL);
	else
		__sync_fetch_and_and(&w->maps->control->flags, ~SL_C_FULL);
	pthread_mutex_unlock(&c->lock);
}

/* What is open besides sessions and lanes; 0: not known. */
static __u32 other_fds(const struct worker *w)
{
	DIR *dir = opendir("/proc/self/fd");
	__u32 n = 0;

	if (!dir)
		return 0;
	while (readdir(dir))
		n++;
	closedir(dir);
	n -= 3; /* ".", ".." and the directory's own */
	return n > w->n_fronts + w->n_backs ? n - w->n_fronts - w->n_backs : 0;
}

void limits_descriptors(struct worker *w)
{
	__u32 others = other_fds(w), n = w->crew->n;
	struct rlimit lim;
	__u64 left;

	w->max_pipes = PIPES_MAX / n;
	if (!others || getrlimit(RLIMIT_NOFILE, &lim) || lim.rlim_cur == RLIM_INFINITY)
		return;
	others += 4 * n; /* what each thread may have accepted and not counted yet */
	left = lim.rlim_cur > others ? lim.rlim_cur - others : 0;
	/* Pipes have two each: a 64th of all, and none where that is too few. */
	if (w->max_pipes > left / 128 / n)
		w->max_pipes = left / 128 / n;
	left -= 2 * w->max_pipes * n;
	/* Lanes that are over wait a moment to be closed: an eighth more of those. */
	w->max_fronts = left > 2 ? (left - left / 8) / 2 : 1;
	w->scarce_at = left > 2 ? left - left / 16 : 1;
}

/* Sessions, and those that are to be some other thread's. */
static __u32 accepted(const struct worker *w)
{
	__u32 n = SL_READ(w->crew->n_fronts);

	sl_each_worker (other, w)
		n += SL_READ(other->mailbox.n_fronts);
	return n;
}

bool limits_crowded(struct worker *w)
{
	if (!w->max_fronts || accepted(w) < w->max_fronts)
		return false;
	count_limit(w, SL_COUNT_DOWN_CX_WAIT, NO_INDEX);
	return true;
}

bool limits_scarce(const struct worker *w)
{
	__u32 n = w->scarce_at ? accepted(w) : 0;

	if (!n)
		return false;
	sl_each_worker (other, w)
		n += SL_READ(other->n_backs);
	return n >= w->scarce_at;
}

bool limits_hopeless(struct worker *w)
{
	__u64 max = max_sessions(w);

	if (accepted(w) < max + TOLD_MAX)
		return false;
	count_limit(w, SL_COUNT_DOWN_CX_OVERFLOW, NO_INDEX);
	return true;
}

void limits_accepted(struct worker *w, struct front *f)
{
	limits_sessions_changed(w);
	if (f->nth <= max_sessions(w))
		return;
	count_limit(w, SL_COUNT_DOWN_CX_OVERFLOW, NO_INDEX);
	f->refused = true;
	session_end_soon(w, f, REFUSED_NS);
}
