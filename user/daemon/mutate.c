// SPDX-License-Identifier: GPL-2.0-only
/*
 * Changes of headers by the route (HeaderParser::evaluateHeaders): of the split's cluster first,
 * then of the route, the virtual host and the route config, or the other way round if the most
 * specific shall win.
 */
#include <stdio.h>
#include <string.h>
#include "mutate.h"

#define TRIES_HEADER "x-envoy-attempt-count"

const struct sl_route_action *action_of(const struct worker *w, const struct front *f)
{
	__u32 route;
	const struct sl_actions *a = config_began(w, f, &route)->actions;

	if (!a || route >= a->n_routes || !a->routes[route].why)
		return NULL;
	return &a->routes[route];
}

const struct sl_config_action *config_action_of(const struct worker *w, const struct front *f)
{
	const struct sl_compiled *c = w->args->compiled;
	__u32 listener = f->s->listener, config;

	if (!c->actions || listener >= c->table->n_listeners)
		return NULL;
	config = c->table->config_of[listener];
	return config < c->actions->n_configs ? &c->actions->configs[config] : NULL;
}

static bool applies(struct lines *l, const struct sl_header_add *add)
{
	switch (add->action) {
	case SL_ADD_IF_ABSENT:
		return !lines_find(l, add->name, 0);
	case SL_OVERWRITE_IF_EXISTS:
		return lines_find(l, add->name, 0);
	default:
		return true;
	}
}

static bool overwrites(const struct sl_header_add *add)
{
	return add->action == SL_OVERWRITE_OR_ADD || add->action == SL_OVERWRITE_IF_EXISTS;
}

/* Removes first. Then every value is made of the headers as they are, before any is changed. */
static void evaluate(struct values *v, const struct sl_mutation *m)
{
	struct text made[SL_HEADER_CHANGES_MAX];
	bool wanted[SL_HEADER_CHANGES_MAX];
	struct lines *l = v->out;
	__u32 n = m->n_adds < SL_HEADER_CHANGES_MAX ? m->n_adds : SL_HEADER_CHANGES_MAX;

	for (__u32 i = 0; i < m->n_removes; i++)
		lines_remove(l, m->removes[i]);
	for (__u32 i = 0; i < n; i++) {
		made[i] = value_of(v, &m->adds[i].value);
		wanted[i] = (made[i].len || m->adds[i].keep_empty) && applies(l, &m->adds[i]);
	}
	for (__u32 i = 0; i < n; i++)
		if (wanted[i] && overwrites(&m->adds[i]))
			lines_set(l, m->adds[i].name, made[i]);
	for (__u32 i = 0; i < n; i++)
		if (wanted[i] && !overwrites(&m->adds[i]))
			lines_add(l, text_of(m->adds[i].name), made[i]);
}

static void evaluate_all(struct values *v, const struct sl_route_action *action)
{
	const struct exchange *x = &v->f->x;
	const struct sl_config_action *config = config_action_of(v->w, v->f);
	bool outwards = !config || !config->most_specific_wins;

	for (__u32 i = 0; i < action->n_targets; i++)
		if (action->targets[i].cluster == x->picked)
			evaluate(v, v->response ? &action->targets[i].changes.response
						: &action->targets[i].changes.request);
	for (int i = 0; i < 3; i++) {
		const struct sl_header_changes *c = action->changes[outwards ? i : 2 - i];

		if (c)
			evaluate(v, v->response ? &c->response : &c->request);
	}
}

static void set_tries(const struct front *f, struct lines *l)
{
	char number[16];
	__u32 from = l->made_len;

	snprintf(number, sizeof(number), "%u", f->x.retries + 1);
	lines_puts(l, number);
	lines_set(l, TRIES_HEADER, lines_made(l, from));
}

void mutate_request(struct worker *w, struct front *f, struct lines *l)
{
	const struct sl_route_action *action = action_of(w, f);
	struct values v = {.w = w, .f = f, .out = l, .request = l};

	if (!action)
		return;
	evaluate_all(&v, action);
	if (action->count_tries)
		set_tries(f, l);
}

/* The value of the line @name of the head @h in @b, in place; nothing if there is no room. */
static void replace_value(struct buffer *b, const struct sl_head *h, const char *name,
			  struct text value)
{
	for (__u32 i = 0; i < h->n_headers; i++) {
		struct sl_span old = h->headers[i].value;
		__u32 behind = old.off + old.len;

		if (!span_is(b->data, h->headers[i].name, name))
			continue;
		if (b->end - old.len + value.len > BUFFER_CAP)
			return;
		memmove(b->data + old.off + value.len, b->data + behind, b->end - behind);
		memcpy(b->data + old.off, value.s, value.len);
		b->end += value.len - old.len;
		return;
	}
}

void mutate_again(struct worker *w, struct front *f)
{
	const struct sl_route_action *action = action_of(w, f);
	struct sl_head *h = &w->request_head;
	__u32 len = f->req.end < SL_HEAD_MAX ? f->req.end : SL_HEAD_MAX;
	char number[16];

	if (!action || !action->count_tries ||
	    sl_request_parse(h, f->req.data, len) != SL_PARSE_DONE)
		return;
	snprintf(number, sizeof(number), "%u", f->x.retries + 1);
	replace_value(&f->req, h, TRIES_HEADER, text_of(number));
}

/* Host for the endpoint that it goes to now, in memory of @l; empty: it stays as it is. */
static struct text host_again(struct worker *w, struct front *f, struct lines *l)
{
	const struct sl_route_action *action = action_of(w, f);
	const char *name = NULL;

	lines_reset(l);
	if (action && action->rewrite && action->rewrite->auto_host)
		name = hostname_of(w, f->x.endpoint);
	if (name)
		lines_puts(l, name);
	else if (f->x.host_made)
		put_host(w, f->x.endpoint, l);
	return lines_made(l, 0);
}

void mutate_endpoint(struct worker *w, struct front *f)
{
	__u32 len = f->req.end < SL_HEAD_MAX ? f->req.end : SL_HEAD_MAX;
	struct sl_head *h = &w->request_head;
	struct text host;

	if (!f->req.data || f->x.named == f->x.endpoint)
		return;
	f->x.named = f->x.endpoint;
	host = host_again(w, f, &w->request);
	if (host.len && sl_request_parse(h, f->req.data, len) == SL_PARSE_DONE)
		replace_value(&f->req, h, "host", host);
}

/* The request as it was sent, for values that name its headers. NULL: it is not kept. */
static struct lines *request_lines(struct worker *w, struct front *f)
{
	struct sl_head *h = &w->request_head;
	__u32 len = f->req.end < SL_HEAD_MAX ? f->req.end : SL_HEAD_MAX;

	lines_reset(&w->request_lines);
	if (!f->req.data || sl_request_parse(h, f->req.data, len) != SL_PARSE_DONE)
		return NULL;
	lines_of_head(&w->request_lines, h, f->req.data);
	return &w->request_lines;
}

void mutate_response(struct worker *w, struct front *f, struct lines *l)
{
	const struct sl_route_action *action = action_of(w, f);
	struct values v = {.w = w, .f = f, .out = l, .response = l};

	if (!action && !forwarded_any(w, f))
		return;
	v.request = request_lines(w, f);
	if (!action)
		return;
	evaluate_all(&v, action);
	if (action->tell_tries)
		set_tries(f, l);
}
