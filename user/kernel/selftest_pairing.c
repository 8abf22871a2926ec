// SPDX-License-Identifier: GPL-2.0-only
/*
 * The real capture program and the real tables: are both ends of a connection on this host
 * found, and are the notes about them true? No byte is sent, so no exchange begins.
 */
#include "kernel/selftest.h"

#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "kernel/selftest_net.h"
#include "sl_stack.h"

struct pairing {
	const struct sl_maps *m;
	char *why; /* [SL_WHY_MAX] */
	int family;
	int listener;
	int active;
	int passive;
};

static int bad(struct pairing *p, const char *fmt, ...)
{
	int n = snprintf(p->why, SL_WHY_MAX,
			 "far-end pairing over %s: ", p->family == AF_INET6 ? "IPv6" : "IPv4");
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(p->why + n, SL_WHY_MAX - n, fmt, ap);
	va_end(ap);
	return -EPROTO;
}

/* A socket's write_seq or rcv_nxt (@queue), asked of TCP itself. The socket must be quiet. */
static int tcp_seq(int fd, int queue, __u32 *ret)
{
	const int on = TCP_REPAIR_ON, off = TCP_REPAIR_OFF_NO_WP;
	socklen_t len = sizeof(*ret);
	int rc = 0;

	if (setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &on, sizeof(on)))
		return -errno;
	if (setsockopt(fd, IPPROTO_TCP, TCP_REPAIR_QUEUE, &queue, sizeof(queue)) ||
	    getsockopt(fd, IPPROTO_TCP, TCP_QUEUE_SEQ, ret, &len))
		rc = -errno;
	if (setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &off, sizeof(off)) && !rc)
		rc = -errno;
	return rc;
}

/* Whether BPF noted for the application's socket @fd where TCP stands. */
static int check_bases(struct pairing *p, int fd, __u32 ws0, __u32 rn0)
{
	__u32 write_seq, rcv_nxt;
	int rc;

	rc = tcp_seq(fd, TCP_SEND_QUEUE, &write_seq);
	if (!rc)
		rc = tcp_seq(fd, TCP_RECV_QUEUE, &rcv_nxt);
	if (rc)
		return rc;
	if (ws0 != write_seq || rn0 != rcv_nxt)
		return bad(p, "noted were write_seq %u and rcv_nxt %u, TCP stands at %u and %u",
			   ws0, rn0, write_seq, rcv_nxt);
	return 0;
}

static int address(struct pairing *p, struct sl_addr *ret)
{
	struct sockaddr_storage ss;
	const struct sockaddr_in6 *in6 = (void *)&ss;
	const struct sockaddr_in *in = (void *)&ss;
	struct sl_address a = {.family = p->family};
	socklen_t len;
	int rc = st_address(p->listener, &ss, &len);

	if (rc)
		return rc;
	a.port = ntohs(in->sin_port);
	if (p->family == AF_INET6)
		memcpy(a.addr, &in6->sin6_addr, 16);
	else
		memcpy(a.addr, &in->sin_addr, 4);
	sl_local_addr(ret, &a, p->m->control->netns);
	return 0;
}

/* Both ends of p->active and p->passive are in one session, and nobody waits for them any more. */
static int check_session(struct pairing *p, __u32 *ret_slot, __u32 *ret_gen)
{
	struct sl_socket front = {}, client = {};
	const struct sl_session *s;
	struct sl_pair pair;
	__u64 word, key;

	if (sl_maps_socket_get(p->m, p->passive, &front) || front.role != SL_ROLE_FRONT ||
	    front.slot >= p->m->control->n_sessions)
		return bad(p, "an accepted connection has no session");
	*ret_slot = front.slot;
	*ret_gen = front.gen;
	s = &p->m->sessions[front.slot];
	word = SL_READ(s->word);
	if (SL_GEN(word) != front.gen)
		return bad(p, "a front's session is another's");
	if ((SL_BITS(word) & SL_S_HELD) != SL_S_HELD)
		return bad(p, "a front's client on this host is not found");
	if (sl_maps_socket_get(p->m, p->active, &client) || client.role != SL_ROLE_CLIENT ||
	    client.slot != front.slot || client.gen != front.gen)
		return bad(p, "a front was paired with a client that is not its own");
	if (!s->client_sk || !s->front_sk || s->client_sk == s->front_sk)
		return bad(p, "the sockets' addresses were not noted");
	key = (__u64)s->client_ws0 << 32 | s->client_rn0;
	if (!sl_maps_pair_get(p->m, key, &pair))
		return bad(p, "a client that was found is still looked for");
	return check_bases(p, p->active, s->client_ws0, s->client_rn0);
}

/* Waits until @held bits of a slot's word, of generation @gen, are clear. */
static bool released(const __u64 *word, __u32 gen, __u32 held)
{
	__u32 waits = 0;

	for (;;) {
		__u64 now = SL_READ(*word);

		if (SL_GEN(now) != gen || !(SL_BITS(now) & held))
			return true;
		if (!st_wait(&waits))
			return false;
	}
}

static void close_ends(struct pairing *p)
{
	if (p->active >= 0)
		close(p->active);
	if (p->passive >= 0)
		close(p->passive);
	p->active = p->passive = -1;
}

static int test_client(struct pairing *p)
{
	const struct sl_socket mark = {.role = SL_ROLE_LISTENER};
	__u32 slot = 0, gen = 0;
	struct sl_addr addr;
	int rc;

	/* Before listen(): every child inherits the mark. */
	rc = sl_maps_socket_set(p->m, p->listener, &mark);
	if (!rc && listen(p->listener, 8))
		rc = -errno;
	if (!rc)
		rc = address(p, &addr);
	if (!rc)
		rc = sl_maps_local_addr_add(p->m, &addr, 0);
	if (rc)
		return rc;
	rc = st_connect(p->listener, -1, &p->active, &p->passive);
	(void)sl_maps_local_addr_del(p->m, &addr);
	if (!rc)
		rc = check_session(p, &slot, &gen);
	close_ends(p);
	if (gen && !released(&p->m->sessions[slot].word, gen, SL_S_HELD) && !rc)
		rc = bad(p, "the session of closed sockets is not freed");
	return rc;
}

static const struct sl_maps
	*stack_maps; /* for next_lane(): sl_stack_pop() takes a plain function */

static __u32 *next_lane(__u32 slot)
{
	return slot < stack_maps->control->n_lanes ? &stack_maps->lanes[slot].next : NULL;
}

static int check_lane(struct pairing *p, __u32 slot, __u32 gen)
{
	const struct sl_lane *l = &p->m->lanes[slot];
	struct sl_socket server = {};

	if (!(SL_BITS(SL_READ(l->word)) & SL_L_SERVER))
		return bad(p, "a back's server on this host is not found");
	if (sl_maps_socket_get(p->m, p->passive, &server) || server.role != SL_ROLE_SERVER ||
	    server.slot != slot || server.gen != gen)
		return bad(p, "a back was paired with a server that is not its own");
	if (!l->server_sk || !l->back_sk || l->server_sk == l->back_sk)
		return bad(p, "the sockets' addresses were not noted");
	return check_bases(p, p->passive, l->server_ws0, l->server_rn0);
}

/* The slot is free when state is FREE and no HELD bit is left; who clears the last one pushes. */
static void give_back(const struct sl_maps *m, __u32 slot, __u32 gen)
{
	struct sl_lane *l = &m->lanes[slot];
	__u64 old, new;

	do {
		old = SL_READ(l->word);
		new = SL_WORD(gen, SL_LANE_FREE | (SL_BITS(old) & SL_L_SERVER));
	} while (sl_cmpxchg(&l->word, old, new) != old);
	if (!(SL_BITS(old) & SL_L_SERVER))
		while (!sl_stack_push(&m->control->freed_lanes, &l->next, slot))
			;
}

static int test_server(struct pairing *p)
{
	struct sl_socket mark = {.role = SL_ROLE_BACK};
	struct sl_lane *l;
	__u32 slot1;
	int rc = 0;

	if (listen(p->listener, 8))
		return -errno;
	stack_maps = p->m;
	slot1 = sl_stack_pop(&p->m->control->free_lanes, next_lane);
	if (!slot1)
		return -ENOSPC;
	mark.slot = slot1 - 1;
	l = &p->m->lanes[mark.slot];
	mark.gen = SL_GEN(SL_READ(l->word)) + 1;
	if (!mark.gen)
		mark.gen = 1;
	l->server_sk = 0;
	l->back_sk = 0;
	SL_WRITE(l->word, SL_WORD(mark.gen, SL_LANE_CONNECTING | SL_L_BACK));
	p->active = socket(p->family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
	if (p->active < 0)
		rc = -errno;
	if (!rc)
		rc = sl_maps_socket_set(p->m, p->active, &mark);
	if (!rc)
		rc = st_connect(p->listener, p->active, &p->active, &p->passive);
	if (!rc)
		rc = check_lane(p, mark.slot, mark.gen);
	close_ends(p);
	if (!released(&l->word, mark.gen, SL_L_SERVER) && !rc)
		rc = bad(p, "the lane of a closed server is not freed");
	give_back(p->m, mark.slot, mark.gen);
	return rc;
}

/* Runs @test over each family that this host's loopback has. */
static int each_family(const struct sl_maps *m, int (*test)(struct pairing *p), char *why)
{
	static const int families[] = {AF_INET, AF_INET6};
	int rc = 0, ran = 0;

	for (size_t i = 0; i < sizeof(families) / sizeof(families[0]) && !rc; i++) {
		struct pairing p = {
			.m = m,
			.why = why,
			.family = families[i],
			.active = -1,
			.passive = -1,
		};

		p.listener = st_listen(p.family, false);
		if (p.listener == -EAFNOSUPPORT || p.listener == -EADDRNOTAVAIL)
			continue;
		if (p.listener < 0)
			return p.listener;
		rc = test(&p);
		close(p.listener);
		ran++;
	}
	return rc ? rc : ran ? 0 : -EADDRNOTAVAIL;
}

int sl_selftest_pairing(const struct sl_maps *m, char why[SL_WHY_MAX])
{
	const __u32 flags = m->control->flags;
	int rc = 0;

	why[0] = '\0';
	if (flags & SL_C_BYPASS)
		return 0;
	if (flags & SL_C_COLOCATED_CLIENTS)
		rc = each_family(m, test_client, why);
	if (!rc && (flags & SL_C_COLOCATED_SERVERS))
		rc = each_family(m, test_server, why);
	if (rc && !why[0])
		snprintf(why, SL_WHY_MAX, "far-end pairing could not be tried: %s", strerror(-rc));
	return rc;
}
