/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Why a request took the user path: one list for BPF, the daemon, the commands
 * and the tests. Counted once for each request, by the daemon, when it has read
 * the request's head. Append only: the number is part of the map ABI.
 */
#ifndef SL_REASON_H
#define SL_REASON_H

#define SL_REASONS(X)                                                                              \
	X(NONE, none, "served by the kernel path")                                                 \
	X(KERNEL_PATH_OFF, kernel_path_off, "kernel path switched off by the config or draining")  \
	X(REMOTE_CLIENT, remote_client, "client is not on this host, or was not paired")           \
	X(NO_IDLE_LANE, no_idle_lane, "no idle upstream connection to the chosen endpoint")        \
	X(HEAD_INCOMPLETE, head_incomplete, "head came in more than one send")                     \
	X(HEAD_TOO_LONG, head_too_long, "head over the kernel's limit")                            \
	X(PIPELINED, pipelined, "sent before the previous answer ended")                           \
	X(NOT_CANONICAL, not_canonical, "not strict RFC 9112 HTTP/1.1")                            \
	X(HTTP10, http10, "HTTP/1.0")                                                              \
	X(CONNECTION_HEADER, connection_header, "Connection header other than keep-alive")         \
	X(UPGRADE, upgrade, "Upgrade header or CONNECT")                                           \
	X(EXPECT, expect, "Expect header")                                                         \
	X(NO_ROUTE, no_route, "no virtual host or route matches")                                  \
	X(ROUTE_NEEDS_USER, route_needs_user, "route's action or match is served in user space")   \
	X(NO_ENDPOINT, no_endpoint, "cluster has no usable endpoint")                              \
	X(BODY_LARGE, body_large, "body too large or of unknown length for this door")             \
	X(READER_SLOW, reader_slow, "reader's queue over the limit, or little memory for TCP")     \
	X(DRAINING_BYTES, draining_bytes, "session still the daemon's, or bytes under way by TCP") \
	X(LANE_LOST, lane_lost, "upstream connection went away as it was chosen")                  \
	X(DOOR_OFF, door_off, "door switched off by the self-test or the config")                  \
	X(INTERNAL, internal, "table or state not usable; the daemon's log says more")             \
	X(ANSWER_NEEDS_USER, answer_needs_user,                                                    \
	  "answer is interim, ends with the connection, or is not strict")                         \
	X(NOT_ACCEPTED, not_accepted, "answer came before the daemon had accepted the connection") \
	X(SESSIONS_FULL, sessions_full,                                                            \
	  "more open connections than max_sessions, or than the kernel path has room for")         \
	X(CHUNKS_MANY, chunks_many, "more chunks in one send than the kernel path follows")        \
	X(BODY_PARTS, body_parts, "last part of a body that came in more than one send")           \
	X(REMOTE_SERVER, remote_server, "server is not on this host, or was not paired")           \
	X(ANSWER_LONG, answer_long, "route's own answer is longer than the request, its room")     \
	X(PIPE_ENDPOINT, pipe_endpoint, "endpoint is a UNIX-domain socket")                        \
	X(CLIENT_ONE_SHOT, client_one_shot,                                                        \
	  "client's process opens connections for single requests, which are not captured")        \
	X(SEND_FLAGS, send_flags,                                                                  \
	  "sent with MSG_OOB, by io_uring or by a 32-bit program, to an end not on this host")     \
	X(MAX_FORWARDS, max_forwards, "OPTIONS or TRACE with Max-Forwards")

enum sl_reason {
#define X(name, text, help) SL_REASON_##name,
	SL_REASONS (X)
#undef X
		SL_N_REASONS
};

#endif /* SL_REASON_H */
