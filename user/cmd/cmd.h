/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The subcommands: each is int fn(argc, argv) with argv[0] "sluice NAME", prints what it has
 * to say, and returns the exit status of the process.
 */
#ifndef SL_CMD_H
#define SL_CMD_H

#include "kernel/maps.h"

enum sl_exit {
	SL_EXIT_DONE = 0,
	SL_EXIT_REFUSED = 1, /* refused or found wrong; the message says why */
	SL_EXIT_USAGE = 2,
	SL_EXIT_SYSTEM = 3, /* the kernel or the system said no */
};

int sl_cmd_run(int argc, char **argv);
int sl_cmd_check(int argc, char **argv);
int sl_cmd_explain(int argc, char **argv);
int sl_cmd_weights(int argc, char **argv);
int sl_cmd_reload(int argc, char **argv);
int sl_cmd_stats(int argc, char **argv);
int sl_cmd_attach(int argc, char **argv);
int sl_cmd_detach(int argc, char **argv);
int sl_cmd_demo(int argc, char **argv);

/*
 * For a command's `--instance NAME`. Returns true when @name is one, else prints what is
 * wrong; the command then returns SL_EXIT_USAGE.
 */
bool sl_cmd_instance(const char *command, const char *name);

/* Points to `sluice COMMAND --help`; returns SL_EXIT_USAGE. */
int sl_cmd_usage(const char *command);

/* sl_maps_open() with its failures told on stderr. SL_EXIT_DONE or SL_EXIT_SYSTEM. */
int sl_cmd_open(const char *command, struct sl_maps *m, const char *instance);
/* Says what an error of sl_maps_open() means; returns the exit status. */
int sl_cmd_cannot_open(const char *command, const char *instance, int err);

/*
 * Name of cluster @index, or "(no such cluster)": the maps are a public interface, so an
 * index or a name in them may be anything.
 */
const char *sl_cmd_cluster_name(const struct sl_maps *m, __u32 index);

/* Endpoint @index: "127.0.0.1:9001", "[::1]:9001", "/run/app.sock". */
#define SL_ENDPOINT_TEXT SL_PIPE_MAX
void sl_cmd_endpoint(const struct sl_maps *m, __u32 index, char ret[static SL_ENDPOINT_TEXT]);

#endif /* SL_CMD_H */
