// SPDX-License-Identifier: GPL-2.0-only
/*
 * The bench's origin: answers as fast as a server can, so that what is measured is what stands in
 * front of it. One thread a CPU, each with listening sockets of its own (SO_REUSEPORT) and an epoll
 * set; an answer is one send of bytes that were made before.
 *
 *	origin THREADS PORT=NAME...
 *
 *	GET .../64k, .../1m	that many bytes, by length
 *	GET .../chunked		4 KiB in one chunk
 *	any other		"Hello from NAME\n", when the request's body has been read
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_SERVICES 8
#define EVENTS 256
#define HEAD_MAX (32 * 1024)

struct answer {
	char *bytes;
	size_t len;
};

struct service {
	int port;
	struct answer small;
	struct answer last; /* the same, and the connection ends */
};

/* Of one connection; its events' pointer. A listening socket has no buffer. */
struct conn {
	int fd;
	const struct service *service;
	char *in; /* [HEAD_MAX]: what has been read and not answered */
	size_t n_in;
	size_t body; /* bytes of the request's body that are still to come, to be dropped */
	const struct answer *out; /* the answer under way, or to be sent behind the body */
	size_t sent;
	bool last;  /* Connection: close */
	bool waits; /* for EPOLLOUT */
};

static struct service services[MAX_SERVICES];
static int n_services;
static struct answer big_64k, big_1m, chunked;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static struct answer answer_make(const char *framing, const char *before, size_t size,
				 const char *text, const char *after)
{
	char head[256];
	int n = snprintf(head, sizeof(head),
			 "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n%s\r\n%s", framing,
			 before);
	struct answer a = {.len = n + size + strlen(after)};

	a.bytes = malloc(a.len);
	if (!a.bytes)
		die("malloc");
	memcpy(a.bytes, head, n);
	for (size_t i = 0; i < size; i++)
		a.bytes[n + i] = text[i % strlen(text)];
	memcpy(a.bytes + n + size, after, strlen(after));
	return a;
}

static struct answer answer_sized(size_t size, const char *text)
{
	char framing[64];

	snprintf(framing, sizeof(framing), "Content-Length: %zu\r\n", size);
	return answer_make(framing, "", size, text, "");
}

static int listen_on(int port)
{
	struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(port)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) ||
	    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)) ||
	    bind(fd, (struct sockaddr *)&any, sizeof(any)) || listen(fd, 8192))
		die("listen");
	return fd;
}

static void conn_free(struct conn *c)
{
	close(c->fd);
	free(c->in);
	free(c);
}

static void watch(int epoll, struct conn *c, unsigned int events, int op)
{
	struct epoll_event e = {.events = events, .data.ptr = c};

	if (epoll_ctl(epoll, op, c->fd, &e))
		die("epoll_ctl");
}

static void accept_all(int epoll, const struct conn *listener)
{
	for (;;) {
		int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), one = 1;
		struct conn *c;

		if (fd < 0)
			return;
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		c = calloc(1, sizeof(*c));
		if (!c)
			die("calloc");
		c->fd = fd;
		c->service = listener->service;
		c->in = malloc(HEAD_MAX);
		if (!c->in)
			die("malloc");
		watch(epoll, c, EPOLLIN, EPOLL_CTL_ADD);
	}
}

/* What a head says that matters here. */
struct head {
	size_t len;  /* bytes, its empty line included */
	size_t body; /* bytes behind it */
	bool last;   /* Connection: close */
};

static void line_read(struct head *h, const char *line, size_t n)
{
	if ((line[0] | 0x20) != 'c')
		return;
	if (n == 17 && !strncasecmp(line, "connection: close", 17))
		h->last = true;
	if (n > 16 && !strncasecmp(line, "content-length: ", 16))
		h->body = strtoul(line + 16, NULL, 10);
}

/* In one pass. False: the @n bytes are no whole head. */
static bool head_read(struct head *h, const char *in, size_t n)
{
	const char *line = in, *end = in + n, *cr;

	*h = (struct head){};
	while ((cr = memchr(line, '\r', end - line)) && cr + 1 < end) {
		if (cr == line) {
			h->len = cr + 2 - in;
			return true;
		}
		line_read(h, line, cr - line);
		line = cr + 2;
	}
	return false;
}

static const struct answer *answer_for(const struct conn *c, const char *head, size_t n)
{
	const char *end = memchr(head + 5, ' ', n - 5);

	if (head[0] != 'G' || !end)
		return &c->service->small;
	if (end - head > 10 && !memcmp(end - 4, "/64k", 4))
		return &big_64k;
	if (end - head > 10 && !memcmp(end - 3, "/1m", 3))
		return &big_1m;
	if (end - head > 12 && !memcmp(end - 8, "/chunked", 8))
		return &chunked;
	return &c->service->small;
}

/* Takes what has come of a body off the buffer. */
static void body_drop(struct conn *c)
{
	size_t n = c->body < c->n_in ? c->body : c->n_in;

	if (!n)
		return;
	c->body -= n;
	c->n_in -= n;
	memmove(c->in, c->in + n, c->n_in);
}

/* A whole head in the buffer begins the next answer. False: it is not whole. */
static bool request_take(struct conn *c)
{
	struct head h;

	if (!head_read(&h, c->in, c->n_in))
		return false;
	c->out = answer_for(c, c->in, h.len);
	c->sent = 0;
	c->last = h.last;
	if (c->last && c->out == &c->service->small)
		c->out = &c->service->last;
	c->body = h.body;
	c->n_in -= h.len;
	memmove(c->in, c->in + h.len, c->n_in);
	body_drop(c);
	return true;
}

/* Sends what is to be sent. 1: all of it; 0: later; -1: the connection is over. */
static int answer_send(int epoll, struct conn *c)
{
	while (c->sent < c->out->len) {
		ssize_t n =
			send(c->fd, c->out->bytes + c->sent, c->out->len - c->sent, MSG_NOSIGNAL);

		if (n < 0 && errno != EAGAIN)
			return -1;
		if (n < 0) {
			if (!c->waits)
				watch(epoll, c, EPOLLIN | EPOLLOUT, EPOLL_CTL_MOD);
			c->waits = true;
			return 0;
		}
		c->sent += n;
	}
	if (c->waits)
		watch(epoll, c, EPOLLIN, EPOLL_CTL_MOD);
	c->waits = false;
	c->out = NULL;
	return c->last ? -1 : 1;
}

/* False: the connection is over. */
static bool conn_go_on(int epoll, struct conn *c)
{
	for (;;) {
		if (c->out && !c->body) {
			int rc = answer_send(epoll, c);

			if (rc <= 0)
				return rc == 0;
		}
		if (!c->out && !request_take(c))
			return c->n_in < HEAD_MAX;
		if (c->body)
			return true;
	}
}

static bool conn_read(int epoll, struct conn *c)
{
	ssize_t n = recv(c->fd, c->in + c->n_in, HEAD_MAX - c->n_in, 0);

	if (n <= 0)
		return n < 0 && errno == EAGAIN;
	c->n_in += n;
	body_drop(c);
	return conn_go_on(epoll, c);
}

static void *serve(void *arg)
{
	struct epoll_event events[EVENTS];
	int epoll = epoll_create1(EPOLL_CLOEXEC);

	(void)arg;
	if (epoll < 0)
		die("epoll_create1");
	for (int i = 0; i < n_services; i++) {
		struct conn *listener = calloc(1, sizeof(*listener));

		if (!listener)
			die("calloc");
		listener->service = &services[i];
		listener->fd = listen_on(services[i].port);
		watch(epoll, listener, EPOLLIN, EPOLL_CTL_ADD);
	}
	for (;;) {
		int n = epoll_wait(epoll, events, EVENTS, -1);

		for (int i = 0; i < n; i++) {
			struct conn *c = events[i].data.ptr;
			bool goes_on = true;

			if (!c->in) {
				accept_all(epoll, c);
				continue;
			}
			if (events[i].events & EPOLLOUT)
				goes_on = conn_go_on(epoll, c);
			if (goes_on && events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
				goes_on = conn_read(epoll, c);
			if (!goes_on)
				conn_free(c);
		}
	}
	return NULL;
}

int main(int argc, char **argv)
{
	struct rlimit files;
	pthread_t thread;

	if (argc < 3 || argc - 2 > MAX_SERVICES)
		return 2;
	for (int i = 2; i < argc; i++) {
		const char *name = strchr(argv[i], '=');
		char text[128], closing[64];

		if (!name)
			return 2;
		snprintf(text, sizeof(text), "Hello from %s\n", name + 1);
		snprintf(closing, sizeof(closing), "Connection: close\r\nContent-Length: %zu\r\n",
			 strlen(text));
		services[n_services].port = atoi(argv[i]);
		services[n_services].last = answer_make(closing, "", strlen(text), text, "");
		services[n_services++].small = answer_sized(strlen(text), text);
	}
	big_64k = answer_sized(64 << 10, "0123456789abcdef");
	big_1m = answer_sized(1 << 20, "0123456789abcdef");
	chunked = answer_make("Transfer-Encoding: chunked\r\n", "1000\r\n", 4096,
			      "0123456789abcdef", "\r\n0\r\n\r\n");
	if (!getrlimit(RLIMIT_NOFILE, &files)) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	for (int i = 1; i < atoi(argv[1]); i++)
		if (pthread_create(&thread, NULL, serve, NULL))
			die("pthread_create");
	serve(NULL);
}
