// SPDX-License-Identifier: GPL-2.0-only
/*
 * The sk_skb doors of the daemon's own sockets: a front whose client is remote and a back whose
 * server is remote get a verdict program, by which BPF steers what the daemon need not see.
 */
#include <errno.h>
#include <netinet/in.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include "internal.h"

/*
 * A redirect is queued for a kworker, which waits a jiffy when the send buffer is half full: make
 * it large. Best effort: net.core.wmem_max cuts it without CAP_NET_ADMIN.
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

void door_front(struct worker *w, struct front *f)
{
	(void)w;
	if (f->slot != NO_SLOT && !(session_bits(f) & SL_S_CLIENT))
		large_sndbuf(f->io.fd);
}

void door_back(struct worker *w, struct back *b)
{
	if (b->slot == NO_SLOT)
		return;
	if (lane_bits(b) & SL_L_PAIRED) {
		/* Without it what we send goes by TCP. */
		(void)sl_maps_sockmap_set(w->maps->backs_msg_fd, b->slot, b->io.fd);
	} else {
		large_sndbuf(b->io.fd);
	}
}

void door_close(struct worker *w, __u32 skb, __u64 cookie)
{
	if (skb & SL_SKB_DOOR)
		(void)sl_maps_cookie_del(w->maps, cookie);
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

/*
 * Whether just @tx bytes were written to the connection of @fd, or it has ended. @connected: it is
 * one of ours to a server; tcp_rcv_synsent_state_process() counts the SYN as a byte.
 */
bool door_written(int fd, bool connected, __u32 tx)
{
	bool over = false;

	for (int i = 0; i < WRITTEN_LOOKS && !over; i++)
		if (written_is(fd, tx + connected, &over))
			return true;
	return over;
}

/*
 * Whether all that verdicts redirected out through @fd has been written: @tx is front_tx or
 * back_tx. QUEUED is never taken back: BPF may queue more between a look at the counters and that.
 */
static bool drained(int fd, const __u32 *skb, bool connected, __u32 tx)
{
	return !(SL_READ(*skb) & SL_SKB_QUEUED) || door_written(fd, connected, tx);
}

/* @f is looked at again a millisecond later. */
static bool wait_for(struct worker *w, struct front *f)
{
	if (list_empty(&f->undrained))
		list_add(&w->undrained, &f->undrained);
	return false;
}

/*
 * BPF counts what it redirects, and ends the exchange, before the kernel moves the bytes: there is
 * no hook behind the move. Out through front its write_seq tells, which only BPF's bytes make it
 * worth to ask for.
 */
static bool all_moved(struct front *f)
{
	__u32 tx = SL_READ(f->s->front_tx);

	if (f->tx_seen != tx && !door_written(f->io.fd, false, tx))
		return false;
	f->tx_seen = tx;
	return true;
}

bool door_moved(struct worker *w, struct front *f)
{
	return f->slot == NO_SLOT || all_moved(f) || wait_for(w, f);
}

/*
 * A FIN of ours must not overtake bytes that are being moved. Into a client nothing tells; a send
 * takes microseconds, unless its thread has to wait for a CPU. Only a client that has shut down one
 * direction and still reads is to be waited for: one that has closed is in no map.
 */
static bool may_be_moving(const struct worker *w, struct front *f)
{
	if (!f->io.rdhup || f->slot == NO_SLOT)
		return false;
	if (!(session_bits(f) & SL_S_CLIENT))
		return !all_moved(f);
	return (__s64)(w->now_ns - SL_READ(f->s->last_ns)) < (__s64)MOVE_NS &&
	       sl_maps_sockmap_has(w->maps->clients_fd, f->slot);
}

bool door_drained(struct worker *w, struct front *f)
{
	struct back *b = f->back;

	if (!may_be_moving(w, f) &&
	    drained(f->io.fd, &f->s->front_skb, false, SL_READ(f->s->front_tx)) &&
	    (!b || drained(b->io.fd, &b->l->back_skb, true, SL_READ(b->l->back_tx))))
		return true;
	return wait_for(w, f);
}

void door_retry(struct worker *w)
{
	struct list waiting = {&waiting, &waiting};

	while (!list_empty(&w->undrained)) {
		struct list *node = w->undrained.next;

		list_del(node);
		list_add(&waiting, node);
	}
	while (!list_empty(&waiting)) {
		struct front *f = FRONT_OF(waiting.next, undrained);

		list_del(&f->undrained);
		front_event(w, f);
	}
}
