// SPDX-License-Identifier: GPL-2.0-only
/*
 * Headers by which the next hop learns about this one (ConnectionManagerUtility::
 * mutateRequestHeaders and mutateResponseHeaders). All off by default.
 */
#include <stdio.h>
#include <sys/random.h>
#include "mutate.h"
#include "config/internal_address.h"

static const struct sl_forwarded *options_of(const struct worker *w, const struct front *f)
{
	const struct sl_config_action *a = config_action_of(w, f);

	return a ? &a->forwarded : NULL;
}

bool forwarded_any(const struct worker *w, const struct front *f)
{
	const struct sl_forwarded *o = options_of(w, f);

	return o && o->any;
}

/* RFC 9562: a random UUID, version 4. False: no random bytes. */
static bool add_uuid(struct lines *l)
{
	char text[40];
	__u8 b[16];

	if (getrandom(b, sizeof(b), 0) != sizeof(b))
		return false;
	b[6] = (b[6] & 0x0f) | 0x40;
	b[8] = (b[8] & 0x3f) | 0x80;
	snprintf(text, sizeof(text),
		 "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1],
		 b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14],
		 b[15]);
	lines_puts(l, text);
	return true;
}

/* The client as far as it is trusted: by its address, or by what a trusted proxy says. */
static struct address trusted(const struct sl_forwarded *o, const struct address *peer,
			      struct lines *l)
{
	struct address a = {0};

	if (!o->use_remote_address)
		a = address_forwarded(l, o->trusted_hops);
	else if (o->trusted_hops)
		a = address_forwarded(l, o->trusted_hops - 1);
	return a.family ? a : *peer;
}

/* Of what a client says of itself, only a trusted proxy's word counts. */
static bool may_set(const struct sl_forwarded *o, struct lines *l, const char *name)
{
	return !o->trusted_hops || !lines_find(l, name, 0);
}

struct text forwarded_scheme(struct lines *request)
{
	const struct line *proto = lines_find(request, "x-forwarded-proto", 0);

	/* In two lines it is a list, and no scheme. */
	if (proto && !lines_find(request, "x-forwarded-proto", proto - request->line + 1) &&
	    text_is(proto->value, "https"))
		return text_of("https");
	return text_of("http");
}

static void add_client(const struct sl_forwarded *o, struct front *f, const struct address *peer,
		       struct lines *l)
{
	struct address own;
	char text[ADDRESS_TEXT];
	__u32 from = l->made_len;

	if (!o->skip_xff_append) {
		address_text(peer, false, text);
		lines_puts(l, text);
		lines_append(l, "x-forwarded-for", lines_made(l, from), ",");
	}
	if (may_set(o, l, "x-forwarded-proto"))
		lines_set(l, "x-forwarded-proto", text_of("http"));
	if (o->forwarded_port && may_set(o, l, "x-forwarded-port")) {
		own = address_of(f->io.fd, false);
		snprintf(text, sizeof(text), "%u", own.port);
		from = l->made_len;
		lines_puts(l, text);
		lines_set(l, "x-forwarded-port", lines_made(l, from));
	}
}

/* A client outside cannot choose the identifier, unless that is wanted. */
static void add_request_id(const struct sl_forwarded *o, bool edge, struct lines *l)
{
	__u32 from = l->made_len;

	if (lines_find(l, "x-request-id", 0) && (!edge || o->preserve_request_id))
		return;
	if (add_uuid(l))
		lines_set(l, "x-request-id", lines_made(l, from));
}

void forwarded_request(struct worker *w, struct front *f, struct lines *l)
{
	const struct sl_forwarded *o = options_of(w, f);
	struct address peer;
	bool single, edge;

	if (!o || (!o->any && !action_of(w, f)))
		return;
	peer = address_of(f->io.fd, true);
	single = !lines_find(l, "x-forwarded-for", 0);
	f->x.remote = trusted(o, &peer, l);
	edge = o->use_remote_address &&
	       !(single && sl_address_is_internal(o, f->x.remote.family, f->x.remote.addr));
	if (o->use_remote_address)
		add_client(o, f, &peer, l);
	if (o->via)
		lines_append(l, "via", text_of(o->via), ", ");
	if (o->generate_request_id)
		add_request_id(o, edge, l);
}

void forwarded_response(struct worker *w, struct front *f, struct lines *l, bool local)
{
	const struct sl_forwarded *o = options_of(w, f);
	const struct line *server = lines_find(l, "server", 0), *id;
	bool sent = w->request_lines.n && f->req.data;

	if (local && (!server || !o || o->server_header == SL_SERVER_OVERWRITE))
		lines_set(l, "server", text_of(o ? o->server : "sluice"));
	if (!o || !o->any)
		return;
	if (!local && (o->server_header == SL_SERVER_OVERWRITE ||
		       (o->server_header == SL_SERVER_IF_ABSENT && !server)))
		lines_set(l, "server", text_of(o->server));
	if (o->via)
		lines_append(l, "via", text_of(o->via), ", ");
	if (o->request_id_in_response && sent &&
	    (id = lines_find(&w->request_lines, "x-request-id", 0)))
		lines_set(l, "x-request-id", id->value);
}
