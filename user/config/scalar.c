// SPDX-License-Identifier: GPL-2.0-only
/* Scalars as text -> values. Nothing before or after is overlooked. */
#include <errno.h>
#include <strings.h>

#include "config/schema.h"

int sl_parse_bool(const char *s, __u32 *ret)
{
	static const char *const words[] = {"false", "true", "no", "yes", "off", "on"};

	for (__u32 i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (!strcasecmp(s, words[i])) {
			*ret = i & 1;
			return 0;
		}
	}
	return -EINVAL;
}

/* google.protobuf.Duration in JSON: seconds with up to nine digits of fraction, then 's'. */
int sl_parse_duration_ms(const char *s, __u32 min, __u32 max, __u32 *ret)
{
	__u64 sec = 0, nsec = 0, ms;
	__u64 unit = 1000000000;
	const char *p = s;

	for (; *p >= '0' && *p <= '9'; p++)
		if (sec <= 0xffffffff)
			sec = sec * 10 + (*p - '0');
	if (p == s)
		return -EINVAL;
	if (*p == '.') {
		const char *point = p++;

		for (; *p >= '0' && *p <= '9' && unit > 1; p++) {
			unit /= 10;
			nsec += (*p - '0') * unit;
		}
		if (p == point + 1)
			return -EINVAL;
	}
	if (p[0] != 's' || p[1])
		return -EINVAL;
	/* Rounded up: a timeout above zero stays above zero. */
	ms = sec * 1000 + (nsec + 999999) / 1000000;
	if (ms < min || ms > max)
		return -ERANGE;
	*ret = ms;
	return 0;
}

int sl_parse_decimal(const char *s, __u32 min, __u32 max, __u32 *ret)
{
	__u64 n = 0, unit = 1000;
	const char *p = s;

	for (; *p >= '0' && *p <= '9'; p++)
		if (n <= 0xffffffff)
			n = n * 10 + (*p - '0');
	if (p == s)
		return -EINVAL;
	n *= unit;
	if (*p == '.') {
		if (p[1] < '0' || p[1] > '9')
			return -EINVAL;
		for (p++; *p >= '0' && *p <= '9'; p++) {
			unit /= 10;
			n += unit * (*p - '0');
		}
	}
	if (*p)
		return -EINVAL;
	if (n < min || n > max)
		return -ERANGE;
	*ret = n;
	return 0;
}
