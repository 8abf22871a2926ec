// SPDX-License-Identifier: GPL-2.0-only
/* The naive list: every route in order, every criterion by the C library. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "random_table.h"

#define NONE (~0U)

static void lower(char *dst, const char *s)
{
	for (; *s; s++)
		*dst++ = tolower((unsigned char)*s);
	*dst = '\0';
}

/* The regexes of the tables, each by hand. */
static bool matches(const char *regex, const char *s)
{
	size_t len = strlen(s);

	if (!strcmp(regex, "ab*"))
		return s[0] == 'a' && strspn(s + 1, "b") == len - 1;
	if (!strcmp(regex, "/a.*"))
		return !strncmp(s, "/a", 2);
	if (!strcmp(regex, "[0-9]+"))
		return len && strspn(s, "0123456789") == len;
	if (!strcmp(regex, "/svc/.+"))
		return !strncmp(s, "/svc/", 5) && len > 5;
	abort();
}

static bool text_matches(const struct rt_rule *r, const char *value)
{
	char folded[1024], number[32], *end;
	size_t want = strlen(r->value), have;
	long long n;

	strcpy(folded, value);
	if (r->flags & SL_RULE_NO_CASE)
		lower(folded, value);
	have = strlen(folded);
	switch (r->kind) {
	case SL_RULE_PRESENT:
		return true;
	case SL_RULE_EXACT:
		return !strcmp(folded, r->value);
	case SL_RULE_PREFIX:
		return !strncmp(folded, r->value, want);
	case SL_RULE_SUFFIX:
		return have >= want && !strcmp(folded + have - want, r->value);
	case SL_RULE_CONTAINS:
		return strstr(folded, r->value);
	case SL_RULE_REGEX:
		return matches(r->value, value);
	case SL_RULE_RANGE:
		if (!have || have > 20)
			return false;
		strcpy(number, value);
		n = strtoll(number, &end, 10);
		return !*end && n >= r->from && n < r->to;
	}
	return false;
}

/* Values of header @name joined by commas, into @dst. False: there is none. */
static bool header(const struct rt_request *q, const char *name, char *dst)
{
	bool found = false;

	dst[0] = '\0';
	if (!strcmp(name, ":method"))
		return strcpy(dst, "GET");
	if (!strcmp(name, "host"))
		return strcpy(dst, q->host);
	if (!strcmp(name, ":path"))
		return sprintf(dst, "%s%s", q->path, q->query) >= 0;
	for (__u32 i = 0; i < q->n_lines; i++) {
		if (strcasecmp(q->names[i], name))
			continue;
		strcat(dst, found ? "," : "");
		strcat(dst, q->values[i]);
		found = true;
	}
	return found;
}

static bool query(const struct rt_request *q, const char *name, char *dst)
{
	char copy[64], *rest = copy, *one;

	strcpy(copy, q->query[0] ? q->query + 1 : "");
	while ((one = strsep(&rest, "&"))) {
		char *value = strchr(one, '=');

		if (value)
			*value++ = '\0';
		if (!strcmp(one, name) && q->query[0] && q->query[1])
			return strcpy(dst, value ? value : "");
	}
	return false;
}

static bool cookie(const struct rt_request *q, const char *name, char *dst)
{
	for (__u32 i = 0; i < q->n_lines; i++) {
		char copy[64], *rest = copy, *one;

		if (strcasecmp(q->names[i], "cookie"))
			continue;
		strcpy(copy, q->values[i]);
		while ((one = strsep(&rest, ";"))) {
			char *value = strchr(one, '=');
			size_t len;

			if (!value)
				continue;
			*value++ = '\0';
			one += strspn(one, " ");
			if (strcmp(one, name))
				continue;
			strcpy(dst, value);
			len = strlen(dst);
			if (len >= 2 && dst[0] == '"' && dst[len - 1] == '"') {
				dst[len - 1] = '\0';
				memmove(dst, dst + 1, len - 1);
			}
			return true;
		}
	}
	return false;
}

static bool rule_matches(const struct rt_rule *r, const struct rt_request *q)
{
	bool invert = r->flags & SL_RULE_INVERT, there;
	char value[1024] = "";

	switch (r->what) {
	case SL_RULE_FRACTION:
		return (long long)(q->draw % 100) < r->from;
	case SL_RULE_HEADER:
		there = header(q, r->name, value);
		if (!there && !(r->flags & SL_RULE_NO_MISSING))
			return r->kind == SL_RULE_PRESENT && invert;
		return text_matches(r, value) != invert;
	case SL_RULE_QUERY:
		there = query(q, r->name, value);
		if (r->kind == SL_RULE_PRESENT)
			return there != invert;
		return there && text_matches(r, value);
	case SL_RULE_COOKIE:
		there = cookie(q, r->name, value);
		return (there && text_matches(r, value)) != invert;
	default:
		abort();
	}
}

static bool path_matches(const struct rt_route *r, const char *request)
{
	size_t len = strlen(r->path);
	char path[128];

	strcpy(path, request);
	if (r->folded)
		lower(path, request);
	if (r->regex)
		return matches(r->path, path);
	if (r->kind == SL_PATH_EXACT)
		return !strcmp(path, r->path);
	if (strncmp(path, r->path, len))
		return false;
	return r->kind == SL_PATH_PREFIX || !path[len] || path[len] == '/';
}

/* Points for how well a domain fits: the best one counts. 0: not at all. */
static __u32 fit(const char *domain, const char *host)
{
	size_t len = strlen(domain), have = strlen(host);

	if (!strcmp(domain, "*"))
		return 1;
	if (domain[0] == '*')
		return have > len - 1 && !strcmp(host + have - (len - 1), domain + 1) ? 2000 + len
										      : 0;
	if (domain[len - 1] == '*')
		return have > len - 1 && !strncmp(host, domain, len - 1) ? 1000 + len : 0;
	return strcmp(domain, host) ? 0 : 3000;
}

static __u32 vhost_of(const struct rt_table *rt, const struct rt_request *q)
{
	__u32 best = 0, vhost = NONE;
	char host[64], *colon;

	lower(host, q->host);
	colon = strrchr(host, ':');
	if (rt->ignore_port[q->listener] && colon && !strchr(colon, ']'))
		*colon = '\0';
	for (__u32 i = 0; i < rt->n_domains; i++) {
		__u32 points = fit(rt->domains[i].name, host);

		if (rt->config_of[rt->domains[i].vhost] != q->listener || points <= best)
			continue;
		best = points;
		vhost = rt->domains[i].vhost;
	}
	return vhost;
}

__u32 rt_naive(const struct rt_table *rt, const struct rt_request *q)
{
	__u32 v = vhost_of(rt, q);

	for (__u32 i = v == NONE ? 1 : rt->first[v]; v != NONE && i < rt->first[v + 1]; i++) {
		const struct rt_route *r = &rt->routes[i];
		__u32 k = 0;

		if (!path_matches(r, q->path))
			continue;
		while (k < r->n_rules && rule_matches(&r->rules[k], q))
			k++;
		if (k == r->n_rules)
			return i;
	}
	return NONE;
}
