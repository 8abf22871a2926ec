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

static void outcome_begin(struct outcome *o)
{
	*o = (struct outcome){0};
	o->f = open_memstream(&o->text, &o->size);
}

/* Whoever wished for the reload is told, and finds it as it was told: others are not. */
static void wish_answer(struct worker *w, const char *text, int rc)
{
	struct sl_shared *shared = w->args->shared;
	struct sl_control *c = w->maps->control;
	FILE *f;

	if (!shared || c->reload_answered == shared->wish)
		return;
	f = fopen(shared->outcome, "we");
	if (f) {
		fputs(text, f);
		fclose(f);
	}
	SL_WRITE(c->reload_status, (__u32)-rc);
	__atomic_store_n(&c->reload_answered, shared->wish, __ATOMIC_RELEASE);
}

static void outcome_tell(struct worker *w, struct outcome *o, int rc)
{
	bool said = o->f && !fclose(o->f) && o->text;

	if (said)
		fprintf(stderr, "sluice: reload%s:\n%s", rc ? " refused, nothing is changed" : "",
			o->text);
	if (w->args->shared)
		w->args->shared->stage = SL_STAGE_NONE;
	wish_answer(w, said ? o->text : "", rc);
	free(o->text);
}

/* Nothing of @r stays. What is served is in memory, and what of it is in the maps is not known. */
static void restore(struct worker *w, struct reload *r)
{
	int rc = reload_restore(w);

	if (!rc)
		return;
	/* As a worker that died: the next one tries it with all that is freed. */
	fprintf(stderr, "sluice: cannot go back to the config before %s: %s\n", r->path,
		strerror(-rc));
	_exit(EXIT_FAILURE);
}

/* @r's config is written to the maps, and served, or what was is again. */
static int write_config(struct worker *w, struct reload *r)
{
	struct sl_shared *shared = w->args->shared;
	int rc, old_fd = shared->text_fd;

	names_note(w->maps);
	SL_WRITE(shared->stage, SL_STAGE_WRITING);
	rc = reload_apply(w, r->c, &r->o);
	if (rc) {
		restore(w, r);
		return rc;
	}
	r->c = NULL;
	memcpy(shared->config, r->path, sizeof(r->path));
	SL_WRITE(shared->text_fd, r->fd);
	SL_WRITE(shared->stage, SL_STAGE_WRITTEN);
	r->fd = -1;
	if (old_fd >= 0)
		close(old_fd);
	return 0;
}

/* Applies what has been read, with the addresses that names have now. */
static int use_config(struct worker *w, struct reload *r)
{
	char why[256] = "out of memory";
	int rc;

	if (r->o.f)
		sl_names_warn(r->c, r->o.f, "");
	(void)sl_members_place(r->c);
	rc = sl_remap(r->c, w->maps, why);
	if (rc)
		reload_say(&r->o, "%s\n", why);
	else
		rc = write_config(w, r);
	if (rc)
		return rc;
	reload_say(&r->o, "config generation %u\n", w->table->generation);
	rc = names_start(w);
	if (rc)
		fprintf(stderr, "sluice: names cannot be looked up any more: %s\n", strerror(-rc));
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

/* The file to read: a new wish's, or, of one that is begun anew, the same. 0 or -errno. */
static int wish_take(struct worker *w, char path[PATH_MAX])
{
	struct sl_shared *shared = w->args->shared;
	__u64 wish = SL_ACQUIRE(w->maps->control->reload_asked);

	if (wish == shared->wish) {
		memcpy(path, w->reload ? w->reload->path : shared->config, PATH_MAX);
		return 0;
	}
	SL_WRITE(shared->wish, wish);
	return reload_wanted(shared, path);
}

void reload_run(struct worker *w)
{
	struct sl_shared *shared = w->args->shared;
	struct outcome none = {0};
	char path[PATH_MAX] = "";
	struct reload *r;
	int rc = 0;

	if (w->draining)
		return;
	/* What a program of BPF may still match with is not to be written to. */
	w->reload_asked = !sl_maps_is_settled(w->maps);
	if (w->reload_asked)
		return;
	if (shared) {
		shared->begun = SL_READ(shared->asked);
		shared->stage = SL_STAGE_READING;
		rc = wish_take(w, path);
	}
	reload_cancel(w); /* the file may have changed since */
	r = w->reload = calloc(1, sizeof(*r));
	if (!r) {
		outcome_tell(w, &none, -ENOMEM);
		return;
	}
	r->fd = -1;
	outcome_begin(&r->o);
	memcpy(r->path, path, PATH_MAX);
	if (rc)
		reload_say(&r->o, "cannot read %s: %s\n", shared->wanted, strerror(-rc));
	else
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
	int rc = names_recover(c, w->maps, false);

	if (rc)
		return rc;
	(void)sl_members_place(c);
	rc = sl_remap(c, w->maps, why);
	return rc ? rc : reload_adopt(w, c);
}

/* The config that the worker before served, as it was read. */
static int served(struct worker *w, __u32 generation, struct sl_compiled **ret)
{
	struct sl_shared *shared = w->args->shared;
	struct outcome none = {0};

	*ret = (struct sl_compiled *)w->args->compiled;
	(*ret)->table->generation = generation;
	if (shared->text_fd < 0)
		return 0; /* our memory is the supervisor's: it knows the first one */
	return reload_parse(shared->config, shared->text_fd, generation, &none, ret);
}

/* The worker before has died between two writes: what it served is written anew. */
static int rewrite(struct worker *w, struct sl_compiled *c)
{
	struct outcome none = {0};
	char why[256];
	int rc = names_recover(c, w->maps, true);

	if (rc)
		return rc;
	(void)sl_members_place(c);
	rc = sl_remap(c, w->maps, why);
	return rc ? rc : reload_apply(w, c, &none);
}

/* Whoever asked the worker before for a reload waits for an answer. */
static void tell_for(struct worker *w, __u32 stage)
{
	struct outcome o;

	outcome_begin(&o);
	if (stage == SL_STAGE_WRITTEN)
		reload_say(&o, "config generation %u\n", w->table->generation);
	else
		reload_say(&o, "the worker died while it %s\n",
			   stage == SL_STAGE_READING ? "read the config" : "wrote the maps");
	outcome_tell(w, &o, stage == SL_STAGE_WRITTEN ? 0 : -EIO);
}

int reload_resume(struct worker *w)
{
	struct sl_shared *shared = w->args->shared;
	struct sl_compiled *c;
	__u32 stage;
	int rc;

	if (!shared || !shared->workers++)
		return 0;
	stage = shared->stage;
	w->reload_asked = shared->begun != SL_READ(shared->asked);
	/* The supervisor knows the first table. */
	rc = sl_maps_table_refresh(w->maps);
	if (rc)
		return rc;
	w->table = w->maps->table;
	rc = served(w, w->table->generation + (stage == SL_STAGE_WRITING), &c);
	if (!rc)
		rc = stage == SL_STAGE_WRITING ? rewrite(w, c) : follow(w, c);
	if (rc && c != w->args->compiled)
		sl_compiled_free(c);
	if (!rc && stage)
		tell_for(w, stage);
	return rc;
}
