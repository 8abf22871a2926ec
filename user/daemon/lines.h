/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A head on its way out: its lines as pointers into the head that came in, or into memory of the
 * list for what was made here. Names are compared without case.
 */
#ifndef SL_DAEMON_LINES_H
#define SL_DAEMON_LINES_H

#include "sl_head.h"

#define LINES_MAX (SL_MAX_HEADERS + 160) /* four lists of 32 changes, and what we say ourselves */

struct text {
	const char *s;
	__u32 len;
};

struct line {
	struct text name;
	struct text value;
};

struct lines {
	struct text method;
	struct text target;
	struct line line[LINES_MAX];
	__u32 n;
	bool full;  /* something did not fit: the head cannot be sent */
	char *made; /* [made_cap] values that were made here */
	__u32 made_len;
	__u32 made_cap;
};

struct text text_of(const char *s);
bool text_is(struct text a, const char *b);

/* Memory for values, freed by the owner. 0 or -ENOMEM. */
int lines_init(struct lines *l);
void lines_reset(struct lines *l);
void lines_add(struct lines *l, struct text name, struct text value);
/* In front of all others. */
void lines_add_first(struct lines *l, struct text name, struct text value);
/* The first line of that name at or behind index @from; NULL: none. */
struct line *lines_find(struct lines *l, const char *name, __u32 from);
void lines_remove(struct lines *l, const char *name);
/* One line of that name, where the first one was, else at the end. */
void lines_set(struct lines *l, const char *name, struct text value);
/* All values of that name and @value as a list, in one line. */
void lines_append(struct lines *l, const char *name, struct text value, const char *separator);

/* Memory for a value: lines_put() adds to it, lines_made() ends it. */
void lines_put(struct lines *l, struct text t);
void lines_puts(struct lines *l, const char *s);
struct text lines_made(struct lines *l, __u32 from);
/* What was put from @from on, as it stands in the quotes of a JSON string. */
void lines_json(struct lines *l, __u32 from);

#endif /* SL_DAEMON_LINES_H */
