/* SPDX-License-Identifier: GPL-2.0-only */
/* The words that tables of keys (schema.h) are written in. For the files that hold such tables. */
#ifndef SL_KEY_TABLES_H
#define SL_KEY_TABLES_H

#include "config/limits_model.h"
#include "config/schema.h"

#define KEY(n, t, fl, st, field, ...)                                                      \
	{                                                                                  \
		.name = n, .type = SL_KEY_##t, .flags = fl, .offset = offsetof(st, field), \
		__VA_ARGS__                                                                \
	}
/* A time that 0 switches off. */
#define TIMEOUT(n, st, field) KEY(n, DURATION, 0, st, field, .max = SL_TIMEOUT_MAX_MS)
#define IGNORED(n)                                \
	{                                         \
		.name = n, .type = SL_KEY_IGNORED \
	}
#define WARN(n, text)                                        \
	{                                                    \
		.name = n, .type = SL_KEY_WARN, .note = text \
	}
#define END                  \
	{                    \
		.name = NULL \
	}

#define SCHEMA(id, type, text, ...)          \
	static const struct sl_schema id = { \
		.what = text, .size = sizeof(type), .keys = id##_keys, __VA_ARGS__}

/* Declared in a model's header, for the tables of other files. */
#define PUBLIC_SCHEMA(id, type, text, ...)        \
	const struct sl_schema sl_schema_##id = { \
		.what = text, .size = sizeof(type), .keys = id##_keys, __VA_ARGS__}

#define REQ SL_KEY_REQUIRED
#define FULL (SL_KEY_REQUIRED | SL_KEY_NONEMPTY)

#endif /* SL_KEY_TABLES_H */
