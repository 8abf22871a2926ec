// SPDX-License-Identifier: GPL-2.0-only
/* Rules across keys: listeners and clusters. Routes: validate_routes.c. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "config/model.h"
#include "sl_lb.h"

/* Names are shown by commands and used on their command line. */
static void check_name(struct sl_walk *w, const struct sl_node *name, const char *what)
{
	for (__u32 i = 0; name && i < name->len; i++) {
		if ((unsigned char)name->text[i] < 0x20 || name->text[i] == 0x7f) {
			sl_error(w, name, "control character in the name of a %s", what);
			return;
		}
	}
	if (name && name->len >= SL_NAME_MAX)
		sl_warning(w, name, "commands show and take only the first %u bytes of this name",
			   SL_NAME_MAX - 1);
}

int sl_parse_ip(const char *s, __u8 addr[16], __u8 *ret_family)
{
	memset(addr, 0, 16);
	if (inet_pton(AF_INET, s, addr) == 1)
		*ret_family = AF_INET;
	else if (inet_pton(AF_INET6, s, addr) == 1)
		*ret_family = AF_INET6;
	else
		return -EINVAL;
	return 0;
}

/* ---- listeners ---- */

static bool is_zero(const __u8 *p, size_t n)
{
	while (n--)
		if (*p++)
			return false;
	return true;
}

static bool overlap(const struct sl_listener *a, const struct sl_listener *b)
{
	return a->port == b->port && a->family == b->family && a->netns == b->netns &&
	       (a->wildcard || b->wildcard || !memcmp(a->addr, b->addr, sizeof(a->addr)));
}

static void check_listener_address(struct sl_walk *w, struct cfg_root *root, __u32 index)
{
	struct cfg_listener *all = cfg_items(root->resources.listeners, struct cfg_listener);
	struct cfg_listener *l = &all[index];
	const struct cfg_socket_address *sa = &l->address.socket;
	struct sl_listener *out;

	if (l->address.pipe.node)
		sl_error(w, l->address.pipe.node,
			 "a listener on a UNIX-domain socket is not supported yet");
	if (!sa->address || !sa->port.value)
		return;
	out = sl_arena_alloc(w->arena, sizeof(*out));
	if (!out) {
		w->err = -ENOMEM;
		return;
	}
	if (sl_parse_ip(sa->address->text, out->addr, &out->family)) {
		sl_error(w, sa->address, "a listener's address must be an IP address, not '%.64s'",
			 sa->address->text);
		return;
	}
	out->port = sa->port.value;
	out->wildcard = is_zero(out->addr, sizeof(out->addr));
	out->line = l->node->line;
	out->netns = sa->netns_index;
	out->attach = l->sluice.attach.value;
	out->l4 = l->sluice.l4.value;
	l->out = out;
	for (__u32 i = 0; i < index; i++) {
		if (!all[i].out || !overlap(all[i].out, out))
			continue;
		sl_error(w, sa->address, "two listeners on %s port %u; first defined at line %u",
			 sa->address->text, out->port, all[i].address.socket.address->line);
		break;
	}
}

const struct cfg_hcm *sl_listener_hcm(const struct cfg_listener *l)
{
	const struct cfg_filter_chain *c = cfg_items(l->chains, struct cfg_filter_chain);
	const struct cfg_filter *f = l->chains.n ? cfg_items(c->filters, struct cfg_filter) : NULL;

	return f && c->filters.n ? f->hcm : NULL;
}

static struct cfg_route_config *routes_of(const struct cfg_listener *l)
{
	struct cfg_hcm *hcm = (struct cfg_hcm *)sl_listener_hcm(l);

	return hcm && hcm->routes.node ? &hcm->routes : NULL;
}

static bool suppresses(const struct cfg_hcm *hcm)
{
	const struct cfg_http_filter *filter = hcm->http_filters.items;

	return hcm->http_filters.n && filter->suppress_envoy_headers;
}

/* The same routes, and the same headers that go with them. */
static bool same_routes(const struct cfg_route_config *rc, const struct cfg_hcm *hcm)
{
	return sl_node_equal(rc->node, hcm->routes.node) &&
	       sl_same_forwarded(&rc->hcm->forwarded, &hcm->forwarded) &&
	       sl_normal_flags(&rc->hcm->normal) == sl_normal_flags(&hcm->normal) &&
	       suppresses(rc->hcm) == suppresses(hcm);
}

/* The listener's route configuration: that of an earlier one if they are the same. */
static void find_routes(struct cfg_root *root, struct cfg_listener *l)
{
	struct cfg_route_config *rc = routes_of(l);
	__u32 i = 0;

	if (!rc)
		return;
	while (i < root->n_configs && !same_routes(root->configs[i], sl_listener_hcm(l)))
		i++;
	if (i == root->n_configs) {
		rc->hcm = sl_listener_hcm(l);
		rc->listener = l->name && l->name->len ? l->name->text : NULL;
		root->configs[root->n_configs++] = rc;
	}
	l->config = i;
}

static void check_listeners(struct sl_walk *w, struct cfg_root *root)
{
	struct cfg_list *list = &root->resources.listeners;
	struct cfg_listener *all = list->items;

	for (__u32 i = 0; i < list->n; i++) {
		if (i == SL_MAX_LISTENERS) {
			sl_error(w, all[i].node,
				 "too many listeners; the limit is %u (SL_MAX_LISTENERS)",
				 SL_MAX_LISTENERS);
			return;
		}
		check_name(w, all[i].name, "listener");
		for (__u32 j = 0; all[i].name && j < i; j++) {
			if (!all[j].name || strcmp(all[i].name->text, all[j].name->text))
				continue;
			sl_error(w, all[i].name,
				 "duplicate listener '%.64s'; first defined at line %u",
				 all[i].name->text, all[j].name->line);
			break;
		}
		check_listener_address(w, root, i);
		find_routes(root, &all[i]);
		sl_validate_buffer_limit(w, &all[i].buffer_limit);
		if (sl_listener_hcm(&all[i])) {
			sl_validate_hcm_limits(w, &sl_listener_hcm(&all[i])->limits);
			sl_validate_forwarded(w, &sl_listener_hcm(&all[i])->forwarded);
			sl_validate_normal(w, &sl_listener_hcm(&all[i])->normal);
		}
	}
}

/* ---- clusters ---- */

static void check_pipe(struct sl_walk *w, const struct cfg_cluster *c, const struct cfg_pipe *p)
{
	if (c->type.value == CFG_STRICT_DNS || c->type.value == CFG_LOGICAL_DNS)
		sl_error(w, p->node, "a pipe has no name to look up; it needs 'type: STATIC'");
	if (p->path->len >= SL_PIPE_MAX)
		sl_error(w, p->path, "the path of a UNIX-domain socket is longer than %u bytes",
			 SL_PIPE_MAX - 1);
	if (p->path->text[0] == '@' && !p->path->text[1])
		sl_error(w, p->path, "an abstract socket needs a name behind its '@'");
}

static void check_endpoint(struct sl_walk *w, const struct cfg_cluster *c,
			   const struct cfg_address *a, __u32 *n_endpoints)
{
	const struct sl_node *host = a->socket.address;
	__u8 addr[16], family;

	if (!host && !a->pipe.path)
		return;
	if ((*n_endpoints)++ == SL_MAX_ENDPOINTS)
		sl_error(w, a->node, "too many endpoints; the limit is %u (SL_MAX_ENDPOINTS)",
			 SL_MAX_ENDPOINTS);
	if (a->pipe.path) {
		check_pipe(w, c, &a->pipe);
		return;
	}
	if (!sl_parse_ip(host->text, addr, &family)) {
		if (is_zero(addr, sizeof(addr)))
			sl_error(w, host, "'%s' is no address to connect to", host->text);
	} else if (c->type.value == CFG_STATIC) {
		sl_error(w, host,
			 "a STATIC cluster needs IP addresses, not '%.64s'; for names use "
			 "'type: STRICT_DNS'",
			 host->text);
	} else if (host->len > 253) {
		sl_error(w, host, "host name longer than 253 bytes");
	}
}

static void check_endpoints(struct sl_walk *w, const struct cfg_cluster *c, __u32 *n_endpoints)
{
	const struct cfg_address *hosts = c->hosts.items;
	__u32 before = *n_endpoints;
	bool names;

	for (__u32 i = 0; i < c->hosts.n; i++)
		check_endpoint(w, c, &hosts[i], n_endpoints);
	for (__u32 i = 0; i < c->assignment.endpoints.n; i++) {
		const struct cfg_locality *loc =
			&cfg_items(c->assignment.endpoints, struct cfg_locality)[i];

		for (__u32 j = 0; j < loc->lb_endpoints.n; j++) {
			const struct cfg_endpoint *e =
				&cfg_items(loc->lb_endpoints, struct cfg_lb_endpoint)[j].endpoint;

			check_endpoint(w, c, &e->address, n_endpoints);
			sl_validate_rewrite(w, &(struct cfg_rewrite){.host = e->hostname}, NULL);
		}
	}
	if (c->type.value == CFG_LOGICAL_DNS && *n_endpoints != before + 1)
		sl_error(w, c->node, "a LOGICAL_DNS cluster has one endpoint, not %u",
			 *n_endpoints - before);
	names = c->type.value == CFG_STRICT_DNS || c->type.value == CFG_LOGICAL_DNS;
	sl_validate_dns(w, &c->dns, names, c->balance.checks.n);
	if (*n_endpoints == before && (c->hosts.node || c->assignment.node))
		sl_warning(w, c->node, "cluster without endpoints; its requests are answered 503");
}

static void check_tables(struct sl_walk *w, const struct cfg_cluster *c, __u64 *slots)
{
	__u64 before = *slots;

	*slots += sl_balance_slots(&c->balance);
	if (before <= SL_LB_SLOTS && *slots > SL_LB_SLOTS)
		sl_error(w, c->balance.policy.node,
			 "too many and too large tables of RING_HASH and MAGLEV clusters; the "
			 "limit is %u slots (SL_LB_SLOTS)",
			 SL_LB_SLOTS);
}

static void check_cluster(struct sl_walk *w, const struct cfg_cluster *all, __u32 index,
			  __u32 *n_endpoints)
{
	const struct cfg_cluster *c = &all[index];

	check_name(w, c->name, "cluster");
	for (__u32 i = 0; c->name && i < index; i++) {
		/* As commands compare them: cut. */
		if (!all[i].name || strncmp(all[i].name->text, c->name->text, SL_NAME_MAX - 1))
			continue;
		sl_error(w, c->name, "duplicate cluster '%.64s'; first defined at line %u",
			 c->name->text, all[i].name->line);
		break;
	}
	sl_validate_cluster_limits(w, &c->limits);
	sl_validate_balance(w, &c->balance);
	sl_validate_buffer_limit(w, &c->buffer_limit);
	check_endpoints(w, c, n_endpoints);
}

void sl_validate(struct sl_walk *w, struct cfg_root *root)
{
	const struct cfg_list *clusters = &root->resources.clusters;
	const struct cfg_cluster *all = clusters->items;
	__u32 n_endpoints = 0;
	__u64 n_slots = 0;

	sl_validate_netns(w, root);
	sl_validate_resolvers(w, &root->resolvers);
	check_listeners(w, root);
	for (__u32 i = 0; i < clusters->n; i++) {
		if (i == SL_MAX_CLUSTERS) {
			sl_error(w, all[i].node,
				 "too many clusters; the limit is %u (SL_MAX_CLUSTERS)",
				 SL_MAX_CLUSTERS);
			break;
		}
		check_cluster(w, all, i, &n_endpoints);
		check_tables(w, &all[i], &n_slots);
	}
	if (!w->err)
		sl_validate_routes(w, root);
	sl_validate_attach(w, root);
}
