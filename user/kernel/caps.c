// SPDX-License-Identifier: GPL-2.0-only
#include "caps.h"

#include <errno.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/capability.h>

int sl_caps_check(char *ret_missing, size_t size)
{
	static const struct {
		int cap;
		const char *name;
	} needed[] = {
		{CAP_BPF, "CAP_BPF"},
		{CAP_NET_ADMIN, "CAP_NET_ADMIN"},
		{CAP_PERFMON, "CAP_PERFMON"},
	};
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
	size_t used = 0;

	/* The system call: libcap for three bits would be a dependency for nothing. */
	if (syscall(SYS_capget, &header, data))
		return -errno;
	ret_missing[0] = '\0';
	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++) {
		int cap = needed[i].cap;

		if (data[CAP_TO_INDEX(cap)].effective & CAP_TO_MASK(cap))
			continue;
		used += snprintf(ret_missing + used, used < size ? size - used : 0, "%s%s",
				 used ? ", " : "", needed[i].name);
	}
	return used ? -EPERM : 0;
}
