/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files of the worker do for one another, file by file; what they share is in state.h. */
#ifndef SL_DAEMON_INTERNAL_H
#define SL_DAEMON_INTERNAL_H

#include "state.h"

/* buffer.c */
void list_init(struct list *l);
void list_add(struct list *head, struct list *node);
void list_del(struct list *node);
bool list_empty(const struct list *head);
/* All of @from's nodes go to @to, which is empty, in their order. */
void list_take(struct list *to, struct list *from);

/* buffer.c: buffers come from a pool, so an idle session holds none. */
bool buffer_take(struct worker *w, struct buffer *b);
void buffer_drop(struct worker *w, struct buffer *b);
void buffer_drop_if_empty(struct worker *w, struct buffer *b);
bool buffer_add(struct buffer *b, const void *data, __u32 len);
bool buffer_adds(struct buffer *b, const char *text);
/* Room for reading up to @limit, after moving what is left to the front if that is needed. Bytes.
 */
__u32 buffer_room(struct buffer *b, __u32 limit);
void buffer_pool_free(struct worker *w);
/* One more part, the next @len bytes of @b; nothing if that is 0. */
void parts_add(struct parts *parts, const struct buffer *b, __u32 len);
/* Writes @parts without waiting. Bytes written, which can be fewer than there are, or -errno. */
ssize_t parts_send(struct parts *parts);

/* worker.c */
int worker_init(struct worker *w, const struct sl_worker_args *args);
/* Another thread of @main's crew. */
int worker_init_thread(struct worker *w, struct worker *main);
void worker_free(struct worker *w);
/* Connections are accepted from now on. 0 or -errno. */
int worker_listen(struct worker *w);
/* Serves until it is to end. 0, -ETIMEDOUT: sessions were closed hard; or -errno. */
int worker_loop(struct worker *w);
/* What BPF tells of a session or a lane of this thread. */
void worker_event(struct worker *w, const struct sl_event *e);
/* Waits at most @wait_ms, serves what there is. Number of events, or -errno. */
int worker_step(struct worker *w, int wait_ms);
__u64 clock_ns(void);
int io_add(struct worker *w, struct io *io, __u32 events);
void timer_set(struct worker *w, struct front *f, __u64 deadline_ns);
void timer_clear(struct front *f);

/* session.c: fronts and the session word. */
void front_accept(struct worker *w, struct io *listener);
struct front *front_new(struct worker *w, int fd, __u32 slot, __u32 gen);
void front_event(struct worker *w, struct front *f);
/* Ends the session now; by RST if its answer is cut and a FIN would not tell. */
void front_close(struct worker *w, struct front *f);
/* The same; a tunnel by RST at both its ends. */
void front_abort(struct worker *w, struct front *f);
/* Serves a socket that listener @index accepted; closes it if it cannot. @me: what it is to BPF. */
void front_add(struct worker *w, int fd, __u32 index, const struct sl_socket *me);
/* Closes a session that cannot be adopted; its fd may be gone already. */
void front_drop(struct worker *w, struct front *f);
/* close() tells the far end by RST. */
void socket_resets(int fd);
void front_linger(struct worker *w, struct front *f);
void front_reset(struct worker *w, struct front *f);
void front_timeout(struct worker *w, struct front *f);

enum take {
	TAKE_OWN,   /* the request stream is ours */
	TAKE_WAIT,  /* a kernel exchange is under way; PENDING is set */
	TAKE_RELAY, /* a kernel exchange whose request is ours to relay */
	TAKE_GONE,  /* the slot is not this session any more */
};
enum take session_take(struct front *f);
void session_release(struct front *f, bool dirty);
/* Sets and clears bits of the word. Returns the bits before; 0 when the slot is another session's.
 */
__u32 session_change(struct front *f, __u32 set, __u32 clear);
__u32 session_bits(const struct front *f);

/* endpoints.c: slots of the map `endpoints`. */
/* None is in use from this one on. */
__u32 endpoints_top(const struct worker *w);
/* The free slot @i becomes @e, which nobody has used yet; its flags and place in the list, too. */
void endpoint_begin(struct worker *w, __u32 i, const struct sl_endpoint *e);
/* Names of @cluster have other addresses: both paths' view of it is by them now. */
void endpoints_update(struct worker *w, __u32 cluster);

/* left.c: 0 or -errno. */
int left_init(struct worker *w);
void left_free(struct worker *w);
/* Endpoints may have left their clusters, or clusters the config. */
void left_changed(struct worker *w);
/* Once a second: what has left and is named by nobody any more is free. */
void left_reap(struct worker *w);

/* names.c: the names of the config are looked up from now on. 0, or -errno: none is. */
int names_start(struct worker *w);
void names_stop(struct worker *w);
void names_event(struct worker *w);
void names_tick(struct worker *w);
__u64 names_due(const struct worker *w);
/* @c's names have the addresses that @old's have, if they are the same. 0 or -ENOMEM. */
int names_inherit(const struct sl_compiled *old, struct sl_compiled *c);
/*
 * ... that a worker before us has put into the maps for the same config; @before: before that was
 * half written over, as names_note() has noted.
 */
int names_recover(struct sl_compiled *c, const struct sl_maps *m, bool before);
void names_note(const struct sl_maps *m);

/* lane.c */
/* Slots of lanes on one of their stacks, a pool or the free list. Slot + 1; 0: there is none. */
__u32 lane_stack_pop(const struct worker *w, __u64 *head);
void lane_stack_push(const struct worker *w, __u64 *head, __u32 slot);
/*
 * Bytes are to be moved into its server still, or no memory was found for them: see lane.asker.
 * Behind a send of ours that found none: TCP has the next try, and waits for it.
 */
bool lane_is_asked(const struct back *b);
/* A socket to connect to @e with, of its namespace and marked as ours; -1: none. */
int endpoint_socket(struct worker *w, const struct sl_endpoint *e);
int endpoint_connect(struct worker *w, const struct sl_endpoint *e, int fd); /* 0 or -errno */
/* Of an error of endpoint_connect(): something is lacking here, which says nothing of @e. */
bool endpoint_is_not_to_blame(int rc);
/*
 * A new lane, connecting; counted in n_lanes before. NULL: counted no more, since @endpoint could
 * not be reached, which *@ret_refused tells, or for want of something here.
 */
struct back *lane_open(struct worker *w, __u32 endpoint, bool *ret_refused);
/* It is counted from now on, if the cluster may have one more. */
bool lane_reserve(struct sl_cluster *c);
void lane_unreserve(struct sl_cluster *c);
void lane_close(struct worker *w, struct back *b);
void lane_event(struct worker *w, struct back *b);
/* connect_timeout is over. False: not for @b, which is connected; it is served now. */
bool lane_is_late(struct worker *w, struct back *b);
void lane_died(struct worker *w, struct back *b);
/* Looks a millisecond later again at what the lane has, and again after that: see lane_again(). */
void lane_again(struct worker *w, struct back *b);
void lanes_retry(struct worker *w);
struct back *lane_new(struct worker *w, int fd, __u32 slot, __u32 gen, __u32 endpoint);
__u32 lane_bits(const struct back *b);
/* Counted in sl_endpoint.busy: it is neither idle nor was it when it died. */
bool lane_is_busy(const struct back *b);
/* From state @from to @to, other bits kept. False: the state was another. */
bool lane_move(struct back *b, __u32 from, __u32 to);
/* From one thread to another: what is to be given to lane_comes() there; NULL: no memory. */
struct back *lane_leave(struct worker *w, struct back *b);
void lane_comes(struct worker *w, struct back *b);
/* ... and nobody there took it: to the pool, it is offered to nobody again. */
void lane_returns(struct worker *w, struct back *b);
/* Whatever becomes of the exchange, nobody uses the lane again. */
void lane_mark_surplus(struct back *b);

/* settle.c */
/* Bytes that the lane's socket has of us, and has not sent. */
__u32 lane_unsent(const struct back *b);
/* The exchange on a lane, state USER, is over: lane_release(), once its socket has sent all. */
void lane_settle(struct worker *w, struct back *b);
/* A lane that BPF may have given to us: lane_settle(), if that is why, else its end. */
void lane_surrendered(struct worker *w, struct back *b);
/* Looks at those that wait, when it is time to, or @now. */
void lanes_settled(struct worker *w, bool now);

/* pool.c */
__u32 lane_get(struct worker *w, struct front *f, bool fresh);
void lane_release(struct worker *w, struct back *b, bool reusable);
/* @b, state USER but not counted as busy, is for whoever waits; or (lane_put()) for the pool. */
void lane_rest(struct worker *w, struct back *b);
void lane_put(struct worker *w, struct back *b);
/* An idle lane, of whichever cluster, is closed. False: there is none. */
bool lane_give_up(struct worker *w);
/* Such a lane of @cluster, to whichever endpoint; NULL: none is idle. */
struct back *lane_any(struct worker *w, __u32 cluster);
/* An idle or new (connecting) lane of @cluster, for no front; NULL: its limits allow none. */
struct back *lane_spare(struct worker *w, __u32 cluster);
/* Whether nothing can be read from the lane, not even its end. */
bool lane_quiet(const struct back *b);
void lane_sweep(struct worker *w);
/* Marks the slots that are in some pool of anybody's; the others rest. */
void lane_walk_pools(struct worker *w, __u8 *listed);
void lane_timeouts(struct worker *w);

/* queue.c */
/* Whether others wait for a lane of @f's cluster, and it is not @f's turn. */
bool waiting_must(const struct worker *w, const struct front *f);
/* To the end of the queue. 0, or the status to answer: it is full. */
__u32 waiting_add(struct worker *w, struct front *f);
void waiting_cancel(struct worker *w, struct front *f);
/* Lanes of @c that are idle, of whichever thread, or may be made. */
__u32 lanes_to_spare(const struct worker *w, const struct sl_cluster *c);
/* Requests that wait are served if there is a lane now. */
void waiting_serve(struct worker *w);

/* door.c: our ends of connections that BPF sends through. */
/* BPF can send through @f, whose client is remote. False: it cannot. */
bool door_front(struct worker *w, struct front *f);
/* ... through the lane @b, which has been established, or has come from another thread. */
void door_back(struct worker *w, struct back *b);
/* Whether just @tx bytes were written to @fd, which was accepted, or it has ended. */
bool door_written(int fd, __u32 tx);
/* Whether @fd, of which @rx bytes were read and recv() says 0, has ended by FIN; or is no TCP. */
bool door_fin(int fd, __u32 rx);
/*
 * Whether a FIN of ours overtakes nothing that BPF moves to the client just now; before we write to
 * front: nor do bytes. False: @f is looked at again a millisecond later.
 */
bool door_settled(struct worker *w, struct front *f);
bool door_moved(struct worker *w, struct front *f);
/* Bytes for the client are being moved for longer than any move takes: the session is to end. */
bool door_is_lost(const struct worker *w, const struct front *f);
void door_retry(struct worker *w);

/* exchange.c */
void exchange_run(struct worker *w, struct front *f);
void exchange_lane_failed(struct worker *w, struct front *f);
void exchange_connected(struct worker *w, struct front *f);
void exchange_reset(struct front *f);
/* Its turn is over, and it is not at rest: it goes on when the others had theirs. */
void exchange_wait_turn(struct worker *w, struct front *f);
/* They have: the next turn of each that waits for one. */
void exchanges_go_on(struct worker *w);
/* Ends an answer that has begun so that the client can tell that it is cut. */
void exchange_cut(struct worker *w, struct front *f);
/* Whether an answer is not whole that a FIN would make look so. */
bool exchange_looks_whole(const struct front *f);
/* Ends the session, which cannot go on; what of an answer has begun so that the client can tell. */
void exchange_give_up(struct worker *w, struct front *f);

/* deadline.c */
/* @d becomes @cause if @ns after @from_ns is sooner; 0 of either: is no deadline. */
void due_add(struct due *d, enum cause cause, __u64 from_ns, __u64 ns);
/* The next deadline of an exchange of @f's. */
struct due due_of(struct worker *w, const struct front *f, const struct progress *p);
/* Sets the timer anew. @moved: a byte went either way. */
void exchange_deadline(struct worker *w, struct front *f, bool moved);
/* The timer has run out. */
void exchange_timeout(struct worker *w, struct front *f);
/* A deadline has passed. @sent: the request was complete. */
void exchange_expire(struct worker *w, struct front *f, enum cause cause, bool sent);

/* watch.c */
/* Brings f->watch up to date; the session is in a kernel exchange. */
void watch_look(struct worker *w, struct front *f);
/* Timeouts of what BPF does, of idle sessions and idle lanes. */
void watch_scan(struct worker *w);
/* The session ends when what it has in hand is done, or idle for @grace_ns. */
void session_end_soon(struct worker *w, struct front *f, __u64 grace_ns);

/* limits.c */
const struct sl_listener_limits *limits_of_listener(const struct worker *w, const struct front *f);
const struct sl_route_limits *limits_of_route(const struct worker *w, __u32 route);
/* ... of that with which BPF matched @f's request, before a reload or since. */
const struct sl_route_limits *limits_matched(const struct worker *w, const struct front *f);
/* The config of @generation, if there is one still. */
const struct sl_compiled *config_of(const struct worker *w, __u32 generation);
/*
 * The config that @f's exchange began with, and its route there; where that is gone, what is served
 * now and the route of the same name.
 */
const struct sl_compiled *config_began(const struct worker *w, const struct front *f,
				       __u32 *ret_route);
/* The matcher of @c, which config_began() has told; NULL: there is none any more. */
struct sl_matcher *matcher_of(const struct worker *w, const struct sl_compiled *c);
const struct sl_cluster_limits *limits_of_cluster(const struct worker *w, __u32 cluster);
/* While the answer is complete and only the client has to take it. */
__u32 limits_flush_ms(const struct worker *w, const struct front *f,
		      const struct sl_route_limits *r);
__u32 limits_stream_idle_ms(const struct worker *w, const struct front *f,
			    const struct sl_route_limits *r);
/* The shortest timeout that holds for something that BPF can begin; at most SWEEP_NS. */
__u64 limits_shortest_ns(const struct worker *w);
/* @cluster is not looked at for what is counted for listeners. */
void count_limit(struct worker *w, enum sl_count what, __u32 cluster);
/* Whether there are as many sessions as may be. */
bool limits_reached(const struct worker *w);
/* After n_fronts has changed. */
void limits_sessions_changed(struct worker *w);
/* Whether there are too many sessions even to say so to one more. Counts it. */
bool limits_hopeless(struct worker *w);
/* Each session may need a lane: as many are accepted as there are descriptors for both. */
void limits_descriptors(struct worker *w);
bool limits_crowded(struct worker *w);
/* Whether the next lane takes one of the last descriptors. */
bool limits_scarce(const struct worker *w);
/* Whether what is in hand takes as much memory as it may: no request more is taken. */
bool limits_heap_full(const struct worker *w);
/* Once a second: what `sluice stats` shows. */
void limits_heap_tell(struct worker *w);
/* A new session: over max_sessions it is to be refused. */
void limits_accepted(struct worker *w, struct front *f);

/* breaker.c */
/*
 * The request is counted as waiting for a connection. False: as many as may are, and @spare that
 * wait for an instant only.
 */
bool breaker_pend(struct worker *w, struct front *f, __u32 spare);
void breaker_unpend(struct worker *w, struct front *f);
/* A circuit breaker refuses the request: 503, the status to answer. */
__u32 breaker_overflow(struct worker *w, struct front *f);
/* Whether max_requests, and not max_connections, is what bounds the cluster's lanes. */
bool breaker_requests_bind(const struct worker *w, __u32 cluster);
/*
 * Before a request is repeated by a retry policy: whether max_retries has room. It is counted until
 * the exchange ends.
 */
bool breaker_retry(struct worker *w, struct front *f);
/* The exchange is over: it counts nowhere any more. */
void breaker_forget(struct worker *w, struct front *f);

/* handover.c: exchanges that BPF began. */
bool handover_request(struct worker *w, struct front *f);
void handover_response(struct worker *w, struct back *b);
bool handover_finish(struct worker *w, struct front *f);
void handover_own(struct front *f);
bool handover_take_back(struct front *f);
void handover_refused(struct front *f, bool over);
void handover_seize(struct worker *w, struct front *f, bool keep);
/* The lane of the session's kernel exchange; NULL: it is not bound to one. */
struct back *handover_lane(struct worker *w, const struct front *f);
bool handover_retry(struct worker *w, struct front *f);
bool handover_counts(const struct front *f);

/* direct.c: an exchange whose answer BPF moves, if it can be one. False. */
bool direct_begin(struct worker *w, struct front *f);

/* request.c */
bool request_read(struct worker *w, struct front *f);
bool request_advance(struct worker *w, struct front *f);
bool request_is_idempotent(__u8 method);
bool request_write(struct worker *w, struct front *f);
/*
 * What there is to be written to the lane, noted as on its way: request_written() follows. False:
 * nothing, or it is in the outbox.
 */
bool request_offer(struct worker *w, struct front *f, struct parts *ret);
/* @n bytes of it were written, or -errno. Touches no exchange but this one, and ends none. */
bool request_written(struct front *f, const struct parts *parts, ssize_t n);
/* The lane takes no more of it, and is not used again: what is left is read and dropped. */
void request_drop(struct front *f);
/* Whether its lane may hold some of it behind its answer: more than SWALLOWED_MIN were written. */
bool request_is_long(const struct front *f);
/* Behind the whole answer: bytes of the request that the lane's socket has, and has not sent. */
__u32 request_unsent(const struct front *f);
/* Whether nothing of the request that we have had is with us any more, nor there. */
bool request_is_out(const struct front *f);

/* response.c */
bool response_read(struct worker *w, struct front *f);
bool response_advance(struct worker *w, struct front *f);
bool response_write(struct worker *w, struct front *f);
/* As for the request; to the client. When it cannot be written f->io.failed says so. */
bool response_offer(struct worker *w, struct front *f, struct parts *ret);
bool response_written(struct front *f, const struct parts *parts, ssize_t n);

/* outbox.c: small writes of a wake-up that had several events are made together, at its end. */
void outbox_gather(struct worker *w);
/* Takes note that @f has @parts to write. False: to be written now. */
bool outbox_add(struct worker *w, struct front *f, const struct parts *parts);
/* Writes what there is, and goes on with those exchanges. */
void outbox_flush(struct worker *w);
void outbox_free(struct worker *w);

/* splice.c */
/* Whether no program of ours sees what is sent through the front or its lane. */
bool ends_are_remote(const struct front *f);
/* Moves what it can of a large answer; in order with response_read() and response_write(). */
bool response_splice(struct worker *w, struct front *f);
void splice_drop(struct worker *w, struct front *f);
void splice_pool_free(struct worker *w);
/* Whether @fd is such a pipe's, of a worker that has died. */
bool splice_is_ours(int fd);

/* route.c: where a request goes. 0, or the status to answer. */
__u32 route_request(struct worker *w, struct front *f, struct sl_head *h, const __u8 *buf);
/* Whether the client is internal to @config's connection manager; asks for its address. */
bool client_is_internal(const struct front *f, const struct sl_config_action *config,
			const struct sl_head *h, const __u8 *buf);
/* Another endpoint of the exchange's cluster than the one it has, if there is one; NO_INDEX: none.
 */
__u32 route_other(struct worker *w, struct front *f);
/* None of the @n endpoints @not, if one of @tries choices is so. */
__u32 route_but(struct worker *w, struct front *f, const __u32 * not, __u32 n, __u32 tries);

/* health.c */
int health_init(struct worker *w); /* 0 or -ENOMEM */
void health_free(struct worker *w);
/* Endpoints are checked by @c from now on. */
void health_config(struct worker *w, const struct sl_compiled *c);
/* @endpoint has come into its cluster, or has left it. */
void health_begin(struct worker *w, __u32 endpoint);
void health_end(struct worker *w, __u32 endpoint);
void health_tick(struct worker *w);
__u64 health_due(const struct worker *w);

/* check.c */
void check_event(struct worker *w, struct io *io, __u32 events);

/* outlier.c */
/* @endpoint has answered with @status, or has failed in a way that is worth this one. */
void outlier_report(struct worker *w, __u32 endpoint, __u32 status);
/* It has failed often enough to be looked at; the main thread. */
void outlier_look(struct worker *w, __u32 endpoint);

/* balance.c: which endpoint of a cluster. */
int balance_init(struct worker *w); /* 0 or -ENOMEM */
void balance_free(struct worker *w);
/* What the view of @cluster is made of has changed: config, addresses, health. */
void balance_update(struct worker *w, __u32 cluster);
/* All views are by @c from now on. */
void balance_config(struct worker *w, const struct sl_compiled *c);
/* @hash: of the request, by its route's policies; or NULL. NO_INDEX: there is none. */
__u32 balance_pick(struct worker *w, __u32 cluster, const __u64 *hash);
/* @s, as it was read: clusters without a healthy endpoint get nothing, if another has a weight. */
void balance_alive(const struct worker *w, struct sl_split *s);
/* None of the @n endpoints @not, if one of @tries choices is so; else the last one. */
__u32 balance_other(struct worker *w, __u32 cluster, const __u64 *hash, const __u32 * not, __u32 n,
		    __u32 tries);
/* At least once a second. */
void balance_tick(struct worker *w);
__u64 balance_due(const struct worker *w);

/* sticky.c */
/* sl_session.source_hash of the connection @fd. */
__u64 sticky_source(int fd);
/*
 * Hashes the request by @route's policies. False: it has none, or nothing that they look at.
 * Cookies that are to be made are written to f->cookies.
 */
bool sticky_hash(struct worker *w, struct front *f, const struct sl_route *route, struct sl_head *h,
		 const __u8 *buf, __u64 *ret);
/* The target of the user's cohort; SL_NO_TARGET: none. */
__u32 sticky_target(struct worker *w, const struct sl_split *split, __u64 hash);

/*
 * rewrite.c: heads as they are sent on. The request goes to f->req: 0, or the status to answer;
 * kept (without what its route does to it) for what an answer of our own says of it.
 */
__u32 rewrite_request(struct worker *w, struct front *f, const struct sl_head *h, const __u8 *buf);
void rewrite_kept(struct worker *w, struct front *f, const struct sl_head *h, const __u8 *buf);
/* Answers go to f->out, or @out. False: does not fit; nothing is added. */
bool rewrite_response(struct worker *w, struct front *f, const struct sl_head *h, const __u8 *buf);
bool rewrite_interim(struct worker *w, struct buffer *out, const struct sl_head *h,
		     const __u8 *buf);
/* The head of a 101: with Connection and Upgrade. */
bool rewrite_switch(struct worker *w, struct front *f, const struct sl_head *h, const __u8 *buf);
/* The head of an answer of our own, whose lines are in w->response. */
bool rewrite_reply(struct worker *w, struct front *f, __u32 status, const char *phrase);

enum failure {
	FAILURE_CONNECT, /* nothing was sent */
	FAILURE_RESET,	 /* the lane ended, or what it said is no answer */
	FAILURE_TIMEOUT, /* per_try_timeout */
};

/*
 * retry.c: whether the exchange's retry policy has another try for what has failed, which is then
 * begun: the lane is closed, the back-off runs. The caller runs the exchange on.
 */
bool retry_failed(struct worker *w, struct front *f, enum failure failure);
bool retry_answer(struct worker *w, struct front *f, const struct sl_head *h, const __u8 *buf);
void retry_now(struct worker *w, struct front *f);
/* No lane could be had: another try if there may be one, else the answer @status. */
void retry_or_reply(struct worker *w, struct front *f, __u32 status);
__u32 retry_try_ms(const struct worker *w, const struct front *f); /* 0: none */
__u32 retry_idle_ms(const struct worker *w, const struct front *f);
/* Decides whether the body is kept; moves what came of it behind the head. */
void keep_begin(struct worker *w, struct front *f);
void keep_body(struct front *f);
__u32 random_u32(void);

/* mirror.c */
void mirror_begin(struct worker *w, struct front *f);
/* The request is whole, if it is: its copies go out. */
void mirror_fire(struct worker *w, struct front *f);
void mirror_event(struct worker *w, struct back *b);
/* The lane is closed: nothing is left of its copy. */
void mirror_lost(struct worker *w, struct back *b);
void mirror_timeouts(struct worker *w);
/* Gives up all that are under way. */
void mirror_stop(struct worker *w);

/* Whether a span is the text @lower, whatever its case. */
bool span_is(const __u8 *buf, struct sl_span s, const char *lower);
/* Whether a value that is a list of tokens holds @token, whatever its case. */
bool list_holds(const __u8 *buf, struct sl_span list, const void *token, __u32 len);

/* upgrade.c */
/* Whether the request @h asks for another protocol that we pass on. */
bool upgrade_asked(const struct sl_head *h, const __u8 *buf);
/* Whether the answer @h says which one its server wants (RFC 9110 section 15.5.22). */
bool upgrade_required(const struct sl_head *h, const __u8 *buf);
/*
 * Adds Connection and Upgrade of @h to a head that rewrite_*() has just made without them. False:
 * does not fit.
 */
bool upgrade_add(struct buffer *out, const struct sl_head *h, const __u8 *buf);

/* tunnel.c */
/* The backend has switched protocols: its head @h stands at the front of f->rin. */
bool tunnel_begin(struct worker *w, struct front *f, const struct sl_head *h);
void tunnel_run(struct worker *w, struct front *f);
/* Ends it before its ends do: both are reset, once they have what was sent before. */
void tunnel_break(struct worker *w, struct front *f);

/* reply.c: an answer of our own into `out`; ends the response side. */
void reply(struct worker *w, struct front *f, __u32 status);
void reply_direct(struct worker *w, struct front *f, const struct sl_direct *d);
void reply_redirect(struct worker *w, struct front *f, __u32 status, struct text location);
/* 200, with @body of @type. */
void reply_here(struct worker *w, struct front *f, struct text body, const char *type);

/* counters.c */
void count_reason(struct worker *w, struct front *f, const struct sl_head *h, enum sl_parse parse);
/* Clears the row of a generation that is about to be published. */
void generation_begin(struct worker *w, __u32 generation);
void count_exchange(struct worker *w, struct front *f, __u32 status);
/* ... and BPF has moved its answer, if the daemon began it. */
void count_direct(struct worker *w, const struct front *f);

/* grace.c: slots of sessions that were freed are free when no program can still write to them. */
int grace_start(struct crew *c, struct sl_maps *maps, struct sl_rcu *rcu);
/* No slot changes lists any more but by others. Waits for no grace period. */
void grace_stop(struct crew *c);
/* Something has been freed. */
void grace_want(struct crew *c);
/* For grace_is_over(): whether all programs have ended that had begun before. */
__u64 grace_ask(struct crew *c);
bool grace_is_over(const struct crew *c, __u64 asked);
/* Between these no slot changes lists but by BPF, or by a session that ends. */
void grace_hold(struct crew *c);
void grace_go_on(struct crew *c);

/* adopt.c */
int adopt_all(struct worker *w);

/* reload.c */
/* Reads the config file again and applies it, or says why not. */
void reload_run(struct worker *w);
/* The new config is applied when its names are known. */
void reload_tick(struct worker *w);
__u64 reload_due(const struct worker *w);
void reload_cancel(struct worker *w);
/* For a worker that follows another: makes the config that is served its own. 0 or -errno. */
int reload_resume(struct worker *w);

/* leaks.c */
void leaks_scan(struct worker *w);
void leaks_free(struct worker *w);

/* drain.c */
void drain_begin(struct worker *w);
/* What is this thread's. */
void drain_own(struct worker *w);
void drain_front(struct worker *w, struct front *f);
bool drain_done(struct worker *w);
void drain_hard(struct worker *w);

#endif /* SL_DAEMON_INTERNAL_H */
