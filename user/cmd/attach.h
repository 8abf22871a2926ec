/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files of `sluice attach` and `sluice detach` share. */
#ifndef SL_CMD_ATTACH_H
#define SL_CMD_ATTACH_H

#include "attach/instances.h"
#include "attach/point.h"
#include "attach/target.h"
#include "config/config.h"
#include "util/parse.h"

struct sl_attach_args {
	const char *text; /* ADDR:PORT as given; NULL: list */
	struct sl_address address;
	const char *as;	      /* cluster; NULL: not given */
	const char *config;   /* file; NULL: not given */
	const char *instance; /* NULL: not given */
	const char *netns;    /* path or pid; NULL: ours */
	bool l4;
	bool dry_run;
};

/* Where routes and clusters are read from: a running instance, or a config that is to be started.
 */
struct sl_attach_source {
	const struct sl_maps *maps;	    /* or NULL */
	const struct sl_compiled *compiled; /* or NULL */
};

/* What attaching would do, once nothing speaks against it. */
struct sl_attach_plan {
	struct sl_target target;
	struct sl_listening *all; /* [n_all]; listening sockets of the namespace */
	__u32 n_all;
	int netns;	 /* descriptor; -1: ours */
	__u64 cookie;	 /* of the namespace */
	int established; /* connections that stay with the application */
	const char *instance;
	bool running; /* the instance is; its maps are open */
	bool replace; /* it is to be started anew, with another config */
	int point;    /* of the running instance */
	bool l4;
	struct sl_maps maps;
	char *generated; /* config for the instance to start; NULL: given, or it runs */
	char *netns_path;
	struct sl_compiled *compiled; /* of the instance to start */
	struct sl_attach_source source;
};

/*
 * Looks at everything, changes nothing. SL_EXIT_DONE with @p filled, or the exit status, said
 * why. In every case sl_attach_plan_free() ends it.
 */
int sl_attach_plan(const struct sl_attach_args *args, struct sl_attach_plan *p);
void sl_attach_plan_free(struct sl_attach_plan *p);

/* Whether nobody else decides over connections to p's address. SL_EXIT_DONE, or the exit status,
 * said why. */
int sl_attach_check_others(const struct sl_attach_plan *p);

/* Waits until an instance has ended: true. False: @until (may be NULL) holds first, or it takes too
 * long. */
bool sl_attach_wait(const char *instance, bool (*until)(const char *instance, void *ctx),
		    void *ctx);

/* Steers new connections to @point of p's instance, which runs; returns the exit status. */
int sl_attach_steer(const struct sl_attach_plan *p, const struct sl_attach_args *args, int point);

/* Opens args->netns, if given. SL_EXIT_DONE, or the exit status, said why. */
int sl_attach_netns(const char *command, const char *netns, int *ret_fd, __u64 *ret_cookie);

/* "nginx (pid 812)", or "a process that cannot be seen". @buf of SL_WHO_MAX bytes. */
#define SL_WHO_MAX 64
const char *sl_attach_who(char *buf, const struct sl_owner *o);

/* Prints @p as `--dry-run` does; returns the exit status. */
int sl_attach_show_plan(const struct sl_attach_plan *p, const struct sl_attach_args *args);
/* Warns of endpoints that L4 has no socket of. */
void sl_attach_warn_l4(const struct sl_attach_plan *p);
/* Lists the listening sockets of a namespace; returns the exit status. */
int sl_attach_list(int netns, __u64 cookie);

/* Route @index, or split @id, of @s. False: there is none. */
bool sl_attach_route(const struct sl_attach_source *s, __u32 index, struct sl_route_info *ret);
bool sl_attach_split(const struct sl_attach_source *s, __u32 id, struct sl_split *ret);
__u32 sl_attach_n_routes(const struct sl_attach_source *s);
/* Clusters, by index; NULL: none of that index. Endpoints, all. */
const struct sl_cluster *sl_attach_cluster(const struct sl_attach_source *s, __u32 index);
const struct sl_endpoint *sl_attach_endpoints(const struct sl_attach_source *s);

/*
 * Gives p's instance another config: by a reload, or, if that cannot be, by another start. Returns
 * the exit status.
 */
int sl_attach_replace(const struct sl_attach_plan *p, const struct sl_attach_args *args);

/* Starts p's instance in the background and waits until it serves; returns the exit status. */
int sl_attach_start(const struct sl_attach_plan *p, const struct sl_attach_args *args);

#endif /* SL_CMD_ATTACH_H */
