/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Diagnostics with a place, like a compiler's. Library code adds to a list, a command
 * prints it. Lines and columns count from 1, columns in characters; line 0: no place.
 */
#ifndef SL_DIAG_H
#define SL_DIAG_H

#include <linux/types.h>
#include <stdio.h>

#define SL_DIAG_MAX 50 /* errors that are kept; the rest are counted */

enum sl_severity {
	SL_ERROR,
	SL_WARNING,
};

struct sl_diag {
	enum sl_severity severity;
	__u32 line;
	__u32 col;
	char *message; /* no line end; printable UTF-8 */
	char *source;  /* the source line, printable; NULL: none */
	__u32 caret;   /* column of `source` that the caret stands under, from 1 */
};

/* Zeroed: empty. Owned by the caller of the function that fills it: sl_diag_free(). */
struct sl_diag_list {
	char *file;
	struct sl_diag *items; /* by place after sl_diag_finish() */
	__u32 n;
	__u32 n_errors; /* all that were found, shown or not */
	__u32 n_warnings;
	__u32 n_alloc;
};

/* Adds one; the same message at the same place is kept once. Never fails: a message that does not
 * fit in memory is counted all the same. */
__attribute__((format(printf, 5, 6))) void sl_diag_add(struct sl_diag_list *l, enum sl_severity sev,
						       __u32 line, __u32 col, const char *fmt, ...);

/*
 * Sorts by place, drops the errors over SL_DIAG_MAX (n_errors still counts them) and
 * attaches the source lines of @text (@len bytes; NULL: no source).
 */
void sl_diag_finish(struct sl_diag_list *l, const char *text, size_t len);

/*
 * FILE:LINE:COL: error: MESSAGE
 *    31 | source line
 *       |      ^
 */
void sl_diag_print(FILE *out, const struct sl_diag_list *l);

void sl_diag_free(struct sl_diag_list *l);

#endif /* SL_DIAG_H */
