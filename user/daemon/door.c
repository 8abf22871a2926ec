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

/* Into the map by cookie first: from the insertion on the program looks itself up there. */
static bool insert(struct worker *w, struct io *io, int map_fd, const struct sl_socket *me,
		   __u64 cookie)
{
	int one = 1;

	if (sl_maps_cookie_set(w->maps, cookie, me))
		return false;
	if (sl_maps_sockmap_set(map_fd, me->slot, io->fd)) {
		(void)sl_maps_cookie_del(w->maps, cookie);
		return false;
	}
	io->steered = true;
	/* tcp_set_rcvlowat() -> tcp_data_ready(): what came before the insertion is shown to the
	 * program now instead of with the next segment. */
	(void)setsockopt(io->fd, SOL_SOCKET, SO_RCVLOWAT, &one, sizeof(one));
	return true;
}

static bool doors_open(const struct worker *w)
{
	return (SL_READ(w->maps->control->flags) & (SL_C_DOOR_SKB | SL_C_BYPASS)) == SL_C_DOOR_SKB;
}

void door_front(struct worker *w, struct front *f)
{
	struct sl_socket me = {.role = SL_ROLE_FRONT, .slot = f->slot, .gen = f->gen};

	if (f->slot == NO_SLOT || (session_bits(f) & SL_S_CLIENT))
		return;
	large_sndbuf(f->io.fd);
	if (doors_open(w) && insert(w, &f->io, w->maps->fronts_skb_fd, &me, f->s->front_cookie))
		f->s->front_skb |= SL_SKB_DOOR;
}

void door_back(struct worker *w, struct back *b)
{
	struct sl_socket me = {.role = SL_ROLE_BACK, .slot = b->slot, .gen = b->gen};

	if (b->slot == NO_SLOT || (lane_bits(b) & SL_L_PAIRED))
		return;
	large_sndbuf(b->io.fd);
	if (doors_open(w) && insert(w, &b->io, w->maps->backs_skb_fd, &me, b->l->back_cookie))
		b->l->back_skb |= SL_SKB_DOOR;
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

/*
 * BPF ends an exchange in the server's send, just before the kernel moves the bytes into the
 * client: a FIN of ours at that very moment would overtake them. There is no hook behind the
 * move; a send takes microseconds, unless its thread has to wait for a CPU. Only a client that has
 * shut down one direction and still reads is to be waited for: one that has closed is in no map.
 */
static bool may_be_moving(const struct worker *w, const struct front *f)
{
	return f->io.rdhup && (session_bits(f) & SL_S_CLIENT) &&
	       (__s64)(w->now_ns - SL_READ(f->s->last_ns)) < (__s64)MOVE_NS &&
	       sl_maps_sockmap_has(w->maps->clients_fd, f->slot);
}

bool door_drained(struct worker *w, struct front *f)
{
	struct back *b = f->back;

	if (!may_be_moving(w, f) &&
	    drained(f->io.fd, &f->s->front_skb, false, SL_READ(f->s->front_tx)) &&
	    (!b || drained(b->io.fd, &b->l->back_skb, true, SL_READ(b->l->back_tx))))
		return true;
	if (list_empty(&f->undrained))
		list_add(&w->undrained, &f->undrained);
	return false;
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
