// SPDX-License-Identifier: GPL-2.0-only
#include "dns/resolver.h"

#include <ares.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#define RESOLV_CONF "/etc/resolv.conf"
#define AT_ONCE 100 /* names asked for at a time; more wait */

/* One c-ares channel for each way of asking. */
struct channel {
	struct channel *next;
	struct sl_dns *dns;
	__u32 index;
	ares_channel ares;
	struct sl_dns_resolver how;
	struct timespec conf; /* resolv.conf's mtime as it was read */
	__u32 n_asks;	      /* under way */
	bool refused;	      /* a server is not there: maybe it is another now */
};

/* The addresses of one family. */
struct part {
	enum sl_dns_status status;
	const char *why;
	struct sl_dns_address *addresses;
	__u32 n;
	__u32 ttl_s;
};

struct ask {
	struct ask *next;
	struct channel *channel;
	enum sl_dns_family family;
	void (*fn)(void *ctx, const struct sl_dns_answer *a);
	void *ctx;
	int pending; /* answers to come */
	struct part v4;
	struct part v6;
	char host[];
};

struct sl_dns {
	int epoll_fd;
	struct channel *channels;
	struct ask *waiting;
	struct ask **waiting_end;
	__u32 n_asks;
	bool busy; /* within c-ares: channels must stay */
	bool dying;
};

/* ---- channels ---- */

static void on_socket(void *data, ares_socket_t fd, int readable, int writable)
{
	struct channel *c = data;
	struct epoll_event e = {.data.u64 = (__u64)c->index << 32 | (__u32)fd};

	if (readable)
		e.events |= EPOLLIN;
	if (writable)
		e.events |= EPOLLOUT;
	if (!e.events)
		(void)epoll_ctl(c->dns->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
	else if (epoll_ctl(c->dns->epoll_fd, EPOLL_CTL_MOD, fd, &e) && errno == ENOENT)
		(void)epoll_ctl(c->dns->epoll_fd, EPOLL_CTL_ADD, fd, &e);
}

static struct timespec conf_time(void)
{
	struct stat st;

	return stat(RESOLV_CONF, &st) ? (struct timespec){0} : st.st_mtim;
}

static int channel_open(struct channel *c)
{
	struct ares_options o = {.sock_state_cb = on_socket, .sock_state_cb_data = c};
	int mask = ARES_OPT_SOCK_STATE_CB;

	if (c->how.tcp || c->how.no_search) {
		o.flags = (c->how.tcp ? ARES_FLAG_USEVC : 0) |
			  (c->how.no_search ? ARES_FLAG_NOSEARCH : 0);
		mask |= ARES_OPT_FLAGS;
	}
	if (c->how.timeout_ms) {
		o.timeout = c->how.timeout_ms;
		mask |= ARES_OPT_TIMEOUTMS;
	}
	if (c->how.tries) {
		o.tries = c->how.tries;
		mask |= ARES_OPT_TRIES;
	}
	if (c->how.rotate)
		mask |= ARES_OPT_ROTATE;
	c->conf = conf_time();
	c->refused = false;
	if (ares_init_options(&c->ares, &o, mask))
		return -ENOMEM;
	if (c->how.servers && ares_set_servers_ports_csv(c->ares, c->how.servers)) {
		ares_destroy(c->ares);
		c->ares = NULL;
		return -EINVAL;
	}
	return 0;
}

/* resolv.conf has changed, or its servers refuse. */
static bool channel_is_old(const struct channel *c)
{
	struct timespec now = conf_time();

	return c->refused || now.tv_sec != c->conf.tv_sec || now.tv_nsec != c->conf.tv_nsec;
}

static int channel_find(struct sl_dns *d, const struct sl_dns_resolver *how, struct channel **ret)
{
	struct channel *c = d->channels;

	while (c && !sl_dns_resolver_equal(&c->how, how))
		c = c->next;
	*ret = c;
	if (c)
		return 0;
	c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	c->dns = d;
	c->index = d->channels ? d->channels->index + 1 : 0;
	c->how = *how;
	if (how->servers && !(c->how.servers = strdup(how->servers))) {
		free(c);
		return -ENOMEM;
	}
	c->next = d->channels;
	d->channels = c;
	*ret = c;
	return 0;
}

/* ---- answers ---- */

/* Whether this host has an IPv6 address besides ::1 and those of a link. */
static bool host_has_ipv6(void)
{
	struct ifaddrs *all = NULL;
	bool has = false;

	if (getifaddrs(&all))
		return true;
	for (const struct ifaddrs *i = all; i; i = i->ifa_next) {
		const struct sockaddr_in6 *a = (const struct sockaddr_in6 *)i->ifa_addr;

		if (!a || a->sin6_family != AF_INET6 || (i->ifa_flags & IFF_LOOPBACK))
			continue;
		has |= !IN6_IS_ADDR_LINKLOCAL(&a->sin6_addr);
	}
	freeifaddrs(all);
	return has;
}

static void answer_from(struct sl_dns_answer *a, const struct part *p)
{
	*a = (struct sl_dns_answer){.status = p->status,
				    .why = p->why,
				    .addresses = p->addresses,
				    .n = p->n,
				    .ttl_s = p->ttl_s};
}

/* The first that was found; else what went wrong, if anything did. */
static void answer_choose(struct sl_dns_answer *a, const struct part *first,
			  const struct part *second)
{
	if (first->status == SL_DNS_FOUND || second->status == SL_DNS_UNKNOWN)
		answer_from(a, first);
	else if (second->status == SL_DNS_FOUND || first->status == SL_DNS_NONE)
		answer_from(a, second);
	else
		answer_from(a, first);
}

/* Both, one behind the other, in @all (room for both). */
static void answer_join(struct sl_dns_answer *a, const struct part *x, const struct part *y,
			struct sl_dns_address *all)
{
	memcpy(all, x->addresses, x->n * sizeof(*all));
	memcpy(all + x->n, y->addresses, y->n * sizeof(*all));
	*a = (struct sl_dns_answer){
		.status = SL_DNS_FOUND,
		.addresses = all,
		.n = x->n + y->n,
		.ttl_s = x->ttl_s < y->ttl_s ? x->ttl_s : y->ttl_s,
	};
}

static void ask_free(struct ask *k)
{
	free(k->v4.addresses);
	free(k->v6.addresses);
	free(k);
}

static void ask_done(struct ask *k)
{
	struct sl_dns_address *all = calloc(k->v4.n + k->v6.n + 1, sizeof(*all));
	const struct part *v4 = &k->v4, *v6 = &k->v6;
	struct sl_dns_answer a;

	if (all && k->family == SL_DNS_ALL && v4->status == SL_DNS_FOUND &&
	    v6->status == SL_DNS_FOUND)
		answer_join(&a, v4, v6, all);
	else if (k->family == SL_DNS_V6_ONLY || (k->family == SL_DNS_AUTO && host_has_ipv6()))
		answer_choose(&a, v6, v4);
	else
		answer_choose(&a, v4, v6);
	if (k->family == SL_DNS_ALL && a.status == SL_DNS_FOUND) {
		if (v4->status == SL_DNS_FAILED)
			a.failed_family = AF_INET;
		if (v6->status == SL_DNS_FAILED)
			a.failed_family = AF_INET6;
	}
	k->channel->n_asks--;
	k->channel->dns->n_asks--;
	k->fn(k->ctx, &a);
	free(all);
	ask_free(k);
}

static void part_fill(struct part *p, const struct ares_addrinfo *info)
{
	__u32 n = 0;

	for (const struct ares_addrinfo_node *i = info->nodes; i; i = i->ai_next)
		n++;
	p->addresses = calloc(n + 1, sizeof(*p->addresses));
	if (!p->addresses)
		return;
	for (const struct ares_addrinfo_node *i = info->nodes; i; i = i->ai_next) {
		struct sl_dns_address *a = &p->addresses[p->n++];

		a->family = i->ai_family;
		if (i->ai_family == AF_INET)
			memcpy(a->addr, &((struct sockaddr_in *)i->ai_addr)->sin_addr, 4);
		else
			memcpy(a->addr, &((struct sockaddr_in6 *)i->ai_addr)->sin6_addr, 16);
		if (p->n == 1 || (__u32)i->ai_ttl < p->ttl_s)
			p->ttl_s = i->ai_ttl > 0 ? i->ai_ttl : 0;
	}
	/* An alias may be another's sooner than the address is. */
	for (const struct ares_addrinfo_cname *c = info->cnames; c; c = c->next)
		if (c->ttl > 0 && (__u32)c->ttl < p->ttl_s)
			p->ttl_s = c->ttl;
}

static void answered(struct ask *k, struct part *p, int status, struct ares_addrinfo *info)
{
	bool dying = k->channel->dns->dying;

	if (status == ARES_SUCCESS && info)
		part_fill(p, info);
	ares_freeaddrinfo(info);
	k->channel->refused |= status == ARES_ECONNREFUSED;
	p->status = SL_DNS_FAILED;
	p->why = ares_strerror(status);
	if (p->n)
		p->status = SL_DNS_FOUND;
	/*
	 * An answer without addresses is one, NXDOMAIN too (AddrInfoPendingResolution::
	 * isResponseWithNoRecords() in Envoy's dns_impl.cc): a STRICT_DNS
	 * cluster has no endpoint of that name then (strict_dns_cluster.cc).
	 */
	else if (status == ARES_SUCCESS || status == ARES_ENODATA || status == ARES_ENOTFOUND)
		p->status = SL_DNS_NONE;
	if (--k->pending)
		return;
	if (dying)
		ask_free(k);
	else
		ask_done(k);
}

static void on_v4(void *data, int status, int timeouts, struct ares_addrinfo *info)
{
	struct ask *k = data;

	(void)timeouts;
	answered(k, &k->v4, status, info);
}

static void on_v6(void *data, int status, int timeouts, struct ares_addrinfo *info)
{
	struct ask *k = data;

	(void)timeouts;
	answered(k, &k->v6, status, info);
}

/* ---- questions ---- */

static void cannot(struct ask *k)
{
	k->v4 = (struct part){.status = SL_DNS_FAILED, .why = "c-ares cannot start"};
	k->v6 = (struct part){0};
	ask_done(k);
}

static void ask_start(struct ask *k)
{
	const struct ares_addrinfo_hints v4 = {.ai_family = AF_INET, .ai_flags = ARES_AI_NOSORT};
	const struct ares_addrinfo_hints v6 = {.ai_family = AF_INET6, .ai_flags = ARES_AI_NOSORT};
	enum sl_dns_family family = k->family;
	struct channel *c = k->channel;

	if (c->ares && !c->n_asks && channel_is_old(c)) {
		ares_destroy(c->ares);
		c->ares = NULL;
	}
	c->n_asks++;
	c->dns->n_asks++;
	if (!c->ares && channel_open(c)) {
		cannot(k);
		return;
	}
	/* The last answer ends @k. */
	k->pending = family == SL_DNS_V4_ONLY || family == SL_DNS_V6_ONLY ? 1 : 2;
	if (family != SL_DNS_V6_ONLY)
		ares_getaddrinfo(c->ares, k->host, NULL, &v4, on_v4, k);
	if (family != SL_DNS_V4_ONLY)
		ares_getaddrinfo(c->ares, k->host, NULL, &v6, on_v6, k);
}

static void start_waiting(struct sl_dns *d)
{
	if (d->busy)
		return;
	d->busy = true;
	while (d->waiting && d->n_asks < AT_ONCE) {
		struct ask *k = d->waiting;

		d->waiting = k->next;
		if (!d->waiting)
			d->waiting_end = &d->waiting;
		ask_start(k);
	}
	d->busy = false;
}

int sl_dns_ask(struct sl_dns *d, const struct sl_dns_resolver *how, const char *host,
	       enum sl_dns_family family, void (*fn)(void *ctx, const struct sl_dns_answer *a),
	       void *ctx)
{
	struct ask *k = calloc(1, sizeof(*k) + strlen(host) + 1);
	int err = k ? channel_find(d, how, &k->channel) : -ENOMEM;

	if (err) {
		free(k);
		return err;
	}
	strcpy(k->host, host);
	k->family = family;
	k->fn = fn;
	k->ctx = ctx;
	*d->waiting_end = k;
	d->waiting_end = &k->next;
	start_waiting(d);
	return 0;
}

/* ---- the loop ---- */

int sl_dns_fd(const struct sl_dns *d)
{
	return d->epoll_fd;
}

int sl_dns_timeout_ms(const struct sl_dns *d, int most)
{
	for (const struct channel *c = d->channels; c; c = c->next) {
		struct timeval tv;
		int ms;

		if (!c->n_asks || !ares_timeout(c->ares, NULL, &tv))
			continue;
		ms = tv.tv_sec >= 1000 ? 1000000 : tv.tv_sec * 1000 + tv.tv_usec / 1000 + 1;
		most = ms < most ? ms : most;
	}
	return most;
}

/* An event tells fd and channel: the channel is where the fd is known. */
static void process(struct sl_dns *d, const struct epoll_event *e)
{
	ares_socket_t fd = (__u32)e->data.u64;

	for (struct channel *c = d->channels; c; c = c->next)
		if (c->ares && c->index == e->data.u64 >> 32)
			ares_process_fd(c->ares, e->events & ~EPOLLOUT ? fd : ARES_SOCKET_BAD,
					e->events & EPOLLOUT ? fd : ARES_SOCKET_BAD);
}

void sl_dns_process(struct sl_dns *d)
{
	struct epoll_event events[64];
	int n = epoll_wait(d->epoll_fd, events, 64, 0);

	d->busy = true;
	for (int i = 0; i < n; i++)
		process(d, &events[i]);
	/* Timeouts. */
	for (struct channel *c = d->channels; c; c = c->next)
		if (c->ares)
			ares_process_fd(c->ares, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	d->busy = false;
	start_waiting(d);
}

int sl_dns_new(struct sl_dns **ret)
{
	struct sl_dns *d = calloc(1, sizeof(*d));
	int err;

	if (!d)
		return -ENOMEM;
	d->waiting_end = &d->waiting;
	d->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (d->epoll_fd < 0 || ares_library_init(ARES_LIB_INIT_ALL)) {
		err = d->epoll_fd < 0 ? -errno : -ENOMEM;
		if (d->epoll_fd >= 0)
			close(d->epoll_fd);
		free(d);
		return err;
	}
	*ret = d;
	return 0;
}

void sl_dns_free(struct sl_dns *d)
{
	if (!d)
		return;
	d->dying = true;
	while (d->channels) {
		struct channel *c = d->channels;

		d->channels = c->next;
		if (c->ares)
			ares_destroy(c->ares);
		free(c->how.servers);
		free(c);
	}
	while (d->waiting) {
		struct ask *k = d->waiting;

		d->waiting = k->next;
		ask_free(k);
	}
	close(d->epoll_fd);
	free(d);
	ares_library_cleanup();
}
