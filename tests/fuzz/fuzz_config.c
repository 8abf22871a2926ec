// SPDX-License-Identifier: GPL-2.0-only
/*
 * Any bytes as a config: no crash, and what loads is a table with every index in range, whose
 * routes can be looked up; what does not load says why, at a place within the text.
 */
#include <errno.h>
#include <stdlib.h>

#include "config/config.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static void check_places(const struct sl_diag_list *d, const unsigned char *data, size_t size)
{
	__u32 lines = 1;

	for (size_t i = 0; i < size; i++)
		lines += data[i] == '\n';
	for (__u32 i = 0; i < d->n; i++) {
		/* The end of the text can be told as the line after the last. */
		if (d->items[i].line > lines + 1 || !d->items[i].message[0])
			abort();
		if (d->items[i].line && !d->items[i].col)
			abort();
	}
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	struct sl_compiled *compiled = NULL;
	struct sl_diag_list diags;
	int err = sl_config_parse("fuzz", (const char *)data, size, NULL, &diags, &compiled);

	check_places(&diags, data, size);
	if (err == 0) {
		if (!compiled || diags.n_errors || sl_compiled_check(compiled, NULL) ||
		    sl_table_check(compiled->table, NULL))
			abort();
	} else if (err != -EINVAL || compiled || !diags.n_errors) {
		abort();
	}
	sl_diag_free(&diags);
	sl_compiled_free(compiled);
	return 0;
}
