// SPDX-License-Identifier: GPL-2.0-only
/*
 * The start-up self-test, on this kernel: everything passes; and with a fault planted the check
 * that is there for it fails, and says so. Needs root.
 */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "kernel/selftest.h"
#include "sl_selftest.h"

/* On an idle machine it takes some 100 ms; a start that takes this long is a defect. */
#define MAX_MS 3000

static int passed, failed;

static void check(bool ok, const char *name, const char *said)
{
	if (ok)
		passed++;
	else
		failed++;
	printf("%s %s%s%s\n", ok ? "ok  " : "FAIL", name, said[0] ? ": " : "", said);
}

static long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void test_good(void)
{
	struct sl_selftest t;
	long start = now_ms();
	char took[32];
	int rc = sl_selftest_run(&t);

	snprintf(took, sizeof(took), "%ld ms", now_ms() - start);
	check(!rc, "it runs", rc ? strerror(-rc) : "");
	if (rc)
		return;
	check(t.colocated && !t.why_colocated[0], "co-located doors", t.why_colocated);
	check(t.canned && !t.why_canned[0], "answers in place", t.why_canned);
	check(now_ms() - start < MAX_MS, "in time", took);
}

/* With @planted the doors fail by the check @name and with the words @why. */
static void test_planted(__u32 planted, const char *name, const char *why)
{
	struct sl_selftest t = {};
	const char *said = t.why_colocated;
	int rc = sl_selftest_run_planted(&t, planted);
	char title[128];

	snprintf(title, sizeof(title), "planted %#x", planted);
	if (rc) {
		check(false, title, strerror(-rc));
		return;
	}
	check(!t.colocated && !strncmp(said, name, strlen(name)) && strstr(said, why), title,
	      said[0] ? said : "the check did not notice");
}

/* The same for answers in place, without which the doors work. */
static void test_planted_answers(void)
{
	struct sl_selftest t = {};
	int rc = sl_selftest_run_planted(&t, SL_ST_NO_WRITE);

	check(!rc && !t.canned && t.colocated && strstr(t.why_canned, "not what was written"),
	      "planted, answers in place",
	      rc		? strerror(-rc)
	      : t.why_canned[0] ? t.why_canned
				: "the check did not notice");
}

/* A namespace whose loopback is down: the checks would blame the kernel; nothing is known. */
static void test_no_loopback(void)
{
	struct sl_selftest t;
	char said[64] = "";
	int rc;

	if (unshare(CLONE_NEWNET)) {
		check(false, "unshare(CLONE_NEWNET)", strerror(errno));
		return;
	}
	rc = sl_selftest_run(&t);
	if (rc >= 0)
		snprintf(said, sizeof(said), "it ran: %d", rc);
	check(rc < 0, "without a loopback it cannot run", rc < 0 ? strerror(-rc) : said);
}

int main(void)
{
	test_good();
	test_planted(SL_ST_NO_VERDICT, "FIONREAD", "FIONREAD says 0 for 498 bytes");
	test_planted(SL_ST_WRONG_SOCK, "TCP counters", "write_seq says 0");
	test_planted(SL_ST_WRONG_BACKLOG, "reader's backlog", "sk_rmem_alloc says 0");
	test_planted(SL_ST_NO_ORDER, "order", "do not arrive in order");
	test_planted(SL_ST_NO_BACKLOG, "overflow", "a reader that does not read was given");
	test_planted(SL_ST_NO_ROOM, "egress redirect", "EAGAIN while its socket is writable");
	test_planted(SL_ST_NO_FLAGS, "egress redirect", "MSG_OOB of system call");
	test_planted_answers();
	/* And no fault stays behind. */
	test_good();
	test_no_loopback();
	printf("%d passed, %d failed\n", passed, failed);
	return failed ? 1 : 0;
}
