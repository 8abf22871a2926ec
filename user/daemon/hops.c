/* SPDX-License-Identifier: GPL-2.0-only */
/* Max-Forwards of OPTIONS and TRACE (RFC 9110 section 7.6.2). */
#include <stdio.h>
#include "mutate.h"

/* What @l says; ~0: nothing, or no number. */
static __u32 hops_of(struct lines *l)
{
	const struct line *line = lines_find(l, "max-forwards", 0);
	__u32 n = 0;

	if (!line || !line->value.len)
		return ~0U;
	for (__u32 i = 0; i < line->value.len; i++) {
		__u8 digit = line->value.s[i] - '0';

		if (digit > 9)
			return ~0U;
		n = n < 100000000 ? n * 10 + digit : n;
	}
	return n;
}

void hops_count(struct lines *l)
{
	__u32 from = l->made_len, n = hops_of(l);
	char number[16];

	if (!n || n == ~0U)
		return;
	snprintf(number, sizeof(number), "%u", n - 1);
	lines_puts(l, number);
	lines_set(l, "max-forwards", lines_made(l, from));
}

/* Section 9.3.8: the request, without what its client would not have everybody see. */
static struct text echo(struct lines *l)
{
	__u32 from = l->made_len;

	lines_remove(l, "cookie");
	lines_remove(l, "authorization");
	lines_remove(l, "proxy-authorization");
	lines_put(l, l->method);
	lines_puts(l, " ");
	lines_put(l, l->target);
	lines_puts(l, " HTTP/1.1\r\n");
	for (__u32 i = 0; i < l->n; i++) {
		lines_put(l, l->line[i].name);
		lines_puts(l, ": ");
		lines_put(l, l->line[i].value);
		lines_puts(l, "\r\n");
	}
	lines_puts(l, "\r\n");
	return lines_made(l, from);
}

bool hops_end(struct worker *w, struct front *f, const struct sl_head *h, const __u8 *buf)
{
	struct lines *l = &w->request;
	struct text body;

	lines_reset(l);
	lines_of_head(l, h, buf);
	if (hops_of(l))
		return false;
	body = h->method == SL_METHOD_TRACE ? echo(l) : text_of("");
	if (l->full)
		reply(w, f, 431);
	else
		reply_here(w, f, body, "message/http");
	return true;
}
