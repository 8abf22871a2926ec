/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One connection, read strictly and written as @how says. Output that is queued goes out
 * while input is waited for, so neither side waits for the other for ever.
 *
 * Errors are -errno; besides: -ENODATA, the far end's FIN where more was due; -EBADMSG, not strict
 * HTTP: why is in ->wrong; -ETIMEDOUT, nothing for WIRE_PATIENCE_MS; -ENOLINK, a send failed on a
 * connection that lives.
 */
#ifndef TORTURE_WIRE_H
#define TORTURE_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define WIRE_IN_MAX (256 * 1024)
#define WIRE_LINE_MAX 8192
#define WIRE_CUTS_MAX 8

/* How a program waits for its socket. */
enum wire_wait {
	WAIT_POLL,
	WAIT_BLOCKING, /* in recv(), when there is no output */
	WAIT_EDGE,     /* epoll, edge triggered */
	N_WAITS,
};

/* How it sends. */
enum wire_how {
	SEND_PLAIN,
	SEND_MORE,     /* MSG_MORE on all but the last piece */
	SEND_WRITEV,   /* a piece in three vectors */
	SEND_SENDFILE, /* out of a file */
	N_HOWS,
};

struct wire {
	int fd;
	int epoll;
	enum wire_wait wait;
	bool eof;
	bool reset;	    /* a send has said so */
	size_t pos, end;    /* of in: what was read and not taken */
	const uint8_t *out; /* queued; the caller's */
	size_t out_len, out_at;
	enum wire_how how;
	size_t cuts[WIRE_CUTS_MAX]; /* rising offsets in out: where a send ends */
	uint32_t n_cuts;
	size_t single;	   /* so many bytes go out one by one */
	uint32_t pause_us; /* between sends */
	uint64_t taken;	   /* bytes of input that were taken */
	char wrong[256];
	uint8_t in[WIRE_IN_MAX];
};

extern uint32_t wire_patience_ms;

/* Takes @fd over. Output and input are empty. */
void wire_open(struct wire *w, int fd, enum wire_wait wait);
/* @reset: with RST instead of FIN. */
void wire_close(struct wire *w, bool reset);

/* Queues output, which the caller keeps until it is out. */
void wire_queue(struct wire *w, const uint8_t *data, size_t len);
/* Sends what is queued. Input that comes meanwhile is kept, as far as there is room. */
int wire_flush(struct wire *w);

/* Reads more. 0: there is more, or output went on; else -errno. */
int wire_fill(struct wire *w);

/* A line without its CR LF in the input's buffer: valid until the next call. */
int wire_line(struct wire *w, char **ret_line);
/* Takes up to @max bytes; *@ret_data is valid until the next call. Returns their number, > 0. */
ssize_t wire_take(struct wire *w, size_t max, const uint8_t **ret_data);
/* 0 when the far end has closed in order and said nothing more; waits for it. */
int wire_ends(struct wire *w);

struct wire_head {
	char first[WIRE_LINE_MAX];
	int64_t length;			/* Content-Length; -1: none */
	int64_t x_len;			/* X-Len; -1: none */
	int64_t x_sum;			/* X-Sum (hex); -1: none */
	bool chunked, close, continues; /* continues: Expect: 100-continue */
};

int wire_head(struct wire *w, struct wire_head *ret);

/* Is given the body's bytes; nonzero ends the reading with that. */
typedef int (*wire_body_fn)(void *ctx, const uint8_t *data, size_t len);

int wire_body_length(struct wire *w, uint64_t len, wire_body_fn fn, void *ctx);
int wire_body_chunked(struct wire *w, wire_body_fn fn, void *ctx);
int wire_body_close(struct wire *w, wire_body_fn fn, void *ctx);

#endif /* TORTURE_WIRE_H */
