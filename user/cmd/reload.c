// SPDX-License-Identifier: GPL-2.0-only
/* `sluice reload`: asks the instance to read its config again, waits, and tells what it said. */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cmd/cmd.h"
#include "daemon/reload.h"
#include "util/parse.h"

#define WAIT_MS 60000
#define STEP_MS 2

static const char help[] =
	"Usage: sluice reload [--instance NAME]\n"
	"\n"
	"The instance reads the file that it was started with again and applies it as a whole:\n"
	"open connections go on, the next request sees the new routes. Weights that were set\n"
	"by hand are kept unless the file has changed them. A file that is wrong changes\n"
	"nothing, and what is wrong is told, exit status 1. Changed listeners or another\n"
	"'sluice' section need a restart.\n"
	"\n"
	"  --instance NAME  the instance (default: default)\n"
	"  --help           this text\n";

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

static int ask(const struct sl_maps *m, const char *instance)
{
	const struct timespec step = {.tv_nsec = STEP_MS * 1000000};
	struct sl_control *c = m->control;
	__u64 before = SL_READ(c->reloads);
	__u32 status;

	if (c->supervisor <= 0 || kill(c->supervisor, SIGHUP)) {
		fprintf(stderr, "sluice reload: instance '%s' does not run\n", instance);
		return SL_EXIT_SYSTEM;
	}
	for (int ms = 0; SL_READ(c->reloads) == before; ms += STEP_MS) {
		if (ms >= WAIT_MS) {
			fprintf(stderr, "sluice reload: no answer in %d s\n", WAIT_MS / 1000);
			return SL_EXIT_SYSTEM;
		}
		nanosleep(&step, NULL);
	}
	status = SL_READ(c->reload_status);
	tell(instance, status ? stderr : stdout);
	if (!status)
		return SL_EXIT_DONE;
	fprintf(stderr, "sluice reload: refused, nothing is changed\n");
	return SL_EXIT_REFUSED;
}

int sl_cmd_reload(int argc, char **argv)
{
	static const struct option options[] = {
		{"instance", required_argument, NULL, 'i'},
		{"help", no_argument, NULL, 'h'},
		{},
	};
	const char *instance = SL_INSTANCE_DEFAULT;
	struct sl_maps maps;
	int opt, status;

	while ((opt = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (opt) {
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
	status = ask(&maps, instance);
	sl_maps_close(&maps);
	return status;
}
