/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The threads of a worker. Each has a loop, sessions and lanes of its own and touches nobody
 * else's; what they share lies in the maps, or is counted here, atomically. What one wants of
 * another it writes to it (struct mail).
 *
 * All accept connections. The main thread serves like the others, and has what there is once:
 * signals, BPF's events, health checks, names, reloads. Sessions whose client is on this host are
 * its own, whoever accepts them, since BPF steers those to lanes of the main thread's pools.
 */
#ifndef SL_CREW_H
#define SL_CREW_H

#include <pthread.h>
#include <stdbool.h>
#include <linux/types.h>

#include "sl_limits.h"
#include "sl_session.h"

struct worker;
struct back;

enum mail_kind {
	MAIL_FRONT,    /* serve `fd`, accepted by listener `index`; `socket`: what it is */
	MAIL_EVENT,    /* BPF tells of a session or lane of yours */
	MAIL_ENDPOINT, /* to the main thread: look at endpoint `index`, see outlier_look() */
	MAIL_ROOM,     /* somebody needs a lane of cluster `index`, which has as many as it may */
	MAIL_SCARCE,   /* somebody needs a descriptor: an idle lane of yours is to go */
	MAIL_LANE,     /* `back` is yours, see lane_comes() */
};

struct mail {
	enum mail_kind kind;
	int fd;
	__u32 index;
	struct sl_socket socket;
	struct sl_event event;
	struct back *back;
};

struct mailbox {
	pthread_mutex_t lock;
	int fd; /* eventfd: there is mail, or the crew is to rest; -1: nobody reads it any more */
	struct mail *mail;  /* [cap], n of them */
	struct mail *spare; /* [spare_cap], for what comes while that is read */
	__u32 n;
	__u32 cap;
	__u32 spare_cap;
	__u32 n_fronts; /* sockets in it that are to be sessions; atomically */
	bool drain;	/* finish what you have: no mail, since it must not want for memory */
	bool stop;	/* ... at once */
};

struct crew {
	struct worker *all[SL_MAX_THREADS]; /* [n]; the first is the main thread's */
	pthread_t threads[SL_MAX_THREADS];
	__u32 n;

	/* Of all, atomically. */
	__u32 n_fronts;
	__u32 n_pending[SL_MAX_CLUSTERS];
	__u32 n_retrying[SL_MAX_CLUSTERS];
	__u32 n_waiting_of[SL_MAX_CLUSTERS];
	bool had_traffic[SL_MAX_CLUSTERS]; /* a lane to the cluster was opened */
	/* Whose a slot is, for BPF's events: index of the thread. */
	__u8 session_owner[SL_MAX_SESSIONS];
	__u8 lane_owner[SL_MAX_LANES];

	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t changed;
	bool full; /* SL_C_FULL is set */
	bool pausing;
	__u32 n_paused;
	__u32 n_running;     /* besides the main thread */
	__u32 depth;	     /* of crew_pause(); the main thread */
	struct grace *grace; /* NULL: nobody waits for what is freed */
};

#define sl_each_worker(other, w)                    \
	for (__u32 i_ = 0; i_ < (w)->crew->n; i_++) \
		for (struct worker *other = (w)->crew->all[i_]; other; other = NULL)

/* Adds one to *@n_ if that is less than @max_, for all threads; yields whether it was. */
#define count_below(n_, max_)                                                    \
	({                                                                       \
		__typeof__(*(n_)) old_;                                          \
		do                                                               \
			old_ = SL_READ(*(n_));                                   \
		while (old_ < (max_) && sl_cmpxchg(n_, old_, old_ + 1) != old_); \
		old_ < (max_);                                                   \
	})

/* A crew of @main alone. 0 or -errno. */
int crew_init(struct worker *main);
/* As many threads as the instance has room for begin. 0 or -errno. */
int crew_start(struct worker *main);
/* Whether another thread runs, or has written to the main thread what that has not read yet. */
bool crew_is_busy(const struct worker *main);
/* @w the main thread: the others have ended, @hard: with all that they had in hand. */
void crew_join(struct worker *w, bool hard);
void crew_free(struct worker *main);

bool is_main(const struct worker *w);
/*
 * Whether an accepted socket's session is the main thread's in any case: BPF serves clients of this
 * host by lanes of that thread.
 */
bool crew_is_of_main(const struct worker *w, const struct sl_socket *me);
/* Whose a session is whose socket was just accepted; @me: what it is, see sl_maps_socket_get(). */
struct worker *crew_whose(struct worker *w, const struct sl_socket *me);
/* False: it has ended, or there is no memory; what is in @mail stays the caller's. */
bool crew_write(struct worker *to, const struct mail *mail);
/* The main thread to all others: the end; @hard: at once. */
void crew_drain(struct worker *main, bool hard);
void crew_read(struct worker *w);

/*
 * The main thread alone runs until crew_resume(), and may touch what is the others': they rest
 * between two of their steps. Calls nest.
 */
void crew_pause(struct worker *main);
void crew_resume(struct worker *main);
/* At the end of a step. */
void crew_rest(struct worker *w);

/* Others may have idle lanes of @cluster, which has as many as it may: one of them is to come here.
 */
void crew_ask_room(struct worker *w, __u32 cluster);
/* ... or of any, and descriptors are scarce: each closes one. */
void crew_ask_descriptor(struct worker *w);
/*
 * @b, as for lane_rest(), goes to another thread if somebody there waits for a lane of its cluster,
 * and is no more. False: nobody does.
 */
bool crew_give(struct worker *w, struct back *b);

#endif /* SL_CREW_H */
