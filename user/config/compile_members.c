// SPDX-License-Identifier: GPL-2.0-only
/* The members of a cluster: addresses, and names that are looked up when it runs. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "config/model.h"
#include "sl_cohort.h"

/* Room for one more of @n items of @size; they grow by half. NULL: no memory. */
static void *room(void *items, __u32 n, size_t size)
{
	if (n & (n - 1))
		return items;
	return realloc(items, (n ? n * 2 : 1) * size);
}

static int add_name(struct sl_compiled *c, const struct sl_node *host,
		    const struct sl_dns_rules *rules)
{
	struct sl_name *all = room(c->names, c->n_names, sizeof(*all));

	if (!all)
		return -ENOMEM;
	c->names = all;
	all[c->n_names] = (struct sl_name){.host = strdup(host->text), .rules = *rules};
	if (!all[c->n_names].host)
		return -ENOMEM;
	c->n_names++;
	return 0;
}

static __u64 path_key(const struct sl_pipe *p)
{
	__u64 key = 0, word;

	/* The rest of the array is zero. */
	for (size_t i = 0; i < sizeof(p->path); i += sizeof(word)) {
		__u64 rest = sizeof(p->path) - i;

		word = 0;
		memcpy(&word, p->path + i, rest < sizeof(word) ? rest : sizeof(word));
		key = sl_mix(key ^ word) + i;
	}
	return key;
}

static int add_pipe(struct sl_compiled *c, const struct cfg_pipe *p, struct sl_endpoint *e)
{
	struct sl_pipe *all = room(c->pipes, c->n_pipes, sizeof(*all));
	struct sl_pipe *pipe;

	if (!all)
		return -ENOMEM;
	c->pipes = all;
	pipe = &all[c->n_pipes++];
	memset(pipe, 0, sizeof(*pipe));
	memcpy(pipe->path, p->path->text, p->path->len);
	pipe->key = path_key(pipe);
	e->family = AF_UNIX;
	memcpy(e->addr, &pipe->key, sizeof(pipe->key));
	return 0;
}

/* StrictDnsClusterImpl::ResolveTarget: hostname_. */
static int set_hostname(struct sl_member *m, const struct cfg_address *a,
			const struct sl_node *name)
{
	if (name && name->len)
		m->hostname = strdup(name->text);
	else if (m->name != SL_NO_NAME)
		m->hostname = strdup(a->socket.address->text);
	else
		return 0;
	return m->hostname ? 0 : -ENOMEM;
}

/* @hostname: NULL: not given. */
static int add_member(struct sl_compiled *c, __u32 cluster, const struct cfg_address *a,
		      const struct sl_node *hostname, const struct sl_host_config *h,
		      const struct sl_dns_rules *rules)
{
	struct sl_member *all = room(c->members, c->n_members, sizeof(*all));
	struct sl_member *m = &all[c->n_members];
	int err = 0;

	if (!all)
		return -ENOMEM;
	c->members = all;
	*m = (struct sl_member){
		.cluster = cluster,
		.name = SL_NO_NAME,
		.endpoint.port = a->socket.port.value,
		.endpoint.flags = a->socket.netns_index << SL_ENDPOINT_NETNS_SHIFT,
		.host = *h,
	};
	if (a->pipe.node) {
		err = add_pipe(c, &a->pipe, &m->endpoint);
	} else if (sl_parse_ip(a->socket.address->text, m->endpoint.addr, &m->endpoint.family)) {
		m->name = c->n_names;
		err = add_name(c, a->socket.address, rules);
	}
	if (!err)
		err = set_hostname(m, a, hostname);
	if (!err)
		c->n_members++;
	return err;
}

static struct sl_host_config host_config(const struct cfg_lb_endpoint *lb, __u32 priority)
{
	return (struct sl_host_config){
		.weight = lb->weight.node ? lb->weight.value : 1,
		.priority = priority,
		.unhealthy = lb->health.value >= CFG_HEALTH_UNHEALTHY,
	};
}

int sl_compile_members(const struct cfg_cluster *c, const struct cfg_resolvers *resolvers,
		       __u32 index, struct sl_compiled *out)
{
	const struct cfg_address *hosts = c->hosts.items;
	const struct sl_host_config plain = {.weight = 1};
	struct sl_dns_rules rules = {0};
	int err = 0;

	if (c->type.value != CFG_STATIC)
		err = sl_compile_dns(&c->dns, resolvers, c->type.value == CFG_LOGICAL_DNS, out,
				     &rules);
	for (__u32 i = 0; i < c->hosts.n && !err; i++)
		err = add_member(out, index, &hosts[i], NULL, &plain, &rules);
	for (__u32 i = 0; i < c->assignment.endpoints.n; i++) {
		const struct cfg_locality *loc =
			&cfg_items(c->assignment.endpoints, struct cfg_locality)[i];
		const struct cfg_lb_endpoint *lb = loc->lb_endpoints.items;
		/* The only one of a LOGICAL_DNS cluster is of the first priority (Envoy). */
		__u32 priority = rules.logical ? 0 : loc->priority.value;

		for (__u32 j = 0; j < loc->lb_endpoints.n && !err; j++) {
			struct sl_host_config h = host_config(&lb[j], priority);

			err = add_member(out, index, &lb[j].endpoint.address,
					 lb[j].endpoint.hostname, &h, &rules);
		}
	}
	return err;
}
