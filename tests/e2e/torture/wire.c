/* SPDX-License-Identifier: GPL-2.0-only */
#include "wire.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

uint32_t wire_patience_ms = 30000;

#define SENDFILE_MAX (16 * 1024)

void wire_open(struct wire *w, int fd, enum wire_wait wait)
{
	const struct timeval patience = {.tv_sec = wire_patience_ms / 1000,
					 .tv_usec = wire_patience_ms % 1000 * 1000};
	struct epoll_event e = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET};
	int one = 1;

	memset(w, 0, offsetof(struct wire, in));
	w->fd = fd;
	w->wait = wait;
	w->epoll = -1;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (wait == WAIT_EDGE) {
		w->epoll = epoll_create1(EPOLL_CLOEXEC);
		(void)epoll_ctl(w->epoll, EPOLL_CTL_ADD, fd, &e);
	}
}

void wire_close(struct wire *w, bool reset)
{
	const struct linger at_once = {.l_onoff = 1};

	if (reset)
		(void)setsockopt(w->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	if (w->epoll >= 0)
		close(w->epoll);
	close(w->fd);
}

void wire_queue(struct wire *w, const uint8_t *data, size_t len)
{
	w->out = data;
	w->out_len = len;
	w->out_at = 0;
	w->n_cuts = 0;
	w->single = 0;
	w->pause_us = 0;
	w->how = SEND_PLAIN;
}

static bool wire_has_output(const struct wire *w)
{
	return w->out_at < w->out_len;
}

/* Where the send that begins at out_at ends. */
static size_t wire_cut(const struct wire *w)
{
	if (w->out_at < w->single && w->out_at < w->out_len)
		return w->out_at + 1;
	for (uint32_t i = 0; i < w->n_cuts; i++)
		if (w->cuts[i] > w->out_at && w->cuts[i] < w->out_len)
			return w->cuts[i];
	return w->out_len;
}

static ssize_t send_vectors(struct wire *w, const uint8_t *p, size_t len)
{
	struct iovec iov[3] = {{(void *)p, len / 3},
			       {(void *)(p + len / 3), len / 3},
			       {(void *)(p + len / 3 * 2), len - len / 3 * 2}};
	const struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 3};

	return sendmsg(w->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/*
 * sendfile() has no flag for not waiting, and a pipelining client that waits does not read: what is
 * small enough for any socket's buffer, once there is room (then a third of it is free).
 */
static ssize_t send_file(struct wire *w, const uint8_t *p, size_t len)
{
	struct pollfd room = {.fd = w->fd, .events = POLLOUT};
	int file;
	off_t at = 0;
	ssize_t n;

	if (poll(&room, 1, 0) == 0) {
		errno = EAGAIN;
		return -1;
	}
	file = memfd_create("torture", MFD_CLOEXEC);
	len = len < SENDFILE_MAX ? len : SENDFILE_MAX;
	if (file < 0 || pwrite(file, p, len, 0) != (ssize_t)len)
		abort();
	n = sendfile(w->fd, file, &at, len);
	close(file);
	return n;
}

static ssize_t send_piece(struct wire *w, const uint8_t *p, size_t len, bool last)
{
	int flags = MSG_DONTWAIT | MSG_NOSIGNAL;

	switch (w->how) {
	case SEND_WRITEV:
		return send_vectors(w, p, len);
	case SEND_SENDFILE:
		return send_file(w, p, len);
	case SEND_MORE:
		return send(w->fd, p, len, last ? flags : flags | MSG_MORE);
	default:
		return send(w->fd, p, len, flags);
	}
}

/*
 * Bytes that were to be moved into a server's socket, or out through a lane, which ended in that
 * moment, are gone, and the kernel says EPIPE or ECONNRESET though the connection lives
 * (tcp_bpf_sendmsg_redir()). Whoever went on behind that would say something else than he means.
 */
static int wire_error(const struct wire *w, int err)
{
	struct tcp_info info = {0};
	socklen_t len = sizeof(info);

	if (err == EAGAIN)
		return 0;
	if ((err == EPIPE || err == ECONNRESET) &&
	    !getsockopt(w->fd, IPPROTO_TCP, TCP_INFO, &info, &len) &&
	    info.tcpi_state == TCP_ESTABLISHED)
		return -ENOLINK;
	return -err;
}

/* Sends what the socket takes. 0: all, or it takes no more. */
static int wire_push(struct wire *w)
{
	while (wire_has_output(w)) {
		size_t end = wire_cut(w);
		ssize_t n = send_piece(w, w->out + w->out_at, end - w->out_at, end == w->out_len);

		if (n < 0)
			return wire_error(w, errno);
		w->out_at += n;
		if (w->pause_us && w->out_at == end && wire_has_output(w))
			usleep(w->pause_us);
	}
	return 0;
}

/* Waits until there is input, or room for output. */
static int wire_wait_for(struct wire *w, bool in, bool out)
{
	struct pollfd p = {.fd = w->fd, .events = (in ? POLLIN : 0) | (out ? POLLOUT : 0)};
	struct epoll_event e;
	int n;

	do {
		/* An edge is due to whoever has just seen EAGAIN, and to nobody else. */
		n = w->wait == WAIT_EDGE && in ? epoll_wait(w->epoll, &e, 1, wire_patience_ms)
					       : poll(&p, 1, wire_patience_ms);
	} while (n < 0 && errno == EINTR);
	return n > 0 ? 0 : n < 0 ? -errno : -ETIMEDOUT;
}

static void wire_compact(struct wire *w)
{
	if (!w->pos)
		return;
	memmove(w->in, w->in + w->pos, w->end - w->pos);
	w->end -= w->pos;
	w->pos = 0;
}

/* Reads once. 1: something, or the end; 0: nothing there. */
static int wire_pull(struct wire *w, int flags)
{
	ssize_t n;

	if (w->end == WIRE_IN_MAX)
		wire_compact(w);
	if (w->end == WIRE_IN_MAX || w->eof)
		return 0;
	n = recv(w->fd, w->in + w->end, WIRE_IN_MAX - w->end, flags);
	if (n < 0)
		return errno == EAGAIN ? 0 : -errno;
	w->eof = n == 0;
	w->end += n;
	return 1;
}

int wire_fill(struct wire *w)
{
	bool blocking = w->wait == WAIT_BLOCKING;
	int err;

	for (;;) {
		/* The far end may have answered before it closed: read on. The socket tells of a
		 * reset once, and then of an end. */
		err = wire_push(w);
		if (err == -ENOLINK)
			return err;
		if (err)
			w->out_at = w->out_len;
		w->reset |= err == -ECONNRESET;
		if (w->eof)
			return w->reset ? -ECONNRESET : -ENODATA;
		err = wire_pull(w, blocking && !wire_has_output(w) ? 0 : MSG_DONTWAIT);
		if (err < 0)
			return err;
		if (err > 0 && !w->eof)
			return 0;
		if (err > 0)
			return w->reset ? -ECONNRESET : -ENODATA;
		/* A blocking reader that has sent its FIN may see EAGAIN at once (README). */
		blocking = false;
		err = wire_wait_for(w, true, wire_has_output(w));
		if (err)
			return err;
	}
}

int wire_flush(struct wire *w)
{
	int err = 0;

	while (!err) {
		err = wire_push(w);
		w->reset |= err == -ECONNRESET;
		if (err || !wire_has_output(w))
			break;
		while (!w->eof && wire_pull(w, MSG_DONTWAIT) > 0)
			;
		err = wire_wait_for(w, !w->eof && w->end - w->pos < WIRE_IN_MAX, true);
	}
	return err;
}

static int wire_is_wrong(struct wire *w, const char *what, const void *text, size_t len)
{
	snprintf(w->wrong, sizeof(w->wrong), "%s '%.*s'", what, (int)(len < 100 ? len : 100),
		 (const char *)text);
	return -EBADMSG;
}

int wire_line(struct wire *w, char **ret_line)
{
	uint8_t *lf;
	size_t len;
	int err;

	for (;;) {
		lf = memchr(w->in + w->pos, '\n', w->end - w->pos);
		if (lf)
			break;
		if (w->end - w->pos > WIRE_LINE_MAX)
			return wire_is_wrong(w, "no line", w->in + w->pos, w->end - w->pos);
		wire_compact(w);
		err = wire_fill(w);
		if (err)
			return err;
	}
	len = lf - (w->in + w->pos);
	if (!len || lf[-1] != '\r' || memchr(w->in + w->pos, '\r', len - 1) || len > WIRE_LINE_MAX)
		return wire_is_wrong(w, "line", w->in + w->pos, len);
	lf[-1] = '\0';
	*ret_line = (char *)w->in + w->pos;
	w->pos += len + 1;
	w->taken += len + 1;
	return 0;
}

ssize_t wire_take(struct wire *w, size_t max, const uint8_t **ret_data)
{
	size_t n;
	int err;

	if (w->pos == w->end) {
		w->pos = w->end = 0;
		err = wire_fill(w);
		if (err)
			return err;
	}
	n = w->end - w->pos < max ? w->end - w->pos : max;
	*ret_data = w->in + w->pos;
	w->pos += n;
	w->taken += n;
	return n;
}

int wire_ends(struct wire *w)
{
	int err;

	if (w->pos < w->end)
		return wire_is_wrong(w, "bytes behind the last", w->in + w->pos, w->end - w->pos);
	if (w->eof)
		return 0;
	err = wire_fill(w);
	if (err == -ENODATA)
		return 0;
	return err ? err : wire_is_wrong(w, "bytes behind the last", w->in, w->end);
}

static int head_number(struct wire *w, const char *value, int base, int64_t *field)
{
	char *end;

	if (*field >= 0)
		return wire_is_wrong(w, "twice", value, strlen(value));
	*field = strtoull(value, &end, base);
	return *value && !*end ? 0 : wire_is_wrong(w, "number", value, strlen(value));
}

static int head_field(struct wire *w, struct wire_head *h, char *line)
{
	char *colon = strchr(line, ':'), *value;

	if (!colon || colon == line || strcspn(line, " \t") < (size_t)(colon - line))
		return wire_is_wrong(w, "header", line, strlen(line));
	*colon = '\0';
	value = colon + 1 + strspn(colon + 1, " ");
	if (!strcasecmp(line, "content-length"))
		return head_number(w, value, 10, &h->length);
	if (!strcasecmp(line, "x-len"))
		return head_number(w, value, 10, &h->x_len);
	if (!strcasecmp(line, "x-sum"))
		return head_number(w, value, 16, &h->x_sum);
	if (!strcasecmp(line, "transfer-encoding")) {
		if (h->chunked || strcasecmp(value, "chunked"))
			return wire_is_wrong(w, "coding", value, strlen(value));
		h->chunked = true;
	} else if (!strcasecmp(line, "connection")) {
		h->close |= !strcasecmp(value, "close");
	} else if (!strcasecmp(line, "expect")) {
		h->continues = true;
	}
	return 0;
}

int wire_head(struct wire *w, struct wire_head *h)
{
	char *line;
	int err;

	memset(h, 0, sizeof(*h));
	h->length = h->x_len = h->x_sum = -1;
	err = wire_line(w, &line);
	if (err)
		return err;
	strcpy(h->first, line);
	for (;;) {
		err = wire_line(w, &line);
		if (err || !*line)
			break;
		err = head_field(w, h, line);
		if (err)
			break;
	}
	if (!err && h->chunked && h->length >= 0)
		err = wire_is_wrong(w, "length and chunked", h->first, strlen(h->first));
	return err;
}

int wire_body_length(struct wire *w, uint64_t len, wire_body_fn fn, void *ctx)
{
	const uint8_t *data = NULL;
	ssize_t n;
	int err;

	while (len) {
		n = wire_take(w, len, &data);
		if (n < 0)
			return n;
		err = fn(ctx, data, n);
		if (err)
			return err;
		len -= n;
	}
	return 0;
}

int wire_body_chunked(struct wire *w, wire_body_fn fn, void *ctx)
{
	uint64_t size = 1;
	char *line, *end;
	int err;

	while (size) {
		err = wire_line(w, &line);
		if (err)
			return err;
		size = strtoull(line, &end, 16);
		if (end == line || (*end && *end != ';'))
			return wire_is_wrong(w, "chunk size", line, strlen(line));
		if (!size)
			break;
		err = wire_body_length(w, size, fn, ctx);
		if (!err)
			err = wire_line(w, &line);
		if (!err && *line)
			err = wire_is_wrong(w, "behind a chunk", line, strlen(line));
		if (err)
			return err;
	}
	do {
		err = wire_line(w, &line);
	} while (!err && *line);
	return err;
}

int wire_body_close(struct wire *w, wire_body_fn fn, void *ctx)
{
	const uint8_t *data = NULL;
	ssize_t n;
	int err;

	for (;;) {
		n = wire_take(w, WIRE_IN_MAX, &data);
		if (n == -ENODATA)
			return 0;
		if (n < 0)
			return n;
		err = fn(ctx, data, n);
		if (err)
			return err;
	}
}
