// SPDX-License-Identifier: GPL-2.0-only
/* The only file that knows libyaml: its events become our nodes. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "config/yaml.h"

struct frame {
	struct sl_node *node;
	struct sl_node *key; /* map: the key that waits for its value */
	bool drop;	     /* map: that value belongs to a wrong key */
	__u32 n_alloc;
};

struct anchor {
	const char *name;
	struct sl_node *node;
};

struct reader {
	yaml_parser_t parser;
	struct sl_arena *arena;
	struct sl_diag_list *diags;
	const char *text;
	size_t len;
	struct sl_node *root;
	struct frame stack[SL_YAML_MAX_DEPTH];
	__u32 depth;
	struct anchor anchors[SL_YAML_MAX_ANCHORS];
	__u32 n_anchors;
	__u32 n_documents;
};

#define error_at(r, mark, ...) \
	sl_diag_add((r)->diags, SL_ERROR, (mark)->line + 1, (mark)->column + 1, __VA_ARGS__)

static char *copy_text(struct sl_arena *a, const void *s, size_t len)
{
	char *p = sl_arena_alloc(a, len + 1);

	if (p)
		memcpy(p, s, len);
	return p;
}

static struct sl_node *new_node(struct reader *r, enum sl_node_kind kind, const yaml_mark_t *mark)
{
	struct sl_node *n = sl_arena_alloc(r->arena, sizeof(*n));

	if (!n)
		return NULL;
	n->kind = kind;
	n->line = mark->line + 1;
	n->col = mark->column + 1;
	n->size = 1;
	return n;
}

static int append(struct reader *r, struct frame *f, struct sl_node *value)
{
	struct sl_node *n = f->node;
	__u32 used = n->kind == SL_NODE_MAP ? 2 * n->n : n->n;
	struct sl_node **items;

	if (used + 2 > f->n_alloc) {
		f->n_alloc = f->n_alloc ? f->n_alloc * 2 : 8;
		items = sl_arena_alloc(r->arena, f->n_alloc * sizeof(*items));
		if (!items)
			return -ENOMEM;
		if (used)
			memcpy(items, n->items, used * sizeof(*items));
		n->items = items;
	}
	if (n->kind == SL_NODE_MAP)
		n->items[used++] = f->key;
	n->items[used] = value;
	n->n++;
	return 0;
}

/* A key of the map in @f came: accepts it, or reports it and drops its value. */
static void take_key(struct reader *r, struct frame *f, struct sl_node *key,
		     const yaml_mark_t *mark)
{
	f->key = key;
	f->drop = true;
	if (key->kind != SL_NODE_SCALAR) {
		error_at(r, mark, "a key must be a word, not a %s",
			 key->kind == SL_NODE_MAP ? "mapping" : "sequence");
		return;
	}
	if (key->plain && !strcmp(key->text, "<<")) {
		error_at(r, mark, "merge keys ('<<') are not supported; write the keys out");
		return;
	}
	if (f->node->n >= SL_YAML_MAX_KEYS) {
		error_at(r, mark, "too many keys in one mapping; the limit is %u",
			 SL_YAML_MAX_KEYS);
		return;
	}
	for (__u32 i = 0; i < f->node->n; i++) {
		const struct sl_node *old = f->node->items[2 * i];

		if (old->len == key->len && !memcmp(old->text, key->text, key->len)) {
			error_at(r, mark, "duplicate key '%.64s'; first defined at line %u",
				 key->text, old->line);
			return;
		}
	}
	f->drop = false;
}

/* Puts @n into the container that is being read. Its size is added by add_size() when known. */
static int attach(struct reader *r, struct sl_node *n, const yaml_mark_t *mark)
{
	struct frame *f;
	int err = 0;

	if (r->depth == 0) {
		r->root = n;
		return 0;
	}
	f = &r->stack[r->depth - 1];
	if (f->node->kind == SL_NODE_MAP && !f->key) {
		take_key(r, f, n, mark);
		return 0;
	}
	if (f->node->kind == SL_NODE_LIST || !f->drop)
		err = append(r, f, n);
	f->key = NULL;
	return err;
}

static int add_size(struct reader *r, const struct sl_node *n, const yaml_mark_t *mark)
{
	struct sl_node *parent;

	if (r->depth == 0)
		return 0;
	parent = r->stack[r->depth - 1].node;
	parent->size += n->size;
	if (parent->size <= SL_YAML_MAX_NODES)
		return 0;
	error_at(r, mark, "too many nodes with the aliases written out; the limit is %u",
		 SL_YAML_MAX_NODES);
	return -EINVAL;
}

static int add_anchor(struct reader *r, const yaml_char_t *name, struct sl_node *n,
		      const yaml_mark_t *mark)
{
	struct anchor *a = &r->anchors[r->n_anchors];

	if (!name)
		return 0;
	if (r->n_anchors == SL_YAML_MAX_ANCHORS) {
		error_at(r, mark, "too many anchors; the limit is %u", SL_YAML_MAX_ANCHORS);
		return -EINVAL;
	}
	a->name = copy_text(r->arena, name, strlen((const char *)name));
	a->node = n;
	r->n_anchors++;
	return a->name ? 0 : -ENOMEM;
}

static int on_alias(struct reader *r, const yaml_event_t *e)
{
	const char *name = (const char *)e->data.alias.anchor;
	struct sl_node *n = NULL;
	int err;

	/* An anchor can be set anew: the last one counts. */
	for (__u32 i = r->n_anchors; i-- > 0 && !n;)
		if (!strcmp(r->anchors[i].name, name))
			n = r->anchors[i].node;
	if (!n) {
		error_at(r, &e->start_mark, "alias '*%.64s' without an anchor '&%.64s' before it",
			 name, name);
		return -EINVAL;
	}
	if (n->open) {
		error_at(r, &e->start_mark,
			 "alias '*%.64s' stands inside its own anchor at line %u: a cycle", name,
			 n->line);
		return -EINVAL;
	}
	err = attach(r, n, &e->start_mark);
	return err ? err : add_size(r, n, &e->start_mark);
}

static void check_tag(struct reader *r, const yaml_char_t *tag, const yaml_mark_t *mark)
{
	if (tag)
		error_at(r, mark, "tags ('%.64s') are not supported", (const char *)tag);
}

static int on_scalar(struct reader *r, const yaml_event_t *e)
{
	struct sl_node *n = new_node(r, SL_NODE_SCALAR, &e->start_mark);
	int err;

	if (!n)
		return -ENOMEM;
	check_tag(r, e->data.scalar.tag, &e->start_mark);
	n->len = e->data.scalar.length;
	n->plain = e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	n->text = copy_text(r->arena, e->data.scalar.value, n->len);
	if (!n->text)
		return -ENOMEM;
	if (memchr(n->text, '\0', n->len)) {
		error_at(r, &e->start_mark, "NUL character in a string");
		n->len = strlen(n->text);
	}
	err = add_anchor(r, e->data.scalar.anchor, n, &e->start_mark);
	if (!err)
		err = attach(r, n, &e->start_mark);
	return err ? err : add_size(r, n, &e->start_mark);
}

static int on_start(struct reader *r, const yaml_event_t *e, enum sl_node_kind kind,
		    const yaml_char_t *anchor, const yaml_char_t *tag)
{
	struct sl_node *n = new_node(r, kind, &e->start_mark);
	int err;

	if (!n)
		return -ENOMEM;
	check_tag(r, tag, &e->start_mark);
	if (r->depth == SL_YAML_MAX_DEPTH) {
		error_at(r, &e->start_mark, "nested too deeply; the limit is %u levels",
			 SL_YAML_MAX_DEPTH);
		return -EINVAL;
	}
	n->open = true;
	err = add_anchor(r, anchor, n, &e->start_mark);
	if (!err)
		err = attach(r, n, &e->start_mark);
	r->stack[r->depth++] = (struct frame){.node = n};
	return err;
}

static int on_end(struct reader *r, const yaml_event_t *e)
{
	struct sl_node *n = r->stack[--r->depth].node;

	n->open = false;
	return add_size(r, n, &e->start_mark);
}

/* 1: go on, 0: end of the stream, -errno. */
static int on_event(struct reader *r, const yaml_event_t *e)
{
	int err = 0;

	switch (e->type) {
	case YAML_STREAM_END_EVENT:
		return 0;
	case YAML_DOCUMENT_START_EVENT:
		if (r->n_documents++) {
			error_at(r, &e->start_mark,
				 "a second document begins here; a config is one document");
			return -EINVAL;
		}
		break;
	case YAML_ALIAS_EVENT:
		err = on_alias(r, e);
		break;
	case YAML_SCALAR_EVENT:
		err = on_scalar(r, e);
		break;
	case YAML_SEQUENCE_START_EVENT:
		err = on_start(r, e, SL_NODE_LIST, e->data.sequence_start.anchor,
			       e->data.sequence_start.tag);
		break;
	case YAML_MAPPING_START_EVENT:
		err = on_start(r, e, SL_NODE_MAP, e->data.mapping_start.anchor,
			       e->data.mapping_start.tag);
		break;
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		err = on_end(r, e);
		break;
	default:
		break;
	}
	return err ? err : 1;
}

/* Place of the byte at @offset: libyaml's mark is still 1:1 when its reader fails. */
static yaml_mark_t place_of(const struct reader *r, size_t offset)
{
	yaml_mark_t m = {0};

	for (size_t i = 0; i < offset && i < r->len; i++) {
		if (r->text[i] == '\n') {
			m.line++;
			m.column = 0;
		} else if ((r->text[i] & 0xc0) != 0x80) {
			m.column++;
		}
	}
	return m;
}

/*
 * YAML 1.1 breaks lines at CR, NEL, LS and PS as well, which no editor shows as libyaml counts:
 * every place behind one would be wrong, and a value could hide. -EINVAL: there is one, reported.
 */
static int check_breaks(struct reader *r)
{
	const unsigned char *s = (const unsigned char *)r->text;

	for (size_t i = 0; i < r->len; i++) {
		size_t left = r->len - i;
		yaml_mark_t mark;

		if (!(s[i] == '\r' && (left < 2 || s[i + 1] != '\n')) &&
		    !(left >= 2 && s[i] == 0xc2 && s[i + 1] == 0x85) &&
		    !(left >= 3 && s[i] == 0xe2 && s[i + 1] == 0x80 && (s[i + 2] & 0xfe) == 0xa8))
			continue;
		mark = place_of(r, i);
		error_at(r, &mark, "a line break that is neither LF nor CR LF");
		return -EINVAL;
	}
	return 0;
}

/* The byte at @mark, '\0' at the end. */
static char byte_at(const struct reader *r, const yaml_mark_t *mark)
{
	size_t i = 0, line = 0, col = 0;

	for (; i < r->len && line < mark->line; i++)
		line += r->text[i] == '\n';
	for (; i < r->len && col < mark->column; i++)
		col += i + 1 >= r->len || (r->text[i + 1] & 0xc0) != 0x80;
	return i < r->len ? r->text[i] : '\0';
}

/* libyaml's error in people's words. */
static int report(struct reader *r)
{
	const yaml_parser_t *p = &r->parser;
	const char *problem = p->problem ? p->problem : "not YAML";
	yaml_mark_t mark = p->problem_mark;
	const char *hint = "";

	if (p->error == YAML_MEMORY_ERROR)
		return -ENOMEM;
	if (p->error == YAML_READER_ERROR) {
		mark = place_of(r, p->problem_offset);
		if (strstr(problem, "control character"))
			error_at(r, &mark, "control character 0x%02x", p->problem_value);
		else
			error_at(r, &mark, "not valid UTF-8");
		return -EINVAL;
	}
	if (byte_at(r, &mark) == '\t' || strstr(problem, "tab character")) {
		error_at(r, &mark, "tabs are not allowed for indentation; use spaces");
		return -EINVAL;
	}
	if (strstr(problem, "mapping values") || (p->context && strstr(p->context, "block")))
		hint = " (check the indentation)";
	if (p->context && p->context_mark.line != mark.line)
		error_at(r, &mark, "%s %s that begins at line %zu%s", problem, p->context,
			 p->context_mark.line + 1, hint);
	else
		error_at(r, &mark, "%s%s", problem, hint);
	return -EINVAL;
}

static int read_events(struct reader *r)
{
	yaml_event_t e;
	int rc = 1;

	while (rc > 0) {
		if (!yaml_parser_parse(&r->parser, &e))
			return report(r);
		rc = on_event(r, &e);
		yaml_event_delete(&e);
	}
	return rc;
}

int sl_yaml_parse(const char *text, size_t len, struct sl_arena *arena, struct sl_diag_list *diags,
		  const struct sl_node **ret)
{
	struct reader *r;
	int err;

	if (len >= 3 && !memcmp(text, "\xef\xbb\xbf", 3)) {
		text += 3;
		len -= 3;
	}
	r = calloc(1, sizeof(*r));
	if (!r)
		return -ENOMEM;
	r->arena = arena;
	r->diags = diags;
	r->text = text;
	r->len = len;
	if (!yaml_parser_initialize(&r->parser)) {
		free(r);
		return -ENOMEM;
	}
	/* Not guessed: a UTF-16 file would make places and source lines wrong. */
	yaml_parser_set_encoding(&r->parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&r->parser, (const unsigned char *)text, len);
	err = check_breaks(r);
	if (!err)
		err = read_events(r);
	if (!err && !r->root) {
		sl_diag_add(diags, SL_ERROR, 1, 1, "the file is empty");
		err = -EINVAL;
	}
	if (!err)
		*ret = r->root;
	yaml_parser_delete(&r->parser);
	free(r);
	return err;
}

const struct sl_node *sl_node_get(const struct sl_node *map, const char *key)
{
	if (!map || map->kind != SL_NODE_MAP)
		return NULL;
	for (__u32 i = 0; i < map->n; i++)
		if (!strcmp(map->items[2 * i]->text, key))
			return map->items[2 * i + 1];
	return NULL;
}

bool sl_node_equal(const struct sl_node *a, const struct sl_node *b)
{
	__u32 n;

	if (a == b)
		return true;
	if (a->kind != b->kind || a->n != b->n || a->len != b->len)
		return false;
	if (a->kind == SL_NODE_SCALAR)
		return !memcmp(a->text, b->text, a->len);
	n = a->kind == SL_NODE_MAP ? 2 * a->n : a->n;
	for (__u32 i = 0; i < n; i++)
		if (!sl_node_equal(a->items[i], b->items[i]))
			return false;
	return true;
}
