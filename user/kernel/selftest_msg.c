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
#include <sys/syscall.h>

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
	__u32 waits = 0;
	int n;

	do {
		n = -1;
		if (ioctl(r->fd[SL_ST_SERVER], FIONREAD, &n))
			return -1;
	} while (n != want && st_wait(&waits));
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

/* What the probes said at one send, and TCP_INFO just before it. */
struct counted {
	struct sl_st_state probe;
	__u64 sent;	/* by client */
	__u64 relayed;	/* by back */
	__u64 received; /* by server */
};

/* Sends @n bytes by @door and looks at the counters as they were before. */
static int count(struct rig *r, __u32 door, size_t n, struct counted *ret)
{
	int rc;

	ret->sent = rig_queued(r->fd[SL_ST_CLIENT]);
	ret->relayed = rig_queued(r->fd[SL_ST_BACK]);
	ret->received = tcp_received(r->fd[SL_ST_SERVER]);
	r->st->door = door;
	rc = rig_send(r, n);
	ret->probe = *r->st;
	return rc;
}

static int compare(struct rig *r, const char *what, __u32 probed, __u32 base, __u64 want)
{
	if (probed - base == (__u32)want)
		return 0;
	return rig_bad(r, "the probe of %s says %u bytes, TCP_INFO %llu", what, probed - base,
		       (unsigned long long)want);
}

static int compare_all(struct rig *r, const struct counted *a, const struct counted *b)
{
	const struct sl_st_state *p = &a->probe, *q = &b->probe;
	int rc;

	rc = compare(r, "client's write_seq", q->client_write_seq, p->client_write_seq,
		     b->sent - a->sent);
	if (!rc)
		rc = compare(r, "back's write_seq", q->back_write_seq, p->back_write_seq,
			     b->relayed - a->relayed);
	if (!rc)
		rc = compare(r, "server's rcv_nxt", q->server_rcv_nxt, p->server_rcv_nxt,
			     b->received - a->received);
	return rc;
}

/*
 * The probes say what TCP_INFO says, the ends of a connection agree exactly when no byte is
 * under way, and redirected bytes move no counter.
 */
int check_counters(struct rig *r)
{
	struct counted first, unread, quiet, after;
	const struct sl_st_state *p = &unread.probe, *q = &quiet.probe;
	int rc;

	rc = rig_open(r, RIG_APPS);
	if (!rc)
		rc = count(r, SL_ST_PASS, FIRST, &first);
	if (!rc)
		rc = count(r, SL_ST_PASS, SECOND, &unread);
	if (!rc)
		rc = rig_finish(r);
	if (!rc)
		rc = count(r, SL_ST_INGRESS, SECOND, &quiet);
	if (!rc)
		rc = count(r, SL_ST_INGRESS, FIRST, &after);
	if (!rc)
		rc = compare_all(r, &first, &unread);
	if (!rc)
		rc = compare_all(r, &first, &quiet);
	if (!rc)
		rc = compare_all(r, &quiet, &after);
	if (rc)
		return rc;
	if (unread.sent - first.sent != FIRST || quiet.received - first.received != FIRST + SECOND)
		return rig_bad(r, "TCP_INFO does not count what was sent and received");
	if (p->client_write_seq - p->front_copied_seq != FIRST)
		return rig_bad(r, "%d unread bytes show as %u between write_seq and copied_seq",
			       FIRST, p->client_write_seq - p->front_copied_seq);
	if (q->client_write_seq != q->front_copied_seq || q->back_write_seq != q->server_rcv_nxt)
		return rig_bad(r, "both ends of a quiet connection do not show the same counters");
	if (after.sent != quiet.sent || after.received != quiet.received)
		return rig_bad(r, "redirected bytes count as sent or received by TCP");
	return rig_finish(r);
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

static ssize_t send_by(int fd, int call, int flags)
{
	char byte = 0;
	struct iovec iov = {&byte, 1};
	struct mmsghdr m = {.msg_hdr = {.msg_iov = &iov, .msg_iovlen = 1}};

	switch (call) {
	case SYS_sendto:
		return send(fd, &byte, 1, flags);
	case SYS_sendmsg:
		return sendmsg(fd, &m.msg_hdr, flags);
	default:
		return sendmmsg(fd, &m, 1, flags);
	}
}

/* MSG_OOB is seen, whatever the call: with it nothing may go out through a socket of ours. */
static int see_flags(struct rig *r)
{
	static const int calls[] = {SYS_sendto, SYS_sendmsg, SYS_sendmmsg};
	int rc;

	rc = rig_open(r, RIG_APPS);
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]) && !rc; i++) {
		r->st->plain = 1;
		if (send_by(r->fd[SL_ST_CLIENT], calls[i], MSG_OOB | MSG_DONTWAIT) != 1)
			rc = rig_bad(r, "a send with MSG_OOB fails: %s", strerror(errno));
		else if (r->st->plain)
			rc = rig_bad(r, "MSG_OOB of system call %d is not seen", calls[i]);
	}
	return rc;
}

/* Out through back, whose peer does not read: the check of its room spares client any EAGAIN. */
int check_egress(struct rig *r)
{
	int rc = see_flags(r);

	if (!rc)
		rc = rig_open(r, RIG_APPS | RIG_SMALL);
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
