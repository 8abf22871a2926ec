// SPDX-License-Identifier: GPL-2.0-only
/* Values of headers that the config gives as text and command operators. */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "mutate.h"

/* The value of the header @name, the first one as Envoy's formatter takes it; s NULL: none. */
static struct text header_of(struct lines *from, const char *name)
{
	const struct line *line;

	if (from->method.len && name[0] == ':') {
		if (!strcmp(name, ":method"))
			return from->method;
		if (!strcmp(name, ":path"))
			return from->target;
		if (!strcmp(name, ":scheme"))
			return forwarded_scheme(from);
		if (!strcmp(name, ":authority"))
			name = "host";
	}
	line = lines_find(from, name, 0);
	return line ? line->value : (struct text){0};
}

static void put_some(struct values *v, struct text value, __u32 max)
{
	if (max && value.len > max)
		value.len = max;
	lines_put(v->out, value);
}

/* False: there is no such header. */
static bool put_header(struct values *v, struct lines *from, const struct sl_format_part *part)
{
	const char *name = part->text;
	struct text value = {0};

	for (int i = 0; i < 2 && from && name && !value.len; i++, name = part->alt)
		value = header_of(from, name);
	put_some(v, value, part->max);
	return value.s;
}

/* PathFormatter: of Envoy's header if the route has rewritten it already. */
static bool put_path(struct values *v, const struct sl_format_part *part)
{
	struct text path = {0};
	const char *query;

	if (part->original && v->request)
		path = header_of(v->request, "x-envoy-original-path");
	if (!path.s && part->rewritten && v->request)
		path = v->request->target;
	query = part->no_query && path.len ? memchr(path.s, '?', path.len) : NULL;
	if (query)
		path.len = query - path.s;
	put_some(v, path, part->max);
	return path.s;
}

static void put_address(struct values *v, const struct address *a, bool ip, bool port)
{
	char text[ADDRESS_TEXT];

	if (ip) {
		address_text(a, port, text);
	} else {
		text[0] = '\0';
		if (a->family)
			snprintf(text, sizeof(text), "%u", a->port);
	}
	lines_puts(v->out, text);
}

static void put_pipe(struct values *v, const struct sl_endpoint *e)
{
	struct sl_pipe pipe;
	__u64 key;

	memcpy(&key, e->addr, sizeof(key));
	if (!sl_maps_pipe_get(v->w->maps, key, &pipe))
		lines_puts(v->out, pipe.path);
}

/* The endpoint that answers; a request's headers are made before it is known. */
static void put_upstream(struct values *v)
{
	const struct exchange *x = &v->f->x;
	const struct sl_endpoint *e;
	struct address a = {0};

	if (!v->response || x->endpoint >= SL_MAX_ENDPOINTS || x->cluster == NO_INDEX)
		return;
	e = &v->w->maps->endpoints[x->endpoint];
	if (e->family == AF_UNIX) {
		put_pipe(v, e);
		return;
	}
	memcpy(a.addr, e->addr, sizeof(a.addr));
	a.family = e->family;
	a.port = e->port;
	put_address(v, &a, true, true);
}

static void put_time(struct values *v)
{
	char text[64];
	struct timespec ts;
	struct tm tm;
	size_t n;

	clock_gettime(CLOCK_REALTIME, &ts);
	/* The clock of deadlines is another one. */
	ts.tv_sec -= (clock_ns() - v->f->x.start_ns) / NS_PER_S;
	gmtime_r(&ts.tv_sec, &tm);
	n = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text + n, sizeof(text) - n, ".%03uZ", (unsigned int)(ts.tv_nsec / NS_PER_MS));
	lines_puts(v->out, text);
}

static void put_number(struct values *v, __u32 n)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", n);
	lines_puts(v->out, text);
}

static void put_hostname(struct values *v)
{
	char name[256] = "";

	(void)gethostname(name, sizeof(name) - 1);
	lines_puts(v->out, name);
}

/* The body that the route's direct_response has. */
static void put_body(struct values *v)
{
	const struct sl_compiled *c = v->w->args->compiled;
	const struct sl_direct *d =
		v->f->x.route < c->table->n_routes ? &c->directs[v->f->x.route] : NULL;

	if (d && d->body)
		lines_put(v->out, (struct text){d->body, d->body_len});
}

/* False: there is nothing that the part stands for. */
static bool put_part(struct values *v, const struct sl_format_part *part)
{
	__u32 from = v->out->made_len;
	const struct exchange *x = &v->f->x;
	__u32 route;
	const struct sl_actions *a = config_began(v->w, v->f, &route)->actions;
	struct address peer = {0}, own = {0};

	if (part->op >= SL_FORMAT_DOWNSTREAM_DIRECT && part->op <= SL_FORMAT_DOWNSTREAM_DIRECT_PORT)
		peer = address_of(v->f->io.fd, true);
	if (part->op >= SL_FORMAT_DOWNSTREAM_LOCAL && part->op <= SL_FORMAT_DOWNSTREAM_LOCAL_PORT)
		own = address_of(v->f->io.fd, false);
	switch (part->op) {
	case SL_FORMAT_TEXT:
		lines_puts(v->out, part->text);
		return true;
	case SL_FORMAT_REQ:
		return put_header(v, v->request, part);
	case SL_FORMAT_RESP:
		return put_header(v, v->response, part);
	case SL_FORMAT_PATH:
		return put_path(v, part);
	case SL_FORMAT_DOWNSTREAM_REMOTE:
	case SL_FORMAT_DOWNSTREAM_REMOTE_IP:
	case SL_FORMAT_DOWNSTREAM_REMOTE_PORT:
		put_address(v, &x->remote, part->op != SL_FORMAT_DOWNSTREAM_REMOTE_PORT,
			    part->op == SL_FORMAT_DOWNSTREAM_REMOTE);
		break;
	case SL_FORMAT_DOWNSTREAM_DIRECT:
	case SL_FORMAT_DOWNSTREAM_DIRECT_IP:
	case SL_FORMAT_DOWNSTREAM_DIRECT_PORT:
		put_address(v, &peer, part->op != SL_FORMAT_DOWNSTREAM_DIRECT_PORT,
			    part->op == SL_FORMAT_DOWNSTREAM_DIRECT);
		break;
	case SL_FORMAT_DOWNSTREAM_LOCAL:
	case SL_FORMAT_DOWNSTREAM_LOCAL_IP:
	case SL_FORMAT_DOWNSTREAM_LOCAL_PORT:
		put_address(v, &own, part->op != SL_FORMAT_DOWNSTREAM_LOCAL_PORT,
			    part->op == SL_FORMAT_DOWNSTREAM_LOCAL);
		break;
	case SL_FORMAT_UPSTREAM_HOST:
	case SL_FORMAT_UPSTREAM_REMOTE:
		put_upstream(v);
		break;
	case SL_FORMAT_UPSTREAM_CLUSTER:
		if (x->cluster < a->n_clusters && a->clusters[x->cluster])
			lines_puts(v->out, a->clusters[x->cluster]);
		break;
	case SL_FORMAT_RESPONSE_CODE:
		put_number(v, x->status);
		break;
	case SL_FORMAT_PROTOCOL:
		lines_puts(v->out, x->client10 ? "HTTP/1.0" : "HTTP/1.1");
		break;
	case SL_FORMAT_ROUTE_NAME:
		if (route < a->n_routes)
			lines_puts(v->out, a->routes[route].name);
		break;
	case SL_FORMAT_HOSTNAME:
		put_hostname(v);
		break;
	case SL_FORMAT_START_TIME:
		put_time(v);
		break;
	case SL_FORMAT_LOCAL_REPLY_BODY:
		put_body(v);
		break;
	}
	return v->out->made_len > from;
}

static bool is_number(enum sl_format_op op)
{
	return op == SL_FORMAT_RESPONSE_CODE || op == SL_FORMAT_DOWNSTREAM_REMOTE_PORT ||
	       op == SL_FORMAT_DOWNSTREAM_DIRECT_PORT || op == SL_FORMAT_DOWNSTREAM_LOCAL_PORT;
}

/* What was put from @begin on becomes a JSON value. */
static void make_json(struct lines *l, __u32 begin, const struct sl_format_part *part, bool found)
{
	if (!found)
		lines_puts(l, "null");
	if (!found || is_number(part->op))
		return;
	lines_json(l, begin);
	/* A quote before it: all of it moves by one. */
	lines_puts(l, "\"\"");
	if (l->full)
		return;
	memmove(l->made + begin + 1, l->made + begin, l->made_len - begin - 2);
	l->made[begin] = '"';
}

struct text value_of(struct values *v, const struct sl_format *format)
{
	__u32 from = v->out->made_len;

	for (__u32 i = 0; i < format->n; i++) {
		const struct sl_format_part *part = &format->parts[i];
		__u32 begin = v->out->made_len;
		bool found = put_part(v, part);

		if (part->as == SL_AS_JSON_VALUE) {
			make_json(v->out, begin, part, found);
			continue;
		}
		if (!found && format->missing)
			lines_puts(v->out, format->missing);
		if (part->as == SL_AS_JSON_STRING)
			lines_json(v->out, begin);
	}
	return lines_made(v->out, from);
}
