// SPDX-License-Identifier: GPL-2.0-only
/* retry_policy and request_mirror_policies: tables of keys, rules, and what the daemon gets. */
#include <errno.h>
#include <string.h>
#include <stdio.h>

#include "config/actions_model.h"
#include "config/envoy_keys.h"
#include "config/key_tables.h"
#include "util/parse.h"
#include "util/suggest.h"

#define BACK_OFF_MS 25 /* base_interval; Envoy's default */
#define BACK_OFF_MAX 600000

/* ---- retry_policy ---- */

static const struct sl_key back_off_keys[] = {
	KEY("base_interval", DURATION, REQ, struct cfg_back_off, base, .min = 1,
	    .max = BACK_OFF_MAX),
	KEY("max_interval", DURATION, 0, struct cfg_back_off, max, .min = 1, .max = BACK_OFF_MAX),
	END,
};
SCHEMA(back_off, struct cfg_back_off, "retry_back_off");

static const char predicate_name[] = "envoy.retry_host_predicates.previous_hosts";
static const char *const predicate_types[] = {
	"type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate",
	"type.googleapis.com/envoy.config.retry.previous_hosts.v2.PreviousHostsPredicate",
};

static const struct sl_key predicate_type_keys[] = {
	KEY("@type", STRING, REQ, struct cfg_predicate_type, type_url),
	END,
};
SCHEMA(predicate_type, struct cfg_predicate_type, "previous hosts");

/* With a typed_config the type counts, and the name is free. */
static void predicate_done(struct sl_walk *w, void *dst)
{
	const struct cfg_predicate *p = dst;
	const struct sl_node *type = p->typed.type_url;

	if (type && strcmp(type->text, predicate_types[0]) &&
	    strcmp(type->text, predicate_types[1]))
		sl_error(w, type, "'%.128s' is not supported yet; only '%s' is", type->text,
			 predicate_types[0]);
	if (!type && !p->typed.node && p->name && strcmp(p->name->text, predicate_name))
		sl_error(w, p->name, "'%.64s' is not supported yet; only '%s' is", p->name->text,
			 predicate_name);
}

static const struct sl_key predicate_keys[] = {
	KEY("name", STRING, FULL, struct cfg_predicate, name),
	KEY("typed_config", MAP, 0, struct cfg_predicate, typed, .sub = &predicate_type),
	END,
};
SCHEMA(predicate, struct cfg_predicate, "retry host predicate", .done = predicate_done);

static const struct {
	const char *name;
	__u32 on;
} conditions[] = {
	{"5xx", SL_RETRY_5XX},
	{"gateway-error", SL_RETRY_GATEWAY_ERROR},
	{"reset", SL_RETRY_RESET},
	{"reset-before-request", SL_RETRY_RESET_BEFORE_REQUEST},
	{"connect-failure", SL_RETRY_CONNECT_FAILURE},
	{"envoy-ratelimited", SL_RETRY_RATE_LIMITED},
	{"retriable-4xx", SL_RETRY_RETRIABLE_4XX},
	{"retriable-status-codes", SL_RETRY_STATUS_CODES},
	{"retriable-headers", SL_RETRY_HEADERS},
	{"refused-stream", 0},		   /* HTTP/2's: never happens here */
	{"http3-post-connect-failure", 0}, /* HTTP/3's */
	{"cancelled", SL_RETRY_GRPC(1)},
	{"deadline-exceeded", SL_RETRY_GRPC(4)},
	{"resource-exhausted", SL_RETRY_GRPC(8)},
	{"internal", SL_RETRY_GRPC(13)},
	{"unavailable", SL_RETRY_GRPC(14)},
};

#define N_CONDITIONS (sizeof(conditions) / sizeof(conditions[0]))

static void parse_condition(struct sl_walk *w, struct cfg_retry *r, const char *word)
{
	struct sl_suggest g = {.word = word};

	for (size_t i = 0; i < N_CONDITIONS; i++) {
		if (!strcmp(conditions[i].name, word)) {
			r->conditions |= conditions[i].on;
			return;
		}
		sl_suggest_try(&g, conditions[i].name);
	}
	if (g.best)
		sl_error(w, r->retry_on,
			 "unknown condition '%.32s' in 'retry_on'; did you mean '%s'?", word,
			 g.best);
	else
		sl_error(w, r->retry_on, "unknown condition '%.32s' in 'retry_on'", word);
}

static void retry_done(struct sl_walk *w, void *dst)
{
	struct cfg_retry *r = dst;
	const struct sl_node *const *codes = r->codes.items;
	char word[64];

	for (const char *p = r->retry_on ? r->retry_on->text : ""; *p;) {
		size_t len = strcspn(p, ", \t");

		if (len) {
			snprintf(word, sizeof(word), "%.*s", (int)len, p);
			parse_condition(w, r, word);
		}
		p += len + (p[len] != '\0');
	}
	for (__u32 i = 0; i < r->codes.n; i++) {
		__u32 code;

		if (sl_parse_u32(codes[i]->text, 599, &code) || code < 100)
			sl_error(w, codes[i],
				 "a status is a whole number from 100 to 599, not "
				 "'%.32s'",
				 codes[i]->text);
	}
	if (r->codes.n > SL_RETRY_CODES_MAX)
		sl_error(w, codes[SL_RETRY_CODES_MAX],
			 "too many retriable_status_codes; the limit is %u", SL_RETRY_CODES_MAX);
	if (r->back_off.max.node && r->back_off.base.node &&
	    r->back_off.max.value < r->back_off.base.value)
		sl_error(w, r->back_off.max.node,
			 "'max_interval' must be greater than or equal to the base_interval");
}

static const struct sl_key retry_keys[] = {
	KEY("retry_on", STRING, 0, struct cfg_retry, retry_on),
	KEY("num_retries", U32, 0, struct cfg_retry, n, .max = 1000),
	KEY("per_try_timeout", DURATION, 0, struct cfg_retry, per_try, .max = SL_TIMEOUT_MAX_MS),
	TIMEOUT("per_try_idle_timeout", struct cfg_retry, per_try_idle),
	KEY("retry_host_predicate", LIST, 0, struct cfg_retry, predicates, .sub = &predicate),
	KEY("host_selection_retry_max_attempts", U32, 0, struct cfg_retry, host_tries, .max = 1000),
	KEY("retriable_status_codes", STRINGS, 0, struct cfg_retry, codes),
	KEY("retriable_headers", LIST, 0, struct cfg_retry, headers, .sub = &sl_schema_header),
	KEY("retriable_request_headers", LIST, 0, struct cfg_retry, request_headers,
	    .sub = &sl_schema_header),
	KEY("retry_back_off", MAP, 0, struct cfg_retry, back_off, .sub = &back_off),
	END,
};
const struct sl_schema sl_schema_retry = {
	.what = "retry_policy",
	.size = sizeof(struct cfg_retry),
	.keys = retry_keys,
	.unsupported = sl_no_retry,
	.done = retry_done,
};

struct sl_retry sl_retry_of(const struct cfg_retry *c)
{
	const struct sl_node *const *codes = c->codes.items;
	struct sl_retry r = {
		.on = c->conditions,
		.n = c->n.node ? c->n.value : 1,
		.per_try_ms = c->per_try.value,
		.per_try_idle_ms = c->per_try_idle.value,
		.other_hosts = c->predicates.n,
		.host_tries = c->host_tries.node ? c->host_tries.value : 1,
		.base_ms = c->back_off.base.node ? c->back_off.base.value : BACK_OFF_MS,
	};

	r.max_ms = c->back_off.max.node ? c->back_off.max.value : 10 * r.base_ms;
	for (__u32 i = 0; i < c->codes.n && i < SL_RETRY_CODES_MAX; i++) {
		__u32 code = 0;

		(void)sl_parse_u32(codes[i]->text, 599, &code);
		r.codes[r.n_codes++] = code;
	}
	return r;
}

/* ---- request_mirror_policies ---- */

/* As Envoy words it. */
static void mirror_done(struct sl_walk *w, void *dst)
{
	const struct cfg_mirror *m = dst;

	if (m->cluster && m->cluster_header)
		sl_error(w, m->cluster_header,
			 "Only one of cluster or cluster_header can be specified");
	else if (!m->cluster && !m->cluster_header && !w->unsure)
		sl_error(w, m->node,
			 "At least one of cluster or cluster_header need to be specified");
}

static const struct sl_key mirror_keys[] = {
	KEY("cluster", STRING, SL_KEY_NONEMPTY, struct cfg_mirror, cluster),
	KEY("cluster_header", STRING, SL_KEY_NONEMPTY, struct cfg_mirror, cluster_header),
	KEY("runtime_fraction", MAP, 0, struct cfg_mirror, fraction, .sub = &sl_schema_fraction),
	KEY("disable_shadow_host_suffix_append", BOOL, 0, struct cfg_mirror, plain_host),
	END,
};
const struct sl_schema sl_schema_mirror = {
	.what = "mirror policy",
	.size = sizeof(struct cfg_mirror),
	.keys = mirror_keys,
	.unsupported = sl_no_mirror,
	.done = mirror_done,
};

struct sl_mirror sl_mirror_of(const struct cfg_mirror *c)
{
	return (struct sl_mirror){
		.cluster = c->cluster_index,
		.numerator = c->fraction.node ? c->fraction.value.numerator.value : 1,
		.denominator = c->fraction.node ? sl_fraction_of(&c->fraction) : 1,
		.plain_host = c->plain_host.value,
	};
}
