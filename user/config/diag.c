// SPDX-License-Identifier: GPL-2.0-only
/* Diagnostics: collect, sort, print with the source line and a caret. */
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "config/diag.h"

#define SOURCE_WIDTH 120 /* characters of a source line that are shown */

/*
 * Bytes of the UTF-8 character at @s (at most @len); 1 for a byte that begins none. *@ret_ok:
 * printable. Control characters could drive the reader's terminal, and those that turn
 * the writing direction could make a line look like another one.
 */
static size_t char_len(const char *text, size_t len, bool *ret_ok)
{
	const unsigned char *s = (const unsigned char *)text;
	size_t n = s[0] < 0x80 ? 1 : s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : s[0] >= 0xc2 ? 2 : 0;

	*ret_ok = false;
	if (n == 0 || n > len || s[0] > 0xf4)
		return 1;
	for (size_t i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 1;
	if (n == 1)
		*ret_ok = s[0] >= 0x20 && s[0] != 0x7f;
	else if (s[0] == 0xc2) /* U+0080 to U+009f: C1 controls */
		*ret_ok = s[1] >= 0xa0;
	else if (s[0] == 0xe2 && s[1] == 0x80) /* U+2028 to U+202e */
		*ret_ok = s[2] < 0xa8 || s[2] > 0xae;
	else if (s[0] == 0xe2 && s[1] == 0x81) /* U+2066 to U+2069 */
		*ret_ok = s[2] < 0xa6 || s[2] > 0xa9;
	else
		*ret_ok = true;
	return n;
}

/* Replaces each character that is not printable by '?', in place; tabs become spaces. */
static void sanitize(char *s)
{
	size_t len = strlen(s), out = 0;

	for (size_t i = 0, n; i < len; i += n) {
		bool ok;

		n = char_len(s + i, len - i, &ok);
		if (ok)
			memmove(s + out, s + i, n);
		else
			s[out] = s[i] == '\t' ? ' ' : '?';
		out += ok ? n : 1;
	}
	s[out] = '\0';
}

static struct sl_diag *grow(struct sl_diag_list *l)
{
	struct sl_diag *items;
	__u32 n = l->n_alloc ? l->n_alloc * 2 : 16;

	if (l->n < l->n_alloc)
		return &l->items[l->n];
	items = realloc(l->items, n * sizeof(*items));
	if (!items)
		return NULL;
	l->items = items;
	l->n_alloc = n;
	return &l->items[l->n];
}

void sl_diag_add(struct sl_diag_list *l, enum sl_severity sev, __u32 line, __u32 col,
		 const char *fmt, ...)
{
	struct sl_diag *d;
	char *message;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&message, fmt, ap);
	va_end(ap);
	if (n < 0)
		message = NULL;
	else
		sanitize(message);

	/* An aliased node is walked once for each alias, but is wrong once. */
	for (__u32 i = 0; message && i < l->n; i++) {
		d = &l->items[i];
		if (d->line == line && d->col == col && !strcmp(d->message, message)) {
			free(message);
			return;
		}
	}

	if (sev == SL_ERROR)
		l->n_errors++;
	else
		l->n_warnings++;
	/* Far over the cap nothing is gained by keeping more; the places come roughly in order. */
	d = message && l->n < 20 * SL_DIAG_MAX ? grow(l) : NULL;
	if (!d) {
		free(message);
		return;
	}
	*d = (struct sl_diag){.severity = sev, .line = line, .col = col, .message = message};
	l->n++;
}

static int by_place(const void *a, const void *b)
{
	const struct sl_diag *x = a, *y = b;

	if (x->line != y->line)
		return x->line < y->line ? -1 : 1;
	if (x->col != y->col)
		return x->col < y->col ? -1 : 1;
	if (x->severity != y->severity)
		return x->severity < y->severity ? -1 : 1;
	return strcmp(x->message, y->message);
}

/* Beginning of line @line (from 1) of @text, its length in @ret_len; NULL: there is none. */
static const char *find_line(const char *text, size_t len, __u32 line, size_t *ret_len)
{
	const char *p = text, *end = text + len, *nl;

	while (--line) {
		nl = memchr(p, '\n', end - p);
		if (!nl)
			return NULL;
		p = nl + 1;
	}
	nl = memchr(p, '\n', end - p);
	*ret_len = (nl ? nl : end) - p;
	if (*ret_len && p[*ret_len - 1] == '\r')
		(*ret_len)--;
	return p;
}

/*
 * Copies a window of SOURCE_WIDTH characters with the caret's column in it. One character of
 * the line is one of the copy, so that the caret stands under its character.
 */
static void attach_source(struct sl_diag *d, const char *text, size_t text_len)
{
	size_t len, out = 0;
	__u32 first = d->col > SOURCE_WIDTH - 20 ? d->col - SOURCE_WIDTH / 2 : 1;
	__u32 col = 1;
	const char *line;

	if (!d->line || !text)
		return;
	line = find_line(text, text_len, d->line, &len);
	if (!line)
		return;
	d->source = malloc(4 * SOURCE_WIDTH + 1);
	if (!d->source)
		return;
	for (size_t i = 0, n; i < len && col < first + SOURCE_WIDTH; i += n, col++) {
		bool ok;

		n = char_len(line + i, len - i, &ok);
		if (col < first)
			continue;
		if (ok)
			memcpy(d->source + out, line + i, n);
		else
			d->source[out] = line[i] == '\t' ? ' ' : '?';
		out += ok ? n : 1;
	}
	d->source[out] = '\0';
	d->caret = d->col - first + 1;
}

void sl_diag_finish(struct sl_diag_list *l, const char *text, size_t len)
{
	__u32 shown = 0, n = 0;

	if (l->n)
		qsort(l->items, l->n, sizeof(*l->items), by_place);
	for (__u32 i = 0; i < l->n; i++) {
		struct sl_diag d = l->items[i];

		/* Warnings share the cap: a screen of them hides the one error. */
		if (n >= SL_DIAG_MAX && (d.severity == SL_WARNING || shown >= SL_DIAG_MAX)) {
			free(d.message);
			continue;
		}
		shown += d.severity == SL_ERROR;
		attach_source(&d, text, len);
		l->items[n++] = d;
	}
	l->n = n;
}

void sl_diag_print(FILE *out, const struct sl_diag_list *l)
{
	const char *file = l->file ? l->file : "-";
	__u32 shown[2] = {0, 0};

	for (__u32 i = 0; i < l->n; i++) {
		const struct sl_diag *d = &l->items[i];

		shown[d->severity == SL_WARNING]++;
		fputs(file, out);
		if (d->line)
			fprintf(out, ":%u:%u", d->line, d->col);
		fprintf(out, ": %s: %s\n", d->severity == SL_ERROR ? "error" : "warning",
			d->message);
		if (!d->source)
			continue;
		fprintf(out, "%5u |%s%s\n", d->line, *d->source ? " " : "", d->source);
		fprintf(out, "%*s | %*s\n", d->line > 99999 ? 6 : 5, "", (int)d->caret, "^");
	}
	if (l->n_errors > shown[0])
		fprintf(out, "%s: %u more errors are not shown\n", file, l->n_errors - shown[0]);
	if (l->n_warnings > shown[1])
		fprintf(out, "%s: %u more warnings are not shown\n", file,
			l->n_warnings - shown[1]);
}

void sl_diag_free(struct sl_diag_list *l)
{
	if (!l)
		return;
	for (__u32 i = 0; i < l->n; i++) {
		free(l->items[i].message);
		free(l->items[i].source);
	}
	free(l->items);
	free(l->file);
	*l = (struct sl_diag_list){0};
}
