// SPDX-License-Identifier: GPL-2.0-only
#include "cmd/cmd.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "util/parse.h"

bool sl_cmd_instance(const char *command, const char *name)
{
	if (sl_instance_valid(name))
		return true;
	fprintf(stderr,
		"sluice %s: instance '%s': a name is 1 to %d letters, digits, '-' and '_'\n",
		command, name, SL_INSTANCE_MAX);
	return false;
}

int sl_cmd_usage(const char *command)
{
	fprintf(stderr, "Try 'sluice %s --help'.\n", command);
	return SL_EXIT_USAGE;
}

int sl_cmd_open(const char *command, struct sl_maps *m, const char *instance)
{
	int err = sl_maps_open(m, instance);

	return err ? sl_cmd_cannot_open(command, instance, err) : SL_EXIT_DONE;
}

int sl_cmd_cannot_open(const char *command, const char *instance, int err)
{
	switch (err) {
	case -ENOENT:
		fprintf(stderr,
			"sluice %s: no instance '%s' (nothing in %s/%s); 'sluice run' starts one\n",
			command, instance, SL_PIN_ROOT, instance);
		break;
	case -EPERM:
	case -EACCES:
		fprintf(stderr, "sluice %s: not permitted to open the maps in %s/%s; run as root\n",
			command, SL_PIN_ROOT, instance);
		break;
	case -EPROTO:
		fprintf(stderr,
			"sluice %s: instance '%s' was started by another version of sluice (its "
			"maps "
			"are not of ABI %d); use that one, or stop and start the instance\n",
			command, instance, SL_ABI);
		break;
	default:
		fprintf(stderr, "sluice %s: cannot open the maps in %s/%s: %s\n", command,
			SL_PIN_ROOT, instance, strerror(-err));
	}
	return SL_EXIT_SYSTEM;
}

const char *sl_cmd_cluster_name(const struct sl_maps *m, __u32 index)
{
	if (index >= SL_MAX_CLUSTERS || !m->clusters[index].name[0] ||
	    !memchr(m->clusters[index].name, 0, SL_NAME_MAX))
		return "(no such cluster)";
	return m->clusters[index].name;
}

void sl_cmd_endpoint(const struct sl_maps *m, __u32 index, char ret[static SL_ENDPOINT_TEXT])
{
	const struct sl_endpoint *e = &m->endpoints[index];
	char ip[INET6_ADDRSTRLEN] = "?";
	struct sl_pipe pipe = {.path = "?"};
	__u64 key;

	if (e->family == AF_UNIX) {
		memcpy(&key, e->addr, sizeof(key));
		(void)sl_maps_pipe_get(m, key, &pipe);
		snprintf(ret, SL_ENDPOINT_TEXT, "%.*s", (int)sizeof(pipe.path) - 1, pipe.path);
		return;
	}
	inet_ntop(e->family == AF_INET6 ? AF_INET6 : AF_INET, e->addr, ip, sizeof(ip));
	snprintf(ret, SL_ENDPOINT_TEXT, e->family == AF_INET6 ? "[%s]:%u" : "%s:%u", ip, e->port);
}
