// SPDX-License-Identifier: GPL-2.0-only
#include "attach/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "attach/instances.h"

/* No instance has a name that begins with a dot. */
static int lock(const char *path, void (*waits)(void))
{
	int fd, rc;

	if (mkdir(SL_RUN_DIR, 0700) && errno != EEXIST)
		return -errno;
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	rc = flock(fd, LOCK_EX | LOCK_NB);
	if (rc && errno == EWOULDBLOCK && waits)
		waits();
	while (rc && (errno == EWOULDBLOCK || errno == EINTR))
		rc = flock(fd, LOCK_EX);
	if (!rc)
		return fd;
	rc = -errno;
	close(fd);
	return rc;
}

int sl_lock_commands(const char *instance, void (*waits)(void))
{
	char path[128];

	snprintf(path, sizeof(path), SL_RUN_DIR "/.%s.attach", instance);
	return lock(path, waits);
}

int sl_lock_steering(void)
{
	return lock(SL_RUN_DIR "/.steering", NULL);
}
