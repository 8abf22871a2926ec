// SPDX-License-Identifier: GPL-2.0-only
#include "attach/sockets.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kernel/netns.h"

/* include/net/tcp_states.h */
#define STATE_ESTABLISHED 1
#define STATE_LISTEN 10

struct dump {
	int fd;
	void (*each)(struct dump *d, const struct inet_diag_msg *m, const struct rtattr *attrs,
		     unsigned int len);
	struct sl_listening *list;
	__u32 n, room;
	const struct sl_address *to;
	bool dual;
	int error;
};

static void address_of(struct sl_address *ret, const struct inet_diag_msg *m)
{
	memset(ret, 0, sizeof(*ret));
	ret->family = m->idiag_family;
	ret->port = ntohs(m->id.idiag_sport);
	memcpy(ret->addr, m->id.idiag_src, m->idiag_family == AF_INET6 ? 16 : 4);
	sl_address_unmap(ret);
}

static bool is_only6(const struct rtattr *a, unsigned int len)
{
	for (; RTA_OK(a, len); a = RTA_NEXT(a, len))
		if (a->rta_type == INET_DIAG_SKV6ONLY)
			return *(const __u8 *)RTA_DATA(a);
	return false;
}

static void add_listening(struct dump *d, const struct inet_diag_msg *m, const struct rtattr *attrs,
			  unsigned int len)
{
	struct sl_listening *l;

	if (d->n == d->room) {
		__u32 room = d->room ? 2 * d->room : 32;
		struct sl_listening *more = realloc(d->list, room * sizeof(*more));

		if (!more) {
			d->error = -ENOMEM;
			return;
		}
		d->list = more;
		d->room = room;
	}
	l = &d->list[d->n++];
	address_of(&l->address, m);
	l->only6 = l->address.family == AF_INET6 && is_only6(attrs, len);
	l->device = m->id.idiag_if;
	l->inode = m->idiag_inode;
	l->cookie = (__u64)m->id.idiag_cookie[1] << 32 | m->id.idiag_cookie[0];
}

static void count_established(struct dump *d, const struct inet_diag_msg *m,
			      const struct rtattr *attrs, unsigned int len)
{
	struct sl_address a;

	(void)attrs;
	(void)len;
	address_of(&a, m);
	if (a.port != d->to->port || (a.family != d->to->family && !d->dual))
		return;
	d->n += sl_address_is_any(d->to) || !memcmp(a.addr, d->to->addr, sizeof(a.addr));
}

static int request(int fd, __u8 family, __u32 states)
{
	struct {
		struct nlmsghdr nlh;
		struct inet_diag_req_v2 req;
	} msg = {
		.nlh = {.nlmsg_len = sizeof(msg),
			.nlmsg_type = SOCK_DIAG_BY_FAMILY,
			.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
		.req = {.sdiag_family = family,
			.sdiag_protocol = IPPROTO_TCP,
			.idiag_states = states},
	};
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};

	if (sendto(fd, &msg, sizeof(msg), 0, (struct sockaddr *)&kernel, sizeof(kernel)) < 0)
		return -errno;
	return 0;
}

/* One datagram of the answer. 1: there is more, 0: that was all, or -errno. */
static int take(struct dump *d)
{
	static char buf[32768] __attribute__((aligned(NLMSG_ALIGNTO)));
	ssize_t n = recv(d->fd, buf, sizeof(buf), 0);
	int len = n;

	if (n < 0)
		return errno == EINTR ? 1 : -errno;
	for (struct nlmsghdr *h = (void *)buf; NLMSG_OK(h, len); h = NLMSG_NEXT(h, len)) {
		const struct inet_diag_msg *m = NLMSG_DATA(h);

		if (h->nlmsg_type == NLMSG_DONE)
			return 0;
		if (h->nlmsg_type == NLMSG_ERROR)
			return ((const struct nlmsgerr *)NLMSG_DATA(h))->error ?: -EIO;
		if (h->nlmsg_type == SOCK_DIAG_BY_FAMILY)
			d->each(d, m, (const struct rtattr *)(m + 1),
				h->nlmsg_len - NLMSG_LENGTH(sizeof(*m)));
	}
	return 1;
}

static int dump(int netns, struct dump *d, __u32 states)
{
	const __u8 families[] = {AF_INET, AF_INET6};
	int rc = 0;

	d->fd = sl_netns_socket(netns, AF_NETLINK, SOCK_RAW, NETLINK_SOCK_DIAG);
	if (d->fd < 0)
		return d->fd;
	for (size_t i = 0; i < sizeof(families) && !rc; i++) {
		rc = request(d->fd, families[i], states);
		if (rc)
			break;
		do
			rc = take(d);
		while (rc > 0);
	}
	close(d->fd);
	return rc ? rc : d->error;
}

static int by_port(const void *a, const void *b)
{
	const struct sl_listening *x = a, *y = b;

	if (x->address.port != y->address.port)
		return x->address.port - y->address.port;
	if (x->address.family != y->address.family)
		return x->address.family - y->address.family;
	return memcmp(x->address.addr, y->address.addr, sizeof(x->address.addr));
}

int sl_listening_list(int netns, struct sl_listening **ret, __u32 *ret_n)
{
	struct dump d = {.each = add_listening};
	int rc = dump(netns, &d, 1 << STATE_LISTEN);

	if (rc) {
		free(d.list);
		return rc;
	}
	if (d.n)
		qsort(d.list, d.n, sizeof(*d.list), by_port);
	*ret = d.list;
	*ret_n = d.n;
	return 0;
}

int sl_established_count(int netns, const struct sl_address *a, bool dual)
{
	struct dump d = {.each = count_established, .to = a, .dual = dual};
	int rc = dump(netns, &d, 1 << STATE_ESTABLISHED);

	return rc ? rc : (int)d.n;
}
