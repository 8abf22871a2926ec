/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * SIGHUP: the file is read again and applied as a whole, or nothing of it; from the signal to the
 * answer. Sessions and lanes go on: see sl_remap().
 */
#include "reload.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "config/config.h"
#include "reload_parts.h"

#define SETTLE_NS NS_PER_MS /* between two looks whether the last one is settled */

static void outcome_tell(struct worker *w, struct outcome *o, int rc)
{
	struct sl_control *c = w->maps->control;
	FILE *f;

	if (o->f && !fclose(o->f) && o->text) {
		fprintf(stderr, "sluice: reload%s:\n%s", rc ? " refused, nothing is changed" : "",
			o->text);
		f = w->args->shared ? fopen(w->args->shared->outcome, "we") : NULL;
		if (f) {
			fputs(o->text, f);
			fclose(f);
		}
	}
	free(o->text);
	SL_WRITE(c->reload_status, (__u32)-rc);
	sl_add(&c->reloads, 1);
}

/* Applies what has been read, with the addresses that names have now. */
static int use_config(struct worker *w, struct reload *r)
{
	struct sl_shared *shared = w->args->shared;
	char why[256] = "out of memory";
	int rc;

	if (r->o.f)
		sl_names_warn(r->c, r->o.f, "");
	(void)sl_members_place(r->c);
	rc = sl_remap(r->c, w->maps, why);
	if (rc)
		reload_say(&r->o, "%s\n", why);
	else
		rc = reload_apply(w, r->c, &r->o);
	if (rc)
		return rc;
	r->c = NULL;
	if (shared->text_fd >= 0)
		close(shared->text_fd);
	shared->text_fd = r->fd;
	r->fd = -1;
	memcpy(shared->config, r->path, sizeof(r->path));
	reload_say(&r->o, "config generation %u\n", w->table->generation);
	if (names_start(w))
		fprintf(stderr, "sluice: names cannot be looked up any more: out of memory\n");
	return 0;
}

static void reload_free(struct worker *w, struct reload *r)
{
	sl_batch_free(r->batch);
	sl_compiled_free(r->c);
	if (r->fd >= 0)
		close(r->fd);
	free(r);
	w->reload = NULL;
}

static void reload_end(struct worker *w, int rc)
{
	struct reload *r = w->reload;

	crew_pause(w);
	if (!rc)
		rc = use_config(w, r);
	crew_resume(w);
	outcome_tell(w, &r->o, rc);
	reload_free(w, r);
}

/* Names that are known have their addresses; others are asked for. */
static int ask_names(struct worker *w, struct reload *r)
{
	int rc = names_inherit(w->args->compiled, r->c);

	if (!rc)
		rc = sl_batch_new(r->c, &r->batch);
	if (rc || !r->batch->left)
		return rc;
	r->until_ns = w->now_ns + SL_DNS_FIRST_MS * NS_PER_MS;
	r->io = (struct io){.fd = sl_dns_fd(r->batch->dns), .kind = IO_DNS};
	return io_add(w, &r->io, EPOLLIN);
}

void reload_cancel(struct worker *w)
{
	if (!w->reload)
		return;
	if (w->reload->o.f)
		fclose(w->reload->o.f);
	free(w->reload->o.text);
	reload_free(w, w->reload);
}

void reload_run(struct worker *w)
{
	struct reload *r;
	int rc;

	if (w->draining)
		return;
	/* What a program of BPF may still match with is not to be written to. */
	w->reload_asked = !sl_maps_is_settled(w->maps);
	if (w->reload_asked)
		return;
	reload_cancel(w); /* the file may have changed since */
	r = w->reload = calloc(1, sizeof(*r));
	if (!r)
		return;
	r->fd = -1;
	r->o.f = open_memstream(&r->o.text, &r->o.size);
	rc = reload_read(w, r);
	if (!rc && r->c->n_names)
		rc = ask_names(w, r);
	if (rc || !r->batch || !r->batch->left)
		reload_end(w, rc);
}

void reload_tick(struct worker *w)
{
	struct reload *r = w->reload;

	if (w->reload_asked) {
		reload_run(w);
		return;
	}
	if (!r)
		return;
	sl_dns_process(r->batch->dns);
	if (!r->batch->left || w->now_ns >= r->until_ns)
		reload_end(w, 0);
}

__u64 reload_due(const struct worker *w)
{
	if (w->reload_asked)
		return w->now_ns + SETTLE_NS;
	if (!w->reload)
		return ~0ULL;
	return w->now_ns + sl_dns_timeout_ms(w->reload->batch->dns, 1000) * NS_PER_MS;
}

/* The numbers of @c, which is as the file has it, are those that the maps have. */
static int follow(struct worker *w, struct sl_compiled *c)
{
	char why[256];
	int rc = names_recover(c, w->maps);

	if (rc)
		return rc;
	(void)sl_members_place(c);
	rc = sl_remap(c, w->maps, why);
	return rc ? rc : reload_adopt(w, c);
}

int reload_resume(struct worker *w)
{
	struct sl_shared *shared = w->args->shared;
	struct outcome none = {0};
	struct sl_compiled *c = NULL;
	int rc;

	if (!shared || !shared->workers++)
		return 0;
	if (shared->text_fd < 0)
		return w->args->compiled->n_names
			       ? follow(w, (struct sl_compiled *)w->args->compiled)
			       : 0;
	/* Our memory is the supervisor's: it knows the first table. */
	rc = sl_maps_table_refresh(w->maps);
	if (rc)
		return rc;
	w->table = w->maps->table;
	rc = reload_parse(shared->config, shared->text_fd, w->table->generation, &none, &c);
	if (!rc)
		rc = follow(w, c);
	if (rc)
		sl_compiled_free(c);
	return rc;
}
