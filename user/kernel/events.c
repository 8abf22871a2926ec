// SPDX-License-Identifier: GPL-2.0-only
#include "maps.h"

#include <errno.h>
#include <stdlib.h>

#include <bpf/libbpf.h>

#define BATCH 256 /* told at a time: who is answered at once may be asking again already */

struct sl_events {
	struct ring_buffer *ring;
	void (*fn)(void *ctx, const struct sl_event *e);
	void *ctx;
	int n; /* of this batch */
};

static int on_sample(void *arg, void *data, size_t size)
{
	struct sl_events *ev = arg;

	if (size >= sizeof(struct sl_event))
		ev->fn(ev->ctx, data);
	return ++ev->n < BATCH ? 0 : -EAGAIN;
}

struct sl_events *sl_events_open(const struct sl_maps *m,
				 void (*fn)(void *ctx, const struct sl_event *e), void *ctx)
{
	struct sl_events *ev = calloc(1, sizeof(*ev));

	if (!ev)
		return NULL;
	ev->fn = fn;
	ev->ctx = ctx;
	ev->ring = ring_buffer__new(m->events_fd, on_sample, ev, NULL);
	if (!ev->ring) {
		free(ev);
		return NULL;
	}
	return ev;
}

int sl_events_poll_fd(const struct sl_events *ev)
{
	return ring_buffer__epoll_fd(ev->ring);
}

int sl_events_consume(struct sl_events *ev)
{
	int rc;

	ev->n = 0;
	rc = ring_buffer__consume(ev->ring);
	return rc == -EAGAIN ? ev->n : rc;
}

void sl_events_close(struct sl_events *ev)
{
	if (!ev)
		return;
	ring_buffer__free(ev->ring);
	free(ev);
}
