/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SL_JSON_H
#define SL_JSON_H

#include <jansson.h>

/*
 * @text as a JSON string; bytes that are not UTF-8 (a name cut in the middle of a letter)
 * become '?', so that one name cannot spoil the whole output. NULL: out of memory.
 */
json_t *sl_json_text(const char *text);

/* Prints @root to stdout and drops the reference. 0 or -ENOMEM (@root is NULL), -EIO. */
int sl_json_print(json_t *root);
/* The same, on one line. */
int sl_json_line(json_t *root);

#endif /* SL_JSON_H */
