// SPDX-License-Identifier: GPL-2.0-only
/*
 * The index of a table. For each virtual host: its paths, sorted; of each the routes that have it
 * (own) and those that have a shorter prefix of it (up); then the keys for the binary search
 * over the lengths of its prefixes: a prefix is found only if the search goes on to longer ones at
 * each shorter length that it looks at, so there is a key at each of them (a marker), with
 * the longest real prefix that it has as its value.
 */
#include "config/index.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config/index_hash.h"
#include "sl_index.h"

/* A route and its path; then, sorted, the first of several with the same path stands for it. */
struct key {
	struct sl_str path;
	__u32 route;
	__u8 exact;
	__u8 folded;
};

/* A path of the virtual host that is built. */
struct path {
	const struct key *keys; /* of its routes, in file order */
	__u32 n_keys;
	__u32 parent; /* index + 1 of the longest shorter prefix of it; 0: none */
	__u32 index;  /* in t->paths */
	__u32 merged; /* own and up as one list, for the children; 0: not made yet */
};

struct build {
	struct sl_table *t;
	struct sl_index_entries entries;
	struct key *keys;   /* [SL_MAX_ROUTES] */
	struct path *paths; /* [SL_MAX_ROUTES] */
	__u32 n_paths;
};

static const struct sl_table *sorting; /* qsort's function has no context */

static int by_path(const void *x, const void *y)
{
	const struct key *a = x, *b = y;
	__u32 len = a->path.len < b->path.len ? a->path.len : b->path.len;
	int order = a->exact - b->exact;

	if (!order)
		order = a->folded - b->folded;
	if (!order)
		order = memcmp(sorting->strings + a->path.off, sorting->strings + b->path.off, len);
	if (!order && a->path.len != b->path.len)
		order = a->path.len < b->path.len ? -1 : 1;
	return order ? order : a->route < b->route ? -1 : 1;
}

static bool same_path(const struct sl_table *t, const struct key *a, const struct key *b)
{
	return a->exact == b->exact && a->folded == b->folded && a->path.len == b->path.len &&
	       !memcmp(t->strings + a->path.off, t->strings + b->path.off, a->path.len);
}

static bool is_prefix(const struct sl_table *t, const struct key *a, const struct key *b)
{
	return a->exact == b->exact && a->folded == b->folded && a->path.len <= b->path.len &&
	       !memcmp(t->strings + a->path.off, t->strings + b->path.off, a->path.len);
}

/* Does the route take every request that comes to it by its path? */
static bool takes_all(const struct sl_table *t, __u32 route)
{
	return !t->routes[route].n_rules && t->routes[route].path_kind != SL_PATH_SEPARATED;
}

/* ---- lists ---- */

static int list_add(struct sl_table *t, __u16 route)
{
	if (t->n_listed == SL_INDEX_LISTED)
		return -ENOSPC;
	t->lists[t->n_listed++] = route;
	return 0;
}

/*
 * One list out of two, either 0: none; cut behind the first route that takes all. Its place in
 * *ret; of nothing: 0.
 */
static int list_merge(struct sl_table *t, __u32 a, __u32 b, __u32 *ret)
{
	__u32 first = t->n_listed;
	int err = 0;

	*ret = 0;
	while (!err) {
		__u16 ra = t->lists[a], rb = t->lists[b], route = ra < rb ? ra : rb;

		if (route == SL_LIST_END)
			break;
		err = list_add(t, route);
		if (takes_all(t, route))
			break;
		a += ra == route;
		b += rb == route;
	}
	if (first == t->n_listed)
		return err;
	*ret = first;
	return err ? err : list_add(t, SL_LIST_END);
}

static int list_own(struct sl_table *t, const struct path *p, __u32 *ret)
{
	int err = 0;

	*ret = t->n_listed;
	for (__u32 i = 0; i < p->n_keys && !err; i++) {
		err = list_add(t, p->keys[i].route);
		if (takes_all(t, p->keys[i].route))
			break;
	}
	return err ? err : list_add(t, SL_LIST_END);
}

/* ---- paths ---- */

/* Groups the sorted keys; each path's parent is the nearest one before it that is its prefix. */
static void group(struct build *b, __u32 n_keys)
{
	b->n_paths = 0;
	for (__u32 i = 0; i < n_keys; i++) {
		struct path *last = b->n_paths ? &b->paths[b->n_paths - 1] : NULL;
		__u32 parent = b->n_paths;

		if (last && same_path(b->t, last->keys, &b->keys[i])) {
			last->n_keys++;
			continue;
		}
		while (parent && !is_prefix(b->t, b->paths[parent - 1].keys, &b->keys[i]))
			parent = b->paths[parent - 1].parent;
		b->paths[b->n_paths++] = (struct path){
			.keys = &b->keys[i],
			.n_keys = 1,
			.parent = b->keys[i].exact ? 0 : parent,
		};
	}
}

static int make_path(struct build *b, struct path *p)
{
	struct path *parent = p->parent ? &b->paths[p->parent - 1] : NULL;
	struct sl_table *t = b->t;
	struct sl_path *out = &t->paths[t->n_paths];
	int err;

	p->index = t->n_paths++;
	out->up = 0;
	err = list_own(t, p, &out->own);
	if (err || !parent)
		return err;
	/* Parents come before their children. */
	if (!parent->merged)
		err = list_merge(t, t->paths[parent->index].own, t->paths[parent->index].up,
				 &parent->merged);
	out->up = parent->merged;
	return err;
}

/* ---- keys ---- */

static int add_entry(struct build *b, __u32 kind, __u32 owner, struct sl_str key, __u32 value)
{
	if (b->entries.n == SL_INDEX_ENTRIES)
		return -ENOSPC;
	b->entries.all[b->entries.n++] = (struct sl_index_entry){kind, owner, key, value};
	return 0;
}

/* The distinct lengths of @n paths, ascending, at the end of t->lengths. Their number or -ENOSPC.
 */
static int add_lengths(struct build *b, const struct path *paths, __u32 n)
{
	static __u8 has[SL_KERNEL_HEAD_MAX];
	struct sl_table *t = b->t;
	int count = 0;

	memset(has, 0, sizeof(has));
	for (__u32 i = 0; i < n; i++)
		has[paths[i].keys->path.len % SL_KERNEL_HEAD_MAX] = 1;
	for (__u32 len = 0; len < SL_KERNEL_HEAD_MAX; len++) {
		if (!has[len])
			continue;
		if (t->n_lengths == SL_INDEX_LENGTHS)
			return -ENOSPC;
		t->lengths[t->n_lengths++] = len;
		count++;
	}
	return count;
}

/* The longest prefix of @p's path that is at most @len bytes long. */
static __u32 best_of(const struct build *b, const struct path *p, __u32 len)
{
	while (p->keys->path.len > len) {
		if (!p->parent)
			return SL_NO_PATH;
		p = &b->paths[p->parent - 1];
	}
	return p->index;
}

/* Walks as sl_prefix_step() does, to the length of @p's path. */
static int add_markers(struct build *b, __u32 vhost, const struct path *p, const __u16 *lengths,
		       __u32 n)
{
	__u32 low = 0, high = n, len = p->keys->path.len;
	int err = 0;

	while (low < high && !err) {
		__u32 mid = low + (high - low) / 2;
		struct sl_str key = {.off = p->keys->path.off, .len = lengths[mid]};

		if (lengths[mid] > len) {
			high = mid;
			continue;
		}
		err = add_entry(b, SL_INDEX_PREFIX + p->keys->folded, vhost, key,
				best_of(b, p, lengths[mid]));
		if (lengths[mid] == len)
			break;
		low = mid + 1;
	}
	return err;
}

/* Paths [from, to) are the prefixes of one kind. Number of their lengths, or -ENOSPC. */
static int add_prefixes(struct build *b, __u32 vhost, __u32 from, __u32 to)
{
	const __u16 *lengths = &b->t->lengths[b->t->n_lengths];
	int n = add_lengths(b, &b->paths[from], to - from);

	for (__u32 i = from; i < to && n >= 0; i++) {
		int err = add_markers(b, vhost, &b->paths[i], lengths, n);

		if (err)
			return err;
	}
	return n;
}

static int add_exact(struct build *b, struct sl_vhost *v, __u32 vhost, __u32 from)
{
	int err = 0;

	for (__u32 i = from; i < b->n_paths && !err; i++) {
		const struct key *k = b->paths[i].keys;

		v->flags |= k->folded ? SL_VHOST_EXACT_FOLDED : SL_VHOST_EXACT;
		err = add_entry(b, SL_INDEX_EXACT + k->folded, vhost, k->path, b->paths[i].index);
	}
	return err;
}

static int index_vhost(struct build *b, __u32 vhost)
{
	struct sl_vhost *v = &b->t->vhosts[vhost];
	__u32 folded = 0, exact = 0;
	int err = 0, n;

	for (__u32 i = 0; i < v->n_routes; i++) {
		const struct sl_route *r = &b->t->routes[v->first_route + i];

		b->keys[i] = (struct key){
			.path = r->path,
			.route = v->first_route + i,
			.exact = r->path_kind == SL_PATH_EXACT,
			.folded = !!(r->flags & SL_ROUTE_FOLDED),
		};
	}
	sorting = b->t;
	qsort(b->keys, v->n_routes, sizeof(*b->keys), by_path);
	group(b, v->n_routes);
	for (__u32 i = 0; i < b->n_paths && !err; i++)
		err = make_path(b, &b->paths[i]);
	if (err)
		return err;
	while (exact < b->n_paths && !b->paths[exact].keys->exact)
		folded += !b->paths[exact++].keys->folded;
	v->first_length = b->t->n_lengths;
	n = add_prefixes(b, vhost, 0, folded);
	v->n_lengths = n < 0 ? 0 : n;
	if (n >= 0)
		n = add_prefixes(b, vhost, folded, exact);
	if (n < 0)
		return n;
	v->n_folded = n;
	return add_exact(b, v, vhost, exact);
}

/* Indexes the virtual host, or leaves it and the index as they were. */
static void try_vhost(struct build *b, __u32 vhost)
{
	struct sl_table *t = b->t;
	struct sl_vhost *v = &t->vhosts[vhost], old = *v;
	__u32 n_paths = t->n_paths, n_listed = t->n_listed, n_lengths = t->n_lengths;
	__u32 n_entries = b->entries.n;

	if (v->n_routes <= SL_LIST_ROUTES)
		return;
	v->flags |= SL_VHOST_INDEXED;
	if (!index_vhost(b, vhost))
		return;
	*v = old;
	t->n_paths = n_paths;
	t->n_listed = n_listed;
	t->n_lengths = n_lengths;
	b->entries.n = n_entries;
}

/* ---- domains ---- */

static int add_wildcards(struct build *b, __u32 config, enum sl_domain_kind kind)
{
	static __u8 has[SL_KERNEL_HEAD_MAX];
	struct sl_table *t = b->t;
	int n = 0;

	memset(has, 0, sizeof(has));
	for (__u32 i = 0; i < t->n_domains; i++)
		if (t->domains[i].kind == kind && t->domains[i].config == config)
			has[t->domains[i].name.len % SL_KERNEL_HEAD_MAX] = 1;
	for (__u32 len = SL_KERNEL_HEAD_MAX; len-- > 0;) {
		if (!has[len])
			continue;
		if (t->n_lengths == SL_INDEX_LENGTHS)
			return -ENOSPC;
		t->lengths[t->n_lengths++] = len;
		n++;
	}
	return n;
}

static int index_domains(struct build *b)
{
	struct sl_table *t = b->t;
	int n;

	for (__u32 i = 0; i < t->n_domains; i++) {
		const struct sl_domain *d = &t->domains[i];
		struct sl_route_config *c = &t->configs[d->config];

		if (d->kind == SL_DOMAIN_ANY) {
			c->any = i + 1;
			continue;
		}
		c->n_exact += d->kind == SL_DOMAIN_EXACT;
		n = add_entry(b, SL_INDEX_DOMAIN + d->kind, d->config, d->name, i);
		if (n)
			return n;
	}
	for (__u32 i = 0; i < t->n_configs; i++) {
		t->configs[i].first_length = t->n_lengths;
		n = add_wildcards(b, i, SL_DOMAIN_SUFFIX);
		if (n < 0)
			return n;
		t->configs[i].n_suffixes = n;
		n = add_wildcards(b, i, SL_DOMAIN_PREFIX);
		if (n < 0)
			return n;
		t->configs[i].n_prefixes = n;
	}
	return 0;
}

int sl_index_build(struct sl_table *t)
{
	struct build b = {.t = t};
	int err = -ENOMEM;

	b.entries.all = malloc(sizeof(*b.entries.all) * SL_INDEX_ENTRIES);
	b.keys = malloc(sizeof(*b.keys) * SL_MAX_ROUTES);
	b.paths = malloc(sizeof(*b.paths) * SL_MAX_ROUTES);
	if (!b.entries.all || !b.keys || !b.paths)
		goto out;
	t->n_listed = 1;
	t->lists[0] = SL_LIST_END;
	err = index_domains(&b);
	for (__u32 i = 0; i < t->n_vhosts && !err; i++)
		try_vhost(&b, i);
	for (__u32 i = 0; i < t->n_domains; i++)
		t->domains[i].routes = t->vhosts[t->domains[i].vhost];
	if (!err)
		err = sl_index_place(t, &b.entries);
out:
	free(b.entries.all);
	free(b.keys);
	free(b.paths);
	return err;
}
