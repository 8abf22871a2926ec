// SPDX-License-Identifier: GPL-2.0-only
#include <stdlib.h>
#include <string.h>

#include "config/index.h"
#include "mutate.h"
#include "random_table.h"

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
	d->name = str(t, used, d->kind == SL_DOMAIN_ANY ? "" : name);
	d->vhost = vhost;
}

static void route(struct sl_table *t, __u32 *used, enum sl_path_kind kind, const char *path)
{
	struct sl_route *r = &t->routes[t->n_routes++];

	r->path = str(t, used, path);
	r->path_kind = kind;
	r->first_rule = t->n_rules;
}

/* Of the route added last. */
static void rule(struct sl_table *t, __u32 *used, enum sl_rule_what what, enum sl_rule_kind kind,
		 const char *name, const char *value, __u8 flags)
{
	struct sl_rule *r = &t->rules[t->n_rules++];

	r->what = what;
	r->name = str(t, used, name);
	r->kind = kind;
	r->value = str(t, used, value);
	r->flags = flags;
	t->routes[t->n_routes - 1].n_rules++;
}

static void header(struct sl_table *t, __u32 *used, const char *name, const char *value,
		   __u8 invert)
{
	rule(t, used, SL_RULE_HEADER, value ? SL_RULE_EXACT : SL_RULE_PRESENT, name,
	     value ? value : "", invert ? SL_RULE_INVERT : 0);
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

	/* Of an earlier table what this one has; the index writes its own. */
	memset(t, 0, offsetof(struct sl_table, domains));
	memset(t->domains, 0, sizeof(t->domains[0]) * 8);
	memset(t->vhosts, 0, sizeof(t->vhosts[0]) * 8);
	memset(t->routes, 0, sizeof(t->routes[0]) * 64);
	memset(t->rules, 0, sizeof(t->rules[0]) * 64);
	t->n_configs = 1;
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
	route(t, &used, SL_PATH_PREFIX, "/");
	rule(t, &used, SL_RULE_HEADER, SL_RULE_CONTAINS, "accept", "/", 0);
	route(t, &used, SL_PATH_PREFIX, "/");
	rule(t, &used, SL_RULE_HEADER, SL_RULE_SUFFIX, "user-agent", "0", SL_RULE_NO_CASE);
	rule(t, &used, SL_RULE_HEADER, SL_RULE_PREFIX, ":path", "/S", SL_RULE_NO_CASE);
	route(t, &used, SL_PATH_PREFIX, "/");
	rule(t, &used, SL_RULE_QUERY, SL_RULE_EXACT, "q", "1", 0);
	route(t, &used, SL_PATH_PREFIX, "/");
	rule(t, &used, SL_RULE_COOKIE, SL_RULE_PRESENT, "a", "", 0);
	route(t, &used, SL_PATH_PREFIX, "/");
	rule(t, &used, SL_RULE_HEADER, SL_RULE_RANGE, "content-length", "", 0);
	t->rules[t->n_rules - 1].range.start = 0;
	t->rules[t->n_rules - 1].range.end = 10;
	route(t, &used, SL_PATH_PREFIX, "");
	hashes(t, &used, "accept", "session", "x");
	t->vhosts[2].n_routes = t->n_routes - t->vhosts[2].first_route;
	if (sl_index_build(t))
		abort();
}

static struct rt_table random_routes; /* of the last table_random() */

void table_random(struct sl_table *t, __u64 *state)
{
	rt_random_table(&random_routes, state);
	rt_build(&random_routes, t);
}

void case_near(struct core_case *c, __u64 *state)
{
	struct rt_request q;

	rt_random_request(&random_routes, &q, state);
	memset(c, 0, sizeof(*c));
	c->len = rt_head(&q, (char *)c->buf);
	/* Its last bit is the listener. */
	c->n = q.draw << 1 | q.listener;
	c->split.n_targets = 1;
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
	struct sl_rule *rule = &t->rules[below(state, t->n_rules)];
	struct sl_route *r = &t->routes[below(state, t->n_routes)];
	struct sl_vhost *v = &t->vhosts[below(state, 3)];
	struct sl_hash_rule *hash = &t->hash_rules[below(state, t->n_hash_rules)];
	struct sl_domain *d = &t->domains[below(state, 3)];
	struct sl_route_config *c = &t->configs[0];
	struct sl_slot *slot = &t->slots[below(state, 64)];
	struct sl_path *path = &t->paths[below(state, 16)];
	__u32 *const fields[] = {
		&rule->name.off,  &rule->name.len, &rule->value.off, &rule->value.len, &r->path.off,
		&r->path.len,	  &r->first_rule,  &v->first_route,  &v->n_routes,     &d->name.off,
		&d->name.len,	  &t->n_buckets,   &v->first_length, &v->flags,	       &c->any,
		&c->first_length, &c->n_exact,	   &slot->key,	     &path->own,       &path->up,
		&hash->name.off,  &hash->name.len, &t->seed,	     &t->zero,
	};

	spoil(fields[below(state, sizeof(fields) / sizeof(fields[0]))], state);
	d->routes = *v;
	d->vhost = below(state, 4) ? d->vhost : next_random(state);
	rule->kind = below(state, 4) ? rule->kind : next_random(state);
	rule->what = below(state, 8) ? rule->what : next_random(state);
	r->path_kind = below(state, 4) ? r->path_kind : next_random(state);
	hash->kind = below(state, 4) ? hash->kind : next_random(state);
	r->first_hash = below(state, 8) ? r->first_hash : next_random(state);
	r->n_hashes = below(state, 8) ? r->n_hashes : next_random(state);
	r->n_rules = below(state, 8) ? r->n_rules : next_random(state);
	d->routes.n_lengths = below(state, 8) ? d->routes.n_lengths : next_random(state);
	c->n_suffixes = below(state, 8) ? c->n_suffixes : below(state, 100);
	slot->len = below(state, 8) ? slot->len : next_random(state);
	slot->value = below(state, 8) ? slot->value : next_random(state);
}
