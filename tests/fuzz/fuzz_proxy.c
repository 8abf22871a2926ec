// SPDX-License-Identifier: GPL-2.0-only
/*
 * The user path between a client and servers that say anything: what reaches a server is a
 * sequence of strict requests for one hop, each with the method, target and body that the client
 * sent, what reaches the client a sequence of strict responses, at most one for each request; and
 * no session, lane or slot is left over.
 *
 * The input is a script of steps: an octet that says who does what, an octet with a number, and for
 * "says" so many bytes. The clock is ours and goes on by the script alone, so timeouts are part of
 * it.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "balance/balance.h"
#include "config/config.h"
#include "daemon/internal.h"

#define N_LANES 8
#define STREAM_MAX (1024 * 1024)
#define STEPS_MAX 64
#define STEP_NS (20 * NS_PER_MS) /* that each step takes */

/* Routes by their prefix; a target that begins with REWRITTEN is no longer as it was said. */
#define REWRITTEN "/q"

static const char config[] = {
	"static_resources:\n"
	"  listeners:\n"
	"  - address: {socket_address: {address: 127.0.0.1, port_value: 8000}}\n"
	"    filter_chains:\n"
	"    - filters:\n"
	"      - name: envoy.filters.network.http_connection_manager\n"
	"        typed_config:\n"
	"          \"@type\": type.googleapis.com/envoy.extensions.filters.network."
	"http_connection_manager.v3.HttpConnectionManager\n"
	"          stat_prefix: x\n"
	"          request_timeout: 20s\n"
	"          route_config:\n"
	"            virtual_hosts:\n"
	"            - name: all\n"
	"              domains: [\"*\"]\n"
	"              routes:\n"
	"              - match: {prefix: /r}\n"
	"                route:\n"
	"                  cluster: one\n"
	"                  retry_policy: {retry_on: \"5xx,reset,connect-failure,retriable-4xx\","
	" num_retries: 3, per_try_timeout: 2s}\n"
	"              - match: {prefix: /m}\n"
	"                route: {cluster: one, request_mirror_policies: [{cluster: two}]}\n"
	"              - match: {prefix: /b}\n"
	"                route:\n"
	"                  cluster: one\n"
	"                  retry_policy: {retry_on: 5xx}\n"
	"                  request_mirror_policies: [{cluster: two}, {cluster: one}]\n"
	"              - match: {prefix: /p}\n"
	"                route: {cluster: two, prefix_rewrite: " REWRITTEN
	", host_rewrite_literal: h}\n"
	"              - match: {prefix: /h}\n"
	"                route: {cluster: two}\n"
	"                request_headers_to_add:\n"
	"                - header: {key: x-added, value: \"%REQ(:path)% "
	"%DOWNSTREAM_REMOTE_ADDRESS%\"}\n"
	"                request_headers_to_remove: [x-gone]\n"
	"                response_headers_to_add:\n"
	"                - header: {key: x-added, value: \"%RESP(x)% %RESPONSE_CODE%\"}\n"
	"                response_headers_to_remove: [x-gone]\n"
	"              - {match: {prefix: /d}, redirect: {host_redirect: other, prefix_rewrite: "
	"/e}}\n"
	"              - match: {prefix: /x}\n"
	"                direct_response: {status: 404, body: {inline_string: no}}\n"
	"              - match: {prefix: /t}\n"
	"                route: {cluster: one, timeout: 3s, idle_timeout: 1s}\n"
	"              - {match: {prefix: /}, route: {cluster: one}}\n"
	"  clusters:\n"
	"  - name: one\n"
	"    connect_timeout: 1s\n"
	"    circuit_breakers: {thresholds: [{max_connections: 3, max_pending_requests: 2}]}\n"
	"    hosts: [{socket_address: {address: 127.0.0.1, port_value: 9001}},"
	" {socket_address: {address: 127.0.0.1, port_value: 9002}}]\n"
	"  - name: two\n"
	"    connect_timeout: 1s\n"
	"    max_requests_per_connection: 2\n"
	"    hosts: [{socket_address: {address: 127.0.0.1, port_value: 9003}}]\n"};

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

/* What one side has been sent, and how far it was checked. */
struct stream {
	int fd; /* the far end; -1: none */
	__u8 *bytes;
	__u32 len;
	__u32 at;
	struct sl_body body;
	bool in_body;
	bool to_end;	/* what follows is not looked at: a body up to the end, a tunnel */
	bool upgrade;	/* the last request asked for one */
	bool rewritten; /* ... and has another target than the client said */
	__u64 sum;	/* of the message: method, target, body with its framing */
};

static struct worker w;
static struct sl_maps maps;
static struct sl_compiled *compiled;
static __u64 clock_now = NS_PER_S;
static struct stream servers[N_LANES];
static struct stream client;
static struct stream said; /* by the client: for the methods */
static __u32 n_requests, n_answers;
static __u8 is_head[4096];
static bool any_upgrade; /* the client has asked for one */
static bool tunnel;	 /* and was told that it has it */
static __u64 sums[4096]; /* of the requests that the client said whole */
static __u32 n_sums;
static struct sl_head head;
static __u8 window[SL_HEAD_MAX];

/* The worker's view of the maps: no slot for any session. */
int sl_maps_split_get(const struct sl_maps *m, __u32 id, struct sl_split *ret)
{
	(void)m, (void)id, (void)ret;
	return -ENOENT;
}

int sl_maps_socket_get(const struct sl_maps *m, int fd, struct sl_socket *ret)
{
	(void)m, (void)fd, (void)ret;
	return -ENOENT;
}

int sl_maps_socket_set(const struct sl_maps *m, int fd, const struct sl_socket *me)
{
	(void)m, (void)fd, (void)me;
	return 0;
}

void sl_maps_request_head(const struct sl_maps *m, __u32 slot, __u8 *ret)
{
	(void)m, (void)slot;
	memset(ret, 0, SL_KERNEL_HEAD_MAX);
}

void sl_maps_request_head_set(const struct sl_maps *m, __u32 slot, const __u8 *head, __u32 len)
{
	(void)m, (void)slot, (void)head, (void)len;
}

void sl_maps_l4_forget(const struct sl_maps *m, __u32 endpoint)
{
	(void)m;
	(void)endpoint;
}

int sl_maps_sockmap_set(int map_fd, __u32 index, int fd)
{
	(void)map_fd, (void)index, (void)fd;
	return -ENOENT;
}

bool sl_maps_sockmap_has(int map_fd, __u32 index)
{
	(void)map_fd, (void)index;
	return false;
}

bool sl_maps_is_settled(const struct sl_maps *m)
{
	(void)m;
	return true;
}

bool sl_maps_is_table(int fd)
{
	(void)fd;
	return false;
}

void sl_rcu_wait(struct sl_rcu *r)
{
	(void)r;
}

/* No config file to read again. */
void reload_run(struct worker *worker)
{
	(void)worker;
}

void reload_tick(struct worker *worker)
{
	(void)worker;
}

__u64 reload_due(const struct worker *worker)
{
	(void)worker;
	return ~0ULL;
}

void reload_cancel(struct worker *worker)
{
	(void)worker;
}

int names_start(struct worker *worker)
{
	(void)worker;
	return 0;
}

void names_stop(struct worker *worker)
{
	(void)worker;
}

void names_event(struct worker *worker)
{
	(void)worker;
}

void names_tick(struct worker *worker)
{
	(void)worker;
}

__u64 names_due(const struct worker *worker)
{
	(void)worker;
	return ~0ULL;
}

int sl_maps_pipe_get(const struct sl_maps *m, __u64 key, struct sl_pipe *ret)
{
	(void)m;
	(void)key;
	(void)ret;
	return -ENOENT;
}

int reload_resume(struct worker *worker)
{
	(void)worker;
	return 0;
}

struct sl_events *sl_events_open(const struct sl_maps *m,
				 void (*fn)(void *ctx, const struct sl_event *e), void *ctx)
{
	(void)m, (void)fn, (void)ctx;
	return NULL;
}

int sl_events_poll_fd(const struct sl_events *e)
{
	(void)e;
	return -1;
}

int sl_events_consume(struct sl_events *e)
{
	(void)e;
	return 0;
}

void sl_events_close(struct sl_events *e)
{
	(void)e;
}

/* In the place of clock_gettime(): see FUZZ_CFLAGS_proxy. */
int clock_gettime(clockid_t id, struct timespec *ret)
{
	(void)id;
	*ret = (struct timespec){clock_now / NS_PER_S, clock_now % NS_PER_S};
	return 0;
}

/* In the place of libc's: an upstream connection is a pair, whose other end is ours. */
int socket(int domain, int type, int protocol)
{
	int pair[2];

	(void)domain, (void)protocol;
	if (socketpair(AF_UNIX, type, 0, pair))
		return -1;
	for (__u32 i = 0; i < N_LANES; i++) {
		if (servers[i].fd >= 0)
			continue;
		servers[i].fd = pair[1];
		servers[i].len = servers[i].at = 0;
		servers[i].in_body = servers[i].to_end = false;
		return pair[0];
	}
	close(pair[0]);
	close(pair[1]);
	errno = EMFILE;
	return -1;
}

int connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	(void)fd, (void)addr, (void)len;
	return 0;
}

static void check(bool ok)
{
	if (!ok)
		abort();
}

static __u64 sum(__u64 h, const __u8 *p, __u32 len)
{
	for (__u32 i = 0; i < len; i++)
		h = (h ^ p[i]) * 0x100000001b3ULL;
	return h;
}

/* Begins the sum of the request in `head`. */
static void sum_begin(struct stream *s)
{
	s->sum = sum(0xcbf29ce484222325ULL, window + head.method_name.off, head.method_name.len);
	s->sum = sum(s->sum, window + head.target.off, head.target.len);
}

static void said_whole(void)
{
	if (n_sums < sizeof(sums) / sizeof(sums[0]))
		sums[n_sums++] = said.sum;
}

/* The client said just this, by our own reading. */
static void heard_whole(const struct stream *s)
{
	if (s->rewritten)
		return;
	for (__u32 i = 0; i < n_sums; i++)
		if (sums[i] == s->sum)
			return;
	check(n_sums == sizeof(sums) / sizeof(sums[0]));
}

/* Parses what is at s->at; false: not whole yet. */
static bool next_head(struct stream *s, bool response, bool must_be_strict)
{
	__u32 n = s->len - s->at < SL_HEAD_MAX ? s->len - s->at : SL_HEAD_MAX;
	enum sl_parse rc;

	memcpy(window, s->bytes + s->at, n);
	rc = response ? sl_response_parse(&head, window, n) : sl_request_parse(&head, window, n);
	if (must_be_strict)
		check(rc == SL_PARSE_DONE || rc == SL_PARSE_MORE);
	if (rc != SL_PARSE_DONE) {
		if (rc != SL_PARSE_MORE)
			s->to_end = true;
		return false;
	}
	s->at += head.len;
	return true;
}

/* Follows a body; true: it has ended. */
static bool follow_body(struct stream *s, bool must_be_strict)
{
	__u32 used = 0;
	enum sl_body_result rc = sl_body_feed(&s->body, s->bytes + s->at, s->len - s->at, &used);

	s->sum = sum(s->sum, s->bytes + s->at, used);
	s->at += used;
	if (must_be_strict)
		check(rc != SL_BODY_BAD);
	if (rc == SL_BODY_BAD)
		s->to_end = true;
	s->in_body = rc != SL_BODY_DONE;
	return rc == SL_BODY_DONE;
}

/* A server gets strict HTTP/1.1 requests without what is for one hop. */
static void check_server(struct stream *s)
{
	const __u32 refused = SL_HEAD_HTTP10 | SL_HEAD_CLOSE | SL_HEAD_KEEP_ALIVE |
			      SL_HEAD_ABSOLUTE | SL_HEAD_AUTHORITY;
	const __u32 upgrade = SL_HEAD_CONNECTION | SL_HEAD_UPGRADE;

	while (s->at < s->len && !s->to_end) {
		if (s->in_body) {
			if (!follow_body(s, true))
				return;
			heard_whole(s);
			continue;
		}
		/* A client that is gone has not told us of its 101. */
		if (s->upgrade && (tunnel || client.fd < 0)) {
			s->to_end = true;
			return;
		}
		if (!next_head(s, false, true))
			return;
		sum_begin(s);
		check(!(head.flags & refused) && (head.flags & SL_HEAD_HOST));
		s->upgrade = head.flags & upgrade;
		check(!s->upgrade || (any_upgrade && (head.flags & upgrade) == upgrade));
		s->rewritten = head.target.len >= strlen(REWRITTEN) &&
			       !memcmp(window + head.target.off, REWRITTEN, strlen(REWRITTEN));
		s->body = sl_request_body(&head);
		s->in_body = !sl_body_done(&s->body);
		if (!s->in_body)
			heard_whole(s);
	}
}

/* What the client has asked for by our own reading: how many, and which of them by HEAD. */
static void count_requests(void)
{
	while (said.at < said.len && !said.to_end) {
		if (said.in_body) {
			if (!follow_body(&said, false))
				return;
			said_whole();
			continue;
		}
		while (said.len - said.at >= 2 && !memcmp(said.bytes + said.at, "\r\n", 2))
			said.at += 2;
		if (said.at == said.len || !next_head(&said, false, false))
			return;
		if (n_requests < sizeof(is_head))
			is_head[n_requests] = head.method == SL_METHOD_HEAD;
		n_requests++;
		any_upgrade |= !!(head.flags & SL_HEAD_UPGRADE);
		sum_begin(&said);
		said.body = sl_request_body(&head);
		said.in_body = !sl_body_done(&said.body);
		if (!said.in_body)
			said_whole();
	}
}

/* Whether answer @n is one to a HEAD. */
static bool head_asked(__u32 n)
{
	return n < n_requests && n < sizeof(is_head) && is_head[n];
}

static void check_client(void)
{
	while (client.at < client.len && !client.to_end) {
		if (client.in_body) {
			if (!follow_body(&client, true))
				return;
			continue;
		}
		if (!next_head(&client, true, true))
			return;
		check(!(head.flags & SL_HEAD_HTTP10));
		if (head.status == 101) {
			check(any_upgrade && n_answers < n_requests);
			tunnel = client.to_end = true;
			return;
		}
		if (head.status < 200)
			continue;
		/* One more than there were requests: the one that was not a request. */
		check(n_answers <= n_requests);
		client.body = sl_response_body(&head, head_asked(n_answers));
		n_answers++;
		if (client.body.kind == SL_BODY_CLOSE) {
			check(head.flags & SL_HEAD_CLOSE);
			client.to_end = true;
		}
		client.in_body = !sl_body_done(&client.body);
	}
}

static void take(struct stream *s)
{
	ssize_t n;

	if (s->fd < 0)
		return;
	while (s->len < STREAM_MAX &&
	       (n = recv(s->fd, s->bytes + s->len, STREAM_MAX - s->len, MSG_DONTWAIT)) > 0)
		s->len += n;
}

/* Where no program runs nobody waits for one. */
static void lanes_free(void)
{
	struct sl_control *c = maps.control;
	__u32 slot1;

	while ((slot1 = lane_stack_pop(&w, &c->freed_lanes)))
		lane_stack_push(&w, &c->free_lanes, slot1 - 1);
}

static void settle(void)
{
	clock_now += STEP_NS;
	lanes_free();
	for (int i = 0; i < 100; i++) {
		int n = worker_step(&w, 0);

		take(&client);
		for (__u32 k = 0; k < N_LANES; k++)
			take(&servers[k]);
		if (n <= 0 && !w.n_waiting && list_empty(&w.ready))
			break;
	}
	count_requests();
	check_client();
	for (__u32 k = 0; k < N_LANES; k++)
		check_server(&servers[k]);
}

static void say(struct stream *s, const unsigned char *data, __u32 len)
{
	if (s->fd >= 0 && len)
		(void)!send(s->fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void hang_up(struct stream *s)
{
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
}

static __u32 free_lanes(void)
{
	__u32 n = 0;

	for (__u32 slot1 = SL_STACK_SLOT(maps.control->free_lanes); slot1 && n <= N_LANES; n++)
		slot1 = maps.lanes[slot1 - 1].next;
	return n;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static struct sl_worker_args args = {.maps = &maps, .signal_fd = -1};
	struct sl_diag_list diags;
	__u32 n_slots;

	(void)argc, (void)argv;
	check(!sl_config_parse("fuzz", config, strlen(config), NULL, &diags, &compiled));
	sl_diag_free(&diags);
	args.compiled = compiled;
	maps.control = calloc(1, sizeof(*maps.control));
	maps.sessions = calloc(1, sizeof(*maps.sessions));
	maps.lanes = calloc(N_LANES, sizeof(*maps.lanes));
	maps.hosts = calloc(SL_MAX_ENDPOINTS, sizeof(*maps.hosts));
	check(!sl_lb_first(compiled, &maps.lb_slots, &n_slots));
	maps.clusters = calloc(SL_MAX_CLUSTERS, sizeof(*maps.clusters));
	memcpy(maps.clusters, compiled->clusters,
	       compiled->table->n_clusters * sizeof(*maps.clusters));
	maps.endpoints = compiled->endpoints;
	maps.control->n_cpu_pools = 1;
	maps.n_pools = 1;
	maps.pools = calloc(SL_MAX_ENDPOINTS, sizeof(*maps.pools));
	maps.sequences = calloc(SL_MAX_SPLITS, sizeof(*maps.sequences));
	maps.max_routes = SL_MAX_ROUTES;
	maps.route_stats = calloc(maps.max_routes * SL_STAT_SHARDS, sizeof(*maps.route_stats));
	maps.cluster_stats = calloc(SL_MAX_CLUSTERS * SL_STAT_SHARDS, sizeof(*maps.cluster_stats));
	maps.reasons = calloc(SL_N_REASONS, sizeof(*maps.reasons));
	maps.generations = calloc(SL_GENERATIONS * SL_STAT_SHARDS, sizeof(*maps.generations));
	client.bytes = malloc(STREAM_MAX);
	said.bytes = malloc(STREAM_MAX);
	for (__u32 i = 0; i < N_LANES; i++) {
		servers[i].bytes = malloc(STREAM_MAX);
		servers[i].fd = -1;
		maps.lanes[i].next = i + 1 < N_LANES ? i + 2 : 0;
		maps.lanes[i].back_fd = -1;
	}
	maps.control->n_lanes = N_LANES;
	maps.control->n_endpoints = compiled->table->n_endpoints;
	maps.control->free_lanes = 1;
	check(!worker_init(&w, &args));
	return 0;
}

static void begin(void)
{
	int pair[2];

	check(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair));
	client.fd = pair[1];
	client.len = client.at = said.len = said.at = 0;
	client.in_body = client.to_end = said.in_body = said.to_end = false;
	n_requests = n_answers = n_sums = 0;
	any_upgrade = tunnel = false;
	front_add(&w, pair[0], 0, &(struct sl_socket){0});
}

/* Everything is hung up: nothing may be left. */
static void end(void)
{
	settle(); /* the client has what it was told, a 101 too, before it goes */
	hang_up(&client);
	settle();
	drain_hard(&w);
	settle();
	for (__u32 k = 0; k < N_LANES; k++)
		hang_up(&servers[k]);
	check(!w.n_fronts && !w.n_backs && !w.n_waiting && !w.n_mirrors);
	check(list_empty(&w.ready) && list_empty(&w.undrained) && list_empty(&w.again));
	lanes_free();
	check(free_lanes() == N_LANES);
	for (__u32 i = 0; i < compiled->table->n_clusters; i++)
		check(!maps.clusters[i].n_lanes && !w.crew->n_pending[i] && !w.crew->n_retrying[i]);
	for (__u32 i = 0; i < compiled->table->n_endpoints; i++)
		check(!maps.endpoints[i].busy);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	begin();
	for (int i = 0; i < STEPS_MAX && size >= 2; i++) {
		__u8 who = data[0], what = data[0] >> 4;
		__u32 len = data[1] < size - 2 || what == 12 ? data[1] : size - 2;
		struct stream *s = who & 1 ? &servers[(who >> 1) % N_LANES] : &client;

		data += 2;
		size -= 2;
		if (what == 15) {
			hang_up(s);
		} else if (what == 14) {
			if (s->fd >= 0)
				shutdown(s->fd, SHUT_WR);
		} else if (what == 12) {
			clock_now += len * NS_PER_S / 10;
		} else {
			if (s == &client && said.len + len <= STREAM_MAX) {
				memcpy(said.bytes + said.len, data, len);
				said.len += len;
			}
			say(s, data, len);
			data += len;
			size -= len;
		}
		if (what != 13) /* 13: together with the next step */
			settle();
	}
	end();
	return 0;
}
