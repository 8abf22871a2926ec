// SPDX-License-Identifier: GPL-2.0-only
#include "mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <linux/magic.h>

#define BPFFS "/sys/fs/bpf"

/* The mount point of cgroup2's root in proc(5) mountinfo: "ID PARENT MAJ:MIN ROOT POINT ... -
 * TYPE". */
static int find_cgroup2(char *ret_path, size_t size)
{
	char line[4096], root[1024], point[1024];
	FILE *f = fopen("/proc/self/mountinfo", "re");
	int rc = -ENOENT;

	if (!f)
		return -errno;
	while (rc && fgets(line, sizeof(line), f)) {
		const char *type = strstr(line, " - ");

		if (!type || strncmp(type, " - cgroup2 ", 11))
			continue;
		if (sscanf(line, "%*s %*s %*s %1023s %1023s", root, point) != 2 ||
		    strcmp(root, "/"))
			continue;
		snprintf(ret_path, size, "%s", point);
		rc = 0;
	}
	fclose(f);
	return rc;
}

/* fsopen(2), fsconfig(2), fsmount(2): a mount that only its fd knows. */
static int mount_cgroup2(void)
{
	int fs, fd = -1, rc = 0;

	fs = fsopen("cgroup2", FSOPEN_CLOEXEC);
	if (fs < 0)
		return -errno;
	if (fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0))
		rc = -errno;
	if (!rc) {
		fd = fsmount(fs, FSMOUNT_CLOEXEC, 0);
		if (fd < 0)
			rc = -errno;
	}
	close(fs);
	return rc ? rc : fd;
}

int sl_cgroup2_open(void)
{
	char path[1024];
	int fd;

	if (find_cgroup2(path, sizeof(path)))
		return mount_cgroup2();
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int sl_bpffs_ensure(void)
{
	struct statfs fs;

	if (!statfs(BPFFS, &fs) && fs.f_type == BPF_FS_MAGIC)
		return 0;
	if (mount("bpf", BPFFS, "bpf", 0, "mode=0700"))
		return -errno;
	return 0;
}
