// SPDX-License-Identifier: GPL-2.0-only
/* How the names of a cluster are looked up: rules across keys, and what becomes of them. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/model.h"

#define REFRESH_MS 5000

static void check_servers(struct sl_walk *w, const struct cfg_list *list)
{
	const struct cfg_address *all = list->items;
	__u8 addr[16], family;

	for (__u32 i = 0; i < list->n; i++) {
		const struct cfg_socket_address *a = &all[i].socket;

		if (all[i].pipe.node ||
		    (a->address && sl_parse_ip(a->address->text, addr, &family)))
			sl_error(w, all[i].node, "a DNS server is given by its IP address");
		if (a->netns)
			sl_error(w, a->netns,
				 "DNS servers are asked from sluice's own network "
				 "namespace");
	}
}

void sl_validate_resolvers(struct sl_walk *w, const struct cfg_resolvers *r)
{
	check_servers(w, &r->typed.config.resolvers);
	check_servers(w, &r->plain.resolvers);
	check_servers(w, &r->list);
}

void sl_validate_dns(struct sl_walk *w, const struct cfg_dns *d, bool names, bool checked)
{
	sl_validate_resolvers(w, &d->resolvers);
	if (d->failure.max.node && d->failure.base.node &&
	    d->failure.max.value < d->failure.base.value)
		sl_error(w, d->failure.max.node, "'max_interval' is below 'base_interval'");
	if (names && checked && d->ignore_health.node && !d->ignore_health.value)
		sl_warning(w, d->ignore_health.node,
			   "an address that a name does not have any more is left at once, also "
			   "when its health check passes");
}

/* ---- resolvers ---- */

/* "10.0.0.1:53,[::1]:53"; to be freed. NULL: no memory. */
static char *servers_text(const struct cfg_list *list)
{
	const struct cfg_address *all = list->items;
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	if (!f)
		return NULL;
	for (__u32 i = 0; i < list->n; i++) {
		const char *ip = all[i].socket.address->text;

		fprintf(f, strchr(ip, ':') ? "%s[%s]:%u" : "%s%s:%u", i ? "," : "", ip,
			all[i].socket.port.value);
	}
	return fclose(f) ? NULL : text;
}

static bool given(const struct cfg_resolvers *r)
{
	return r->typed.node || r->plain.node || r->list.n || r->tcp.value;
}

/* Envoy's order: the typed config, the plain one, the deprecated keys. */
static int resolver_of(const struct cfg_resolvers *r, struct sl_dns_resolver *ret)
{
	const struct cfg_resolver *c = r->typed.node ? &r->typed.config : &r->plain;
	const struct cfg_list *list = c->node ? &c->resolvers : &r->list;

	*ret = (struct sl_dns_resolver){
		.tcp = c->node ? c->options.tcp.value : r->tcp.value,
		.no_search = c->options.no_search.value,
		.rotate = c->rotate.value,
		.timeout_ms = c->timeout.value * 1000,
		.tries = c->tries.value,
	};
	if (!list->n)
		return 0;
	ret->servers = servers_text(list);
	return ret->servers ? 0 : -ENOMEM;
}

bool sl_dns_resolver_equal(const struct sl_dns_resolver *a, const struct sl_dns_resolver *b)
{
	return a->tcp == b->tcp && a->no_search == b->no_search && a->rotate == b->rotate &&
	       a->timeout_ms == b->timeout_ms && a->tries == b->tries &&
	       !a->servers == !b->servers && (!a->servers || !strcmp(a->servers, b->servers));
}

/* The index of the resolver that is @r, which becomes one if it is new. */
static int resolver_index(struct sl_compiled *c, struct sl_dns_resolver *r, __u32 *ret)
{
	struct sl_dns_resolver *all;

	for (*ret = 0; *ret < c->n_resolvers; ++*ret) {
		if (!sl_dns_resolver_equal(&c->resolvers[*ret], r))
			continue;
		free(r->servers);
		return 0;
	}
	all = realloc(c->resolvers, (c->n_resolvers + 1) * sizeof(*all));
	if (!all) {
		free(r->servers);
		return -ENOMEM;
	}
	c->resolvers = all;
	c->resolvers[c->n_resolvers++] = *r;
	return 0;
}

int sl_compile_dns(const struct cfg_dns *d, const struct cfg_resolvers *root, bool logical,
		   struct sl_compiled *c, struct sl_dns_rules *ret)
{
	struct sl_dns_resolver r;
	int err = resolver_of(given(&d->resolvers) ? &d->resolvers : root, &r);

	if (err)
		return err;
	*ret = (struct sl_dns_rules){
		.family = d->family.value,
		.logical = logical,
		.respect_ttl = d->respect_ttl.value,
		.no_wait = d->wait.node && !d->wait.value,
		.refresh_ms = d->refresh.node ? d->refresh.value : REFRESH_MS,
		.jitter_ms = d->jitter.value,
		.failure_ms = d->failure.base.value,
	};
	/* Without a rate for failures it is the same as for answers, and does not grow. */
	if (d->failure.node)
		ret->failure_max_ms =
			d->failure.max.node ? d->failure.max.value : d->failure.base.value * 10;
	return resolver_index(c, &r, &ret->resolver);
}
