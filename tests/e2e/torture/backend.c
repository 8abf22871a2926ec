/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The torture's servers: `backend ADDRESS PORT...`, a thread for each connection. What must never
 * be seen is a line "WRONG ..." of its output.
 */
#include "torture.h"
#include "wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PATIENCE_MS (3600 * 1000)
#define SEEN_MAX (1 << 20)
#define STACK_SIZE (256 * 1024)

/* The last requests that must not come twice, by their keys' low bits. */
static uint64_t seen[SEEN_MAX];

struct link {
	struct wire w;
	struct ask ask;
	struct dice dice;
	uint32_t sum;
	size_t body_at;
};

struct answer {
	uint8_t *bytes; /* the answer's; to be freed */
	size_t head_len, len;
};

__attribute__((format(printf, 2, 3))) static int wrong(const struct link *l, const char *fmt, ...)
{
	char text[512];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	printf("WRONG server: %s: %s\n", ask_text(&l->ask), text);
	fflush(stdout);
	return -EBADMSG;
}

/* Is @key here for the first time? */
static bool is_new(uint64_t key)
{
	return __atomic_exchange_n(&seen[key % SEEN_MAX], key, __ATOMIC_RELAXED) != key;
}

/* "METHOD /MIX/KEY HTTP/1.1": what the key says, in every byte. */
static int request_line(struct link *l, const char *line)
{
	char method[16], want[64];
	uint64_t key;
	char mix;

	if (sscanf(line, "%15s /%c/%" SCNx64, method, &mix, &key) != 3)
		return wrong(l, "request line '%.100s'", line);
	l->ask = ask_of(mix, key);
	snprintf(want, sizeof(want), "%s /%c/%016" PRIx64 " HTTP/1.1", method_names[l->ask.method],
		 mix, key);
	if (strcmp(line, want))
		return wrong(l, "request line '%.100s'", line);
	if (!ask_is_idempotent(&l->ask) && !is_new(key ^ mix))
		return wrong(l, "came twice");
	return 0;
}

static int request_framing(struct link *l, const struct wire_head *h)
{
	const struct ask *a = &l->ask;
	int64_t len =
		a->method == METHOD_POST || a->method == METHOD_PUT ? (int64_t)a->body_len : -1;

	if (h->chunked != a->chunked || h->length != (a->chunked ? -1 : len))
		return wrong(l, "framing: %s, length %" PRId64, h->chunked ? "chunked" : "",
			     h->length);
	return 0;
}

static int body_bytes(void *ctx, const uint8_t *data, size_t len)
{
	struct link *l = ctx;
	size_t at = pattern_differs(l->ask.key, l->body_at, data, len);

	if (at < len)
		return wrong(l, "body differs at %zu: %02x", l->body_at + at, data[at]);
	l->sum = sum_more(l->sum, data, len);
	l->body_at += len;
	return 0;
}

static int request_body(struct link *l)
{
	int err;

	l->body_at = 0;
	if (l->ask.chunked)
		err = wire_body_chunked(&l->w, body_bytes, l);
	else
		err = wire_body_length(&l->w, l->ask.body_len, body_bytes, l);
	if (!err && l->body_at != l->ask.body_len)
		err = wrong(l, "body of %zu bytes", l->body_at);
	if (err == -EBADMSG && *l->w.wrong)
		wrong(l, "%s", l->w.wrong);
	return err;
}

static size_t answer_head(const struct link *l, char *p)
{
	const struct ask *a = &l->ask;
	bool is10 = a->framing == FRAMED_LENGTH10 || a->framing == FRAMED_CLOSE10;
	size_t n;

	n = sprintf(p, "HTTP/1.%d %u %s\r\nX-Sum: %08x\r\nX-Len: %u\r\n", is10 ? 0 : 1, a->status,
		    a->status == 200 ? "OK" : "Other", l->sum, a->answer_len);
	if (a->framing == FRAMED_CHUNKED)
		n += sprintf(p + n, "Transfer-Encoding: chunked\r\n");
	else if (a->framing == FRAMED_LENGTH10 || (a->framing == FRAMED_LENGTH && a->status != 204))
		n += sprintf(p + n, "Content-Length: %u\r\n", a->answer_len);
	if (a->fate == FATE_SAID_CLOSE)
		n += sprintf(p + n, "Connection: close\r\n");
	return n + sprintf(p + n, "\r\n");
}

static struct answer answer_make(struct link *l)
{
	const struct ask *a = &l->ask;
	struct answer r = {.bytes = malloc(1024 + a->answer_len + CHUNKS_ROOM)};

	if (!r.bytes)
		abort();
	r.head_len = r.len = answer_head(l, (char *)r.bytes);
	if (ask_has_no_answer_body(a))
		return r;
	if (a->framing == FRAMED_CHUNKED) {
		r.len += chunks_write(&l->dice, answer_key(a), a->answer_len, r.bytes + r.len);
	} else {
		pattern_write(answer_key(a), 0, r.bytes + r.len, a->answer_len);
		r.len += a->answer_len;
	}
	return r;
}

/* Sends with cuts and pauses, or without. */
static int send_some(struct link *l, const uint8_t *data, size_t len)
{
	struct wire *w = &l->w;
	size_t at = 0;

	wire_queue(w, data, len);
	w->how = dice_percent(&l->dice, 70) ? SEND_PLAIN : dice_below(&l->dice, N_HOWS);
	if (dice_percent(&l->dice, 30)) {
		while (w->n_cuts < WIRE_CUTS_MAX && at + 1 < len && dice_percent(&l->dice, 70)) {
			at += 1 + dice_below(&l->dice, dice_percent(&l->dice, 50) ? len - at : 300);
			w->cuts[w->n_cuts++] = at;
		}
		w->pause_us = dice_percent(&l->dice, 30) ? dice_below(&l->dice, 500) : 0;
	}
	return wire_flush(w);
}

static int send_text(struct link *l, const char *text)
{
	return send_some(l, (const uint8_t *)text, strlen(text));
}

static int send_answer(struct link *l)
{
	static const char hint[] = "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n";
	const struct ask *a = &l->ask;
	struct answer r = answer_make(l);
	size_t len = r.len;
	int err = 0;

	/* The empty chunk at least is missing. */
	if (a->fate == FATE_DIE_MID)
		len = r.head_len + a->answer_len / 2;
	for (uint32_t i = 0; i < a->n_interim && !err; i++)
		err = send_text(l, hint);
	if (!err)
		err = send_some(l, r.bytes, len);
	free(r.bytes);
	return err;
}

/* What comes behind the answer. 0: the connection is kept. */
static int meet_fate(struct link *l)
{
	const struct ask *a = &l->ask;

	switch (a->fate) {
	case FATE_SURPLUS:
		(void)send_text(l, "SURPLUS that nobody asked for\r\n");
		return 1;
	case FATE_TIMEOUT:
		usleep(dice_below(&l->dice, 2000));
		(void)send_text(l, "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n"
				   "Content-Length: 0\r\n\r\n");
		return 1;
	case FATE_IDLE_CLOSE:
		usleep(dice_below(&l->dice, 3000));
		return 1;
	case FATE_KEEP:
		return !ask_keeps(a);
	default:
		return 1;
	}
}

/* One exchange. 0: the next may come. */
static int serve(struct link *l)
{
	struct wire_head head;
	const struct ask *a = &l->ask;
	int err = wire_head(&l->w, &head);

	if (err == -EBADMSG)
		return wrong(l, "before or in the head of the next: %s", l->w.wrong);
	if (err)
		return err;
	err = request_line(l, head.first);
	if (!err)
		err = request_framing(l, &head);
	if (err)
		return err;
	l->dice = a->dice;
	l->sum = sum_begin(a);
	if (a->fate == FATE_DIE)
		return 1;
	if (head.continues && !a->early)
		err = send_text(l, "HTTP/1.1 100 Continue\r\n\r\n");
	if (!err && !a->early)
		err = request_body(l);
	if (!err)
		err = send_answer(l);
	/* Its client has gone as the answer's end was moved there. A server that closes the
	 * connection then may meet the next request on it. */
	if (err == -ENOLINK && !mix_is_unsteady(a->mix))
		err = 0;
	if (!err && a->early && a->fate != FATE_EARLY_CLOSE && a->fate != FATE_DIE_MID)
		err = request_body(l);
	return err ? err : meet_fate(l);
}

static void *link_run(void *arg)
{
	struct link *l = arg;
	bool resets;

	while (!serve(l))
		;
	resets = l->ask.resets && (l->ask.fate == FATE_DIE || l->ask.fate == FATE_DIE_MID);
	wire_close(&l->w, resets);
	free(l);
	return NULL;
}

static void *listener_run(void *arg)
{
	int listener = (int)(intptr_t)arg, fd;
	pthread_attr_t attr;
	pthread_t thread;
	uint32_t n = 0;

	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, STACK_SIZE);
	for (;;) {
		struct link *l;

		fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		l = fd >= 0 ? malloc(sizeof(*l)) : NULL;
		if (!l)
			continue;
		memset(&l->ask, 0, sizeof(l->ask));
		wire_open(&l->w, fd, n++ % N_WAITS);
		if (pthread_create(&thread, &attr, link_run, l)) {
			wire_close(&l->w, true);
			free(l);
		}
	}
	return NULL;
}

static int listen_at(const char *address, const char *port)
{
	struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(atoi(port))};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	if (fd < 0 || inet_pton(AF_INET, address, &addr.sin_addr) != 1 ||
	    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) ||
	    bind(fd, (const struct sockaddr *)&addr, sizeof(addr)) || listen(fd, 1024)) {
		perror("backend");
		exit(1);
	}
	return fd;
}

int main(int argc, char **argv)
{
	pthread_t thread;

	if (argc < 3) {
		fprintf(stderr, "usage: backend ADDRESS PORT...\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	/* To close an idle connection is a fate, not what time does: it may meet a request. */
	wire_patience_ms = PATIENCE_MS;
	for (int i = 2; i < argc; i++)
		if (pthread_create(&thread, NULL, listener_run,
				   (void *)(intptr_t)listen_at(argv[1], argv[i])))
			return 1;
	pause();
	return 0;
}
