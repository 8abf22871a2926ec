// SPDX-License-Identifier: GPL-2.0-only
#include "kernel/lookup.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "attach.skel.h"
#include "kernel/netns.h"

struct sl_lookup {
	struct attach_bpf *skel;
	struct bpf_link *link;
};

static int failed(struct sl_load_error *e, int rc, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
	return rc;
}

/* The program works on the instance's maps: those of this object are never made. */
static int share_maps(struct attach_bpf *skel, const struct sl_maps *m)
{
	const struct {
		struct bpf_map *map;
		int fd;
	} maps[] = {
#define X(name) {skel->maps.name, m->name##_fd},
		SL_MAPS (X)
#undef X
	};

	for (size_t i = 0; i < sizeof(maps) / sizeof(maps[0]); i++) {
		int rc = bpf_map__reuse_fd(maps[i].map, maps[i].fd);

		if (rc)
			return rc;
	}
	return 0;
}

/* A descriptor of our own namespace, or a copy of @netns. */
static int netns_fd(int netns)
{
	int fd = netns < 0 ? open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC)
			   : fcntl(netns, F_DUPFD_CLOEXEC, 0);

	return fd < 0 ? -errno : fd;
}

int sl_lookup_attach(const struct sl_maps *m, int netns, struct sl_lookup **ret,
		     struct sl_load_error *reterr)
{
	struct sl_lookup *l = calloc(1, sizeof(*l));
	__u64 cookie;
	int rc, fd = -1;

	if (!l)
		return failed(reterr, -ENOMEM, "out of memory");
	rc = sl_netns_cookie(netns, &cookie);
	if (rc) {
		failed(reterr, rc, "cannot enter the network namespace: %s", strerror(-rc));
		goto fail;
	}
	rc = -ENOMEM;
	l->skel = attach_bpf__open();
	if (l->skel) {
		l->skel->rodata->own_netns = cookie;
		rc = share_maps(l->skel, m);
	}
	if (!rc)
		rc = attach_bpf__load(l->skel);
	if (rc) {
		failed(reterr, rc, "the kernel refused the sk_lookup program: %s", strerror(-rc));
		goto fail;
	}
	fd = netns_fd(netns);
	rc = fd < 0 ? fd : 0;
	if (!rc) {
		l->link = bpf_program__attach_netns(l->skel->progs.attach, fd);
		rc = l->link ? 0 : -errno;
	}
	if (rc) {
		failed(reterr, rc, "cannot attach the sk_lookup program: %s", strerror(-rc));
		goto fail;
	}
	close(fd);
	*ret = l;
	return 0;
fail:
	if (fd >= 0)
		close(fd);
	sl_lookup_free(l);
	return rc;
}

void sl_lookup_free(struct sl_lookup *l)
{
	if (!l)
		return;
	bpf_link__destroy(l->link);
	attach_bpf__destroy(l->skel);
	free(l);
}

/* A SYN from a neighbour of the address itself. */
static void example(struct bpf_sk_lookup *ctx, const struct sl_address *a)
{
	memset(ctx, 0, sizeof(*ctx));
	ctx->family = a->family;
	ctx->protocol = IPPROTO_TCP;
	ctx->remote_port = htons(49152);
	ctx->local_port = a->port;
	if (a->family == AF_INET) {
		memcpy(&ctx->local_ip4, a->addr, 4);
		ctx->remote_ip4 = ctx->local_ip4;
	} else {
		memcpy(ctx->local_ip6, a->addr, 16);
		memcpy(ctx->remote_ip6, a->addr, 16);
	}
}

/*
 * Whether the program @fd selects a socket for the address, or drops (bpf_prog_test_run_sk_lookup()
 * tells the cookie of the socket). One that cannot be run is taken to answer.
 */
static bool answers(int fd, const struct sl_address *a)
{
	struct bpf_sk_lookup ctx;
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = &ctx, .ctx_size_in = sizeof(ctx),
		    .ctx_out = &ctx, .ctx_size_out = sizeof(ctx));

	example(&ctx, a);
	if (bpf_prog_test_run_opts(fd, &opts))
		return true;
	return opts.retval != SK_PASS || ctx.cookie;
}

static bool is_own(const struct sl_lookup_ask *ask, const __u32 *maps, __u32 n)
{
	for (__u32 i = 0; i < n; i++)
		for (__u32 k = 0; k < ask->n_own; k++)
			if (maps[i] == ask->own_maps[k])
				return true;
	return false;
}

/* 1: it decides over one of the addresses, 0: over none, or it is gone; or -errno. */
static int look_at(const struct sl_lookup_ask *ask, __u32 id, struct sl_lookup_program *ret)
{
	__u32 maps[64] = {}, len = sizeof(struct bpf_prog_info), n = 0;
	struct bpf_prog_info info = {.map_ids = (__u64)(unsigned long)maps,
				     .nr_map_ids = sizeof(maps) / sizeof(*maps)};
	int rc = 0, fd = bpf_prog_get_fd_by_id(id);

	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	*ret = (struct sl_lookup_program){.id = id};
	if (!bpf_obj_get_info_by_fd(fd, &info, &len)) {
		memcpy(ret->name, info.name, sizeof(ret->name) - 1);
		n = info.nr_map_ids;
	}
	if (!is_own(ask, maps, n < 64 ? n : 64))
		for (__u32 i = 0; i < ask->n_addresses && !rc; i++)
			rc = answers(fd, &ask->addresses[i]);
	close(fd);
	return rc;
}

int sl_lookup_answers(int netns, const struct sl_lookup_ask *ask, struct sl_lookup_program *ret)
{
	__u32 ids[SL_LOOKUP_PROGRAMS], n = SL_LOOKUP_PROGRAMS;
	int back, rc, fd = netns_fd(netns);

	if (fd < 0)
		return fd;
	rc = bpf_prog_query(fd, BPF_SK_LOOKUP, 0, NULL, ids, &n);
	close(fd);
	if (rc)
		return rc;
	/* A test run takes place in the caller's namespace. */
	rc = sl_netns_enter(netns, &back);
	if (rc)
		return rc;
	for (__u32 i = 0; i < n && !rc; i++)
		rc = look_at(ask, ids[i], ret);
	sl_netns_leave(back);
	return rc;
}
