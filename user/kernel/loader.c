// SPDX-License-Identifier: GPL-2.0-only
#include "loader.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "balance/balance.h"
#include "kernel/maps.h"
#include "sluice.skel.h"

#define LOG_MAX (1 << 16)
#define ROUTES_AT_LEAST 2048

struct sl_loader {
	struct sluice_bpf *skel;
	struct bpf_link *capture;
	struct bpf_link *landed; /* NULL: this kernel has no such tracepoint */
	struct bpf_link *unsent;
	char instance[64];
	__u32 n_cpu_pools; /* see sl_pool.h */
};

static int failed(struct sl_load_error *e, int rc, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
	return rc;
}

static int be_silent(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	(void)level;
	(void)fmt;
	(void)ap;
	return 0;
}

void sl_pin_path(char *buf, const char *instance, const char *name)
{
	if (name)
		snprintf(buf, PATH_MAX, SL_PIN_ROOT "/%s/%s", instance, name);
	else
		snprintf(buf, PATH_MAX, SL_PIN_ROOT "/%s", instance);
}

int sl_loader_clean(const char *instance)
{
	char path[PATH_MAX];
	struct dirent *d;
	DIR *dir;

	sl_pin_path(path, instance, NULL);
	dir = opendir(path);
	if (!dir)
		return errno == ENOENT ? 0 : -errno;
	while ((d = readdir(dir)))
		if (d->d_name[0] != '.')
			(void)unlinkat(dirfd(dir), d->d_name, 0);
	closedir(dir);
	if (rmdir(path) && errno != ENOENT)
		return -errno;
	(void)rmdir(SL_PIN_ROOT); /* fails while other instances live */
	return 0;
}

/* Whoever can open a pinned sockmap can put a socket of his own into it: root only. */
static int make_pin_dir(const char *instance)
{
	char path[PATH_MAX];

	if (mkdir(SL_PIN_ROOT, 0700) && errno != EEXIST)
		return -errno;
	sl_pin_path(path, instance, NULL);
	if (mkdir(path, 0700) && errno != EEXIST)
		return -errno;
	return 0;
}

static int pin_maps(struct sl_loader *l)
{
	const struct {
		struct bpf_map *map;
		const char *name;
	} pins[] = {
#define X(name) {l->skel->maps.name, #name},
		SL_MAPS (X)
#undef X
	};
	char path[PATH_MAX];

	for (size_t i = 0; i < sizeof(pins) / sizeof(pins[0]); i++) {
		int rc;

		sl_pin_path(path, l->instance, pins[i].name);
		rc = bpf_map__pin(pins[i].map, path);
		if (rc)
			return rc;
	}
	return 0;
}

/* Tells the verifier's last words, or what is missing, in one line. */
static int load_failed(struct sl_load_error *e, int rc)
{
	struct utsname u;

	if (rc == -EPERM)
		return failed(e, rc,
			      "loading BPF programs needs CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON "
			      "(run as root)");
	if (uname(&u))
		u.release[0] = '\0';
	return failed(e, rc, "the kernel (%s) refused the BPF programs: %s", u.release,
		      strerror(-rc));
}

/* As many as CPUs, which are numbered without gaps nearly everywhere: see sl_pool.h. */
static __u32 cpu_pools(void)
{
	int n = get_nprocs();

	return n < 1 ? 1 : n < SL_MAX_CPU_POOLS ? n : SL_MAX_CPU_POOLS;
}

/*
 * Counters of routes are large, so their maps are sized by the config: twice what it has, for what
 * a reload may bring.
 */
static int size_maps(struct sl_loader *l, const struct sl_table *t, __u32 n_threads)
{
	__u32 room = ROUTES_AT_LEAST;
	int rc;

	while (room < SL_MAX_ROUTES && room < 2 * t->n_routes)
		room *= 2;
	rc = bpf_map__set_max_entries(l->skel->maps.routes, room);
	if (!rc)
		rc = bpf_map__set_max_entries(l->skel->maps.pools,
					      (l->n_cpu_pools + n_threads - 1) * SL_MAX_ENDPOINTS);
	return rc ? rc : bpf_map__set_max_entries(l->skel->maps.route_stats, room * SL_STAT_SHARDS);
}

static int fill_array(struct bpf_map *map, const void *values, size_t size, __u32 n)
{
	for (__u32 i = 0; i < n; i++) {
		int rc = bpf_map_update_elem(bpf_map__fd(map), &i, (const char *)values + i * size,
					     BPF_ANY);

		if (rc)
			return rc;
	}
	return 0;
}

/*
 * Where nothing is steered into a socket, `landed` has nothing to tell, and it would run for every
 * one of the host. Linux 6.3 has the tracepoint sk_data_ready. The object looks for it, since it
 * keeps for its load what it has parsed of the kernel's BTF, which is long.
 */
static bool wants_landed(const struct sl_loader *l, const struct sl_options *o)
{
	return o->kernel_path && (o->colocated_clients || o->colocated_servers) &&
	       !bpf_program__set_attach_target(l->skel->progs.landed, 0, "sk_data_ready");
}

/* The tracepoint says what the memory is for, since Linux 4.19. */
static bool wants_unsent(const struct sl_loader *l, const struct sl_options *o)
{
	return o->kernel_path && (o->colocated_clients || o->colocated_servers) &&
	       !bpf_program__set_attach_target(l->skel->progs.unsent, 0, "sock_exceed_buf_limit");
}

static __u32 control_flags(const struct sl_loader *l, const struct sl_options *o)
{
	__u32 flags = 0;

	if (bpf_program__autoload(l->skel->progs.landed))
		flags |= SL_C_LANDED;

	if (!o->kernel_path)
		return SL_C_BYPASS;
	if (o->colocated_clients)
		flags |= SL_C_COLOCATED_CLIENTS | SL_C_CANNED;
	if (o->colocated_servers)
		flags |= SL_C_COLOCATED_SERVERS;
	return flags;
}

/* Who is picked at first; the worker changes it. */
static int fill_views(struct sl_loader *l, struct sl_compiled *c)
{
	struct sl_lb_slot *slots = NULL;
	__u32 n = 0;
	int rc = sl_lb_first(c, &slots, &n);

	if (!rc)
		rc = fill_array(l->skel->maps.lb_slots, slots, sizeof(*slots), n);
	free(slots);
	return rc;
}

static int fill_tables(struct sl_loader *l, struct sl_compiled *c, __u32 n_threads)
{
	const struct sl_table *t = c->table;
	int rc;

	rc = sl_maps_format(bpf_map__fd(l->skel->maps.control), bpf_map__fd(l->skel->maps.sessions),
			    bpf_map__fd(l->skel->maps.lanes), control_flags(l, &c->options),
			    n_threads, l->n_cpu_pools);
	if (!rc)
		rc = fill_views(l, c);
	if (!rc)
		rc = fill_array(l->skel->maps.clusters, c->clusters, sizeof(*c->clusters),
				t->n_clusters);
	if (!rc)
		rc = fill_array(l->skel->maps.endpoints, c->endpoints, sizeof(*c->endpoints),
				t->n_endpoints);
	for (__u32 i = 0; i < c->n_pipes && !rc; i++)
		rc = bpf_map_update_elem(bpf_map__fd(l->skel->maps.pipes), &c->pipes[i].key,
					 &c->pipes[i], BPF_ANY);
	if (!rc)
		rc = fill_array(l->skel->maps.routes, c->route_infos, sizeof(*c->route_infos),
				t->n_routes);
	if (!rc)
		rc = fill_array(l->skel->maps.splits, c->splits, sizeof(*c->splits), t->n_splits);
	for (__u32 i = 0; i < SL_STAT_SHARDS && !rc; i++) {
		struct sl_generation g = {.generation = t->generation};
		__u32 key = sl_generation_key(t->generation, i);

		rc = bpf_map_update_elem(bpf_map__fd(l->skel->maps.generations), &key, &g, BPF_ANY);
	}
	return rc ? rc : sl_table_publish(bpf_map__fd(l->skel->maps.tables), t);
}

/* Programs of a sockmap: copied into each socket as it is inserted. */
static int attach_sockmaps(struct sl_loader *l)
{
	struct sluice_bpf *s = l->skel;
	const struct {
		struct bpf_map *map;
		struct bpf_program *prog;
		enum bpf_attach_type type;
	} a[] = {
		{s->maps.clients, s->progs.client_msg, BPF_SK_MSG_VERDICT},
		{s->maps.clients, s->progs.pass_skb, BPF_SK_SKB_VERDICT},
		{s->maps.servers, s->progs.server_msg, BPF_SK_MSG_VERDICT},
		{s->maps.servers, s->progs.pass_skb, BPF_SK_SKB_VERDICT},
		{s->maps.backs_msg, s->progs.back_msg, BPF_SK_MSG_VERDICT},
	};

	for (size_t i = 0; i < sizeof(a) / sizeof(a[0]); i++) {
		int rc = bpf_prog_attach(bpf_program__fd(a[i].prog), bpf_map__fd(a[i].map),
					 a[i].type, 0);

		if (rc)
			return rc;
	}
	return 0;
}

int sl_loader_load(const char *instance, struct sl_compiled *c, __u32 n_threads,
		   struct sl_loader **ret, struct sl_load_error *reterr)
{
	struct sl_loader *l = calloc(1, sizeof(*l));
	int rc;

	if (!l)
		return failed(reterr, -ENOMEM, "out of memory");
	snprintf(l->instance, sizeof(l->instance), "%s", instance);
	if (!getenv("SLUICE_BPF_LOG"))
		libbpf_set_print(be_silent);
	l->n_cpu_pools = cpu_pools();
	l->skel = sluice_bpf__open();
	if (!l->skel) {
		rc = failed(reterr, -errno, "cannot open the BPF object: %s", strerror(errno));
		goto out;
	}
	rc = bpf_program__set_autoload(l->skel->progs.landed, wants_landed(l, &c->options));
	if (!rc)
		rc = bpf_program__set_autoload(l->skel->progs.unsent, wants_unsent(l, &c->options));
	if (!rc)
		rc = size_maps(l, c->table, n_threads);
	if (!rc)
		rc = sluice_bpf__load(l->skel);
	if (rc) {
		load_failed(reterr, rc);
		goto out;
	}
	rc = make_pin_dir(instance);
	if (!rc)
		rc = pin_maps(l);
	if (rc) {
		failed(reterr, rc, "cannot pin maps under " SL_PIN_ROOT "/%s: %s", instance,
		       strerror(-rc));
		goto out;
	}
	rc = fill_tables(l, c, n_threads);
	if (rc) {
		failed(reterr, rc, "cannot fill the maps: %s", strerror(-rc));
		goto out;
	}
	rc = attach_sockmaps(l);
	if (rc) {
		failed(reterr, rc, "cannot attach programs to the sockmaps: %s", strerror(-rc));
		goto out;
	}
	*ret = l;
	return 0;
out:
	sl_loader_unload(l);
	return rc;
}

/* Pins @link, so that it outlives us until it is cleaned. @link NULL: errno says why. */
static int link_keep(struct sl_loader *l, struct bpf_link *link, const char *name,
		     struct sl_load_error *reterr)
{
	char path[PATH_MAX];
	int rc;

	if (!link)
		return failed(reterr, -errno, "cannot attach %s: %s", name, strerror(errno));
	sl_pin_path(path, l->instance, name);
	rc = bpf_link__pin(link, path);
	if (rc)
		failed(reterr, rc, "cannot pin %s: %s", path, strerror(-rc));
	return rc;
}

int sl_loader_attach(struct sl_loader *l, int cgroup_fd, struct sl_load_error *reterr)
{
	int rc = 0;

	if (bpf_program__autoload(l->skel->progs.landed)) {
		l->landed = bpf_program__attach(l->skel->progs.landed);
		rc = link_keep(l, l->landed, "link_landed", reterr);
	}
	if (!rc && bpf_program__autoload(l->skel->progs.unsent)) {
		l->unsent = bpf_program__attach(l->skel->progs.unsent);
		rc = link_keep(l, l->unsent, "link_unsent", reterr);
	}
	if (rc)
		return rc;
	l->capture = bpf_program__attach_cgroup(l->skel->progs.capture, cgroup_fd);
	return link_keep(l, l->capture, "link_capture", reterr);
}

void sl_loader_unload(struct sl_loader *l)
{
	if (!l)
		return;
	bpf_link__destroy(l->capture);
	bpf_link__destroy(l->landed);
	bpf_link__destroy(l->unsent);
	sl_loader_clean(l->instance);
	sluice_bpf__destroy(l->skel);
	free(l);
}
