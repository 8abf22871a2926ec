/* SPDX-License-Identifier: GPL-2.0-only */
/* The part of a config file as read (model.h) that says what is done to requests and answers. */
#ifndef SL_ACTIONS_MODEL_H
#define SL_ACTIONS_MODEL_H

#include "config/actions.h"
#include "config/match_model.h"
#include "config/schema.h"

struct cfg_header_value {
	const struct sl_node *node;
	const struct sl_node *key;
	const struct sl_node *value;
};

/* HeaderValueOption */
struct cfg_header_option {
	const struct sl_node *node;
	struct cfg_header_value header;
	struct cfg_u32 append; /* deprecated */
	struct cfg_u32 action;
	struct cfg_u32 keep_empty;
};

/* request_headers_to_add and the other three, of whatever has them. */
struct cfg_header_changes {
	struct cfg_list request_add; /* struct cfg_header_option */
	struct cfg_list request_remove;
	struct cfg_list response_add;
	struct cfg_list response_remove;
};

/* RegexMatchAndSubstitute */
struct cfg_regex_rewrite {
	const struct sl_node *node;
	struct cfg_regex pattern;
	const struct sl_node *substitution;
};

/* Of a RouteAction. */
struct cfg_rewrite {
	const struct sl_node *prefix;
	struct cfg_regex_rewrite regex;
	const struct sl_node *path; /* path_rewrite, a format */
	struct cfg_path_policy policy;
	const struct sl_node *host;
	const struct sl_node *host_format;
	const struct sl_node *host_header;
	struct cfg_regex_rewrite host_regex;
	struct cfg_u32 auto_host;
	struct cfg_u32 forwarded_host;
};

struct cfg_redirect {
	const struct sl_node *node;
	struct cfg_u32 https;
	const struct sl_node *scheme;
	const struct sl_node *host;
	struct cfg_u32 port;
	const struct sl_node *path;
	const struct sl_node *prefix;
	struct cfg_regex_rewrite regex;
	struct cfg_u32 code;
	struct cfg_u32 strip_query;
};

struct cfg_back_off {
	const struct sl_node *node;
	struct cfg_u32 base;
	struct cfg_u32 max;
};

struct cfg_predicate_type {
	const struct sl_node *node;
	const struct sl_node *type_url;
};

/* RetryHostPredicate */
struct cfg_predicate {
	const struct sl_node *node;
	const struct sl_node *name;
	struct cfg_predicate_type typed;
};

struct cfg_retry {
	const struct sl_node *node;
	const struct sl_node *retry_on;
	struct cfg_u32 n;
	struct cfg_u32 per_try;
	struct cfg_u32 per_try_idle;
	struct cfg_list predicates; /* struct cfg_predicate: all of them previous_hosts */
	struct cfg_u32 host_tries;
	struct cfg_list codes;		 /* const struct sl_node * */
	struct cfg_list headers;	 /* struct cfg_rule */
	struct cfg_list request_headers; /* struct cfg_rule */
	struct cfg_back_off back_off;
	__u32 conditions; /* retry_on as SL_RETRY_* */
};

struct cfg_mirror {
	const struct sl_node *node;
	const struct sl_node *cluster;
	const struct sl_node *cluster_header;
	struct cfg_fraction fraction;
	struct cfg_u32 plain_host;
	__u32 cluster_index; /* validate */
};

/* What the HTTP connection manager makes of paths and hosts (util/normal.h). */
struct cfg_normal {
	struct cfg_u32 path;
	struct cfg_u32 merge;
	struct cfg_u32 slashes;
	struct cfg_u32 strip_port;
	struct cfg_u32 strip_own;
	struct cfg_u32 strip_dot;
};

struct cfg_cidr {
	const struct sl_node *node;
	const struct sl_node *prefix;
	struct cfg_u32 len;
};

struct cfg_internal {
	const struct sl_node *node;
	struct cfg_list ranges; /* struct cfg_cidr */
};

/* What the HTTP connection manager adds. */
struct cfg_forwarded {
	struct cfg_internal internal;
	struct cfg_u32 use_remote_address;
	struct cfg_u32 trusted_hops;
	struct cfg_u32 skip_xff_append;
	struct cfg_u32 forwarded_port;
	struct cfg_u32 generate_request_id;
	struct cfg_u32 preserve_request_id;
	struct cfg_u32 request_id_in_response;
	struct cfg_u32 server_header;
	const struct sl_node *server_name;
	const struct sl_node *via;
};

/* actions_keys.c */
extern const struct sl_schema sl_schema_header_option;
extern const struct sl_schema sl_schema_regex_rewrite;
extern const struct sl_schema sl_schema_redirect;
extern const struct sl_schema sl_schema_retry;
extern const struct sl_schema sl_schema_mirror;
extern const struct sl_schema sl_schema_internal;
extern const char *const sl_server_transformations[];
extern const char *const sl_slash_actions[];
extern const char *const sl_not_found_codes[];

/* Keys of the mappings that can have them. */
#define BUFFER_LIMIT_KEYS                                                                         \
	WARN("per_request_buffer_limit_bytes", "a request is kept for retries and mirrors up to " \
					       "a fixed size; ignored"),                          \
		WARN("request_body_buffer_limit",                                                 \
		     "a request is kept for retries and mirrors up to a fixed size; ignored")
#define HEADER_CHANGES_KEYS(st, field)                                                  \
	KEY("request_headers_to_add", LIST, 0, st, field.request_add,                   \
	    .sub = &sl_schema_header_option),                                           \
		KEY("request_headers_to_remove", STRINGS, 0, st, field.request_remove), \
		KEY("response_headers_to_add", LIST, 0, st, field.response_add,         \
		    .sub = &sl_schema_header_option),                                   \
		KEY("response_headers_to_remove", STRINGS, 0, st, field.response_remove)
#define REWRITE_KEYS(st, field)                                                                 \
	KEY("prefix_rewrite", STRING, 0, st, field.prefix),                                     \
		KEY("regex_rewrite", MAP, 0, st, field.regex, .sub = &sl_schema_regex_rewrite), \
		KEY("path_rewrite", STRING, 0, st, field.path),                                 \
		KEY("path_rewrite_policy", MAP, 0, st, field.policy,                            \
		    .sub = &sl_schema_rewrite_policy),                                          \
		KEY("host_rewrite_literal", STRING, 0, st, field.host),                         \
		KEY("host_rewrite", STRING, 0, st, field.host_format),                          \
		KEY("auto_host_rewrite", BOOL, 0, st, field.auto_host),                         \
		KEY("host_rewrite_header", STRING, 0, st, field.host_header),                   \
		KEY("auto_host_rewrite_header", STRING, 0, st, field.host_header),              \
		KEY("host_rewrite_path_regex", MAP, 0, st, field.host_regex,                    \
		    .sub = &sl_schema_regex_rewrite),                                           \
		KEY("append_x_forwarded_host", BOOL, 0, st, field.forwarded_host)
#define NORMAL_KEYS(st, field)                                                          \
	KEY("normalize_path", BOOL, 0, st, field.path),                                 \
		KEY("merge_slashes", BOOL, 0, st, field.merge),                         \
		KEY("path_with_escaped_slashes_action", ENUM, 0, st, field.slashes,     \
		    .names = sl_slash_actions,                                          \
		    .note = "KEEP_UNCHANGED, REJECT_REQUEST, UNESCAPE_AND_REDIRECT or " \
			    "UNESCAPE_AND_FORWARD"),                                    \
		KEY("strip_any_host_port", BOOL, 0, st, field.strip_port),              \
		KEY("strip_matching_host_port", BOOL, 0, st, field.strip_own),          \
		KEY("strip_trailing_host_dot", BOOL, 0, st, field.strip_dot)
#define FORWARDED_KEYS(st, field)                                                            \
	KEY("use_remote_address", BOOL, 0, st, field.use_remote_address),                    \
		KEY("xff_num_trusted_hops", U32, 0, st, field.trusted_hops, .max = 255),     \
		KEY("skip_xff_append", BOOL, 0, st, field.skip_xff_append),                  \
		KEY("append_x_forwarded_port", BOOL, 0, st, field.forwarded_port),           \
		KEY("generate_request_id", BOOL, 0, st, field.generate_request_id),          \
		KEY("preserve_external_request_id", BOOL, 0, st, field.preserve_request_id), \
		KEY("always_set_request_id_in_response", BOOL, 0, st,                        \
		    field.request_id_in_response),                                           \
		KEY("server_header_transformation", ENUM, 0, st, field.server_header,        \
		    .names = sl_server_transformations,                                      \
		    .note = "OVERWRITE, APPEND_IF_ABSENT or PASS_THROUGH"),                  \
		KEY("internal_address_config", MAP, 0, st, field.internal,                   \
		    .sub = &sl_schema_internal),                                             \
		KEY("server_name", STRING, 0, st, field.server_name),                        \
		KEY("via", STRING, 0, st, field.via)

/* retry.c: with the defaults for what is not given; but for the rules of headers. */
struct sl_retry sl_retry_of(const struct cfg_retry *c);
struct sl_mirror sl_mirror_of(const struct cfg_mirror *c);
/* 301, ... 308. */
__u32 sl_redirect_status(const struct cfg_redirect *r);

/* actions_check.c: rules across keys; errors go to w->diags. @what: "route". */
void sl_validate_header_changes(struct sl_walk *w, const struct cfg_header_changes *c);
void sl_validate_regex_rewrite(struct sl_walk *w, const struct cfg_regex_rewrite *r);
/* @match: of the route; of what is no route, NULL. */
void sl_validate_rewrite(struct sl_walk *w, const struct cfg_rewrite *r,
			 const struct cfg_match *match);
void sl_validate_body_format(struct sl_walk *w, const struct sl_node *text,
			     const struct sl_node *json, const struct sl_node *content_type);
/* vhost_header and internal_only_headers of a route configuration. */
void sl_validate_vhost_header(struct sl_walk *w, const struct sl_node *name);
void sl_validate_internal_only(struct sl_walk *w, const struct cfg_list *names);
/* @name can be NULL. */
void sl_validate_cluster_header(struct sl_walk *w, const struct sl_node *name);
void sl_validate_redirect(struct sl_walk *w, const struct cfg_redirect *r);
void sl_validate_forwarded(struct sl_walk *w, const struct cfg_forwarded *f);
/* SL_NORMAL_* (util/normal.h) */
__u32 sl_normal_flags(const struct cfg_normal *n);
void sl_validate_normal(struct sl_walk *w, const struct cfg_normal *n);
/* Does X-Forwarded-Proto of a client count, or is it overwritten? */
bool sl_proto_is_believed(const struct cfg_forwarded *f);
bool sl_same_forwarded(const struct cfg_forwarded *a, const struct cfg_forwarded *b);
/* A node of @f that is given, for the place of a message; NULL: none is. */
const struct sl_node *sl_forwarded_node(const struct cfg_forwarded *f);

/* format.c: parts that @value can make, at most. */
__u32 sl_format_parts(const struct sl_node *value);
/* ... and adds them to @ret, which has room for them. As sl_format_compile(). */
int sl_format_add(struct sl_walk *w, const struct sl_node *value, enum sl_format_use use,
		  struct sl_arena *arena, struct sl_format *ret);
/* format_json.c: of a json_format, its keys in the file's order or sorted; likewise. */
int sl_format_json(struct sl_walk *w, const struct sl_node *value, bool sort,
		   struct sl_arena *arena, struct sl_format *ret);

/* format.c: the text of a header's value. 0, -EINVAL with the error in w->diags, or -ENOMEM. */
int sl_format_compile(struct sl_walk *w, const struct sl_node *value, enum sl_format_use use,
		      struct sl_arena *arena, struct sl_format *ret);
void sl_validate_format(struct sl_walk *w, const struct sl_node *value, enum sl_format_use use);

#endif /* SL_ACTIONS_MODEL_H */
