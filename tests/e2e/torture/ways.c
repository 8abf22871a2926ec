/* SPDX-License-Identifier: GPL-2.0-only */
/* The ways in which clients ask. */
#include "client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define N_WAYS (sizeof(ways) / sizeof(ways[0]))

/* A run of requests in one buffer. */
struct train {
	struct ask asks[TRAIN_MAX];
	size_t ends[TRAIN_MAX]; /* offsets behind each */
	uint32_t n;
	uint8_t *bytes;
	size_t len;
};

static bool is_last(const struct ask *a)
{
	return a->says_close || a->version10;
}

/* Up to @n requests; none behind one that ends the connection. */
static void train_make(struct client *c, uint32_t n, struct train *t)
{
	size_t room = 0, head;

	t->n = 0;
	t->len = 0;
	while (t->n < n && (!t->n || !is_last(&t->asks[t->n - 1]))) {
		t->asks[t->n] = client_ask(c);
		room += ask_room(&t->asks[t->n++]);
	}
	t->bytes = malloc(room);
	if (!t->bytes)
		abort();
	for (uint32_t i = 0; i < t->n; i++) {
		t->len += ask_write(&t->asks[i], t->bytes + t->len, &head);
		t->ends[i] = t->len;
	}
}

/* A few random places to cut the output at. */
static void cut_anywhere(struct client *c, size_t len)
{
	struct wire *w = &c->w;
	size_t at = 0;

	while (w->n_cuts < WIRE_CUTS_MAX && at + 1 < len && dice_percent(&c->dice, 60)) {
		at += 1 + dice_below(&c->dice, dice_percent(&c->dice, 50) ? len - at : 200);
		w->cuts[w->n_cuts++] = at;
	}
}

static void pause_sometimes(struct client *c, uint32_t max_us)
{
	if (dice_percent(&c->dice, 30))
		c->w.pause_us = dice_below(&c->dice, max_us);
}

static void send_how(struct client *c)
{
	c->w.how = dice_percent(&c->dice, 80) ? SEND_PLAIN : dice_below(&c->dice, N_HOWS);
}

/* An early answer may be here before the request is out. */
static enum answered send_rest(struct client *c)
{
	int err = wire_flush(&c->w);

	if (!err)
		return GOES_ON;
	if (err == -ENOLINK)
		return client_unsent(c);
	if (err != -ETIMEDOUT && (c->doomed || c->kills))
		return ENDED;
	return client_wrong(c, "the rest of the request: %s", strerror(-err));
}

static enum answered read_answers(struct client *c, const struct train *t, uint32_t n)
{
	enum answered rc = GOES_ON;

	for (uint32_t i = 0; i < n && rc == GOES_ON; i++) {
		c->behind = i + 1 < t->n;
		rc = client_answer(c, &t->asks[i]);
	}
	return rc == GOES_ON ? send_rest(c) : rc;
}

/* One request; the body of one with Expect may wait for its 100. */
static enum answered one(struct client *c, bool cuts)
{
	enum answered rc;
	struct train t;
	size_t head;

	train_make(c, 1, &t);
	wire_queue(&c->w, t.bytes, t.len);
	if (t.asks[0].expects && ask_has_body(&t.asks[0]) && dice_percent(&c->dice, 50)) {
		(void)ask_write(&t.asks[0], t.bytes, &head);
		c->held = t.bytes + head;
		c->held_len = t.len - head;
		wire_queue(&c->w, t.bytes, head);
	} else if (cuts) {
		cut_anywhere(c, t.len);
		pause_sometimes(c, 300);
	}
	send_how(c);
	rc = read_answers(c, &t, 1);
	free(t.bytes);
	return rc;
}

static enum answered way_serial(struct client *c)
{
	uint32_t n = 1 + dice_below(&c->dice, dice_percent(&c->dice, 50) ? 4 : 100);
	enum answered rc = GOES_ON;

	while (n-- && rc == GOES_ON) {
		if (dice_percent(&c->dice, 1))
			usleep(dice_below(&c->dice, 10000));
		rc = one(c, dice_percent(&c->dice, 15));
	}
	if (rc == GOES_ON && c->w.pos < c->w.end)
		return client_wrong(c, "bytes behind the last answer");
	return rc;
}

/* Requests without waiting for answers: in one send, in one each, or in any pieces. */
static enum answered way_train(struct client *c)
{
	uint32_t rounds = 1 + dice_below(&c->dice, 4);
	enum answered rc = GOES_ON;
	struct train t;

	while (rounds-- && rc == GOES_ON) {
		train_make(c, 2 + dice_below(&c->dice, TRAIN_MAX - 2), &t);
		wire_queue(&c->w, t.bytes, t.len);
		switch (dice_below(&c->dice, 3)) {
		case 0:
			break;
		case 1:
			memcpy(c->w.cuts, t.ends, sizeof(t.ends));
			c->w.n_cuts = t.n;
			pause_sometimes(c, 1000);
			break;
		default:
			cut_anywhere(c, t.len);
			pause_sometimes(c, 1000);
		}
		send_how(c);
		rc = read_answers(c, &t, t.n);
		free(t.bytes);
	}
	return rc;
}

/* The head byte by byte, and then ordinary ones on the same connection. */
static enum answered way_dribble(struct client *c)
{
	enum answered rc = GOES_ON;
	struct train t;

	for (int i = 0; i < 2 && rc == GOES_ON; i++) {
		train_make(c, 1, &t);
		wire_queue(&c->w, t.bytes, t.len);
		c->w.single = 150;
		rc = read_answers(c, &t, 1);
		free(t.bytes);
		if (rc == GOES_ON)
			rc = one(c, false);
	}
	return rc;
}

/* Requests, and FIN right behind the last. */
static enum answered way_half(struct client *c)
{
	uint32_t n = dice_below(&c->dice, 3);
	enum answered rc = GOES_ON;
	struct train t;
	int err;

	while (n-- && rc == GOES_ON)
		rc = one(c, false);
	if (rc != GOES_ON)
		return rc;
	train_make(c, 1, &t);
	wire_queue(&c->w, t.bytes, t.len);
	c->ask = t.asks[0];
	send_how(c);
	if (dice_percent(&c->dice, 30))
		cut_anywhere(c, t.len);
	err = wire_flush(&c->w);
	if (err == -ETIMEDOUT) {
		free(t.bytes);
		return client_wrong(c, "cannot be sent");
	}
	if (err == -ENOLINK) {
		free(t.bytes);
		return client_unsent(c);
	}
	(void)shutdown(c->w.fd, SHUT_WR);
	rc = read_answers(c, &t, 1);
	free(t.bytes);
	if (rc != GOES_ON)
		return rc;
	err = wire_ends(&c->w);
	if (err && !(err == -ECONNRESET && (c->doomed || c->kills || c->ask.early)))
		return client_wrong(c, "behind the answer to a half-closed client: %s",
				    err == -EBADMSG ? c->w.wrong : strerror(-err));
	return ENDED;
}

/* A part of a request, and then the end: nothing is due, but nobody may be harmed. */
static enum answered way_abandon(struct client *c)
{
	uint32_t n = dice_below(&c->dice, 4);
	enum answered rc = GOES_ON;
	struct train t;

	while (n-- && rc == GOES_ON)
		rc = one(c, false);
	if (rc != GOES_ON)
		return rc;
	train_make(c, 1, &t);
	wire_queue(&c->w, t.bytes, 1 + dice_below(&c->dice, t.len));
	(void)wire_flush(&c->w);
	free(t.bytes);
	return ENDED;
}

/* The end in the middle of the answer. */
static enum answered way_enough(struct client *c)
{
	struct train t;
	const uint8_t *data = NULL;

	train_make(c, 1, &t);
	wire_queue(&c->w, t.bytes, t.len);
	(void)wire_take(&c->w, 1 + dice_below(&c->dice, 30000), &data);
	free(t.bytes);
	return ENDED;
}

static const struct {
	const char *name;
	enum answered (*run)(struct client *c);
	uint32_t weight;
} ways[] = {
	{"serial", way_serial, 50},  {"train", way_train, 20},	   {"half", way_half, 8},
	{"dribble", way_dribble, 2}, {"abandon", way_abandon, 10}, {"enough", way_enough, 10},
};

enum answered client_run(struct client *c)
{
	uint32_t n = dice_below(&c->dice, 100), i = 0;
	enum answered rc;

	while (n >= ways[i].weight)
		n -= ways[i++].weight;
	c->way = ways[i].name;
	rc = ways[i].run(c);
	/* Some leave at once, some in order. */
	wire_close(&c->w, dice_percent(&c->dice, 30));
	return rc;
}
