// SPDX-License-Identifier: GPL-2.0-only
#include "dns/batch.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static bool same_addresses(const struct sl_name *name, const struct sl_dns_address *old, __u32 n)
{
	/* Of LOGICAL_DNS the first one counts. */
	if (name->rules.logical && n && name->n_addresses)
		return !memcmp(old, name->addresses, sizeof(*old));
	return n == name->n_addresses && !memcmp(old, name->addresses, n * sizeof(*old));
}

/* What is found, and of a family that has failed what there was. */
static int take(struct sl_name *name, const struct sl_dns_answer *a)
{
	struct sl_dns_address *all = calloc(a->n + name->n_addresses + 1, sizeof(*all));
	__u32 n = a->n;
	int err;

	if (!all)
		return -ENOMEM;
	if (n)
		memcpy(all, a->addresses, n * sizeof(*all));
	for (__u32 i = 0; i < name->n_addresses; i++)
		if (name->addresses[i].family == a->failed_family)
			all[n++] = name->addresses[i];
	err = sl_name_set(name, all, n);
	free(all);
	return err;
}

bool sl_name_answered(struct sl_name *name, const struct sl_dns_answer *a)
{
	struct sl_dns_address *old;
	__u32 n = name->n_addresses;
	bool changed;

	name->status = a->status;
	name->why = a->why;
	if (a->status == SL_DNS_FAILED || (a->status == SL_DNS_NONE && name->rules.logical))
		return false;
	name->ttl_s = a->ttl_s;
	old = malloc((n + 1) * sizeof(*old));
	if (!old)
		return false;
	if (n)
		memcpy(old, name->addresses, n * sizeof(*old));
	changed = !take(name, a) && !same_addresses(name, old, n);
	free(old);
	return changed;
}

static void on_answer(void *ctx, const struct sl_dns_answer *a)
{
	struct sl_batch_name *n = ctx;

	(void)sl_name_answered(&n->batch->c->names[n->name], a);
	n->batch->left--;
}

int sl_batch_new(struct sl_compiled *c, struct sl_batch **ret)
{
	struct sl_batch *b = calloc(1, sizeof(*b) + c->n_names * sizeof(b->names[0]));
	int err = b ? sl_dns_new(&b->dns) : -ENOMEM;

	if (err) {
		free(b);
		return err;
	}
	b->c = c;
	for (__u32 i = 0; i < c->n_names && !err; i++) {
		const struct sl_name *n = &c->names[i];

		if (n->status != SL_DNS_UNKNOWN || n->rules.no_wait)
			continue;
		b->names[i] = (struct sl_batch_name){b, i};
		b->left++;
		err = sl_dns_ask(b->dns, &c->resolvers[n->rules.resolver], n->host, n->rules.family,
				 on_answer, &b->names[i]);
	}
	if (err) {
		sl_batch_free(b);
		return err;
	}
	*ret = b;
	return 0;
}

void sl_batch_free(struct sl_batch *b)
{
	if (!b)
		return;
	sl_dns_free(b->dns);
	free(b);
}

static __u64 now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000ull + ts.tv_nsec / 1000000;
}

int sl_names_first(struct sl_compiled *c)
{
	__u64 until = now_ms() + SL_DNS_FIRST_MS, now;
	struct sl_batch *b;
	int err;

	if (!c->n_names)
		return 0;
	err = sl_batch_new(c, &b);
	if (err)
		return err;
	while (b->left && (now = now_ms()) < until) {
		struct pollfd p = {.fd = sl_dns_fd(b->dns), .events = POLLIN};

		(void)poll(&p, 1, sl_dns_timeout_ms(b->dns, until - now));
		sl_dns_process(b->dns);
	}
	sl_batch_free(b);
	(void)sl_members_place(c);
	return 0;
}

void sl_names_warn(const struct sl_compiled *c, FILE *f, const char *prefix)
{
	for (__u32 i = 0; i < c->n_names; i++) {
		const struct sl_name *n = &c->names[i];

		if (n->n_addresses || n->rules.no_wait)
			continue;
		fprintf(f, "%swarning: cannot resolve '%s' now: %s\n", prefix, n->host,
			n->status == SL_DNS_UNKNOWN ? "no answer yet"
			: n->status == SL_DNS_NONE  ? "it has no address"
						    : n->why);
	}
}
