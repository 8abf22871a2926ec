/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Framing of message bodies, RFC 9112 section 6 and 7.1: where a message ends. Pure:
 * a few integers that can be handed between BPF and the daemon at any byte.
 */
#ifndef SL_BODY_H
#define SL_BODY_H

#include "sl_types.h"

enum sl_body_kind {
	SL_BODY_NONE,	 /* no body: done from the start */
	SL_BODY_LENGTH,	 /* `left` bytes to come */
	SL_BODY_CHUNKED, /* chunk state machine */
	SL_BODY_CLOSE,	 /* response that ends with the connection */
};

struct sl_body {
	__u64 left;   /* LENGTH: bytes to come; CHUNKED: bytes of chunk data to come */
	__u32 count;  /* CHUNKED: bytes of the current line or of the trailers, for limits */
	__u8 kind;    /* enum sl_body_kind */
	__u8 state;   /* CHUNKED: enum sl_chunk_state */
	__u16 zero;
};

#endif /* SL_BODY_H */
