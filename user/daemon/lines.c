// SPDX-License-Identifier: GPL-2.0-only
#include "daemon/lines.h"
#include "util/json_escape.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct text text_of(const char *s)
{
	return (struct text){s, strlen(s)};
}

bool text_is(struct text a, const char *b)
{
	return a.len == strlen(b) && !strncasecmp(a.s, b, a.len);
}

int lines_init(struct lines *l)
{
	l->made = malloc(SL_HEAD_MAX);
	l->made_cap = l->made ? SL_HEAD_MAX : 0;
	return l->made ? 0 : -ENOMEM;
}

/* Keeps the memory for values. */
void lines_reset(struct lines *l)
{
	l->n = l->made_len = 0;
	l->full = false;
	l->method = l->target = (struct text){0};
}

void lines_add(struct lines *l, struct text name, struct text value)
{
	if (l->n == LINES_MAX)
		l->full = true;
	else
		l->line[l->n++] = (struct line){name, value};
}

void lines_add_first(struct lines *l, struct text name, struct text value)
{
	lines_add(l, name, value);
	if (l->full)
		return;
	memmove(l->line + 1, l->line, (l->n - 1) * sizeof(l->line[0]));
	l->line[0] = (struct line){name, value};
}

struct line *lines_find(struct lines *l, const char *name, __u32 from)
{
	for (__u32 i = from; i < l->n; i++)
		if (text_is(l->line[i].name, name))
			return &l->line[i];
	return NULL;
}

static void remove_from(struct lines *l, const char *name, __u32 from)
{
	__u32 n = from;

	for (__u32 i = from; i < l->n; i++)
		if (!text_is(l->line[i].name, name))
			l->line[n++] = l->line[i];
	l->n = n;
}

void lines_remove(struct lines *l, const char *name)
{
	remove_from(l, name, 0);
}

void lines_set(struct lines *l, const char *name, struct text value)
{
	struct line *first = lines_find(l, name, 0);

	if (!first) {
		lines_add(l, text_of(name), value);
		return;
	}
	first->value = value;
	remove_from(l, name, first - l->line + 1);
}

void lines_put(struct lines *l, struct text t)
{
	if (t.len > l->made_cap - l->made_len) {
		l->full = true;
		return;
	}
	if (t.len)
		memcpy(l->made + l->made_len, t.s, t.len);
	l->made_len += t.len;
}

void lines_puts(struct lines *l, const char *s)
{
	lines_put(l, text_of(s));
}

struct text lines_made(struct lines *l, __u32 from)
{
	return (struct text){l->made + from, l->made_len - from};
}

void lines_json(struct lines *l, __u32 from)
{
	const struct text raw = lines_made(l, from);
	long n = sl_json_escape(raw.s, raw.len, l->made + l->made_len, l->made_cap - l->made_len);

	if (n < 0) {
		l->full = true;
		return;
	}
	memmove(l->made + from, l->made + l->made_len, n);
	l->made_len = from + n;
}

void lines_append(struct lines *l, const char *name, struct text value, const char *separator)
{
	__u32 from = l->made_len;

	for (__u32 i = 0; i < l->n; i++) {
		if (!text_is(l->line[i].name, name) || !l->line[i].value.len)
			continue;
		lines_put(l, l->line[i].value);
		lines_puts(l, separator);
	}
	lines_put(l, value);
	lines_set(l, name, lines_made(l, from));
}
