// SPDX-License-Identifier: GPL-2.0-only
/* `sluice reload`: asks the instance to read its config again, waits, and tells what it said. */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "attach/instances.h"
#include "attach/lock.h"
#include "cmd/cmd.h"
#include "cmd/reload.h"
#include "daemon/reload.h"
#include "util/parse.h"

#define WAIT_MS 60000
#define STEP_MS 2
#define LOOK_MS 100 /* between two looks whether there is still somebody to answer */

static const char help[] =
	"Usage: sluice reload [-c FILE] [--instance NAME]\n"
	"\n"
	"The instance reads the file that it was started with again and applies it as a whole:\n"
	"open connections go on, the next request sees the new routes. Weights that were set\n"
	"by hand are kept unless the file has changed them. A file that is wrong changes\n"
	"nothing, and what is wrong is told, exit status 1. Changed listeners or another\n"
	"'sluice' section need a restart.\n"
	"\n"
	"  -c, --config FILE  from now on FILE is its config\n"
	"      --instance NAME  the instance (default: default)\n"
	"      --help         this text\n";

static void tell(const char *instance, FILE *out)
{
	char path[PATH_MAX], line[4096];
	FILE *f;

	snprintf(path, sizeof(path), SL_RELOAD_OUTCOME, instance);
	f = fopen(path, "re");
	if (!f)
		return;
	while (fgets(line, sizeof(line), f))
		fputs(line, out);
	fclose(f);
}

/* The instance is to read @config for @wish. 0 or -errno. */
static int want(const char *instance, const char *config, __u64 wish)
{
	char path[PATH_MAX], made[PATH_MAX + 4], file[PATH_MAX];
	FILE *f;
	int rc;

	if (!realpath(config, file))
		return -errno;
	snprintf(path, sizeof(path), SL_RELOAD_WANTED, instance);
	snprintf(made, sizeof(made), "%s.new", path);
	f = fopen(made, "we");
	if (!f)
		return -errno;
	rc = fprintf(f, "%llu\n%s\n", wish, file) < 0 ? -EIO : 0;
	if (fclose(f) && !rc)
		rc = -errno;
	if (!rc && rename(made, path))
		rc = -errno;
	if (rc)
		(void)unlink(made);
	return rc;
}

/* Waits for the answer. 0, or -errno with nothing said. */
static int wait_for(const struct sl_control *c, const char *instance, __u64 wish)
{
	const struct timespec step = {.tv_nsec = STEP_MS * 1000000};

	for (int ms = 0; SL_ACQUIRE(c->reload_answered) != wish; ms += STEP_MS) {
		if (ms >= WAIT_MS)
			return -ETIMEDOUT;
		if (ms % LOOK_MS == 0 && !sl_instance_runs(instance))
			return -ESRCH;
		nanosleep(&step, NULL);
	}
	return 0;
}

/* No other wish has it, not even one that nobody waits for any more. */
static __u64 wish_new(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return now.tv_sec * 1000000000ULL + now.tv_nsec;
}

int sl_reload_ask(const struct sl_maps *m, const char *instance, const char *config,
		  int *ret_status)
{
	struct sl_control *c = m->control;
	__u64 wish = wish_new();
	int rc;

	/* One that was killed has left its pid, which may be another's by now. */
	if (c->supervisor <= 0 || !sl_instance_runs(instance))
		return -ESRCH;
	rc = config ? want(instance, config, wish) : 0;
	if (rc)
		return rc;
	/* Another may send it a signal at any time: which file is ours is known by now. */
	__atomic_store_n(&c->reload_asked, wish, __ATOMIC_RELEASE);
	if (kill(c->supervisor, SIGHUP))
		return -errno;
	rc = wait_for(c, instance, wish);
	if (rc)
		return rc;
	*ret_status = SL_READ(c->reload_status);
	tell(instance, *ret_status ? stderr : stdout);
	return 0;
}

static void say_waiting(void)
{
	fprintf(stderr, "sluice reload: waiting for another command to this instance\n");
}

static int ask(const struct sl_maps *m, const char *instance, const char *config)
{
	/* The answer is to be to our question. Without /run, what needs it says so. */
	int lock = sl_lock_commands(instance, say_waiting);
	int status, rc = sl_reload_ask(m, instance, config, &status);

	if (lock >= 0)
		close(lock);
	if (rc) {
		fprintf(stderr, "sluice reload: instance '%s': %s\n", instance,
			rc == -ESRCH ? "does not run" : strerror(-rc));
		return SL_EXIT_SYSTEM;
	}
	if (!status)
		return SL_EXIT_DONE;
	fprintf(stderr, "sluice reload: refused, nothing is changed\n");
	return SL_EXIT_REFUSED;
}

int sl_cmd_reload(int argc, char **argv)
{
	static const struct option options[] = {
		{"config", required_argument, NULL, 'c'},
		{"instance", required_argument, NULL, 'i'},
		{"help", no_argument, NULL, 'h'},
		{},
	};
	const char *instance = SL_INSTANCE_DEFAULT, *config = NULL;
	struct sl_maps maps;
	int opt, status;

	while ((opt = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
		switch (opt) {
		case 'c':
			config = optarg;
			break;
		case 'i':
			instance = optarg;
			break;
		case 'h':
			fputs(help, stdout);
			return SL_EXIT_DONE;
		default:
			return sl_cmd_usage("reload");
		}
	}
	if (optind != argc) {
		fprintf(stderr, "sluice reload: it takes no other words\n");
		return sl_cmd_usage("reload");
	}
	if (!sl_cmd_instance("reload", instance))
		return SL_EXIT_USAGE;
	status = sl_cmd_open("reload", &maps, instance);
	if (status)
		return status;
	status = ask(&maps, instance, config);
	sl_maps_close(&maps);
	return status;
}
