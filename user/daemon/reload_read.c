/* SPDX-License-Identifier: GPL-2.0-only */
/* A reload's first step: the file is copied and read, and what only a restart can change is the
 * same. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/config.h"
#include "config/yaml.h"
#include "reload.h"
#include "reload_parts.h"

void reload_say(struct outcome *o, const char *fmt, ...)
{
	va_list ap;

	if (!o->f)
		return;
	va_start(ap, fmt);
	vfprintf(o->f, fmt, ap);
	va_end(ap);
}

/*
 * The file at @path, opened: or @ret_why not. A pipe would be waited for and a device read for
 * ever, by who serves meanwhile.
 */
static int text_open(const char *path, const char **ret_why)
{
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st)) {
		*ret_why = strerror(errno);
	} else if (!S_ISREG(st.st_mode)) {
		*ret_why = "not a file";
	} else if (st.st_size > SL_YAML_MAX_BYTES) {
		*ret_why = "the file is over the limit of a config";
	} else {
		return fd;
	}
	if (fd >= 0)
		close(fd);
	return -EINVAL;
}

/* A copy of the file, so that what is served can be read again whatever becomes of the file. */
static int text_copy(const char *path, const char **ret_why)
{
	int in = text_open(path, ret_why), out, rc = 0;
	ssize_t n;

	if (in < 0)
		return in;
	out = memfd_create("sluice-config", MFD_CLOEXEC);
	if (out < 0)
		rc = -errno;
	while (!rc && (n = sendfile(out, in, NULL, 1 << 20)) != 0)
		if (n < 0 && errno != EINTR)
			rc = -errno;
	close(in);
	if (rc && out >= 0)
		close(out);
	*ret_why = strerror(-rc);
	return rc ? rc : out;
}

int reload_wanted(const struct sl_shared *s, char path[PATH_MAX])
{
	FILE *f = fopen(s->wanted, "re");
	unsigned long long wish = 0;

	snprintf(path, PATH_MAX, "%s", s->config);
	if (!f)
		return errno == ENOENT ? 0 : -errno;
	if (fscanf(f, "%llu\n", &wish) == 1 && wish == s->wish && fgets(path, PATH_MAX, f))
		path[strcspn(path, "\n")] = 0;
	fclose(f);
	return 0;
}

int reload_parse(const char *path, int fd, __u32 generation, struct outcome *o,
		 struct sl_compiled **ret)
{
	struct sl_config_flags flags = {.generation = generation};
	struct sl_diag_list diags;
	struct stat st;
	char *text;
	int rc;

	if (fstat(fd, &st))
		return -errno;
	text = malloc(st.st_size + 1);
	if (!text)
		return -ENOMEM;
	if (pread(fd, text, st.st_size, 0) != st.st_size) {
		free(text);
		return -EIO;
	}
	rc = sl_config_parse(path, text, st.st_size, &flags, &diags, ret);
	if (o->f)
		sl_diag_print(o->f, &diags);
	sl_diag_free(&diags);
	free(text);
	return rc;
}

static bool same_listener(const struct sl_listener *a, const struct sl_listener *b)
{
	return a->family == b->family && a->port == b->port && a->attach == b->attach &&
	       a->l4 == b->l4 && a->netns == b->netns && !memcmp(a->addr, b->addr, sizeof(a->addr));
}

/* The first listener that @r's config has and that does not run, or that is gone. False: none. */
static bool say_listener(const struct sl_compiled *now, struct reload *r)
{
	for (__u32 i = 0; i < r->c->n_listeners; i++) {
		const struct sl_listener *l = &r->c->listeners[i];

		if (i < now->n_listeners && same_listener(&now->listeners[i], l))
			continue;
		reload_say(&r->o,
			   "%s:%d: listener '%s' is not one that runs: that needs a restart\n",
			   r->path, l->line, l->name);
		return true;
	}
	if (now->n_listeners == r->c->n_listeners)
		return false;
	reload_say(&r->o, "listener '%s' is gone: that needs a restart\n",
		   now->listeners[r->c->n_listeners].name);
	return true;
}

static bool same_netns(const struct sl_compiled *a, const struct sl_compiled *b)
{
	for (__u32 i = 0; i < a->n_netns && i < b->n_netns; i++)
		if (strcmp(a->netns[i], b->netns[i]))
			return false;
	return a->n_netns == b->n_netns;
}

/* What only a restart can change. */
static int check_same(const struct sl_compiled *a, struct reload *r)
{
	const struct sl_compiled *b = r->c;
	struct outcome *o = &r->o;

	for (__u32 i = 0; i < a->n_listeners; i++) {
		if (!a->listeners[i].l4)
			continue;
		reload_say(o, "listener '%s' hands out connections (L4): that needs a restart\n",
			   a->listeners[i].name);
		return -SL_RELOAD_NEEDS_RESTART;
	}
	if (say_listener(a, r))
		return -SL_RELOAD_NEEDS_RESTART;
	if (!same_netns(a, b)) {
		reload_say(o, "the network namespaces differ from those that run: that needs a "
			      "restart\n");
		return -SL_RELOAD_NEEDS_RESTART;
	}
	if (a->options.kernel_path != b->options.kernel_path ||
	    a->options.colocated_clients != b->options.colocated_clients ||
	    a->options.colocated_servers != b->options.colocated_servers) {
		reload_say(o,
			   "the 'sluice' section differs from what runs: that needs a restart\n");
		return -SL_RELOAD_NEEDS_RESTART;
	}
	return 0;
}

int reload_read(struct worker *w, struct reload *r)
{
	struct sl_shared *shared = w->args->shared;
	const char *why;
	int rc;

	if (!shared || !shared->config[0])
		return -ENOENT;
	r->fd = text_copy(r->path, &why);
	if (r->fd < 0) {
		reload_say(&r->o, "cannot read %s: %s\n", r->path, why);
		return r->fd;
	}
	rc = reload_parse(r->path, r->fd, w->table->generation + 1, &r->o, &r->c);
	return rc ? rc : check_same(w->args->compiled, r);
}
