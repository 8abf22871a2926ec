// SPDX-License-Identifier: GPL-2.0-only
#include "util/json_escape.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define ESCAPE_MAX 8 /* "\\u0000" and its NUL */

static bool is_tail(unsigned char c)
{
	return (c & 0xc0) == 0x80;
}

/* Bytes of the character at @s (RFC 3629), 0: it is none. */
static size_t utf8(const unsigned char *s, size_t len)
{
	if (s[0] < 0x80)
		return 1;
	if (len >= 2 && s[0] >= 0xc2 && s[0] <= 0xdf && is_tail(s[1]))
		return 2;
	if (len >= 3 && (s[0] & 0xf0) == 0xe0 && is_tail(s[1]) && is_tail(s[2]))
		return (s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ? 0 : 3;
	if (len >= 4 && s[0] >= 0xf0 && s[0] <= 0xf4 && is_tail(s[1]) && is_tail(s[2]) &&
	    is_tail(s[3]))
		return (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f) ? 0 : 4;
	return 0;
}

/* What must not stand in a string as it is (RFC 8259 section 7). False: it may. */
static bool escape(unsigned char c, char ret[ESCAPE_MAX])
{
	static const char plain[] = "\"\\\n\r\t", letters[] = "\"\\nrt";
	const char *p = c ? strchr(plain, c) : NULL;

	if (p)
		snprintf(ret, ESCAPE_MAX, "\\%c", letters[p - plain]);
	else if (c < 0x20 || c == 0x7f)
		snprintf(ret, ESCAPE_MAX, "\\u%04x", c);
	else
		return false;
	return true;
}

long sl_json_escape(const char *s, size_t len, char *dst, size_t size)
{
	size_t at = 0, n;

	for (size_t i = 0; i < len; i += n ? n : 1) {
		char text[ESCAPE_MAX];
		const char *from = s + i;
		size_t out;

		n = utf8((const unsigned char *)from, len - i);
		out = n;
		if (!n) {
			from = "\xef\xbf\xbd";
			out = 3;
		} else if (escape(*from, text)) {
			from = text;
			out = strlen(text);
		}
		if (out > size - at)
			return -1;
		memcpy(dst + at, from, out);
		at += out;
	}
	return at;
}
