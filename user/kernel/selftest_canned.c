// SPDX-License-Identifier: GPL-2.0-only
/*
 * sk_msg: a message that the program writes over and redirects into its own sender, as the data
 * path answers requests itself (bpf/canned.bpf.h). The sender must get what was written, and
 * whatever it sent the message from must stay as it was.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "kernel/selftest_checks.h"

#define ANSWER_BYTES 419 /* not a multiple of a word */
#define ANSWERS 64

struct source {
	int pipe[2];
	int file;
	unsigned char *bytes; /* of the file, mapped */
};

static int take_answer(struct rig *r, size_t n, const char *how)
{
	unsigned char buf[SL_ST_ANSWER_MAX];
	int waiting = -1;
	size_t got;

	if (ioctl(r->fd[SL_ST_CLIENT], FIONREAD, &waiting) || waiting != (int)n)
		return rig_bad(r, "FIONREAD says %d for an answer of %zu bytes in place (%s)",
			       waiting, n, how);
	got = rig_read(r->fd[SL_ST_CLIENT], buf, n);
	if (got != n)
		return rig_bad(r, "of an answer of %zu bytes in place %zu arrive (%s)", n, got,
			       how);
	for (size_t i = 0; i < n; i++)
		if (buf[i] != SL_ST_ANSWER)
			return rig_bad(r,
				       "byte %zu of an answer in place is not what was written "
				       "(%s)",
				       i, how);
	return 0;
}

static int expect_same(struct rig *r, const unsigned char *bytes, size_t n, const char *how)
{
	for (size_t i = 0; i < n; i++)
		if (bytes[i] != rig_byte(i))
			return rig_bad(r,
				       "writing into a message changes what it was sent from "
				       "(%s)",
				       how);
	return 0;
}

/* Sizes up to a head's, so that some begin in one page fragment and end in the next. */
static int answer_sends(struct rig *r)
{
	unsigned char buf[SL_ST_ANSWER_MAX];
	int rc = 0;

	for (size_t i = 0; i < sizeof(buf); i++)
		buf[i] = rig_byte(i);
	for (size_t k = 0; k < ANSWERS && !rc; k++) {
		size_t n = k % 4 ? ANSWER_BYTES + k : sizeof(buf) - k;

		if (send(r->fd[SL_ST_CLIENT], buf, n, MSG_NOSIGNAL) != (ssize_t)n)
			return rig_bad(r, "a send that is answered in place fails: %s",
				       strerror(errno));
		rc = take_answer(r, n, "send");
		if (!rc)
			rc = expect_same(r, buf, n, "send");
	}
	return rc;
}

static int answer_source(struct rig *r, struct source *s)
{
	const int fd = r->fd[SL_ST_CLIENT];
	struct iovec iov = {s->bytes, ANSWER_BYTES};
	off_t off = 0;
	int rc;

	if (sendfile(fd, s->file, &off, ANSWER_BYTES) != ANSWER_BYTES)
		return rig_bad(r, "sendfile: %s", strerror(errno));
	rc = take_answer(r, ANSWER_BYTES, "sendfile");
	if (!rc)
		rc = expect_same(r, s->bytes, ANSWER_BYTES, "sendfile");
	if (rc)
		return rc;
	if (vmsplice(s->pipe[1], &iov, 1, 0) != ANSWER_BYTES ||
	    splice(s->pipe[0], NULL, fd, NULL, ANSWER_BYTES, 0) != ANSWER_BYTES)
		return rig_bad(r, "splice: %s", strerror(errno));
	rc = take_answer(r, ANSWER_BYTES, "splice");
	return rc ? rc : expect_same(r, s->bytes, ANSWER_BYTES, "splice");
}

static int answer_files(struct rig *r)
{
	struct source s = {.file = memfd_create("sluice-selftest", MFD_CLOEXEC)};
	int rc = -errno;

	if (s.file < 0)
		return rc;
	rc = pipe2(s.pipe, O_CLOEXEC) ? -errno : 0;
	if (rc)
		goto out_file;
	rc = ftruncate(s.file, SL_ST_ANSWER_MAX) ? -errno : 0;
	s.bytes = rc ? MAP_FAILED
		     : mmap(NULL, SL_ST_ANSWER_MAX, PROT_READ | PROT_WRITE, MAP_SHARED, s.file, 0);
	if (!rc && s.bytes == MAP_FAILED)
		rc = -errno;
	if (rc)
		goto out;
	for (size_t i = 0; i < SL_ST_ANSWER_MAX; i++)
		s.bytes[i] = rig_byte(i);
	rc = answer_source(r, &s);
	munmap(s.bytes, SL_ST_ANSWER_MAX);
out:
	close(s.pipe[0]);
	close(s.pipe[1]);
out_file:
	close(s.file);
	return rc;
}

/* TCP goes on beside it, both ways. */
static int pass_both_ways(struct rig *r)
{
	unsigned char out[ANSWER_BYTES], in[ANSWER_BYTES];

	r->st->door = SL_ST_PASS;
	for (int down = 0; down < 2; down++) {
		const int from = r->fd[down ? SL_ST_FRONT : SL_ST_CLIENT];
		const int to = r->fd[down ? SL_ST_CLIENT : SL_ST_FRONT];

		memset(out, 'A' + down, sizeof(out));
		if (send(from, out, sizeof(out), MSG_NOSIGNAL) != sizeof(out) ||
		    rig_read(to, in, sizeof(in)) != sizeof(in) || memcmp(in, out, sizeof(in)))
			return rig_bad(r, "beside answers in place TCP does not go on (%s)",
				       down ? "down" : "up");
	}
	r->st->door = SL_ST_SELF;
	return 0;
}

int check_answers(struct rig *r)
{
	int rc = rig_open(r, RIG_APPS);

	r->st->door = SL_ST_SELF;
	for (int i = 0; i < 2 && !rc; i++) {
		rc = answer_sends(r);
		if (!rc)
			rc = answer_files(r);
		if (!rc)
			rc = pass_both_ways(r);
	}
	return rc;
}
