/* SPDX-License-Identifier: GPL-2.0-only */
/* A config file -> what the maps and the daemon use. */
#ifndef SL_CONFIG_H
#define SL_CONFIG_H

#include "config/compiled.h"
#include "config/diag.h"

#define SL_DIRECT_BODY_DEFAULT 4096 /* bytes; Envoy's limit where the config has none */
#define SL_DIRECT_BODY_MAX 61440    /* it fits a buffer with its head */

struct sl_config_flags {
	__u32 generation; /* for sl_table.generation; 0: 1 */
};

/*
 * Reads the file @path. @flags NULL: defaults.
 * 0: *ret is the caller's (sl_compiled_free()); @ret_diags can hold warnings.
 * -EINVAL: the config is wrong; @ret_diags says why. Other -errno: the file cannot be read,
 * no memory, or (-EPROTO) the compiler's own check failed, a bug; @ret_diags says so.
 * In every case @ret_diags (need not be initialised) is the caller's: sl_diag_free().
 * Names are not looked up: that is user/dns's.
 */
int sl_config_load(const char *path, const struct sl_config_flags *flags,
		   struct sl_diag_list *ret_diags, struct sl_compiled **ret);

/* The same with the text in memory; @name stands for the file's name in messages. */
int sl_config_parse(const char *name, const char *text, size_t len,
		    const struct sl_config_flags *flags, struct sl_diag_list *ret_diags,
		    struct sl_compiled **ret);

void sl_compiled_free(struct sl_compiled *c);

/*
 * Proves every index, span and enum of @c's table and arrays in range. 0 or -EINVAL
 * with what is wrong in @ret_why (a literal; NULL: not wanted).
 */
int sl_compiled_check(const struct sl_compiled *c, const char **ret_why);

/* The same for the table alone, whose clusters and splits are only counted. */
int sl_table_check(const struct sl_table *t, const char **ret_why);

#endif /* SL_CONFIG_H */
