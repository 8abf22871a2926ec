// SPDX-License-Identifier: GPL-2.0-only
/*
 * Our own ends of connections as BPF uses them: buffers of those that it sends through, the program
 * on a back whose server is on this host, and the order of what we write with what BPF moves.
 */
#include <errno.h>
#include <netinet/in.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include "internal.h"

/*
 * BPF sends through a socket what fits its send buffer, the rest is ours: make it large. Best
 * effort: net.core.wmem_max cuts it without CAP_NET_ADMIN.
 */
#define DOOR_SNDBUF (1024 * 1024)

#define MOVE_NS (100 * NS_PER_MS)

#define WRITTEN_LOOKS 2

#define STATE_CLOSE 7 /* TCP_CLOSE of netinet/tcp.h, which excludes linux/tcp.h */

static void large_sndbuf(int fd)
{
	int size = DOOR_SNDBUF;

	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)))
		(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
}

bool door_front(struct worker *w, struct front *f)
{
	if (f->steered)
		return true;
	large_sndbuf(f->io.fd);
	f->steered = !sl_maps_sockmap_set(w->maps->fronts_fd, f->slot, f->io.fd);
	return f->steered;
}

void door_back(struct worker *w, struct back *b)
{
	if (b->slot == NO_SLOT)
		return;
	if (lane_bits(b) & SL_L_PAIRED) {
		/* Without it what we send goes by TCP. */
		(void)sl_maps_sockmap_set(w->maps->backs_msg_fd, b->slot, b->io.fd);
		return;
	}
	/* What clients on this host ask goes out through it; they are the main thread's. */
	if (!is_main(w) || !(SL_READ(w->maps->control->flags) & SL_C_COLOCATED_CLIENTS))
		return;
	large_sndbuf(b->io.fd);
	if (sl_maps_sockmap_set(w->maps->backs_fd, b->slot, b->io.fd))
		lane_mark_surplus(b);
}

/*
 * What is acknowledged and what is not yet are all that was written. Not bytes_sent: it counts a
 * segment that the queue of the device drops as well, and again when it is sent. Acknowledgements
 * that come between the two looks make it too little, never too much.
 */
static bool written_is(int fd, __u32 tx, bool *ret_over)
{
	struct tcp_info info = {0};
	socklen_t len = sizeof(info);
	int unacked;

	/* Of a socket that is no more the write will tell; what was queued has gone with it. */
	*ret_over = getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) ||
		    info.tcpi_state == STATE_CLOSE || ioctl(fd, SIOCOUTQ, &unacked);
	return !*ret_over && (__u32)info.tcpi_bytes_acked + unacked == tx;
}

bool door_written(int fd, __u32 tx)
{
	bool over = false;

	for (int i = 0; i < WRITTEN_LOOKS && !over; i++)
		if (written_is(fd, tx, &over))
			return true;
	return over;
}

/* A FIN is a byte more that has come (tcp_rcv_nxt_update() counts sequence numbers). */
bool door_fin(int fd, __u32 rx)
{
	struct tcp_info info = {0};
	socklen_t len = sizeof(info);

	return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) ||
	       (__u32)info.tcpi_bytes_received != rx;
}

/* @f is looked at again a millisecond later. */
static bool wait_for(struct worker *w, struct front *f)
{
	if (!f->undrained_ns)
		f->undrained_ns = w->now_ns;
	if (list_empty(&f->undrained))
		list_add(&w->undrained, &f->undrained);
	return false;
}

/*
 * Into a client: see session.mover. A move that has failed never lands, and looks the same as one
 * that is held up, by the client's lock or for want of a CPU: however long ago it began, it can
 * land behind what we write. So only BPF clears the mark, where it knows: the bytes are there, or
 * their thread sends again. Else the session ends (door_is_lost()), and nothing more is written.
 */
static bool has_landed(const struct front *f)
{
	return !SL_READ(f->s->mover) || !(session_bits(f) & SL_S_CLIENT);
}

/*
 * test_order.py shows both, by a lock that is held: `next_answer`, that we wait; `held_up`, that no
 * time that passes makes us write.
 */
bool door_is_lost(const struct worker *w, const struct front *f)
{
	return !has_landed(f) && (__s64)(w->now_ns - SL_READ(f->s->last_ns)) > (__s64)LOST_NS;
}

/*
 * BPF counts what it redirects, and ends the exchange, before the kernel moves the bytes. Out
 * through front its write_seq tells, which only BPF's bytes make it worth to ask for.
 */
static bool all_moved(struct front *f)
{
	__u32 tx = SL_READ(f->s->front_tx);

	if (!has_landed(f) || (f->tx_seen != tx && !door_written(f->io.fd, tx)))
		return false;
	f->tx_seen = tx;
	return true;
}

bool door_moved(struct worker *w, struct front *f)
{
	if (f->slot != NO_SLOT && !all_moved(f))
		return wait_for(w, f);
	f->undrained_ns = 0;
	return true;
}

/*
 * A FIN of ours must not overtake bytes that are being moved. Where nothing tells that they are in
 * the client: a send takes microseconds, unless its thread has to wait for a CPU. Only a client
 * that has shut down one direction and still reads is to be waited for: one that has closed is in
 * no map.
 */
static bool may_be_moving(const struct worker *w, struct front *f)
{
	if (!f->io.rdhup || f->slot == NO_SLOT)
		return false;
	if (!(session_bits(f) & SL_S_CLIENT) || (SL_READ(w->maps->control->flags) & SL_C_LANDED))
		return !all_moved(f);
	return (__s64)(w->now_ns - SL_READ(f->s->last_ns)) < (__s64)MOVE_NS &&
	       sl_maps_sockmap_has(w->maps->clients_fd, f->slot);
}

bool door_settled(struct worker *w, struct front *f)
{
	if (may_be_moving(w, f))
		return wait_for(w, f);
	if (f->io.rdhup)
		f->undrained_ns = 0;
	return true;
}

/* For too long: what BPF has promised never came, since the server's send failed half way. */
static bool is_stuck(const struct worker *w, const struct front *f)
{
	__u64 ns = limits_stream_idle_ms(w, f, limits_of_route(w, f->s->route)) * NS_PER_MS;

	if (f->io.fd < 0 || list_empty(&f->undrained))
		return false;
	return SL_READ(f->s->mover) == SL_MOVER_TORN || door_is_lost(w, f) ||
	       (f->undrained_ns && ns && w->now_ns - f->undrained_ns >= ns);
}

void door_retry(struct worker *w)
{
	struct list waiting;

	list_take(&waiting, &w->undrained);
	while (!list_empty(&waiting)) {
		struct front *f = FRONT_OF(waiting.next, undrained);

		list_del(&f->undrained);
		front_event(w, f);
		if (is_stuck(w, f)) {
			count_limit(w, SL_COUNT_DOWN_RQ_IDLE, NO_INDEX);
			front_abort(w, f);
		}
	}
}
