// SPDX-License-Identifier: GPL-2.0-only
/*
 * Capture, with the real object in an instance of its own: which sockets become the two ends of a
 * session or a lane, over IPv4, IPv6 and dual-stack sockets, on one network namespace and across
 * two; which do not; and that every slot comes back. Needs root and ip(8).
 */
#include <arpa/inet.h>
#include <asm/socket.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/tcp.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "kernel/loader.h"
#include "kernel/maps.h"
#include "kernel/mounts.h"
#include "kernel/selftest.h"
#include "kernel/selftest_net.h"
#include "sl_stack.h"

#define WAIT_MS 10000 /* several SYN in it, if a neighbour is slow to answer */

/* Addresses of the namespaces, see make_namespaces(). */
#define DAEMON4 "10.77.0.1"
#define DAEMON6 "fd77::1"
#define OTHER4 "10.77.0.2"
#define OTHER6 "fd77::2"

enum { NS_DAEMON, NS_OTHER, NS_HOSTILE, NS_N };

union addr {
	struct sockaddr sa;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

static int passed, failed;
static int ns[NS_N];
static struct sl_maps maps;
static struct sl_loader *loader;

/* However the test ends: nothing stays pinned, nothing attached. */
static void clean_up(void)
{
	if (maps.control)
		sl_maps_close(&maps);
	sl_loader_unload(loader);
}

static bool check(bool ok, const char *name, const char *said)
{
	if (ok)
		passed++;
	else
		failed++;
	printf("%s %s%s%s\n", ok ? "ok  " : "FAIL", name, said[0] ? ": " : "", said);
	return ok;
}

static void die(const char *what)
{
	printf("FAIL %s: %s\n%d passed, %d failed\n", what, strerror(errno), passed, failed + 1);
	exit(1);
}

static void enter(int which)
{
	if (setns(ns[which], CLONE_NEWNET))
		die("setns");
}

/* ip(8) in the namespace that we are in. */
static void ip(const char *args)
{
	char cmd[256];

	snprintf(cmd, sizeof(cmd), "ip %s", args);
	if (system(cmd))
		die(cmd);
}

static int new_namespace(void)
{
	int fd;

	if (unshare(CLONE_NEWNET))
		die("unshare(CLONE_NEWNET)");
	fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		die("/proc/self/ns/net");
	ip("link set lo up");
	return fd;
}

static socklen_t to_addr(union addr *a, const char *text, __u16 port)
{
	memset(a, 0, sizeof(*a));
	if (inet_pton(AF_INET, text, &a->in.sin_addr) == 1) {
		a->in.sin_family = AF_INET;
		a->in.sin_port = htons(port);
		return sizeof(a->in);
	}
	if (inet_pton(AF_INET6, text, &a->in6.sin6_addr) != 1)
		die(text);
	a->in6.sin6_family = AF_INET6;
	a->in6.sin6_port = htons(port);
	return sizeof(a->in6);
}

/* A new link's IPv6 addresses and routes are not there at once: until one can be used. */
static void await_route(int which, const char *own, const char *peer)
{
	__u32 waits = 0;
	union addr a, b;
	socklen_t alen = to_addr(&a, own, 0), blen = to_addr(&b, peer, 9);
	bool ready = false;

	enter(which);
	while (!ready) {
		int fd = socket(a.sa.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

		ready = !bind(fd, &a.sa, alen) && !connect(fd, &b.sa, blen);
		close(fd);
		if (!ready && !st_wait(&waits))
			die(peer);
	}
	enter(NS_DAEMON);
}

/* The daemon's and another, joined by veth; and one that claims the daemon's address for itself. */
static void make_namespaces(void)
{
	char cmd[128];

	ns[NS_HOSTILE] = new_namespace();
	ip("addr add " DAEMON4 "/32 dev lo");
	ns[NS_DAEMON] = new_namespace();
	ns[NS_OTHER] = new_namespace();
	/* The peer goes to this process's namespace, where it is when ip(8) looks. */
	snprintf(cmd, sizeof(cmd),
		 "nsenter --net=/proc/%d/fd/%d ip link add v0 type veth peer name v1 netns %d",
		 getpid(), ns[NS_DAEMON], getpid());
	if (system(cmd))
		die(cmd);
	ip("addr add " OTHER4 "/24 dev v1");
	ip("addr add " OTHER6 "/64 dev v1 nodad");
	ip("link set v1 up");
	enter(NS_DAEMON);
	ip("addr add " DAEMON4 "/24 dev v0");
	ip("addr add " DAEMON6 "/64 dev v0 nodad");
	ip("link set v0 up");
	await_route(NS_DAEMON, DAEMON4, OTHER4);
	await_route(NS_DAEMON, DAEMON6, OTHER6);
	await_route(NS_OTHER, OTHER4, DAEMON4);
	await_route(NS_OTHER, OTHER6, DAEMON6);
}

/* A listening socket in namespace @where, on a port of the kernel's choice or @port. */
static int listen_on(int where, const char *text, bool marked, __u16 *port)
{
	const struct sl_socket mark = {.role = SL_ROLE_LISTENER, .slot = 3};
	union addr a;
	socklen_t len = to_addr(&a, text, *port);
	int fd;

	enter(where);
	fd = socket(a.sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, &a.sa, len) || (marked && sl_maps_socket_set(&maps, fd, &mark)) ||
	    listen(fd, 16) || getsockname(fd, &a.sa, &len))
		die("listen");
	*port = ntohs(a.in.sin_port);
	enter(NS_DAEMON);
	return fd;
}

static void sl_addr_of(struct sl_addr *ret, const char *text, __u16 port)
{
	struct sl_address address = {.port = port};
	union addr a;

	to_addr(&a, text, port);
	address.family = a.sa.sa_family;
	if (address.family == AF_INET6)
		memcpy(address.addr, &a.in6.sin6_addr, 16);
	else
		memcpy(address.addr, &a.in.sin_addr, 4);
	sl_local_addr(ret, &address, maps.control->netns);
}

static bool await(int fd, short events)
{
	struct pollfd p = {.fd = fd, .events = events};

	return poll(&p, 1, WAIT_MS) == 1;
}

static int open_socket(int where, int family)
{
	int fd;

	enter(where);
	fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		die("socket");
	enter(NS_DAEMON);
	return fd;
}

static void dial(int fd, const char *text, __u16 port)
{
	union addr a;
	socklen_t len = to_addr(&a, text, port);

	if (connect(fd, &a.sa, len) && errno != EINPROGRESS)
		die("connect");
	if (!await(fd, POLLOUT))
		die("connect: no answer");
}

static int take(int listener)
{
	int fd;

	if (!await(listener, POLLIN))
		die("accept: nobody came");
	fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0)
		die("accept");
	return fd;
}

static int family_of(const char *text)
{
	return strchr(text, ':') ? AF_INET6 : AF_INET;
}

static __u32 *session_next(__u32 slot)
{
	return slot < SL_MAX_SESSIONS ? &maps.sessions[slot].next : NULL;
}

static __u32 *lane_next(__u32 slot)
{
	return slot < SL_MAX_LANES ? &maps.lanes[slot].next : NULL;
}

static __u32 stack_length(__u64 head, __u32 *(*next)(__u32 slot), __u32 max)
{
	__u32 n = 0, slot1 = SL_STACK_SLOT(head);

	while (slot1 && n <= max) {
		n++;
		slot1 = SL_READ(*next(slot1 - 1));
	}
	return n;
}

static __u32 free_sessions(void)
{
	return stack_length(SL_READ(maps.control->free_sessions), session_next, SL_MAX_SESSIONS) +
	       stack_length(SL_READ(maps.control->freed_sessions), session_next, SL_MAX_SESSIONS);
}

static __u32 free_lanes(void)
{
	return stack_length(SL_READ(maps.control->free_lanes), lane_next, SL_MAX_LANES) +
	       stack_length(SL_READ(maps.control->freed_lanes), lane_next, SL_MAX_LANES);
}

/* Entries of a map whose key is a __u64. */
static __u32 count_entries(int map_fd)
{
	__u64 key, *last = NULL;
	__u32 n = 0;

	while (!bpf_map_get_next_key(map_fd, last, &key)) {
		last = &key;
		n++;
	}
	return n;
}

/* Every slot is free, nobody waits for a far end and no socket is known; a closing socket may need
 * a moment. */
static void check_conserved(const char *name)
{
	__u32 s, l, p, k, waits = 0;
	char said[128];

	do {
		s = free_sessions();
		l = free_lanes();
		p = count_entries(maps.pairing_fd);
		k = count_entries(maps.by_cookie_fd);
	} while ((s != SL_MAX_SESSIONS || l != SL_MAX_LANES || p || k) && st_wait(&waits));
	snprintf(said, sizeof(said), "%u of %u sessions, %u of %u lanes free, %u wait, %u cookies",
		 s, SL_MAX_SESSIONS, l, SL_MAX_LANES, p, k);
	check(s == SL_MAX_SESSIONS && l == SL_MAX_LANES && !p && !k, name, said);
}

static bool tcp_stands_at(int fd, __u32 ws0, __u32 rn0)
{
	const int on = TCP_REPAIR_ON, off = TCP_REPAIR_OFF_NO_WP;
	const int queues[] = {TCP_SEND_QUEUE, TCP_RECV_QUEUE};
	__u32 seq[2] = {};
	socklen_t len = sizeof(seq[0]);

	if (setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &on, sizeof(on)))
		die("TCP_REPAIR");
	for (int i = 0; i < 2; i++)
		if (setsockopt(fd, IPPROTO_TCP, TCP_REPAIR_QUEUE, &queues[i], sizeof(int)) ||
		    getsockopt(fd, IPPROTO_TCP, TCP_QUEUE_SEQ, &seq[i], &len))
			die("TCP_QUEUE_SEQ");
	if (setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &off, sizeof(off)))
		die("TCP_REPAIR off");
	return seq[0] == ws0 && seq[1] == rn0;
}

/* What is wrong with the session of @front, whose client is @client if @paired; NULL: nothing. */
static const char *session_wrong(int client, int front, bool paired)
{
	struct sl_socket f = {}, c = {};
	const struct sl_session *s;
	__u32 bits;

	if (sl_maps_socket_get(&maps, front, &f) || f.role != SL_ROLE_FRONT)
		return "front has no session";
	s = &maps.sessions[f.slot];
	bits = SL_BITS(SL_READ(s->word));
	if (SL_GEN(SL_READ(s->word)) != f.gen || !(bits & SL_S_FRONT))
		return "front is not in its session";
	if (s->listener != 3 || !s->front_sk)
		return "listener or front_sk is wrong";
	if (!paired)
		return bits & SL_S_CLIENT ? "client is in the session" : NULL;
	if (!(bits & SL_S_CLIENT))
		return "client is not found";
	if (sl_maps_socket_get(&maps, client, &c) || c.role != SL_ROLE_CLIENT || c.slot != f.slot ||
	    c.gen != f.gen)
		return "client is in another session";
	if (!s->client_sk || !tcp_stands_at(client, s->client_ws0, s->client_rn0))
		return "client's counters are wrong";
	return NULL;
}

/* A client in @where dials @to; a listener of ours is bound to @bound. Published: @to, or not. */
static void test_session(const char *name, int where, const char *to, const char *bound,
			 bool published, bool paired)
{
	__u16 port = 0;
	int listener = listen_on(NS_DAEMON, bound, true, &port);
	int client = open_socket(where, family_of(to)), front;
	struct sl_addr addr;
	const char *wrong;

	sl_addr_of(&addr, to, port);
	if (published && sl_maps_local_addr_add(&maps, &addr, 3))
		die("local_addr_add");
	dial(client, to, port);
	front = take(listener);
	if (published && sl_maps_local_addr_del(&maps, &addr))
		die("local_addr_del");
	wrong = session_wrong(client, front, paired);
	check(!wrong, name, wrong ? wrong : "");
	close(client);
	close(front);
	close(listener);
}

static void test_sessions(void)
{
	test_session("client, IPv4, same namespace", NS_DAEMON, "127.0.0.1", "127.0.0.1", true,
		     true);
	test_session("client, IPv6, same namespace", NS_DAEMON, "::1", "::1", true, true);
	test_session("client, IPv4 to a dual-stack listener", NS_DAEMON, "127.0.0.1", "::", true,
		     true);
	test_session("client, IPv4, other namespace", NS_OTHER, DAEMON4, "0.0.0.0", true, true);
	test_session("client, IPv6, other namespace", NS_OTHER, DAEMON6, DAEMON6, true, true);
	test_session("client, IPv4 to dual-stack, other namespace", NS_OTHER, DAEMON4, "::", true,
		     true);
	test_session("client, mapped IPv4 in an IPv6 socket", NS_OTHER, "::ffff:" DAEMON4,
		     "::", true, true);
	test_session("client that dials an address not published", NS_OTHER, DAEMON4, "0.0.0.0",
		     false, false);
	check_conserved("sessions come back");
}

/* Clients on this host are switched off: the front alone. */
static void test_sessions_off(void)
{
	const __u32 flags = maps.control->flags;

	SL_WRITE(maps.control->flags, flags & ~SL_C_COLOCATED_CLIENTS);
	test_session("client, with colocated_clients off", NS_DAEMON, "127.0.0.1", "127.0.0.1",
		     true, false);
	SL_WRITE(maps.control->flags, flags);
}

/*
 * A namespace with the daemon's address: its client has a session of its own that nobody joins,
 * and its server is nobody's.
 */
static void test_hostile(void)
{
	__u16 port = 0;
	int listener = listen_on(NS_DAEMON, DAEMON4, true, &port);
	int theirs = listen_on(NS_HOSTILE, DAEMON4, false, &port);
	int client = open_socket(NS_HOSTILE, AF_INET), server;
	struct sl_socket c = {}, s = {};
	struct sl_addr addr;
	__u32 slot;

	/* The worst case: the lane with the number of the session to come has its generation too.
	 */
	slot = SL_STACK_SLOT(SL_READ(maps.control->free_sessions)) - 1;
	maps.lanes[slot].word = SL_WORD(SL_GEN(maps.sessions[slot].word) + 1, SL_LANE_FREE);
	sl_addr_of(&addr, DAEMON4, port);
	if (sl_maps_local_addr_add(&maps, &addr, 3))
		die("local_addr_add");
	dial(client, DAEMON4, port);
	server = take(theirs);
	check(!sl_maps_socket_get(&maps, client, &c) && c.role == SL_ROLE_CLIENT &&
		      (SL_BITS(SL_READ(maps.sessions[c.slot].word)) & SL_S_HELD) == SL_S_CLIENT,
	      "client of a stranger with our address stays alone", "");
	check(sl_maps_socket_get(&maps, server, &s) == -ENOENT,
	      "server of a stranger with our address is not captured", "");
	if (sl_maps_local_addr_del(&maps, &addr))
		die("local_addr_del");
	close(client);
	close(server);
	close(theirs);
	close(listener);
	check_conserved("a client that was never paired is forgotten");
}

/* Another namespace's loopback is not ours, though the address is. */
static void test_other_loopback(const char *name, const char *to)
{
	__u16 port = 0;
	int listener = listen_on(NS_DAEMON, to, true, &port);
	int theirs = listen_on(NS_OTHER, to, false, &port);
	int client = open_socket(NS_OTHER, family_of(to)), server;
	struct sl_addr addr;
	struct sl_socket c;

	sl_addr_of(&addr, to, port);
	if (sl_maps_local_addr_add(&maps, &addr, 3))
		die("local_addr_add");
	dial(client, to, port);
	server = take(theirs);
	check(sl_maps_socket_get(&maps, client, &c) == -ENOENT &&
		      free_sessions() == SL_MAX_SESSIONS,
	      name, "");
	if (sl_maps_local_addr_del(&maps, &addr))
		die("local_addr_del");
	close(client);
	close(server);
	close(theirs);
	close(listener);
}

static void test_stranger(void)
{
	__u16 port = 0;
	int listener = listen_on(NS_DAEMON, "127.0.0.1", false, &port);
	int client = open_socket(NS_DAEMON, AF_INET), server;
	struct sl_socket s;

	dial(client, "127.0.0.1", port);
	server = take(listener);
	check(sl_maps_socket_get(&maps, client, &s) == -ENOENT &&
		      sl_maps_socket_get(&maps, server, &s) == -ENOENT &&
		      free_sessions() == SL_MAX_SESSIONS,
	      "a connection that is none of ours is left alone", "");
	close(client);
	close(server);
	close(listener);
}

/* Closed before anyone accepts it: BPF alone frees the session. */
static void test_not_accepted(void)
{
	__u16 port = 0;
	int listener = listen_on(NS_DAEMON, "127.0.0.1", true, &port);
	int client = open_socket(NS_DAEMON, AF_INET);
	struct sl_addr addr;
	__u32 slot = SL_STACK_SLOT(SL_READ(maps.control->free_sessions)) - 1;

	sl_addr_of(&addr, "127.0.0.1", port);
	if (sl_maps_local_addr_add(&maps, &addr, 3))
		die("local_addr_add");
	dial(client, "127.0.0.1", port);
	if (!await(listener, POLLIN))
		die("accept: nobody came");
	check(free_sessions() == SL_MAX_SESSIONS - 1 &&
		      (SL_BITS(SL_READ(maps.sessions[slot].word)) & SL_S_HELD) == SL_S_HELD,
	      "one session for a connection not accepted", "");
	close(client);
	close(listener);
	if (sl_maps_local_addr_del(&maps, &addr))
		die("local_addr_del");
	check_conserved("a session that nobody accepted comes back");
}

/* What is wrong with lane @slot, whose server is @server if @paired; NULL: nothing. */
static const char *lane_wrong(__u32 slot, __u32 gen, int server, bool paired)
{
	const struct sl_lane *l = &maps.lanes[slot];
	struct sl_socket s = {};
	const __u32 bits = SL_BITS(SL_READ(l->word));

	if (!l->back_sk)
		return "back_sk is not noted";
	if (!paired)
		return bits & SL_L_SERVER ? "server is in the lane" : NULL;
	if (!(bits & SL_L_SERVER))
		return "server is not found";
	if (sl_maps_socket_get(&maps, server, &s) || s.role != SL_ROLE_SERVER || s.slot != slot ||
	    s.gen != gen)
		return "server is in another lane";
	if (!l->server_sk || !tcp_stands_at(server, l->server_ws0, l->server_rn0))
		return "server's counters are wrong";
	return NULL;
}

static __u32 lane_take(__u32 *ret_gen)
{
	__u32 slot1 = sl_stack_pop(&maps.control->free_lanes, lane_next);
	struct sl_lane *l;

	if (!slot1)
		die("no free lane");
	l = &maps.lanes[slot1 - 1];
	*ret_gen = SL_GEN(l->word) + 1;
	l->back_sk = 0;
	SL_WRITE(l->word, SL_WORD(*ret_gen, SL_LANE_CONNECTING | SL_L_BACK));
	return slot1 - 1;
}

/* Clears BACK; the last to clear a HELD bit frees the slot, here or in BPF. */
static void lane_give(__u32 slot)
{
	struct sl_lane *l = &maps.lanes[slot];
	__u64 old, new;

	do {
		old = SL_READ(l->word);
		new = SL_WORD(SL_GEN(old), SL_BITS(old) & ~(SL_L_BACK | SL_L_STATE));
	} while (sl_cmpxchg(&l->word, old, new) != old);
	if (!(SL_BITS(new) & SL_L_HELD))
		sl_stack_push(&maps.control->freed_lanes, &l->next, slot);
}

/* A lane from the daemon's namespace to a server in @where that is bound to @bound. */
static void test_lane(const char *name, int where, const char *to, const char *bound, bool paired,
		      bool back_first)
{
	__u16 port = 0;
	struct sl_socket mark = {.role = SL_ROLE_BACK};
	int listener = listen_on(where, bound, false, &port);
	int back = open_socket(NS_DAEMON, family_of(to)), server;
	const char *wrong;

	mark.slot = lane_take(&mark.gen);
	if (sl_maps_socket_set(&maps, back, &mark))
		die("socket_set");
	dial(back, to, port);
	server = take(listener);
	wrong = lane_wrong(mark.slot, mark.gen, server, paired);
	check(!wrong, name, wrong ? wrong : "");
	if (back_first) {
		close(back);
		lane_give(mark.slot);
	}
	close(server);
	if (!back_first) {
		close(back);
		lane_give(mark.slot);
	}
	close(listener);
}

/* A lane that ends at an attached listener of ours: told, so that it is hung up on. */
static void test_loop(void)
{
	struct sl_socket mark = {.role = SL_ROLE_BACK}, front = {};
	struct sl_tuple key;
	__u16 port = 0;
	int listener = listen_on(NS_DAEMON, "127.0.0.1", true, &port);
	int back = open_socket(NS_DAEMON, AF_INET), server;
	const __u32 flags = maps.control->flags;
	const struct linger reset = {.l_onoff = 1};

	maps.points[3].flags = SL_A_USED | SL_A_ON; /* listen_on()'s */
	SL_WRITE(maps.control->flags, flags | SL_C_ATTACH);
	mark.slot = lane_take(&mark.gen);
	if (sl_maps_socket_set(&maps, back, &mark))
		die("socket_set");
	dial(back, "127.0.0.1", port);
	server = take(listener);
	check(!sl_maps_socket_get(&maps, server, &front) && front.role == SL_ROLE_LOOP,
	      "a lane that comes back to an attached listener is a loop", "");
	check(!bpf_map_get_next_key(maps.connecting_fd, NULL, &key),
	      "a lane's four-tuple is known as long as it is there", "");
	(void)setsockopt(back, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	close(back);
	check(bpf_map_get_next_key(maps.connecting_fd, NULL, &key) == -ENOENT,
	      "a lane's four-tuple is forgotten with it", "");
	lane_give(mark.slot);
	close(server);
	close(listener);
	maps.points[3].flags = 0;
	SL_WRITE(maps.control->flags, flags);
}

static void test_lanes(void)
{
	const __u32 flags = maps.control->flags;

	test_loop();
	test_lane("server, IPv4, same namespace", NS_DAEMON, "127.0.0.1", "127.0.0.1", true, true);
	test_lane("server, IPv6, same namespace", NS_DAEMON, "::1", "::1", true, false);
	test_lane("server, IPv4 to dual-stack", NS_DAEMON, "127.0.0.1", "::", true, true);
	test_lane("server, IPv4, other namespace", NS_OTHER, OTHER4, "0.0.0.0", true, false);
	test_lane("server, IPv6, other namespace", NS_OTHER, OTHER6, "::", true, true);
	test_lane("server, IPv4 to dual-stack, other namespace", NS_OTHER, OTHER4, "::", true,
		  false);
	check_conserved("lanes come back");
	SL_WRITE(maps.control->flags, flags & ~SL_C_COLOCATED_SERVERS);
	test_lane("server, with colocated_servers off", NS_DAEMON, "127.0.0.1", "127.0.0.1", false,
		  false);
	SL_WRITE(maps.control->flags, flags);
	check_conserved("lanes without server come back");
}

/* The self-test's own pairing check: before the program is attached it must fail. */
static void test_pairing(bool attached)
{
	const __u32 flags = maps.control->flags;
	char why[SL_WHY_MAX];
	int rc;

	rc = sl_selftest_pairing(&maps, why);
	if (attached) {
		check(!rc && !why[0], "self-test of pairing passes", why);
		check_conserved("self-test of pairing leaves nothing");
		return;
	}
	check(rc == -EPROTO && strstr(why, "has no session"),
	      "self-test of pairing fails without capture", why);
	SL_WRITE(maps.control->flags, flags & ~SL_C_COLOCATED_CLIENTS);
	rc = sl_selftest_pairing(&maps, why);
	check(rc == -EPROTO && strstr(why, "server on this host is not found"),
	      "self-test of servers fails without capture", why);
	SL_WRITE(maps.control->flags, flags);
	check_conserved("a failed self-test of pairing leaves nothing");
}

/* As sl_listen_publish() does: which namespace's loopback is ours. */
static void note_netns(void)
{
	socklen_t len = sizeof(maps.control->netns);
	int fd = open_socket(NS_DAEMON, AF_INET);

	if (getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &maps.control->netns, &len))
		die("SO_NETNS_COOKIE");
	close(fd);
}

static void load(const char *instance)
{
	static struct sl_table table;
	struct sl_compiled compiled = {
		.table = &table,
		.options = {.kernel_path = true,
			    .colocated_clients = true,
			    .colocated_servers = true},
	};
	struct sl_load_error err = {""};

	if (sl_bpffs_ensure() || sl_loader_clean(instance) ||
	    sl_loader_load(instance, &compiled, 1, &loader, &err) ||
	    sl_maps_open(&maps, instance)) {
		fprintf(stderr, "%s\n", err.text);
		die("load");
	}
	note_netns();
}

int main(void)
{
	struct sl_load_error err = {""};
	char instance[32];
	int cgroup = sl_cgroup2_open();

	snprintf(instance, sizeof(instance), "test-capture-%d", getpid());
	if (cgroup < 0)
		die("cgroup2");
	atexit(clean_up);
	make_namespaces();
	load(instance);
	test_pairing(false);
	if (check(!sl_loader_attach(loader, cgroup, &err), "capture attaches", err.text)) {
		test_pairing(true);
		test_sessions();
		test_sessions_off();
		test_hostile();
		test_other_loopback("client of another namespace's 127.0.0.1", "127.0.0.1");
		test_other_loopback("client of another namespace's ::1", "::1");
		test_stranger();
		test_not_accepted();
		test_lanes();
	}
	printf("%d passed, %d failed\n", passed, failed);
	return failed ? 1 : 0;
}
