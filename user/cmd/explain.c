// SPDX-License-Identifier: GPL-2.0-only
/* sluice explain: which way would these requests take, and why? Needs no privilege. */
#include "cmd/cmd.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/explain_request.h"
#include "config/config.h"

struct args {
	const char *config;
	const char *file; /* of requests; NULL: one, in words */
	struct sl_explain_words words;
	bool json;
};

static void help(void)
{
	puts("Usage: sluice explain -c FILE METHOD URL [-H 'NAME: VALUE']... [--json]\n"
	     "       sluice explain -c FILE --requests FILE [--json]\n"
	     "\n"
	     "Takes requests through the config with the code of the data path: the virtual host,\n"
	     "the route and why not the ones before it, the clusters with their shares and\n"
	     "endpoints, the cluster of the user's cohort if the split is sticky, kernel or user\n"
	     "path and the reason. Weights are the file's; 'sluice weights' shows those of a\n"
	     "running instance. Nothing is sent.\n"
	     "\n"
	     "  -c, --config FILE           the config\n"
	     "  -H, --header 'NAME: VALUE'  a header of the request; can be repeated\n"
	     "      --from ADDRESS          the client's IP address (default: 127.0.0.1)\n"
	     "      --listener NAME         the listener (default: that of the URL's port)\n"
	     "  -r, --requests FILE         many requests, each a line of METHOD, URL and options "
	     "as\n"
	     "                              above; '#' begins a comment; '-': standard input\n"
	     "      --json                  for programs; of many requests each is a line\n"
	     "  -h, --help                  this text\n"
	     "\n"
	     "URL is [http://]HOST[:PORT]/PATH, or /PATH at the first listener's address.\n"
	     "Exit status: 0 done, 1 the config or the requests are wrong or not readable, 2 "
	     "usage.");
}

static int usage(const char *message, const char *word)
{
	fputs("sluice explain: ", stderr);
	fprintf(stderr, message, word);
	fputc('\n', stderr);
	return sl_cmd_usage("explain");
}

static int failed(int err)
{
	fprintf(stderr, "sluice explain: %s\n",
		err == -EPROTO ? "internal error: the steps and the matcher do not agree"
			       : strerror(-err));
	return SL_EXIT_SYSTEM;
}

/* 0, -EINVAL with @why, or another -errno. */
static int explain_one(struct sl_explain *e, const struct args *a, const struct sl_explain_words *w,
		       char why[SL_EXPLAIN_WHY])
{
	int err = sl_explain_words_check(w, why);

	if (!err)
		err = sl_explain_request(e, w, why);
	if (!err)
		err = sl_explain(e);
	if (err)
		return err;
	return a->json ? sl_explain_json(e, a->config, a->file) : sl_explain_text(e, a->config);
}

/* What is not told by -EINVAL is not the line's fault. */
static int line_wrong(const struct args *a, unsigned int number, int err, const char *why)
{
	if (err != -EINVAL)
		return failed(err);
	fprintf(stderr, "%s:%u: %s\n", a->file, number, why);
	return SL_EXIT_REFUSED;
}

/* All lines, also behind a wrong one. */
static int explain_lines(struct sl_explain *e, const struct args *a, FILE *f)
{
	char why[SL_EXPLAIN_WHY], *line = NULL;
	int status = SL_EXIT_DONE;
	unsigned int number = 0;
	bool first = true;
	size_t size = 0;

	while (getline(&line, &size, f) >= 0 && status != SL_EXIT_SYSTEM) {
		struct sl_explain_words w = a->words;
		int err;

		number++;
		if (strchr("#\n", line[strspn(line, " \t\r")]))
			continue;
		if (!first && !a->json)
			puts("\n---\n");
		first = false;
		err = sl_explain_split(line, &w, why);
		if (!err)
			err = explain_one(e, a, &w, why);
		if (err)
			status = line_wrong(a, number, err, why);
	}
	free(line);
	return status;
}

static int explain_file(struct sl_explain *e, const struct args *a)
{
	FILE *f = strcmp(a->file, "-") ? fopen(a->file, "re") : stdin;
	int status;

	if (!f) {
		fprintf(stderr, "sluice explain: cannot read %s: %s\n", a->file, strerror(errno));
		return SL_EXIT_REFUSED;
	}
	status = explain_lines(e, a, f);
	if (f != stdin)
		fclose(f);
	return status;
}

static int explain(const struct args *a, const struct sl_compiled *c)
{
	struct sl_explain *e = calloc(1, sizeof(*e));
	char why[SL_EXPLAIN_WHY];
	int err = -ENOMEM, status;

	if (e) {
		e->config = c;
		e->buf = calloc(1, SL_HEAD_MAX);
		if (e->buf)
			err = sl_matcher_new(c->table, &e->matcher);
	}
	if (!err && a->file) {
		status = explain_file(e, a);
	} else {
		if (!err)
			err = explain_one(e, a, &a->words, why);
		status = !err ? SL_EXIT_DONE : err == -EINVAL ? usage("%s", why) : failed(err);
	}
	if (e) {
		sl_matcher_free(e->matcher);
		free(e->buf);
	}
	free(e);
	return status;
}

static int load_and_explain(const struct args *a)
{
	struct sl_compiled *compiled = NULL;
	struct sl_diag_list diags;
	int status, err = sl_config_load(a->config, NULL, &diags, &compiled);

	/* Warnings are `sluice check`'s business. */
	if (err)
		sl_diag_print(stderr, &diags);
	sl_diag_free(&diags);
	if (err)
		return err == -ENOMEM ? SL_EXIT_SYSTEM : SL_EXIT_REFUSED;
	status = explain(a, compiled);
	sl_compiled_free(compiled);
	return status;
}

static int check_args(int argc, char **argv, struct args *a)
{
	char why[SL_EXPLAIN_WHY];

	if (!a->config)
		return usage("give the config with -c FILE%s", "");
	if (a->file)
		return argc == optind ? SL_EXIT_DONE
				      : usage("'%s' beside --requests", argv[optind]);
	if (argc - optind != 2)
		return usage("give METHOD and URL%s", "");
	a->words.method = argv[optind];
	a->words.url = argv[optind + 1];
	return sl_explain_words_check(&a->words, why) ? usage("%s", why) : SL_EXIT_DONE;
}

int sl_cmd_explain(int argc, char **argv)
{
	static const struct option options[] = {
		{"config", required_argument, NULL, 'c'},
		{"header", required_argument, NULL, 'H'},
		{"from", required_argument, NULL, 'f'},
		{"listener", required_argument, NULL, 'l'},
		{"requests", required_argument, NULL, 'r'},
		{"json", no_argument, NULL, 'j'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	struct args a = {0};
	int c, status;

	while ((c = getopt_long(argc, argv, "c:H:r:h", options, NULL)) >= 0) {
		switch (c) {
		case 'c':
			a.config = optarg;
			break;
		case 'H':
			if (a.words.n_headers == SL_EXPLAIN_HEADERS)
				return usage("too many headers at '%s'", optarg);
			a.words.headers[a.words.n_headers++] = optarg;
			break;
		case 'f':
			a.words.from = optarg;
			break;
		case 'l':
			a.words.listener = optarg;
			break;
		case 'r':
			a.file = optarg;
			break;
		case 'j':
			a.json = true;
			break;
		case 'h':
			help();
			return SL_EXIT_DONE;
		default:
			return sl_cmd_usage("explain");
		}
	}
	status = check_args(argc, argv, &a);
	return status == SL_EXIT_DONE ? load_and_explain(&a) : status;
}
