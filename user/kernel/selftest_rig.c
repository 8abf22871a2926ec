// SPDX-License-Identifier: GPL-2.0-only
#include "kernel/selftest_rig.h"

#include <errno.h>
#include <linux/if_ether.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "kernel/selftest.h"
#include "kernel/selftest_net.h"
#include "selftest.skel.h"

/* Refusals of a writable socket in a row that are not a race with its peer. */
#define SPURIOUS_MAX 32

int rig_bad(struct rig *r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(r->why, SL_WHY_MAX, fmt, ap);
	va_end(ap);
	return -EPROTO;
}

/* xorshift: the same sequence in every run. */
__u32 rig_random(struct rig *r)
{
	r->random ^= r->random << 13;
	r->random ^= r->random >> 17;
	r->random ^= r->random << 5;
	return r->random;
}

unsigned char rig_byte(size_t at)
{
	return at * 131 + (at >> 8) * 29 + (at >> 16);
}

static int attach(struct bpf_map *map, struct bpf_program *prog, enum bpf_attach_type type)
{
	return bpf_prog_attach(bpf_program__fd(prog), bpf_map__fd(map), type, 0) ? -errno : 0;
}

static int attach_all(struct selftest_bpf *s, __u32 planted)
{
	int rc = attach(s->maps.apps, s->progs.st_msg, BPF_SK_MSG_VERDICT);
	if (!rc && !(planted & SL_ST_NO_VERDICT))
		rc = attach(s->maps.apps, s->progs.st_pass, BPF_SK_SKB_VERDICT);
	return rc;
}

int rig_load(struct rig *r, __u32 planted)
{
	int rc;

	for (int i = 0; i < SL_ST_N; i++)
		r->fd[i] = -1;
	r->random = 2463534242u;
	r->held = malloc(RIG_STREAM_MAX);
	r->skel = selftest_bpf__open();
	if (!r->held || !r->skel)
		return -ENOMEM;
	rc = selftest_bpf__load(r->skel);
	if (!rc)
		rc = attach_all(r->skel, planted);
	if (rc)
		return rc;
	r->st = &r->skel->bss->state;
	r->st->planted = planted;
	return 0;
}

void rig_unload(struct rig *r)
{
	rig_close(r);
	selftest_bpf__destroy(r->skel);
	free(r->held);
}

static int put(struct rig *r, struct bpf_map *map, __u32 slot)
{
	__u64 fd = r->fd[slot];

	if (bpf_map_update_elem(bpf_map__fd(map), &slot, &fd, BPF_ANY))
		return rig_bad(r, "a socket cannot be put into a sockmap: %s", strerror(errno));
	return 0;
}

static int put_all(struct rig *r, __u32 how)
{
	const bool apps = how & RIG_APPS;
	int rc = 0;

	for (__u32 i = 0; i < SL_ST_N && !rc; i++) {
		if (r->fd[i] < 0)
			continue;
		if (apps && (i == SL_ST_CLIENT || i == SL_ST_SERVER))
			rc = put(r, r->skel->maps.apps, i);
		if (!rc)
			rc = put(r, r->skel->maps.sockets, i);
	}
	return rc;
}

/* Runs st_learn; the packet is one only because the kernel wants one. */
static int learn(struct rig *r)
{
	const char packet[ETH_HLEN] = {};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = packet, .data_size_in = sizeof(packet));

	return bpf_prog_test_run_opts(bpf_program__fd(r->skel->progs.st_learn), &opts) ? -errno : 0;
}

static int connect_all(struct rig *r, __u32 how)
{
	const int small = 16 * 1024;
	int listener, rc;

	listener = st_listen(AF_INET, true);
	if (listener < 0)
		listener = st_listen(AF_INET6, true);
	if (listener < 0)
		return listener;
	rc = st_connect(listener, -1, &r->fd[SL_ST_CLIENT], &r->fd[SL_ST_FRONT]);
	if (!rc && (how & RIG_SMALL) &&
	    setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)))
		rc = -errno;
	if (!rc)
		rc = st_connect(listener, -1, &r->fd[SL_ST_BACK], &r->fd[SL_ST_SERVER]);
	close(listener);
	if (!rc && (how & RIG_SMALL) &&
	    setsockopt(r->fd[SL_ST_BACK], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)))
		rc = -errno;
	return rc;
}

int rig_open(struct rig *r, __u32 how)
{
	__u32 planted = r->st->planted;
	int rc;

	rig_close(r);
	memset(r->st, 0, sizeof(*r->st));
	r->st->planted = planted;
	r->st->limit = ~0u;
	r->sent = r->received = r->held_from = r->held_to = 0;
	rc = connect_all(r, how);
	if (!rc)
		rc = put_all(r, how);
	return rc ? rc : learn(r);
}

void rig_close(struct rig *r)
{
	for (int i = 0; i < SL_ST_N; i++) {
		if (r->fd[i] >= 0)
			close(r->fd[i]);
		r->fd[i] = -1;
	}
}

static bool writable(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLOUT};

	return poll(&p, 1, 0) == 1 && (p.revents & POLLOUT);
}

int rig_send(struct rig *r, size_t n)
{
	unsigned char buf[16 * 1024];
	__u32 waits = 0;
	const int fd = r->fd[SL_ST_CLIENT];
	int spurious = 0;
	size_t done = 0;

	if (n > sizeof(buf))
		n = sizeof(buf);
	for (size_t i = 0; i < n; i++)
		buf[i] = rig_byte(r->sent + i);
	while (done < n) {
		ssize_t got = send(fd, buf + done, n - done, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (got > 0) {
			done += got;
			r->sent += got;
			spurious = 0;
			continue;
		}
		if (got == 0 || errno != EAGAIN)
			return rig_bad(r, "a send under sk_msg fails: %s",
				       got ? strerror(errno) : "nothing was sent");
		if (!writable(fd))
			spurious = 0;
		else if (++spurious > SPURIOUS_MAX)
			return rig_bad(r, "a redirected send gets EAGAIN while its socket is "
					  "writable: its application would hang");
		if (!spurious && rig_relay(r))
			return -EPROTO;
		if (!st_wait(&waits))
			return rig_bad(r, "a send under sk_msg blocks for ever");
	}
	return 0;
}

static int relay_fill(struct rig *r)
{
	while (r->held_to < RIG_STREAM_MAX) {
		ssize_t got = recv(r->fd[SL_ST_FRONT], r->held + r->held_to,
				   RIG_STREAM_MAX - r->held_to, MSG_DONTWAIT);

		if (got > 0)
			r->held_to += got;
		else if (got < 0 && errno == EAGAIN)
			return 0;
		else
			return rig_bad(r, "reading what was passed fails: %s",
				       got ? strerror(errno) : "end of the stream");
	}
	return 0;
}

int rig_relay(struct rig *r)
{
	int rc = relay_fill(r);

	while (!rc && r->held_from < r->held_to) {
		ssize_t got = send(r->fd[SL_ST_BACK], r->held + r->held_from,
				   r->held_to - r->held_from, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (got < 0 && errno == EAGAIN)
			break;
		if (got < 0)
			rc = rig_bad(r, "writing to a target socket fails: %s", strerror(errno));
		else
			r->held_from += got;
	}
	SL_WRITE(r->st->held, r->held_to - r->held_from);
	return rc;
}

int rig_receive(struct rig *r)
{
	unsigned char buf[16 * 1024];

	for (;;) {
		ssize_t got = recv(r->fd[SL_ST_SERVER], buf, sizeof(buf), MSG_DONTWAIT);

		if (got < 0 && errno == EAGAIN)
			return 0;
		if (got <= 0)
			return rig_bad(r, "reading redirected bytes fails: %s",
				       got ? strerror(errno) : "end of the stream");
		for (ssize_t i = 0; i < got; i++)
			if (r->received + i >= r->sent || buf[i] != rig_byte(r->received + i))
				return rig_bad(r,
					       "bytes redirected and bytes sent by TCP do not "
					       "arrive in order (byte %zu of %zu)",
					       r->received + i, r->sent);
		r->received += got;
	}
}

int rig_finish(struct rig *r)
{
	__u32 waits = 0;
	int rc = 0;

	while (!rc && r->received < r->sent) {
		size_t before = r->received;

		rc = rig_relay(r);
		if (!rc)
			rc = rig_receive(r);
		if (r->received > before)
			waits = 0;
		else if (!rc && !st_wait(&waits))
			rc = rig_bad(r, "of %zu bytes, some redirected, only %zu arrive", r->sent,
				     r->received);
	}
	return rc;
}

size_t rig_read(int fd, void *buf, size_t n)
{
	__u32 waits = 0;
	size_t done = 0;

	while (done < n) {
		ssize_t got = recv(fd, (char *)buf + done, n - done, MSG_DONTWAIT);

		if (got > 0)
			done += got;
		else if (got == 0 || errno != EAGAIN || !st_wait(&waits))
			break;
	}
	return done;
}

__u64 rig_queued(int fd)
{
	struct tcp_info info = {};
	socklen_t len = sizeof(info);
	int unacked;

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) || ioctl(fd, SIOCOUTQ, &unacked))
		return 0;
	return info.tcpi_bytes_acked + unacked - 1;
}
