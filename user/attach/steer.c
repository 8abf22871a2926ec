// SPDX-License-Identifier: GPL-2.0-only
#include "attach/steer.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "attach/conflict.h"
#include "attach/l4.h"
#include "attach/lock.h"
#include "attach/point.h"
#include "attach/target.h"
#include "kernel/lookup.h"
#include "kernel/netns.h"

struct sl_steer {
	const struct sl_maps *maps;
	const struct sl_compiled *compiled;
	const int *netns_fds;
	struct sl_lookup *lookups[SL_MAX_NETNS + 1]; /* by sl_listener.netns */
	int lock_fd;				     /* sl_lock_steering(), until it is on */
	bool l4;
};

static int failed(struct sl_load_error *e, int rc, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
	return rc;
}

static int netns_of(const struct sl_steer *s, const struct sl_listener *l)
{
	return l->netns ? s->netns_fds[l->netns - 1] : -1;
}

static struct sl_address address_of(const struct sl_listener *l)
{
	struct sl_address a = {.port = l->port, .family = l->family};

	memcpy(a.addr, l->addr, sizeof(a.addr));
	return a;
}

/* Who listens on @l's address, now. The list is the caller's, to free(). 0 or -errno; nobody:
 * ret->n_sockets is 0. */
static int target_of(const struct sl_steer *s, const struct sl_listener *l, struct sl_target *ret,
		     struct sl_listening **ret_all, __u32 *ret_n)
{
	const struct sl_address a = address_of(l);
	int rc = sl_listening_list(netns_of(s, l), ret_all, ret_n);

	if (!rc)
		(void)sl_target_find(*ret_all, *ret_n, &a, ret);
	return rc;
}

/* The last program that selects a socket wins: two that answer would depend on their order. */
static int check_others(const struct sl_steer *s, const struct sl_listener *l, __u64 cookie,
			struct sl_load_error *e)
{
	const struct sl_address a = address_of(l);
	struct sl_listening *all = NULL;
	char text[SL_CONFLICT_TEXT];
	struct sl_conflict other;
	struct sl_target t = {};
	__u32 n;
	int rc = target_of(s, l, &t, &all, &n);

	free(all);
	if (!rc)
		rc = sl_conflict_find(netns_of(s, l), cookie, &a, t.dual, NULL, &other);
	if (rc < 0)
		return failed(
			e, rc, "listener '%s': cannot look for other sk_lookup programs: %s%s",
			l->name, strerror(-rc), rc == -EPERM ? "; it needs CAP_SYS_ADMIN" : "");
	return rc ? failed(e, -EBUSY, "listener '%s': %s", l->name,
			   sl_conflict_text(text, &other, &a))
		  : 0;
}

/* What an L4 listener splits: the only route that it has (see validate_attach.c). */
static void set_l4(struct sl_attach_point *p, const struct sl_compiled *c, __u32 listener)
{
	const struct sl_table *t = c->table;
	const struct sl_route *r;
	__u32 i = 0;

	while (i + 1 < t->n_domains && t->domains[i].config != t->config_of[listener])
		i++;
	r = &t->routes[t->vhosts[t->domains[i].vhost].first_route];
	p->action = r->action;
	p->target = r->target;
	__sync_fetch_and_or(&p->flags, SL_A_L4);
}

/*
 * Nobody dials the socket itself. Its port is others' to have on their addresses, unless it has all
 * of them (see loopback_addr()).
 */
static int shut_port(struct sl_steer *s, int listen_fd, __u64 netns)
{
	struct sockaddr_in6 own = {};
	const struct sockaddr_in *own4 = (const void *)&own;
	socklen_t len = sizeof(own);
	struct sl_address a = {};
	int rc;

	if (getsockname(listen_fd, (struct sockaddr *)&own, &len))
		return -errno;
	a.port = ntohs(own.sin6_port); /* at the same place in sockaddr_in */
	a.family = own.sin6_family;
	if (a.family == AF_INET)
		memcpy(a.addr, &own4->sin_addr, 4);
	else
		memcpy(a.addr, &own.sin6_addr, 16);
	rc = sl_attached_set(s->maps, &a, netns, SL_ATTACH_SHUT);
	if (rc || a.family == AF_INET || !sl_address_is_any(&a))
		return rc;
	a.family = AF_INET;
	return sl_attached_set(s->maps, &a, netns, SL_ATTACH_SHUT);
}

static int prepare(struct sl_steer *s, __u32 index, int listen_fd, struct sl_load_error *e)
{
	const struct sl_listener *l = &s->compiled->listeners[index];
	struct sl_attach_point *p = &s->maps->points[index];
	const struct sl_address a = address_of(l);
	__u64 cookie;
	int rc;

	rc = sl_netns_cookie(netns_of(s, l), &cookie);
	if (rc)
		return failed(e, rc, "listener '%s': cannot enter its network namespace: %s",
			      l->name, strerror(-rc));
	sl_point_init(p, &a, cookie, l->name);
	rc = check_others(s, l, cookie, e);
	if (rc)
		return rc;
	if (l->l4) {
		set_l4(p, s->compiled, index);
		s->l4 = true;
		return 0;
	}
	rc = sl_maps_sockmap_set(s->maps->attach_socks_fd, index, listen_fd);
	if (!rc)
		rc = shut_port(s, listen_fd, cookie);
	return rc ? failed(e, rc, "listener '%s': cannot put its socket into a map: %s", l->name,
			   strerror(-rc))
		  : 0;
}

/* After check_others() of all: our own program is none of the others. */
static int attach_programs(struct sl_steer *s, struct sl_load_error *e)
{
	int rc = 0;

	for (__u32 i = 0; i < s->compiled->n_listeners && !rc; i++) {
		const struct sl_listener *l = &s->compiled->listeners[i];

		if (l->attach && !s->lookups[l->netns])
			rc = sl_lookup_attach(s->maps, netns_of(s, l), &s->lookups[l->netns], e);
	}
	return rc;
}

int sl_steer_start(const struct sl_maps *m, const struct sl_compiled *c, const int *listen_fds,
		   const int *netns_fds, struct sl_steer **ret, struct sl_load_error *reterr)
{
	struct sl_steer *s = calloc(1, sizeof(*s));
	bool any = false;
	int rc = 0;

	*ret = NULL;
	if (!s)
		return failed(reterr, -ENOMEM, "out of memory");
	s->maps = m;
	s->compiled = c;
	s->netns_fds = netns_fds;
	s->lock_fd = -1;
	for (__u32 i = 0; i < c->n_listeners && !rc; i++) {
		if (!c->listeners[i].attach)
			continue;
		if (!any)
			s->lock_fd = sl_lock_steering();
		any = true;
		rc = prepare(s, i, listen_fds[i], reterr);
	}
	if (!rc && any) {
		__sync_fetch_and_or(&m->control->flags, SL_C_ATTACH);
		rc = attach_programs(s, reterr);
	}
	if (rc || !any) {
		sl_steer_free(s);
		return rc;
	}
	sl_steer_refresh(s);
	*ret = s;
	return 0;
}

static int turn_on(struct sl_steer *s, __u32 index, void (*warn)(const char *text))
{
	const struct sl_listener *l = &s->compiled->listeners[index];
	const struct sl_address a = address_of(l);
	struct sl_listening *all = NULL;
	char text[SL_ADDRESS_MAX], line[160];
	struct sl_target t = {};
	__u32 n = 0;
	int rc = target_of(s, l, &t, &all, &n);

	if (!rc && !t.n_sockets) {
		snprintf(line, sizeof(line),
			 "nobody listens on %s now; it is attached all the same",
			 sl_address_text(text, &a));
		warn(line);
	}
	if (!rc)
		rc = sl_point_on(s->maps, index, all, n);
	free(all);
	return rc;
}

static void unlock(struct sl_steer *s)
{
	if (s->lock_fd >= 0)
		close(s->lock_fd);
	s->lock_fd = -1;
}

int sl_steer_on(struct sl_steer *s, void (*warn)(const char *text))
{
	int rc = 0;

	for (__u32 i = 0; s && i < s->compiled->n_listeners && !rc; i++)
		if (s->compiled->listeners[i].attach)
			rc = turn_on(s, i, warn);
	if (s)
		unlock(s);
	return rc;
}

bool sl_steer_has_l4(const struct sl_steer *s)
{
	return s && s->l4;
}

void sl_steer_refresh(struct sl_steer *s)
{
	if (!sl_steer_has_l4(s))
		return;
	for (__u32 i = 0; i < s->compiled->n_listeners; i++)
		if (s->compiled->listeners[i].l4)
			sl_l4_refresh(s->maps, &s->maps->points[i], s->compiled->listeners[i].netns,
				      netns_of(s, &s->compiled->listeners[i]));
}

bool sl_steer_is_on(const struct sl_steer *s)
{
	for (__u32 i = 0; s && i < s->compiled->n_listeners; i++)
		if (SL_READ(s->maps->points[i].flags) & SL_A_ON)
			return true;
	return false;
}

void sl_steer_free(struct sl_steer *s)
{
	if (!s)
		return;
	for (__u32 i = 0; i < s->compiled->n_listeners; i++)
		sl_point_off(s->maps, i);
	unlock(s);
	for (__u32 i = 0; i <= SL_MAX_NETNS; i++)
		sl_lookup_free(s->lookups[i]);
	free(s);
}
