/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a thread of the worker knows: its view of a session (struct front) and of a lane (struct
 * back), the exchange between them, and itself (struct worker). Everything here belongs to one
 * thread (crew.h) and dies with the process; what has to outlive it is in struct sl_session and
 * struct sl_lane, in memory shared with BPF.
 */
#ifndef SL_DAEMON_STATE_H
#define SL_DAEMON_STATE_H

#include <sys/epoll.h>
#include <sys/types.h>
#include <sys/uio.h>
#include "worker.h"
#include "config/matcher.h"
#include "sl_http.h"
#include "sl_body.h"
#include "sl_match.h"
#include "sl_pick.h"
#include "sl_decide.h"
#include "sl_stack.h"
#include "daemon/address.h"
#include "daemon/crew.h"
#include "daemon/lines.h"

#define NS_PER_MS 1000000ULL
#define NS_PER_S 1000000000ULL

#define TICK_NS (10 * NS_PER_MS)      /* resolution of deadlines */
#define WATCH_MIN_NS (10 * NS_PER_MS) /* between two looks at what BPF does, at least */
#define SWEEP_NS NS_PER_S	      /* between two scans of the tables */
#define REFUSED_NS (5 * NS_PER_S)     /* for a client over max_sessions to send a request */
#define FRESH_NS (500 * NS_PER_MS)    /* a drain leaves a new session its time to ask */

/*
 * The answer is complete and the rest of its request is still coming: how long we drop it, or wait
 * for more of it where the lane takes it.
 */
#define REST_NS (15 * NS_PER_S)
/*
 * The same where the lane takes none of it: while the rest keeps coming, and while the client has
 * sent the next request. nginx and Envoy end such a lane with the answer; one that only is slow, or
 * reads the rest to drop it, as most servers do, has this time to go on, and is used again.
 */
#define STUCK_NS NS_PER_S
#define NEXT_NS (NS_PER_S / 10)
/* ... how often what it takes is looked for, when it is in its socket. */
#define LOOK_NS (NS_PER_S / 100)

#define LOST_NS (15 * NS_PER_S) /* no move takes as long; the default of a route's timeout */

/* Bytes of a body that go into most servers' window: no lane is looked at for fewer. */
#define SWALLOWED_MIN 16384
#define LINGER_NS (2 * NS_PER_S)      /* for the client to read an answer that ends the session */
#define LINGER_MAX_NS (30 * NS_PER_S) /* ... while it does read */
#define CONNECT_TRIES 3		      /* endpoints tried for one request */
#define TRIED_MAX 8		      /* endpoints that a retry remembers */
#define ONE_SHOT_MAX 1000	      /* requests of a session of whom one was expected */
#define DISCARD_MAX (1024 * 1024)     /* request body bytes read for an answer of our own */

/* Bodies of answers of our own, as Envoy words them. */
#define RESET_REASON "upstream connect error or disconnect/reset before headers. reset reason: "
#define CONNECT_FAILED RESET_REASON "remote connection failure\n"

#define NO_SLOT (~0U)
#define NO_INDEX (~0U)

/* One direction's bytes. [pos, framed): to be written; [framed, end): read, not yet looked at. */
#define BUFFER_CAP (SL_HEAD_MAX + 4096) /* a head, and what rewriting adds to it */
#define PIPE_BYTES (256 * 1024)		/* that a pipe holds, see splice.c */
#define PIPES_MAX 1024			/* of all threads */
#define BUFFER_READ SL_HEAD_MAX		/* filled to here by reading a request */

struct buffer {
	__u8 *data; /* NULL: none taken from the pool */
	__u32 pos;
	__u32 framed;
	__u32 end;
};

/*
 * One exchange's turn: so often up to BUFFER_READ bytes are read and written before others are
 * served. Between ends that are quicker than we are it would not end by itself.
 */
#ifndef TURN_ROUNDS
#define TURN_ROUNDS 16
#endif

enum io_kind {
	IO_LISTENER,
	IO_FRONT,
	IO_BACK,
	IO_SIGNAL,
	IO_EVENTS,
	IO_CHECK,
	IO_DNS,
	IO_MAIL,
};

#define IO_EVENTS_ALL (EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLPRI)

/* A descriptor in the epoll set, edge-triggered: flags say what has not run dry yet. */
struct io {
	int fd; /* -1: closed */
	__u8 kind;
	bool readable;
	bool writable;
	bool rdhup;  /* FIN is here or behind the bytes that are */
	bool urgent; /* urgent data has come: recv() stops before it, and more may be there */
	bool failed; /* EPOLLERR or EPOLLHUP */
	bool reset;  /* recv() failed: it has ended, but not by FIN */
	bool eof;    /* read to the FIN */
};

/*
 * Whether a read of @n bytes where @room were asked for has left nothing behind: a stream gives
 * what there is, but behind its last bytes the FIN is to be read, and recv() stops before urgent
 * data.
 */
static inline bool io_is_dry(const struct io *io, ssize_t n, __u32 room)
{
	return n < (ssize_t)room && !io->rdhup && !io->urgent;
}

enum side {
	SIDE_NONE, /* response: nothing to do before the request is routed */
	SIDE_HEAD,
	SIDE_BODY,
	SIDE_DONE,
	SIDE_KERNEL, /* BPF does this side */
};

struct back;

/* Which of the deadlines that run is the next one. */
enum cause {
	CAUSE_NONE,
	CAUSE_HEAD,	/* request_headers_timeout */
	CAUSE_REQUEST,	/* request_timeout */
	CAUSE_CONNECT,	/* connect_timeout */
	CAUSE_ROUTE,	/* the route's timeout */
	CAUSE_STREAM,	/* stream_idle_timeout, or the route's idle_timeout */
	CAUSE_DURATION, /* max_stream_duration */
	CAUSE_TRY,	/* retry_policy.per_try_timeout */
	CAUSE_TRY_IDLE, /* ... per_try_idle_timeout */
	CAUSE_RETRY,	/* none: the back-off before another try is over */
	CAUSE_REST,	/* for what is left of a request whose answer is complete */
	CAUSE_STUCK,	/* for the lane to take it, while its client waits with more */
	CAUSE_LOOK,	/* none: whether the lane's socket has sent it is looked at again */
	CAUSE_END,	/* the session's, see front.ending */
};

struct due {
	__u64 ns;
	enum cause cause; /* CAUSE_NONE: no deadline */
};

/* What the deadlines of an exchange, of whichever path, count from; CLOCK_MONOTONIC, 0: not yet. */
struct progress {
	__u64 first_ns; /* first byte of the request */
	__u64 sent_ns;	/* its last one */
	__u64 moved_ns; /* last byte either way */
	bool answered;	/* the answer has begun */
	bool complete;	/* and ended */
	bool rest;	/* ... before the request did: BPF began both */
	bool flushing;	/* all of it is here, and waits for the client alone */
	/* Of its route; NULL: it has none. */
	const struct sl_route_limits *limits;
};

/* What was seen of a kernel exchange; see watch_look(). */
struct watch {
	__u64 start_ns; /* sl_session.start_ns of the exchange that this is about */
	__u64 sent_ns;
	__u64 moved_ns;
	__u32 moved; /* the counters at moved_ns */
	struct sl_route_limits limits;
};

struct exchange {
	__u8 req;	 /* enum side */
	__u8 resp;	 /* enum side */
	bool kernel;	 /* begun by BPF: at least one side was handed over */
	bool connecting; /* waits for a new lane */
	bool reused;	 /* lane has served before */
	bool idempotent;
	bool head_method;  /* HEAD */
	bool client10;	   /* HTTP/1.0 */
	bool close;	   /* session ends after the answer */
	bool abort;	   /* ... and so that the client can tell that the answer is cut */
	bool lane_close;   /* lane is not reusable */
	bool spliced;	   /* some of the answer has gone through a pipe */
	bool dechunk;	   /* chunked answer for an HTTP/1.0 client */
	bool discard;	   /* the rest of the request's body is read and dropped */
	bool expects;	   /* the client may wait for 100 Continue */
	bool answered;	   /* the final head is in `out` or beyond */
	bool counted;	   /* in route_stats */
	bool write_failed; /* back takes no more bytes */
	bool req_marked;   /* kernel exchange: REQ_DONE / RESP_DONE are set */
	bool resp_marked;
	__u8 tries; /* lanes tried */
	__u16 status;
	__u32 generation; /* of the table that decided; 0: none has yet */
	__u32 route;	  /* NO_INDEX: none */
	__u32 begun;	  /* ... as that table had it; behind a reload */
	__u32 cluster;	  /* NO_INDEX: none */
	__u32 picked;	  /* of the split; a header may have named `cluster` in its place */
	__u32 endpoint;	  /* of the last lane tried */
	__u32 named;	  /* whose name Host is, if the route makes it so, or `host_made` */
	bool host_made;	  /* the request had no Host: it is the endpoint's address */
	__u64 hash;	  /* by the route's policies; valid when `hashed` */
	bool hashed;
	bool pending;	   /* counted in n_pending */
	bool turn;	   /* first in the queue for a lane */
	bool retrying;	   /* counted in n_retrying */
	bool overloaded;   /* a circuit breaker refused it */
	bool reasoned;	   /* counted in `reasons` */
	bool seized;	   /* begun by BPF, taken away from it */
	bool mid_body;	   /* BPF had forwarded the answer's head when it handed the rest over */
	bool interim;	   /* a 1xx answer has come: no retry */
	bool continued;	   /* 100 has: who waits for it sends the body */
	bool client_close; /* the client ends the session itself */
	bool upgrade;	   /* the request's Upgrade was forwarded: 101 is an answer */
	bool tunnel;	   /* 101 was: tunnel.c has the bytes of both ways */
	bool cut;	   /* tunnel: an end was reset; so will the other be */
	bool up_over;	   /* tunnel: the client's end was passed on */
	bool down_over;	   /* tunnel: the server's */
	const char *why;   /* body of an answer of our own; NULL: the status's */
	__u64 start_ns;
	__u64 head_ns;	  /* first byte of the request; 0: none yet */
	__u64 sent_ns;	  /* it was complete; 0: is not */
	__u64 moved_ns;	  /* last byte either way */
	__u64 connect_ns; /* the lane began to connect */
	__u64 cut_ns;	  /* tunnel: it was cut */
	__u64 rest_ns;	  /* the answer was out, and the request was not complete */
	__u64 discarded;
	__u64 body_sent; /* bytes of the request's body written to the lane; more than SWALLOWED_MIN
			  * if it had any and was BPF's: nobody knows how many */
	__u32 unsent;	 /* request_unsent(), as it was last looked at */
	bool keep;	 /* the body is added to f->req while it fits */
	bool mirror;	 /* a copy goes to other clusters when the request is whole */
	__u32 retries;
	__u32 tried[TRIED_MAX]; /* endpoints that have failed: retry k's at k % TRIED_MAX */
	__u64 retry_ns;		/* waits for the next try since; 0: does not */
	__u64 retry_wait_ns;
	struct address remote; /* the client as far as it is trusted; for routes with actions */
	struct sl_route_limits limits; /* of the config that it began with */
	struct sl_body req_body;
	struct sl_body resp_body;
};

struct list {
	struct list *prev, *next;
};

/* One write: what there is for an end, in one or two parts. */
struct parts {
	struct iovec iov[2];
	__u32 n;
	__u32 total; /* bytes */
	__u32 first; /* ... of f->out, when it is for the client */
	int fd;
	int flags;  /* MSG_MORE or 0 */
	bool early; /* the session was given back before */
};

struct pipe {
	int read_fd;
	int write_fd;
	__u32 n; /* bytes in it */
	bool open;
};

/* A downstream connection. io is first: the epoll data is its address. */
struct front {
	struct io io;
	struct list all;       /* worker.fronts, or the graveyard */
	struct list timed;     /* worker.timed when deadline_ns is set */
	struct list waiting;   /* worker.waiting while the cluster has no lane to give */
	struct list undrained; /* worker.undrained: looked at again in a millisecond */
	struct list outgoing;  /* of outbox.c: has something to write when the wake-up ends */
	struct list ready;     /* worker.ready: its turn is over, and it is not at rest */
	__u64 undrained_ns;    /* ... since; 0: is not */
	__u64 deadline_ns;     /* 0: none */

	struct sl_session *s;  /* slot in the table, or &own */
	struct sl_session own; /* a session that has no slot */
	__u32 slot;	       /* NO_SLOT: unslotted */
	__u32 gen;
	__u32 tx_seen; /* front_tx when front's write_seq was known to have moved by as much */

	bool owned;	/* USER is ours */
	bool lingering; /* answered and shut down; reading until the client's FIN */
	bool resets;	/* ... not shut down: it is reset when the client has all */
	bool pipelined; /* this request was read together with an earlier one */
	bool decided;	/* s->decision is about this request */
	bool one_shot;	/* its client was not captured, since few requests were expected */
	__u16 requests; /* that it has had, if so */
	__u64 linger_until_ns;
	struct watch watch;
	__u64 over_start; /* kernel exchange seen done both ways and not ended; 0: none */
	__u64 over_ns;	  /* ... since */
	__u64 born_ns;
	bool ending;  /* it stays ours, and is closed when idle at end_ns */
	__u32 nth;    /* session of all that were open when it began */
	bool refused; /* over max_sessions: its request is answered 503 */
	bool served;  /* counted in n_served */
	bool steered; /* in `fronts` */
	bool corked;  /* the last write said that more follows, see exchange_push() */
	__u64 end_ns;

	struct buffer in;      /* from the client */
	struct buffer req;     /* the request's head as sent; kept for a retry */
	struct buffer rin;     /* from the backend */
	struct buffer out;     /* heads and local answers to the client */
	struct buffer cookies; /* Set-Cookie lines for the answer's head, see sticky.c */
	struct pipe pipe;      /* of an answer between the lane and the client, see splice.c */
	struct exchange x;
	struct back *back;
};

/* An upstream connection. */
struct back {
	struct io io;
	struct list all;
	struct list again;    /* worker.again: it has something that cannot be looked at yet */
	struct list settling; /* worker.settling: see settle.c */
	__u64 settle_ns;      /* ... since */
	__u64 settle_moved_ns;
	__u32 unsent; /* ... bytes, when it was last looked at */
	struct sl_lane *l;
	struct sl_lane own;
	__u32 slot;
	__u32 gen;
	__u32 endpoint;
	bool connecting;
	bool corked; /* as front.corked */
	bool blind;  /* splice() does not see what it has to read, see splice.c */
	__u64 born_ns;
	struct mirror *mirror; /* a copy of a request; then there is no front */
	struct front *front;   /* exchange that the daemon serves, at least one side of it */
};

struct balance;
struct health;
struct names;
struct reload;

/* One thread's. */
struct worker {
	struct crew *crew;
	__u32 index; /* in the crew; 0: the main thread, which alone has what is marked so */
	struct mailbox mailbox;
	struct io mail_io;
	const struct sl_worker_args *args; /* &own_args */
	const struct sl_worker_args *args_given;
	struct sl_worker_args own_args; /* a reload changes `compiled` */
	struct sl_compiled *retired;	/* the config before this one; main */
	struct sl_maps *maps;
	const struct sl_table *table;
	struct sl_matcher *matcher;	    /* of table */
	struct sl_matcher *retired_matcher; /* of the config before; NULL: there was none */
	__u64 random;			    /* state of route.c's and balance.c's numbers */
	int epoll_fd;
	struct sl_events *events; /* main, as what follows */
	struct io signal_io;
	struct io events_io;
	struct io *listeners; /* all have */
	__u32 n_listeners;
	bool listening; /* listeners are in the epoll set */

	__u64 now_ns; /* CLOCK_MONOTONIC at the last wake-up */
	__u64 tick_ns;
	__u64 sweep_ns;
	__u64 start_ns;
	__u64 due_ns;	   /* no deadline of `timed` is before it; ~0: none */
	__u64 watch_ns;	   /* next watch_scan() */
	__u64 shortest_ns; /* the shortest timeout of the config */
	__u64 reaped_ns;   /* when lane_get() last looked for lanes that are to be closed */
	__u32 n_waiting_of[SL_MAX_CLUSTERS]; /* in `waiting` */
	__u32 owed;			     /* to those who wait elsewhere, see crew_give() */

	struct list fronts;
	struct list backs;
	struct list timed;
	struct list undrained;
	struct list ready;
	struct list again;
	struct list settling;
	__u64 settle_look_ns; /* when these are looked at next */
	struct list waiting;
	struct list mirrors;
	__u32 n_mirrors;
	__u64 mirror_bytes; /* of their requests */
	__u32 n_waiting;
	struct list dead_fronts; /* freed when no event of this batch can name them */
	struct list dead_backs;
	__u32 n_fronts;
	__u32 n_served; /* of them, those whose client is not on this host */
	__u32 n_backs;
	struct front **front_of; /* [n_sessions]: by slot */
	struct back **back_of;	 /* [n_lanes] */
	__u32 n_sessions;
	__u32 n_lanes;
	__u8 *dirty_endpoints; /* [SL_MAX_ENDPOINTS]: 1: dead lanes on the idle stack */
	bool sweep_wanted;
	struct outbox *outbox; /* NULL: not needed yet, or not to be had */
	bool outbox_tried;
	struct leaks *leaks; /* main, as what follows */
	struct balance *balance;
	struct health *health;
	struct names *names;
	struct reload *reload; /* waits for names of the new config */
	bool reload_asked;     /* begins when the last one is settled, see sl_maps_publish() */
	struct left *left;

	bool draining;
	__u64 drain_until_ns;
	__u64 drained_ns; /* nothing of ours is left since */

	struct pipe pipes[16]; /* empty ones at hand */
	__u32 n_pipes;
	__u32 n_pipes_used; /* others, that have bytes */
	__u32 max_pipes;    /* of both together; see limits_descriptors() */

	__u8 *spare[256]; /* buffers at hand */
	__u32 n_spare;
	__u32 n_buffers;  /* in use */
	__u32 max_fronts; /* for the descriptors that there are; 0: not known */
	__u32 scarce_at;  /* sessions and lanes, see limits_scarce(); 0: not known */

	struct sl_head head; /* scratch of the parsers */
	struct sl_head request_head;
	struct lines request; /* heads on their way out */
	struct lines response;
	struct lines request_lines; /* of f->req, for an answer's headers */
	char date[40];		    /* Date header of local answers */
	__u64 date_s;
};

#define FRONT_OF(node, member) ((struct front *)((char *)(node)-offsetof(struct front, member)))
#define BACK_OF(node, member) ((struct back *)((char *)(node)-offsetof(struct back, member)))

#endif /* SL_DAEMON_STATE_H */
