/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One request, followed through the real core step by step: what `sluice explain` knows. Every
 * verdict is the core's own function called on one route or one header rule, so that an
 * explanation cannot differ from what the data path does.
 */
#ifndef SL_EXPLAIN_H
#define SL_EXPLAIN_H

#include "config/compiled.h"
#include "config/matcher.h"
#include "sl_head.h"
#include "sl_reason.h"
#include "sl_table.h"

enum sl_verdict {
	SL_VERDICT_MATCH,
	SL_VERDICT_PATH,    /* the path does not fit */
	SL_VERDICT_CHANCE,  /* `rule`: not drawn by its runtime_fraction */
	SL_VERDICT_MISSING, /* `rule` needs a header, parameter or cookie that is not there */
	SL_VERDICT_VALUE,   /* `rule`: it has another value */
	SL_VERDICT_EQUAL,   /* `rule`, inverted: it has this value */
	SL_VERDICT_PRESENT, /* `rule`: it is there and must not be */
};

struct sl_why {
	enum sl_verdict verdict;
	__u32 route;
	__u32 rule; /* index into rules; not of MATCH and PATH */
};

enum sl_cohort_kind {
	SL_COHORT_NONE,	   /* the split is not sticky, or there is none */
	SL_COHORT_NOTHING, /* nothing to hash: shared out as in any split */
	SL_COHORT_COOKIE,  /* a cookie would be made: its value decides */
	SL_COHORT_FOUND,   /* hash and target */
};

#define SL_EXPLAIN_LISTED 100 /* routes that are told one by one */

struct sl_explain {
	const struct sl_compiled *config;
	struct sl_matcher *matcher; /* of its table */
	__u32 listener;
	__u64 draw;   /* for runtime_fraction */
	__u64 source; /* sl_hash_words() of the client's address */
	int family;   /* of that address: AF_INET, AF_INET6; 0: not known */
	__u8 addr[16];
	__u8 *buf; /* [SL_HEAD_MAX], the request's head; owned by the caller */
	__u32 len; /* bytes of it */
	enum sl_parse parse;
	struct sl_head head;
	const struct sl_head *seen; /* as routes are compared with it (sl_matcher_see()) */
	const __u8 *seen_buf;
	__u32 domain;	     /* index into domains; SL_NO_ROUTE: no virtual host */
	__u32 route;	     /* SL_NO_ROUTE: none matches */
	__u32 n_tried;	     /* routes that were tried, in order */
	__u32 n_other_paths; /* of these, those that another path is for: not in why[] when many */
	__u32 n_why;
	__u32 n_left_out; /* that would have a place in why[] */
	struct sl_why why[SL_EXPLAIN_LISTED];
	bool chance;	   /* a runtime_fraction had a say: another request may go elsewhere */
	bool unsure;	   /* the kernel could not tell the route */
	bool makes_cookie; /* a hash policy's cookie is missing, and has a ttl */
	enum sl_cohort_kind cohort;
	__u64 hash;   /* of the request, by the route's hash policies */
	__u32 target; /* of the split */
	__u32 named;  /* the cluster that cluster_header names; SL_NO_TARGET: none */
	__u32 agreed; /* of the split, by header_name; SL_NO_TARGET: the request has none */
	enum sl_reason reason; /* what the config and the head alone decide; NONE: kernel path */
};

/*
 * Fills @e from its config, matcher, listener, draw, source, family, addr, buf and len. 0, -ENOMEM,
 * or -EPROTO: the steps and the core's whole matcher do not agree (a bug).
 */
int sl_explain(struct sl_explain *e);

/* makes_cookie, cohort, hash, target, named and agreed of @e, whose route is known. */
void sl_explain_cohort(struct sl_explain *e);

/*
 * The user's place in the split @s, cohort FOUND: the least weight of target @i with which it has
 * the user, the others' being as they are. 0: no weight is enough.
 */
__u32 sl_explain_from_weight(const struct sl_explain *e, const struct sl_split *s, __u32 i);

/* "a.example", "*.example", "*": to be freed. NULL: out of memory. */
char *sl_explain_domain(const struct sl_explain *e);

/* Of the route: "split", "redirect", ... */
const char *sl_explain_action(const struct sl_explain *e);
/* What the daemon does with the requests of the route; NULL: there is none, or nothing special. */
const struct sl_route_action *sl_explain_route_action(const struct sl_explain *e);
/* The field of the config that makes the user path serve the request; NULL: none. */
const char *sl_explain_served_for(const struct sl_explain *e);
/* The route's own answer, if the kernel path gives it; else NULL. */
const struct sl_canned *sl_explain_canned(const struct sl_explain *e);
const char *sl_explain_reason_name(const struct sl_explain *e);
const char *sl_explain_reason_help(const struct sl_explain *e);
/* The clusters of a route as a split, whatever its action. 0 targets: sluice answers. */
struct sl_split sl_explain_targets(const struct sl_explain *e);
/*
 * @s as requests are shared out: without the clusters that have no healthy endpoint, as far as the
 * config tells, unless all are so.
 */
struct sl_split sl_explain_alive(const struct sl_explain *e, const struct sl_split *s);
/* The share of target @i, 0 to 1. */
double sl_explain_share(const struct sl_split *s, __u32 i);
/* The status that is answered without a backend; 0: a backend answers. */
__u32 sl_explain_own_status(const struct sl_explain *e);

/*
 * Prints to stdout. @path: the config's name; @line: on one line. 0 or -ENOMEM, -EIO.
 */
int sl_explain_text(const struct sl_explain *e, const char *path);
int sl_explain_json(const struct sl_explain *e, const char *path, bool line);

/* The verdict in words ("header 'x' is missing"); to be freed. NULL: out of memory. */
char *sl_explain_why(const struct sl_explain *e, const struct sl_why *why);

#define SL_ADDRESS_TEXT 64
/* Member @i of the config as the config has it: "1.2.3.4:80", "app.test:80", "/run/app.sock". */
#define SL_MEMBER_TEXT 280
void sl_explain_member(char dst[SL_MEMBER_TEXT], const struct sl_compiled *c, __u32 i);

#endif /* SL_EXPLAIN_H */
