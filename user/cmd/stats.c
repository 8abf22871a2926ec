// SPDX-License-Identifier: GPL-2.0-only
/* sluice stats: counters, latencies and the state of the tables, from the pinned maps. */
#include "cmd/stats.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "util/parse.h"

static const char help[] =
	"Usage: sluice stats [--instance NAME] [--json] [--watch [SECONDS]] [--check]\n"
	"\n"
	"Shows requests, status classes and latencies by route and by cluster, which share of\n"
	"them the kernel path served (KERNEL) and why the others took the user path, open\n"
	"sessions, and lanes (connections to backends). NONE counts exchanges that ended\n"
	"without an answer. Works on the pinned maps: no daemon has to run.\n"
	"\n"
	"  --instance NAME    the instance (default: default)\n"
	"  --json             as JSON\n"
	"  --watch [SECONDS]  again every SECONDS (default: 1), with the rate\n"
	"  --check            prove that every session and lane is in exactly one place;\n"
	"                     exit status 1 and a line for each that is not\n"
	"  --help             this text\n";

struct stats_options {
	const char *instance;
	bool json;
	bool check;
	__u32 watch; /* seconds; 0: once */
};

static int check(const struct sl_maps *m)
{
	static struct sl_snapshot s;
	int wrong = sl_conservation_check(m, stdout);

	if (wrong < 0) {
		fprintf(stderr, "sluice stats: cannot check the tables: %s\n", strerror(-wrong));
		return SL_EXIT_SYSTEM;
	}
	sl_snapshot_take(m, &s);
	printf("sessions %u open: %u in a kernel exchange, %u the daemon's\n"
	       "lanes    %u open: %u idle, %u in a kernel exchange, %u the daemon's\n"
	       "%d out of place\n",
	       s.census.sessions, s.census.in_exchange, s.census.in_user, s.census.lanes,
	       s.census.lane_states[SL_LANE_IDLE], s.census.lane_states[SL_LANE_KERNEL],
	       s.census.lane_states[SL_LANE_USER], wrong);
	return wrong ? SL_EXIT_REFUSED : SL_EXIT_DONE;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static int show(const struct sl_maps *m, const struct stats_options *o)
{
	/* Hundreds of kilobytes each. */
	static struct sl_snapshot snapshots[2];
	struct sl_snapshot *before = NULL;
	double then = 0;
	int status;

	for (int i = 0;; i ^= 1) {
		double at = now();

		sl_snapshot_take(m, &snapshots[i]);
		if (o->watch && !o->json && isatty(STDOUT_FILENO))
			fputs("\033[H\033[2J", stdout);
		else if (before && !o->json)
			putchar('\n');
		if (o->json)
			status = sl_stats_print_json(m, o->instance, &snapshots[i]);
		else
			status = sl_stats_print(m, o->instance, &snapshots[i], before, at - then);
		if (status || !o->watch)
			return status;
		before = &snapshots[i];
		then = at;
		sleep(o->watch);
	}
}

/* Seconds of --watch, which may stand in the next word. -1: not a number. */
static int watch_seconds(int argc, char **argv, __u32 *ret)
{
	const char *text = optarg;

	if (!text && optind < argc && argv[optind][0] != '-')
		text = argv[optind++];
	*ret = 1;
	if (text && (sl_parse_u32(text, 86400, ret) || !*ret)) {
		fprintf(stderr, "sluice stats: --watch takes 1 to 86400 seconds, not '%s'\n", text);
		return -EINVAL;
	}
	return 0;
}

/* -1: go on; else the exit status. */
static int parse(int argc, char **argv, struct stats_options *ret)
{
	static const struct option options[] = {
		{"instance", required_argument, NULL, 'i'}, {"json", no_argument, NULL, 'j'},
		{"watch", optional_argument, NULL, 'w'},    {"check", no_argument, NULL, 'c'},
		{"help", no_argument, NULL, 'h'},	    {},
	};
	int opt;

	*ret = (struct stats_options){.instance = SL_INSTANCE_DEFAULT};
	optind = 1;
	/* '+': stop at the first word, or getopt would move the one after --watch away. */
	while ((opt = getopt_long(argc, argv, "+h", options, NULL)) != -1) {
		switch (opt) {
		case 'i':
			ret->instance = optarg;
			break;
		case 'j':
			ret->json = true;
			break;
		case 'w':
			if (watch_seconds(argc, argv, &ret->watch))
				return SL_EXIT_USAGE;
			break;
		case 'c':
			ret->check = true;
			break;
		case 'h':
			fputs(help, stdout);
			return SL_EXIT_DONE;
		default:
			return sl_cmd_usage("stats");
		}
	}
	if (optind < argc) {
		fprintf(stderr, "sluice stats: unexpected '%s'\n", argv[optind]);
		return sl_cmd_usage("stats");
	}
	return sl_cmd_instance("stats", ret->instance) ? -1 : SL_EXIT_USAGE;
}

int sl_cmd_stats(int argc, char **argv)
{
	struct stats_options o;
	struct sl_maps maps;
	int status;

	status = parse(argc, argv, &o);
	if (status >= 0)
		return status;
	status = sl_cmd_open("stats", &maps, o.instance);
	if (status)
		return status;
	status = o.check ? check(&maps) : show(&maps, &o);
	sl_maps_close(&maps);
	return status;
}
