// SPDX-License-Identifier: GPL-2.0-only
#include "cmd/demo.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "demo/service.h"

static const struct service {
	const char *name;
	__u16 port;
} services[SL_DEMO_SERVICES] = {
	{"service1", 9001},
	{"service1a", 9002},
	{"service2", 9003},
};

/*
 * A child in a process group of its own, so that Ctrl-C reaches only us and we end the parts
 * in order; it is ended when we die. Returns as fork() does.
 */
static pid_t fork_part(void)
{
	pid_t parent = getpid(), pid;

	fflush(NULL);
	pid = fork();
	if (pid)
		return pid;
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		_exit(SL_EXIT_SYSTEM);
	return 0;
}

static int port_error(__u16 port, int err)
{
	if (err == -EADDRINUSE)
		fprintf(stderr,
			"sluice demo: port %u is in use; 'ss -ltnp sport = :%u' says by whom\n",
			port, port);
	else
		fprintf(stderr, "sluice demo: cannot listen on 127.0.0.1:%u: %s\n", port,
			strerror(-err));
	return SL_EXIT_SYSTEM;
}

/* All ports before the first process: then a port in use leaves nothing to undo. */
static int take_ports(struct sl_demo *d)
{
	int fd = sl_demo_listen(SL_DEMO_FRONT_PORT);

	if (fd < 0)
		return port_error(SL_DEMO_FRONT_PORT, fd);
	close(fd);
	for (size_t i = 0; i < SL_DEMO_SERVICES; i++) {
		d->listen_fds[i] = sl_demo_listen(services[i].port);
		if (d->listen_fds[i] < 0)
			return port_error(services[i].port, d->listen_fds[i]);
	}
	return SL_EXIT_DONE;
}

static int start_service(struct sl_demo *d, size_t i)
{
	sigset_t stop;
	pid_t pid = fork_part();

	if (pid < 0) {
		fprintf(stderr, "sluice demo: fork: %s\n", strerror(errno));
		return SL_EXIT_SYSTEM;
	}
	if (!pid) {
		for (size_t other = 0; other < SL_DEMO_SERVICES; other++)
			if (other != i)
				close(d->listen_fds[other]);
		sigemptyset(&stop);
		sigaddset(&stop, SIGTERM);
		_exit(sl_demo_serve(services[i].name, d->listen_fds[i], &stop) ? SL_EXIT_SYSTEM
									       : SL_EXIT_DONE);
	}
	d->services[i] = pid;
	close(d->listen_fds[i]);
	d->listen_fds[i] = -1;
	return SL_EXIT_DONE;
}

static int write_config(struct sl_demo *d)
{
	size_t size = sl_demo_config_end - sl_demo_config;
	char path[] = "/tmp/sluice-demo-XXXXXX.yaml";
	int fd = mkstemps(path, 5);
	bool failed;

	if (fd < 0) {
		fprintf(stderr, "sluice demo: cannot make %s: %s\n", path, strerror(errno));
		return SL_EXIT_SYSTEM;
	}
	strcpy(d->config, path);
	failed = write(fd, sl_demo_config, size) != (ssize_t)size;
	if (close(fd) || failed) {
		fprintf(stderr, "sluice demo: cannot write %s\n", path);
		return SL_EXIT_SYSTEM;
	}
	return SL_EXIT_DONE;
}

static int start_sluice(struct sl_demo *d)
{
	char *argv[] = {"run", "-c", d->config, "--instance", (char *)d->instance, NULL};
	pid_t pid = fork_part();

	if (pid < 0) {
		fprintf(stderr, "sluice demo: fork: %s\n", strerror(errno));
		return SL_EXIT_SYSTEM;
	}
	if (!pid) {
		sigprocmask(SIG_SETMASK, &d->old_signals, NULL);
		optind = 0; /* getopt starts afresh */
		exit(sl_cmd_run(5, argv));
	}
	d->sluice = pid;
	return SL_EXIT_DONE;
}

/* Whether our own `sluice run` has started its worker: then all is loaded and attached. */
static bool serves(const struct sl_demo *d)
{
	struct sl_maps maps;
	bool ready;

	if (sl_maps_open(&maps, d->instance))
		return false;
	ready = maps.control->supervisor == d->sluice && maps.control->worker > 0;
	sl_maps_close(&maps);
	return ready;
}

/*
 * Looks after ended children. True when one has ended, none of which ever should: then
 * @ret_status is the exit status to end with.
 */
static bool part_ended(struct sl_demo *d, int *ret_status)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		*ret_status = WIFEXITED(status) ? WEXITSTATUS(status) : SL_EXIT_SYSTEM;
		if (pid == d->sluice) {
			d->sluice = 0;
			if (*ret_status == SL_EXIT_DONE)
				fputs("sluice demo: 'sluice run' was ended\n", stderr);
			else
				fprintf(stderr, "sluice demo: 'sluice run' failed\n");
			return true;
		}
		for (size_t i = 0; i < SL_DEMO_SERVICES; i++) {
			if (pid != d->services[i])
				continue;
			d->services[i] = 0;
			fprintf(stderr, "sluice demo: %s ended\n", services[i].name);
			*ret_status = SL_EXIT_SYSTEM;
			return true;
		}
	}
	return false;
}

/*
 * Waits for a signal that ends the demo, or until sluice serves (@until_ready).
 * True: go on; false: end with *@ret_status.
 */
static bool wait_for(struct sl_demo *d, bool until_ready, int *ret_status)
{
	const struct timespec poll = {.tv_nsec = 50 * 1000 * 1000};

	for (;;) {
		int got = sigtimedwait(&d->signals, NULL, until_ready ? &poll : NULL);

		if (part_ended(d, ret_status))
			return false;
		if (got > 0 && got != SIGCHLD) {
			*ret_status = SL_EXIT_DONE;
			return false;
		}
		if (until_ready && serves(d))
			return true;
	}
}

bool sl_demo_start(struct sl_demo *d, const char *instance, int *ret_status)
{
	int status;

	*d = (struct sl_demo){.instance = instance, .listen_fds = {-1, -1, -1}};
	sigemptyset(&d->signals);
	sigaddset(&d->signals, SIGINT);
	sigaddset(&d->signals, SIGTERM);
	sigaddset(&d->signals, SIGHUP);
	sigaddset(&d->signals, SIGCHLD);
	sigprocmask(SIG_BLOCK, &d->signals, &d->old_signals);

	status = take_ports(d);
	for (size_t i = 0; i < SL_DEMO_SERVICES && !status; i++)
		status = start_service(d, i);
	if (!status)
		status = write_config(d);
	if (!status)
		status = start_sluice(d);
	*ret_status = status;
	return !status && wait_for(d, true, ret_status);
}

int sl_demo_wait(struct sl_demo *d)
{
	int status = SL_EXIT_DONE;

	wait_for(d, false, &status);
	return status;
}

static void end_part(pid_t pid)
{
	if (!pid)
		return;
	kill(pid, SIGTERM);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

/* sluice first: what is in flight still needs the services. */
void sl_demo_stop(struct sl_demo *d)
{
	end_part(d->sluice);
	for (size_t i = 0; i < SL_DEMO_SERVICES; i++) {
		end_part(d->services[i]);
		if (d->listen_fds[i] >= 0)
			close(d->listen_fds[i]);
	}
	if (d->config[0])
		unlink(d->config);
}
