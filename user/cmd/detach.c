// SPDX-License-Identifier: GPL-2.0-only
/* sluice detach: gives an attached address back. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/attach.h"
#include "cmd/cmd.h"

static const char help[] =
	"Usage: sluice detach ADDR:PORT [--netns PATH|PID] [--instance NAME] [--force]\n"
	"\n"
	"Gives an attached address back: the next connection goes to the process that listens\n"
	"there. Connections that sluice has stay with it until they end. An instance that\n"
	"'sluice attach' started ends after the last of them.\n"
	"\n"
	"  --netns          another network namespace: a path, or a process in it\n"
	"  --instance NAME  attached by this one (default: whichever it is); without --netns in\n"
	"                   whichever network namespace\n"
	"  --force          even if nobody listens there now\n"
	"  --help           this text\n";

struct detach {
	const char *text, *instance;
	struct sl_address address;
	__u64 netns;
	int netns_fd;
	bool force;
	bool known; /* an instance has the address, attached or not */
	bool look;  /* only look whether it is attached */
	bool any;   /* in whichever namespace: it may be gone, and nobody left to name it by */
};

/* The point of @i to give back; -1: none. */
static int find(const struct detach *d, const struct sl_instance *i)
{
	struct sl_address a;

	if (!d->any)
		return sl_point_find(i->maps, &d->address, d->netns);
	for (int p = 0; p < SL_MAX_LISTENERS; p++) {
		sl_point_address(&i->maps->points[p], &a);
		if ((SL_READ(i->maps->points[p].flags) & SL_A_ON) &&
		    sl_address_equal(&a, &d->address))
			return p;
	}
	return -1;
}

/* 1: given back; else as sl_instances_each() wants it. */
static int give_back(void *ctx, const struct sl_instance *i)
{
	struct detach *d = ctx;
	int point = find(d, i);

	if (point < 0 || (d->instance && strcmp(d->instance, i->name)))
		return 0;
	d->known = true;
	if (!(SL_READ(i->maps->points[point].flags) & SL_A_ON))
		return 0;
	if (!d->look)
		sl_point_off(i->maps, point);
	return 1;
}

static int not_attached(const struct detach *d)
{
	fprintf(stderr, "sluice detach: %s is not attached%s%s%s%s\n", d->text,
		d->instance ? " to instance '" : "", d->instance ? d->instance : "",
		d->instance ? "'" : "", d->known ? "; it was given back before" : "");
	return SL_EXIT_REFUSED;
}

/* SL_EXIT_DONE, or the exit status, said why. */
static int check_target(const struct detach *d, struct sl_target *t)
{
	struct sl_listening *all = NULL;
	__u32 n = 0;
	int rc = sl_listening_list(d->netns_fd, &all, &n);

	if (!rc)
		rc = sl_target_find(all, n, &d->address, t);
	free(all);
	if (!rc || d->force)
		return SL_EXIT_DONE;
	fprintf(stderr,
		"sluice detach: nobody listens on %s now: new connections would be refused; start "
		"the application first, or say --force\n",
		d->text);
	return SL_EXIT_REFUSED;
}

static void say_done(const struct detach *d, struct sl_target *t)
{
	char who[SL_WHO_MAX];

	if (d->any)
		printf("%s of another network namespace is given back.\n", d->text);
	else if (t->n_sockets && !sl_target_owner(t))
		printf("%s is given back: new connections go to %s.\n", d->text,
		       sl_attach_who(who, &t->owner));
	else
		printf("%s is given back: nobody listens there now.\n", d->text);
}

static bool is_attached(struct detach *d, const char *netns)
{
	d->look = true;
	if (sl_instances_each(give_back, d) == 1)
		return true;
	d->any = d->instance && !netns;
	return d->any && sl_instances_each(give_back, d) == 1;
}

static int detach(struct detach *d, const char *netns)
{
	struct sl_target t = {};
	int status = sl_attach_netns("detach", netns, &d->netns_fd, &d->netns);

	if (status == SL_EXIT_DONE && !is_attached(d, netns))
		status = not_attached(d);
	if (status == SL_EXIT_DONE && !d->any)
		status = check_target(d, &t);
	d->look = false;
	if (status == SL_EXIT_DONE) {
		(void)sl_instances_each(give_back, d);
		say_done(d, &t);
	}
	if (d->netns_fd >= 0)
		close(d->netns_fd);
	return status;
}

int sl_cmd_detach(int argc, char **argv)
{
	static const struct option options[] = {
		{"netns", required_argument, NULL, 'n'},
		{"instance", required_argument, NULL, 'i'},
		{"force", no_argument, NULL, 'f'},
		{"help", no_argument, NULL, 'h'},
		{},
	};
	struct detach d = {.netns_fd = -1};
	const char *netns = NULL;
	int opt;

	optind = 1;
	while ((opt = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (opt) {
		case 'n':
			netns = optarg;
			break;
		case 'i':
			d.instance = optarg;
			break;
		case 'f':
			d.force = true;
			break;
		case 'h':
			fputs(help, stdout);
			return SL_EXIT_DONE;
		default:
			return sl_cmd_usage("detach");
		}
	}
	if (optind + 1 != argc || sl_address_parse(argv[optind], &d.address)) {
		fprintf(stderr, "sluice detach: give one ADDR:PORT, like 127.0.0.1:8080\n");
		return sl_cmd_usage("detach");
	}
	if (d.instance && !sl_cmd_instance("detach", d.instance))
		return SL_EXIT_USAGE;
	d.text = argv[optind];
	return detach(&d, netns);
}
