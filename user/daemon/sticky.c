/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a request of the user path is hashed to, the user's cluster of a split, and the cookies that
 * are made for clients that have none. The hash and the choice are the core's, as in the kernel.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/socket.h>
#include "mutate.h"
#include "sl_cohort.h"
#include "sl_hash.h"
#include "config/hash_rewrite.h"

#define COOKIE_DIGITS 16

__u64 sticky_source(int fd)
{
	struct sockaddr_in6 a = {0};
	const struct sockaddr_in *v4 = (const void *)&a;
	socklen_t len = sizeof(a);
	__u64 word[2] = {0};

	if (getpeername(fd, (struct sockaddr *)&a, &len))
		return 0;
	if (a.sin6_family == AF_INET6) {
		memcpy(word, &a.sin6_addr, sizeof(word));
	} else {
		memcpy((char *)word + 10, "\xff\xff", 2);
		memcpy((char *)word + 12, &v4->sin_addr, 4);
	}
	return sl_hash_words(word[0], word[1]);
}

/* The value of a cookie that the request should have had, and its hash. */
static __u64 fresh_value(char text[COOKIE_DIGITS + 1])
{
	__u8 buf[SL_HEAD_BUF];
	__u64 value;

	if (getrandom(&value, sizeof(value), 0) != sizeof(value))
		value = clock_ns();
	snprintf(text, COOKIE_DIGITS + 1, "%016llx", (unsigned long long)value);
	memcpy(buf, text, COOKIE_DIGITS);
	return sl_hash_span(buf, 0, COOKIE_DIGITS, 0);
}

static const struct sl_hash_rule *rule_at(const struct sl_table *t, const struct sl_route *route,
					  __u32 i)
{
	return &t->hash_rules[(route->first_hash + i) & (SL_MAX_HASH_RULES - 1)];
}

/* "set-cookie: NAME=\"VALUE\"; ATTRIBUTES", a line for each bit of @wanted. */
static bool cookies_write(const struct sl_table *t, const struct sl_route *route, __u32 wanted,
			  const char *value, struct buffer *out)
{
	for (__u32 i = 0; i < SL_MAX_ROUTE_HASHES; i++) {
		const struct sl_hash_rule *r = rule_at(t, route, i);

		if (!(wanted & 1U << i))
			continue;
		if (!buffer_adds(out, "set-cookie: ") ||
		    !buffer_add(out, t->strings + r->name.off, r->name.len) ||
		    !buffer_adds(out, "=\"") || !buffer_adds(out, value) ||
		    !buffer_adds(out, "\"") ||
		    !buffer_add(out, t->strings + r->attributes.off, r->attributes.len) ||
		    !buffer_adds(out, "\r\n"))
			return false;
	}
	return true;
}

bool sticky_hash(struct worker *w, struct front *f, const struct sl_route *route, struct sl_head *h,
		 const __u8 *buf, __u64 *ret)
{
	struct sl_hasher x = {.t = w->table, .h = h, .buf = buf, .source = f->s->source_hash};
	char value[COOKIE_DIGITS + 1];
	struct sl_hash hash = {0};

	if (!route->n_hashes)
		return false;
	/* BPF has said it of those that have a slot. */
	if (f->slot == NO_SLOT && !f->s->source_hash)
		x.source = f->s->source_hash = sticky_source(f->io.fd);
	x.fresh = fresh_value(value);
	for (__u32 i = 0; i < route->n_hashes && i < SL_MAX_ROUTE_HASHES; i++) {
		const struct sl_hash_rule *r = rule_at(w->table, route, i);
		enum sl_hashed got;
		__u64 one;

		got = sl_hash_policy(&x, r, action_of(w, f), i, &one);
		if (sl_hash_add(&hash, r, i, got, one))
			break;
	}
	if (hash.generate && buffer_take(w, &f->cookies)) {
		f->cookies.pos = f->cookies.framed = f->cookies.end = 0;
		if (!cookies_write(w->table, route, hash.generate, value, &f->cookies))
			f->cookies.end = 0;
	}
	*ret = hash.value;
	return hash.found;
}

__u32 sticky_target(struct worker *w, const struct sl_split *split, __u64 hash)
{
	struct sl_cohort c = {.hash = hash, .target = SL_NO_TARGET};

	for (__u32 i = 0; i < split->n_targets && i < SL_MAX_SPLIT_TARGETS; i++) {
		const struct sl_split_target *t = &split->targets[i];

		if (t->cluster < SL_MAX_CLUSTERS)
			sl_cohort_offer(&c, i, t->weight, w->maps->clusters[t->cluster].name_hash);
	}
	return c.target;
}
