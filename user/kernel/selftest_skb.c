// SPDX-License-Identifier: GPL-2.0-only
/*
 * sk_skb verdicts without a stream parser: what the front (or back) of a remote end receives is
 * redirected out through another socket by a kernel worker, or passed to its owner.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "kernel/selftest_checks.h"

#define SEGMENTS 16
#define SEGMENT 700
#define MIXED 64 /* messages */

/* Until the verdict has seen @n bytes of all sources. */
static bool seen(struct rig *r, __u64 n)
{
	__u32 waits = 0;

	while (SL_READ(r->st->skb_redirected) + SL_READ(r->st->skb_passed) < n)
		if (!st_wait(&waits))
			return false;
	return true;
}

/* From a client that is no co-located one. */
static int send_from(struct rig *r, int slot, const void *buf, size_t n)
{
	ssize_t got = send(r->fd[slot], buf, n, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (got == (ssize_t)n)
		return 0;
	return rig_bad(r, "a send to a socket with a verdict fails: %s",
		       got < 0 ? strerror(errno) : "short");
}

/*
 * Bytes arrive, and the target's counters tell when all that was redirected is with TCP: before
 * that the socket must be neither written to nor closed.
 */
int check_skb_redirect(struct rig *r)
{
	unsigned char buf[SEGMENT], got[SEGMENT * SEGMENTS];
	__u32 waits = 0;
	int rc;

	rc = rig_open(r, RIG_SOURCES);
	if (rc)
		return rc;
	r->st->door = SL_ST_EGRESS;
	for (int i = 0; i < SEGMENTS; i++) {
		for (int k = 0; k < SEGMENT; k++)
			buf[k] = rig_byte(i * SEGMENT + k);
		rc = send_from(r, SL_ST_CLIENT, buf, SEGMENT);
		if (rc)
			return rc;
	}
	if (rig_read(r->fd[SL_ST_SERVER], got, sizeof(got)) != sizeof(got))
		return rig_bad(r, "segments redirected by a verdict do not arrive");
	for (size_t i = 0; i < sizeof(got); i++)
		if (got[i] != rig_byte(i))
			return rig_bad(r, "segments redirected by a verdict arrive changed");
	while (rig_queued(r->fd[SL_ST_BACK]) != SL_READ(r->st->skb_redirected))
		if (!st_wait(&waits))
			return rig_bad(r,
				       "a target is never seen drained: TCP_INFO says %llu bytes, "
				       "redirected were %llu",
				       (unsigned long long)rig_queued(r->fd[SL_ST_BACK]),
				       (unsigned long long)r->st->skb_redirected);
	return 0;
}

/* One message, its number, by the door @x chooses; read at the far ends now and then, as @x says.
 */
static int mixed_step(struct rig *r, __u32 i, __u32 x, __u32 *passed, __u32 *n_passed)
{
	__u32 got, n = *n_passed;
	int rc;

	r->st->door = x % 2 ? SL_ST_EGRESS : SL_ST_PASS;
	rc = send_from(r, SL_ST_CLIENT, &i, sizeof(i));
	if (rc)
		return rc;
	if (!seen(r, (i + 1) * sizeof(i)))
		return rig_bad(r, "a socket with both passed and redirected bytes goes deaf");
	if (r->st->door == SL_ST_PASS)
		passed[(*n_passed)++] = i;
	else if (rig_read(r->fd[SL_ST_SERVER], &got, sizeof(got)) != sizeof(got) || got != i)
		return rig_bad(r, "a segment redirected after passed ones does not arrive");
	if ((x >> 8) % 4)
		return 0;
	n = *n_passed;
	for (__u32 k = 0; k < n; k++)
		if (rig_read(r->fd[SL_ST_FRONT], &got, sizeof(got)) != sizeof(got) ||
		    got != passed[k])
			return rig_bad(r, "a socket with both passed and redirected bytes goes "
					  "deaf, or passes them out of order");
	*n_passed = 0;
	return 0;
}

/* Pass and redirect on one socket, passed bytes unread meanwhile: it must go on hearing. */
int check_skb_mixed(struct rig *r)
{
	__u32 passed[MIXED], n_passed = 0;
	int rc;

	rc = rig_open(r, RIG_SOURCES);
	for (__u32 i = 0; i < MIXED && !rc; i++) {
		__u32 x = rig_random(r);

		if (i < 4)
			x = i == 3; /* three passed, one redirected, nothing read yet */
		if (i < 3)
			x = 1 << 8;
		if (i == MIXED - 1)
			x = 0; /* passed, and all read */
		rc = mixed_step(r, i, x, passed, &n_passed);
	}
	return rc;
}

/* The owner of @slot sees the end of the stream. */
static bool ends(struct rig *r, int slot)
{
	__u32 waits = 0;
	ssize_t got;
	char byte;

	do
		got = recv(r->fd[slot], &byte, 1, MSG_DONTWAIT);
	while (got < 0 && errno == EAGAIN && st_wait(&waits));
	return got == 0;
}

/* A FIN's empty segment, dropped: its owner sees the end, the target lives for the next source. */
int check_skb_fin(struct rig *r)
{
	char got[8];
	int rc;

	rc = rig_open(r, RIG_SOURCES | RIG_SECOND);
	r->st->door = SL_ST_EGRESS;
	if (!rc)
		rc = send_from(r, SL_ST_CLIENT, "one", 3);
	if (rc)
		return rc;
	if (!seen(r, 3) || rig_read(r->fd[SL_ST_SERVER], got, 3) != 3)
		return rig_bad(r, "segments redirected by a verdict do not arrive");
	if (shutdown(r->fd[SL_ST_CLIENT], SHUT_WR))
		return -errno;
	if (!ends(r, SL_ST_FRONT))
		return rig_bad(r, "the owner of a socket with a verdict does not see its end");
	rc = send_from(r, SL_ST_CLIENT2, "two", 3);
	if (rc)
		return rc;
	if (rig_read(r->fd[SL_ST_SERVER], got, 3) != 3 || memcmp(got, "two", 3))
		return rig_bad(r, "a FIN behind redirected bytes ends their target too");
	/* Bytes and FIN in one segment. */
	if (send(r->fd[SL_ST_CLIENT2], "last", 4, MSG_MORE | MSG_NOSIGNAL) != 4 ||
	    shutdown(r->fd[SL_ST_CLIENT2], SHUT_WR))
		return -errno;
	if (rig_read(r->fd[SL_ST_SERVER], got, 4) != 4 || memcmp(got, "last", 4))
		return rig_bad(r, "a redirected segment with FIN does not arrive");
	if (!ends(r, SL_ST_FRONT2))
		return rig_bad(r, "the owner of a socket with a verdict does not see its end");
	return 0;
}
