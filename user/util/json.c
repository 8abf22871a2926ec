// SPDX-License-Identifier: GPL-2.0-only
#include "util/json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

json_t *sl_json_text(const char *text)
{
	json_t *json = json_string(text);
	char *copy;

	if (json)
		return json;
	copy = strdup(text);
	if (!copy)
		return NULL;
	for (char *p = copy; *p; p++)
		if (*p & 0x80)
			*p = '?';
	json = json_string(copy);
	free(copy);
	return json;
}

static int print(json_t *root, size_t flags)
{
	int err;

	if (!root)
		return -ENOMEM;
	err = json_dumpf(root, stdout, flags | JSON_REAL_PRECISION(9));
	putchar('\n');
	json_decref(root);
	return err ? -EIO : 0;
}

int sl_json_print(json_t *root)
{
	return print(root, JSON_INDENT(2));
}

int sl_json_line(json_t *root)
{
	return print(root, JSON_COMPACT);
}
