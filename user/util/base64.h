/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SL_BASE64_H
#define SL_BASE64_H

#include <stddef.h>

/*
 * The bytes that the base64 text @s stands for, into @dst, which has room for @len / 4 * 3 + 2.
 * Both alphabets of RFC 4648 are taken, with or without the padding, as protobuf's JSON takes them.
 * How many bytes, or -EINVAL.
 */
long sl_base64_decode(const char *s, size_t len, char *dst);

#endif /* SL_BASE64_H */
