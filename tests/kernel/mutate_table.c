// SPDX-License-Identifier: GPL-2.0-only
#include <string.h>

#include "mutate.h"

static struct sl_str str(struct sl_table *t, __u32 *used, const char *s)
{
	struct sl_str ret = {.off = *used, .len = strlen(s)};

	memcpy(t->strings + *used, s, ret.len);
	*used += ret.len;
	return ret;
}

static void domain(struct sl_table *t, __u32 *used, const char *name, __u16 vhost)
{
	struct sl_domain *d = &t->domains[t->n_domains++];

	d->kind = strcmp(name, "*") ? SL_DOMAIN_EXACT : SL_DOMAIN_ANY;
	d->name = str(t, used, name);
	d->vhost = vhost;
}

static void route(struct sl_table *t, __u32 *used, enum sl_path_kind kind, const char *path)
{
	struct sl_route *r = &t->routes[t->n_routes++];

	r->path = str(t, used, path);
	r->path_kind = kind;
	r->first_header = t->n_header_rules;
}

/* Of the route added last. */
static void header(struct sl_table *t, __u32 *used, const char *name, const char *value,
		   __u8 invert)
{
	struct sl_header_rule *r = &t->header_rules[t->n_header_rules++];

	r->name = str(t, used, name);
	r->kind = value ? SL_HEADER_EXACT : SL_HEADER_PRESENT;
	r->value = str(t, used, value ? value : "");
	r->invert = invert;
	t->routes[t->n_routes - 1].n_headers++;
}

/* Policies of every kind, for the route added last. */
static void hashes(struct sl_table *t, __u32 *used, const char *header, const char *cookie,
		   const char *parameter)
{
	struct sl_route *r = &t->routes[t->n_routes - 1];
	struct sl_hash_rule *rule = &t->hash_rules[t->n_hash_rules];

	r->first_hash = t->n_hash_rules;
	r->flags |= SL_ROUTE_STICKY;
	rule[0] = (struct sl_hash_rule){.kind = SL_HASH_HEADER, .name = str(t, used, header)};
	rule[1] = (struct sl_hash_rule){.kind = SL_HASH_COOKIE, .name = str(t, used, cookie)};
	rule[2] = (struct sl_hash_rule){.kind = SL_HASH_SOURCE_IP};
	rule[3] = (struct sl_hash_rule){.kind = SL_HASH_QUERY, .name = str(t, used, parameter)};
	rule[1].flags = t->n_hash_rules ? SL_HASH_GENERATE : SL_HASH_TERMINAL;
	r->n_hashes = 4;
	t->n_hash_rules += 4;
}

void table_fill(struct sl_table *t)
{
	__u32 used = 0;

	memset(t, 0, sizeof(*t));
	domain(t, &used, "a.example", 0);
	domain(t, &used, "localhost:8000", 1);
	domain(t, &used, "*", 2);
	t->n_vhosts = 3;

	t->vhosts[0].first_route = t->n_routes;
	route(t, &used, SL_PATH_EXACT, "/");
	header(t, &used, "x-canary", "a,b", 0);
	route(t, &used, SL_PATH_EXACT, "/a");
	hashes(t, &used, "content-length", "session-of-the-user", "q");
	route(t, &used, SL_PATH_PREFIX,
	      "/prefix-that-is-long/and/longer/than/sixty-four/bytes/so/that"
	      "/the/comparison/takes/more/than/one/step/");
	route(t, &used, SL_PATH_PREFIX, "/pppppppp");
	header(t, &used, ":method", "GET", 0);
	header(t, &used, "content-length", NULL, 1);
	route(t, &used, SL_PATH_PREFIX, "/");
	header(t, &used, "x-very-long-name-of-a-header-field-indeed", NULL, 0);
	t->vhosts[0].n_routes = t->n_routes - t->vhosts[0].first_route;

	t->vhosts[1].first_route = t->n_routes;
	route(t, &used, SL_PATH_PREFIX, "/service/1");
	header(t, &used, "x-canary-version", "service1a", 0);
	route(t, &used, SL_PATH_PREFIX, "/service/1");
	hashes(t, &used, ":path", "a", "user");
	route(t, &used, SL_PATH_PREFIX, "/service/2");
	header(t, &used, ":authority", "localhost:8000", 0);
	header(t, &used, "connection", "keep-alive", 0);
	t->vhosts[1].n_routes = t->n_routes - t->vhosts[1].first_route;

	t->vhosts[2].first_route = t->n_routes;
	route(t, &used, SL_PATH_EXACT, "/exact");
	header(t, &used, "x-canary", "one", 1);
	route(t, &used, SL_PATH_PREFIX, "");
	header(t, &used, "x-canary", "one,two", 0);
	route(t, &used, SL_PATH_PREFIX, "/service");
	header(t, &used, "host", "b.example:80", 1);
	header(t, &used, ":path", "/service/1", 1);
	route(t, &used, SL_PATH_PREFIX, "");
	hashes(t, &used, "accept", "session", "x");
	t->vhosts[2].n_routes = t->n_routes - t->vhosts[2].first_route;
}

static void spoil(__u32 *field, __u64 *state)
{
	switch (below(state, 3)) {
	case 0:
		*field = next_random(state);
		break;
	case 1:
		*field += below(state, 3) - 1;
		break;
	case 2:
		*field = below(state, SL_STRING_POOL + 16);
		break;
	}
}

/* Numbers that the compiler would never write: the maps are a public interface. */
void table_spoil(struct sl_table *t, __u64 *state)
{
	struct sl_header_rule *rule = &t->header_rules[below(state, t->n_header_rules)];
	struct sl_route *r = &t->routes[below(state, t->n_routes)];
	struct sl_vhost *v = &t->vhosts[below(state, 3)];
	struct sl_hash_rule *hash = &t->hash_rules[below(state, t->n_hash_rules)];
	struct sl_domain *d = &t->domains[below(state, 3)];
	__u32 *const fields[] = {
		&rule->name.off, &rule->name.len, &rule->value.off, &rule->value.len,
		&r->path.off,	 &r->path.len,	  &r->first_header, &r->n_headers,
		&v->first_route, &v->n_routes,	  &d->name.off,	    &d->name.len,
		&t->n_domains,	 &hash->name.off, &hash->name.len,  &r->first_hash,
		&r->n_hashes,
	};

	spoil(fields[below(state, sizeof(fields) / sizeof(fields[0]))], state);
	d->vhost = below(state, 4) ? d->vhost : next_random(state);
	rule->kind = below(state, 4) ? rule->kind : next_random(state);
	r->path_kind = below(state, 4) ? r->path_kind : next_random(state);
	hash->kind = below(state, 4) ? hash->kind : next_random(state);
	d->kind = below(state, 4) ? d->kind : next_random(state);
}
