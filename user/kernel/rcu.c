// SPDX-License-Identifier: GPL-2.0-only
/*
 * By an update of a map of maps, which the kernel returns from when no program can have the inner
 * map from before (maybe_wait_bpf_programs(): synchronize_rcu() or its expedited kin, since Linux
 * 4.20, whether a program knows the map or not, and the inner map may be the same again).
 * membarrier(MEMBARRIER_CMD_GLOBAL) is none: with one CPU online it returns at once, though a
 * program may have been preempted there, and with nohz_full it is refused.
 *
 * A process ends only when its thread in there has come back, SIGKILL or not. So who asks does not
 * go there itself: it sleeps on a futex.
 */
#include "kernel/rcu.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>

#define NAME "sl_rcu"
#define AGAIN_NS 20000000 /* behind an update that was refused */

/* Until *@word is not @value, or seems so. */
static void sleep_while(const __u32 *word, __u32 value)
{
	(void)syscall(SYS_futex, word, FUTEX_WAIT, value, NULL, NULL, 0);
}

static void wake_all(const __u32 *word)
{
	(void)syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

static void *serve(void *arg)
{
	const struct timespec again = {.tv_nsec = AGAIN_NS};
	struct sl_rcu *r = arg;
	const __u32 zero = 0;

	pthread_setname_np(pthread_self(), "sluice-rcu");
	for (;;) {
		__u32 asked = __atomic_load_n(&r->asked, __ATOMIC_SEQ_CST);

		if (asked == r->over) {
			sleep_while(&r->asked, asked);
		} else if (bpf_map_update_elem(SL_READ(r->outer_fd), &zero, &r->inner_fd,
					       BPF_ANY)) {
			nanosleep(&again, NULL);
		} else {
			__atomic_store_n(&r->over, asked, __ATOMIC_SEQ_CST);
			wake_all(&r->over);
		}
	}
	return NULL;
}

static int open_maps(struct sl_rcu *r)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts);
	const __u32 size = sizeof(__u32);

	r->inner_fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, NAME, size, size, 1, NULL);
	if (r->inner_fd < 0)
		return r->inner_fd;
	opts.inner_map_fd = r->inner_fd;
	r->outer_fd = bpf_map_create(BPF_MAP_TYPE_ARRAY_OF_MAPS, NAME, size, size, 1, &opts);
	return r->outer_fd < 0 ? r->outer_fd : 0;
}

static int start(struct sl_rcu *r)
{
	pthread_t thread;
	int rc = -pthread_create(&thread, NULL, serve, r);

	if (!rc)
		pthread_detach(thread);
	return rc;
}

int sl_rcu_open(struct sl_rcu **ret)
{
	struct sl_rcu *r =
		mmap(NULL, sizeof(*r), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int rc;

	if (r == MAP_FAILED)
		return -errno;
	r->inner_fd = r->outer_fd = -1;
	rc = open_maps(r);
	if (!rc)
		rc = start(r);
	if (!rc) {
		*ret = r;
		return 0;
	}
	if (r->inner_fd >= 0)
		close(r->inner_fd);
	if (r->outer_fd >= 0)
		close(r->outer_fd);
	munmap(r, sizeof(*r));
	return rc;
}

void sl_rcu_wait(struct sl_rcu *r)
{
	const __u32 mine = __atomic_add_fetch(&r->asked, 1, __ATOMIC_SEQ_CST);
	__u32 over;

	wake_all(&r->asked);
	while ((over = __atomic_load_n(&r->over, __ATOMIC_SEQ_CST)), (__s32)(over - mine) < 0)
		sleep_while(&r->over, over);
}
