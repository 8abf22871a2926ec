// SPDX-License-Identifier: GPL-2.0-only
/* sl_rcu_wait() waits for a program that is under way, and for none that is not. */
#include "kernel/rcu.h"

#include "stand.h"

static struct sl_rcu rcu;
static int rc;
static bool begun, over;

static void clean_up(void)
{
	stand_bpf__destroy(stand);
}

static void *wait_for_it(void *arg)
{
	__atomic_store_n(&begun, true, __ATOMIC_RELEASE);
	rc = sl_rcu_wait(&rcu);
	__atomic_store_n(&over, true, __ATOMIC_RELEASE);
	return arg;
}

static bool is_over(void)
{
	return __atomic_load_n(&over, __ATOMIC_ACQUIRE);
}

int main(void)
{
	pthread_t waits;

	atexit(clean_up);
	stand_load();
	if (sl_rcu_open(&rcu))
		die("sl_rcu_open", strerror(errno));
	check(!sl_rcu_wait(&rcu) && !sl_rcu_wait(&rcu),
	      "the wait ends where nothing is waited for");
	stand_begin();
	if (pthread_create(&waits, NULL, wait_for_it, NULL))
		die("pthread_create", strerror(errno));
	while (!__atomic_load_n(&begun, __ATOMIC_ACQUIRE))
		usleep(1000);
	usleep(STANDS_US);
	check(!is_over(), "it lasts while a program runs that had begun before");
	stand_end();
	(void)pthread_join(waits, NULL);
	check(is_over() && !rc, "it ends when the program has ended");
	sl_rcu_close(&rcu);
	check(sl_rcu_wait(&rcu) < 0, "without its maps it says that it did not wait");
	printf("%d passed, %d failed\n", passed, failed);
	return failed ? 1 : 0;
}
