// SPDX-License-Identifier: GPL-2.0-only
/* What a config compiles to. Messages: test_config_golden.c. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "config/config.h"
#include "config/yaml.h"
#include "config/schema.h"
#include "suite.h"

static struct sl_compiled *load(const char *path)
{
	struct sl_compiled *c = NULL;
	struct sl_diag_list diags;
	int err = sl_config_load(path, NULL, &diags, &c);

	if (err)
		sl_diag_print(stderr, &diags);
	CU_ASSERT_EQUAL(err, 0);
	CU_ASSERT_EQUAL(diags.n_errors, 0);
	sl_diag_free(&diags);
	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	return c;
}

/* Result of @text; *@ret_diags is printed as text, to be freed. */
static struct sl_compiled *parse(const char *text, char **ret_messages)
{
	struct sl_compiled *c = NULL;
	struct sl_diag_list diags;
	char *messages = NULL;
	size_t size;
	FILE *f = open_memstream(&messages, &size);

	(void)sl_config_parse("t", text, strlen(text), NULL, &diags, &c);
	sl_diag_print(f, &diags);
	fclose(f);
	sl_diag_free(&diags);
	if (ret_messages)
		*ret_messages = messages;
	else
		free(messages);
	return c;
}

static bool str_is(const struct sl_compiled *c, struct sl_str s, const char *want)
{
	return s.len == strlen(want) && !memcmp(c->table->strings + s.off, want, s.len);
}

/* ---- the tutorial ---- */

static void check_endpoint(const struct sl_compiled *c, __u32 cluster, __u16 port)
{
	const struct sl_cluster *cl = &c->clusters[cluster];
	const struct sl_endpoint *e = &c->endpoints[cl->first_endpoint];
	const __u8 loopback[16] = {127, 0, 0, 1};

	CU_ASSERT_EQUAL(cl->n_endpoints, 1);
	CU_ASSERT_EQUAL(cl->connect_timeout_ms, 250);
	CU_ASSERT_EQUAL(cl->max_lanes, 1024);
	CU_ASSERT_EQUAL(e->cluster, cluster);
	CU_ASSERT_EQUAL(e->family, AF_INET);
	CU_ASSERT_EQUAL(e->port, port);
	CU_ASSERT(!memcmp(e->addr, loopback, 16));
}

/* @weights: of service1a and service1; NULL: one cluster, no split. */
static void check_tutorial(const char *path, const char *name1, const __u32 *weights)
{
	struct sl_compiled *c = load(path);
	const struct sl_table *t = c->table;
	const struct sl_route *r = t->routes;

	CU_ASSERT_EQUAL(t->generation, 1);
	CU_ASSERT_EQUAL(t->n_domains, 1);
	CU_ASSERT_EQUAL(t->domains[0].kind, SL_DOMAIN_ANY);
	CU_ASSERT_EQUAL(t->n_vhosts, 1);
	CU_ASSERT_STRING_EQUAL(c->vhost_names[0], "backend");
	CU_ASSERT_EQUAL(t->vhosts[0].first_route, 0);
	CU_ASSERT_EQUAL(t->vhosts[0].n_routes, 3);
	CU_ASSERT_EQUAL(t->n_routes, 3);
	CU_ASSERT(str_is(c, r[0].path, "/service/1") && str_is(c, r[1].path, "/service/1"));
	CU_ASSERT(str_is(c, r[2].path, "/service/2"));
	CU_ASSERT(str_is(c, r[0].name, "backend/0") && str_is(c, r[1].name, name1) &&
		  str_is(c, r[2].name, "backend/2"));
	CU_ASSERT_STRING_EQUAL(c->route_infos[0].name, "backend/0");
	CU_ASSERT_STRING_EQUAL(c->route_infos[0].match,
			       "prefix /service/1, x-canary-version: service1a");
	CU_ASSERT_STRING_EQUAL(c->route_infos[2].match, "prefix /service/2");
	CU_ASSERT(r[0].path_kind == SL_PATH_PREFIX && r[0].n_rules == 1 && r[1].n_rules == 0);
	CU_ASSERT_EQUAL(t->n_rules, 1);
	CU_ASSERT(str_is(c, t->rules[0].name, "x-canary-version"));
	CU_ASSERT(str_is(c, t->rules[0].value, "service1a"));
	CU_ASSERT(t->rules[0].kind == SL_RULE_EXACT && !t->rules[0].flags);

	CU_ASSERT_EQUAL(t->n_clusters, 3);
	CU_ASSERT_STRING_EQUAL(c->clusters[0].name, "service1");
	CU_ASSERT_STRING_EQUAL(c->clusters[1].name, "service1a");
	CU_ASSERT_STRING_EQUAL(c->clusters[2].name, "service2");
	for (__u32 i = 0; i < 3; i++)
		check_endpoint(c, i, 9001 + i);
	CU_ASSERT(r[0].action == SL_ACTION_CLUSTER && r[0].target == 1);
	CU_ASSERT(r[2].action == SL_ACTION_CLUSTER && r[2].target == 2);
	if (weights) {
		CU_ASSERT(r[1].action == SL_ACTION_SPLIT && r[1].target == 0 && t->n_splits == 1);
		CU_ASSERT(c->splits[0].n_targets == 2 && c->splits[0].route == 1);
		CU_ASSERT(c->splits[0].targets[0].cluster == 1 &&
			  c->splits[0].targets[0].weight == weights[0]);
		CU_ASSERT(c->splits[0].targets[1].cluster == 0 &&
			  c->splits[0].targets[1].weight == weights[1]);
	} else {
		CU_ASSERT(r[1].action == SL_ACTION_CLUSTER && r[1].target == 0 && t->n_splits == 0);
	}

	CU_ASSERT_EQUAL(c->n_listeners, 1);
	CU_ASSERT(c->listeners[0].port == 8000 && c->listeners[0].family == AF_INET);
	CU_ASSERT(!c->listeners[0].wildcard && c->listeners[0].addr[0] == 127);
	CU_ASSERT(c->options.kernel_path && c->options.colocated_clients &&
		  c->options.colocated_servers);
	CU_ASSERT_EQUAL(sl_compiled_check(c, NULL), 0);
	sl_compiled_free(c);
}

static void tutorial(void)
{
	const __u32 split[] = {25, 75}, all[] = {100, 0};

	check_tutorial("tests/e2e/config/1-header.v2.yaml", "backend/1", NULL);
	check_tutorial("tests/e2e/config/1-header.v3.yaml", "service1", NULL);
	check_tutorial("tests/e2e/config/2-weighted-25.v2.yaml", "backend/1", split);
	check_tutorial("tests/e2e/config/2-weighted-25.v3.yaml", "service1", split);
	check_tutorial("tests/e2e/config/3-released-100.v2.yaml", "backend/1", all);
	check_tutorial("tests/e2e/config/3-released-100.v3.yaml", "service1", all);
}

/* ---- forms ---- */

static void all_matches(void)
{
	struct sl_compiled *c = load("tests/unit/config/ok-all-matches.yaml");
	const struct sl_table *t = c->table;
	const struct sl_rule *h = t->rules;

	CU_ASSERT_EQUAL(t->n_domains, 3);
	CU_ASSERT_EQUAL(t->domains[0].kind, SL_DOMAIN_ANY);
	CU_ASSERT(str_is(c, t->domains[1].name, "a.example:8000"));
	CU_ASSERT(str_is(c, t->domains[2].name, "b.example"));
	CU_ASSERT(t->configs[0].any == 1 && t->configs[0].n_exact == 2);
	CU_ASSERT(t->routes[0].path_kind == SL_PATH_EXACT && str_is(c, t->routes[0].path, "/a"));
	CU_ASSERT(t->routes[1].path_kind == SL_PATH_PREFIX && t->routes[1].path.len == 0);
	CU_ASSERT(str_is(c, t->routes[0].name, "exact"));
	CU_ASSERT_EQUAL(t->n_rules, 6);
	CU_ASSERT(str_is(c, h[0].name, "x-one") && str_is(c, h[0].value, "1"));
	CU_ASSERT(h[0].kind == SL_RULE_EXACT && !h[0].flags);
	CU_ASSERT(h[1].kind == SL_RULE_EXACT && h[1].flags && str_is(c, h[1].value, "two"));
	CU_ASSERT(h[2].kind == SL_RULE_PRESENT && !h[2].flags);
	CU_ASSERT(h[3].kind == SL_RULE_PRESENT && h[3].flags);
	CU_ASSERT(h[4].kind == SL_RULE_PRESENT && h[4].flags);
	CU_ASSERT(str_is(c, h[5].name, ":method"));
	CU_ASSERT_EQUAL(c->splits[0].targets[0].weight, 4294967294u);
	CU_ASSERT(!c->options.kernel_path && !c->options.colocated_clients &&
		  c->options.colocated_servers);
	sl_compiled_free(c);
}

static void direct_response_and_json(void)
{
	struct sl_compiled *c = load("tests/unit/config/ok-json.yaml");

	CU_ASSERT_EQUAL(c->table->routes[0].action, SL_ACTION_DIRECT);
	CU_ASSERT_EQUAL(c->table->routes[0].target, 200);
	CU_ASSERT(c->table->routes[0].flags & SL_ROUTE_NEEDS_USER);
	CU_ASSERT_EQUAL(c->directs[0].status, 200);
	CU_ASSERT_EQUAL(c->directs[0].body_len, 5);
	CU_ASSERT(!memcmp(c->directs[0].body, "hello", 5));
	CU_ASSERT(c->listeners[0].family == AF_INET6 && c->listeners[0].addr[15] == 1);
	CU_ASSERT_STRING_EQUAL(c->listeners[0].name, "[::1]:8000");
	CU_ASSERT_EQUAL(c->table->n_clusters, 0);
	sl_compiled_free(c);
}

static void listeners(void)
{
	struct sl_compiled *c = load("tests/unit/config/ok-listeners-alias.yaml");

	CU_ASSERT_EQUAL(c->n_listeners, 3);
	CU_ASSERT(c->listeners[1].wildcard && c->listeners[1].family == AF_INET6);
	CU_ASSERT(!c->listeners[0].wildcard);
	CU_ASSERT_STRING_EQUAL(c->listeners[2].name, "127.0.0.1:81");
	CU_ASSERT_EQUAL(c->table->n_routes, 1);
	sl_compiled_free(c);
}

/* ---- configs made here ---- */

#define HEAD                                                                      \
	"static_resources:\n"                                                     \
	"  listeners:\n"                                                          \
	"  - address: {socket_address: {address: 127.0.0.1, port_value: 8000}}\n" \
	"    filter_chains:\n"                                                    \
	"    - filters:\n"                                                        \
	"      - name: envoy.http_connection_manager\n"                           \
	"        config:\n"                                                       \
	"          http_filters: [{name: envoy.router}]\n"                        \
	"          route_config:\n"                                               \
	"            virtual_hosts:\n"

static void names_are_cut(void)
{
	/* 62 letters and one of two bytes: the cut falls into it. */
	const char *text =
		HEAD "            - name: v\n"
		     "              domains: ['*']\n"
		     "              routes: [{match: {prefix: /}, route: {cluster: &n "
		     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\xc3\xa9}}]\n"
		     "  clusters: [{name: *n , hosts: []}]\n";
	struct sl_compiled *c = parse(text, NULL);

	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	CU_ASSERT_EQUAL(strlen(c->clusters[0].name), 62);
	CU_ASSERT_EQUAL(c->clusters[0].connect_timeout_ms, SL_CONNECT_TIMEOUT_MS);
	sl_compiled_free(c);
}

static struct sl_dns_address v4(__u8 last)
{
	return (struct sl_dns_address){.family = AF_INET, .addr = {10, 0, 0, last}};
}

/* Names become endpoints when they have addresses: sorted and once each, or one of LOGICAL_DNS. */
static void names_and_their_addresses(void)
{
	const struct sl_dns_address some[] = {v4(3), v4(1), v4(3), v4(2)};
	char *messages;
	const char *text =
		HEAD "            - {name: v, domains: ['*'], routes: []}\n"
		     "  clusters:\n"
		     "  - name: strict\n"
		     "    type: STRICT_DNS\n"
		     "    dns_refresh_rate: 1.5s\n"
		     "    hosts:\n"
		     "    - socket_address: {address: one.test, port_value: 1}\n"
		     "    - socket_address: {address: '::1', port_value: 2}\n"
		     "    - socket_address: {address: two.test, port_value: 3}\n"
		     "  - name: logical\n"
		     "    type: LOGICAL_DNS\n"
		     "    use_tcp_for_dns_lookups: true\n"
		     "    hosts: [{socket_address: {address: b.test, port_value: 4}}]\n"
		     "  - name: static\n"
		     "    hosts: [{socket_address: {address: 1.2.3.4, port_value: 5}}]\n";
	struct sl_compiled *c = parse(text, &messages);

	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	CU_ASSERT_EQUAL(c->n_names, 3);
	CU_ASSERT_EQUAL(c->n_resolvers, 2);
	CU_ASSERT(c->names[0].rules.refresh_ms == 1500 && c->names[2].rules.refresh_ms == 5000);
	CU_ASSERT_EQUAL(c->clusters[0].n_endpoints, 1);
	CU_ASSERT_EQUAL(c->clusters[1].n_endpoints, 0);
	CU_ASSERT_EQUAL(c->clusters[2].n_endpoints, 1);
	CU_ASSERT_EQUAL_FATAL(sl_name_set(&c->names[0], some, 4), 0);
	CU_ASSERT_EQUAL_FATAL(sl_name_set(&c->names[2], some, 4), 0);
	CU_ASSERT(sl_members_place(c));
	CU_ASSERT_EQUAL(c->clusters[0].n_endpoints, 4);
	CU_ASSERT_EQUAL(c->clusters[1].n_endpoints, 1);
	for (int i = 0; i < 3; i++)
		CU_ASSERT(c->endpoints[i].addr[3] == i + 1 && c->endpoints[i].port == 1);
	CU_ASSERT(c->endpoints[3].family == AF_INET6 && c->hosts[3].member == 1);
	CU_ASSERT(c->endpoints[4].addr[3] == 3 && c->endpoints[4].port == 4);
	CU_ASSERT(c->endpoints[5].addr[3] == 4 && c->endpoints[5].port == 5);
	CU_ASSERT_EQUAL(sl_compiled_check(c, NULL), 0);
	free(messages);
	sl_compiled_free(c);
}

/* ---- limits: exactly as many as there may be, and one more ---- */

static char *many(const char *before, const char *format, int n, const char *after)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	fputs(before, f);
	for (int i = 0; i < n; i++) {
		for (const char *p = format; *p; p++) {
			if (*p == '@')
				fprintf(f, "%d", i);
			else
				fputc(*p, f);
		}
	}
	fputs(after, f);
	fclose(f);
	return text;
}

static void at_limit(const char *before, const char *format, int limit, const char *after,
		     const char *message)
{
	char *fits = many(before, format, limit, after);
	char *over = many(before, format, limit + 1, after);
	char *messages;
	struct sl_compiled *c = parse(fits, &messages);

	if (!c)
		fprintf(stderr, "%s: %.300s\n", message, messages);
	CU_ASSERT_PTR_NOT_NULL(c);
	sl_compiled_free(c);
	free(messages);
	c = parse(over, &messages);
	CU_ASSERT_PTR_NULL(c);
	CU_ASSERT_PTR_NOT_NULL(strstr(messages, message));
	if (!strstr(messages, message))
		fprintf(stderr, "%s: %.300s\n", message, messages);
	sl_compiled_free(c);
	free(messages);
	free(fits);
	free(over);
}

#define VHOST "            - name: v\n              domains: ['*']\n              routes:\n"
#define DIRECT "direct_response: {status: 200}"

static void limits(void)
{
	at_limit(HEAD VHOST, "              - {match: {path: /@}, " DIRECT "}\n", SL_MAX_ROUTES, "",
		 "SL_MAX_ROUTES");
	at_limit(HEAD,
		 "            - {name: v@, domains: [d@], routes: [{match: {prefix: /}, " DIRECT
		 "}]}\n",
		 SL_MAX_VHOSTS, "", "SL_MAX_VHOSTS");
	at_limit(HEAD "            - name: v\n              domains:\n", "              - d@\n",
		 SL_MAX_DOMAINS, "              routes: []\n", "SL_MAX_DOMAINS");
	at_limit(HEAD VHOST "              - " DIRECT "\n                match:\n"
			    "                  prefix: /\n                  headers:\n",
		 "                  - name: h@\n", SL_MAX_ROUTE_RULES, "", "SL_MAX_ROUTE_RULES");
	at_limit(HEAD "            - {name: v, domains: ['*'], routes: []}\n  clusters:\n",
		 "  - {name: c@, hosts: [{socket_address: {address: 127.0.0.1, port_value: 1}}]}\n",
		 SL_MAX_CLUSTERS, "", "SL_MAX_CLUSTERS");
	at_limit(HEAD "            - {name: v, domains: ['*'], routes: []}\n"
		      "  clusters:\n  - name: c\n    hosts:\n",
		 "    - socket_address: {address: 127.0.0.1, port_value: 1@}\n", SL_MAX_ENDPOINTS,
		 "", "SL_MAX_ENDPOINTS");
	at_limit("static_resources:\n  listeners:\n"
		 "  - address: {socket_address: {address: 127.0.0.1, port_value: 1}}\n"
		 "    filter_chains: &f\n    - filters:\n"
		 "      - {name: envoy.http_connection_manager, config: {route_config: {}}}\n",
		 "  - address: {socket_address: {address: 127.0.0.1, port_value: 10@}}\n"
		 "    filter_chains: *f\n",
		 SL_MAX_LISTENERS - 1, "", "SL_MAX_LISTENERS");
	/* 523 paths of 4000 bytes and small things fit into the pool, 524 do not. */
	{
		char format[4096 + 128], path[4096];

		memset(path, 'x', sizeof(path) - 1);
		path[sizeof(path) - 1] = '\0';
		path[0] = '/';
		snprintf(format, sizeof(format), "              - {match: {path: %.4000s@}, %s}\n",
			 path, DIRECT);
		at_limit(HEAD VHOST, format, 523, "", "SL_STRING_POOL");
	}
}

/* Ten thousand routes that differ by a header alone: no two are compared for nothing. */
static void one_path(void)
{
	char *text = many(HEAD VHOST,
			  "              - {match: {prefix: /, headers: [{name: t, exact_match: "
			  "t@}]}, " DIRECT "}\n",
			  10000, "");
	clock_t began = clock();
	struct sl_compiled *c = parse(text, NULL);

	CU_ASSERT_PTR_NOT_NULL(c);
	CU_ASSERT(clock() - began < 5 * CLOCKS_PER_SEC);
	sl_compiled_free(c);
	free(text);
}

static void limits_of_rules(void)
{
	at_limit(HEAD VHOST,
		 "              - match: {path: /@, headers: [{name: a}, {name: b}, {name: c}, "
		 "{name: d}]}\n                " DIRECT "\n",
		 SL_MAX_RULES / 4, "", "SL_MAX_RULES");
	at_limit(HEAD VHOST,
		 "              - match: {path: /@}\n                route: {cluster: c, "
		 "hash_policy: "
		 "[{header: {header_name: a}}, {header: {header_name: b}}]}\n",
		 SL_MAX_HASH_RULES / 2,
		 "  clusters:\n  - {name: c, hosts: [{socket_address: {address: 127.0.0.1, "
		 "port_value: 1}}]}\n",
		 "SL_MAX_HASH_RULES");
}

/* ---- sl_compiled_check() finds every wrong field ---- */

#define WRONG(field, value)                                           \
	do {                                                          \
		__typeof__(field) saved_ = (field);                   \
		(field) = (value);                                    \
		why = NULL;                                           \
		CU_ASSERT_EQUAL(sl_compiled_check(c, &why), -EINVAL); \
		CU_ASSERT_PTR_NOT_NULL(why);                          \
		(field) = saved_;                                     \
	} while (0)

static void check_finds_table(void)
{
	struct sl_compiled *c = load("tests/unit/config/ok-all-matches.yaml");
	struct sl_table *t = c->table;
	const char *why;

	WRONG(t->n_domains, SL_MAX_DOMAINS + 1);
	WRONG(t->n_vhosts, SL_MAX_VHOSTS + 1);
	WRONG(t->n_vhosts, 0);
	WRONG(t->n_routes, SL_MAX_ROUTES + 1);
	WRONG(t->n_routes, 1);
	WRONG(t->n_rules, SL_MAX_RULES + 1);
	WRONG(t->n_rules, 5);
	WRONG(t->n_clusters, SL_MAX_CLUSTERS + 1);
	WRONG(t->n_clusters, 1);
	WRONG(t->n_endpoints, SL_MAX_ENDPOINTS + 1);
	WRONG(t->n_endpoints, 1);
	WRONG(t->n_splits, SL_MAX_SPLITS + 1);
	WRONG(t->n_splits, 0);
	WRONG(t->domains[1].name.off, SL_STRING_POOL);
	WRONG(t->domains[0].name.len, SL_STRING_POOL + 1);
	WRONG(t->domains[0].vhost, 1);
	WRONG(t->domains[0].kind, SL_DOMAIN_ANY + 1);
	WRONG(t->domains[0].config, 1);
	WRONG(t->config_of[0], 1);
	WRONG(t->configs[0].any, 4);
	WRONG(t->configs[0].n_suffixes, 1);
	WRONG(t->zero, 1);
	WRONG(t->n_buckets, 3);
	WRONG(t->lists[0], 0);
	WRONG(t->vhosts[0].flags, 8);
	WRONG(t->domains[0].routes.n_routes, 3);
	WRONG(t->vhosts[0].n_lengths, 1);
	WRONG(t->vhosts[0].first_route, 0xffffffff);
	WRONG(t->vhosts[0].n_routes, 3);
	WRONG(t->routes[0].path.off, 0xffffffff);
	WRONG(t->routes[0].name.len, 0xffffffff);
	WRONG(t->routes[0].first_rule, 1);
	WRONG(t->routes[0].n_rules, 7);
	WRONG(t->routes[0].path_kind, 3);
	WRONG(t->routes[0].flags, 0x80);
	WRONG(t->routes[0].action, 3);
	WRONG(t->routes[0].target, 2);
	WRONG(t->routes[1].target, 1);
	WRONG(t->rules[5].name.len, 0);
	WRONG(t->rules[5].name.off, 0xffffffff);
	WRONG(t->rules[5].value.off, 0xffffffff);
	WRONG(t->rules[5].kind, SL_RULE_REGEX + 1);
	WRONG(t->rules[5].flags, 0x10);
	WRONG(t->rules[5].what, SL_RULE_FRACTION + 1);
	CU_ASSERT_EQUAL(sl_compiled_check(c, NULL), 0);
	sl_compiled_free(c);
}

static void check_finds_arrays(void)
{
	struct sl_compiled *c = load("tests/unit/config/ok-all-matches.yaml");
	const char *why;

	WRONG(c->clusters[0].first_endpoint, 0xffffffff);
	WRONG(c->clusters[0].n_endpoints, 3);
	WRONG(c->clusters[0].n_endpoints, 2);
	WRONG(c->clusters[0].max_lanes, SL_MAX_LANES + 1);
	WRONG(c->clusters[0].connect_timeout_ms, 0);
	WRONG(c->endpoints[1].cluster, 0);
	WRONG(c->endpoints[1].port, 0);
	WRONG(c->endpoints[1].family, 0);
	WRONG(c->splits[0].n_targets, 0);
	WRONG(c->splits[0].n_targets, SL_MAX_SPLIT_TARGETS + 1);
	WRONG(c->splits[0].route, 0);
	WRONG(c->splits[0].route, 2);
	WRONG(c->splits[0].targets[1].cluster, 2);
	WRONG(c->splits[0].targets[1].weight, 2);
	WRONG(c->route_infos[0].target, 1);
	WRONG(c->route_infos[0].action, SL_ACTION_DIRECT);
	WRONG(c->directs[0].status, 200);
	memset(c->clusters[0].name, 'x', SL_NAME_MAX);
	CU_ASSERT_EQUAL(sl_compiled_check(c, NULL), -EINVAL);
	sl_compiled_free(c);
}

/* ---- files and scalars ---- */

static void load_fails(const char *path, int want, const char *message)
{
	struct sl_compiled *c = NULL;
	struct sl_diag_list diags;

	CU_ASSERT_EQUAL(sl_config_load(path, NULL, &diags, &c), want);
	CU_ASSERT_PTR_NULL(c);
	CU_ASSERT_EQUAL(diags.n, 1);
	CU_ASSERT(diags.n == 1 && strstr(diags.items[0].message, message));
	CU_ASSERT_STRING_EQUAL(diags.file, path);
	sl_diag_free(&diags);
}

static void files(void)
{
	char path[] = "/tmp/sluice-test-config-XXXXXX";
	int fd = mkstemp(path);

	CU_ASSERT_FATAL(fd >= 0);
	load_fails("/nonexistent/x.yaml", -ENOENT, "cannot read: No such file");
	load_fails("/tmp", -EISDIR, "cannot read: Is a directory");
	CU_ASSERT_EQUAL(ftruncate(fd, SL_YAML_MAX_BYTES + 1), 0);
	load_fails(path, -EINVAL, "the file is over the limit of 33554432 bytes");
	CU_ASSERT_EQUAL(ftruncate(fd, SL_YAML_MAX_BYTES), 0);
	load_fails(path, -EINVAL, "control character 0x00");
	close(fd);
	unlink(path);
}

static void scalars(void)
{
	static const char *const yes[] = {"true", "True", "TRUE", "yes", "on", "On"};
	static const char *const no[] = {"false", "no", "NO", "off", "OFF"};
	static const char *const neither[] = {"", "y", "n", "1", "0", "truee", "tru"};
	__u32 v;

	for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++)
		CU_ASSERT(!sl_parse_bool(yes[i], &v) && v == 1);
	for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++)
		CU_ASSERT(!sl_parse_bool(no[i], &v) && v == 0);
	for (size_t i = 0; i < sizeof(neither) / sizeof(neither[0]); i++)
		CU_ASSERT_EQUAL(sl_parse_bool(neither[i], &v), -EINVAL);

	CU_ASSERT(!sl_parse_duration_ms("0.25s", 0, 10000, &v) && v == 250);
	CU_ASSERT(!sl_parse_duration_ms("5s", 0, 10000, &v) && v == 5000);
	CU_ASSERT(!sl_parse_duration_ms("10.000000000s", 0, 10000, &v) && v == 10000);
	CU_ASSERT(!sl_parse_duration_ms("0.000000001s", 1, 10000, &v) && v == 1);
	CU_ASSERT(!sl_parse_duration_ms("0.001000001s", 1, 10000, &v) && v == 2);
	CU_ASSERT_EQUAL(sl_parse_duration_ms("10.000000001s", 0, 10000, &v), -ERANGE);
	CU_ASSERT_EQUAL(sl_parse_duration_ms("99999999999999999999s", 0, 10000, &v), -ERANGE);
	CU_ASSERT_EQUAL(sl_parse_duration_ms("s", 0, 10000, &v), -EINVAL);
	CU_ASSERT_EQUAL(sl_parse_duration_ms("1", 0, 10000, &v), -EINVAL);
	CU_ASSERT_EQUAL(sl_parse_duration_ms("1.0000000001s", 0, 10000, &v), -EINVAL);
	CU_ASSERT_EQUAL(sl_parse_duration_ms("1s ", 0, 10000, &v), -EINVAL);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"the tutorial's six files", tutorial},
		{"every match", all_matches},
		{"direct response, as JSON", direct_response_and_json},
		{"listeners that share routes", listeners},
		{"names are cut between letters", names_are_cut},
		{"names and their addresses", names_and_their_addresses},
		{"limits", limits},
		{"limits of rules", limits_of_rules},
		{"ten thousand routes with one path", one_path},
		{"the check finds a wrong table", check_finds_table},
		{"the check finds wrong arrays", check_finds_arrays},
		{"files that cannot be read", files},
		{"scalars", scalars},
		CU_TEST_INFO_NULL,
	};

	return run_suite("config", tests);
}
