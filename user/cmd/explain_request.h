/* SPDX-License-Identifier: GPL-2.0-only */
/* A request in words, as on the command line of `sluice explain` or in a line of its file. */
#ifndef SL_EXPLAIN_REQUEST_H
#define SL_EXPLAIN_REQUEST_H

#include "cmd/explain.h"

/* The parser refuses more header lines; it shall be the one to say so. */
#define SL_EXPLAIN_HEADERS (SL_MAX_HEADERS + 8)
#define SL_EXPLAIN_WHY 256

struct sl_explain_words {
	const char *method;
	const char *url; /* [http://]HOST[:PORT]/PATH, or /PATH */
	const char *headers[SL_EXPLAIN_HEADERS];
	__u32 n_headers;
	const char *from;     /* the client's IP address; NULL: 127.0.0.1 */
	const char *listener; /* name; NULL: the first with the URL's port, else the first */
};

/*
 * "METHOD URL [-H 'NAME: VALUE']... [--from ADDRESS] [--listener NAME]" into @ret, whose words
 * point into @line, which is changed. What was in @ret stays where the line says nothing. 0, or
 * -EINVAL with
 * @ret_why.
 */
int sl_explain_split(char *line, struct sl_explain_words *ret, char ret_why[SL_EXPLAIN_WHY]);

/* Another request line cannot be smuggled in, and all is there. 0, or -EINVAL with @ret_why. */
int sl_explain_words_check(const struct sl_explain_words *w, char ret_why[SL_EXPLAIN_WHY]);

/*
 * Sets listener, source, buf (which has room) and len of @e, whose config is set, from checked
 * words. 0, -ENOMEM, or -EINVAL with @ret_why: no such listener, or no address.
 */
int sl_explain_request(struct sl_explain *e, const struct sl_explain_words *w,
		       char ret_why[SL_EXPLAIN_WHY]);

#endif /* SL_EXPLAIN_REQUEST_H */
