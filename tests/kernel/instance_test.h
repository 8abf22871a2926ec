/* SPDX-License-Identifier: GPL-2.0-only */
/* For programs that test one thing on an instance of their own: its maps. */
#ifndef INSTANCE_TEST_H
#define INSTANCE_TEST_H

#include "kernel/loader.h"
#include "kernel/maps.h"
#include "kernel/mounts.h"
#include "outcome.h"

static struct sl_maps maps;
static struct sl_loader *loader;

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
