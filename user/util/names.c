// SPDX-License-Identifier: GPL-2.0-only
#include "util/names.h"

#include <stdlib.h>
#include <string.h>

struct entry {
	const char *name; /* NULL: free */
	const void *value;
};

struct sl_names {
	struct entry *all;
	size_t size; /* power of two, more than half of it free */
	size_t used;
};

/* FNV-1a */
static size_t hash(const char *s)
{
	unsigned long long h = 0xcbf29ce484222325ULL;

	while (*s)
		h = (h ^ (unsigned char)*s++) * 0x100000001b3ULL;
	return h ^ h >> 29;
}

static struct entry *find(struct entry *all, size_t size, const char *name)
{
	size_t at = hash(name) & (size - 1);

	while (all[at].name && strcmp(all[at].name, name))
		at = (at + 1) & (size - 1);
	return &all[at];
}

struct sl_names *sl_names_new(void)
{
	struct sl_names *n = calloc(1, sizeof(*n));

	if (!n)
		return NULL;
	n->size = 64;
	n->all = calloc(n->size, sizeof(*n->all));
	if (n->all)
		return n;
	free(n);
	return NULL;
}

void sl_names_free(struct sl_names *n)
{
	if (!n)
		return;
	free(n->all);
	free(n);
}

const void *sl_names_get(const struct sl_names *n, const char *name)
{
	return find(n->all, n->size, name)->value;
}

static int grow(struct sl_names *n)
{
	struct entry *all = calloc(n->size * 2, sizeof(*all));

	if (!all)
		return -1;
	for (size_t i = 0; i < n->size; i++)
		if (n->all[i].name)
			*find(all, n->size * 2, n->all[i].name) = n->all[i];
	free(n->all);
	n->all = all;
	n->size *= 2;
	return 0;
}

const void *sl_names_add(struct sl_names *n, const char *name, const void *value)
{
	struct entry *e;

	if (n->used * 2 >= n->size && grow(n))
		return NULL;
	e = find(n->all, n->size, name);
	if (!e->name) {
		*e = (struct entry){name, value};
		n->used++;
	}
	return e->value;
}
