/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A parsed head as one line of text, and a case run at every length of its input: whole, byte by
 * byte and split anywhere, since parsing starts from the front each time.
 *
 *	"bad 400"  "more"  "long 431"
 *	"LENGTH METHOD target path host FLAGS | Name=value | ..."  "LENGTH STATUS FLAGS | ..."
 */
#ifndef TEST_HEAD_TEXT_H
#define TEST_HEAD_TEXT_H

#include "core.h"
#include "sl_http.h"

struct head_case {
	const char *name;
	const char *input;
	const char *expected;
	__u32 len; /* 0: strlen(input) */
};

static const char *const method_names[] = {"other",  "get",	"head",	 "post",    "put",
					   "delete", "options", "patch", "connect", "trace"};

static inline void add_span(FILE *f, const char *before, const __u8 *buf, struct sl_span s)
{
	fputs(before, f);
	for (__u32 i = 0; i < s.len; i++) {
		__u8 c = buf[s.off + i];

		if (c < 0x20 || c >= 0x7f)
			fprintf(f, "\\x%02x", c);
		else
			fputc(c, f);
	}
}

static inline void head_text(char *out, size_t size, enum sl_parse result, const struct sl_head *h,
			     const __u8 *buf, bool response)
{
	static const char *const flags[] = {
		"1.0",	  "close",   "keep-alive", "connection", "upgrade",   "expect", "continue",
		"length", "chunked", "absolute",   "asterisk",	 "authority", "host"};
	FILE *f = fmemopen(out, size, "w");

	switch (result) {
	case SL_PARSE_MORE:
		fputs("more", f);
		break;
	case SL_PARSE_BAD:
		fprintf(f, "bad %u", h->error);
		break;
	case SL_PARSE_LONG:
		fprintf(f, "long %u", h->error);
		break;
	case SL_PARSE_DONE:
		fprintf(f, "%u", h->len);
		if (response) {
			fprintf(f, " %u", h->status);
		} else {
			fprintf(f, " %s", method_names[h->method]);
			add_span(f, " ", buf, h->method_name);
			add_span(f, " ", buf, h->target);
			add_span(f, " ", buf, h->path);
			add_span(f, " ", buf, h->host);
		}
		for (__u32 i = 0; i < 13; i++) {
			if (h->flags & 1 << i)
				fprintf(f, " %s", flags[i]);
		}
		if (h->flags & SL_HEAD_LENGTH)
			fprintf(f, "=%llu", (unsigned long long)h->length);
		for (__u32 i = 0; i < h->n_headers; i++) {
			add_span(f, " | ", buf, h->headers[i].name);
			add_span(f, "=", buf, h->headers[i].value);
		}
	}
	fclose(f);
}

/* @buf has SL_HEAD_MAX bytes: the input in front, @filler behind it. */
static inline void head_run(char *out, size_t size, __u8 *buf, const void *input, __u32 len,
			    int filler, bool response)
{
	struct sl_head h;
	enum sl_parse result;
	__u32 garbage = SL_HEAD_MAX - len < 200 ? SL_HEAD_MAX - len : 200;

	memcpy(buf, input, len);
	memset(buf + len, filler, garbage);
	memset(&h, 0xa5, sizeof(h));
	result = response ? sl_response_parse(&h, buf, len) : sl_request_parse(&h, buf, len);
	head_text(out, size, result, &h, buf, response);
}

/* What is expected of the case's first @len bytes, given the verdict for all of them. */
static inline bool prefix_agrees(const char *got, const char *whole, __u32 len)
{
	/* Once DONE, BAD or LONG, the same for every longer input; until then MORE. */
	if (!strcmp(got, whole))
		return true;
	return !strcmp(got, "more") &&
	       (whole[0] < '0' || whole[0] > '9' || len < strtoul(whole, NULL, 10));
}

static inline void head_case_run(const struct head_case *c, __u8 *buf, bool response)
{
	static const int fillers[] = {0, '\r', '\n', ':', ' ', 'a', 0xff};
	__u32 whole = c->len ? c->len : strlen(c->input), len, i;
	bool decided = false;
	char text[4096];

	head_run(text, sizeof(text), buf, c->input, whole, 'x', response);
	CHECK_CASE(!strcmp(text, c->expected), c->name, "'%s', not '%s'", text, c->expected);
	for (len = 0; len <= whole; len++) {
		char first[4096];

		for (i = 0; i < sizeof(fillers) / sizeof(fillers[0]); i++) {
			head_run(text, sizeof(text), buf, c->input, len, fillers[i], response);
			if (i == 0)
				strcpy(first, text);
			if (strcmp(first, text))
				CHECK_CASE(0, c->name,
					   "bytes behind the first %u change it: %s, %s", len,
					   first, text);
		}
		if (decided || !prefix_agrees(first, c->expected, len))
			CHECK_CASE(!strcmp(first, c->expected), c->name, "first %u bytes: '%s'",
				   len, first);
		decided = strcmp(first, "more") != 0;
	}
}

#endif /* TEST_HEAD_TEXT_H */
