// SPDX-License-Identifier: GPL-2.0-only
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mutate.h"

/* splitmix64 */
__u64 next_random(__u64 *state)
{
	__u64 z = (*state += 0x9E3779B97F4A7C15ULL);

	z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9ULL;
	z = (z ^ z >> 27) * 0x94D049BB133111EBULL;
	return z ^ z >> 31;
}

__u32 below(__u64 *state, __u32 n)
{
	return n ? next_random(state) % n : 0;
}

static int seed_read(struct seed *s, const char *dir, const char *name)
{
	static const struct {
		const char *word;
		enum sl_parse verdict;
	} verdicts[] = {{"-done-", SL_PARSE_DONE},
			{"-more-", SL_PARSE_MORE},
			{"-bad-", SL_PARSE_BAD},
			{"-long-", SL_PARSE_LONG}};
	char path[512];
	FILE *f;
	__u32 i;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	snprintf(s->name, sizeof(s->name), "%s", name);
	f = fopen(path, "rb");
	if (!f) {
		perror(path);
		return -1;
	}
	s->len = fread(s->bytes, 1, SEED_MAX, f);
	fclose(f);
	s->response = !strncmp(name, "resp-", 5);
	for (i = 0; i < 4; i++) {
		if (!strncmp(strchr(name, '-') ? strchr(name, '-') : "", verdicts[i].word,
			     strlen(verdicts[i].word))) {
			s->expected = verdicts[i].verdict;
			return 0;
		}
	}
	fprintf(stderr, "%s: the name says no verdict\n", path);
	return -1;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct seed *)a)->name, ((const struct seed *)b)->name);
}

int corpus_read(struct corpus *c, const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *e;

	if (!d) {
		perror(dir);
		return -1;
	}
	c->n = 0;
	while ((e = readdir(d)) && c->n < SEEDS_MAX) {
		if (e->d_name[0] == '.')
			continue;
		if (seed_read(&c->seeds[c->n], dir, e->d_name)) {
			closedir(d);
			return -1;
		}
		c->n++;
	}
	closedir(d);
	/* The order of a directory is nobody's promise, and a seed number has to mean the same. */
	qsort(c->seeds, c->n, sizeof(c->seeds[0]), by_name);
	return c->n ? 0 : -1;
}

/* A message that grows: what does not fit is cut off. */
struct text {
	__u8 bytes[2 * 4096];
	__u32 len;
};

static void text_insert(struct text *t, __u32 at, const void *bytes, __u32 n)
{
	if (n > sizeof(t->bytes) - t->len)
		return;
	memmove(t->bytes + at + n, t->bytes + at, t->len - at);
	memcpy(t->bytes + at, bytes, n);
	t->len += n;
}

static void text_delete(struct text *t, __u32 at, __u32 n)
{
	if (n > t->len - at)
		n = t->len - at;
	memmove(t->bytes + at, t->bytes + at + n, t->len - at - n);
	t->len -= n;
}

/* Start of a line at or before a random byte. */
static __u32 some_line(const struct text *t, __u64 *state)
{
	__u32 at = below(state, t->len + 1);

	while (at && t->bytes[at - 1] != '\n')
		at--;
	return at;
}

static __u32 line_len(const struct text *t, __u32 at)
{
	__u32 end = at;

	while (end < t->len && t->bytes[end] != '\n')
		end++;
	return end < t->len ? end + 1 - at : end - at;
}

static const char *const words[] = {
	"Host: a\r\n",
	"host:b.example:80\r\n",
	"Content-Length: 5\r\n",
	"Content-Length:0\r\n",
	"Transfer-Encoding: chunked\r\n",
	"transfer-encoding:CHUNKED \r\n",
	"Connection: close\r\n",
	"Connection: keep-alive\r\n",
	"Connection: a, close,keep-alive\r\n",
	"Upgrade: x\r\n",
	"Expect: 100-continue\r\n",
	"x-canary: one\r\n",
	"X-Canary: two\r\n",
	"x-canary: one,two\r\n",
	"X-Very-Long-Name-Of-A-Header-Field-Indeed: v\r\n",
	"X: \t \r\n",
	"\r\n\r\n",
	"\r\n",
	"\r",
	"\n",
	"\t",
	" ",
	":",
	",",
	"?",
	"/",
	"#",
	"*",
	"http://",
	"https://",
	"HTTP/1.1",
	"HTTP/1.0",
	"HTTP/2.0",
	" HTTP/1.1\r\n",
	"GET ",
	"HEAD ",
	"POST ",
	"OPTIONS ",
	"CONNECT ",
	"/service/1",
	"/service/2",
	"/exact",
	"/prefix-that-is-long/and/longer/",
	"close",
	"keep-alive",
	"chunked",
	"18446744073709551615",
	"9223372036854775807",
	"9223372036854775808",
	"0",
	"\x80",
	"\xff",
	"\x7f",
	"0\r\n\r\n",
	"5\r\nhello\r\n",
	"ffffffffffffffff\r\n",
	"A;x=\"y\"\r\n",
	"one",
	"two",
	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
};

static const __u8 odd_bytes[] = "\r\n\t :,;?#/*@[]%_-.09azAZ\x01\x1f\x7f\x80\xff\0";

static void mutate(struct text *t, const struct corpus *corpus, __u64 *state)
{
	__u32 at = below(state, t->len + 1), n, to;
	const struct seed *other;
	const char *word;
	__u8 line[4096];

	switch (below(state, 12)) {
	case 0:
		if (at < t->len)
			t->bytes[at] = odd_bytes[below(state, sizeof(odd_bytes))];
		break;
	case 1:
		if (at < t->len)
			t->bytes[at] = next_random(state);
		break;
	case 2:
		if (at < t->len)
			t->bytes[at] ^= 0x20;
		break;
	case 3:
		text_delete(t, at, 1 + below(state, 8));
		break;
	case 4:
		word = words[below(state, sizeof(words) / sizeof(words[0]))];
		text_insert(t, at, word, strlen(word));
		break;
	case 5: /* a whole line, or a part of one, where a line begins */
		word = words[below(state, sizeof(words) / sizeof(words[0]))];
		text_insert(t, some_line(t, state), word, strlen(word));
		break;
	case 6: /* a line again, there or elsewhere */
		at = some_line(t, state);
		n = line_len(t, at);
		if (n > sizeof(line))
			break;
		memcpy(line, t->bytes + at, n);
		text_insert(t, some_line(t, state), line, n);
		break;
	case 7:
		at = some_line(t, state);
		text_delete(t, at, line_len(t, at));
		break;
	case 8:
		t->len = at;
		break;
	case 9: /* the rest of another one */
		other = &corpus->seeds[below(state, corpus->n)];
		n = below(state, other->len + 1);
		text_insert(t, at, other->bytes + n, other->len - n);
		break;
	case 10: /* filler, to move what follows over every boundary */
		n = 1 + below(state, below(state, 8) ? 70 : 1500);
		memset(line, "ax-1 ."[below(state, 6)], n);
		text_insert(t, at, line, n);
		break;
	case 11: /* many short lines */
		to = below(state, 70);
		at = some_line(t, state);
		for (n = 0; n < to; n++)
			text_insert(t, at, "B:\r\n", 4);
		break;
	}
}

static void split_fill(struct core_case *c, __u64 *state)
{
	__u32 i;

	c->n = below(state, 2) ? next_random(state) : below(state, 1000);
	memset(&c->split, 0, sizeof(c->split));
	c->split.n_targets = below(state, 4) ? below(state, 5) : next_random(state);
	for (i = 0; i < SL_MAX_SPLIT_TARGETS; i++) {
		switch (below(state, 8)) {
		case 0:
			c->split.targets[i].weight = next_random(state);
			break;
		case 1:
			c->split.targets[i].weight = 0;
			break;
		default:
			c->split.targets[i].weight = below(state, 101);
		}
	}
}

static void case_input(struct core_case *c, const __u8 *bytes, __u32 len, __u32 response)
{
	memset(c, 0, sizeof(*c));
	c->len = len < SL_HEAD_MAX ? len : SL_HEAD_MAX;
	memcpy(c->buf, bytes, c->len);
	c->response = response;
}

void case_from_seed(struct core_case *c, const struct seed *s)
{
	case_input(c, s->bytes, s->len, s->response);
	c->split.n_targets = 2;
	c->split.targets[0].weight = 25;
	c->split.targets[1].weight = 75;
}

/* One that is valid, mostly: a fault hides what comes after it. */
static const struct seed *some_seed(const struct corpus *corpus, __u64 *state)
{
	const struct seed *s = &corpus->seeds[below(state, corpus->n)];
	__u32 tries = 4;

	while (tries-- && s->expected == SL_PARSE_BAD)
		s = &corpus->seeds[below(state, corpus->n)];
	return s;
}

void case_mutated(struct core_case *c, const struct corpus *corpus, __u64 *state)
{
	const struct seed *s = some_seed(corpus, state);
	__u32 times = below(state, 3) + !below(state, 8) * below(state, 8);
	struct text t;

	memcpy(t.bytes, s->bytes, s->len);
	t.len = s->len;
	while (times--)
		mutate(&t, corpus, state);
	case_input(c, t.bytes, t.len, below(state, 50) ? s->response : !s->response);
	/* What stands behind the message must not matter: never zeros. */
	memset(c->buf + c->len, "\r\n: a0\0?"[below(state, 8)],
	       c -> len + 80 < sizeof(c->buf) ? 80 : sizeof(c->buf) - c->len);
	split_fill(c, state);
}
