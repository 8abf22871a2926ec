// SPDX-License-Identifier: GPL-2.0-only
/* DirectResponseAction and what a body can be, as tables (schema.h). */
#include "config/choice.h"
#include "config/envoy_keys.h"
#include "config/key_tables.h"
#include "config/model.h"

static void body_done(struct sl_walk *w, void *dst)
{
	const struct cfg_body *b = dst;
	const struct sl_choice all[] = {{"inline_string", b->text},
					{"inline_bytes", b->bytes},
					{"filename", b->filename},
					{"environment_variable", b->variable}};

	sl_oneof(w, b->node, all, SL_N_CHOICES(all),
		 "missing 'inline_string', 'inline_bytes', 'filename' or "
		 "'environment_variable' in body");
}

static const struct sl_key body_keys[] = {
	KEY("inline_string", STRING, 0, struct cfg_body, text),
	KEY("inline_bytes", STRING, 0, struct cfg_body, bytes),
	KEY("filename", STRING, SL_KEY_NONEMPTY, struct cfg_body, filename),
	KEY("environment_variable", STRING, SL_KEY_NONEMPTY, struct cfg_body, variable),
	END,
};
SCHEMA(body, struct cfg_body, "body", .unsupported = sl_no_body, .done = body_done);

static void body_format_done(struct sl_walk *w, void *dst)
{
	const struct cfg_body_format *f = dst;
	const struct sl_choice all[] = {{"text_format", f->text},
					{"text_format_source", f->source.node},
					{"json_format", f->json}};

	sl_oneof(w, f->node, all, SL_N_CHOICES(all),
		 "missing 'text_format_source' or 'json_format' in body_format");
}

static const struct sl_key json_options_keys[] = {
	KEY("sort_properties", BOOL, 0, struct cfg_json_options, sort),
	END,
};
SCHEMA(json_options, struct cfg_json_options, "json_format_options");

static const struct sl_key body_format_keys[] = {
	KEY("text_format", STRING, 0, struct cfg_body_format, text),
	KEY("text_format_source", MAP, 0, struct cfg_body_format, source, .sub = &body),
	KEY("json_format", ANY, 0, struct cfg_body_format, json),
	KEY("json_format_options", MAP, 0, struct cfg_body_format, json_options,
	    .sub = &json_options),
	KEY("omit_empty_values", BOOL, 0, struct cfg_body_format, omit_empty),
	KEY("content_type", STRING, 0, struct cfg_body_format, content_type),
	END,
};
SCHEMA(body_format, struct cfg_body_format, "body_format", .unsupported = sl_no_body_format,
       .done = body_format_done);

static const struct sl_key direct_keys[] = {
	KEY("status", U32, REQ, struct cfg_direct, status, .min = 200, .max = 599),
	KEY("body", MAP, 0, struct cfg_direct, body, .sub = &body),
	KEY("body_format", MAP, 0, struct cfg_direct, format, .sub = &body_format),
	END,
};
PUBLIC_SCHEMA(direct, struct cfg_direct, "direct_response");
