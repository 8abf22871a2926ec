// SPDX-License-Identifier: GPL-2.0-only
/*
 * Names of STRICT_DNS and LOGICAL_DNS clusters, looked up again and again. When, is Envoy's
 * (strict_dns_cluster.cc, logical_dns_cluster.cc): by the TTL if that is to be respected, else each
 * dns_refresh_rate; after a failure as dns_failure_refresh_rate says.
 */
#include <stdio.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include "dns/batch.h"
#include "internal.h"

struct one {
	struct worker *w;
	__u32 index;
	__u32 cluster;
	__u64 due_ns;	  /* ~0: being asked for */
	__u32 backoff_ms; /* of the next failure; 0: the first */
};

struct names {
	struct io io;
	struct sl_dns *dns;
	__u64 dns_ns; /* c-ares wants to be called */
	__u64 due_ns; /* none of `all` is due before */
	__u32 n;
	struct one all[];
};

/* The daemon's config is its own. */
static struct sl_name *name_of(const struct one *o)
{
	return &((struct sl_compiled *)o->w->args->compiled)->names[o->index];
}

static __u32 chance(struct worker *w, __u32 n)
{
	w->random = sl_mix(w->random + 1);
	return n ? (w->random >> 32) % n : 0;
}

static bool has_failed(const struct sl_name *n)
{
	return n->status == SL_DNS_FAILED || (n->status == SL_DNS_NONE && n->rules.logical);
}

/* Envoy's JitteredExponentialBackOffStrategy. */
static __u32 failure_ms(struct one *o, const struct sl_dns_rules *r)
{
	__u32 most = o->backoff_ms ? o->backoff_ms : r->failure_ms;

	if (!r->failure_max_ms)
		return r->refresh_ms;
	o->backoff_ms = most < r->failure_max_ms / 2 ? most * 2 : r->failure_max_ms;
	return 1 + chance(o->w, most);
}

static __u64 next_ms(struct one *o, const struct sl_name *n)
{
	const struct sl_dns_rules *r = &n->rules;
	__u64 ms = r->refresh_ms;

	if (n->status == SL_DNS_UNKNOWN)
		return 0;
	if (has_failed(n))
		return failure_ms(o, r);
	o->backoff_ms = 0;
	if (n->status == SL_DNS_FOUND && r->respect_ttl && n->ttl_s)
		ms = n->ttl_s * 1000ULL;
	return ms + chance(o->w, r->jitter_ms + 1);
}

static void due_set(struct one *o)
{
	struct names *s = o->w->names;

	o->due_ns = name_of(o)->due_ns = o->w->now_ns + next_ms(o, name_of(o)) * NS_PER_MS;
	if (o->due_ns < s->due_ns)
		s->due_ns = o->due_ns;
}

static void tell(const struct one *o, const struct sl_name *n, bool failed_before)
{
	const char *cluster = o->w->maps->clusters[o->cluster].name;

	if (has_failed(n) && !failed_before)
		fprintf(stderr, "sluice: cluster '%.*s': cannot resolve '%s': %s; %s\n",
			SL_NAME_MAX, cluster, n->host,
			n->status == SL_DNS_NONE ? "it has no address" : n->why,
			n->n_addresses ? "what it had stays" : "it has no address yet");
	else if (!has_failed(n) && failed_before)
		fprintf(stderr, "sluice: cluster '%.*s': '%s' resolves again\n", SL_NAME_MAX,
			cluster, n->host);
}

static void on_answer(void *ctx, const struct sl_dns_answer *a)
{
	struct one *o = ctx;
	struct sl_name *n = name_of(o);
	bool failed = has_failed(n), changed = sl_name_answered(n, a);

	count_limit(o->w, has_failed(n) ? SL_COUNT_UPDATE_FAILURE : SL_COUNT_UPDATE_SUCCESS,
		    o->cluster);
	tell(o, n, failed);
	due_set(o);
	if (changed)
		endpoints_update(o->w, o->cluster);
}

static void ask(struct one *o)
{
	const struct sl_compiled *c = o->w->args->compiled;
	const struct sl_name *n = name_of(o);

	o->due_ns = ~0ULL;
	if (sl_dns_ask(o->w->names->dns, &c->resolvers[n->rules.resolver], n->host, n->rules.family,
		       on_answer, o))
		o->due_ns = o->w->now_ns + n->rules.refresh_ms * NS_PER_MS;
}

static void ask_due(struct worker *w, struct names *s)
{
	if (s->due_ns > w->now_ns)
		return;
	s->due_ns = ~0ULL;
	for (__u32 i = 0; i < s->n; i++) {
		if (s->all[i].due_ns <= w->now_ns)
			ask(&s->all[i]);
		if (s->all[i].due_ns < s->due_ns)
			s->due_ns = s->all[i].due_ns;
	}
	s->dns_ns = w->now_ns;
}

void names_event(struct worker *w)
{
	if (w->names)
		w->names->dns_ns = w->now_ns;
	names_tick(w);
}

void names_tick(struct worker *w)
{
	struct names *s = w->names;

	if (!s || w->draining)
		return;
	ask_due(w, s);
	if (s->dns_ns > w->now_ns)
		return;
	sl_dns_process(s->dns);
	s->dns_ns = w->now_ns + sl_dns_timeout_ms(s->dns, 1000) * NS_PER_MS;
}

__u64 names_due(const struct worker *w)
{
	const struct names *s = w->names;

	if (!s || w->draining)
		return ~0ULL;
	return s->due_ns < s->dns_ns ? s->due_ns : s->dns_ns;
}

static int start(struct worker *w, struct names *s)
{
	const struct sl_compiled *c = w->args->compiled;
	int rc = sl_dns_new(&s->dns);

	if (rc)
		return rc;
	s->io = (struct io){.fd = sl_dns_fd(s->dns), .kind = IO_DNS};
	s->n = c->n_names;
	s->due_ns = ~0ULL;
	for (__u32 i = 0; i < c->n_members; i++) {
		const struct sl_member *m = &c->members[i];

		if (m->name == SL_NO_NAME)
			continue;
		s->all[m->name] = (struct one){.w = w, .index = m->name, .cluster = m->cluster};
		s->all[m->name].due_ns = c->names[m->name].due_ns;
		if (!s->all[m->name].due_ns)
			due_set(&s->all[m->name]);
	}
	s->due_ns = w->now_ns;
	return io_add(w, &s->io, EPOLLIN);
}

int names_start(struct worker *w)
{
	__u32 n = w->args->compiled->n_names;
	int rc;

	names_stop(w);
	if (!n)
		return 0;
	w->names = calloc(1, sizeof(*w->names) + n * sizeof(w->names->all[0]));
	rc = w->names ? start(w, w->names) : -ENOMEM;
	if (rc)
		names_stop(w);
	return rc;
}

void names_stop(struct worker *w)
{
	if (!w->names)
		return;
	sl_dns_free(w->names->dns);
	free(w->names);
	w->names = NULL;
}

/* ---- from one config, or worker, to the next ---- */

static bool same_question(const struct sl_compiled *a, const struct sl_name *x,
			  const struct sl_compiled *b, const struct sl_name *y)
{
	return x->rules.family == y->rules.family && x->rules.logical == y->rules.logical &&
	       !strcmp(x->host, y->host) &&
	       sl_dns_resolver_equal(&a->resolvers[x->rules.resolver],
				     &b->resolvers[y->rules.resolver]);
}

int names_inherit(const struct sl_compiled *old, struct sl_compiled *c)
{
	int rc = 0;

	for (__u32 i = 0; i < c->n_names && !rc; i++) {
		struct sl_name *n = &c->names[i];
		__u32 k = 0;

		while (k < old->n_names && !same_question(old, &old->names[k], c, n))
			k++;
		if (k == old->n_names)
			continue;
		rc = sl_name_set(n, old->names[k].addresses, old->names[k].n_addresses);
		n->ttl_s = old->names[k].ttl_s;
		n->status = old->names[k].status;
		n->why = old->names[k].why;
		n->due_ns = old->names[k].due_ns;
	}
	return rc;
}

/* 1 + the member that endpoint @i is or comes from; 0: it is in no cluster. */
static __u32 member_of(const struct sl_maps *m, __u32 i, bool before)
{
	const struct sl_endpoint *e = &m->endpoints[i];

	if (before)
		return m->hosts[i].member_before;
	return e->family && !(e->flags & SL_ENDPOINT_DRAINING) ? m->hosts[i].member : 0;
}

/* Name @index has the addresses of the endpoints that came of it, in the order of the map. */
static int recover(struct sl_name *n, const struct sl_compiled *c, __u32 index,
		   const struct sl_maps *m, bool before, struct sl_dns_address *all)
{
	__u32 found = 0;

	for (__u32 i = 0; i < m->control->n_endpoints && i < SL_MAX_ENDPOINTS; i++) {
		const struct sl_endpoint *e = &m->endpoints[i];
		__u32 member = member_of(m, i, before) - 1;

		if (member >= c->n_members || c->members[member].name != index)
			continue;
		all[found].family = e->family;
		memcpy(all[found++].addr, e->addr, sizeof(all->addr));
	}
	n->status = SL_DNS_UNKNOWN;
	return sl_name_set(n, all, found);
}

int names_recover(struct sl_compiled *c, const struct sl_maps *m, bool before)
{
	struct sl_dns_address *all = calloc(SL_MAX_ENDPOINTS, sizeof(*all));
	int rc = all ? 0 : -ENOMEM;

	for (__u32 i = 0; i < c->n_names && !rc; i++)
		rc = recover(&c->names[i], c, i, m, before, all);
	free(all);
	return rc;
}

void names_note(const struct sl_maps *m)
{
	for (__u32 i = 0; i < SL_MAX_ENDPOINTS; i++)
		m->hosts[i].member_before = member_of(m, i, false);
}
