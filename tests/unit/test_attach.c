// SPDX-License-Identifier: GPL-2.0-only
/* user/attach without the kernel: addresses, who gets a connection, the config that is made. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "attach/generate.h"
#include "attach/target.h"
#include "config/config.h"
#include "suite.h"

static void parses(const char *text, bool good)
{
	struct sl_address a;
	char back[SL_ADDRESS_MAX];

	CU_ASSERT_EQUAL(sl_address_parse(text, &a), good ? 0 : -EINVAL);
	if (good)
		CU_ASSERT_STRING_EQUAL(sl_address_text(back, &a), text);
}

static void test_address(void)
{
	static const char *const bad[] = {
		"",
		":",
		"8080",
		"127.0.0.1",
		"127.0.0.1:",
		"1.2.3:80",
		"::1:80x",
		"[::1]",
		"[::1:80",
		"::1]:80",
		"[1.2.3.4]:80",
		"[]:80",
		":80",
		"127.0.0.1:0",
		"127.0.0.1:65536",
		"127.0.0.1:-1",
		"a:80",
		"127.0.0.1:80 ",
		"[::1]x:80",
		"[:80",
		"0000000000000000000000000000000000000000000000000000000000000:80",
	};

	parses("127.0.0.1:8080", true);
	parses("0.0.0.0:1", true);
	parses("[::1]:65535", true);
	parses("[::]:80", true);
	parses("[fd77::1:2]:80", true);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		parses(bad[i], false);
}

static void test_mapped(void)
{
	static const __u8 four[16] = {[10] = 0xff, [11] = 0xff, [12] = 10, [15] = 1};
	struct sl_address a;
	__u8 got[16];

	CU_ASSERT(!sl_address_parse("10.0.0.1:80", &a) && !sl_address_is_any(&a));
	sl_address_mapped(got, &a);
	CU_ASSERT(!memcmp(got, four, sizeof(four)));
	CU_ASSERT(!sl_address_parse("[::]:80", &a) && sl_address_is_any(&a));
	CU_ASSERT(!sl_address_parse("[::ffff:10.0.0.1]:80", &a) && a.family == AF_INET);
	sl_address_mapped(got, &a);
	CU_ASSERT(!memcmp(got, four, sizeof(four)));
	CU_ASSERT(!sl_address_parse("[::fffe:10.0.0.1]:80", &a) && a.family == AF_INET6);
}

/* Who gets connections to @to, of sockets on @list ("!": takes no IPv4); "-": nobody. */
static void goes(const char *to, const char *list, const char *expected, __u32 n_sockets)
{
	struct sl_listening all[8] = {};
	char *copy = strdup(list), *rest = copy, got[SL_ADDRESS_MAX] = "-";
	struct sl_address a;
	struct sl_target t;
	__u32 n = 0;

	for (char *c = strtok_r(rest, " ", &rest); c; c = strtok_r(NULL, " ", &rest)) {
		all[n].only6 = *c == '!';
		CU_ASSERT_FATAL(!sl_address_parse(c + all[n].only6, &all[n].address));
		n++;
	}
	CU_ASSERT_FATAL(!sl_address_parse(to, &a));
	if (!sl_target_find(all, n, &a, &t))
		sl_address_text(got, &t.first.address);
	CU_ASSERT_STRING_EQUAL(got, expected);
	CU_ASSERT_EQUAL(t.n_sockets, n_sockets);
	free(copy);
}

static void test_target(void)
{
	goes("127.0.0.1:80", "127.0.0.1:80", "127.0.0.1:80", 1);
	goes("127.0.0.1:80", "127.0.0.1:81 127.0.0.2:80 [::1]:80", "-", 0);
	goes("127.0.0.1:80", "0.0.0.0:80", "0.0.0.0:80", 1);
	goes("127.0.0.1:80", "0.0.0.0:80 0.0.0.0:80", "0.0.0.0:80", 2);
	goes("127.0.0.1:80", "0.0.0.0:80 127.0.0.1:80", "127.0.0.1:80", 1);
	goes("127.0.0.1:80", "127.0.0.1:80 127.0.0.1:80", "127.0.0.1:80", 2);
	goes("127.0.0.1:80", "[::]:80", "[::]:80", 1);
	goes("127.0.0.1:80", "![::]:80", "-", 0);
	goes("[::1]:80", "0.0.0.0:80", "-", 0);
	goes("[::1]:80", "![::]:80", "[::]:80", 1);
	goes("0.0.0.0:80", "127.0.0.1:80", "-", 0);
	goes("127.0.0.1:80", "", "-", 0);
}

static void generated(const char *text, const char *to, const char *as, const char *netns, bool l4)
{
	struct sl_attach_wish w = {.as = as, .netns_path = netns, .l4 = l4};
	struct sl_compiled *c = NULL;
	struct sl_diag_list diags;
	struct sl_address e = {};
	char *config, got[SL_ADDRESS_MAX];

	CU_ASSERT_FATAL(!sl_address_parse(text, &w.address) && !sl_address_parse(to, &w.to));
	config = sl_attach_generate(&w);
	CU_ASSERT_PTR_NOT_NULL_FATAL(config);
	CU_ASSERT_EQUAL(sl_config_parse("made", config, strlen(config), NULL, &diags, &c), 0);
	CU_ASSERT_EQUAL(diags.n, 0);
	sl_diag_print(stderr, &diags);
	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	CU_ASSERT(c->n_listeners == 1 && c->listeners[0].attach && c->listeners[0].l4 == l4);
	CU_ASSERT(c->listeners[0].port == w.address.port &&
		  !memcmp(c->listeners[0].addr, w.address.addr, 16));
	CU_ASSERT(c->n_netns == (netns ? 1 : 0) && c->listeners[0].netns == c->n_netns);
	CU_ASSERT(SL_ENDPOINT_NETNS(&c->endpoints[0]) == c->n_netns);
	CU_ASSERT(c->table->n_routes == 1 && c->splits[0].targets[0].weight == 100);
	CU_ASSERT_STRING_EQUAL(c->clusters[0].name, as);
	CU_ASSERT_STRING_EQUAL(c->route_infos[0].name, "all");
	e.family = c->endpoints[0].family;
	e.port = c->endpoints[0].port;
	memcpy(e.addr, c->endpoints[0].addr, 16);
	CU_ASSERT_STRING_EQUAL(sl_address_text(got, &e), to);
	/* What the application takes its time for, or has many of, is not cut or refused. */
	CU_ASSERT(!c->route_limits[0].timeout_ms && !c->route_limits[0].idle_ms);
	CU_ASSERT(c->cluster_limits[0].max_connections == SL_MAX_LANES);
	CU_ASSERT(c->cluster_limits[0].max_requests >= 1000000);
	CU_ASSERT(c->cluster_limits[0].max_pending >= 1000000);
	CU_ASSERT(!netns || !strcmp(c->netns[0], netns));
	sl_compiled_free(c);
	sl_diag_free(&diags);
	free(config);
}

static void test_generate(void)
{
	generated("127.0.0.1:8080", "127.0.0.1:8080", "v1", NULL, false);
	generated("0.0.0.0:8080", "127.0.0.1:8080", "v1", NULL, true);
	generated("[::]:80", "[::1]:80", "a b", "/run/netns/blue", false);
	generated("[fd77::1]:80", "[fd77::1]:80", "v1", "/proc/1/ns/net", true);
	generated("[::]:80", "10.0.0.1:80", "v1", "/tmp/\"odd\\ name", false);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"addresses", test_address},
		{"IPv4 mapped", test_mapped},
		{"who gets a connection", test_target},
		{"the config that is made", test_generate},
		CU_TEST_INFO_NULL,
	};

	return run_suite("attach", tests);
}
