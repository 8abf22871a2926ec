/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The writes of one wake-up, put to the kernel together by io_uring. Written one by one, each wakes
 * its reader, and without kernel preemption (PREEMPT_NONE, PREEMPT_LAZY) that reader takes the CPU
 * when the system call returns: it finds one message, and so do we, being woken again. Behind one
 * system call for all of them both sides find many.
 *
 * Nothing of an exchange changes while it waits here: what it writes is taken when the wake-up
 * ends, as if the socket had had no room until then. Every write is done or refused when the call
 * returns (MSG_DONTWAIT: io_uring keeps none), so the rest is as after send().
 */
#include <errno.h>
#include <liburing.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include "internal.h"

#define ROUND 64	   /* exchanges written in one system call */
#define SMALL 4096	   /* bytes: a larger write is worth a system call of its own */
#define WRITES (2 * ROUND) /* each may have one either way */

struct outgoing {
	struct front *front;
	bool response; /* to the client; else to the lane */
	ssize_t result;
	struct parts parts;
	struct msghdr msg;
};

struct outbox {
	struct io_uring ring;
	bool gathers;
	bool broken;	 /* the ring has failed, which it never should: no more of it */
	struct list due; /* fronts */
	struct outgoing writes[WRITES];
	__u32 n;
};

/* NULL: no memory, or no io_uring (kernel.io_uring_disabled, seccomp): each write is made at once.
 */
static struct outbox *outbox_open(void)
{
	struct outbox *o = calloc(1, sizeof(*o));

	if (!o)
		return NULL;
	if (io_uring_queue_init(WRITES, &o->ring,
				IORING_SETUP_SUBMIT_ALL | IORING_SETUP_SINGLE_ISSUER |
					IORING_SETUP_DEFER_TASKRUN)) {
		free(o);
		return NULL;
	}
	list_init(&o->due);
	return o;
}

void outbox_free(struct worker *w)
{
	if (!w->outbox)
		return;
	io_uring_queue_exit(&w->outbox->ring);
	free(w->outbox);
	w->outbox = NULL;
}

/* Here and not at the start: the ring is the thread's that opens it. */
void outbox_gather(struct worker *w)
{
	if (!w->outbox_tried) {
		w->outbox_tried = true;
		w->outbox = outbox_open();
	}
	if (w->outbox)
		w->outbox->gathers = !w->outbox->broken;
}

bool outbox_add(struct worker *w, struct front *f, const struct parts *parts)
{
	struct outbox *o = w->outbox;

	/*
	 * What BPF has a part in is marked at the write, and BPF looks. A request whose answer is
	 * BPF's could wait, but gains nothing by it: 0.70 of direct connections either way.
	 */
	if (!o || !o->gathers || f->x.kernel || parts->total > SMALL || parts->flags)
		return false;
	if (list_empty(&f->outgoing))
		list_add(&o->due, &f->outgoing);
	return true;
}

static void put(struct outbox *o, struct front *f, bool response)
{
	struct outgoing *out = &o->writes[o->n++];

	out->front = f;
	out->response = response;
	out->msg = (struct msghdr){.msg_iov = out->parts.iov, .msg_iovlen = out->parts.n};
}

static void prepare(struct outbox *o, struct outgoing *out)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&o->ring);
	const int flags = MSG_DONTWAIT | MSG_NOSIGNAL;

	if (out->parts.n == 1)
		io_uring_prep_send(sqe, out->parts.fd, out->parts.iov[0].iov_base,
				   out->parts.iov[0].iov_len, flags);
	else
		io_uring_prep_sendmsg(sqe, out->parts.fd, &out->msg, flags);
	io_uring_sqe_set_data(sqe, out);
}

/* The writes from number @i on, one by one. */
static void send_from(struct outbox *o, __u32 i)
{
	for (; i < o->n; i++)
		o->writes[i].result = parts_send(&o->writes[i].parts);
}

/* Makes all the writes. Each has its result then. */
static void submit(struct outbox *o)
{
	struct io_uring_cqe *cqe;
	__u32 done = 0;
	int rc;

	for (__u32 i = 0; i < o->n; i++) {
		prepare(o, &o->writes[i]);
		o->writes[i].result = -EINPROGRESS;
	}
	while (done < o->n && !o->broken) {
		rc = io_uring_submit_and_wait(&o->ring, o->n - done);
		o->broken = rc < 0 && rc != -EINTR;
		while (!io_uring_peek_cqe(&o->ring, &cqe)) {
			((struct outgoing *)io_uring_cqe_get_data(cqe))->result = cqe->res;
			io_uring_cqe_seen(&o->ring, cqe);
			done++;
		}
	}
	if (o->broken)
		send_from(o, o->n - io_uring_sq_ready(&o->ring));
}

/* Takes what the next exchanges have to write. Their fronts go to @written. */
static void collect(struct worker *w, struct outbox *o, struct list *written)
{
	o->n = 0;
	while (!list_empty(&o->due) && o->n + 2 <= WRITES) {
		struct front *f = FRONT_OF(o->due.next, outgoing);

		list_del(&f->outgoing);
		list_add(written, &f->outgoing);
		if (f->x.tunnel || !list_empty(&f->undrained))
			continue; /* since it was added: exchange_run() has other ways for it */
		if (request_offer(w, f, &o->writes[o->n].parts))
			put(o, f, false);
		if (response_offer(w, f, &o->writes[o->n].parts))
			put(o, f, true);
	}
}

/*
 * All results are noted before the first exchange goes on: it may touch others, which would write
 * again what has been written.
 */
static void go_on(struct worker *w, struct outbox *o, struct list *written)
{
	for (__u32 i = 0; i < o->n; i++) {
		const struct outgoing *out = &o->writes[i];

		if (out->response ? response_written(out->front, &out->parts, out->result)
				  : request_written(out->front, &out->parts, out->result))
			out->front->x.moved_ns = w->now_ns;
	}
	while (!list_empty(written)) {
		struct front *f = FRONT_OF(written->next, outgoing);

		list_del(&f->outgoing);
		front_event(w, f);
	}
}

void outbox_flush(struct worker *w)
{
	struct outbox *o = w->outbox;

	if (!o)
		return;
	o->gathers = false;
	while (!list_empty(&o->due)) {
		struct list written = {&written, &written};

		collect(w, o, &written);
		if (o->n > 1 && !o->broken)
			submit(o);
		else
			send_from(o, 0);
		go_on(w, o, &written);
	}
}
