// SPDX-License-Identifier: GPL-2.0-only
/* The start of an instance in the background. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "attach/lock.h"
#include "cmd/attach.h"
#include "cmd/cmd.h"
#include "cmd/reload.h"
#include "daemon/reload.h"

#define END_MS 15000 /* longest time that an instance may take to end: more than its drain's */

static int cannot(const char *what, const char *path)
{
	fprintf(stderr, "sluice attach: cannot %s %s: %s\n", what, path, strerror(errno));
	return SL_EXIT_SYSTEM;
}

static int write_config(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	size_t len = strlen(text);
	bool whole;

	if (fd < 0)
		return cannot("write", path);
	whole = write(fd, text, len) == (ssize_t)len;
	if (close(fd) || !whole)
		return cannot("write", path);
	return SL_EXIT_DONE;
}

/* The child: `sluice run` in a session of its own; it does not return. */
static void become_instance(const char *config, const char *instance, int out, int log)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	sigset_t none;

	setsid();
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (null < 0 || dup2(null, 0) < 0 || dup2(out, 1) < 0 || dup2(log, 2) < 0)
		_exit(SL_EXIT_SYSTEM);
	execl("/proc/self/exe", "sluice", "run", "-c", config, "--instance", instance,
	      "--until-detached", (char *)NULL);
	_exit(SL_EXIT_SYSTEM);
}

/* True: it serves. False: it ended before. */
static bool wait_ready(int fd)
{
	char text[256] = "";
	size_t len = 0;

	while (len < sizeof(text) - 1) {
		ssize_t n = read(fd, text + len, sizeof(text) - 1 - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		len += n;
		text[len] = '\0';
		if (strstr(text, "sluice: ready\n"))
			return true;
	}
	return false;
}

/* What it had to say, on our stderr. */
static void show_log(const char *path)
{
	FILE *f = fopen(path, "re");
	int c;

	if (!f)
		return;
	while ((c = getc(f)) != EOF)
		putc(c, stderr);
	fclose(f);
}

static int launch(const char *config, const char *instance, const char *log_path)
{
	int log = open(log_path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
	int out[2], status;
	bool ready;
	pid_t pid;

	if (log < 0)
		return cannot("write", log_path);
	if (pipe2(out, O_CLOEXEC)) {
		close(log);
		return cannot("make", "a pipe");
	}
	pid = fork();
	if (!pid)
		become_instance(config, instance, out[1], log);
	close(out[1]);
	close(log);
	ready = pid > 0 && wait_ready(out[0]);
	close(out[0]);
	if (pid < 0)
		return cannot("start", "a process");
	show_log(log_path);
	if (ready)
		return SL_EXIT_DONE;
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status)) {
		fprintf(stderr,
			"sluice attach: instance '%s' was killed before it served; new "
			"connections go to the application, as before\n",
			instance);
		return SL_EXIT_SYSTEM;
	}
	return WEXITSTATUS(status) ? WEXITSTATUS(status) : SL_EXIT_SYSTEM;
}

bool sl_attach_wait(const char *instance, bool (*until)(const char *instance, void *ctx), void *ctx)
{
	const struct timespec pause = {.tv_nsec = 5000000};

	for (int i = 0; i < END_MS / 5; i++) {
		if (!sl_instance_runs(instance))
			return true;
		if (until && until(instance, ctx))
			return false;
		nanosleep(&pause, NULL);
	}
	return false;
}

/*
 * Ends p's instance, so that another takes its place: it gives its addresses back, finishes what it
 * has in hand, and lets go of its lock.
 */
static int end_running(const struct sl_attach_plan *p)
{
	if (kill(p->maps.control->supervisor, SIGTERM))
		return cannot("end", "the running instance");
	if (sl_attach_wait(p->instance, NULL, NULL))
		return SL_EXIT_DONE;
	errno = ETIMEDOUT;
	return cannot("end", "the running instance");
}

int sl_attach_steer(const struct sl_attach_plan *p, const struct sl_attach_args *args, int point)
{
	int lock = sl_lock_steering(), rc = -ENOENT;
	int status = sl_attach_check_others(p);

	if (status == SL_EXIT_DONE && point >= 0)
		rc = sl_point_on(&p->maps, point, p->all, p->n_all);
	/* Asked last: a worker that ends says so first, and then gives everything back. */
	if (!rc && (SL_READ(p->maps.control->flags) & SL_C_ENDING)) {
		sl_point_off(&p->maps, point);
		rc = -ESHUTDOWN;
	}
	if (lock >= 0)
		close(lock);
	if (status != SL_EXIT_DONE || !rc)
		return status;
	if (rc == -ESHUTDOWN)
		fprintf(stderr, "sluice attach: instance '%s' has begun to end; try again\n",
			p->instance);
	else
		fprintf(stderr, "sluice attach: cannot steer %s: %s\n", args->text, strerror(-rc));
	return rc == -ESHUTDOWN ? SL_EXIT_REFUSED : SL_EXIT_SYSTEM;
}

int sl_attach_replace(const struct sl_attach_plan *p, const struct sl_attach_args *args)
{
	int refused, rc = sl_reload_ask(&p->maps, p->instance, args->config, &refused);

	if (rc) {
		fprintf(stderr, "sluice attach: instance '%s' does not answer: %s\n", p->instance,
			strerror(-rc));
		return SL_EXIT_SYSTEM;
	}
	if (!refused)
		return sl_attach_steer(p, args, sl_point_find(&p->maps, &args->address, p->cookie));
	if (refused != SL_RELOAD_NEEDS_RESTART)
		return SL_EXIT_REFUSED;
	return sl_attach_start(p, args);
}

int sl_attach_start(const struct sl_attach_plan *p, const struct sl_attach_args *args)
{
	char config[128], log[128];
	int status;

	if (mkdir(SL_RUN_DIR, 0700) && errno != EEXIST)
		return cannot("make", SL_RUN_DIR);
	status = p->replace ? end_running(p) : SL_EXIT_DONE;
	if (status != SL_EXIT_DONE)
		return status;
	snprintf(config, sizeof(config), SL_RUN_DIR "/%s.yaml", p->instance);
	snprintf(log, sizeof(log), SL_RUN_DIR "/%s.log", p->instance);
	if (p->generated) {
		status = write_config(config, p->generated);
		if (status != SL_EXIT_DONE)
			return status;
	}
	status = launch(p->generated ? config : args->config, p->instance, log);
	if (status == SL_EXIT_DONE && p->generated)
		printf("Started instance '%s' with %s; its log is %s.\n", p->instance, config, log);
	else if (status == SL_EXIT_DONE)
		printf("Started instance '%s'; its log is %s.\n", p->instance, log);
	return status;
}
