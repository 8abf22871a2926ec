// SPDX-License-Identifier: GPL-2.0-only
/* `sluice run`: load, attach, serve, in the foreground. */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "config/config.h"
#include "daemon/supervisor.h"
#include "dns/batch.h"
#include "util/parse.h"

static void say_ready(void)
{
	printf("sluice: ready\n");
	fflush(stdout);
}

static int help(void)
{
	printf("Usage: sluice run -c FILE [--instance NAME] [--concurrency N]\n"
	       "\n"
	       "Loads the BPF programs, attaches them, and serves FILE's listeners in the\n"
	       "foreground. Says \"sluice: ready\" when it does.\n"
	       "\n"
	       "  -c, --config FILE     Envoy static bootstrap (v3, or the older v2 spelling)\n"
	       "      --instance NAME   name of this instance (default: %s)\n"
	       "      --concurrency N   threads that serve the user path (default: one for each\n"
	       "                        CPU; at most %u)\n"
	       "      --until-detached  end when nothing is attached any more (see 'sluice "
	       "attach')\n"
	       "                        and the last connection has ended\n"
	       "\n"
	       "SIGHUP, or 'sluice reload': apply FILE as it is now.\n"
	       "SIGTERM or SIGINT: finish what is in flight, unload everything, end.\n"
	       "Exit status: 0 done, 1 config refused, 2 usage, 3 the kernel or the system said "
	       "no.\n",
	       SL_INSTANCE_DEFAULT, SL_MAX_THREADS);
	return SL_EXIT_DONE;
}

/* For reloads: from any directory, and through links as they are then. NULL: no memory. */
static char *absolute(const char *path)
{
	char cwd[PATH_MAX], *ret;

	if (path[0] == '/' || !getcwd(cwd, sizeof(cwd)))
		return strdup(path);
	return asprintf(&ret, "%s/%s", cwd, path) < 0 ? NULL : ret;
}

static int serve(const char *config, struct sl_supervisor_options *o)
{
	char *path;
	struct sl_load_error err = {""};
	struct sl_compiled *compiled = NULL;
	struct sl_diag_list diags;
	int rc;

	rc = sl_config_load(config, NULL, &diags, &compiled);
	sl_diag_print(stderr, &diags);
	sl_diag_free(&diags);
	if (rc)
		return SL_EXIT_REFUSED;
	rc = sl_names_first(compiled);
	if (rc)
		fprintf(stderr, "sluice run: cannot look names up: %s\n", strerror(-rc));
	sl_names_warn(compiled, stderr, "sluice run: ");
	path = absolute(config);
	o->config = path;
	rc = sl_supervisor_run(o, compiled, &err);
	free(path);
	sl_compiled_free(compiled);
	if (!rc)
		return SL_EXIT_DONE;
	fprintf(stderr, "sluice run: %s\n", err.text[0] ? err.text : strerror(-rc));
	return rc == -EBUSY ? SL_EXIT_REFUSED : SL_EXIT_SYSTEM;
}

static bool threads(const char *text, __u32 *ret)
{
	if (!sl_parse_u32(text, SL_MAX_THREADS, ret) && *ret)
		return true;
	fprintf(stderr, "sluice run: --concurrency takes a number from 1 to %u, not '%s'\n",
		SL_MAX_THREADS, text);
	return false;
}

int sl_cmd_run(int argc, char **argv)
{
	static const struct option options[] = {
		{"config", required_argument, NULL, 'c'},
		{"instance", required_argument, NULL, 'i'},
		{"concurrency", required_argument, NULL, 'n'},
		{"until-detached", no_argument, NULL, 'u'},
		{"help", no_argument, NULL, 'h'},
		{},
	};
	struct sl_supervisor_options o = {.instance = SL_INSTANCE_DEFAULT, .ready = say_ready};
	const char *config = NULL;
	int opt;

	while ((opt = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
		switch (opt) {
		case 'c':
			config = optarg;
			break;
		case 'i':
			o.instance = optarg;
			break;
		case 'n':
			if (!threads(optarg, &o.concurrency))
				return sl_cmd_usage("run");
			break;
		case 'u':
			o.until_detached = true;
			break;
		case 'h':
			return help();
		default:
			return sl_cmd_usage("run");
		}
	}
	if (!config || optind != argc) {
		fprintf(stderr, "sluice run: %s\n",
			config ? "it takes no other words" : "-c FILE is missing");
		return sl_cmd_usage("run");
	}
	if (!sl_cmd_instance("run", o.instance))
		return SL_EXIT_USAGE;
	return serve(config, &o);
}
