/* SPDX-License-Identifier: GPL-2.0-only */
/* For programs that test one thing on an instance of their own: results, and the instance's maps.
 */
#ifndef INSTANCE_TEST_H
#define INSTANCE_TEST_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "kernel/loader.h"
#include "kernel/maps.h"
#include "kernel/mounts.h"

static int passed, failed;
static struct sl_maps maps;
static struct sl_loader *loader;

static void check(bool ok, const char *name)
{
	if (ok)
		passed++;
	else
		failed++;
	printf("%s %s\n", ok ? "ok  " : "FAIL", name);
}

static void die(const char *what, const char *why)
{
	printf("FAIL %s: %s\n%d passed, %d failed\n", what, why, passed, failed + 1);
	exit(1);
}

/* Loads instance @instance, with an empty table. */
static void instance_load(const char *instance)
{
	static struct sl_table table;
	struct sl_compiled compiled = {.table = &table, .options = {.kernel_path = true}};
	struct sl_load_error err = {""};

	if (sl_bpffs_ensure() || sl_loader_clean(instance) ||
	    sl_loader_load(instance, &compiled, 1, &loader, &err) || sl_maps_open(&maps, instance))
		die("load", err.text);
}

static void instance_unload(void)
{
	if (maps.control)
		sl_maps_close(&maps);
	sl_loader_unload(loader);
}

#endif /* INSTANCE_TEST_H */
