/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The torture test's two programs, client and backend, agree on everything by a key: a request for
 * "/MIX/KEY" (16 hex digits) says how it is asked (method, body, framing) and how it is to be
 * answered. Every body is a pattern of its key alone, every answer carries the checksum
 * of the request that its server read: a lost, doubled, foreign or overtaken byte is seen by
 * whoever reads it.
 */
#ifndef TORTURE_H
#define TORTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* --- numbers that a seed decides --- */

struct dice {
	uint64_t state;
};

/* A bijection of 64 bits without a pattern (the finalizer of splitmix64). */
static inline uint64_t mix64(uint64_t x)
{
	x += 0x9e3779b97f4a7c15ULL;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
	return x ^ (x >> 31);
}

static inline uint64_t dice_next(struct dice *d)
{
	return mix64(d->state++);
}

/* 0..@n - 1, for small @n. */
static inline uint32_t dice_below(struct dice *d, uint32_t n)
{
	return ((dice_next(d) >> 32) * n) >> 32;
}

static inline bool dice_percent(struct dice *d, uint32_t percent)
{
	return dice_below(d, 100) < percent;
}

/* --- what is asked: ask.c --- */

/* What servers do beside answering, each with all that the one before does. */
enum mix {
	MIX_STEADY = 's',  /* keep their connections: every answer is due, and right */
	MIX_CLOSING = 'c', /* close between answers, said or unsaid */
	MIX_HOSTILE = 'h', /* say too much, too little, and die */
};

enum method {
	METHOD_GET,
	METHOD_HEAD,
	METHOD_POST,
	METHOD_PUT,
	METHOD_DELETE,
	N_METHODS,
};

extern const char *const method_names[N_METHODS];

/* How the end of the answer's body is told. */
enum framing {
	FRAMED_LENGTH,
	FRAMED_CHUNKED,
	FRAMED_CLOSE,	 /* by the end of the connection */
	FRAMED_LENGTH10, /* Content-Length, HTTP/1.0 */
	FRAMED_CLOSE10,	 /* by the end of the connection, HTTP/1.0 */
};

/* What a server does with its connection. */
enum fate {
	FATE_KEEP,
	FATE_SAID_CLOSE,  /* Connection: close, and closes */
	FATE_CLOSE,	  /* closes right behind the answer, unsaid */
	FATE_IDLE_CLOSE,  /* closes a few milliseconds later */
	FATE_DIE,	  /* ends without an answer */
	FATE_DIE_MID,	  /* ends in the middle of the answer */
	FATE_EARLY_CLOSE, /* answers without reading the body, and closes */
	FATE_SURPLUS,	  /* says more than was asked for, and closes */
	FATE_TIMEOUT,	  /* says 408 to the idle connection, and closes */
};

struct ask {
	uint64_t key;
	char mix; /* enum mix */
	/* the request */
	enum method method;
	bool version10;
	bool says_close;
	bool expects; /* 100-continue */
	bool chunked;
	uint32_t body_len;
	/* the answer */
	uint32_t status;
	enum framing framing;
	enum fate fate;
	bool resets;	    /* where the fate is an end: by RST */
	bool early;	    /* answers before it reads the body */
	uint32_t n_interim; /* 103 */
	uint32_t answer_len;
	struct dice dice; /* for what both sides decide alone */
};

/* What @key says, for servers that do @mix. */
struct ask ask_of(char mix, uint64_t key);

/* May the exchange end without its answer for its own fate's sake? */
bool ask_may_fail(const struct ask *a);

/* May servers of @mix close a connection that a request is just sent on? */
static inline bool mix_is_unsteady(char mix)
{
	return mix != MIX_STEADY;
}

bool ask_is_idempotent(const struct ask *a);
/* ... and can be sent again, when its lane was closed as it was taken? */
bool ask_is_repeatable(const struct ask *a);
/* Are there bytes behind its head? */
bool ask_has_body(const struct ask *a);

/* Has the answer no body, whatever its head says? RFC 9110 section 6.4.1. */
bool ask_has_no_answer_body(const struct ask *a);

/* May its server's connection go on behind the answer, as far as its framing goes? */
bool ask_keeps(const struct ask *a);

/* Writes the whole request to @buf and returns its length; *@ret_head is that of its head.
 * @buf has ask_room() bytes. */
size_t ask_write(const struct ask *a, uint8_t *buf, size_t *ret_head);
size_t ask_room(const struct ask *a);

/* The checksum of a request: of method and target, then of the body's pieces. */
uint32_t sum_begin(const struct ask *a);
uint32_t sum_more(uint32_t sum, const uint8_t *data, size_t len);
/* ... of what of @a is read before it is answered. */
uint32_t ask_sum(const struct ask *a);

/* The bytes @at.. of the body that belongs to @key. */
void pattern_write(uint64_t key, size_t at, uint8_t *buf, size_t len);
/* Index of the first byte of @buf that differs from them; @len: none. */
size_t pattern_differs(uint64_t key, size_t at, const uint8_t *buf, size_t len);
/* The key of an answer's body: not its request's, so that no echo passes for an answer. */
uint64_t answer_key(const struct ask *a);

#define CHUNKS_ROOM 4096

/* Chunks of random sizes with extensions and trailers as @d says, of the pattern of @key.
 * @buf has @len + CHUNKS_ROOM bytes. Returns the length. */
size_t chunks_write(struct dice *d, uint64_t key, size_t len, uint8_t *buf);

/* One line about @a, in a buffer of the thread's. */
const char *ask_text(const struct ask *a);

#endif /* TORTURE_H */
