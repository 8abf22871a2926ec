// SPDX-License-Identifier: GPL-2.0-only
#include "random_table.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/index.h"

#define PICK(state, list) (list)[rt_below(state, sizeof(list) / sizeof((list)[0]))]

static const char *const pieces[] = {"/",  "/a",  "/b",	      "/ab",  "/a/b",		"/svc",
				     "/1", "/10", "/service", "/Api", "/very-long-one", "x"};
static const char *const hosts[] = {"a.example",    "b.example",    "a.b.example", "x-a.example",
				    "example",	    "a.example:80", "[::1]:80",	   "www.site.org",
				    "api.site.org", "api.site.com", "API.Site.Com"};
static const char *const domains[] = {"a.example",   "b.example",    "a.example:80", "[::1]",
				      "[::1]:80",    "www.site.org", "*.example",    "*.b.example",
				      "*-a.example", "*example",     "*.site.org",   "api.*",
				      "api.site.*",  "a*",	     "www.*",	     "*"};
static const char *const names[] = {"x-a", "x-long-name-b", "accept", ":method", ":path", "host"};
static const char *const values[] = {"", "1", "abc", "ABC", "a", "GET", "12", "-5", "b;c", "a,b"};
/* matches() knows them. */
static const char *const regexes[] = {"ab*", "/a.*", "[0-9]+", "/svc/.+"};

__u32 rt_below(__u64 *state, __u32 n)
{
	__u64 z = (*state += 0x9e3779b97f4a7c15ULL);

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return (__u32)((z ^ z >> 31) >> 32) % n;
}

static void random_path(char *dst, size_t size, __u64 *state)
{
	dst[0] = '\0';
	for (__u32 i = 1 + rt_below(state, 3); i; i--)
		strncat(dst, PICK(state, pieces), size - strlen(dst) - 1);
}

/* ---- tables ---- */

static void random_rule(struct rt_rule *r, __u64 *state)
{
	static const enum sl_rule_kind kinds[] = {SL_RULE_PRESENT, SL_RULE_EXACT,  SL_RULE_EXACT,
						  SL_RULE_PREFIX,  SL_RULE_SUFFIX, SL_RULE_CONTAINS,
						  SL_RULE_RANGE,   SL_RULE_REGEX};
	__u32 what = rt_below(state, 10);

	memset(r, 0, sizeof(*r));
	r->what = what < 6   ? SL_RULE_HEADER
		  : what < 8 ? SL_RULE_QUERY
		  : what < 9 ? SL_RULE_COOKIE
			     : SL_RULE_FRACTION;
	r->kind = PICK(state, kinds);
	if (r->what == SL_RULE_FRACTION) {
		r->kind = SL_RULE_PRESENT;
		r->from = rt_below(state, 101);
		r->to = 100;
		return;
	}
	if (r->what != SL_RULE_HEADER && r->kind == SL_RULE_RANGE)
		r->kind = SL_RULE_EXACT;
	strcpy(r->name,
	       r->what == SL_RULE_HEADER ? PICK(state, names) : (rt_below(state, 2) ? "k" : "key"));
	strcpy(r->value, r->kind == SL_RULE_REGEX ? PICK(state, regexes) : PICK(state, values));
	if (r->kind == SL_RULE_RANGE) {
		r->from = (__s64)rt_below(state, 20) - 10;
		r->to = r->from + rt_below(state, 15);
	}
	if (rt_below(state, 4) == 0 && (r->what != SL_RULE_QUERY || r->kind == SL_RULE_PRESENT))
		r->flags |= SL_RULE_INVERT;
	if (rt_below(state, 4) == 0 && r->kind != SL_RULE_REGEX && r->kind != SL_RULE_RANGE)
		r->flags |= SL_RULE_NO_CASE;
	if (rt_below(state, 5) == 0 && r->what == SL_RULE_HEADER)
		r->flags |= SL_RULE_NO_MISSING;
	for (char *p = r->value; r->flags & SL_RULE_NO_CASE && *p; p++)
		*p = tolower((unsigned char)*p);
}

static void random_route(struct rt_route *r, __u64 *state, __u32 rules)
{
	__u32 kind = rt_below(state, 20);

	memset(r, 0, sizeof(*r));
	r->kind = kind < 12 ? SL_PATH_PREFIX : kind < 16 ? SL_PATH_EXACT : SL_PATH_SEPARATED;
	r->folded = rt_below(state, 6) == 0;
	random_path(r->path, sizeof(r->path), state);
	if (r->kind == SL_PATH_PREFIX && rt_below(state, 40) == 0)
		r->path[0] = '\0';
	for (char *p = r->path; r->folded && *p; p++)
		*p = tolower((unsigned char)*p);
	r->regex = r->kind == SL_PATH_PREFIX && !r->folded && rt_below(state, 30) == 0;
	if (r->regex)
		strcpy(r->path, rt_below(state, 2) ? "/a.*" : "/svc/.+");
	/* Many without rules hide what stands behind them. */
	if (rt_below(state, 10) < rules)
		r->n_rules = 1 + rt_below(state, 3);
	for (__u32 i = 0; i < r->n_rules; i++)
		random_rule(&r->rules[i], state);
}

static bool has_domain(const struct rt_table *rt, const char *name, __u32 config)
{
	for (__u32 i = 0; i < rt->n_domains; i++)
		if (!strcmp(rt->domains[i].name, name) &&
		    rt->config_of[rt->domains[i].vhost] == config)
			return true;
	return false;
}

void rt_random_table(struct rt_table *rt, __u64 *state)
{
	static const __u32 sizes[] = {1, 5, 12, 20, 50};
	__u32 rules = rt_below(state, 11), n = 0;

	memset(rt, 0, sizeof(*rt));
	rt->n_vhosts = 1 + rt_below(state, RT_VHOSTS);
	for (__u32 v = 0; v < rt->n_vhosts; v++) {
		__u32 routes = 1 + rt_below(state, PICK(state, sizes));

		rt->config_of[v] = rt->n_vhosts > 3 && v >= 2;
		rt->first[v] = n;
		for (__u32 i = 0; i < routes; i++)
			random_route(&rt->routes[n++], state, rules);
		for (__u32 i = 1 + rt_below(state, 4); i; i--) {
			const char *name = PICK(state, domains);

			if (has_domain(rt, name, rt->config_of[v]))
				continue;
			strcpy(rt->domains[rt->n_domains].name, name);
			rt->domains[rt->n_domains++].vhost = v;
		}
	}
	rt->first[rt->n_vhosts] = n;
	rt->ignore_port[0] = rt_below(state, 3) == 0;
	rt->ignore_port[1] = rt_below(state, 3) == 0;
}

/* ---- the compiled form ---- */

static struct sl_str put(struct sl_table *t, __u32 *used, const char *s)
{
	struct sl_str str = {.off = *used, .len = strlen(s)};

	memcpy(t->strings + *used, s, str.len);
	*used += str.len;
	return str;
}

static void build_rule(struct sl_table *t, __u32 *used, const struct rt_rule *in)
{
	struct sl_rule *r = &t->rules[t->n_rules++];

	memset(r, 0, sizeof(*r));
	r->what = in->what;
	r->kind = in->kind;
	r->flags = in->flags;
	r->name = put(t, used, in->name);
	r->value = put(t, used, in->value);
	if (in->what == SL_RULE_FRACTION || in->kind == SL_RULE_RANGE) {
		r->range.start = in->from;
		r->range.end = in->to;
	}
}

static void build_route(struct sl_table *t, __u32 *used, const struct rt_route *in)
{
	struct sl_route *r = &t->routes[t->n_routes++];

	memset(r, 0, sizeof(*r));
	r->path_kind = in->kind;
	r->path = put(t, used, in->path);
	r->flags = in->folded ? SL_ROUTE_FOLDED : 0;
	r->first_rule = t->n_rules;
	r->n_rules = in->n_rules;
	for (__u32 i = 0; i < in->n_rules; i++)
		build_rule(t, used, &in->rules[i]);
	if (!in->regex)
		return;
	build_rule(t, used, &(struct rt_rule){.what = SL_RULE_PATH, .kind = SL_RULE_REGEX});
	t->rules[t->n_rules - 1].value = r->path;
	r->path.len = in->path[1] == 'a' ? 2 : 5; /* what comes before the dot */
	r->n_rules++;
}

static void build_domain(struct sl_table *t, __u32 *used, const struct rt_domain *in, __u32 config)
{
	struct sl_domain *d = &t->domains[t->n_domains++];
	size_t len = strlen(in->name);

	memset(d, 0, sizeof(*d));
	d->vhost = in->vhost;
	d->config = config;
	d->name = put(t, used, in->name);
	if (!strcmp(in->name, "*")) {
		d->kind = SL_DOMAIN_ANY;
		d->name.len = 0;
	} else if (in->name[0] == '*') {
		d->kind = SL_DOMAIN_SUFFIX;
		d->name.off++;
		d->name.len--;
	} else if (in->name[len - 1] == '*') {
		d->kind = SL_DOMAIN_PREFIX;
		d->name.len--;
	}
}

void rt_build(const struct rt_table *rt, struct sl_table *t)
{
	__u32 used = 0;

	memset(t, 0, offsetof(struct sl_table, domains));
	t->n_listeners = 2;
	t->n_configs = 2;
	t->n_clusters = 1;
	t->config_of[1] = 1;
	for (__u32 i = 0; i < 2; i++)
		t->configs[i].flags = rt->ignore_port[i] ? SL_CONFIG_IGNORE_PORT : 0;
	for (__u32 v = 0; v < rt->n_vhosts; v++) {
		t->vhosts[v] = (struct sl_vhost){.first_route = t->n_routes,
						 .n_routes = rt->first[v + 1] - rt->first[v]};
		for (__u32 i = rt->first[v]; i < rt->first[v + 1]; i++)
			build_route(t, &used, &rt->routes[i]);
	}
	t->n_vhosts = rt->n_vhosts;
	for (__u32 i = 0; i < rt->n_domains; i++)
		build_domain(t, &used, &rt->domains[i], rt->config_of[rt->domains[i].vhost]);
	if (sl_index_build(t))
		abort();
}

/* ---- requests ---- */

static void random_line(struct rt_request *q, __u64 *state)
{
	char *value = q->values[q->n_lines], *name = q->names[q->n_lines++];

	if (rt_below(state, 4) == 0) {
		static const char *const cookies[] = {
			"k=1",	    "a=b; k=abc", "key=a; k=1",	  "xk=1; k=ABC", "k=\"abc\"",
			"a=b;k=12", "a=b;  k=1",  "kk=k=1; key=", "k",		 "a=k=1"};

		strcpy(name, rt_below(state, 2) ? "Cookie" : "cookie");
		strcpy(value, PICK(state, cookies));
		return;
	}
	strcpy(name, names[rt_below(state, 3)]);
	if (rt_below(state, 2))
		name[0] = toupper((unsigned char)name[0]);
	strcpy(value, PICK(state, values));
	if (rt_below(state, 4) == 0)
		strcat(value, PICK(state, values));
}

/* One that a domain of the table takes, or nearly. */
static void random_host(const struct rt_table *rt, char *dst, __u64 *state)
{
	const char *name;

	dst[0] = '\0';
	if (!rt->n_domains || rt_below(state, 4) == 0) {
		strcpy(dst, PICK(state, hosts));
		return;
	}
	name = rt->domains[rt_below(state, rt->n_domains)].name;
	if (name[0] == '*')
		strcpy(dst, rt_below(state, 8) ? "x" : "");
	strcat(dst, name + (name[0] == '*'));
	if (dst[0] && dst[strlen(dst) - 1] == '*')
		strcpy(dst + strlen(dst) - 1, rt_below(state, 8) ? "y.z" : "");
}

void rt_random_request(const struct rt_table *rt, struct rt_request *q, __u64 *state)
{
	static const char *const queries[] = {
		"",	     "?k=1",	    "?key=abc&k=ABC", "?xk=1&k=",   "?k", "?a=k=1",
		"?k=12&k=1", "?kk=1&key=a", "?k=a,b",	      "?key&&k=ab", "?",  "?k=1=2"};
	const struct rt_route *near = &rt->routes[rt_below(state, rt->first[rt->n_vhosts])];
	size_t len;

	memset(q, 0, sizeof(*q));
	random_host(rt, q->host, state);
	if (rt_below(state, 5) == 0)
		strcat(q->host, rt_below(state, 2) ? ":80" : ":");
	if (rt_below(state, 3))
		strcpy(q->path, near->path);
	else
		random_path(q->path, sizeof(q->path), state);
	len = strlen(q->path);
	switch (rt_below(state, 6)) {
	case 0:
		strcat(q->path, PICK(state, pieces));
		break;
	case 1:
		q->path[len ? len - 1 : 0] = '\0';
		break;
	case 2:
		if (len > 1)
			q->path[1 + rt_below(state, len - 1)] ^= 0x20;
		break;
	}
	for (char *p = q->path; *p; p++)
		if (!isalnum((unsigned char)*p) && !strchr("/-.*+[]", *p))
			*p = 'z';
	if (q->path[0] != '/')
		q->path[0] = '/';
	strcpy(q->query, PICK(state, queries));
	for (__u32 i = rt_below(state, RT_LINES); i; i--)
		random_line(q, state);
	q->draw = rt_below(state, 1000000);
	q->listener = rt_below(state, 2);
}

__u32 rt_head(const struct rt_request *q, char *buf)
{
	int n = sprintf(buf, "GET %s%s HTTP/1.1\r\nHost: %s\r\n", q->path, q->query, q->host);

	for (__u32 i = 0; i < q->n_lines; i++)
		n += sprintf(buf + n, "%s: %s\r\n", q->names[i], q->values[i]);
	return n + sprintf(buf + n, "\r\n");
}
