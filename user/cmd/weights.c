// SPDX-License-Identifier: GPL-2.0-only
/* sluice weights: shows splits, or sets one by a single map update. */
#include "cmd/weights.h"

#include <errno.h>
#include <getopt.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/cmd.h"
#include "util/parse.h"
#include "util/suggest.h"

static const char help[] =
	"Usage: sluice weights [--instance NAME] [--json] [ROUTE [CLUSTER=WEIGHT]...]\n"
	"\n"
	"Shows the weights of every split route, or of ROUTE; or sets those of the named\n"
	"clusters, all in one map update that the very next request sees. Clusters that are\n"
	"not named keep their weight. Works on the pinned maps: no daemon has to run.\n"
	"\n"
	"Weights are whole numbers, relative to their sum, which is 1 to 4294967295. A\n"
	"cluster of weight 0 gets no request.\n"
	"\n"
	"  --instance NAME  the instance (default: default)\n"
	"  --json           as JSON\n"
	"  --help           this text\n";

struct split_routes {
	struct sl_split_route *list;
	__u32 n;
	__u32 n_routes; /* all routes of the table, split or not */
};

/* Names in a map are cut at SL_NAME_MAX - 1 bytes: so is the one that is looked for. */
static bool is_name(const char *in_map, const char *given)
{
	return !strncmp(in_map, given, SL_NAME_MAX - 1);
}

static int collect(const struct sl_maps *m, struct split_routes *ret)
{
	int err;

	ret->n_routes = m->table->n_routes < SL_MAX_ROUTES ? m->table->n_routes : SL_MAX_ROUTES;
	ret->list = calloc(ret->n_routes + 1, sizeof(*ret->list));
	if (!ret->list)
		return -ENOMEM;
	for (__u32 i = 0; i < ret->n_routes; i++) {
		struct sl_split_route *r = &ret->list[ret->n];

		err = sl_maps_route_get(m, i, &r->info);
		if (err)
			return err;
		r->info.name[SL_NAME_MAX - 1] = 0;
		r->info.match[SL_NAME_MAX - 1] = 0;
		if (r->info.action != SL_ACTION_SPLIT)
			continue;
		err = sl_maps_split_get(m, r->info.target, &r->split);
		if (err)
			return err;
		r->index = i;
		ret->n++;
	}
	return 0;
}

static int no_such_route(const struct sl_maps *m, const struct split_routes *routes,
			 const char *name)
{
	struct sl_suggest s = {.word = name};
	struct sl_route_info info;

	for (__u32 i = 0; i < routes->n_routes; i++) {
		if (sl_maps_route_get(m, i, &info) || info.action == SL_ACTION_SPLIT)
			continue;
		info.name[SL_NAME_MAX - 1] = 0;
		if (is_name(info.name, name)) {
			fprintf(stderr, "sluice weights: route '%s' is not split: %s\n", name,
				info.action == SL_ACTION_CLUSTER
					? "all its requests go to one cluster"
					: "it answers by itself");
			return SL_EXIT_REFUSED;
		}
	}
	for (__u32 i = 0; i < routes->n; i++)
		sl_suggest_try(&s, routes->list[i].info.name);
	fprintf(stderr, "sluice weights: no split route is called '%s'", name);
	if (s.best)
		fprintf(stderr, "; did you mean '%s'?", s.best);
	fputs(routes->n ? "\nSplit routes:" : "\nThe config has no split route.", stderr);
	for (__u32 i = 0; i < routes->n; i++)
		fprintf(stderr, " %s", routes->list[i].info.name);
	putc('\n', stderr);
	return SL_EXIT_REFUSED;
}

/* Exit status; @ret is set on SL_EXIT_DONE. */
static int find_route(const struct sl_maps *m, struct split_routes *routes, const char *name,
		      struct sl_split_route **ret)
{
	struct sl_split_route *found = NULL;

	for (__u32 i = 0; i < routes->n; i++) {
		if (!is_name(routes->list[i].info.name, name))
			continue;
		if (found) {
			fprintf(stderr,
				"sluice weights: routes %u and %u are both called '%s'; give them "
				"names of their own in the config\n",
				found->index, routes->list[i].index, name);
			return SL_EXIT_REFUSED;
		}
		found = &routes->list[i];
	}
	if (!found)
		return no_such_route(m, routes, name);
	*ret = found;
	return SL_EXIT_DONE;
}

/* Index of cluster @name among the targets, or -1 after saying what is wrong. */
static int find_target(const struct sl_maps *m, const struct sl_split_route *r, const char *name)
{
	struct sl_suggest s = {.word = name};
	int found = -1;

	for (__u32 i = 0; i < sl_split_targets(&r->split); i++) {
		const char *known = sl_cmd_cluster_name(m, r->split.targets[i].cluster);

		sl_suggest_try(&s, known);
		if (!is_name(known, name))
			continue;
		if (found >= 0) {
			fprintf(stderr,
				"sluice weights: cluster '%s' is in route '%s' more than once\n",
				name, r->info.name);
			return -1;
		}
		found = i;
	}
	if (found >= 0)
		return found;
	fprintf(stderr, "sluice weights: route '%s' has no cluster '%s'", r->info.name, name);
	if (s.best)
		fprintf(stderr, "; did you mean '%s'?", s.best);
	fputs("\nIts clusters:", stderr);
	for (__u32 i = 0; i < sl_split_targets(&r->split); i++)
		fprintf(stderr, " %s", sl_cmd_cluster_name(m, r->split.targets[i].cluster));
	putc('\n', stderr);
	return -1;
}

/* Applies one CLUSTER=WEIGHT to r->split; @seen: bit for each target set already. */
static int apply_one(const struct sl_maps *m, struct sl_split_route *r, const char *word,
		     __u32 *seen)
{
	const char *equals = strrchr(word, '=');
	int target, err, status = SL_EXIT_REFUSED;
	__u32 weight;
	char *name;

	if (!equals || equals == word) {
		fprintf(stderr, "sluice weights: '%s': expected CLUSTER=WEIGHT\n", word);
		return sl_cmd_usage("weights");
	}
	name = strndup(word, equals - word);
	if (!name)
		return SL_EXIT_SYSTEM;
	target = find_target(m, r, name);
	if (target < 0)
		goto out;
	if (*seen & 1U << target) {
		fprintf(stderr, "sluice weights: cluster '%s' is given twice\n", name);
		goto out;
	}
	err = sl_parse_u32(equals + 1, UINT32_MAX, &weight);
	if (err) {
		fprintf(stderr, "sluice weights: weight '%s' of cluster '%s' is not %s\n",
			equals + 1, name,
			err == -ERANGE ? "within 0 to 4294967295" : "a whole number");
		goto out;
	}
	*seen |= 1U << target;
	r->split.targets[target].weight = weight;
	status = SL_EXIT_DONE;
out:
	free(name);
	return status;
}

static int set_weights(const struct sl_maps *m, struct sl_split_route *r, char **words, int n)
{
	__u32 seen = 0;
	__u64 sum;
	int err;

	r->before = r->split;
	for (int i = 0; i < n; i++) {
		int status = apply_one(m, r, words[i], &seen);

		if (status)
			return status;
	}
	sum = sl_split_sum(&r->split);
	if (!sum || sum > UINT32_MAX) {
		fprintf(stderr,
			"sluice weights: the weights of route '%s' would add up to %llu; their sum "
			"has to be 1 to 4294967295. Nothing was changed.\n",
			r->info.name, (unsigned long long)sum);
		return SL_EXIT_REFUSED;
	}
	err = sl_maps_split_set(m, r->info.target, &r->split);
	if (err) {
		fprintf(stderr, "sluice weights: cannot update the map 'splits': %s\n",
			strerror(-err));
		return SL_EXIT_SYSTEM;
	}
	r->changed = true;
	return SL_EXIT_DONE;
}

static int show_or_set(const struct sl_maps *m, char **words, int n, bool json)
{
	struct split_routes routes = {};
	struct sl_split_route *one;
	int err, status;

	err = collect(m, &routes);
	if (err) {
		fprintf(stderr, "sluice weights: cannot read the routes: %s\n", strerror(-err));
		status = SL_EXIT_SYSTEM;
		goto out;
	}
	if (!n) {
		status = SL_EXIT_DONE;
		if (!routes.n && !json)
			puts("The config has no split route.");
		else
			status = (json ? sl_weights_print_json : sl_weights_print)(m, routes.list,
										   routes.n);
		goto out;
	}
	status = find_route(m, &routes, words[0], &one);
	if (!status && n > 1)
		status = set_weights(m, one, words + 1, n - 1);
	if (!status)
		status = (json ? sl_weights_print_json : sl_weights_print)(m, one, 1);
out:
	free(routes.list);
	return status;
}

int sl_cmd_weights(int argc, char **argv)
{
	static const struct option options[] = {
		{"instance", required_argument, NULL, 'i'},
		{"json", no_argument, NULL, 'j'},
		{"help", no_argument, NULL, 'h'},
		{},
	};
	const char *instance = SL_INSTANCE_DEFAULT;
	struct sl_maps maps;
	bool json = false;
	int opt, status;

	optind = 1;
	while ((opt = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (opt) {
		case 'i':
			instance = optarg;
			break;
		case 'j':
			json = true;
			break;
		case 'h':
			fputs(help, stdout);
			return SL_EXIT_DONE;
		default:
			return sl_cmd_usage("weights");
		}
	}
	if (!sl_cmd_instance("weights", instance))
		return SL_EXIT_USAGE;
	status = sl_cmd_open("weights", &maps, instance);
	if (status)
		return status;
	status = show_or_set(&maps, argv + optind, argc - optind, json);
	sl_maps_close(&maps);
	return status;
}
