// SPDX-License-Identifier: GPL-2.0-only
#include "util/parse.h"

#include <errno.h>
#include <string.h>

int sl_parse_u32(const char *text, __u32 max, __u32 *ret)
{
	__u64 value = 0;
	bool over = false;

	if (!*text)
		return -EINVAL;
	for (const char *p = text; *p; p++) {
		if (*p < '0' || *p > '9')
			return -EINVAL;
		value = value * 10 + (*p - '0');
		if (value > max) {
			/* Go on: trailing garbage is the worse error of the two. */
			over = true;
			value = 0;
		}
	}
	if (over)
		return -ERANGE;
	*ret = value;
	return 0;
}

bool sl_instance_valid(const char *name)
{
	size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyz"
				  "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_");

	return len && len <= SL_INSTANCE_MAX && !name[len];
}
