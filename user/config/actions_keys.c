// SPDX-License-Identifier: GPL-2.0-only
/* Tables of keys: changes of headers, rewrites and redirects. */
#include "config/actions_model.h"
#include "config/envoy_keys.h"
#include "config/key_tables.h"

/* ---- headers ---- */

static const struct sl_key header_value_keys[] = {
	KEY("key", STRING, FULL, struct cfg_header_value, key),
	KEY("value", STRING, 0, struct cfg_header_value, value),
	END,
};
SCHEMA(header_value, struct cfg_header_value, "header", .unsupported = sl_no_header_value);

static const char *const append_actions[] = {"APPEND_IF_EXISTS_OR_ADD", "ADD_IF_ABSENT",
					     "OVERWRITE_IF_EXISTS_OR_ADD", "OVERWRITE_IF_EXISTS",
					     NULL};

static void header_option_done(struct sl_walk *w, void *dst)
{
	const struct cfg_header_option *o = dst;

	/* As Envoy: the default action can stand beside the deprecated word for it. */
	if (o->append.node && o->action.node && o->action.value != SL_APPEND_OR_ADD)
		sl_error(w, o->action.node, "'append' and 'append_action' exclude each other");
}

static const struct sl_key header_option_keys[] = {
	KEY("header", MAP, REQ, struct cfg_header_option, header, .sub = &header_value),
	KEY("append", BOOL, 0, struct cfg_header_option, append),
	KEY("append_action", ENUM, 0, struct cfg_header_option, action, .names = append_actions,
	    .note = "APPEND_IF_EXISTS_OR_ADD, ADD_IF_ABSENT, OVERWRITE_IF_EXISTS_OR_ADD or "
		    "OVERWRITE_IF_EXISTS"),
	KEY("keep_empty_value", BOOL, 0, struct cfg_header_option, keep_empty),
	END,
};
const struct sl_schema sl_schema_header_option = {
	.what = "header to add",
	.size = sizeof(struct cfg_header_option),
	.keys = header_option_keys,
	.done = header_option_done,
};

/* ---- regular expressions ---- */

static const struct sl_key regex_rewrite_keys[] = {
	KEY("pattern", MAP, REQ, struct cfg_regex_rewrite, pattern, .sub = &sl_schema_regex),
	KEY("substitution", STRING, 0, struct cfg_regex_rewrite, substitution),
	END,
};
const struct sl_schema sl_schema_regex_rewrite = {
	.what = "regex rewrite",
	.size = sizeof(struct cfg_regex_rewrite),
	.keys = regex_rewrite_keys,
};

/* ---- redirects ---- */

static const char *const redirect_codes[] = {"MOVED_PERMANENTLY",  "FOUND",
					     "SEE_OTHER",	   "TEMPORARY_REDIRECT",
					     "PERMANENT_REDIRECT", NULL};

static const struct sl_key redirect_keys[] = {
	KEY("https_redirect", BOOL, 0, struct cfg_redirect, https),
	KEY("scheme_redirect", STRING, 0, struct cfg_redirect, scheme),
	KEY("host_redirect", STRING, 0, struct cfg_redirect, host),
	KEY("port_redirect", U32, 0, struct cfg_redirect, port, .max = 65535),
	KEY("path_redirect", STRING, 0, struct cfg_redirect, path),
	KEY("prefix_rewrite", STRING, 0, struct cfg_redirect, prefix),
	KEY("regex_rewrite", MAP, 0, struct cfg_redirect, regex, .sub = &sl_schema_regex_rewrite),
	KEY("response_code", ENUM, 0, struct cfg_redirect, code, .names = redirect_codes,
	    .note = "MOVED_PERMANENTLY, FOUND, SEE_OTHER, TEMPORARY_REDIRECT or "
		    "PERMANENT_REDIRECT"),
	KEY("strip_query", BOOL, 0, struct cfg_redirect, strip_query),
	END,
};
const struct sl_schema sl_schema_redirect = {
	.what = "redirect",
	.size = sizeof(struct cfg_redirect),
	.keys = redirect_keys,
	.unsupported = sl_no_redirect,
};

/* ---- internal addresses ---- */

static const struct sl_key cidr_keys[] = {
	KEY("address_prefix", STRING, FULL, struct cfg_cidr, prefix),
	KEY("prefix_len", U32, 0, struct cfg_cidr, len, .max = 128),
	END,
};
SCHEMA(cidr, struct cfg_cidr, "CIDR range");

static const struct sl_key internal_keys[] = {
	KEY("cidr_ranges", LIST, 0, struct cfg_internal, ranges, .sub = &cidr),
	IGNORED("unix_sockets"), /* clients come by TCP */
	END,
};
const struct sl_schema sl_schema_internal = {
	.what = "internal_address_config",
	.size = sizeof(struct cfg_internal),
	.keys = internal_keys,
};

const char *const sl_server_transformations[] = {"OVERWRITE", "APPEND_IF_ABSENT", "PASS_THROUGH",
						 NULL};
const char *const sl_slash_actions[] = {"KEEP_UNCHANGED",
					"REJECT_REQUEST",
					"UNESCAPE_AND_REDIRECT",
					"UNESCAPE_AND_FORWARD",
					"IMPLEMENTATION_SPECIFIC_DEFAULT",
					NULL};
const char *const sl_not_found_codes[] = {"SERVICE_UNAVAILABLE", "NOT_FOUND",
					  "INTERNAL_SERVER_ERROR", NULL};
