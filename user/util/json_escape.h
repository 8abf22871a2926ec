/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SL_JSON_ESCAPE_H
#define SL_JSON_ESCAPE_H

#include <stddef.h>

/*
 * The @len bytes @s as they stand between the quotes of a JSON string, into @dst (not terminated);
 * a byte that is no UTF-8 becomes U+FFFD. How many bytes, or -1: more than @size.
 */
long sl_json_escape(const char *s, size_t len, char *dst, size_t size);

#endif /* SL_JSON_ESCAPE_H */
