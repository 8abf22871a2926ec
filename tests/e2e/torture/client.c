/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The torture's clients. Each connection's script is decided by the seed and its number
 * alone: --first N --connections 1 repeats one. The last line of output is JSON; what must never be
 * is a line "WRONG ...".
 */
#include "client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define THREADS_MAX 256

static struct {
	struct sockaddr_in addr;
	uint64_t seed, first, connections;
	uint32_t seconds, threads, small;
	char mix;
	bool kills, starved, go_on;
} args = {.connections = UINT64_MAX, .seconds = 10, .threads = 16, .small = 20, .mix = MIX_STEADY};

static uint64_t next_connection;
static bool stop;
static struct counts counts[THREADS_MAX];

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000ULL + t.tv_nsec / 1000000;
}

/* A connected socket, or -errno. */
static int dial(struct dice *d)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), small = 4096, err;

	if (fd < 0)
		return -errno;
	if (dice_percent(d, args.small))
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	if (!connect(fd, (const struct sockaddr *)&args.addr, sizeof(args.addr)))
		return fd;
	err = -errno;
	close(fd);
	return err;
}

static void report(const struct client *c)
{
	printf("WRONG --seed %" PRIu64 " --first %" PRIu64 " --mix %c (%s): %s\n", args.seed, c->id,
	       args.mix, c->way, c->wrong);
	if (c->before_status)
		printf("  behind %u to %s\n", c->before_status, ask_text(&c->before));
	fflush(stdout);
	if (!args.go_on)
		stop = true;
}

static void connection(struct client *c, uint64_t id, struct counts *n)
{
	int fd;

	memset(&c->dice, 0, sizeof(*c) - offsetof(struct client, dice));
	c->id = id;
	c->dice.state = mix64(args.seed ^ mix64(id));
	c->counts = n;
	c->mix = args.mix;
	c->kills = args.kills;
	c->starved = args.starved;
	c->way = "connect";
	fd = dial(&c->dice);
	n->connections++;
	if (fd < 0) {
		if (args.kills)
			return;
		n->wrong++;
		client_wrong(c, "connect: %s", strerror(-fd));
		report(c);
		return;
	}
	wire_open(&c->w, fd, dice_below(&c->dice, N_WAITS));
	if (client_run(c) == WRONG) {
		n->wrong++;
		report(c);
	}
}

static void *run(void *arg)
{
	struct client *c = calloc(1, sizeof(*c));
	uint64_t id;

	if (!c)
		abort();
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		id = __atomic_fetch_add(&next_connection, 1, __ATOMIC_RELAXED);
		if (id - args.first >= args.connections)
			break;
		connection(c, id, arg);
	}
	free(c);
	return NULL;
}

static void print_counts(uint64_t ms)
{
	struct counts all = {0};

	for (uint32_t i = 0; i < args.threads; i++) {
		all.connections += counts[i].connections;
		all.exchanges += counts[i].exchanges;
		all.own += counts[i].own;
		all.lost += counts[i].lost;
		all.cut += counts[i].cut;
		all.unsent += counts[i].unsent;
		all.wrong += counts[i].wrong;
	}
	printf("{\"seed\": %" PRIu64 ", \"connections\": %" PRIu64 ", \"exchanges\": %" PRIu64
	       ", \"own\": %" PRIu64 ", \"lost\": %" PRIu64 ", \"cut\": %" PRIu64
	       ", \"unsent\": %" PRIu64 ", \"wrong\": %" PRIu64 ", \"ms\": %" PRIu64 "}\n",
	       args.seed, all.connections, all.exchanges, all.own, all.lost, all.cut, all.unsent,
	       all.wrong, ms);
}

static int usage(void)
{
	fprintf(stderr, "usage: client [--seed N] [--first N] [--connections N] [--seconds N] "
			"[--threads N] [--mix s|c|h] [--small PERCENT] [--patience MS] [--kills] "
			"[--starved] "
			"[--go-on] ADDRESS PORT\n");
	return 2;
}

static int parse(int argc, char **argv)
{
	static const struct option options[] = {
		{"seed", 1, NULL, 's'},	       {"first", 1, NULL, 'f'},
		{"connections", 1, NULL, 'c'}, {"seconds", 1, NULL, 't'},
		{"threads", 1, NULL, 'n'},     {"mix", 1, NULL, 'm'},
		{"patience", 1, NULL, 'p'},    {"small", 1, NULL, 'b'},
		{"kills", 0, NULL, 'k'},       {"starved", 0, NULL, 'v'},
		{"go-on", 0, NULL, 'g'},       {0},
	};
	int o;

	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (o) {
		case 's':
			args.seed = strtoull(optarg, NULL, 10);
			break;
		case 'f':
			args.first = strtoull(optarg, NULL, 10);
			break;
		case 'c':
			args.connections = strtoull(optarg, NULL, 10);
			break;
		case 't':
			args.seconds = atoi(optarg);
			break;
		case 'n':
			args.threads = atoi(optarg);
			break;
		case 'm':
			args.mix = optarg[0];
			break;
		case 'b': /* of the connections with a receive buffer of 4 KB */
			args.small = atoi(optarg);
			break;
		case 'p':
			wire_patience_ms = atoi(optarg);
			break;
		case 'k':
			args.kills = true;
			break;
		case 'v':
			args.kills = args.starved = true;
			break;
		case 'g':
			args.go_on = true;
			break;
		default:
			return usage();
		}
	}
	args.addr.sin_family = AF_INET;
	if (argc - optind != 2 || !args.threads || args.threads > THREADS_MAX ||
	    inet_pton(AF_INET, argv[optind], &args.addr.sin_addr) != 1)
		return usage();
	args.addr.sin_port = htons(atoi(argv[optind + 1]));
	return 0;
}

int main(int argc, char **argv)
{
	pthread_t threads[THREADS_MAX];
	uint64_t start = now_ms(), end;
	uint32_t n = 0;

	if (parse(argc, argv))
		return 2;
	signal(SIGPIPE, SIG_IGN);
	next_connection = args.first;
	end = start + args.seconds * 1000ULL;
	for (; n < args.threads; n++)
		if (pthread_create(&threads[n], NULL, run, &counts[n]))
			return 1;
	while (now_ms() < end && !__atomic_load_n(&stop, __ATOMIC_RELAXED) &&
	       __atomic_load_n(&next_connection, __ATOMIC_RELAXED) - args.first < args.connections)
		usleep(10000);
	if (args.connections == UINT64_MAX)
		stop = true;
	while (n--)
		pthread_join(threads[n], NULL);
	print_counts(now_ms() - start);
	return 0;
}
