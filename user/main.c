// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>
#include <string.h>

#include "cmd/cmd.h"
#include "util/suggest.h"

#define SLUICE_VERSION "0.1.0"

static const struct command {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *help;
} commands[] = {
	{"run", sl_cmd_run, "load a config into the kernel and serve it"},
	{"check", sl_cmd_check, "check a config"},
	{"explain", sl_cmd_explain, "say which way a request would take, and why"},
	{"reload", sl_cmd_reload, "apply the changed config file to a running instance"},
	{"weights", sl_cmd_weights, "show or set the weights of a split"},
	{"stats", sl_cmd_stats, "show counters and latencies"},
	{"attach", sl_cmd_attach, "put sluice in front of a port that is in use"},
	{"detach", sl_cmd_detach, "give an attached port back"},
	{"demo", sl_cmd_demo, "three services and sluice in front of them, to try it"},
};

#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void help(FILE *out)
{
	fputs("sluice shifts HTTP traffic between versions of a service, in the kernel.\n\n"
	      "Usage: sluice COMMAND [OPTION]...\n\n",
	      out);
	for (size_t i = 0; i < N_COMMANDS; i++)
		fprintf(out, "  %-9s %s\n", commands[i].name, commands[i].help);
	fputs("\n'sluice COMMAND --help' says more about each. Exit status: 0 done, 1 refused or\n"
	      "found wrong, 2 usage, 3 the kernel or the system said no.\n",
	      out);
}

static int unknown(const char *name)
{
	struct sl_suggest s = {.word = name};

	for (size_t i = 0; i < N_COMMANDS; i++)
		sl_suggest_try(&s, commands[i].name);
	fprintf(stderr, "sluice: unknown command '%s'", name);
	if (s.best)
		fprintf(stderr, "; did you mean '%s'?", s.best);
	fputs("\nTry 'sluice --help'.\n", stderr);
	return SL_EXIT_USAGE;
}

int main(int argc, char **argv)
{
	static char name[32];

	if (argc < 2) {
		help(stderr);
		return SL_EXIT_USAGE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
		help(stdout);
		return SL_EXIT_DONE;
	}
	if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V")) {
		puts("sluice " SLUICE_VERSION);
		return SL_EXIT_DONE;
	}
	for (size_t i = 0; i < N_COMMANDS; i++) {
		if (strcmp(argv[1], commands[i].name) != 0)
			continue;
		/* getopt's messages begin with it. */
		snprintf(name, sizeof(name), "sluice %s", commands[i].name);
		argv[1] = name;
		return commands[i].run(argc - 1, argv + 1);
	}
	return unknown(argv[1]);
}
