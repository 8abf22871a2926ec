/* SPDX-License-Identifier: GPL-2.0-only */
/* The part of a config file as read (model.h) that says how names are looked up. */
#ifndef SL_DNS_MODEL_H
#define SL_DNS_MODEL_H

#include "config/dns.h"
#include "config/schema.h"

struct cfg_dns_options {
	const struct sl_node *node;
	struct cfg_u32 tcp;
	struct cfg_u32 no_search;
};

/* dns_resolution_config, or the typed config of c-ares. */
struct cfg_resolver {
	const struct sl_node *node;
	const struct sl_node *type_url;
	struct cfg_list resolvers; /* struct cfg_address */
	struct cfg_dns_options options;
	struct cfg_u32 timeout;
	struct cfg_u32 tries;
	struct cfg_u32 rotate;
};

struct cfg_typed_resolver {
	const struct sl_node *node;
	const struct sl_node *name;
	struct cfg_resolver config;
};

/* Of a cluster, or of the whole file; the first that is given counts. */
struct cfg_resolvers {
	struct cfg_typed_resolver typed;
	struct cfg_resolver plain;
	struct cfg_list list; /* dns_resolvers: struct cfg_address */
	struct cfg_u32 tcp;   /* use_tcp_for_dns_lookups */
};

struct cfg_refresh {
	const struct sl_node *node;
	struct cfg_u32 base;
	struct cfg_u32 max;
};

struct cfg_dns {
	struct cfg_u32 family;
	struct cfg_u32 refresh;
	struct cfg_u32 jitter;
	struct cfg_refresh failure;
	struct cfg_u32 respect_ttl;
	struct cfg_u32 wait;
	struct cfg_u32 ignore_health;
	struct cfg_resolvers resolvers;
};

extern const struct sl_schema sl_schema_refresh;
extern const struct sl_schema sl_schema_resolver;
extern const struct sl_schema sl_schema_typed_resolver;
extern const char *const sl_dns_families[];

#define DNS_RESOLVER_KEYS(type, field)                                  \
	KEY("typed_dns_resolver_config", MAP, 0, type, field.typed,     \
	    .sub = &sl_schema_typed_resolver),                          \
		KEY("dns_resolution_config", MAP, 0, type, field.plain, \
		    .sub = &sl_schema_resolver),                        \
		KEY("use_tcp_for_dns_lookups", BOOL, 0, type, field.tcp)

#define DNS_KEYS(type, field)                                                             \
	KEY("dns_lookup_family", ENUM, 0, type, field.family, .names = sl_dns_families,   \
	    .note = "AUTO, V4_ONLY, V6_ONLY, V4_PREFERRED or ALL"),                       \
		KEY("dns_refresh_rate", DURATION, 0, type, field.refresh, .min = 1,       \
		    .max = SL_TIMEOUT_MAX_MS),                                            \
		TIMEOUT("dns_jitter", type, field.jitter),                                \
		KEY("dns_failure_refresh_rate", MAP, 0, type, field.failure,              \
		    .sub = &sl_schema_refresh),                                           \
		KEY("respect_dns_ttl", BOOL, 0, type, field.respect_ttl),                 \
		KEY("wait_for_warm_on_init", BOOL, 0, type, field.wait),                  \
		KEY("ignore_health_on_host_removal", BOOL, 0, type, field.ignore_health), \
		KEY("dns_resolvers", LIST, 0, type, field.resolvers.list,                 \
		    .sub = &sl_schema_address),                                           \
		DNS_RESOLVER_KEYS(type, field.resolvers)

/* dns.c: errors and warnings go to w->diags. */
void sl_validate_resolvers(struct sl_walk *w, const struct cfg_resolvers *r);
void sl_validate_dns(struct sl_walk *w, const struct cfg_dns *d, bool names, bool checked);

/* The rules of a cluster with @d in a file with @root; resolvers go to @c. 0 or -ENOMEM. */
int sl_compile_dns(const struct cfg_dns *d, const struct cfg_resolvers *root, bool logical,
		   struct sl_compiled *c, struct sl_dns_rules *ret);

#endif /* SL_DNS_MODEL_H */
