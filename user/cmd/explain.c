// SPDX-License-Identifier: GPL-2.0-only
/* sluice explain: which way would this request take, and why? Needs no privilege. */
#include "cmd/cmd.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cmd/explain.h"
#include "config/config.h"

#define MAX_LINES                                                                      \
	(SL_MAX_HEADERS + 8) /* the parser refuses more; it shall be the one to say so \
			      */

struct request {
	const char *config;
	const char *method;
	const char *url;
	const char *headers[MAX_LINES];
	__u32 n_headers;
	bool json;
};

static void help(void)
{
	puts("Usage: sluice explain -c FILE METHOD URL [-H 'NAME: VALUE']... [--json]\n"
	     "\n"
	     "Takes a request through the config with the code of the data path: the virtual "
	     "host,\n"
	     "the route and why not the ones before it, the clusters with their shares and\n"
	     "endpoints, kernel or user path and the reason. Weights are the file's; 'sluice\n"
	     "weights' shows those of a running instance. Nothing is sent.\n"
	     "\n"
	     "  -c, --config FILE           the config\n"
	     "  -H, --header 'NAME: VALUE'  a header of the request; can be repeated\n"
	     "      --json                  for programs\n"
	     "  -h, --help                  this text\n"
	     "\n"
	     "URL is [http://]HOST[:PORT]/PATH, or /PATH at the first listener's address.\n"
	     "Exit status: 0 done, 1 the config is wrong or not readable, 2 usage.");
}

static int usage(const char *message, const char *word)
{
	fputs("sluice explain: ", stderr);
	fprintf(stderr, message, word);
	fputc('\n', stderr);
	return sl_cmd_usage("explain");
}

/* ---- the request's bytes ---- */

static void host_of_listener(char *dst, size_t size, const struct sl_compiled *c)
{
	const struct sl_listener *l = &c->listeners[0];
	char ip[INET6_ADDRSTRLEN] = "localhost";

	if (!l->wildcard)
		inet_ntop(l->family, l->addr, ip, sizeof(ip));
	/* Clients leave the scheme's own port out. */
	if (l->port == 80)
		snprintf(dst, size, strchr(ip, ':') ? "[%s]" : "%s", ip);
	else
		snprintf(dst, size, strchr(ip, ':') ? "[%s]:%u" : "%s:%u", ip, l->port);
}

/* Splits an absolute URL or a path. @host has room for the whole URL. False: it is neither. */
static bool split_url(const char *url, char *host, const char **ret_target)
{
	const char *start = strncasecmp(url, "http://", 7) ? url : url + 7;
	size_t len;

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

static bool is_host(const char *header)
{
	return !strncasecmp(header, "host:", 5);
}

/* The head as a client would send it; to be freed. NULL: no memory. */
static char *build_head(const struct request *r, const char *host, const char *target,
			size_t *ret_len)
{
	bool own_host = false;
	char *text = NULL;
	FILE *f = open_memstream(&text, ret_len);

	if (!f)
		return NULL;
	for (__u32 i = 0; i < r->n_headers; i++)
		own_host |= is_host(r->headers[i]);
	/* A fragment is the client's own business and is not sent. */
	fprintf(f, "%s %s%.*s HTTP/1.1\r\n", r->method,
		target[0] == '/' || target[0] == '*' ? "" : "/", (int)strcspn(target, "#"), target);
	if (!own_host)
		fprintf(f, "Host: %s\r\n", host);
	for (__u32 i = 0; i < r->n_headers; i++)
		fprintf(f, "%s\r\n", r->headers[i]);
	fputs("\r\n", f);
	if (fclose(f)) {
		free(text);
		return NULL;
	}
	return text;
}

/* ---- the command ---- */

static int explain(const struct request *r, const struct sl_compiled *c)
{
	struct sl_explain *e = calloc(1, sizeof(*e));
	char *host = malloc(strlen(r->url) + SL_ADDRESS_TEXT);
	const char *target = NULL;
	char *head = NULL;
	size_t len = 0;
	int err = -ENOMEM;

	if (!e || !host)
		goto out;
	e->config = c;
	e->buf = calloc(1, SL_HEAD_MAX);
	host_of_listener(host, SL_ADDRESS_TEXT, c);
	/* The form of the URL was checked before. */
	(void)split_url(r->url, host, &target);
	head = build_head(r, host, target, &len);
	if (!e->buf || !head)
		goto out;
	e->len = len < SL_HEAD_MAX ? len : SL_HEAD_MAX;
	memcpy(e->buf, head, e->len);
	err = sl_matcher_new(c->table, &e->matcher);
	if (!err)
		err = sl_explain(e);
	if (!err)
		err = r->json ? sl_explain_json(e, r->config) : sl_explain_text(e, r->config);
out:
	if (e) {
		sl_matcher_free(e->matcher);
		free(e->buf);
	}
	free(e);
	free(host);
	free(head);
	if (!err)
		return SL_EXIT_DONE;
	fprintf(stderr, "sluice explain: %s\n",
		err == -EPROTO ? "internal error: the steps and the matcher do not agree"
			       : strerror(-err));
	return SL_EXIT_SYSTEM;
}

static int load_and_explain(const struct request *r)
{
	struct sl_compiled *compiled = NULL;
	struct sl_diag_list diags;
	int status, err = sl_config_load(r->config, NULL, &diags, &compiled);

	/* Warnings are `sluice check`'s business. */
	if (err)
		sl_diag_print(stderr, &diags);
	sl_diag_free(&diags);
	if (err)
		return err == -ENOMEM ? SL_EXIT_SYSTEM : SL_EXIT_REFUSED;
	status = explain(r, compiled);
	sl_compiled_free(compiled);
	return status;
}

/* METHOD and URL as words of one request line: no other line can be smuggled in. */
static int check_words(const struct request *r)
{
	char *host = malloc(strlen(r->url) + 1);
	const char *target;
	bool good;

	if (!host)
		return SL_EXIT_SYSTEM;
	good = split_url(r->url, host, &target);
	free(host);
	if (!good)
		return usage("URL must be [http://]HOST[:PORT]/PATH or /PATH, not '%s'", r->url);
	if (!*r->method || strpbrk(r->method, "/: \t\r\n"))
		return usage("METHOD must be a word such as GET, not '%s'", r->method);
	if (r->url[strcspn(r->url, " \t\r\n")])
		return usage("write white space in a URL as %%20: '%s'", r->url);
	for (__u32 i = 0; i < r->n_headers; i++)
		if (!strchr(r->headers[i], ':') || strpbrk(r->headers[i], "\r\n"))
			return usage("a header is 'NAME: VALUE', not '%s'", r->headers[i]);
	return SL_EXIT_DONE;
}

int sl_cmd_explain(int argc, char **argv)
{
	static const struct option options[] = {
		{"config", required_argument, NULL, 'c'},
		{"header", required_argument, NULL, 'H'},
		{"json", no_argument, NULL, 'j'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	struct request r = {0};
	int c, status;

	while ((c = getopt_long(argc, argv, "c:H:h", options, NULL)) >= 0) {
		switch (c) {
		case 'c':
			r.config = optarg;
			break;
		case 'H':
			if (r.n_headers == MAX_LINES)
				return usage("too many headers at '%s'", optarg);
			r.headers[r.n_headers++] = optarg;
			break;
		case 'j':
			r.json = true;
			break;
		case 'h':
			help();
			return SL_EXIT_DONE;
		default:
			return sl_cmd_usage("explain");
		}
	}
	if (!r.config)
		return usage("give the config with -c FILE%s", "");
	if (argc - optind != 2)
		return usage("give METHOD and URL%s", "");
	r.method = argv[optind];
	r.url = argv[optind + 1];
	status = check_words(&r);
	return status == SL_EXIT_DONE ? load_and_explain(&r) : status;
}
