// SPDX-License-Identifier: GPL-2.0-only
#include "attach/generate.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sl_limits.h"

static void put_quoted(FILE *f, const char *text)
{
	putc('"', f);
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			putc('\\', f);
		putc(*text, f);
	}
	putc('"', f);
}

static void put_address(FILE *f, const char *indent, const struct sl_address *a,
			const char *netns_path)
{
	char ip[INET6_ADDRSTRLEN];

	inet_ntop(a->family, a->addr, ip, sizeof(ip));
	fprintf(f, "%ssocket_address:\n%s  address: \"%s\"\n%s  port_value: %u\n", indent, indent,
		ip, indent, a->port);
	if (!netns_path)
		return;
	fprintf(f, "%s  network_namespace_filepath: ", indent);
	put_quoted(f, netns_path);
	putc('\n', f);
}

static void put_listener(FILE *f, const struct sl_attach_wish *w)
{
	fprintf(f, "  listeners:\n  - name: front\n    address:\n");
	put_address(f, "      ", &w->address, w->netns_path);
	fprintf(f,
		"    sluice:\n"
		"      attach: true\n"
		"%s"
		"    filter_chains:\n"
		"    - filters:\n"
		"      - name: envoy.filters.network.http_connection_manager\n"
		"        typed_config:\n"
		"          \"@type\": type.googleapis.com/envoy.extensions.filters.network."
		"http_connection_manager.v3.HttpConnectionManager\n"
		"          stat_prefix: front\n"
		"          route_config:\n"
		"            virtual_hosts:\n"
		"            - name: all\n"
		"              domains: [\"*\"]\n"
		"              routes:\n"
		"              - name: all\n"
		"                match: {prefix: \"/\"}\n"
		"                route:\n"
		"                  timeout: 0s\n"
		"                  idle_timeout: 0s\n"
		"                  weighted_clusters:\n"
		"                    clusters:\n"
		"                    - {name: \"%s\", weight: 100}\n"
		"          http_filters:\n"
		"          - name: envoy.filters.http.router\n"
		"            typed_config:\n"
		"              \"@type\": type.googleapis.com/envoy.extensions.filters.http.router."
		"v3.Router\n",
		w->l4 ? "      l4: true\n" : "", w->as);
}

char *sl_attach_generate(const struct sl_attach_wish *w)
{
	char *text = NULL, where[SL_ADDRESS_MAX];
	size_t size;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		return NULL;
	fprintf(f,
		"# Made by 'sluice attach %s'. What the application does not limit is not "
		"limited.\n"
		"static_resources:\n",
		sl_address_text(where, &w->address));
	put_listener(f, w);
	fprintf(f,
		"  clusters:\n"
		"  - name: \"%s\"\n"
		"    circuit_breakers:\n"
		"      thresholds:\n"
		"      - {max_connections: %u, max_pending_requests: 1000000, "
		"max_requests: 1000000}\n"
		"    load_assignment:\n"
		"      cluster_name: \"%s\"\n"
		"      endpoints:\n"
		"      - lb_endpoints:\n"
		"        - endpoint:\n"
		"            address:\n",
		w->as, SL_MAX_LANES, w->as);
	put_address(f, "              ", &w->to, w->netns_path);
	if (!fclose(f))
		return text;
	free(text);
	return NULL;
}
