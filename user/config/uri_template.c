// SPDX-License-Identifier: GPL-2.0-only
#include "config/uri_template.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

/* Bytes of a path's part, RFC 3986's pchar without "*" and "=" (kLiteral). */
#define PCHAR "a-zA-Z0-9._~%!$&'()+,;:@"

struct template
{
	const char *p;	/* what is left of it */
	char *out;	/* end of the regex */
	bool seen_rest; /* the last star was a double one */
	struct sl_uri_variables *v;
	const char *why; /* NULL: nothing is wrong */
};

static bool is_literal(char c)
{
	return isalnum((unsigned char)c) || (c && strchr("-._~%!$&'()+,;:@", c));
}

static void put(struct template *t, const char *s)
{
	t->out = stpcpy(t->out, s);
}

/* consumeLiteral() and toRegexPattern(): up to a slash, or up to @end if that comes first. */
static void literal(struct template *t, const char *end)
{
	const char *start = t->p;

	for (; t->p < end && *t->p != '/'; t->p++) {
		if (!is_literal(*t->p)) {
			t->why = "a byte that cannot stand in a part of the path";
			return;
		}
		if (strchr("$()+.", *t->p))
			*t->out++ = '\\';
		*t->out++ = *t->p;
	}
	*t->out = '\0';
	if (t->p == start)
		t->why = "an empty part of the path";
}

/* validateNoOperatorAfterTextGlob() */
static void star(struct template *t, bool rest)
{
	if (t->seen_rest)
		t->why = "something behind '**' that is not literal";
	t->seen_rest = rest;
	put(t, rest ? "[-" PCHAR "/]*" : "[-" PCHAR "]+");
}

static void stars(struct template *t)
{
	bool rest = t->p[1] == '*';

	t->p += rest ? 2 : 1;
	star(t, rest);
}

/* isValidVariableName() and gatherCaptureNames() */
static void name(struct template *t, const char *s, size_t len)
{
	struct sl_uri_variables *v = t->v;
	size_t i = 0;

	while (i < len && (isalnum((unsigned char)s[i]) || s[i] == '_'))
		i++;
	if (i < len || !isalpha((unsigned char)s[0]) || len > SL_URI_VARIABLE_NAME)
		t->why = "a variable's name has 1 to 16 letters, digits and '_', a letter first";
	for (i = 0; i < v->n; i++)
		if (strlen(v->names[i]) == len && !memcmp(v->names[i], s, len))
			t->why = "the same variable twice";
	if (v->n == SL_URI_VARIABLES)
		t->why = "more than 5 variables";
	if (t->why)
		return;
	memcpy(v->names[v->n], s, len);
	v->names[v->n++][len] = '\0';
}

/* consumeVariable(): "{name}", or what it takes behind a "=" as well. */
static void variable(struct template *t)
{
	const char *end = strchr(t->p, '}');
	size_t len = strcspn(t->p + 1, "=}");

	if (!end) {
		t->why = "'{' without '}'";
		return;
	}
	name(t, t->p + 1, len);
	put(t, "(");
	t->p += 1 + len;
	if (t->p == end)
		star(t, false);
	else if (++t->p == end)
		t->why = "nothing behind '='";
	while (t->p < end && !t->why) {
		if (*t->p == '*')
			stars(t);
		else
			literal(t, end);
		if (t->p == end || t->why)
			break;
		if (*t->p != '/' || t->p + 1 == end)
			t->why = "a part of a variable that no '/' ends";
		put(t, "/");
		t->p++;
	}
	put(t, ")");
	t->p = end + 1;
}

/* One part of the path (parseURLPatternSyntax()), and the slash behind it. */
static void part(struct template *t)
{
	if (*t->p == '*')
		stars(t);
	else if (*t->p == '{')
		variable(t);
	else
		literal(t, t->p + strlen(t->p));
	if (t->why || !*t->p)
		return;
	if (*t->p == '/') {
		put(t, "/");
		t->p++;
		return;
	}
	literal(t, t->p + strlen(t->p));
	if (!t->why && *t->p)
		t->why = "a '/' behind the ending of a variable or star";
}

int sl_uri_template(const char *s, char *regex, struct sl_uri_variables *ret, const char **ret_why)
{
	struct template t = {.p = s + 1, .out = regex, .v = ret};

	*ret = (struct sl_uri_variables){0};
	if (*s != '/')
		t.why = "it begins with '/'";
	else if (strlen(s) > SL_URI_TEMPLATE_MAX)
		t.why = "longer than 256 bytes";
	put(&t, "/");
	while (!t.why && *t.p)
		part(&t);
	*ret_why = t.why;
	return t.why ? -EINVAL : 0;
}

/* Index of the variable + 1; 0: there is none. */
static __u32 find(const struct sl_uri_variables *v, const char *s, size_t len)
{
	for (__u32 i = 0; i < v->n; i++)
		if (strlen(v->names[i]) == len && !memcmp(v->names[i], s, len))
			return i + 1;
	return 0;
}

/* parseRewritePattern() */
int sl_uri_rewrite(const char *s, const struct sl_uri_variables *v, char *out, const char **ret_why)
{
	*ret_why = *s != '/'			     ? "it begins with '/'"
		   : strstr(s, "//")		     ? "an empty part of the path"
		   : strlen(s) > SL_URI_TEMPLATE_MAX ? "longer than 256 bytes"
						     : NULL;
	while (!*ret_why && *s) {
		size_t len = strcspn(s + 1, "}");
		__u32 variable;

		if (*s != '{') {
			if (!is_literal(*s) && *s != '/')
				*ret_why = "a byte that cannot stand in a path";
			*out++ = *s++;
			continue;
		}
		if (s[1 + len] != '}') {
			*ret_why = "'{' without '}'";
			break;
		}
		variable = find(v, s + 1, len);
		if (!variable)
			return -ENOENT;
		*out++ = '\\';
		*out++ = (char)('0' + variable);
		s += len + 2;
	}
	*out = '\0';
	return *ret_why ? -EINVAL : 0;
}
