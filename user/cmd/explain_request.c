// SPDX-License-Identifier: GPL-2.0-only
#include "cmd/explain_request.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "sl_hash.h"

static int wrong(char why[SL_EXPLAIN_WHY], const char *message, const char *word)
{
	snprintf(why, SL_EXPLAIN_WHY, message, word);
	return -EINVAL;
}

/* ---- lines ---- */

/* The next word of *@at, which is moved behind it; quotes of both kinds are taken off. NULL: none.
 */
static char *next_word(char **at)
{
	char *p = *at + strspn(*at, " \t\r\n"), *word = p, *out = p, quote = 0;

	if (!*p)
		return NULL;
	for (; *p && (quote || !strchr(" \t\r\n", *p)); p++) {
		if (!quote && (*p == '\'' || *p == '"'))
			quote = *p;
		else if (*p == quote)
			quote = 0;
		else
			*out++ = *p;
	}
	*at = *p ? p + 1 : p;
	*out = '\0';
	return word;
}

int sl_explain_split(char *line, struct sl_explain_words *w, char why[SL_EXPLAIN_WHY])
{
	const char *word;

	w->method = w->url = NULL;
	while ((word = next_word(&line))) {
		bool header = !strcmp(word, "-H") || !strcmp(word, "--header");
		bool from = !strcmp(word, "--from");

		if (header || from || !strcmp(word, "--listener")) {
			const char *value = next_word(&line);

			if (!value)
				return wrong(why, "something is missing behind %s", word);
			if (header && w->n_headers == SL_EXPLAIN_HEADERS)
				return wrong(why, "too many headers at '%.64s'", value);
			if (header)
				w->headers[w->n_headers++] = value;
			else if (from)
				w->from = value;
			else
				w->listener = value;
		} else if (!w->method) {
			w->method = word;
		} else if (!w->url) {
			w->url = word;
		} else {
			return wrong(why, "unexpected '%.64s'", word);
		}
	}
	return w->url ? 0 : wrong(why, "give METHOD and URL%s", "");
}

/* ---- words ---- */

/* Splits an absolute URL or a path. @host has room for the whole URL. False: it is neither. */
static bool split_url(const char *url, char *host, const char **ret_target)
{
	const char *start = strncasecmp(url, "http://", 7) ? url : url + 7;
	size_t len;

	host[0] = '\0';
	if (url[0] == '/' || !strcmp(url, "*")) {
		*ret_target = url;
		return true;
	}
	/* As curl reads it: no scheme, but a host. */
	if (start == url && strstr(url, "://"))
		return false;
	len = strcspn(start, "/?#");
	if (!len || memchr(start, '@', len))
		return false;
	memcpy(host, start, len);
	host[len] = '\0';
	*ret_target = start + len;
	return true;
}

int sl_explain_words_check(const struct sl_explain_words *w, char why[SL_EXPLAIN_WHY])
{
	char *host = malloc(strlen(w->url) + 1);
	const char *target;
	bool good;

	if (!host)
		return wrong(why, "out of memory%s", "");
	good = split_url(w->url, host, &target);
	free(host);
	if (!good)
		return wrong(why, "URL must be [http://]HOST[:PORT]/PATH or /PATH, not '%.128s'",
			     w->url);
	if (!*w->method || strpbrk(w->method, "/: \t\r\n"))
		return wrong(why, "METHOD must be a word such as GET, not '%.128s'", w->method);
	if (w->url[strcspn(w->url, " \t\r\n")])
		return wrong(why, "write white space in a URL as %%20: '%.128s'", w->url);
	for (__u32 i = 0; i < w->n_headers; i++)
		if (!strchr(w->headers[i], ':') || strpbrk(w->headers[i], "\r\n"))
			return wrong(why, "a header is 'NAME: VALUE', not '%.128s'", w->headers[i]);
	return 0;
}

/* ---- the request ---- */

/* Index of the listener that the request comes to; SL_NO_ROUTE: none of that name. */
static __u32 find_listener(const struct sl_compiled *c, const struct sl_explain_words *w,
			   const char *host)
{
	const char *colon = strrchr(host, ':');
	unsigned long port = colon && !strchr(colon, ']') ? strtoul(colon + 1, NULL, 10) : 80;

	for (__u32 i = 0; w->listener && i < c->n_listeners; i++)
		if (!strcmp(c->listeners[i].name, w->listener))
			return i;
	if (w->listener)
		return SL_NO_ROUTE;
	for (__u32 i = 0; host[0] && i < c->n_listeners; i++)
		if (c->listeners[i].port == port)
			return i;
	return 0;
}

static void host_of_listener(char *dst, size_t size, const struct sl_listener *l)
{
	char ip[INET6_ADDRSTRLEN] = "localhost";

	if (!l->wildcard)
		inet_ntop(l->family, l->addr, ip, sizeof(ip));
	/* Clients leave the scheme's own port out. */
	if (l->port == 80)
		snprintf(dst, size, strchr(ip, ':') ? "[%s]" : "%s", ip);
	else
		snprintf(dst, size, strchr(ip, ':') ? "[%s]:%u" : "%s:%u", ip, l->port);
}

/* The client's address, and its hash as the data path makes it. */
static bool set_client(struct sl_explain *e, const char *from)
{
	__u8 v4[4];
	__u64 word[2] = {0};

	if (inet_pton(AF_INET, from, v4) == 1) {
		memcpy((char *)word + 10, "\xff\xff", 2);
		memcpy((char *)word + 12, v4, sizeof(v4));
	} else if (inet_pton(AF_INET6, from, word) != 1) {
		return false;
	}
	e->source = sl_hash_words(word[0], word[1]);
	e->family = strchr(from, ':') ? AF_INET6 : AF_INET;
	(void)inet_pton(e->family, from, e->addr);
	return true;
}

/* The head as a client would send it; to be freed. NULL: no memory. */
static char *build_head(const struct sl_explain_words *w, const char *host, const char *target,
			size_t *ret_len)
{
	bool own_host = false;
	char *text = NULL;
	FILE *f = open_memstream(&text, ret_len);

	if (!f)
		return NULL;
	for (__u32 i = 0; i < w->n_headers; i++)
		own_host |= !strncasecmp(w->headers[i], "host:", 5);
	/* A fragment is the client's own business and is not sent. */
	fprintf(f, "%s %s%.*s HTTP/1.1\r\n", w->method,
		target[0] == '/' || target[0] == '*' ? "" : "/", (int)strcspn(target, "#"), target);
	if (!own_host)
		fprintf(f, "Host: %s\r\n", host);
	for (__u32 i = 0; i < w->n_headers; i++)
		fprintf(f, "%s\r\n", w->headers[i]);
	fputs("\r\n", f);
	if (fclose(f)) {
		free(text);
		return NULL;
	}
	return text;
}

int sl_explain_request(struct sl_explain *e, const struct sl_explain_words *w,
		       char why[SL_EXPLAIN_WHY])
{
	char *host = malloc(strlen(w->url) + SL_ADDRESS_TEXT);
	const char *target = NULL;
	char *head = NULL;
	size_t len = 0;
	int err = -ENOMEM;

	if (!host)
		return -ENOMEM;
	(void)split_url(w->url, host, &target);
	e->listener = find_listener(e->config, w, host);
	if (e->listener == SL_NO_ROUTE) {
		err = wrong(why, "no listener '%.64s'", w->listener);
		goto out;
	}
	if (!set_client(e, w->from ? w->from : "127.0.0.1")) {
		err = wrong(why, "'%.64s' is no IP address", w->from);
		goto out;
	}
	if (!host[0])
		host_of_listener(host, SL_ADDRESS_TEXT, &e->config->listeners[e->listener]);
	head = build_head(w, host, target, &len);
	if (!head)
		goto out;
	e->len = len < SL_HEAD_MAX ? len : SL_HEAD_MAX;
	memset(e->buf, 0, SL_HEAD_MAX);
	memcpy(e->buf, head, e->len);
	err = 0;
out:
	free(host);
	free(head);
	return err;
}
