// SPDX-License-Identifier: GPL-2.0-only
/* File -> text -> nodes -> model -> struct sl_compiled. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/model.h"

/* The tree and what follows; every failure is in w->diags, except for -ENOMEM. */
static int parse(struct sl_walk *w, const char *text, size_t len,
		 const struct sl_config_flags *flags, struct sl_compiled **ret)
{
	const struct sl_node *tree;
	struct cfg_root *root;
	const char *why;
	int err;

	err = sl_yaml_parse(text, len, w->arena, w->diags, &tree);
	if (err)
		return err;
	root = sl_schema_new(w, &sl_schema_root, tree);
	if (root && !w->err)
		sl_validate(w, root);
	if (w->err)
		return w->err;
	if (!root || w->diags->n_errors)
		return -EINVAL;
	err = sl_compile(w, root, flags, ret);
	if (err)
		return err;
	if (!sl_compiled_check(*ret, &why))
		return 0;
	sl_diag_add(w->diags, SL_ERROR, 0, 0, "internal error: the compiled table is wrong: %s",
		    why);
	sl_compiled_free(*ret);
	*ret = NULL;
	return -EPROTO;
}

int sl_config_parse(const char *name, const char *text, size_t len,
		    const struct sl_config_flags *flags, struct sl_diag_list *ret_diags,
		    struct sl_compiled **ret)
{
	static const struct sl_config_flags defaults;
	struct sl_arena arena = {0};
	struct sl_walk w = {.arena = &arena, .diags = ret_diags};
	struct sl_compiled *compiled = NULL;
	int err;

	*ret_diags = (struct sl_diag_list){.file = strdup(name)};
	if (len > SL_YAML_MAX_BYTES) {
		sl_diag_add(ret_diags, SL_ERROR, 0, 0, "the file is over the limit of %u bytes",
			    SL_YAML_MAX_BYTES);
		return -EINVAL;
	}
	err = parse(&w, text, len, flags ? flags : &defaults, &compiled);
	sl_arena_free(&arena);
	if (err == -ENOMEM)
		sl_diag_add(ret_diags, SL_ERROR, 0, 0, "out of memory");
	sl_diag_finish(ret_diags, text, len);
	if (!err)
		*ret = compiled;
	return err;
}

/* The whole of @fd, at most one byte over the limit. */
static int read_all(int fd, char **ret_text, size_t *ret_len)
{
	size_t len = 0, size = 65536;
	char *text = malloc(size), *bigger;
	ssize_t n;
	int err;

	if (!text)
		return -ENOMEM;
	while ((n = read(fd, text + len, size - len)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			err = -errno;
			free(text);
			return err;
		}
		len += n;
		if (len > SL_YAML_MAX_BYTES)
			break;
		if (len < size)
			continue;
		size *= 2;
		bigger = realloc(text, size);
		if (!bigger) {
			free(text);
			return -ENOMEM;
		}
		text = bigger;
	}
	*ret_text = text;
	*ret_len = len;
	return 0;
}

int sl_config_load(const char *path, const struct sl_config_flags *flags,
		   struct sl_diag_list *ret_diags, struct sl_compiled **ret)
{
	char *text = NULL;
	size_t len = 0;
	int fd, err;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	err = fd < 0 ? -errno : read_all(fd, &text, &len);
	if (fd >= 0)
		close(fd);
	if (err) {
		*ret_diags = (struct sl_diag_list){.file = strdup(path)};
		sl_diag_add(ret_diags, SL_ERROR, 0, 0, "cannot read: %s", strerror(-err));
		/* -EINVAL means "the config is wrong"; some files answer read() with it. */
		return err == -EINVAL ? -EIO : err;
	}
	err = sl_config_parse(path, text, len, flags, ret_diags, ret);
	free(text);
	return err;
}
