/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Random routing tables and requests that come near to matching, and what a naive list of the
 * routes says about them: written from Envoy's documents, without a line of the matcher.
 */
#ifndef RANDOM_TABLE_H
#define RANDOM_TABLE_H

#include "sl_head.h"
#include "sl_table.h"

#define RT_ROUTES 400
#define RT_VHOSTS 8
#define RT_DOMAINS 40
#define RT_LINES 6

struct rt_rule {
	enum sl_rule_what what;
	enum sl_rule_kind kind;
	__u8 flags; /* SL_RULE_* */
	char name[16];
	char value[16];
	__s64 from, to; /* RANGE, FRACTION */
};

struct rt_route {
	enum sl_path_kind kind;
	bool folded;
	bool regex; /* the path is one of the regexes that the list knows */
	char path[48];
	__u32 n_rules;
	struct rt_rule rules[3];
};

struct rt_domain {
	char name[32]; /* with its star */
	__u32 vhost;
};

struct rt_table {
	__u32 n_vhosts;
	__u32 first[RT_VHOSTS + 1]; /* routes of vhost i: first[i] .. first[i + 1] - 1 */
	__u32 config_of[RT_VHOSTS];
	struct rt_route routes[RT_ROUTES];
	__u32 n_domains;
	struct rt_domain domains[RT_DOMAINS];
	bool ignore_port[2]; /* of the two route configurations; listener n has n % 2 */
};

struct rt_request {
	char host[48];
	char path[64];
	char query[48]; /* with its '?'; or empty */
	__u32 n_lines;
	char names[RT_LINES][16];
	char values[RT_LINES][40];
	__u64 draw;
	__u32 listener;
};

/* The next of a stream of numbers that *@state decides; 0 .. @n-1. */
__u32 rt_below(__u64 *state, __u32 n);

void rt_random_table(struct rt_table *rt, __u64 *state);
/* @t from @rt, with its index. Aborts without memory. */
void rt_build(const struct rt_table *rt, struct sl_table *t);

void rt_random_request(const struct rt_table *rt, struct rt_request *q, __u64 *state);
/* Its head's bytes into @buf (at least 1024). Their number. */
__u32 rt_head(const struct rt_request *q, char *buf);

/* Index of the first route in file order that takes it; ~0U: none. */
__u32 rt_naive(const struct rt_table *rt, const struct rt_request *q);

#endif /* RANDOM_TABLE_H */
