/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The rig of the self-test: the BPF object, the sockets (see the picture in sl_session.h), a relay
 * that plays the daemon, and a stream of known bytes from client to server.
 * Private to user/kernel/selftest*.c.
 */
#ifndef SL_SELFTEST_RIG_H
#define SL_SELFTEST_RIG_H

#include <stddef.h>

#include "kernel/selftest_net.h"
#include "sl_selftest.h"

/* The longest stream of a check, bytes; the relay can hold all of it. */
#define RIG_STREAM_MAX (512 * 1024)

struct selftest_bpf;

struct rig {
	struct selftest_bpf *skel;
	struct sl_st_state *st;
	int fd[SL_ST_N];
	char *why; /* [SL_WHY_MAX] */

	/* Bytes of the stream, from client's first. */
	size_t sent;
	size_t received;     /* by server */
	unsigned char *held; /* [RIG_STREAM_MAX]: what the relay took from front ... */
	size_t held_from;    /* ... and is still to be written to back, from here ... */
	size_t held_to;	     /* ... to here */
	__u32 random;
};

/* How rig_open() sets the sockets up. */
#define RIG_APPS 0x1  /* client and server as applications' co-located sockets */
#define RIG_SMALL 0x2 /* small buffers from back to server */

/* Loads the object and attaches its programs to its maps. 0 or -errno. */
int rig_load(struct rig *r, __u32 planted);
void rig_unload(struct rig *r);

/* Connects new sockets, puts them into the maps, clears the counters. 0 or -errno. */
int rig_open(struct rig *r, __u32 how);
void rig_close(struct rig *r);

/* Finds a check failed: sets why; -EPROTO. */
int rig_bad(struct rig *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

__u32 rig_random(struct rig *r);

/* The stream's byte at @at. */
unsigned char rig_byte(size_t at);

/* Client sends the next @n bytes of the stream. 0, or -EPROTO. */
int rig_send(struct rig *r, size_t n);
/* The relay: from front to back, as far as it goes without blocking. */
int rig_relay(struct rig *r);
/* Server reads what is there and compares it with the stream. */
int rig_receive(struct rig *r);
/* Relays and reads until all that was sent has arrived. */
int rig_finish(struct rig *r);
/* Up to @n bytes of @fd, waiting for them: how many came. */
size_t rig_read(int fd, void *buf, size_t n);
/* All that was written to @fd, which has connected, as door_written() counts it; or, for an instant
 * when an acknowledgement comes, less. */
__u64 rig_queued(int fd);

#endif /* SL_SELFTEST_RIG_H */
