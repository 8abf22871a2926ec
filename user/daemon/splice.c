// SPDX-License-Identifier: GPL-2.0-only
/*
 * Large answers between remote ends, whose bytes nobody has to look at: they go from our lane to
 * our front through a pipe, as pages, and are not copied here and back. What is near an answer's
 * end takes the ordinary way, and so all that an end asks for is done there alone. Where a program
 * of ours sees what is sent (a paired lane, a steered front) bytes are not ours to pass by.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>
#include "internal.h"

#define FAR (128 * 1024) /* bytes to come for which a pipe is worth while */
#define REST 65536	 /* ... that are left to the ordinary way */

bool ends_are_remote(const struct front *f)
{
	return !f->steered && !f->s->client_sk && !(lane_bits(f->back) & SL_L_PAIRED);
}

/* By F_SETSIG, which nobody else uses for a pipe: the next worker knows what it can close. */
#define MARK (SIGRTMAX - 3)

bool splice_is_ours(int fd)
{
	return fcntl(fd, F_GETSIG) == MARK;
}

static bool pipe_make(struct pipe *p)
{
	int fds[2];

	if (pipe2(fds, O_NONBLOCK | O_CLOEXEC))
		return false;
	(void)fcntl(fds[0], F_SETSIG, MARK);
	(void)fcntl(fds[1], F_SETSIG, MARK);
	/* Over /proc/sys/fs/pipe-user-pages-soft it stays as small as it is. */
	(void)fcntl(fds[0], F_SETPIPE_SZ, PIPE_BYTES);
	*p = (struct pipe){.read_fd = fds[0], .write_fd = fds[1], .open = true};
	return true;
}

/* False: none can be had, and buffers do. Sessions and lanes need descriptors more than we. */
static bool pipe_take(struct worker *w, struct pipe *p)
{
	if (p->open)
		return true;
	if (limits_heap_full(w))
		return false;
	if (w->n_pipes)
		*p = w->pipes[--w->n_pipes];
	else if (w->n_pipes_used >= w->max_pipes || !pipe_make(p))
		return false;
	SL_WRITE(w->n_pipes_used, w->n_pipes_used + 1);
	return true;
}

static void pipe_close(struct pipe *p)
{
	close(p->read_fd);
	close(p->write_fd);
}

void splice_drop(struct worker *w, struct front *f)
{
	struct pipe *p = &f->pipe;

	if (!p->open)
		return;
	SL_WRITE(w->n_pipes_used, w->n_pipes_used - 1);
	if (!p->n && w->n_pipes < sizeof(w->pipes) / sizeof(w->pipes[0]))
		w->pipes[w->n_pipes++] = *p;
	else
		pipe_close(p);
	*p = (struct pipe){0};
}

void splice_pool_free(struct worker *w)
{
	while (w->n_pipes)
		pipe_close(&w->pipes[--w->n_pipes]);
}

/* Whether the next bytes of the answer may go through the pipe. */
static bool is_far(const struct front *f)
{
	const struct exchange *x = &f->x;
	const struct back *b = f->back;

	return x->resp == SIDE_BODY && x->resp_body.kind == SL_BODY_LENGTH &&
	       x->resp_body.left > (x->spliced ? REST : FAR) && b && !x->connecting && !x->kernel &&
	       !b->io.urgent && /* splice() does not pass it */
	       !b->blind && !x->abort && !b->io.eof && f->rin.pos == f->rin.end &&
	       f->out.pos == f->out.end && ends_are_remote(f);
}

/*
 * What the next splice() takes, or would have to wait for. Of bytes that a program of somebody else
 * has put into the lane's socket, such as the sluice that it leads to, splice() sees nothing
 * (tcp_splice_read() has its own queue alone): then it is tried no more.
 */
static ssize_t take(const struct front *f, size_t most)
{
	struct back *b = f->back;
	char byte;

	for (int i = 0;; i++) {
		ssize_t n = splice(b->io.fd, NULL, f->pipe.write_fd, NULL, most,
				   SPLICE_F_MOVE | SPLICE_F_NONBLOCK);

		if (n >= 0 || errno != EAGAIN)
			return n;
		/* Twice: they may have come between the two. */
		b->blind = i;
		if (i || f->x.spliced || recv(b->io.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) <= 0) {
			errno = EAGAIN;
			return n;
		}
	}
}

/* Fills the empty pipe. False: there is nothing, or the ordinary way is to find out what is wrong.
 */
static bool fill(struct worker *w, struct front *f)
{
	__u64 most = f->x.resp_body.left - REST;
	struct back *b = f->back;
	ssize_t n;

	if (!b->io.readable || !pipe_take(w, &f->pipe))
		return false;
	n = take(f, most < PIPE_BYTES ? most : PIPE_BYTES);
	if (n < 0 && errno == EAGAIN && !b->blind)
		b->io.readable = false;
	if (n <= 0)
		return false;
	sl_add(&b->l->back_rx, (__u32)n);
	f->x.resp_body.left -= n;
	f->x.spliced = true;
	f->pipe.n = n;
	return true;
}

static bool empty(struct worker *w, struct front *f)
{
	struct pipe *p = &f->pipe;
	unsigned int more = f->back && f->back->io.readable ? SPLICE_F_MORE : 0;
	ssize_t n;

	if (!f->io.writable || !door_moved(w, f))
		return false;
	n = splice(p->read_fd, NULL, f->io.fd, NULL, p->n,
		   SPLICE_F_MOVE | SPLICE_F_NONBLOCK | more);
	if (n > 0) {
		sl_add(&f->s->front_tx, (__u32)n);
		f->tx_seen += n;
		f->corked = more;
		p->n -= n;
		return true;
	}
	if (n < 0 && errno == EINTR)
		return true;
	f->io.writable = false;
	if (n < 0 && errno != EAGAIN)
		front_close(w, f);
	return false;
}

bool response_splice(struct worker *w, struct front *f)
{
	bool moved = (f->pipe.n || (is_far(f) && fill(w, f))) && empty(w, f);

	/* Not while it waits for the server. */
	if (!f->pipe.n)
		splice_drop(w, f);
	return moved;
}
