/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Regular expressions as Envoy's users write them (RE2's syntax), done by PCRE2 with its JIT and
 * with limits: what PCRE2 has and RE2 has not is refused, so that no pattern means something else
 * here or takes time without bound. Bytes are UTF-8; others match nothing. Threads may share one.
 */
#ifndef SL_REGEX_H
#define SL_REGEX_H

#include <stdbool.h>
#include <stddef.h>

#define SL_REGEX_WHY 160 /* bytes of a message */

struct sl_regex;

/*
 * Compiles @pattern. @whole: for sl_regex_matches(), the whole text has to match; else for
 * sl_regex_replace(). 0: *ret is the caller's, sl_regex_free(). -EINVAL: @ret_why says why.
 * -ENOMEM.
 */
int sl_regex_new(const char *pattern, bool whole, struct sl_regex **ret,
		 char ret_why[SL_REGEX_WHY]);

/* NULL is fine. */
void sl_regex_free(struct sl_regex *r);

/* Does all of @text match? A text that takes too long does not. */
bool sl_regex_matches(struct sl_regex *r, const char *text, size_t len);

/*
 * Whether @substitution can be used with @r: \0 .. \9 stand for the match and its groups, \\ for a
 * backslash, and nothing else follows one (RE2::CheckRewriteString). 0 or -EINVAL.
 */
int sl_regex_check(const struct sl_regex *r, const char *substitution, char ret_why[SL_REGEX_WHY]);

/*
 * @text with each match replaced, as RE2::GlobalReplace does, into @out (@size bytes, not
 * NUL-terminated). Length, or -ENOSPC, or -ELOOP: it takes too long.
 */
long sl_regex_replace(struct sl_regex *r, const char *text, size_t len, const char *substitution,
		      char *out, size_t size);

#endif /* SL_REGEX_H */
