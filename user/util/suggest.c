// SPDX-License-Identifier: GPL-2.0-only
#include "util/suggest.h"

#include <ctype.h>
#include <string.h>

#define MAX_WORD 64 /* longer words get no suggestion: nobody mistypes them */

static unsigned int min3(unsigned int a, unsigned int b, unsigned int c)
{
	unsigned int m = a < b ? a : b;

	return m < c ? m : c;
}

/* Optimal string alignment distance; both words are at most MAX_WORD bytes. */
static unsigned int distance(const char *a, size_t na, const char *b, size_t nb)
{
	unsigned int rows[3][MAX_WORD + 1];
	unsigned int *above2 = rows[0], *above = rows[1], *row = rows[2];

	for (size_t j = 0; j <= nb; j++)
		above[j] = j;
	for (size_t i = 1; i <= na; i++) {
		int ca = tolower((unsigned char)a[i - 1]);

		row[0] = i;
		for (size_t j = 1; j <= nb; j++) {
			int cb = tolower((unsigned char)b[j - 1]);

			row[j] = min3(above[j] + 1, row[j - 1] + 1, above[j - 1] + (ca != cb));
			if (i > 1 && j > 1 && ca == tolower((unsigned char)b[j - 2]) &&
			    cb == tolower((unsigned char)a[i - 2]) && above2[j - 2] + 1 < row[j])
				row[j] = above2[j - 2] + 1;
		}
		unsigned int *spare = above2;

		above2 = above;
		above = row;
		row = spare;
	}
	return above[nb];
}

void sl_suggest_try(struct sl_suggest *s, const char *candidate)
{
	size_t given = strlen(s->word), length = strlen(candidate);
	unsigned int limit = given < 6 ? 1 + (given > 3) : given / 3;
	unsigned int d;

	if (!given || given > MAX_WORD || length > MAX_WORD)
		return;
	d = distance(s->word, given, candidate, length);
	/* As many changes as letters is no likeness. */
	if (d > limit || d >= length || (s->best && d >= s->distance))
		return;
	s->best = candidate;
	s->distance = d;
}
