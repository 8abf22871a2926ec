// SPDX-License-Identifier: GPL-2.0-only
/* RouteAction.HashPolicy: what a request is hashed by, for sticky splits and for endpoints. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "config/key_tables.h"
#include "config/model.h"

static const struct sl_key header_keys[] = {
	KEY("header_name", STRING, FULL, struct cfg_hash_header, name),
	KEY("regex_rewrite", MAP, 0, struct cfg_hash_header, rewrite,
	    .sub = &sl_schema_regex_rewrite),
	END,
};
SCHEMA(header, struct cfg_hash_header, "header of a hash policy");

static const struct sl_key attribute_keys[] = {
	KEY("name", STRING, FULL, struct cfg_cookie_attribute, name),
	KEY("value", STRING, 0, struct cfg_cookie_attribute, value),
	END,
};
SCHEMA(attribute, struct cfg_cookie_attribute, "cookie attribute");

static const struct sl_key cookie_keys[] = {
	KEY("name", STRING, FULL, struct cfg_hash_cookie, name),
	KEY("ttl", STRING, SL_KEY_NONEMPTY, struct cfg_hash_cookie, ttl),
	KEY("path", STRING, 0, struct cfg_hash_cookie, path),
	KEY("attributes", LIST, 0, struct cfg_hash_cookie, attributes, .sub = &attribute),
	END,
};
SCHEMA(cookie, struct cfg_hash_cookie, "cookie of a hash policy");

static const struct sl_key connection_keys[] = {
	KEY("source_ip", BOOL, 0, struct cfg_hash_connection, source_ip),
	END,
};
SCHEMA(connection, struct cfg_hash_connection, "connection_properties");

static const struct sl_key query_keys[] = {
	KEY("name", STRING, FULL, struct cfg_hash_query, name),
	END,
};
SCHEMA(query, struct cfg_hash_query, "query_parameter of a hash policy");

static bool is_token(const struct sl_node *n)
{
	for (__u32 i = 0; i < n->len; i++)
		if (!isalnum((unsigned char)n->text[i]) && !strchr("!#$%&'*+-.^_`|~", n->text[i]))
			return false;
	return true;
}

/* A cookie's path or attribute goes into a header as it is (RFC 6265 section 4.1.1: av-octet). */
static void check_av(struct sl_walk *w, const struct sl_node *n)
{
	for (__u32 i = 0; n && i < n->len; i++) {
		if ((unsigned char)n->text[i] < 0x20 || n->text[i] == 0x7f || n->text[i] == ';') {
			sl_error(w, n,
				 "a cookie's attributes cannot hold ';' or control characters");
			return;
		}
	}
}

/* Envoy rounds a ttl down to whole seconds; 0: until the browser ends. */
static void check_ttl(struct sl_walk *w, struct cfg_hash_cookie *c)
{
	const char *s = c->ttl->text;
	char *end;
	unsigned long long n;

	errno = 0;
	n = isdigit((unsigned char)*s) ? strtoull(s, &end, 10) : (end = (char *)s, 0);
	if (end != s && *end == '.')
		for (end++; isdigit((unsigned char)*end);)
			end++;
	if (end == s || strcmp(end, "s") != 0 || errno || n > 0xffffffff) {
		sl_error(w, c->ttl, "'%.64s' is no duration; expected seconds, like '3600s'", s);
		return;
	}
	c->ttl_s = n;
}

static void cookie_check(struct sl_walk *w, struct cfg_hash_cookie *c)
{
	if (c->name && !is_token(c->name))
		sl_error(w, c->name, "'%.64s' is no cookie name", c->name->text);
	if (c->ttl)
		check_ttl(w, c);
	check_av(w, c->path);
	for (__u32 i = 0; i < c->attributes.n; i++) {
		struct cfg_cookie_attribute *a =
			&cfg_items(c->attributes, struct cfg_cookie_attribute)[i];

		check_av(w, a->name);
		check_av(w, a->value);
	}
}

static void header_check(struct sl_walk *w, const struct sl_node *name)
{
	static const char *const parts[] = {":path", ":method", ":authority", NULL};

	if (!name)
		return;
	for (const char *const *p = parts; *p; p++)
		if (!strcasecmp(*p, name->text))
			return;
	if (!is_token(name))
		sl_error(w, name, "'%.64s' is no header name", name->text);
	else if (name->len > 255)
		sl_error(w, name, "header name longer than 255 bytes");
}

bool sl_hashes(const struct cfg_hash_policy *p)
{
	return !p->connection.node || p->connection.source_ip.value;
}

static void policy_done(struct sl_walk *w, void *dst)
{
	struct cfg_hash_policy *p = dst;
	__u32 n = !!p->header.node + !!p->cookie.node + !!p->connection.node + !!p->query.node;

	if (n > 1)
		sl_error(w, p->node,
			 "more than one of 'header', 'cookie', 'connection_properties' "
			 "and 'query_parameter' in one hash policy");
	else if (!n && !w->unsure)
		sl_error(w, p->node,
			 "missing 'header', 'cookie', 'connection_properties' or "
			 "'query_parameter' in hash policy");
	if (p->header.node) {
		header_check(w, p->header.name);
		sl_validate_regex_rewrite(w, &p->header.rewrite);
	}
	if (p->cookie.node)
		cookie_check(w, &p->cookie);
	if (!sl_hashes(p))
		sl_warning(w, p->connection.node, "without 'source_ip: true' this hashes nothing");
}

static const char *const no_policy[] = {"filter_state", NULL};
static const struct sl_key policy_keys[] = {
	KEY("header", MAP, 0, struct cfg_hash_policy, header, .sub = &header),
	KEY("cookie", MAP, 0, struct cfg_hash_policy, cookie, .sub = &cookie),
	KEY("connection_properties", MAP, 0, struct cfg_hash_policy, connection,
	    .sub = &connection),
	KEY("query_parameter", MAP, 0, struct cfg_hash_policy, query, .sub = &query),
	KEY("terminal", BOOL, 0, struct cfg_hash_policy, terminal),
	END,
};

const struct sl_schema sl_schema_hash_policy = {
	.what = "hash policy",
	.size = sizeof(struct cfg_hash_policy),
	.keys = policy_keys,
	.unsupported = no_policy,
	.done = policy_done,
};

void sl_validate_hash(struct sl_walk *w, const struct cfg_route_action *a, __u32 *n_rules)
{
	const struct cfg_u32 *sticky = &a->split.use_hash_policy;

	if (a->hash.n > SL_MAX_ROUTE_HASHES)
		sl_error(w, a->hash.node,
			 "too many hash policies in one route; the limit is %u "
			 "(SL_MAX_ROUTE_HASHES)",
			 SL_MAX_ROUTE_HASHES);
	if (*n_rules <= SL_MAX_HASH_RULES && *n_rules + a->hash.n > SL_MAX_HASH_RULES)
		sl_error(w, a->hash.node,
			 "too many hash policies; the limit is %u (SL_MAX_HASH_RULES)",
			 SL_MAX_HASH_RULES);
	*n_rules += a->hash.n;
	if (sticky->value && !a->hash.n)
		sl_warning(w, sticky->node,
			   "without a 'hash_policy' in the route this split is not sticky");
}

/* "; Max-Age=60; Path=/; HttpOnly; SameSite=Lax", as Envoy's makeSetCookieValue(). */
char *sl_cookie_attributes(const struct cfg_hash_cookie *c)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		return NULL;
	if (c->ttl_s)
		fprintf(f, "; Max-Age=%u", c->ttl_s);
	if (c->path && c->path->len)
		fprintf(f, "; Path=%s", c->path->text);
	for (__u32 i = 0; i < c->attributes.n; i++) {
		const struct cfg_cookie_attribute *a =
			&cfg_items(c->attributes, struct cfg_cookie_attribute)[i];

		fprintf(f, "; %s", a->name->text);
		if (a->value && a->value->len)
			fprintf(f, "=%s", a->value->text);
	}
	fputs("; HttpOnly", f);
	if (fclose(f)) {
		free(text);
		return NULL;
	}
	return text;
}
