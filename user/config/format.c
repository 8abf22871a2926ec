// SPDX-License-Identifier: GPL-2.0-only
/*
 * Values of headers: text and Envoy's command operators, "%NAME%", "%NAME(argument)%" and
 * "%NAME(argument):bytes%"; "%%" is a percent sign.
 */
#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "config/actions_model.h"
#include "util/parse.h"
#include "util/suggest.h"

struct op {
	enum sl_format_op op;
	const char *name;
};

static const struct op ops[] = {
#define X(id, name) {SL_FORMAT_##id, name},
	SL_FORMATS(X)
#undef X
};

#define N_OPS (sizeof(ops) / sizeof(ops[0]))

struct format {
	struct sl_walk *w;
	const struct sl_node *value;
	struct sl_arena *arena;
	struct sl_format *out;
	enum sl_format_use use;
};

static int fail(struct format *f, const char *what, const char *at)
{
	sl_error(f->w, f->value, "%s at '%.48s'", what, at);
	return -EINVAL;
}

static char *copy(struct format *f, const char *s, size_t len, bool lower)
{
	char *text = sl_arena_alloc(f->arena, len + 1);

	for (size_t i = 0; text && i < len; i++)
		text[i] = lower ? tolower((unsigned char)s[i]) : s[i];
	return text;
}

static int unknown(struct format *f, const char *name, size_t len)
{
	char word[64];
	struct sl_suggest g = {.word = word};

	if (len >= sizeof(word))
		len = sizeof(word) - 1;
	memcpy(word, name, len);
	word[len] = '\0';
	for (size_t i = 0; i < N_OPS; i++)
		sl_suggest_try(&g, ops[i].name);
	if (g.best)
		sl_error(f->w, f->value, "'%%%s%%' is not supported yet; did you mean '%%%s%%'?",
			 word, g.best);
	else
		sl_error(f->w, f->value, "'%%%s%%' is not supported yet", word);
	return -EINVAL;
}

static bool is_name(const char *s, size_t len)
{
	if (len && *s == ':')
		s++, len--;
	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)s[i]) && !strchr("!#$&'*+-.^_`|~", s[i]))
			return false;
	return len > 0;
}

static bool is_word(const char *s, size_t len, const char *word)
{
	return len == strlen(word) && !memcmp(s, word, len);
}

/* "NAME?ALTERNATIVE" in the brackets of REQ and RESP. */
static int set_header(struct format *f, struct sl_format_part *part, const char *arg, size_t len)
{
	const char *alt = memchr(arg, '?', len);
	size_t first = alt ? (size_t)(alt - arg) : len;

	if (!is_name(arg, first) || (alt && !is_name(alt + 1, len - first - 1)))
		return fail(f, "no header name", arg);
	part->text = copy(f, arg, first, true);
	if (alt)
		part->alt = copy(f, alt + 1, len - first - 1, true);
	return part->text && (!alt || part->alt) ? 0 : -ENOMEM;
}

/* "WQ" or "NQ", and behind a colon "ORIG", "PATH" or "ORIG_OR_PATH", in the brackets of PATH. */
static int set_path(struct format *f, struct sl_format_part *part, const char *arg, size_t len)
{
	const char *colon = arg ? memchr(arg, ':', len) : NULL;
	size_t first = colon ? (size_t)(colon - arg) : len;
	const char *which = colon ? colon + 1 : "ORIG_OR_PATH";
	size_t rest = colon ? len - first - 1 : strlen(which);

	part->no_query = is_word(arg, first, "NQ");
	part->original = is_word(which, rest, "ORIG") || is_word(which, rest, "ORIG_OR_PATH");
	part->rewritten = is_word(which, rest, "PATH") || is_word(which, rest, "ORIG_OR_PATH");
	if ((!part->no_query && first && !is_word(arg, first, "WQ")) ||
	    (!part->original && !part->rewritten))
		return fail(f, "not WQ or NQ, or not ORIG, PATH or ORIG_OR_PATH", arg);
	return 0;
}

/* Why @op cannot stand for anything here; NULL: it can. */
static const char *missing_here(const struct format *f, enum sl_format_op op)
{
	if (f->use == SL_FOR_REQUEST && (op == SL_FORMAT_RESP || op == SL_FORMAT_RESPONSE_CODE))
		return "a request has no response yet";
	if (f->use == SL_FOR_BODY && op == SL_FORMAT_RESP)
		return "the headers of this answer are made behind its body";
	if (f->use != SL_FOR_BODY && op == SL_FORMAT_LOCAL_REPLY_BODY)
		return "only a body_format has another body";
	return NULL;
}

/* One operator, @p behind its percent sign; *ret_end behind the closing one. */
static int add_operator(struct format *f, const char *p, const char **ret_end)
{
	struct sl_format_part *part = &f->out->parts[f->out->n++];
	size_t len = strspn(p, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
	const char *end = p + len, *arg = NULL;
	size_t i = 0, arg_len = 0;
	bool header;
	int err;

	if (!len || !strchr("(:%", *end) || !*end)
		return fail(f, "a percent sign that is none is written '%%'; one stands alone",
			    p - 1);
	while (i < N_OPS && (strlen(ops[i].name) != len || memcmp(ops[i].name, p, len)))
		i++;
	if (i == N_OPS)
		return unknown(f, p, len);
	part->op = ops[i].op;
	header = part->op == SL_FORMAT_REQ || part->op == SL_FORMAT_RESP;
	if (missing_here(f, part->op))
		return fail(f, missing_here(f, part->op), p - 1);
	if (*end == '(') {
		arg = end + 1;
		arg_len = strcspn(arg, ")");
		end = arg + arg_len;
		if (*end++ != ')')
			return fail(f, "missing ')'", p - 1);
	}
	if (header && !arg)
		return fail(f, "missing the header's name in brackets", p - 1);
	if (arg && !header && part->op != SL_FORMAT_PATH)
		return fail(f, "an argument is not supported yet", p - 1);
	if (*end == ':' && (header || part->op == SL_FORMAT_PATH)) {
		char digits[12];
		size_t n = strspn(end + 1, "0123456789");

		if (!n || n >= sizeof(digits))
			return fail(f, "no number of bytes", end);
		memcpy(digits, end + 1, n);
		digits[n] = '\0';
		if (sl_parse_u32(digits, 65536, &part->max) || !part->max)
			return fail(f, "no number of bytes from 1 to 65536", end);
		end += n + 1;
	}
	if (*end != '%')
		return fail(f, "missing the closing percent sign", p - 1);
	err = header ? set_header(f, part, arg, arg_len) : 0;
	if (part->op == SL_FORMAT_PATH)
		err = set_path(f, part, arg, arg_len);
	*ret_end = end + 1;
	return err;
}

/* Text up to the next operator; doubled percent signs are one. */
static int add_text(struct format *f, const char *p, const char **ret_end)
{
	struct sl_format_part *part = &f->out->parts[f->out->n++];
	char *text = copy(f, p, strlen(p), false), *out = text;

	if (!text)
		return -ENOMEM;
	while (*p && (*p != '%' || p[1] == '%')) {
		p += *p == '%';
		*out++ = *p++;
	}
	*out = '\0';
	part->text = text;
	*ret_end = p;
	return 0;
}

__u32 sl_format_parts(const struct sl_node *value)
{
	__u32 max = 2;

	/* Each operator has two percent signs and at most a text before it. */
	for (const char *p = value ? value->text : ""; *p; p++)
		max += *p == '%';
	return max;
}

int sl_format_add(struct sl_walk *w, const struct sl_node *value, enum sl_format_use use,
		  struct sl_arena *arena, struct sl_format *ret)
{
	struct format f = {w, value, arena, ret, use};
	const char *p = value ? value->text : "";
	int err = 0;

	while (*p && !err) {
		if (*p == '%' && p[1] != '%')
			err = add_operator(&f, p + 1, &p);
		else
			err = add_text(&f, p, &p);
	}
	return err;
}

int sl_format_compile(struct sl_walk *w, const struct sl_node *value, enum sl_format_use use,
		      struct sl_arena *arena, struct sl_format *ret)
{
	*ret = (struct sl_format){0};
	ret->parts = sl_arena_alloc(arena, sl_format_parts(value) * sizeof(*ret->parts));
	return ret->parts ? sl_format_add(w, value, use, arena, ret) : -ENOMEM;
}

void sl_validate_format(struct sl_walk *w, const struct sl_node *value, enum sl_format_use use)
{
	struct sl_format unused;

	if (sl_format_compile(w, value, use, w->arena, &unused) == -ENOMEM)
		w->err = -ENOMEM;
}
