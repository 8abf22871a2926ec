// SPDX-License-Identifier: GPL-2.0-only
/* What attaching would do, and every reason not to. */
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "attach/conflict.h"
#include "attach/generate.h"
#include "cmd/attach.h"
#include "cmd/cmd.h"
#include "kernel/netns.h"

static int refuse(const char *fmt, ...)
{
	va_list ap;

	fputs("sluice attach: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	putc('\n', stderr);
	return SL_EXIT_REFUSED;
}

static int system_failed(int rc, const char *what)
{
	fprintf(stderr, "sluice attach: %s: %s%s\n", what, strerror(-rc),
		rc == -EPERM || rc == -EACCES ? "; run as root" : "");
	return SL_EXIT_SYSTEM;
}

const char *sl_attach_who(char *buf, const struct sl_owner *o)
{
	if (o->pid)
		snprintf(buf, SL_WHO_MAX, "%s (pid %d)", o->name, o->pid);
	else
		snprintf(buf, SL_WHO_MAX, "a process that cannot be seen");
	return buf;
}

static int bad_netns(const char *command, const char *netns, int rc)
{
	const char *why = rc == -EINVAL ? "is no network namespace" : strerror(-rc);

	fprintf(stderr, "sluice %s: --netns %s: %s%s\n", command, netns, why,
		rc == -EACCES ? "; run as root" : "");
	return rc == -EPERM || rc == -EACCES ? SL_EXIT_SYSTEM : SL_EXIT_REFUSED;
}

int sl_attach_netns(const char *command, const char *netns, int *ret_fd, __u64 *ret_cookie)
{
	__u32 pid;
	int rc;

	*ret_fd = -1;
	if (netns && netns[0] != '/' && sl_parse_u32(netns, ~0U, &pid)) {
		fprintf(stderr,
			"sluice %s: --netns wants a path, like /run/netns/NAME of 'ip netns', "
			"or the pid of a process\n",
			command);
		return sl_cmd_usage(command);
	}
	if (netns) {
		*ret_fd = sl_netns_open(netns);
		if (*ret_fd < 0)
			return bad_netns(command, netns, *ret_fd);
	}
	rc = sl_netns_cookie(*ret_fd, ret_cookie);
	if (!rc)
		return SL_EXIT_DONE;
	fprintf(stderr, "sluice %s: cannot enter the network namespace: %s%s\n", command,
		strerror(-rc), rc == -EPERM ? "; it needs CAP_SYS_ADMIN" : "");
	return SL_EXIT_SYSTEM;
}

static int nobody_listens(struct sl_attach_plan *p, const struct sl_attach_args *args)
{
	char other[SL_ADDRESS_MAX], who[SL_WHO_MAX];

	if (!p->target.first.address.port)
		return refuse("nobody listens on %s; there is nothing to attach to", args->text);
	(void)sl_target_owner(&p->target);
	return refuse("nobody listens on %s; %s listens on %s", args->text,
		      sl_attach_who(who, &p->target.owner),
		      sl_address_text(other, &p->target.first.address));
}

/* Who listens there, and that it is not sluice. */
static int find_target(struct sl_attach_plan *p, const struct sl_attach_args *args)
{
	char name[SL_INSTANCE_MAX + 1];
	int rc = sl_listening_list(p->netns, &p->all, &p->n_all);

	if (rc)
		return system_failed(rc, "cannot list the listening sockets");
	if (sl_target_find(p->all, p->n_all, &args->address, &p->target))
		return nobody_listens(p, args);
	rc = sl_target_owner(&p->target);
	if (rc)
		return system_failed(rc, "cannot look for its process");
	if (p->target.first.device)
		return refuse("the socket on %s is bound to one network interface (number %u), and "
			      "others may have the address on theirs; that cannot be attached",
			      args->text, p->target.first.device);
	if (sl_instance_of_process(p->target.owner.pid, name))
		return refuse("%s is sluice's own (instance '%s'); attached to itself it would go "
			      "round in circles",
			      args->text, name);
	p->established = sl_established_count(p->netns, &args->address, p->target.dual);
	return SL_EXIT_DONE;
}

int sl_attach_check_others(const struct sl_attach_plan *p)
{
	const struct sl_address *a = &p->target.address;
	char text[SL_CONFLICT_TEXT];
	struct sl_conflict other;
	int rc = sl_conflict_find(p->netns, p->cookie, a, p->target.dual,
				  p->replace ? p->instance : NULL, &other);

	if (rc > 0)
		return refuse("%s", sl_conflict_text(text, &other, a));
	if (!rc)
		return SL_EXIT_DONE;
	fprintf(stderr, "sluice attach: cannot look for other sk_lookup programs: %s%s\n",
		strerror(-rc),
		rc == -EPERM || rc == -EACCES ? "; run as root, or with CAP_SYS_ADMIN besides"
					      : "");
	return SL_EXIT_SYSTEM;
}

/* Whether @e is the attached socket: the address itself, or loopback for a wildcard. */
static bool is_the_application(const struct sl_attach_plan *p, const struct sl_endpoint *e)
{
	struct sl_address a = {.port = e->port, .family = e->family};
	struct sl_target t;

	memcpy(a.addr, e->addr, sizeof(a.addr));
	if (sl_address_equal(&a, &p->target.address))
		return true;
	return !sl_target_find(p->all, p->n_all, &a, &t) &&
	       sl_address_equal(&t.first.address, &p->target.first.address);
}

/* --as names a cluster of the source that has the application's socket. */
static int check_as(const struct sl_attach_plan *p, const struct sl_attach_args *args)
{
	const struct sl_endpoint *all = sl_attach_endpoints(&p->source);
	const struct sl_cluster *c = NULL;

	if (!args->as)
		return SL_EXIT_DONE;
	for (__u32 i = 0; (c = sl_attach_cluster(&p->source, i)); i++)
		if (!strncmp(c->name, args->as, SL_NAME_MAX - 1))
			break;
	if (!c)
		return refuse("instance '%s' has no cluster '%s'", p->instance, args->as);
	sl_each_endpoint (i, c, all)
		if (is_the_application(p, &all[i]))
			return SL_EXIT_DONE;
	return refuse("cluster '%s' of instance '%s' does not have %s", args->as, p->instance,
		      args->text);
}

static int wrong_kind(const struct sl_attach_args *args, bool l4)
{
	if (args->l4 == l4 || !args->l4)
		return SL_EXIT_DONE;
	return refuse("the listener %s of the config is not an L4 one; add 'l4: true' beside its "
		      "'attach: true'",
		      args->text);
}

/* The instance runs: it must know the address. */
static int plan_running(struct sl_attach_plan *p, const struct sl_attach_args *args)
{
	int status;

	if (args->config)
		return refuse("instance '%s' runs already, with a config of its own; leave -c out, "
			      "or name another with --instance",
			      p->instance);
	p->source.maps = &p->maps;
	p->point = sl_point_find(&p->maps, &args->address, p->cookie);
	if (p->point < 0)
		return refuse("instance '%s' runs, and its config has no listener on %s with "
			      "'sluice: {attach: true}'; add one, or start another instance with "
			      "--instance NAME",
			      p->instance, args->text);
	p->l4 = p->maps.points[p->point].flags & SL_A_L4;
	status = wrong_kind(args, p->l4);
	return status == SL_EXIT_DONE ? check_as(p, args) : status;
}

/* The listener of the config to start that is attached to the address; NULL: none. */
static const struct sl_listener *config_listener(const struct sl_attach_plan *p,
						 const struct sl_attach_args *args)
{
	for (__u32 i = 0; i < p->compiled->n_listeners; i++) {
		const struct sl_listener *l = &p->compiled->listeners[i];
		struct sl_address a = {.port = l->port, .family = l->family};

		memcpy(a.addr, l->addr, sizeof(a.addr));
		if (l->attach && !!l->netns == (p->netns >= 0) &&
		    sl_address_equal(&a, &args->address))
			return l;
	}
	return NULL;
}

static int plan_config(struct sl_attach_plan *p, const struct sl_attach_args *args)
{
	const struct sl_listener *l;
	struct sl_diag_list diags;
	int rc, status;

	if (p->generated)
		rc = sl_config_parse("generated", p->generated, strlen(p->generated), NULL, &diags,
				     &p->compiled);
	else
		rc = sl_config_load(args->config, NULL, &diags, &p->compiled);
	sl_diag_print(stderr, &diags);
	sl_diag_free(&diags);
	if (rc)
		return SL_EXIT_REFUSED;
	p->source.compiled = p->compiled;
	l = config_listener(p, args);
	if (!l)
		return refuse("%s has no listener on %s with 'sluice: {attach: true}'",
			      args->config, args->text);
	p->l4 = l->l4;
	status = wrong_kind(args, l->l4);
	return status == SL_EXIT_DONE ? check_as(p, args) : status;
}

static int generate(struct sl_attach_plan *p, const struct sl_attach_args *args)
{
	struct sl_attach_wish w = {
		.address = args->address,
		.as = args->as ? args->as : "app",
		.l4 = args->l4,
	};
	int rc = sl_target_reach(p->netns, &p->target, p->all, p->n_all, &w.to);

	if (rc)
		return refuse("sluice could not reach %s itself: %s; is the interface 'lo' up%s?",
			      args->text, strerror(-rc), args->netns ? " in that namespace" : "");
	if (args->netns && args->netns[0] == '/')
		p->netns_path = strdup(args->netns);
	else if (args->netns && asprintf(&p->netns_path, "/proc/%s/ns/net", args->netns) < 0)
		p->netns_path = NULL;
	w.netns_path = p->netns_path;
	if (!args->netns || p->netns_path)
		p->generated = sl_attach_generate(&w);
	return p->generated ? SL_EXIT_DONE : system_failed(-ENOMEM, "cannot make a config");
}

static int plan_new(struct sl_attach_plan *p, const struct sl_attach_args *args)
{
	int status = args->config ? SL_EXIT_DONE : generate(p, args);

	return status == SL_EXIT_DONE ? plan_config(p, args) : status;
}

/* One that ends. `sluice attach` may start another like it when it has. */
static int wait_ended(struct sl_attach_plan *p)
{
	if (!(p->maps.control->flags & SL_C_UNTIL_DETACHED))
		return refuse("instance '%s' is about to end; name another with --instance",
			      p->instance);
	if (!sl_attach_wait(p->instance, NULL, NULL))
		return refuse("instance '%s' is about to end, and still has connections",
			      p->instance);
	sl_maps_close(&p->maps);
	p->running = false;
	return SL_EXIT_DONE;
}

struct opening {
	struct sl_maps *maps;
	int rc; /* of sl_maps_open() */
};

/*
 * Whether an instance that has its lock serves: else it starts just now, or has almost ended. Its
 * maps are left open, since a moment later it may be gone.
 */
static bool serves(const char *instance, void *ctx)
{
	struct opening *o = ctx;

	o->rc = sl_maps_open(o->maps, instance);
	if (o->rc)
		return o->rc != -ENOENT;
	if (SL_READ(o->maps->control->supervisor) > 0)
		return true;
	sl_maps_close(o->maps);
	o->rc = -ENOENT;
	return false;
}

/* Opens the instance, if it runs. One that `sluice attach` started takes another config. */
static int open_instance(struct sl_attach_plan *p, const struct sl_attach_args *args)
{
	struct opening o = {.maps = &p->maps};

	if (sl_attach_wait(p->instance, serves, &o))
		return SL_EXIT_DONE;
	if (o.rc)
		return sl_cmd_cannot_open("attach", p->instance, o.rc);
	p->running = true;
	if (SL_READ(p->maps.control->flags) & SL_C_ENDING)
		return wait_ended(p);
	p->replace = args->config && (p->maps.control->flags & SL_C_UNTIL_DETACHED);
	return SL_EXIT_DONE;
}

int sl_attach_plan(const struct sl_attach_args *args, struct sl_attach_plan *p)
{
	int status;

	*p = (struct sl_attach_plan){
		.netns = -1,
		.point = -1,
		.instance = args->instance ? args->instance : SL_INSTANCE_DEFAULT,
	};
	status = sl_attach_netns("attach", args->netns, &p->netns, &p->cookie);
	if (status == SL_EXIT_DONE)
		status = open_instance(p, args);
	if (status == SL_EXIT_DONE)
		status = find_target(p, args);
	if (status == SL_EXIT_DONE)
		status = sl_attach_check_others(p);
	if (status != SL_EXIT_DONE)
		return status;
	return p->running && !p->replace ? plan_running(p, args) : plan_new(p, args);
}

void sl_attach_plan_free(struct sl_attach_plan *p)
{
	if (p->running)
		sl_maps_close(&p->maps);
	if (p->netns >= 0)
		close(p->netns);
	sl_compiled_free(p->compiled);
	free(p->generated);
	free(p->netns_path);
	free(p->all);
}
