// SPDX-License-Identifier: GPL-2.0-only
/*
 * sl_rcu_wait() waits for a program that is under way, and for none that is not; nobody waits for
 * the end of a process that is in it.
 */
#include <signal.h>
#include <sys/wait.h>

#include "kernel/rcu.h"

#include "stand.h"

static struct sl_rcu *rcu;
static bool begun, over;

static void clean_up(void)
{
	stand_bpf__destroy(stand);
}

static void *wait_for_it(void *arg)
{
	__atomic_store_n(&begun, true, __ATOMIC_RELEASE);
	sl_rcu_wait(rcu);
	__atomic_store_n(&over, true, __ATOMIC_RELEASE);
	return arg;
}

static bool is_over(void)
{
	return __atomic_load_n(&over, __ATOMIC_ACQUIRE);
}

/* A process that waits. */
static pid_t process_that_waits(void)
{
	const __u32 asked = SL_READ(rcu->asked);
	pid_t pid = fork();

	if (!pid) {
		sl_rcu_wait(rcu);
		_exit(0);
	}
	while (SL_READ(rcu->asked) == asked)
		usleep(1000);
	usleep(STANDS_US);
	return pid;
}

static bool ends_soon(pid_t pid)
{
	const __u64 tries = STANDS_US / 1000;
	int status;

	for (__u64 i = 0; i < tries; i++) {
		if (waitpid(pid, &status, WNOHANG) == pid)
			return WIFSIGNALED(status);
		usleep(1000);
	}
	return false;
}

int main(void)
{
	pthread_t waits;
	pid_t pid;

	atexit(clean_up);
	stand_load();
	if (sl_rcu_open(&rcu))
		die("sl_rcu_open", "no thread");
	sl_rcu_wait(rcu);
	sl_rcu_wait(rcu);
	check(true, "the wait ends where nothing is waited for");
	stand_begin();
	if (pthread_create(&waits, NULL, wait_for_it, NULL))
		die("pthread_create", strerror(errno));
	while (!__atomic_load_n(&begun, __ATOMIC_ACQUIRE))
		usleep(1000);
	pid = process_that_waits();
	check(!is_over(), "it lasts while a program runs that had begun before");
	check(!kill(pid, SIGKILL) && ends_soon(pid), "a process in it ends when it is killed");
	stand_end();
	(void)pthread_join(waits, NULL);
	check(is_over(), "it ends when the program has ended");
	printf("%d passed, %d failed\n", passed, failed);
	return failed ? 1 : 0;
}
