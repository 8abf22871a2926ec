// SPDX-License-Identifier: GPL-2.0-only
/* Members of clusters and the endpoints that they make. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config/compiled.h"

/* Endpoint @k of member @i. */
static struct sl_endpoint endpoint_of(const struct sl_compiled *c, __u32 i, __u32 k)
{
	const struct sl_member *m = &c->members[i];
	struct sl_endpoint e = m->endpoint;

	e.cluster = m->cluster;
	if (m->name != SL_NO_NAME) {
		const struct sl_dns_address *a = &c->names[m->name].addresses[k];

		e.family = a->family;
		memcpy(e.addr, a->addr, sizeof(e.addr));
	}
	return e;
}

static __u32 endpoints_of(const struct sl_compiled *c, __u32 i)
{
	const struct sl_name *name;

	if (c->members[i].name == SL_NO_NAME)
		return 1;
	name = &c->names[c->members[i].name];
	return name->rules.logical && name->n_addresses ? 1 : name->n_addresses;
}

__u32 sl_members_of(const struct sl_compiled *c, __u32 cluster, struct sl_endpoint *ret,
		    struct sl_host_config *ret_hosts, __u32 max)
{
	__u32 n = 0;

	for (__u32 i = 0; i < c->n_members; i++) {
		if (c->members[i].cluster != cluster)
			continue;
		for (__u32 k = 0; k < endpoints_of(c, i) && n < max; k++, n++) {
			ret[n] = endpoint_of(c, i, k);
			ret_hosts[n] = c->members[i].host;
			ret_hosts[n].member = i;
		}
	}
	return n;
}

bool sl_members_place(struct sl_compiled *c)
{
	struct sl_table *t = c->table;
	__u32 wanted = 0;

	for (__u32 i = 0; i < t->n_clusters; i++)
		c->clusters[i].first_endpoint = c->clusters[i].n_endpoints = 0;
	t->n_endpoints = 0;
	/* Those of a cluster stand one behind the other. */
	for (__u32 i = 0; i < c->n_members; i++) {
		struct sl_cluster *cl = &c->clusters[c->members[i].cluster];
		__u32 n = endpoints_of(c, i);

		wanted += n;
		for (__u32 k = 0; k < n && t->n_endpoints < SL_MAX_ENDPOINTS; k++) {
			__u32 at = t->n_endpoints++;

			if (!cl->n_endpoints++)
				cl->first_endpoint = at;
			else
				c->endpoints[at - 1].next = at + 1;
			c->endpoints[at] = endpoint_of(c, i, k);
			c->hosts[at] = c->members[i].host;
			c->hosts[at].member = i;
		}
	}
	return wanted == t->n_endpoints;
}

static int by_address(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct sl_dns_address));
}

/* An answer's order means nothing but for LOGICAL_DNS: sorted, it is the same each time. */
int sl_name_set(struct sl_name *name, const struct sl_dns_address *addresses, __u32 n)
{
	struct sl_dns_address *all = malloc((n + 1) * sizeof(*all));
	__u32 k = 0;

	if (!all)
		return -ENOMEM;
	memcpy(all, addresses, n * sizeof(*all));
	if (!name->rules.logical)
		qsort(all, n, sizeof(*all), by_address);
	for (__u32 i = 0; i < n; i++)
		if (!k || by_address(&all[k - 1], &all[i]))
			all[k++] = all[i];
	free(name->addresses);
	name->addresses = all;
	name->n_addresses = k;
	return 0;
}

void sl_members_free(struct sl_compiled *c)
{
	for (__u32 i = 0; i < c->n_names; i++) {
		free(c->names[i].host);
		free(c->names[i].addresses);
	}
	for (__u32 i = 0; i < c->n_members; i++)
		free(c->members[i].hostname);
	for (__u32 i = 0; i < c->n_resolvers; i++)
		free(c->resolvers[i].servers);
	free(c->names);
	free(c->members);
	free(c->resolvers);
}
