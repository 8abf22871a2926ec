// SPDX-License-Identifier: GPL-2.0-only
#include "util/base64.h"

#include <errno.h>

/* The six bits of a digit; -1: it is none. */
static int digit(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' || c == '-' ? 62 : c == '/' || c == '_' ? 63 : -1;
}

long sl_base64_decode(const char *s, size_t len, char *dst)
{
	unsigned int bits = 0, n_bits = 0;
	size_t padding = 0;
	long n = 0;

	while (padding < 2 && len && s[len - 1] == '=')
		len--, padding++;
	/* One digit alone is no byte; what is padded is padded to four. */
	if (len % 4 == 1 || (padding && (len + padding) % 4))
		return -EINVAL;
	for (size_t i = 0; i < len; i++) {
		if (digit(s[i]) < 0)
			return -EINVAL;
		bits = bits << 6 | (unsigned int)digit(s[i]);
		n_bits += 6;
		if (n_bits < 8)
			continue;
		n_bits -= 8;
		dst[n++] = (char)(bits >> n_bits);
		bits &= (1u << n_bits) - 1;
	}
	return n;
}
