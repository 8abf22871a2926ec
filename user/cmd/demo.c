// SPDX-License-Identifier: GPL-2.0-only
/* sluice demo: the front-proxy tutorial in one command. */
#include "cmd/cmd.h"

#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/demo.h"
#include "util/parse.h"

static const char help[] =
	"Usage: sluice demo [--instance NAME]\n"
	"\n"
	"Starts three demo services on 127.0.0.1 (service1 on port 9001, service1a on 9002,\n"
	"service2 on 9003) and sluice in front of them on port 8000, with a header route and\n"
	"a 25/75 split, and says what to try. Ctrl-C ends it and cleans up.\n"
	"\n"
	"  --instance NAME  the instance (default: default)\n"
	"  --help           this text\n";

/* How to call this very program, from the current directory, as we were called. */
static void own_name(char *ret, size_t size)
{
	char exe[PATH_MAX] = "", cwd[PATH_MAX];
	size_t len;

	if (readlink("/proc/self/exe", exe, sizeof(exe) - 1) < 0)
		strcpy(exe, "sluice");
	if (getcwd(cwd, sizeof(cwd))) {
		len = strlen(cwd);
		if (!strncmp(exe, cwd, len) && exe[len] == '/') {
			snprintf(ret, size, "%s", exe + len + 1);
			return;
		}
	}
	snprintf(ret, size, "%s", exe);
}

static void say_what_next(const struct sl_demo *d)
{
	char name[PATH_MAX], instance[SL_INSTANCE_MAX + 16] = "";
	const char *sudo;

	own_name(name, sizeof(name));
	if (strcmp(d->instance, SL_INSTANCE_DEFAULT) != 0)
		snprintf(instance, sizeof(instance), " --instance %s", d->instance);
	sudo = getenv("SUDO_USER") ? "sudo " : "";
	printf("\nThe demo runs: three services, and sluice in front of them on port %d.\n"
	       "The config is %s. Try, in another terminal:\n\n",
	       SL_DEMO_FRONT_PORT, d->config);
	printf("One request in four goes to the new version, service1a:\n"
	       "  for i in 1 2 3 4; do curl http://127.0.0.1:%d/service/1; done\n"
	       "All with the canary's header do:\n"
	       "  curl -H 'x-canary-version: service1a' http://127.0.0.1:%d/service/1\n\n",
	       SL_DEMO_FRONT_PORT, SL_DEMO_FRONT_PORT);
	printf("Half of them; then all; the next request sees it:\n"
	       "  %s%s weights%s service1 service1a=50 service1=50\n"
	       "  %s%s weights%s service1 service1a=100 service1=0\n\n",
	       sudo, name, instance, sudo, name, instance);
	printf("What was counted, and the weights as the kernel holds them:\n"
	       "  %s%s stats%s\n"
	       "  %sbpftool map dump pinned %s/%s/splits\n\n"
	       "Ctrl-C ends the demo.\n",
	       sudo, name, instance, sudo, SL_PIN_ROOT, d->instance);
	fflush(stdout);
}

static int run_demo(const char *instance)
{
	struct sl_demo d;
	int status;

	if (sl_demo_start(&d, instance, &status)) {
		say_what_next(&d);
		status = sl_demo_wait(&d);
	}
	sl_demo_stop(&d);
	return status;
}

int sl_cmd_demo(int argc, char **argv)
{
	static const struct option options[] = {
		{"instance", required_argument, NULL, 'i'},
		{"help", no_argument, NULL, 'h'},
		{},
	};
	const char *instance = SL_INSTANCE_DEFAULT;
	int opt;

	optind = 1;
	while ((opt = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (opt) {
		case 'i':
			instance = optarg;
			break;
		case 'h':
			fputs(help, stdout);
			return SL_EXIT_DONE;
		default:
			return sl_cmd_usage("demo");
		}
	}
	if (optind < argc) {
		fprintf(stderr, "sluice demo: unexpected '%s'\n", argv[optind]);
		return sl_cmd_usage("demo");
	}
	if (!sl_cmd_instance("demo", instance))
		return SL_EXIT_USAGE;
	return run_demo(instance);
}
