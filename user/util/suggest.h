/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * "did you mean": the nearest of a number of known words. Feed the candidates one by one;
 * nothing is copied, so they have to outlive the struct.
 *
 *	struct sl_suggest s = { .word = given };
 *
 *	for (...)
 *		sl_suggest_try(&s, candidate);
 *	if (s.best) ...
 */
#ifndef SL_SUGGEST_H
#define SL_SUGGEST_H

struct sl_suggest {
	const char *word;      /* what was given */
	const char *best;      /* nearest candidate so far; NULL: none is near enough */
	unsigned int distance; /* of best */
};

/*
 * Considers @candidate. Near enough are words within a third of the given word's length
 * (at least one change), letter case ignored, two swapped neighbours being one change.
 * The first of equals stays.
 */
void sl_suggest_try(struct sl_suggest *s, const char *candidate);

#endif /* SL_SUGGEST_H */
