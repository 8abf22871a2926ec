// SPDX-License-Identifier: GPL-2.0-only
/* Addresses of a cluster's endpoints; names are looked up once, at load. */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "config/model.h"

static int add(struct cfg_resolved *r, const struct sl_endpoint *e, const struct sl_host_config *h)
{
	struct sl_host_config *hosts;
	struct sl_endpoint *items;

	/* Two names of one host are one endpoint twice, as in Envoy; a name's own answers are not.
	 */
	items = realloc(r->items, (r->n + 1) * sizeof(*items));
	if (!items)
		return -ENOMEM;
	r->items = items;
	hosts = realloc(r->hosts, (r->n + 1) * sizeof(*hosts));
	if (!hosts)
		return -ENOMEM;
	r->hosts = hosts;
	r->hosts[r->n] = *h;
	r->items[r->n++] = *e;
	return 0;
}

/* getaddrinfo()'s result -> endpoints of the wanted families, else as @like. */
static int add_answers(struct cfg_resolved *r, const struct addrinfo *list, __u32 wanted,
		       const struct sl_endpoint *like, const struct sl_host_config *h,
		       bool *ret_full)
{
	__u32 first = r->n;
	int family = list->ai_family, err = 0;

	if (wanted == CFG_DNS_V4_PREFERRED) {
		for (const struct addrinfo *ai = list; ai; ai = ai->ai_next)
			if (ai->ai_family == AF_INET)
				family = AF_INET;
	}
	for (const struct addrinfo *ai = list; ai && !err; ai = ai->ai_next) {
		struct sl_endpoint e = *like;
		bool known = false;

		e.family = ai->ai_family;
		memset(e.addr, 0, sizeof(e.addr));

		/* One family for AUTO: the system's preference (RFC 6724) is the first answer's. */
		if (wanted != CFG_DNS_ALL && ai->ai_family != family)
			continue;
		if (ai->ai_family == AF_INET)
			memcpy(e.addr, &((struct sockaddr_in *)ai->ai_addr)->sin_addr, 4);
		else if (ai->ai_family == AF_INET6)
			memcpy(e.addr, &((struct sockaddr_in6 *)ai->ai_addr)->sin6_addr, 16);
		else
			continue;
		for (__u32 i = first; i < r->n; i++)
			known |= !memcmp(&r->items[i], &e, sizeof(e));
		if (known)
			continue;
		if (r->n >= SL_MAX_ENDPOINTS) {
			*ret_full = true;
			break;
		}
		err = add(r, &e, h);
	}
	return err;
}

static int look_up(struct sl_walk *w, const struct cfg_cluster *c, const struct sl_node *host,
		   const struct sl_endpoint *like, const struct sl_host_config *h,
		   struct cfg_resolved *r)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
	struct addrinfo *list = NULL;
	bool full = false;
	int rc, err;

	if (c->dns_family.value == CFG_DNS_V4_ONLY)
		hints.ai_family = AF_INET;
	else if (c->dns_family.value == CFG_DNS_V6_ONLY)
		hints.ai_family = AF_INET6;
	rc = getaddrinfo(host->text, NULL, &hints, &list);
	if (rc == EAI_NONAME) {
		/* AI_ADDRCONFIG does not count loopback: where that is all there is, "localhost"
		 * would have no address. */
		hints.ai_flags = 0;
		rc = getaddrinfo(host->text, NULL, &hints, &list);
	}
	if (rc || !list) {
		sl_warning(w, host, "cannot resolve '%s' now: %s", host->text,
			   rc == EAI_SYSTEM ? strerror(errno) : gai_strerror(rc));
		return rc == EAI_MEMORY ? -ENOMEM : 0;
	}
	err = add_answers(r, list, c->dns_family.value, like, h, &full);
	if (full)
		sl_warning(w, host, "more than %u addresses; the rest is ignored",
			   SL_MAX_ENDPOINTS);
	freeaddrinfo(list);
	return err;
}

static int resolve_one(struct sl_walk *w, const struct cfg_cluster *c, const struct cfg_address *a,
		       const struct sl_host_config *h, const struct sl_config_flags *flags,
		       struct cfg_resolved *r)
{
	struct sl_endpoint e = {
		.port = a->socket.port.value,
		.flags = a->socket.netns_index << SL_ENDPOINT_NETNS_SHIFT,
	};

	if (!sl_parse_ip(a->socket.address->text, e.addr, &e.family))
		return add(r, &e, h);
	if (flags->no_dns)
		return 0;
	return look_up(w, c, a->socket.address, &e, h, r);
}

static struct sl_host_config host_config(const struct cfg_lb_endpoint *lb, __u32 priority)
{
	return (struct sl_host_config){
		.weight = lb->weight.node ? lb->weight.value : 1,
		.priority = priority,
		.unhealthy = lb->health.value >= CFG_HEALTH_UNHEALTHY,
	};
}

int sl_resolve(struct sl_walk *w, const struct cfg_cluster *c, const struct sl_config_flags *flags,
	       struct cfg_resolved *ret)
{
	const struct cfg_address *hosts = c->hosts.items;
	const struct sl_host_config plain = {.weight = 1};
	int err = 0;

	for (__u32 i = 0; i < c->hosts.n && !err; i++)
		err = resolve_one(w, c, &hosts[i], &plain, flags, ret);
	for (__u32 i = 0; i < c->assignment.endpoints.n; i++) {
		const struct cfg_locality *loc =
			&cfg_items(c->assignment.endpoints, struct cfg_locality)[i];
		const struct cfg_lb_endpoint *lb = loc->lb_endpoints.items;

		for (__u32 j = 0; j < loc->lb_endpoints.n && !err; j++) {
			struct sl_host_config h = host_config(&lb[j], loc->priority.value);

			err = resolve_one(w, c, &lb[j].endpoint.address, &h, flags, ret);
		}
	}
	return err;
}
