// SPDX-License-Identifier: GPL-2.0-only
/* sluice check: is this config right? Needs no privilege and touches nothing. */
#include "cmd/cmd.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>

#include "config/config.h"

static void help(void)
{
	puts("Usage: sluice check -c FILE\n"
	     "\n"
	     "Reads a config and says everything that is wrong with it, with line, column and the\n"
	     "line itself. Names are not looked up.\n"
	     "\n"
	     "  -c, --config FILE  the config\n"
	     "  -h, --help         this text\n"
	     "\n"
	     "Exit status: 0 right (there can be warnings), 1 wrong or not readable, 2 usage.");
}

static const char *plural(__u32 n)
{
	return n == 1 ? "" : "s";
}

static void print_ok(const char *path, const struct sl_compiled *c)
{
	const struct sl_table *t = c->table;

	printf("%s: ok, %u listener%s, %u virtual host%s, %u route%s, %u cluster%s\n", path,
	       c->n_listeners, plural(c->n_listeners), t->n_vhosts, plural(t->n_vhosts),
	       t->n_routes, plural(t->n_routes), t->n_clusters, plural(t->n_clusters));
}

static int check(const char *path)
{
	struct sl_compiled *compiled = NULL;
	struct sl_diag_list diags;
	int err = sl_config_load(path, NULL, &diags, &compiled);

	sl_diag_print(stderr, &diags);
	if (!err)
		print_ok(path, compiled);
	else if (err == -EINVAL)
		fprintf(stderr, "%s: %u error%s\n", path, diags.n_errors, plural(diags.n_errors));
	sl_diag_free(&diags);
	sl_compiled_free(compiled);
	return !err ? SL_EXIT_DONE : err == -ENOMEM ? SL_EXIT_SYSTEM : SL_EXIT_REFUSED;
}

int sl_cmd_check(int argc, char **argv)
{
	static const struct option options[] = {
		{"config", required_argument, NULL, 'c'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	const char *path = NULL;
	int c;

	while ((c = getopt_long(argc, argv, "c:h", options, NULL)) >= 0) {
		switch (c) {
		case 'c':
			path = optarg;
			break;
		case 'h':
			help();
			return SL_EXIT_DONE;
		default:
			return sl_cmd_usage("check");
		}
	}
	if (optind != argc) {
		fprintf(stderr, "sluice check: unexpected argument '%s'\n", argv[optind]);
		return sl_cmd_usage("check");
	}
	if (!path) {
		fputs("sluice check: give the config with -c FILE\n", stderr);
		return sl_cmd_usage("check");
	}
	return check(path);
}
