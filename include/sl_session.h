/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Sessions (downstream connections) and lanes (upstream connections): the state
 * that BPF and the daemon share, in mmap-able arrays that both use in place, and the
 * rules by which it changes hands.
 *
 *	client <--TCP--> front      back <--TCP--> server
 *	(app's)          (ours)     (ours)         (app's)
 *
 * OWNERSHIP. A session is idle, in a kernel exchange, or the daemon's (USER):
 *
 *	idle   -> EXCHANGE        BPF took a request (client_msg)
 *	USER   -> EXCHANGE        the daemon sends a request whose answer it leaves to BPF
 *	idle   -> USER            BPF passed bytes on to front, or the daemon found some there
 *	USER   -> idle            the daemon has answered all it read and flushed it
 *	EXCHANGE -> idle          both directions done, by whoever finishes second
 *	EXCHANGE -> USER          the same, when PENDING is set (an event tells the daemon)
 *
 * Within an exchange each direction can be handed to the daemon at an exact byte
 * (REQ_USER: rest of the request; RESP_USER: response from where it stands): from then
 * on every byte goes by TCP through front and back, and the daemon continues with the
 * framing found in session.req or lane.resp. All changes of `word` are by
 * compare-and-swap of the whole word, generation included.
 *
 * TUNNEL. Behind a 101 (Switching Protocols) session and lane stay the daemon's and bound to one
 * another until both have ended. Each way has a bit in session.word that the daemon sets when it
 * has written all it read and clears before it reads on; BPF looks at it after it has seen that
 * nothing is unread at our end, so a redirected byte overtakes none in the daemon's hands. What
 * cannot be redirected goes by TCP through the daemon.
 *
 * ORDER. A byte redirected straight into an application's socket must not overtake one that was
 * written to our end of the same connection, and a request must not be taken while earlier bytes of
 * the client are unread at front. TCP's own counters tell, exactly, since both ends of a
 * connection count in the same sequence space: BPF redirects into client only when client's
 * rcv_nxt is front's write_seq, and takes a request only when client's write_seq is front's
 * copied_seq; server and back likewise.
 *
 * A byte that is steered into client is there only when the kernel has moved it, which is after the
 * program, can wait for as long as somebody has client locked, and fails where there is no memory
 * for it. So the program notes the sender in session.mover, and `landed` clears that from the
 * move's own sk_data_ready(), and is who notes how far the answer is and ends the exchange;
 * lane.moved is odd until then. Bytes steered into server are told by lane.asker. What has not
 * landed when its sender sends again never will: it is sent once more, and goes by TCP. What has
 * landed in part is continued by the program's next run, see msg_is_rest().
 *
 * What is sent out through our own end goes there when the program has returned, too, and TCP may
 * find no room for all of it though the program saw some: memory that others took meanwhile. The
 * sender is told and sends it again, but it is counted, the exchange may be over and its lane be
 * another's. Then the session is TORN, and so is the lane, before the sender goes on: `unsent`. The
 * daemon resets both; who is on the lane by then gets no answer from it.
 *
 * The daemon may give a session back before it writes the answer's end, so that a quick client
 * does not find it taken: it adds to front_tx before it does so, and no request is taken while
 * front's write_seq has not moved by as much.
 *
 * Where the kernel does not tell (`landed`), BPF ends an exchange in the server's send just before
 * its last bytes are moved into client. A canned answer (sl_canned.h), given in a send of the
 * client, must not overtake them: it is only given SL_MOVE_QUIET behind an answer of a lane
 * (last_ns; `cluster` tells that there was one).
 */
#ifndef SL_SESSION_H
#define SL_SESSION_H

#include "sl_types.h"
#include "sl_limits.h"
#include "sl_head.h"
#include "sl_body.h"

/* session.word, low 32 bits; the high 32 are the slot's generation. */
#define SL_S_CLIENT 0x0001   /* client socket is in `clients` and not closed yet (BPF) */
#define SL_S_FRONT 0x0002    /* front socket exists */
#define SL_S_ADOPTED 0x0004  /* the daemon holds front's fd; only it clears FRONT now */
#define SL_S_CLOSING 0x0008  /* the daemon ends the session: no exchange may start */
#define SL_S_USER 0x0010     /* the daemon owns the request stream */
#define SL_S_EXCHANGE 0x0020 /* exchange begun by BPF (or by the daemon with direct answer) */
#define SL_S_REQ_DONE 0x0040
#define SL_S_RESP_DONE 0x0080
#define SL_S_REQ_USER 0x0100  /* the daemon relays the rest of the request */
#define SL_S_RESP_USER 0x0200 /* the daemon relays (the rest of) the response */
#define SL_S_PENDING \
	0x0400 /* bytes or FIN wait at front: when the exchange ends, it is the daemon's */
#define SL_S_ABORTED 0x0800 /* the daemon gave the exchange up: BPF passes everything */
#define SL_S_GONE                                                                             \
	0x1000 /* client's TCP is over, its owner has not closed it: what it has not read yet \
		* lies in `clients` still. The daemon clears CLIENT when it is out of there */

/* A tunnel behind a 101: set while no byte of that way is in the daemon's hands, see below. */
#define SL_S_TUNNEL_UP 0x2000	/* client to server */
#define SL_S_TUNNEL_DOWN 0x4000 /* server to client */
#define SL_S_TORN                                                                                \
	0x8000 /* counted as sent through front, or through back for it, and was not: see ORDER. \
		* What its ends send again is taken for nothing. BPF */
#define SL_S_TUNNEL_BITS (SL_S_TUNNEL_UP | SL_S_TUNNEL_DOWN)

#define SL_S_BUSY (SL_S_USER | SL_S_EXCHANGE)
#define SL_S_EXCHANGE_BITS                                                                 \
	(SL_S_EXCHANGE | SL_S_REQ_DONE | SL_S_RESP_DONE | SL_S_REQ_USER | SL_S_RESP_USER | \
	 SL_S_PENDING)
/* A slot goes to the list of freed ones when the last of these is cleared, by whoever clears it. */
#define SL_S_HELD (SL_S_CLIENT | SL_S_FRONT)

/* lane.word, low 32 bits; the high 32 are the slot's generation. */
#define SL_L_STATE 0x000f /* enum sl_lane_state */
#define SL_L_SERVER                                                                               \
	0x0010		    /* server socket is in `servers` and not closed yet (BPF): co-located \
			     */
#define SL_L_BACK 0x0020    /* the daemon holds back's fd; only it clears this */
#define SL_L_PAIRED 0x0080  /* a server on this host was found; without SERVER it is gone again */
#define SL_L_TUNNEL 0x0100  /* bound to session `session` for good, state USER */
#define SL_L_TORN 0x0200    /* its last exchange's session is TORN; never without SURPLUS. BPF */
#define SL_L_SURPLUS 0x0040 /* the server sent bytes that no request asked for: never reuse */
#define SL_L_UNSENT                                                                             \
	0x0400 /* back held bytes of a request when its answer was complete: BPF gave it to the \
		* daemon, which waits until they are sent */
#define SL_L_HELD (SL_L_SERVER | SL_L_BACK)

enum sl_lane_state {
	SL_LANE_FREE,	    /* on the free list, or waiting for the last HELD bit */
	SL_LANE_CONNECTING, /* the daemon's, not established yet */
	SL_LANE_IDLE,	    /* on its endpoint's idle stack */
	SL_LANE_KERNEL,	    /* bound to session `session` in a kernel exchange */
	SL_LANE_USER,	    /* the daemon's */
	SL_LANE_DEAD,	    /* marked by the daemon while still on the idle stack */
	SL_LANE_REAPED,	    /* was DEAD, popped by BPF: the daemon frees it */
};

#define SL_GEN(word) ((__u32)((word) >> 32))
#define SL_BITS(word) ((__u32)(word))
#define SL_WORD(gen, bits) ((__u64)(gen) << 32 | (__u32)(bits))

#define SL_MOVE_QUIET 4000000000ULL /* ns */
#define SL_NO_CLUSTER (~0U)	    /* sl_session.cluster: of a canned answer, or none yet */
#define SL_MOVER_TORN (~0U)   /* sl_session.mover: bytes are in client that nobody has counted */
#define SL_NEVER_ROUTED (~0U) /* sl_session.route: BPF has begun no exchange on it yet */

/* Slot + 1, or 0 for none: a cleared struct refers to nothing. */
typedef __u32 sl_slot1;

/* What BPF decided about the request that starts at byte `at` of the session (see front_rx). */
struct sl_decision {
	__u32 at;    /* value of front_rx at the request's first byte */
	__u8 reason; /* enum sl_reason: why it was passed */
	__u8 routed; /* 1: route and cluster below are decided and counted in the split's sequence
		      */
	__u16 zero;
	__u32 route;
	__u32 cluster;
	__u32 endpoint;
	__u32 zero1;
	__u64 draw; /* the random number that the request was matched with; 0: none was */
};

/*
 * Map `sessions`, array (mmap-able): session slot -> this. Three cache lines: what both ends of an
 * exchange need (client's program and server's run on different CPUs, and every line that both
 * touch goes from one to the other and back with each exchange), what seldom changes, and what the
 * client's side has for itself.
 */
struct sl_session {
	__u64 word;	/* SL_S_*; generation */
	__u64 front_sk; /* struct sock * of front, for the free send buffer; BPF */
	__u64 start_ns; /* CLOCK_MONOTONIC at the head of the request */
	__u64 last_ns;	/* CLOCK_MONOTONIC of the last exchange's end, for idle timeouts, or of the
			 * last bytes that were steered into client */
	sl_slot1 lane;	/* lane of the exchange */
	__u32 lane_gen;
	__u32 route; /* SL_NEVER_ROUTED: none yet */
	__u32 cluster;
	__u32 generation; /* of the table that the request was matched with */
	__u8 head_method; /* 1: HEAD: the response has no body */
	__u8 handover;	  /* enum sl_reason: why BPF handed a direction of this exchange over */
	__u8 begun;	  /* 1: BPF has begun the exchange and not sent its request on yet */
	__u8 direct;	  /* 1: the daemon began the exchange: counted as the user path's */
	__u32 mover; /* thread that moves bytes of the answer into client; 0: they are there. See
		      * ORDER. Without a client on this host: that last sent some through front */
	union {
		__u32 unread; /* sends steered into client since it last had read all; BPF */
		sl_slot1 via; /* without such a client: lane whose server that thread is; BPF */
	};

	__u32 next;	  /* sl_stack link of the free list */
	__u32 listener;	  /* index */
	__u32 client_ws0; /* co-located client's write_seq at establishment; BPF */
	__u32 client_rn0; /* ... and rcv_nxt */
	/* Bytes through front since it was established, modulo 2^32. */
	__u32 front_rx;	    /* read by the daemon */
	__u32 front_tx;	    /* written by the daemon, plus redirected out through front by BPF */
	__u32 front_ws0;    /* front's write_seq at establishment; BPF */
	__s32 front_fd;	    /* the daemon's, in the shared table, for the next worker; -1: none */
	__u64 front_cookie; /* SO_COOKIE of front; BPF */
	__u64 source_hash;  /* sl_hash_words() of the address that front's client has; BPF */
	__u32 user_dirty;   /* 1: the daemon holds bytes of an unfinished exchange: not adoptable */
	__u32 moved;	    /* sends of requests' bodies that BPF steered, modulo 2^32; BPF */
	__u64 client_sk;    /* co-located: struct sock *, to read counters by probe; 0: none; BPF */

	/* The exchange. Owned by the owner of the request direction until bound. */
	struct sl_decision decision;
	struct sl_body req;  /* where the request's body stands; valid when REQ_USER is set */
	struct sl_hash hash; /* of the request under decision; BPF */
};

_Static_assert(sizeof(struct sl_session) == 192 &&
		       __builtin_offsetof(struct sl_session, next) == 64 &&
		       __builtin_offsetof(struct sl_session, decision) == 128,
	       "cache lines");

enum sl_resp_phase {
	SL_RESP_HEAD, /* nothing of the answer seen */
	SL_RESP_BODY, /* final head forwarded; lane.resp tells how much is left */
};

enum sl_asks {
	SL_ASKS_HEAD,  /* a request's first bytes, by BPF */
	SL_ASKS_BODY,  /* more of its body, by BPF */
	SL_ASKS_REST,  /* of one of these, of which the first bytes are there: its next run's */
	SL_ASKS_RELAY, /* by the daemon, through back */
	SL_ASKS_OUT,   /* a request's bytes, by BPF, out through back: told if they are not sent */
};

/*
 * Map `lanes`, array (mmap-able): lane slot -> this. Two cache lines: what both ends of an exchange
 * need, and the rest.
 */
struct sl_lane {
	__u64 word;	 /* SL_L_*; generation */
	__u64 server_sk; /* struct sock *; co-located only */
	__u64 back_sk;	 /* struct sock * of back; BPF */
	__u64 idle_ns;	 /* CLOCK_MONOTONIC when it last became idle */
	__u32 next;	 /* sl_stack link: free list or idle stack */
	__u32 endpoint;
	sl_slot1 session; /* session of the kernel exchange */
	__u32 session_gen;
	__u32 left;  /* requests that it may still have, by its owner; 0: any number */
	__u32 moved; /* goes up when BPF looks at a send of the server, and when the send is TCP's
		      * or has landed, modulo 2^32; BPF. See sl_lane_is_steered() */
	__u8 phase;  /* enum sl_resp_phase */
	__u8 zero0;
	__u16 status;  /* of the final head forwarded */
	__u32 back_tx; /* bytes written by the daemon to back, plus redirected out by BPF, since it
			* was established; modulo 2^32, as back_rx */

	struct sl_body resp; /* where the response's body stands; valid in SL_RESP_BODY */
	__u32 server_ws0;    /* write_seq at establishment */
	__u32 server_rn0;    /* rcv_nxt at establishment */
	__u32 back_rx;	     /* read by the daemon */
	__u32 back_ws0;	     /* back's write_seq at establishment; BPF */
	__u64 back_cookie;   /* the daemon's */
	__s32 back_fd;	     /* the daemon's; -1: none */
	__u32 unread;	     /* sends steered into server since it last had read all; BPF */
	__u32 home;  /* thread of the daemon whose lane it is; 0: the main one. See sl_pool.h */
	__u32 asker; /* thread that moves bytes into server; 0: they are there. BPF. See ORDER */
	__u32 asked; /* how many; of OUT: whose, session slot + 1; BPF */
	__u32 asks;  /* enum sl_asks: what they are; BPF */
};

_Static_assert(sizeof(struct sl_lane) == 128 && __builtin_offsetof(struct sl_lane, resp) == 64,
	       "cache lines");

/*
 * Whether BPF steers a send of @l's server that has not landed, and has not noted yet how far the
 * answer is then. Asked behind a change of the session's word (a full barrier): BPF looks at that
 * behind the mark, so either it finds the exchange taken away, or this is true, or phase and resp
 * tell all.
 */
SL_FN bool sl_lane_is_steered(const struct sl_lane *l)
{
	return SL_READ(l->moved) & 1;
}

/*
 * Map `sockets`, socket-local storage: which end of what a socket is. The daemon sets
 * LISTENER on its listening sockets (children inherit it) and BACK before it connects;
 * BPF the others, at establishment. The daemon reads an accepted front's slot by its fd.
 */
enum sl_role {
	SL_ROLE_NONE,
	SL_ROLE_LISTENER, /* slot: listener index */
	SL_ROLE_CLIENT,	  /* slot: session */
	SL_ROLE_FRONT,	  /* slot: session */
	SL_ROLE_BACK,	  /* slot: lane */
	SL_ROLE_SERVER,	  /* slot: lane */
	SL_ROLE_LOOP,	  /* a front whose client is a lane of ours: closed when it is accepted */
	SL_ROLE_CALLER,	  /* connects to listener `slot`: to be captured when it is established */
	SL_ROLE_ONE_SHOT, /* a front without a session slot whose client was not captured: see
			   * sl_streak. slot: listener index */
};

struct sl_socket {
	__u32 role; /* enum sl_role */
	__u32 slot;
	__u32 gen;
	union {
		__u32 seen; /* in by_cookie: where in its sequence space the next segment begins
			     * that its verdict has not seen; 0: none has come yet. BPF */
		__u32 tgid; /* in sockets, CALLER and CLIENT: the process that connected. BPF */
	};
};

/*
 * Map `streaks`, LRU hash: connections of one process to one listener that were captured in vain,
 * one after another: they ended, and no request on them was one that BPF could have served. Capture
 * costs more than the rest of a connection that has a single request, and whether to capture has to
 * be known when it is established. So behind SL_STREAK_MIN in vain, and as long as one comes less
 * than SL_STREAK_NS behind the other, one is captured behind as many that are not as were in vain
 * before, at most SL_STREAK_MAX: it tells when that has changed, and the first one that serves ends
 * the streak. An entry that is evicted costs a few captures. BPF
 */
struct sl_streak_key {
	__u32 tgid;
	__u32 listener; /* index */
};

struct sl_streak {
	__u64 last_ns; /* CLOCK_MONOTONIC: the last one ended, or was not captured */
	__u32 n;       /* in vain */
	__u32 skipped; /* connections that were not captured behind the last that was */
};

#define SL_STREAK_MIN 16
#define SL_STREAK_MAX 256
#define SL_STREAK_NS 200000000ULL
#define SL_STREAKS 1024 /* entries */

/*
 * Map `one_shots`, array, index: a connection's first sequence number modulo SL_ONE_SHOTS -> that
 * number, and SL_ONE_SHOT_SET: its client was not captured, and the front that it belongs to needs
 * no session. Nothing but time is lost with an entry that another one replaces. BPF
 */
#define SL_ONE_SHOTS 4096
#define SL_ONE_SHOT_SET (1ULL << 32)

/*
 * Map `pairing`, hash: (snd_nxt << 32 | rcv_nxt) of the active end, as the passive end
 * sees it mirrored -> the slot that waits for its far end.
 */
struct sl_pair {
	__u32 role; /* SL_ROLE_CLIENT or SL_ROLE_BACK */
	__u32 slot;
	__u32 gen;
	__u32 zero;
};

/*
 * Map `local_addrs`, hash: a destination that clients on this host dial to reach a listener
 * -> listener index. IPv4 is mapped (::ffff:a.b.c.d); 127.0.0.0/8 is folded to 127.0.0.1.
 */
struct sl_addr {
	__u8 addr[16]; /* network byte order */
	__u32 port;    /* host byte order */
	__u32 zero;
	__u64 netns; /* cookie of the namespace whose loopback address it is; other addresses: 0 */
};

/* Map `control`, array of one (mmap-able). */
#define SL_ABI 18

/* sl_control.flags */
#define SL_C_BYPASS 0x1		   /* BPF starts no exchange and captures no socket */
#define SL_C_COLOCATED_CLIENTS 0x2 /* pair sessions with clients on this host */
#define SL_C_COLOCATED_SERVERS 0x4 /* pair lanes with servers on this host */
#define SL_C_FULL 0x20	 /* max_sessions is reached: no exchange before the daemon has accepted */
#define SL_C_ATTACH 0x10 /* lanes' four-tuples are written down: see sl_attach.h */
#define SL_C_LANDED 0x8	 /* `landed` tells when what was steered into a client is there */
#define SL_C_UNTIL_DETACHED 0x40 /* `sluice attach` started it: it may start it anew */
#define SL_C_ENDING 0x80	 /* it ends: nothing is steered to it any more */
#define SL_C_CANNED 0x100	 /* BPF gives routes' own answers to co-located clients */

struct sl_control {
	__u32 abi;	     /* SL_ABI */
	__u32 flags;	     /* SL_C_*; written by the daemon */
	__u64 free_sessions; /* sl_stack heads */
	__u64 free_lanes;
	__u32 n_sessions; /* slots in the arrays */
	__u32 n_lanes;
	__u64 lost_events; /* events that found `events` full: sweep the sessions; BPF */
	__u64 no_session;  /* connections that found no free session slot; BPF */
	__s32 supervisor;  /* pid of the supervisor and of the worker */
	__s32 worker;
	__u64 netns;	/* cookie of the daemon's network namespace (SO_NETNS_COOKIE) */
	__u32 max_head; /* bytes and header lines of a head that some listener may not take: above
			 */
	__u32 max_headers;   /* it is the daemon's to say; 0: no limit */
	__u64 reload_asked;  /* the command's number of the last wish; 0: none. `sluice reload` */
	__u32 reload_status; /* errno of the one below; 0: done; the daemon */
	__u32 n_endpoints;   /* of the map `endpoints`, in use or not any more; the daemon */
	__s32 tai_s;	     /* CLOCK_TAI - CLOCK_REALTIME; written by the daemon */
	__u32 n_threads;     /* of the worker */
	__u64 heap;	     /* bytes that the worker has for what is in its hands; written by it */
	__u32 n_cpu_pools;   /* see sl_pool.h; 1 .. SL_MAX_CPU_POOLS */
	__u32 zero2;
	/* Slots that have been freed, and those for which the daemon waits for an RCU grace period
	 * before it puts them on free_sessions or free_lanes: see grace.c. sl_stack heads. */
	__u64 freed_sessions;
	__u64 waiting_sessions;
	__u64 freed_lanes;
	__u64 waiting_lanes;
	__u64 reload_answered; /* of the last one that was answered; the daemon */
};

/* Ring buffer `events`: BPF tells the daemon. A hint: the words are the truth. */
enum sl_event_type {
	SL_EVENT_USER,	   /* an exchange ended with PENDING set: the session is the daemon's */
	SL_EVENT_LANE,	   /* a lane left the kernel path in state SL_LANE_USER: close it */
	SL_EVENT_TORN,	   /* a session is TORN: reset it */
	SL_EVENT_ENDPOINT, /* slot: an endpoint that has failed often enough, see sl_outcome() */
};

struct sl_event {
	__u32 type;
	__u32 slot;
	__u32 gen;
	__u32 zero;
};

#endif /* SL_SESSION_H */
