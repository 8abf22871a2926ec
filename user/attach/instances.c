// SPDX-License-Identifier: GPL-2.0-only
#include "attach/instances.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "util/parse.h"

bool sl_instance_runs(const char *name)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	char path[128];
	int fd, rc;

	snprintf(path, sizeof(path), SL_RUN_DIR "/%s.lock", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	/* Asked for, never taken: whoever starts just now is not to find it taken. */
	rc = fcntl(fd, F_OFD_GETLK, &lock);
	close(fd);
	return !rc && lock.l_type != F_UNLCK;
}

static int call(const char *name, int (*fn)(void *ctx, const struct sl_instance *i), void *ctx)
{
	struct sl_maps maps;
	struct sl_instance i = {.name = name, .maps = &maps, .runs = sl_instance_runs(name)};
	int rc;

	/* One that just comes or goes, or is of another version: none of ours to judge. */
	if (sl_maps_open(&maps, name))
		return 0;
	rc = fn(ctx, &i);
	sl_maps_close(&maps);
	return rc;
}

int sl_instances_each(int (*fn)(void *ctx, const struct sl_instance *i), void *ctx)
{
	DIR *dir = opendir(SL_PIN_ROOT);
	struct dirent *e;
	int rc = 0;

	if (!dir)
		return errno == ENOENT ? 0 : -errno;
	while (!rc && (e = readdir(dir)))
		if (sl_instance_valid(e->d_name))
			rc = call(e->d_name, fn, ctx);
	closedir(dir);
	return rc;
}

struct search {
	pid_t pid;
	char *name;
};

static int is_its(void *ctx, const struct sl_instance *i)
{
	struct search *s = ctx;
	const struct sl_control *c = i->maps->control;

	if (!i->runs || (c->supervisor != s->pid && c->worker != s->pid))
		return 0;
	snprintf(s->name, SL_INSTANCE_MAX + 1, "%s", i->name);
	return 1;
}

bool sl_instance_of_process(pid_t pid, char *ret_name)
{
	struct search s = {.pid = pid, .name = ret_name};

	return pid > 0 && sl_instances_each(is_its, &s) == 1;
}
