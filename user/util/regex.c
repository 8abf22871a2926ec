// SPDX-License-Identifier: GPL-2.0-only
#define PCRE2_CODE_UNIT_WIDTH 8
#include "util/regex.h"

#include <errno.h>
#include <pcre2.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STEPS_MAX 100000 /* of one match: a path of 8 KB takes some thousand */
#define HEAP_MAX 1024	 /* KiB */
#define GROUPS 10	 /* \0 .. \9 */

struct sl_regex {
	pcre2_code *code;
	pcre2_match_data *data;
	pcre2_match_context *limits;
	pthread_mutex_t lock; /* of data */
};

/* ---- what RE2 does not have ---- */

struct word {
	const char *text;
	const char *what;
};

/* What begins a group in PCRE2 but not in RE2; longer ones first. */
static const struct word groups[] = {
	{"(?<=", "look-behind"},  {"(?<!", "look-behind"},    {"(?=", "look-ahead"},
	{"(?!", "look-ahead"},	  {"(?>", "an atomic group"}, {"(?|", "a branch reset"},
	{"(?#", "a comment"},	  {"(?(", "a condition"},     {"(?R", "recursion"},
	{"(?&", "recursion"},	  {"(?P>", "recursion"},      {"(?P=", "a back-reference"},
	{"(?'", "a quoted name"}, {"(?C", "a callout"},	      {"(*", "a verb"},
	{"(?+", "recursion"},
};

/* Letters behind a backslash that RE2 knows (re2/syntax.txt); punctuation is always literal. */
static const char escapes[] = "aftnrpPdDsSwWbBAzQExC";

static int refuse(char *ret_why, const char *what, const char *at)
{
	snprintf(ret_why, SL_REGEX_WHY, "%s ('%.8s') is not part of RE2's syntax", what, at);
	return -EINVAL;
}

static int check_escape(const char *p, char *ret_why)
{
	if (p[1] >= '1' && p[1] <= '9')
		return refuse(ret_why, "a back-reference", p);
	if (p[1] == 'C')
		return refuse(ret_why, "matching a single byte", p);
	if (((p[1] >= 'a' && p[1] <= 'z') || (p[1] >= 'A' && p[1] <= 'Z')) &&
	    !strchr(escapes, p[1]))
		return refuse(ret_why, "this escape", p);
	return 0;
}

/* Bytes of the repetition at @p ("*", "{2,3}"); 0: there is none. */
static size_t repetition(const char *p)
{
	size_t digits;

	if (*p == '*' || *p == '+' || *p == '?')
		return 1;
	digits = *p == '{' ? strspn(p + 1, "0123456789,") : 0;
	return digits && p[1] != ',' && p[1 + digits] == '}' ? digits + 2 : 0;
}

/*
 * RE2 takes at most 1,000 repetitions of anything by {n,m}, those of groups in groups multiplied
 * (RepetitionWalker, re2/parse.cc).
 */
#define REPEAT_MAX 1000
#define DEPTH 256 /* of groups; PCRE2 has its own limit below that */

struct repeats {
	unsigned long most[DEPTH]; /* of what stands in the open group of this depth */
	unsigned long last;	   /* of the last atom */
	size_t depth;
};

static void repeats_atom(struct repeats *r, unsigned long times)
{
	unsigned long *most = &r->most[r->depth < DEPTH ? r->depth : DEPTH - 1];

	r->last = times;
	if (times > *most)
		*most = times;
}

static void repeats_group(struct repeats *r, bool open)
{
	if (open) {
		if (++r->depth < DEPTH)
			r->most[r->depth] = 1;
	} else if (r->depth) {
		unsigned long inside = r->most[r->depth < DEPTH ? r->depth : DEPTH - 1];

		r->depth--;
		repeats_atom(r, inside);
	}
}

/* The repetition at @p, "{2,3}" or another, of the last atom. False: it is over the limit. */
static bool repeats_times(struct repeats *r, const char *p)
{
	unsigned long times;
	char *end;

	if (*p != '{')
		return true;
	times = strtoul(p + 1, &end, 10);
	if (*end == ',' && end[1] != '}')
		times = strtoul(end + 1, NULL, 10);
	if (times > REPEAT_MAX || r->last * times > REPEAT_MAX)
		return false;
	repeats_atom(r, times ? r->last * times : r->last);
	return true;
}

/* Bytes of the class at @p, "[...]"; its escapes are checked by the caller's rule. */
static long class_end(const char *p, char *ret_why)
{
	const char *start = p;
	int err;

	p += p[1] == '^' ? 2 : 1;
	if (*p == ']')
		p++;
	for (; *p && *p != ']'; p++) {
		if (p[0] == '[' && p[1] == ':' && strstr(p + 2, ":]")) {
			p = strstr(p + 2, ":]") + 1;
		} else if (*p == '\\' && p[1]) {
			err = check_escape(p, ret_why);
			if (err)
				return err;
			p++;
		}
	}
	return *p ? p + 1 - start : p - start;
}

static int check_group(const char *p, char *ret_why)
{
	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++)
		if (!strncmp(p, groups[i].text, strlen(groups[i].text)))
			return refuse(ret_why, groups[i].what, p);
	if (p[1] == '?' && p[2 + (p[2] == '-')] >= '0' && p[2 + (p[2] == '-')] <= '9')
		return refuse(ret_why, "recursion", p);
	/* "(?P<name>", "(?<name>" or options. */
	if (p[1] == '?' && p[2] != 'P' && p[2] != '<' &&
	    !strchr(":)", p[2 + strspn(p + 2, "imsU-")]))
		return refuse(ret_why, "this option", p);
	return 0;
}

/* Is @pattern RE2's, as far as PCRE2 would not say so itself? 0 or -EINVAL. */
static int check_syntax(const char *pattern, char *ret_why)
{
	struct repeats r = {.most = {1}, .last = 1};
	const char *p = pattern;
	int err = 0;

	while (!err && *p) {
		size_t n = repetition(p);
		long len = 1;

		if (n && p > pattern) {
			/* "a+?" is lazy in both; "a++" is possessive here, an error there. */
			len = n + (p[n] == '?');
			if (repetition(p + len))
				return refuse(ret_why, "a repeated repetition", p);
			if (!repeats_times(&r, p))
				return refuse(ret_why, "more than 1000 repetitions", p);
			p += len;
			continue;
		}
		r.last = 1;
		if (!strncmp(p, "\\Q", 2)) {
			const char *end = strstr(p, "\\E");

			len = end ? end + 2 - p : (long)strlen(p);
		} else if (*p == '\\' && p[1]) {
			err = check_escape(p, ret_why);
			len = 2;
		} else if (*p == '[') {
			len = class_end(p, ret_why);
			if (len < 0)
				return len;
		} else if (*p == '(') {
			err = check_group(p, ret_why);
			/* The "?" of "(?" repeats nothing. */
			len = p[1] == '?' ? 2 : 1;
			repeats_group(&r, true);
		} else if (*p == ')') {
			repeats_group(&r, false);
		}
		p += len;
	}
	return err;
}

/* ---- compile and match ---- */

static pcre2_code *compile(const char *pattern, bool whole, char *ret_why)
{
	/* RE2's $ is the end of the text alone; its dot is all but a line feed. */
	uint32_t options = PCRE2_UTF | PCRE2_MATCH_INVALID_UTF | PCRE2_DOLLAR_ENDONLY |
			   PCRE2_NEVER_BACKSLASH_C;
	pcre2_compile_context *context = pcre2_compile_context_create(NULL);
	pcre2_code *code = NULL;
	PCRE2_UCHAR text[100];
	PCRE2_SIZE at = 0;
	int err = PCRE2_ERROR_NOMEMORY;

	if (whole)
		options |= PCRE2_ANCHORED | PCRE2_ENDANCHORED;
	if (context) {
		pcre2_set_newline(context, PCRE2_NEWLINE_LF);
		code = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED, options, &err, &at,
				     context);
	}
	pcre2_compile_context_free(context);
	if (code)
		return code;
	pcre2_get_error_message(err, text, sizeof(text));
	snprintf(ret_why, SL_REGEX_WHY, "%s at '%.16s'", text, pattern + at);
	return NULL;
}

int sl_regex_new(const char *pattern, bool whole, struct sl_regex **ret, char ret_why[SL_REGEX_WHY])
{
	int err = check_syntax(pattern, ret_why);
	struct sl_regex *r;

	if (err)
		return err;
	r = calloc(1, sizeof(*r));
	if (!r)
		return -ENOMEM;
	r->code = compile(pattern, whole, ret_why);
	if (!r->code) {
		free(r);
		return -EINVAL;
	}
	/* Without a JIT (no memory that may be executed) the interpreter does the same. */
	(void)pcre2_jit_compile(r->code, PCRE2_JIT_COMPLETE);
	r->data = pcre2_match_data_create_from_pattern(r->code, NULL);
	r->limits = pcre2_match_context_create(NULL);
	if (!r->data || !r->limits) {
		sl_regex_free(r);
		return -ENOMEM;
	}
	pcre2_set_match_limit(r->limits, STEPS_MAX);
	pcre2_set_depth_limit(r->limits, STEPS_MAX);
	pcre2_set_heap_limit(r->limits, HEAP_MAX);
	pthread_mutex_init(&r->lock, NULL);
	*ret = r;
	return 0;
}

void sl_regex_free(struct sl_regex *r)
{
	if (!r)
		return;
	pcre2_match_context_free(r->limits);
	pcre2_match_data_free(r->data);
	pcre2_code_free(r->code);
	free(r);
}

/* Groups that matched, 0: no match, -ELOOP: over the limits. */
static int match(const struct sl_regex *r, const char *text, size_t len, size_t from)
{
	int n = pcre2_match(r->code, (PCRE2_SPTR)text, len, from, 0, r->data, r->limits);

	if (n == PCRE2_ERROR_JIT_STACKLIMIT)
		n = pcre2_match(r->code, (PCRE2_SPTR)text, len, from, PCRE2_NO_JIT, r->data,
				r->limits);
	if (n == PCRE2_ERROR_NOMATCH)
		return 0;
	return n > 0 ? n : -ELOOP;
}

bool sl_regex_matches(struct sl_regex *r, const char *text, size_t len)
{
	bool matches;

	pthread_mutex_lock(&r->lock);
	matches = match(r, text, len, 0) > 0;
	pthread_mutex_unlock(&r->lock);
	return matches;
}

/* ---- replace ---- */

int sl_regex_check(const struct sl_regex *r, const char *substitution, char ret_why[SL_REGEX_WHY])
{
	uint32_t n = 0;

	(void)pcre2_pattern_info(r->code, PCRE2_INFO_CAPTURECOUNT, &n);
	for (const char *p = substitution; *p; p++) {
		if (*p != '\\')
			continue;
		p++;
		if (*p == '\\')
			continue;
		if (*p < '0' || *p > '9') {
			snprintf(ret_why, SL_REGEX_WHY,
				 "a backslash in a substitution stands before a digit or a "
				 "backslash");
			return -EINVAL;
		}
		if ((uint32_t)(*p - '0') > n) {
			snprintf(ret_why, SL_REGEX_WHY, "'\\%c' but the pattern has %u group%s", *p,
				 n, n == 1 ? "" : "s");
			return -EINVAL;
		}
	}
	return 0;
}

struct output {
	char *at;
	size_t left;
	bool full;
};

static void put(struct output *o, const char *s, size_t len)
{
	o->full |= len > o->left;
	if (o->full)
		return;
	memcpy(o->at, s, len);
	o->at += len;
	o->left -= len;
}

static void put_match(struct output *o, const char *text, const size_t *spans, int n,
		      const char *substitution)
{
	for (const char *p = substitution; *p; p++) {
		int group;

		if (*p != '\\' || !p[1]) {
			put(o, p, 1);
			continue;
		}
		p++;
		group = *p - '0';
		if (*p == '\\')
			put(o, p, 1);
		else if (group >= 0 && group < n && group < GROUPS &&
			 spans[2 * group] != PCRE2_UNSET)
			put(o, text + spans[2 * group], spans[2 * group + 1] - spans[2 * group]);
	}
}

static long replace(const struct sl_regex *r, const char *text, size_t len,
		    const char *substitution, char *out, size_t size)
{
	const size_t *spans = pcre2_get_ovector_pointer(r->data);
	struct output o = {.at = out, .left = size};
	size_t at = 0, last = PCRE2_UNSET;
	int n = 0;

	while (at <= len && (n = match(r, text, len, at)) > 0) {
		/* \K is refused, so a match cannot begin before where we looked. */
		put(&o, text + at, spans[0] - at);
		at = spans[0];
		if (spans[1] == spans[0] && spans[0] == last) {
			/* No empty match right behind the last one. */
			if (at < len)
				put(&o, text + at, 1);
			at++;
			continue;
		}
		put_match(&o, text, spans, n, substitution);
		at = last = spans[1];
	}
	if (n < 0)
		return n;
	if (at < len)
		put(&o, text + at, len - at);
	return o.full ? -ENOSPC : o.at - out;
}

long sl_regex_replace(struct sl_regex *r, const char *text, size_t len, const char *substitution,
		      char *out, size_t size)
{
	long n;

	pthread_mutex_lock(&r->lock);
	n = replace(r, text, len, substitution, out, size);
	pthread_mutex_unlock(&r->lock);
	return n;
}
