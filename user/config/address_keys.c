// SPDX-License-Identifier: GPL-2.0-only
/* Envoy's Address, as tables (schema.h). */
#include "config/choice.h"
#include "config/envoy_keys.h"
#include "config/key_tables.h"
#include "config/model.h"

static const char *const protocols[] = {"TCP", "-UDP", NULL};

static const struct sl_key socket_address_keys[] = {
	KEY("address", STRING, FULL, struct cfg_socket_address, address),
	KEY("port_value", U32, REQ, struct cfg_socket_address, port, .min = 1, .max = 65535),
	KEY("protocol", ENUM, 0, struct cfg_socket_address, protocol, .names = protocols,
	    .note = "TCP"),
	KEY("network_namespace_filepath", STRING, SL_KEY_NONEMPTY, struct cfg_socket_address,
	    netns),
	END,
};
SCHEMA(socket_address, struct cfg_socket_address, "socket_address",
       .unsupported = sl_no_socket_address);

static const struct sl_key pipe_keys[] = {
	KEY("path", STRING, FULL, struct cfg_pipe, path),
	IGNORED("mode"), /* of listeners */
	END,
};
SCHEMA(pipe, struct cfg_pipe, "pipe");

static void address_done(struct sl_walk *w, void *dst)
{
	const struct cfg_address *a = dst;
	const struct sl_choice all[] = {{"socket_address", a->socket.node}, {"pipe", a->pipe.node}};

	sl_oneof(w, a->node, all, SL_N_CHOICES(all),
		 "missing 'socket_address' or 'pipe' in address");
}

static const struct sl_key address_keys[] = {
	KEY("socket_address", MAP, 0, struct cfg_address, socket, .sub = &socket_address),
	KEY("pipe", MAP, 0, struct cfg_address, pipe, .sub = &pipe),
	END,
};

PUBLIC_SCHEMA(address, struct cfg_address, "address", .unsupported = sl_no_address,
	      .done = address_done);
