// SPDX-License-Identifier: GPL-2.0-only
/* sluice attach: puts sluice in front of an address on which another process listens. */
#include "cmd/attach.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "attach/lock.h"
#include "cmd/cmd.h"

static const char help[] =
	"Usage: sluice attach [--netns PATH|PID]\n"
	"       sluice attach ADDR:PORT [--as CLUSTER] [-c FILE] [--l4] [--netns PATH|PID]\n"
	"                     [--instance NAME] [--dry-run]\n"
	"\n"
	"Steers new connections to ADDR:PORT, on which some process listens, to sluice. That\n"
	"process keeps its socket and notices nothing; as CLUSTER it is where sluice sends\n"
	"the requests on to, until weights say otherwise. Established connections stay as they\n"
	"are. 'sluice detach ADDR:PORT' gives the next connection back. Without ADDR:PORT:\n"
	"lists who listens where, and what is attached.\n"
	"\n"
	"If the instance runs, its config must have the address as a listener with\n"
	"'sluice: {attach: true}'. If not it is started in the background, with FILE or else\n"
	"with a config made for this address (" SL_RUN_DIR "/NAME.yaml"
	"), and ends when nothing\n"
	"is attached any more and its last connection has ended. With '-c FILE' such an\n"
	"instance takes FILE as its config, as by 'sluice reload'. If its listeners change it is\n"
	"started anew: meanwhile the process itself has the new connections.\n"
	"\n"
	"  --as CLUSTER      name for the process's socket as a cluster (default: app)\n"
	"  -c, --config FILE start the instance with this config\n"
	"      --l4          split by connection, at SYN time, straight into the backends' own\n"
	"                    listening sockets: for what is not HTTP\n"
	"      --netns       another network namespace: a path, or a process in it\n"
	"      --dry-run     say what would happen, to whom, and change nothing\n"
	"      --instance NAME  the instance (default: default)\n"
	"      --help        this text\n";

static void say_done(const struct sl_attach_plan *p, const struct sl_attach_args *args)
{
	char who[SL_WHO_MAX];

	printf("%s of %s is attached to instance '%s'. New connections go %s", args->text,
	       sl_attach_who(who, &p->target.owner), p->instance,
	       p->l4 ? "to the backends by weight" : "through sluice");
	if (p->established > 0)
		printf("; %d open %s as %s", p->established,
		       p->established == 1 ? "one stays" : "ones stay",
		       p->established == 1 ? "it is" : "they are");
	printf(".\n");
}

static void say_waiting(void)
{
	fprintf(stderr, "sluice attach: waiting for another command to this instance\n");
}

static int attach(const struct sl_attach_args *args)
{
	/* Without /run, or the right to write there, what needs it says so. */
	int lock = args->dry_run
			   ? -1
			   : sl_lock_commands(args->instance ? args->instance : SL_INSTANCE_DEFAULT,
					      say_waiting);
	struct sl_attach_plan p;
	int status = sl_attach_plan(args, &p);

	if (status == SL_EXIT_DONE && p.l4)
		sl_attach_warn_l4(&p);
	if (status == SL_EXIT_DONE && args->dry_run) {
		status = sl_attach_show_plan(&p, args);
	} else if (status == SL_EXIT_DONE) {
		status = p.replace   ? sl_attach_replace(&p, args)
			 : p.running ? sl_attach_steer(&p, args, p.point)
				     : sl_attach_start(&p, args);
		if (status == SL_EXIT_DONE)
			say_done(&p, args);
	}
	sl_attach_plan_free(&p);
	if (lock >= 0)
		close(lock);
	return status;
}

static int list(const struct sl_attach_args *args)
{
	__u64 cookie;
	int netns, status;

	if (args->as || args->config || args->l4 || args->dry_run || args->instance) {
		fprintf(stderr, "sluice attach: ADDR:PORT is missing\n");
		return sl_cmd_usage("attach");
	}
	status = sl_attach_netns("attach", args->netns, &netns, &cookie);
	if (status != SL_EXIT_DONE)
		return status;
	status = sl_attach_list(netns, cookie);
	if (netns >= 0)
		close(netns);
	return status;
}

/* Of a cluster in the config that is made. */
static bool is_name(const char *text)
{
	size_t n = strlen(text);

	for (const char *c = text; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f || *c == '"' || *c == '\\')
			return false;
	return n && n < SL_NAME_MAX;
}

static int check_args(int argc, char **argv, struct sl_attach_args *a)
{
	if (optind + 1 < argc) {
		fprintf(stderr, "sluice attach: unexpected '%s'\n", argv[optind + 1]);
		return sl_cmd_usage("attach");
	}
	a->text = optind < argc ? argv[optind] : NULL;
	if (a->text && sl_address_parse(a->text, &a->address)) {
		fprintf(stderr,
			"sluice attach: '%s' is no ADDR:PORT, like 127.0.0.1:8080 or [::1]:8080\n",
			a->text);
		return sl_cmd_usage("attach");
	}
	if (a->instance && !sl_cmd_instance("attach", a->instance))
		return SL_EXIT_USAGE;
	if (a->as && !is_name(a->as)) {
		fprintf(stderr,
			"sluice attach: --as wants a name of at most %d bytes, without quotes, "
			"backslashes and control characters\n",
			SL_NAME_MAX - 1);
		return SL_EXIT_USAGE;
	}
	return SL_EXIT_DONE;
}

int sl_cmd_attach(int argc, char **argv)
{
	static const struct option options[] = {
		{"as", required_argument, NULL, 'a'},
		{"config", required_argument, NULL, 'c'},
		{"l4", no_argument, NULL, '4'},
		{"netns", required_argument, NULL, 'n'},
		{"instance", required_argument, NULL, 'i'},
		{"dry-run", no_argument, NULL, 'd'},
		{"help", no_argument, NULL, 'h'},
		{},
	};
	struct sl_attach_args a = {};
	int opt, status;

	optind = 1;
	while ((opt = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
		switch (opt) {
		case 'a':
			a.as = optarg;
			break;
		case 'c':
			a.config = optarg;
			break;
		case '4':
			a.l4 = true;
			break;
		case 'n':
			a.netns = optarg;
			break;
		case 'i':
			a.instance = optarg;
			break;
		case 'd':
			a.dry_run = true;
			break;
		case 'h':
			fputs(help, stdout);
			return SL_EXIT_DONE;
		default:
			return sl_cmd_usage("attach");
		}
	}
	status = check_args(argc, argv, &a);
	if (status != SL_EXIT_DONE)
		return status;
	return a.text ? attach(&a) : list(&a);
}
