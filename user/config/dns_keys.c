// SPDX-License-Identifier: GPL-2.0-only
/* Envoy's messages about DNS, as tables (schema.h). */
#include <string.h>

#include "config/envoy_keys.h"
#include "config/key_tables.h"
#include "config/model.h"

const char *const sl_dns_families[] = {"AUTO", "V4_ONLY", "V6_ONLY", "V4_PREFERRED", "ALL", NULL};

static const struct sl_key refresh_keys[] = {
	KEY("base_interval", DURATION, REQ, struct cfg_refresh, base, .min = 1,
	    .max = SL_TIMEOUT_MAX_MS),
	KEY("max_interval", DURATION, 0, struct cfg_refresh, max, .min = 1,
	    .max = SL_TIMEOUT_MAX_MS),
	END,
};
PUBLIC_SCHEMA(refresh, struct cfg_refresh, "dns_failure_refresh_rate");

static const struct sl_key dns_options_keys[] = {
	KEY("use_tcp_for_dns_lookups", BOOL, 0, struct cfg_dns_options, tcp),
	KEY("no_default_search_domain", BOOL, 0, struct cfg_dns_options, no_search),
	END,
};
SCHEMA(dns_options, struct cfg_dns_options, "dns_resolver_options");

static const struct sl_key resolver_keys[] = {
	KEY("resolvers", LIST, FULL, struct cfg_resolver, resolvers, .sub = &sl_schema_address),
	KEY("dns_resolver_options", MAP, 0, struct cfg_resolver, options, .sub = &dns_options),
	END,
};
PUBLIC_SCHEMA(resolver, struct cfg_resolver, "dns_resolution_config");

static const char cares_type[] = "type.googleapis.com/envoy.extensions.network.dns_resolver.cares."
				 "v3.CaresDnsResolverConfig";

static void cares_done(struct sl_walk *w, void *dst)
{
	const struct cfg_resolver *r = dst;

	if (r->type_url && strcmp(r->type_url->text, cares_type))
		sl_error(w, r->type_url, "'%.128s' is not supported yet; only '%s' is",
			 r->type_url->text, cares_type);
}

/* google.protobuf.UInt32Value and UInt64Value are plain numbers in YAML. */
static const struct sl_key cares_keys[] = {
	KEY("@type", STRING, REQ, struct cfg_resolver, type_url),
	KEY("resolvers", LIST, 0, struct cfg_resolver, resolvers, .sub = &sl_schema_address),
	KEY("dns_resolver_options", MAP, 0, struct cfg_resolver, options, .sub = &dns_options),
	KEY("query_timeout_seconds", U32, 0, struct cfg_resolver, timeout, .min = 1, .max = 3600),
	KEY("query_tries", U32, 0, struct cfg_resolver, tries, .min = 1, .max = 100),
	KEY("rotate_nameservers", BOOL, 0, struct cfg_resolver, rotate),
	WARN("udp_max_queries", "a UDP socket may be asked any number of questions; ignored"),
	END,
};
SCHEMA(cares, struct cfg_resolver, "c-ares resolver", .unsupported = sl_no_cares,
       .done = cares_done);

static const struct sl_key typed_resolver_keys[] = {
	KEY("name", STRING, FULL, struct cfg_typed_resolver, name),
	KEY("typed_config", MAP, REQ, struct cfg_typed_resolver, config, .sub = &cares),
	END,
};
PUBLIC_SCHEMA(typed_resolver, struct cfg_typed_resolver, "typed_dns_resolver_config");
