/* SPDX-License-Identifier: GPL-2.0-only */
/* A changed config file, applied to a running instance. */
#ifndef SL_RELOAD_H
#define SL_RELOAD_H

#include <errno.h>
#include <limits.h>

#include "config/compiled.h"
#include "kernel/maps.h"

/* What the supervisor and every worker share besides the maps; in shared memory. */
struct sl_shared {
	char config[PATH_MAX]; /* the file's path; empty: there is none to read again */
	const char *wanted;    /* path of the file that names another one: SL_RELOAD_WANTED */
	const char *outcome;   /* path of the file with what was said to the last wish */
	__s32 text_fd;	       /* memfd: text of the config that is served; -1: the first one */
	__u32 workers;	       /* started so far */
	__u32 served;	       /* 1: one of them got as far as to serve */
	__u32 asked;	       /* reloads that were asked for; the supervisor */
	__u32 begun;	       /* as many of them had been when the last one began; a worker */
	__u32 stage;	       /* SL_STAGE_* of the reload under way; a worker */
	__u64 wish;	       /* sl_control.reload_asked as the last reload found it; a worker */
};

/* sl_shared.stage */
#define SL_STAGE_NONE 0
#define SL_STAGE_READING 1
#define SL_STAGE_WRITING 2 /* some of the maps may be the new config's */
#define SL_STAGE_WRITTEN 3 /* all are, and it has not been told */

#define SL_RELOAD_OUTCOME "/run/sluice/%s.reload"
/*
 * The number of a wish (sl_control.reload_asked) and, a line below, the file that it names: whoever
 * reads it knows whether it is of the wish that it serves.
 */
#define SL_RELOAD_WANTED "/run/sluice/%s.wanted"

/* sl_control.reload_status of a change that a reload cannot make. */
#define SL_RELOAD_NEEDS_RESTART EOPNOTSUPP

/*
 * Gives @c the numbers that the running instance @m uses: a cluster and a split of the same name,
 * and an endpoint of the same address keep theirs, so that sessions and lanes go on; new ones get
 * numbers that nothing uses: of clusters never used ones as long as there are any, see left.c. 0,
 * -SL_RELOAD_NEEDS_RESTART with @ret_why, or -ENOMEM.
 */
int sl_remap(struct sl_compiled *c, const struct sl_maps *m, char ret_why[256]);

#endif /* SL_RELOAD_H */
