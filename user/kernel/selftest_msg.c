// SPDX-License-Identifier: GPL-2.0-only
/*
 * sk_msg: bytes redirected into an application's receive queue, mixed with bytes that go by TCP.
 * bpf/selftest.bpf.c applies the data path's rules; these checks see whether the kernel keeps
 * its side.
 */
#include <errno.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "kernel/selftest_checks.h"

#define FIRST 498 /* bytes by TCP, then redirected ones; odd numbers, seen nowhere else */
#define SECOND 527
#define ORDER_BYTES (256 * 1024)
#define OVERFLOW_BYTES (96 * 1024)
#define OVERFLOW_LIMIT (32 * 1024)
#define OVERFLOW_SEND 4096
#define EGRESS_BYTES (256 * 1024)
#define EGRESS_SEND 8192

/* ioctl(FIONREAD) on the server, once it says @want or the time is over. */
static int waiting_bytes(struct rig *r, int want)
{
	__u64 deadline = rig_deadline();
	int n;

	do {
		n = -1;
		if (ioctl(r->fd[SL_ST_SERVER], FIONREAD, &n))
			return -1;
	} while (n != want && rig_wait(deadline));
	return n;
}

static int expect_waiting(struct rig *r, int want, const char *what)
{
	int n = waiting_bytes(r, want);

	if (n == want)
		return 0;
	return rig_bad(r, "FIONREAD says %d for %d bytes that %s", n, want, what);
}

/*
 * FIONREAD must count bytes that came by TCP and redirected ones: nginx, Java and .NET stall else
 * (sk_psock_msg_inq() and tcp_inq() on sockets in a sockmap).
 */
int check_fionread(struct rig *r)
{
	unsigned char buf[FIRST + SECOND];
	int rc;

	rc = rig_open(r, RIG_APPS);
	if (!rc)
		rc = rig_base(r);
	if (!rc)
		rc = rig_send(r, FIRST);
	if (!rc)
		rc = rig_relay(r);
	if (!rc)
		rc = expect_waiting(r, FIRST, "came by TCP");
	if (rc)
		return rc;
	r->st->door = SL_ST_INGRESS;
	rc = rig_send(r, SECOND);
	if (rc)
		return rc;
	if (r->st->msg_redirected != SECOND)
		return rig_bad(r, "of %d bytes in order %llu are redirected", SECOND,
			       (unsigned long long)r->st->msg_redirected);
	rc = expect_waiting(r, FIRST + SECOND, "came by TCP and by redirect");
	if (rc)
		return rc;
	if (rig_read(r->fd[SL_ST_SERVER], buf, FIRST + 1) != FIRST + 1)
		return rig_bad(r, "a read across passed and redirected bytes stops between them");
	r->received += FIRST + 1;
	rc = expect_waiting(r, SECOND - 1, "a read left over");
	return rc ? rc : rig_finish(r);
}

static __u64 tcp_received(int fd)
{
	struct tcp_info info = {};
	socklen_t len = sizeof(info);

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len))
		return 0;
	return info.tcpi_bytes_received;
}

/* The probes of write_seq and rcv_nxt say what TCP_INFO says; redirected bytes move neither. */
int check_counters(struct rig *r)
{
	const struct sl_st_state *st = r->st;
	__u64 sent0, sent, received0, received;
	int rc;

	rc = rig_open(r, RIG_APPS);
	sent0 = rig_queued(r->fd[SL_ST_CLIENT]);
	received0 = tcp_received(r->fd[SL_ST_SERVER]);
	if (!rc)
		rc = rig_base(r);
	for (int i = 0; i < 4 && !rc; i++) {
		rc = rig_send(r, FIRST);
		if (!rc)
			rc = rig_finish(r);
	}
	sent = rig_queued(r->fd[SL_ST_CLIENT]) - sent0;
	received = tcp_received(r->fd[SL_ST_SERVER]) - received0;
	for (int i = 0; i < 2 && !rc; i++) {
		r->st->door = SL_ST_INGRESS;
		rc = rig_send(r, SECOND);
		if (rc)
			break;
		if (sent != r->sent - SECOND * (i + 1) ||
		    st->client_write_seq - st->client_ws0 != sent)
			rc = rig_bad(r, "the probe of write_seq says %u bytes, TCP_INFO %llu",
				     st->client_write_seq - st->client_ws0,
				     (unsigned long long)sent);
		else if (st->server_rcv_nxt - st->server_rn0 != received)
			rc = rig_bad(r, "the probe of rcv_nxt says %u bytes, TCP_INFO %llu",
				     st->server_rcv_nxt - st->server_rn0,
				     (unsigned long long)received);
	}
	if (!rc && rig_queued(r->fd[SL_ST_CLIENT]) - sent0 != sent)
		rc = rig_bad(r, "redirected bytes count as sent by TCP");
	return rc ? rc : rig_finish(r);
}

static __u32 receive_memory(int fd)
{
	__u32 mem[SK_MEMINFO_VARS] = {};
	socklen_t len = sizeof(mem);

	if (getsockopt(fd, SOL_SOCKET, SO_MEMINFO, mem, &len))
		return 0;
	return mem[SK_MEMINFO_RMEM_ALLOC];
}

/* The probe of the reader's backlog says what SO_MEMINFO says, full and empty. */
int check_backlog(struct rig *r)
{
	int rc;

	rc = rig_open(r, RIG_APPS);
	if (!rc)
		rc = rig_base(r);
	r->st->door = SL_ST_INGRESS;
	for (int i = 0; i < 6 && !rc; i++) {
		__u32 mem = receive_memory(r->fd[SL_ST_SERVER]);

		if (i % 3 == 2 && mem < 2 * SECOND)
			return rig_bad(r,
				       "%d redirected bytes that wait for their reader count as "
				       "%u of its memory",
				       2 * SECOND, mem);
		rc = rig_send(r, SECOND);
		if (rc)
			break;
		if (r->st->server_backlog != mem)
			return rig_bad(r, "the probe of sk_rmem_alloc says %u bytes, SO_MEMINFO %u",
				       r->st->server_backlog, mem);
		if (i % 3 == 2)
			rc = rig_finish(r);
	}
	return rc;
}

/* Redirect and pass at random, with a relay and a reader that come late at random. */
int check_order(struct rig *r)
{
	int rc;

	rc = rig_open(r, RIG_APPS);
	if (!rc)
		rc = rig_base(r);
	while (!rc && r->sent < ORDER_BYTES) {
		__u32 x = rig_random(r);

		r->st->door = x % 4 ? SL_ST_INGRESS : SL_ST_PASS;
		rc = rig_send(r, 1 + (x >> 8) % 4096);
		if (!rc && (x >> 20) % 2)
			rc = rig_relay(r);
		if (!rc && (x >> 21) % 2)
			rc = rig_receive(r);
	}
	if (!rc)
		rc = rig_finish(r);
	if (!rc && (r->st->msg_redirected < ORDER_BYTES / 8 || r->st->msg_passed < ORDER_BYTES / 8))
		rc = rig_bad(r, "of %zu bytes only %llu could be redirected and %llu passed",
			     r->sent, (unsigned long long)r->st->msg_redirected,
			     (unsigned long long)r->st->msg_passed);
	return rc;
}

/* A reader that does not read: its backlog is seen and ends redirecting; the rest is in order. */
int check_overflow(struct rig *r)
{
	int rc;

	rc = rig_open(r, RIG_APPS);
	if (!rc)
		rc = rig_base(r);
	r->st->limit = OVERFLOW_LIMIT;
	r->st->door = SL_ST_INGRESS;
	r->st->msg_passed = 0;
	while (!rc && r->sent < OVERFLOW_BYTES) {
		rc = rig_send(r, OVERFLOW_SEND);
		if (!rc)
			rc = rig_relay(r);
	}
	if (rc)
		return rc;
	if (r->st->max_backlog <= OVERFLOW_LIMIT || !r->st->msg_passed ||
	    r->st->msg_redirected > OVERFLOW_LIMIT + OVERFLOW_SEND)
		return rig_bad(r,
			       "a reader that does not read was given %llu bytes, with a limit "
			       "of %d",
			       (unsigned long long)r->st->msg_redirected, OVERFLOW_LIMIT);
	if (r->st->msg_redirected < OVERFLOW_LIMIT / 4)
		return rig_bad(r, "only %llu bytes could be redirected, with a limit of %d",
			       (unsigned long long)r->st->msg_redirected, OVERFLOW_LIMIT);
	return rig_finish(r);
}

/* Out through back, whose peer does not read: the check of its room spares client any EAGAIN. */
int check_egress(struct rig *r)
{
	int rc;

	rc = rig_open(r, RIG_APPS | RIG_SMALL);
	if (!rc)
		rc = rig_base(r);
	r->st->door = SL_ST_EGRESS;
	r->st->msg_passed = 0;
	while (!rc && r->sent < EGRESS_BYTES) {
		rc = rig_send(r, EGRESS_SEND);
		if (!rc)
			rc = rig_relay(r);
	}
	if (!rc)
		rc = rig_finish(r);
	if (!rc && (!r->st->msg_redirected || !r->st->msg_passed))
		rc = rig_bad(r, "a send buffer of 16 KiB: %llu bytes redirected, %llu passed",
			     (unsigned long long)r->st->msg_redirected,
			     (unsigned long long)r->st->msg_passed);
	return rc;
}
