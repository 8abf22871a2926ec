/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What bpf/selftest.bpf.c and user/kernel/selftest*.c say to each other: one struct in the
 * object's .bss, mapped into the process. Lives as long as the self-test, some tens of
 * milliseconds.
 */
#ifndef SL_SELFTEST_H
#define SL_SELFTEST_H

#include "sl_types.h"

/* Slots of the self-test's sockmaps, named as in sl_session.h. */
enum sl_st_slot {
	SL_ST_CLIENT,
	SL_ST_FRONT,
	SL_ST_BACK,
	SL_ST_SERVER,
	SL_ST_N,
};

/* Where the next bytes shall go, if the data path's rules allow it; else they are passed. */
enum sl_st_door {
	SL_ST_PASS,
	SL_ST_INGRESS, /* straight into the server */
	SL_ST_EGRESS,  /* out through back */
	SL_ST_SELF,    /* sk_msg: written over and back into the client, which sent them */
};

/* sl_st_state.planted: faults, so that each check can be seen to fail. */
#define SL_ST_NO_VERDICT 0x001	  /* application's sockets without the passing verdict */
#define SL_ST_WRONG_SOCK 0x002	  /* probe counters at a wrong address */
#define SL_ST_WRONG_BACKLOG 0x004 /* read the reader's backlog as 0 */
#define SL_ST_NO_ORDER 0x008	  /* redirect without looking where TCP stands */
#define SL_ST_NO_BACKLOG 0x010	  /* redirect whatever the reader's backlog is */
#define SL_ST_NO_ROOM 0x020	  /* redirect without looking at the target's send buffer */
#define SL_ST_NO_WRITE 0x040	  /* redirect into the client without writing over */
#define SL_ST_NO_FLAGS 0x080	  /* take every send for one without flags */

#define SL_ST_ANSWER '#'      /* written over each byte */
#define SL_ST_ANSWER_MAX 4096 /* bytes of a message that is written over */

struct sl_st_state {
	/* Written by the process. */
	__u32 door;    /* enum sl_st_door */
	__u32 planted; /* SL_ST_* faults; 0 */
	__u32 limit;   /* sk_rmem_alloc of the server above which nothing is redirected to it */
	__u32 held;    /* bytes in the relay's hands: read from front, not yet written to back */

	/* Written by BPF. */
	__u64 sk[SL_ST_N];    /* struct sock * of each socket in `sockets` */
	__u64 msg_redirected; /* bytes */
	__u64 msg_passed;

	/* What the last run of the sk_msg program read, before its bytes went anywhere. */
	__u32 client_write_seq;
	__u32 front_copied_seq;
	__u32 back_write_seq;
	__u32 server_rcv_nxt;
	__u32 server_backlog;
	__u32 max_backlog;
	__u32 plain; /* sender_is_plain() */
	__u32 zero;
};

#endif /* SL_SELFTEST_H */
