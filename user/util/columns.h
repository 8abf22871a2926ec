/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A table of text: cells are collected, then printed with every column as wide as its widest
 * cell. Columns after the first can be dropped when no row says anything in them.
 */
#ifndef SL_COLUMNS_H
#define SL_COLUMNS_H

#include <stdbool.h>
#include <stdio.h>

#define SL_COLUMNS_MAX 12

struct sl_column {
	const char *title; /* not copied */
	bool right;	   /* aligned to the right: numbers */
	bool optional;	   /* not printed when all its cells are "" or "0" */
};

struct sl_columns {
	const struct sl_column *columns; /* not copied */
	unsigned int n_columns;		 /* at most SL_COLUMNS_MAX */
	char **cells;			 /* [n_cells], row by row */
	unsigned int n_cells;
	unsigned int room;
	bool no_memory; /* cells were lost; nothing is printed */
};

/* Adds the next cell, row by row; printf-like. Failures show in sl_columns_print(). */
void sl_columns_add(struct sl_columns *t, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Prints titles and rows, two spaces between columns. 0 or -ENOMEM. */
int sl_columns_print(const struct sl_columns *t, FILE *out);

void sl_columns_free(struct sl_columns *t);

#endif /* SL_COLUMNS_H */
