// SPDX-License-Identifier: GPL-2.0-only
/*
 * DataSource: a text of the file itself, or of another one (DataSource::read(),
 * source/common/config/datasource.cc). It is read with the config: a reload reads it anew.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/model.h"
#include "util/base64.h"

/* A text of @len bytes at the place of @at; NULL: no memory. @ret_bytes: to be filled. */
static struct sl_node *new_text(struct sl_walk *w, const struct sl_node *at, size_t len,
				char **ret_bytes)
{
	struct sl_node *n = sl_arena_alloc(w->arena, sizeof(*n));
	char *bytes = sl_arena_alloc(w->arena, len + 1);

	if (!n || !bytes) {
		w->err = -ENOMEM;
		return NULL;
	}
	*n = (struct sl_node){.kind = SL_NODE_SCALAR, .line = at->line, .col = at->col};
	n->text = *ret_bytes = bytes;
	n->len = len;
	return n;
}

static const struct sl_node *decode(struct sl_walk *w, const struct sl_node *at)
{
	char *bytes;
	struct sl_node *n = new_text(w, at, at->len, &bytes);
	long len;

	if (!n)
		return NULL;
	len = sl_base64_decode(at->text, at->len, bytes);
	if (len < 0) {
		sl_error(w, at, "'inline_bytes' must be base64");
		return NULL;
	}
	bytes[len] = '\0';
	n->len = len;
	return n;
}

static const struct sl_node *from_environment(struct sl_walk *w, const struct sl_node *at)
{
	const char *value = getenv(at->text);
	struct sl_node *n;
	char *bytes;

	if (!value) {
		sl_error(w, at, "Environment variable doesn't exist: %.64s", at->text);
		return NULL;
	}
	n = new_text(w, at, strlen(value), &bytes);
	return n ? memcpy(bytes, value, strlen(value)), n : NULL;
}

/* All @size bytes of @fd. 0 or -errno; -EIO: there are fewer now. */
static int read_all(int fd, char *bytes, size_t size)
{
	size_t len = 0;

	while (len < size) {
		ssize_t n = read(fd, bytes + len, size - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO;
		len += n;
	}
	return 0;
}

static const struct sl_node *not_read(struct sl_walk *w, const struct sl_node *at, int error)
{
	if (error == ENOENT)
		sl_error(w, at, "file %.128s does not exist", at->text);
	else
		sl_error(w, at, "cannot read '%.128s': %s", at->text, strerror(error));
	return NULL;
}

/* All of the file; over @max bytes nothing is read. */
static const struct sl_node *from_fd(struct sl_walk *w, const struct sl_node *at, int fd, __u32 max)
{
	struct sl_node *n;
	struct stat st;
	char *bytes;
	int err;

	if (fstat(fd, &st) || !S_ISREG(st.st_mode)) {
		sl_error(w, at, "'%.128s' is no file", at->text);
		return NULL;
	}
	if (st.st_size > max) {
		sl_error(w, at, "file %.128s size is %lld bytes; maximum is %u", at->text,
			 (long long)st.st_size, max);
		return NULL;
	}
	n = new_text(w, at, st.st_size, &bytes);
	err = n ? read_all(fd, bytes, st.st_size) : 0;
	return err ? not_read(w, at, -err) : n;
}

static const struct sl_node *from_file(struct sl_walk *w, const struct sl_node *at, __u32 max)
{
	/* What is no file must not hold up who opens it. */
	int fd = open(at->text, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	const struct sl_node *n;

	if (fd < 0)
		return not_read(w, at, errno);
	n = from_fd(w, at, fd, max);
	close(fd);
	return n;
}

void sl_read_source(struct sl_walk *w, struct cfg_body *b, __u32 max)
{
	if (b->bytes)
		b->text = decode(w, b->bytes);
	else if (b->filename)
		b->text = from_file(w, b->filename, max);
	else if (b->variable)
		b->text = from_environment(w, b->variable);
	if (b->text && b->text->len > max)
		sl_error(w, b->text, "the body has %u bytes; the limit is %u", b->text->len, max);
}
