/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * SIGHUP: the file is read again and applied as a whole, or nothing of it. What the data path uses
 * of the new config is written where nothing looks yet; then one update of the map `tables`
 * makes it the one that requests are matched with. Sessions and lanes go on: see sl_remap().
 */
#include "reload.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/config.h"
#include "daemon/listen.h"
#include "dns/batch.h"
#include "internal.h"
#include "util/names.h"

/* What is said goes to the log and to whoever asked for the reload. */
struct outcome {
	char *text;
	size_t size;
	FILE *f;
};

struct reload {
	struct outcome o;
	char path[PATH_MAX];
	int fd; /* of the text's copy */
	struct sl_compiled *c;
	struct sl_batch *batch; /* names that are new */
	struct io io;
	__u64 until_ns;
};

static void say(struct outcome *o, const char *fmt, ...)
{
	va_list ap;

	if (!o->f)
		return;
	va_start(ap, fmt);
	vfprintf(o->f, fmt, ap);
	va_end(ap);
}

/* A copy of the file, so that what is served can be read again whatever becomes of the file. */
static int text_copy(const char *path)
{
	int in = open(path, O_RDONLY | O_CLOEXEC), out, rc = 0;
	ssize_t n;

	if (in < 0)
		return -errno;
	out = memfd_create("sluice-config", MFD_CLOEXEC);
	if (out < 0)
		rc = -errno;
	while (!rc && (n = sendfile(out, in, NULL, 1 << 20)) != 0)
		if (n < 0 && errno != EINTR)
			rc = -errno;
	close(in);
	if (rc && out >= 0)
		close(out);
	return rc ? rc : out;
}

/* The file to read: the one that was, unless another is asked for. */
static void text_path(const struct sl_shared *s, char path[PATH_MAX])
{
	FILE *f = fopen(s->wanted, "re");

	snprintf(path, PATH_MAX, "%s", s->config);
	if (!f)
		return;
	(void)unlink(s->wanted);
	if (fgets(path, PATH_MAX, f))
		path[strcspn(path, "\n")] = 0;
	fclose(f);
}

static int text_parse(const char *path, int fd, __u32 generation, struct outcome *o,
		      struct sl_compiled **ret)
{
	struct sl_config_flags flags = {.generation = generation};
	struct sl_diag_list diags;
	struct stat st;
	char *text;
	int rc;

	if (fstat(fd, &st))
		return -errno;
	text = malloc(st.st_size + 1);
	if (!text)
		return -ENOMEM;
	if (pread(fd, text, st.st_size, 0) != st.st_size) {
		free(text);
		return -EIO;
	}
	rc = sl_config_parse(path, text, st.st_size, &flags, &diags, ret);
	if (o->f)
		sl_diag_print(o->f, &diags);
	sl_diag_free(&diags);
	free(text);
	return rc;
}

static bool same_listener(const struct sl_listener *a, const struct sl_listener *b)
{
	return a->family == b->family && a->port == b->port && a->attach == b->attach &&
	       a->l4 == b->l4 && a->netns == b->netns && !memcmp(a->addr, b->addr, sizeof(a->addr));
}

/* The first listener that @r's config has and that does not run, or that is gone. False: none. */
static bool say_listener(const struct sl_compiled *now, struct reload *r)
{
	for (__u32 i = 0; i < r->c->n_listeners; i++) {
		const struct sl_listener *l = &r->c->listeners[i];

		if (i < now->n_listeners && same_listener(&now->listeners[i], l))
			continue;
		say(&r->o, "%s:%d: listener '%s' is not one that runs: that needs a restart\n",
		    r->path, l->line, l->name);
		return true;
	}
	if (now->n_listeners == r->c->n_listeners)
		return false;
	say(&r->o, "listener '%s' is gone: that needs a restart\n",
	    now->listeners[r->c->n_listeners].name);
	return true;
}

static bool same_netns(const struct sl_compiled *a, const struct sl_compiled *b)
{
	for (__u32 i = 0; i < a->n_netns && i < b->n_netns; i++)
		if (strcmp(a->netns[i], b->netns[i]))
			return false;
	return a->n_netns == b->n_netns;
}

/* What only a restart can change. */
static int check_same(const struct sl_compiled *a, struct reload *r)
{
	const struct sl_compiled *b = r->c;
	struct outcome *o = &r->o;

	for (__u32 i = 0; i < a->n_listeners; i++) {
		if (!a->listeners[i].l4)
			continue;
		say(o, "listener '%s' hands out connections (L4): that needs a restart\n",
		    a->listeners[i].name);
		return -SL_RELOAD_NEEDS_RESTART;
	}
	if (say_listener(a, r))
		return -SL_RELOAD_NEEDS_RESTART;
	if (!same_netns(a, b)) {
		say(o, "the network namespaces differ from those that run: that needs a "
		       "restart\n");
		return -SL_RELOAD_NEEDS_RESTART;
	}
	if (a->options.kernel_path != b->options.kernel_path ||
	    a->options.colocated_clients != b->options.colocated_clients ||
	    a->options.colocated_servers != b->options.colocated_servers) {
		say(o, "the 'sluice' section differs from what runs: that needs a restart\n");
		return -SL_RELOAD_NEEDS_RESTART;
	}
	return 0;
}

static bool same_weights(const struct sl_split *a, const struct sl_split *b)
{
	if (a->n_targets != b->n_targets)
		return false;
	for (__u32 i = 0; i < a->n_targets; i++)
		if (a->targets[i].weight != b->targets[i].weight)
			return false;
	return true;
}

/* Routes of @c by name, as commands compare it. NULL: no memory. */
static struct sl_names *routes_by_name(const struct sl_compiled *c)
{
	struct sl_names *names = sl_names_new();

	for (__u32 i = 0; names && i < c->table->n_routes; i++) {
		if (sl_names_add(names, c->route_infos[i].name, &c->route_infos[i]))
			continue;
		sl_names_free(names);
		return NULL;
	}
	return names;
}

/*
 * Weights that were set by hand are kept unless the file has changed them since. @was: the route
 * of this name in the config before; NULL: there was none.
 */
static int split_apply(struct worker *w, const struct sl_compiled *c, __u32 route,
		       const struct sl_route_info *was, struct outcome *o)
{
	const char *name = c->route_infos[route].name;
	__u32 id = c->table->routes[route].target;
	struct sl_split split = c->splits[id], live;

	split.route = route;
	if (was && was->action == SL_ACTION_SPLIT && was->target == id &&
	    !sl_maps_split_get(w->maps, id, &live) && !same_weights(&live, &split)) {
		if (same_weights(&w->args->compiled->splits[id], &split)) {
			memcpy(split.targets, live.targets, sizeof(split.targets));
			say(o, "route '%s': weights that were set by hand are kept\n", name);
		} else {
			say(o, "route '%s': weights are those of the file again\n", name);
		}
	}
	return sl_maps_split_put(w->maps, id, &split);
}

static int splits_apply(struct worker *w, const struct sl_compiled *c, const struct sl_names *old,
			struct outcome *o)
{
	int rc = 0;

	for (__u32 i = 0; i < c->table->n_routes && !rc; i++)
		if (c->table->routes[i].action == SL_ACTION_SPLIT)
			rc = split_apply(w, c, i, sl_names_get(old, c->route_infos[i].name), o);
	return rc;
}

static void clusters_apply(struct worker *w, const struct sl_compiled *c)
{
	const struct sl_table *t = c->table;

	for (__u32 i = 0; i < t->n_endpoints; i++) {
		if (!w->maps->endpoints[i].family)
			endpoint_begin(w, i, &c->endpoints[i]);
		if (!(c->endpoints[i].flags & SL_ENDPOINT_DRAINING))
			w->maps->hosts[i].member = c->hosts[i].member + 1;
		SL_WRITE(w->maps->endpoints[i].next, c->endpoints[i].next);
		SL_WRITE(w->maps->endpoints[i].flags, c->endpoints[i].flags);
	}
	SL_WRITE(w->maps->control->n_endpoints, t->n_endpoints);
	for (__u32 i = 0; i < t->n_clusters; i++) {
		struct sl_cluster *live = &w->maps->clusters[i];
		const struct sl_cluster *new = &c->clusters[i];

		if (i >= w->table->n_clusters) {
			*live = *new;
			continue;
		}
		SL_WRITE(live->connect_timeout_ms, new->connect_timeout_ms);
		SL_WRITE(live->max_lanes, new->max_lanes);
		sl_cluster_range_set(live, sl_cluster_range(new));
	}
	endpoints_changed(w);
}

/* ---- routes: counters and exchanges under way follow their route's name ---- */

/* Copies (@from NULL: clears) what is counted of route @index, in all its shards. */
static void stats_write(struct sl_stats *rows, __u32 index, const struct sl_stats *from)
{
	for (__u32 shard = 0; shard < SL_STAT_SHARDS; shard++)
		rows[sl_stats_key(index, shard)] = from ? from[shard] : (struct sl_stats){};
}

/* @to[i]: the new index of route i, or NO_INDEX. */
static int stats_follow(struct worker *w, const __u32 *to, __u32 n, __u32 n_new)
{
	struct sl_stats *rows = w->maps->route_stats, (*copy)[SL_STAT_SHARDS];
	__u32 same = 0;

	while (same < n && same < n_new && to[same] == same)
		same++;
	copy = malloc((n - same + 1) * sizeof(*copy));
	if (!copy)
		return -ENOMEM;
	for (__u32 i = same; i < n; i++)
		for (__u32 shard = 0; shard < SL_STAT_SHARDS; shard++)
			copy[i - same][shard] = rows[sl_stats_key(i, shard)];
	for (__u32 i = same; i < n_new; i++)
		stats_write(rows, i, NULL);
	for (__u32 i = same; i < n; i++)
		if (to[i] != NO_INDEX)
			stats_write(rows, to[i], copy[i - same]);
	free(copy);
	return 0;
}

static void exchanges_follow(const struct worker *w, const __u32 *to, __u32 n)
{
	for (struct list *l = w->fronts.next; l != &w->fronts; l = l->next) {
		struct front *f = FRONT_OF(l, all);

		if (f->x.route < n)
			f->x.route = to[f->x.route];
		if (f->s->route < n && to[f->s->route] != NO_INDEX)
			f->s->route = to[f->s->route];
	}
}

static int routes_follow(struct worker *w, const struct sl_compiled *c)
{
	const struct sl_compiled *old = w->args->compiled;
	struct sl_names *names = routes_by_name(c);
	__u32 n = old->table->n_routes;
	__u32 *to = calloc(n + 1, sizeof(*to));
	int rc = -ENOMEM;

	if (names && to) {
		for (__u32 i = 0; i < n; i++) {
			const struct sl_route_info *now =
				sl_names_get(names, old->route_infos[i].name);

			to[i] = now ? now - c->route_infos : NO_INDEX;
		}
		rc = stats_follow(w, to, n, c->table->n_routes);
		if (!rc)
			sl_each_worker (other, w)
				exchanges_follow(other, to, n);
	}
	sl_names_free(names);
	free(to);
	return rc;
}

static int apply(struct worker *w, struct sl_compiled *c, struct outcome *o)
{
	struct sl_names *old = routes_by_name(w->args->compiled);
	int rc = old ? 0 : -ENOMEM;

	sl_listen_limits(w->maps->control, c);
	for (__u32 i = 0; i < c->n_pipes && !rc; i++)
		rc = sl_maps_pipe_put(w->maps, &c->pipes[i]);
	clusters_apply(w, c);
	health_config(w, c);
	balance_config(w, c);
	if (!rc)
		rc = splits_apply(w, c, old, o);
	sl_names_free(old);
	for (__u32 i = 0; i < c->table->n_routes && !rc; i++)
		rc = sl_maps_route_put(w->maps, i, &c->route_infos[i]);
	if (!rc)
		rc = routes_follow(w, c);
	generation_begin(w, c->table->generation);
	if (!rc)
		rc = sl_maps_publish(w->maps, c->table);
	if (rc)
		say(o, "cannot write the maps: %s\n", strerror(-rc));
	return rc;
}

/* The config that is served from now on. The one before it may still be in use until the next. */
static void adopt_config(struct worker *w, struct sl_compiled *c, struct sl_matcher **matchers)
{
	sl_compiled_free(w->retired);
	w->retired = w->own_args.compiled == w->args_given->compiled
			     ? NULL
			     : (struct sl_compiled *)w->own_args.compiled;
	sl_each_worker (other, w) {
		sl_matcher_free(other->matcher);
		other->matcher = matchers[other->index];
		other->own_args.compiled = c;
		other->table = w->maps->table;
		other->shortest_ns = limits_shortest_ns(other);
	}
}

/* One for each thread. 0 or -errno; what there is of them is the caller's, matchers_free(). */
static int matchers_new(const struct worker *w, const struct sl_table *t, struct sl_matcher **ret)
{
	int rc = 0;

	for (__u32 i = 0; i < w->crew->n && !rc; i++)
		rc = sl_matcher_new(t, &ret[i]);
	return rc;
}

static void matchers_free(struct sl_matcher **matchers)
{
	for (__u32 i = 0; i < SL_MAX_THREADS; i++)
		sl_matcher_free(matchers[i]);
}

/* ---- a reload, from the signal to the answer ---- */

static void outcome_tell(struct worker *w, struct outcome *o, int rc)
{
	struct sl_control *c = w->maps->control;
	FILE *f;

	if (o->f && !fclose(o->f) && o->text) {
		fprintf(stderr, "sluice: reload%s:\n%s", rc ? " refused, nothing is changed" : "",
			o->text);
		f = w->args->shared ? fopen(w->args->shared->outcome, "we") : NULL;
		if (f) {
			fputs(o->text, f);
			fclose(f);
		}
	}
	free(o->text);
	SL_WRITE(c->reload_status, (__u32)-rc);
	sl_add(&c->reloads, 1);
}

/* Reads the file; what it may not change is checked. */
static int read_config(struct worker *w, struct reload *r)
{
	struct sl_shared *shared = w->args->shared;
	int rc;

	if (!shared || !shared->config[0])
		return -ENOENT;
	text_path(shared, r->path);
	r->fd = text_copy(r->path);
	if (r->fd < 0) {
		say(&r->o, "cannot read %s: %s\n", r->path, strerror(-r->fd));
		return r->fd;
	}
	rc = text_parse(r->path, r->fd, w->table->generation + 1, &r->o, &r->c);
	return rc ? rc : check_same(w->args->compiled, r);
}

/* Applies what has been read, with the addresses that names have now. */
static int use_config(struct worker *w, struct reload *r)
{
	struct sl_shared *shared = w->args->shared;
	struct sl_matcher *matchers[SL_MAX_THREADS] = {0};
	char why[256] = "out of memory";
	int rc;

	if (r->o.f)
		sl_names_warn(r->c, r->o.f, "");
	(void)sl_members_place(r->c);
	rc = sl_remap(r->c, w->maps, why);
	if (rc)
		say(&r->o, "%s\n", why);
	if (!rc)
		rc = matchers_new(w, r->c->table, matchers);
	if (!rc)
		rc = apply(w, r->c, &r->o);
	if (rc) {
		matchers_free(matchers);
		health_config(w, w->args->compiled);
		balance_config(w, w->args->compiled);
		return rc;
	}
	adopt_config(w, r->c, matchers);
	r->c = NULL;
	if (shared->text_fd >= 0)
		close(shared->text_fd);
	shared->text_fd = r->fd;
	r->fd = -1;
	memcpy(shared->config, r->path, sizeof(r->path));
	say(&r->o, "config generation %u\n", w->table->generation);
	if (names_start(w))
		fprintf(stderr, "sluice: names cannot be looked up any more: out of memory\n");
	return 0;
}

static void reload_free(struct worker *w, struct reload *r)
{
	sl_batch_free(r->batch);
	sl_compiled_free(r->c);
	if (r->fd >= 0)
		close(r->fd);
	free(r);
	w->reload = NULL;
}

static void reload_end(struct worker *w, int rc)
{
	struct reload *r = w->reload;

	crew_pause(w);
	if (!rc)
		rc = use_config(w, r);
	crew_resume(w);
	outcome_tell(w, &r->o, rc);
	reload_free(w, r);
}

/* Names that are known have their addresses; others are asked for. */
static int ask_names(struct worker *w, struct reload *r)
{
	int rc = names_inherit(w->args->compiled, r->c);

	if (!rc)
		rc = sl_batch_new(r->c, &r->batch);
	if (rc || !r->batch->left)
		return rc;
	r->until_ns = w->now_ns + SL_DNS_FIRST_MS * NS_PER_MS;
	r->io = (struct io){.fd = sl_dns_fd(r->batch->dns), .kind = IO_DNS};
	return io_add(w, &r->io, EPOLLIN);
}

void reload_cancel(struct worker *w)
{
	if (!w->reload)
		return;
	if (w->reload->o.f)
		fclose(w->reload->o.f);
	free(w->reload->o.text);
	reload_free(w, w->reload);
}

void reload_run(struct worker *w)
{
	struct reload *r;
	int rc;

	if (w->draining)
		return;
	reload_cancel(w); /* the file may have changed since */
	r = w->reload = calloc(1, sizeof(*r));
	if (!r)
		return;
	r->fd = -1;
	r->o.f = open_memstream(&r->o.text, &r->o.size);
	rc = read_config(w, r);
	if (!rc && r->c->n_names)
		rc = ask_names(w, r);
	if (rc || !r->batch || !r->batch->left)
		reload_end(w, rc);
}

void reload_tick(struct worker *w)
{
	struct reload *r = w->reload;

	if (!r)
		return;
	sl_dns_process(r->batch->dns);
	if (!r->batch->left || w->now_ns >= r->until_ns)
		reload_end(w, 0);
}

__u64 reload_due(const struct worker *w)
{
	if (!w->reload)
		return ~0ULL;
	return w->now_ns + sl_dns_timeout_ms(w->reload->batch->dns, 1000) * NS_PER_MS;
}

/* The numbers of @c, which is as the file has it, are those that the maps have. */
static int follow(struct worker *w, struct sl_compiled *c)
{
	struct sl_matcher *matchers[SL_MAX_THREADS] = {0};
	char why[256];
	int rc = names_recover(c, w->maps);

	if (rc)
		return rc;
	(void)sl_members_place(c);
	rc = sl_remap(c, w->maps, why);
	if (!rc)
		rc = matchers_new(w, c->table, matchers);
	if (rc)
		matchers_free(matchers);
	else
		adopt_config(w, c, matchers);
	return rc;
}

int reload_resume(struct worker *w)
{
	struct sl_shared *shared = w->args->shared;
	struct outcome none = {0};
	struct sl_compiled *c = NULL;
	int rc;

	if (!shared || !shared->workers++)
		return 0;
	if (shared->text_fd < 0)
		return w->args->compiled->n_names
			       ? follow(w, (struct sl_compiled *)w->args->compiled)
			       : 0;
	/* Our memory is the supervisor's: it knows the first table. */
	rc = sl_maps_table_refresh(w->maps);
	if (rc)
		return rc;
	w->table = w->maps->table;
	rc = text_parse(shared->config, shared->text_fd, w->table->generation, &none, &c);
	if (!rc)
		rc = follow(w, c);
	if (rc)
		sl_compiled_free(c);
	return rc;
}
