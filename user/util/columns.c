// SPDX-License-Identifier: GPL-2.0-only
#include "util/columns.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

void sl_columns_add(struct sl_columns *t, const char *format, ...)
{
	va_list args;
	char *cell;

	if (t->n_cells == t->room) {
		unsigned int room = t->room ? t->room * 2 : 64;
		char **cells = realloc(t->cells, room * sizeof(*cells));

		if (!cells) {
			t->no_memory = true;
			return;
		}
		t->cells = cells;
		t->room = room;
	}
	va_start(args, format);
	if (vasprintf(&cell, format, args) < 0)
		t->no_memory = true;
	else
		t->cells[t->n_cells++] = cell;
	va_end(args);
}

/* Width of @column, 0: not to be printed. */
static unsigned int width_of(const struct sl_columns *t, unsigned int column)
{
	unsigned int width = strlen(t->columns[column].title);
	bool says = !t->columns[column].optional;

	for (unsigned int i = column; i < t->n_cells; i += t->n_columns) {
		unsigned int len = strlen(t->cells[i]);

		if (len > width)
			width = len;
		if (len && strcmp(t->cells[i], "0") != 0)
			says = true;
	}
	return says ? width : 0;
}

/* @cells: one for each column; no space is left at the end of the line. */
static void print_row(const struct sl_columns *t, const unsigned int *widths,
		      const char *const *cells, FILE *out)
{
	unsigned int pending = 0;

	for (unsigned int c = 0; c < t->n_columns; c++) {
		unsigned int len = strlen(cells[c]);
		unsigned int pad = widths[c] - (len < widths[c] ? len : widths[c]);

		if (!widths[c])
			continue;
		if (t->columns[c].right)
			pending += pad;
		if (len) {
			fprintf(out, "%*s%s", (int)pending, "", cells[c]);
			pending = 0;
		}
		if (!t->columns[c].right)
			pending += pad;
		pending += 2;
	}
	putc('\n', out);
}

int sl_columns_print(const struct sl_columns *t, FILE *out)
{
	unsigned int widths[SL_COLUMNS_MAX];
	const char *titles[SL_COLUMNS_MAX];

	if (t->no_memory)
		return -ENOMEM;
	for (unsigned int c = 0; c < t->n_columns; c++) {
		widths[c] = width_of(t, c);
		titles[c] = t->columns[c].title;
	}
	print_row(t, widths, titles, out);
	for (unsigned int i = 0; i + t->n_columns <= t->n_cells; i += t->n_columns)
		print_row(t, widths, (const char *const *)&t->cells[i], out);
	return 0;
}

void sl_columns_free(struct sl_columns *t)
{
	if (!t)
		return;
	for (unsigned int i = 0; i < t->n_cells; i++)
		free(t->cells[i]);
	free(t->cells);
	t->cells = NULL;
	t->n_cells = 0;
	t->room = 0;
}
