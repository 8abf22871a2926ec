// SPDX-License-Identifier: GPL-2.0-only
#include "config/hash_rewrite.h"

#include <strings.h>

#include "util/regex.h"

/* Adds the value @s of the head. False: it takes too long, or it is too long. */
static bool add_value(const struct sl_hasher *x, const struct sl_hash_rewrite *rewrite,
		      struct sl_span s, __u64 *hash)
{
	static _Thread_local __u8 text[SL_HEAD_BUF];
	long n = sl_regex_replace(rewrite->regex, (const char *)x->buf + s.off, s.len,
				  rewrite->substitution, (char *)text, sizeof(text));

	if (n < 0)
		return false;
	*hash = sl_hash_span(text, 0, n, *hash);
	return true;
}

/* Values of repeated headers one after another, as sl_hash_one() takes them. */
static enum sl_hashed hash_header(const struct sl_hasher *x, const struct sl_hash_rule *r,
				  const struct sl_hash_rewrite *rewrite, __u64 *ret)
{
	const char *name = (const char *)x->t->strings + r->name.off;
	__u64 word = sl_load_pool(x->t->strings, r->name.off) & sl_first(r->name.len);
	struct sl_span part = {0};
	bool found = false;

	*ret = 0;
	if (sl_hash_part(x->h, word, r->name.len, &part))
		return add_value(x, rewrite, part, ret) ? SL_HASHED : SL_HASHED_NOT;
	for (__u32 i = 0; i < x->h->n_headers && i < SL_MAX_HEADERS; i++) {
		const struct sl_header *h = &x->h->headers[i];

		if (h->name.len != r->name.len ||
		    strncasecmp((const char *)x->buf + h->name.off, name, r->name.len))
			continue;
		if (!add_value(x, rewrite, h->value, ret))
			return SL_HASHED_NOT;
		found = true;
	}
	return found ? SL_HASHED : SL_HASHED_NOT;
}

enum sl_hashed sl_hash_policy(const struct sl_hasher *s, const struct sl_hash_rule *r,
			      const struct sl_route_action *action, __u32 index, __u64 *ret)
{
	const struct sl_hash_rewrite *rewrites = action ? action->hash_rewrites : NULL;

	if (!rewrites || !rewrites[index].regex)
		return sl_hash_one(s, r, ret);
	return hash_header(s, r, &rewrites[index], ret);
}
