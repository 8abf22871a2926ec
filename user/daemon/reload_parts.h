/* SPDX-License-Identifier: GPL-2.0-only */
/* What the steps of a reload share: reload.c is its course, the others are named by their step. */
#ifndef SL_DAEMON_RELOAD_PARTS_H
#define SL_DAEMON_RELOAD_PARTS_H

#include <stdio.h>

#include "dns/batch.h"
#include "internal.h"

/* What is said goes to the log and to whoever asked for the reload. */
struct outcome {
	char *text;
	size_t size;
	FILE *f;
};

struct reload {
	struct outcome o;
	char path[PATH_MAX];
	int fd; /* of the text's copy */
	struct sl_compiled *c;
	struct sl_batch *batch; /* names that are new */
	struct io io;
	__u64 until_ns;
};

/* Adds to what is said. */
void reload_say(struct outcome *o, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* reload_read.c: the file that the wish names, else the one that is served. 0 or -errno. */
int reload_wanted(const struct sl_shared *s, char path[PATH_MAX]);
/*
 * Reads the file @r->path into @r->c; what only a restart can change is checked. 0, -errno or
 * -SL_RELOAD_*, and it is said why.
 */
int reload_read(struct worker *w, struct reload *r);
/* The config in @fd, which is called @path. 0 and *@ret, the caller's; -errno or -EINVAL, and said.
 */
int reload_parse(const char *path, int fd, __u32 generation, struct outcome *o,
		 struct sl_compiled **ret);

/*
 * reload_apply.c: writes @c, whose numbers are those that the maps have (sl_remap()), to the maps,
 * and @w and its threads match with it from now on. 0: it is theirs; or -errno: as before, said.
 */
int reload_apply(struct worker *w, struct sl_compiled *c, struct outcome *o);
/* The same for what the maps hold already. */
int reload_adopt(struct worker *w, struct sl_compiled *c);
/*
 * reload_apply() has failed half way: the maps are written anew, with what is served. 0 or -errno;
 * then it is half written, too.
 */
int reload_restore(struct worker *w);

#endif /* SL_DAEMON_RELOAD_PARTS_H */
