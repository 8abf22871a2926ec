/* SPDX-License-Identifier: GPL-2.0-only */
/* One connection of the torture's client: what it asks, and what it makes of the answers. */
#ifndef TORTURE_CLIENT_H
#define TORTURE_CLIENT_H

#include "torture.h"
#include "wire.h"

#define TRAIN_MAX 8

struct counts {
	uint64_t connections;
	uint64_t exchanges; /* right answers */
	uint64_t own;	    /* answers of the proxy: 502 for a fate that ends without one */
	uint64_t lost; /* ... for what cannot be repeated, on a lane that was closed as it was taken
			*/
	uint64_t cut;  /* answers that ended as their fate says */
	uint64_t unsent; /* sends that failed though the connection lives */
	uint64_t wrong;
};

struct client {
	struct wire w;
	struct dice dice;
	struct counts *counts;
	uint64_t id; /* of the connection, in this seed */
	uint32_t n_asked;
	char mix;
	bool starved; /* memory, descriptors and ports are short at the proxy: 503 */
	bool kills;   /* the worker is killed now and then: connections may end */
	bool doomed;  /* a server hung up on a request that is still being sent */
	bool behind;  /* more was sent behind the request whose answer is read */
	const char *way;
	struct ask ask;		/* the one whose answer is read */
	struct ask before;	/* the one before it on the connection, and what it got */
	uint32_t before_status; /* ... 0: nothing yet */
	uint32_t status;
	size_t body_at;	     /* of its answer */
	const uint8_t *held; /* body that waits for 100 Continue; NULL: none */
	size_t held_len;
	char wrong[512]; /* what was wrong; "": nothing */
};

/* What the end of an exchange means for its connection. */
enum answered {
	GOES_ON,
	ENDED, /* in order, or as it had to */
	WRONG, /* see client.wrong */
};

/* The next request of this connection. */
struct ask client_ask(struct client *c);

/* Reads and checks the answer to @a. */
enum answered client_answer(struct client *c, const struct ask *a);

/* A send has failed on a connection that lives: its server's end has closed. */
enum answered client_unsent(struct client *c);

/* The fault, with what was asked; returns WRONG. */
__attribute__((format(printf, 2, 3))) enum answered client_wrong(struct client *c, const char *fmt,
								 ...);

/* The whole life of a connection whose socket is w.fd, in a way that the dice choose. */
enum answered client_run(struct client *c);

#endif /* TORTURE_CLIENT_H */
