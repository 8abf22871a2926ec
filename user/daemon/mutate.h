/* SPDX-License-Identifier: GPL-2.0-only */
/* What routes and the HTTP connection manager do to heads. Order and meaning are Envoy's. */
#ifndef SL_DAEMON_MUTATE_H
#define SL_DAEMON_MUTATE_H

#include "daemon/address.h"
#include "daemon/internal.h"
#include "daemon/lines.h"

/* Where the values of new headers come from. */
struct values {
	struct worker *w;
	struct front *f;
	struct lines *out;	/* gets the text */
	struct lines *request;	/* NULL: not at hand */
	struct lines *response; /* NULL: there is none yet */
};

/* values.c: the value, in memory of v->out. */
struct text value_of(struct values *v, const struct sl_format *format);

/* mutate.c: the actions of the exchange's route; NULL: it has none, or no route. */
const struct sl_route_action *action_of(const struct worker *w, const struct front *f);
/* Those of the route configuration that its listener has; NULL: there are none. */
const struct sl_config_action *config_action_of(const struct worker *w, const struct front *f);
/* What is configured for the route, from the most specific outwards. */
void mutate_request(struct worker *w, struct front *f, struct lines *l);
void mutate_response(struct worker *w, struct front *f, struct lines *l);

/* Another try: the head in f->req says so, if it tells. */
void mutate_again(struct worker *w, struct front *f);
/* Before the head in f->req goes to another endpoint than it was made for: its Host, too. */
void mutate_endpoint(struct worker *w, struct front *f);

/*
 * route.c: cluster_header: the first value of @header names the cluster. NO_INDEX: none of that
 * name.
 */
__u32 route_named(struct worker *w, const char *header, const struct sl_head *h, const __u8 *buf);

/*
 * target.c: path and Host; @keep_old: with x-envoy-original-path and -host. 0, or the status to
 * answer.
 */
__u32 rewrite_target(struct worker *w, struct front *f, const struct sl_route_action *action,
		     bool keep_old, struct lines *l);
/* The name of @endpoint, by its hostname or DNS; NULL: it has none. */
const char *hostname_of(const struct worker *w, __u32 endpoint);
/* Host of @endpoint. A UNIX-domain socket's path is none: its name, else nginx's. */
void put_host(const struct worker *w, __u32 endpoint, struct lines *l);
/* The path (with query) that @r makes of @target, in memory of @l. False: it makes none. */
bool rewrite_path(const struct sl_rewrite *r, struct text target, struct lines *l,
		  struct text *ret);

/* rewrite.c: the lines of @h that are not for one hop alone; a request's method and target. */
void lines_of_head(struct lines *l, const struct sl_head *h, const __u8 *buf);

/* hops.c: one hop less, for who comes next. */
void hops_count(struct lines *l);
/* The request @h says how far it goes: if it is no further than here it is answered, and true. */
bool hops_end(struct worker *w, struct front *f, const struct sl_head *h, const __u8 *buf);

/* redirect.c: the Location of a redirect of the request @l, in memory of @l. */
struct text redirect_location(const struct sl_redirect *r, struct lines *l);

/* forwarded.c: the HTTP connection manager's headers. */
bool forwarded_any(const struct worker *w, const struct front *f);
/* :scheme of the request that forwarded_request() has seen. */
struct text forwarded_scheme(struct lines *request);
void forwarded_request(struct worker *w, struct front *f, struct lines *l);
void forwarded_response(struct worker *w, struct front *f, struct lines *l, bool local);

#endif /* SL_DAEMON_MUTATE_H */
