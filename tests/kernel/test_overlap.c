// SPDX-License-Identifier: GPL-2.0-only
/*
 * Segments that begin with bytes that have come before, as TCP sends them again when an
 * acknowledgement was lost or late: the kernel hands them whole to a verdict program, and the real
 * object's verdicts cut off what is old. Made by hand, on a raw socket in a network namespace of
 * our own. Needs root.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/tcp.h>
#include <netinet/ip.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "kernel/loader.h"
#include "kernel/maps.h"
#include "kernel/mounts.h"
#include "kernel/selftest_net.h"

#define WAIT_MS 5000
#define BYTES 60000
#define SLOT 5

static int passed, failed;
static struct sl_maps maps;
static struct sl_loader *loader;

/* A connection: @in receives and is in a map; @out is its far end. */
struct pair {
	int in, out;
	struct sockaddr_in in_addr, out_addr;
	__u32 out_snd, out_rcv; /* where @out stands in the two directions' sequences */
};

static void clean_up(void)
{
	if (maps.control)
		sl_maps_close(&maps);
	sl_loader_unload(loader);
}

static void check(bool ok, const char *name, const char *what)
{
	if (ok)
		passed++;
	else
		failed++;
	printf("%s %s: %s\n", ok ? "ok  " : "FAIL", name, what);
}

static void die(const char *what)
{
	printf("FAIL %s: %s\n%d passed, %d failed\n", what, strerror(errno), passed, failed + 1);
	exit(1);
}

/* The byte at @at of the stream. */
static unsigned char byte_of(size_t at)
{
	return at * 131 + (at >> 8) * 29 + 1;
}

static __u32 queue_seq(int fd, int queue)
{
	__u32 seq;
	socklen_t len = sizeof(seq);

	if (setsockopt(fd, IPPROTO_TCP, TCP_REPAIR_QUEUE, &queue, sizeof(queue)) ||
	    getsockopt(fd, IPPROTO_TCP, TCP_QUEUE_SEQ, &seq, &len))
		die("TCP_QUEUE_SEQ");
	return seq;
}

static void pair_open(struct pair *p)
{
	int on = TCP_REPAIR_ON, off = TCP_REPAIR_OFF_NO_WP, listener = st_listen(AF_INET, true);
	socklen_t len = sizeof(p->in_addr);

	if (listener < 0 || st_connect(listener, -1, &p->in, &p->out))
		die("connect");
	close(listener);
	if (getsockname(p->in, (struct sockaddr *)&p->in_addr, &len) ||
	    getsockname(p->out, (struct sockaddr *)&p->out_addr, &len) ||
	    setsockopt(p->out, IPPROTO_TCP, TCP_REPAIR, &on, sizeof(on)))
		die("TCP_REPAIR");
	p->out_snd = queue_seq(p->out, TCP_SEND_QUEUE);
	p->out_rcv = queue_seq(p->out, TCP_RECV_QUEUE);
	if (setsockopt(p->out, IPPROTO_TCP, TCP_REPAIR, &off, sizeof(off)))
		die("TCP_REPAIR_OFF");
}

static void pair_close(struct pair *p)
{
	close(p->in);
	close(p->out);
}

static __u32 sum_add(__u32 sum, const void *data, size_t len)
{
	const __u8 *b = data;

	for (size_t i = 0; i < len; i++)
		sum += i & 1 ? b[i] : b[i] << 8;
	return sum;
}

static __u16 checksum(const struct pair *p, const void *segment, size_t len)
{
	__u32 sum = sum_add(0, &p->out_addr.sin_addr, 4);

	sum = sum_add(sum, &p->in_addr.sin_addr, 4) + IPPROTO_TCP + len;
	sum = sum_add(sum, segment, len);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons(~sum);
}

/* From @out's address to @in: bytes @from..@to of the stream, and FIN. */
static void inject(const struct pair *p, size_t from, size_t to, bool fin)
{
	static unsigned char packet[BYTES + 128];
	struct tcphdr *t = (struct tcphdr *)packet;
	size_t len = sizeof(*t) + to - from;
	int raw = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_TCP);

	memset(t, 0, sizeof(*t));
	t->source = p->out_addr.sin_port;
	t->dest = p->in_addr.sin_port;
	t->seq = htonl(p->out_snd + from);
	t->ack_seq = htonl(p->out_rcv);
	t->doff = sizeof(*t) / 4;
	t->ack = t->psh = 1;
	t->fin = fin;
	t->window = htons(0xffff);
	for (size_t i = from; i < to; i++)
		packet[sizeof(*t) + i - from] = byte_of(i);
	t->check = checksum(p, packet, len);
	if (raw < 0 || bind(raw, (const struct sockaddr *)&p->out_addr, sizeof(p->out_addr)) ||
	    sendto(raw, packet, len, 0, (const struct sockaddr *)&p->in_addr, sizeof(p->in_addr)) !=
		    (ssize_t)len)
		die("raw socket");
	close(raw);
}

/* Bytes that can be read: all of them the stream's, from @from on. -1: they differ. */
static long receive(int fd, size_t from, size_t until)
{
	static unsigned char buf[2 * BYTES];
	size_t at = from;

	while (at < until) {
		struct pollfd pfd = {.fd = fd, .events = POLLIN};
		ssize_t n = poll(&pfd, 1, WAIT_MS) == 1 ? recv(fd, buf, sizeof(buf), 0) : 0;

		if (n <= 0)
			return at;
		for (ssize_t i = 0; i < n; i++)
			if (buf[i] != byte_of(at++))
				return -1;
	}
	return at;
}

static __u64 cookie_of(int fd)
{
	__u64 cookie = 0;
	socklen_t len = sizeof(cookie);

	if (getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &len))
		die("SO_COOKIE");
	return cookie;
}

static bool is_empty(int fd)
{
	char byte;

	return recv(fd, &byte, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

/* @old bytes, then a segment with the last @again of them and @more that are new. */
static bool overlaps(const struct pair *p, size_t *at, size_t old, size_t again, size_t more)
{
	inject(p, *at, *at + old, false);
	*at += old;
	inject(p, *at - again, *at + more, false);
	*at += more;
	return receive(p->in, *at - old - more, *at) == (long)*at && is_empty(p->in);
}

/* The verdict of @map_fd, as of a socket that has @role. */
static void test_trimmed(const char *name, int map_fd, __u32 role)
{
	const struct sl_socket me = {.role = role, .slot = SLOT, .gen = 1};
	struct pair p;
	size_t at = 0;
	__u64 cookie;
	char byte;

	pair_open(&p);
	cookie = cookie_of(p.in);
	if (bpf_map_update_elem(maps.by_cookie_fd, &cookie, &me, BPF_ANY) ||
	    sl_maps_sockmap_set(map_fd, SLOT, p.in))
		die("sockmap");
	check(overlaps(&p, &at, 6, 0, 3), name, "no overlap");
	check(overlaps(&p, &at, 6, 1, 1), name, "one byte of two");
	check(overlaps(&p, &at, 700, 700, 1), name, "all but one of 701 bytes");
	check(overlaps(&p, &at, 4095, 4095, 10), name, "as many bytes as can be cut off at once");
	check(overlaps(&p, &at, 20000, 19000, 20000), name, "thousands of bytes");
	inject(&p, at, at + 5, false);
	inject(&p, at, at + 5, true);
	check(receive(p.in, at, at + 5) == (long)at + 5, name, "bytes before an old segment's FIN");
	check(poll(&(struct pollfd){.fd = p.in, .events = POLLIN}, 1, WAIT_MS) == 1 &&
		      recv(p.in, &byte, 1, 0) == 0,
	      name, "FIN of a segment whose bytes are old");
	(void)bpf_map_delete_elem(maps.by_cookie_fd, &cookie);
	pair_close(&p);
}

/* Without that: what the kernel does. When this fails, nothing need be cut off any more. */
static void test_kernel(void)
{
	struct pair p;
	size_t at = 0;

	pair_open(&p);
	if (sl_maps_sockmap_set(maps.clients_fd, SLOT, p.in))
		die("sockmap");
	check(!overlaps(&p, &at, 6, 3, 3), "the kernel",
	      "hands old bytes on, to a verdict that passes");
	pair_close(&p);
	at = 0;
	pair_open(&p);
	check(overlaps(&p, &at, 6, 3, 3), "the kernel", "skips them without a verdict");
	pair_close(&p);
}

static void load(const char *instance)
{
	static struct sl_table table;
	struct sl_compiled compiled = {.table = &table, .options = {.kernel_path = true}};
	struct sl_load_error err = {""};

	if (sl_bpffs_ensure() || sl_loader_clean(instance) ||
	    sl_loader_load(instance, &compiled, 1, &loader, &err) ||
	    sl_maps_open(&maps, instance)) {
		fprintf(stderr, "%s\n", err.text);
		die("load");
	}
}

int main(void)
{
	char instance[32];

	snprintf(instance, sizeof(instance), "test-overlap-%d", getpid());
	if (unshare(CLONE_NEWNET) || system("ip link set lo up"))
		die("network namespace");
	atexit(clean_up);
	load(instance);
	test_kernel();
	test_trimmed("client", maps.clients_fd, SL_ROLE_CLIENT);
	test_trimmed("server", maps.servers_fd, SL_ROLE_SERVER);
	printf("%d passed, %d failed\n", passed, failed);
	return failed ? 1 : 0;
}
