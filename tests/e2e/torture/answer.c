/* SPDX-License-Identifier: GPL-2.0-only */
/* What may come back for a request, and nothing else. */
#include "client.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum answered client_wrong(struct client *c, const char *fmt, ...)
{
	va_list args;
	int n = snprintf(c->wrong, sizeof(c->wrong), "%s: ", ask_text(&c->ask));

	va_start(args, fmt);
	vsnprintf(c->wrong + n, sizeof(c->wrong) - n, fmt, args);
	va_end(args);
	return WRONG;
}

struct ask client_ask(struct client *c)
{
	uint64_t first = mix64(c->id) & ~0xfffULL;

	return ask_of(c->mix, mix64(first + c->n_asked++));
}

/* May the connection end here, in the middle of or before the answer? */
static bool end_is_due(const struct client *c)
{
	return c->kills || c->doomed || ask_may_fail(&c->ask);
}

enum answered client_unsent(struct client *c)
{
	if (!c->kills && !mix_is_unsteady(c->mix))
		return client_wrong(c, "a send fails, and the connection lives");
	c->counts->unsent++;
	return ENDED;
}

/* The connection ended by @err before the whole answer was there. */
static enum answered cut(struct client *c, int err, const char *where)
{
	if (err == -EBADMSG)
		return c->wrong[0] ? WRONG : client_wrong(c, "%s: %s", where, c->w.wrong);
	if (err == -ETIMEDOUT)
		return client_wrong(c, "%s: hangs", where);
	if (err == -ENOLINK)
		return client_unsent(c);
	if (!end_is_due(c))
		return client_wrong(c, "%s: %s", where, err == -ENODATA ? "FIN" : strerror(-err));
	c->counts->cut++;
	return ENDED;
}

/* Where in the answer the bytes at @data belong; -1: nowhere. */
static int64_t place_of(const struct client *c, const uint8_t *data, size_t len)
{
	size_t total = c->ask.answer_len;

	for (size_t at = 0; len >= 8 && at + len <= total; at++)
		if (pattern_differs(answer_key(&c->ask), at, data, len) == len)
			return at;
	return -1;
}

/* Lost, doubled and overtaken bytes are of the answer, but of another place; foreign ones are not.
 */
static void differs(struct client *c, const uint8_t *data, size_t len)
{
	char hex[3 * 16 + 1] = "";

	len = len < 16 ? len : 16;
	for (size_t i = 0; i < len; i++)
		sprintf(hex + 3 * i, " %02x", data[i]);
	client_wrong(c, "answer differs at %zu of %u: bytes of %lld, %s", c->body_at,
		     c->ask.answer_len, (long long)place_of(c, data, len), hex);
}

static int body_bytes(void *ctx, const uint8_t *data, size_t len)
{
	struct client *c = ctx;
	size_t at = pattern_differs(answer_key(&c->ask), c->body_at, data, len);

	if (at < len) {
		c->body_at += at;
		differs(c, data + at, len - at);
		return -EBADMSG;
	}
	c->body_at += len;
	return 0;
}

static int ignore_bytes(void *ctx, const uint8_t *data, size_t len)
{
	(void)ctx, (void)data, (void)len;
	return 0;
}

/* The body that waited for 100 Continue, or for an answer without it, goes out now. */
static void release_held(struct client *c)
{
	if (c->held)
		wire_queue(&c->w, c->held, c->held_len);
	c->held = NULL;
}

/* The final head; interim ones are only due where they were asked for. */
static int final_head(struct client *c, struct wire_head *h, uint32_t *ret_status)
{
	uint32_t n_hints = 0;
	char version;
	int err, used;

	for (;;) {
		err = wire_head(&c->w, h);
		if (err)
			return err;
		used = 0;
		if (sscanf(h->first, "HTTP/1.%c %3u%n", &version, ret_status, &used) != 2 ||
		    used != 12 || (version != '0' && version != '1')) {
			client_wrong(c, "status line '%.100s'", h->first);
			return -EBADMSG;
		}
		if (*ret_status >= 200) {
			release_held(c);
			return 0;
		}
		if (*ret_status == 100 && c->ask.expects)
			release_held(c);
		else if (*ret_status != 103 || ++n_hints > c->ask.n_interim || c->ask.version10) {
			client_wrong(c, "interim %u", *ret_status);
			return -EBADMSG;
		}
	}
}

/* Behind the last answer of the connection. */
static enum answered last(struct client *c)
{
	/* Closing on bytes that were not read sends RST (RFC 9112 section 9.6). */
	bool may_reset =
		c->behind || c->doomed || c->kills || (c->ask.early && ask_has_body(&c->ask));
	int err = wire_ends(&c->w);

	if (!err || (err == -ECONNRESET && may_reset))
		return ENDED;
	if (err == -EBADMSG)
		return client_wrong(c, "%s", c->w.wrong);
	return client_wrong(c, "behind the last answer: %s", strerror(-err));
}

/* An answer that no server of ours gave. */
static enum answered own_answer(struct client *c, const struct wire_head *h, uint32_t status)
{
	bool due = end_is_due(c) || c->mix == MIX_HOSTILE;
	int err;

	if (status == 502 && !due && mix_is_unsteady(c->mix) && !ask_is_repeatable(&c->ask)) {
		due = true;
		c->counts->lost++;
	}
	if (!(status == 502 && due) && !(status == 408 && c->mix == MIX_HOSTILE) &&
	    !(status == 503 && c->starved))
		return client_wrong(c, "'%s' of the proxy's own", h->first);
	if (h->length < 0)
		return client_wrong(c, "'%s' without a length", h->first);
	err = c->ask.method == METHOD_HEAD ? 0
					   : wire_body_length(&c->w, h->length, ignore_bytes, NULL);
	if (err)
		return cut(c, err, "in the proxy's own");
	c->counts->own++;
	return h->close ? last(c) : GOES_ON;
}

static enum answered check_head(struct client *c, const struct wire_head *h, uint32_t status)
{
	const struct ask *a = &c->ask;

	if (h->x_sum != ask_sum(a) || h->x_len != a->answer_len)
		return client_wrong(c, "answer of another: sum %llx, length %lld",
				    (unsigned long long)h->x_sum, (long long)h->x_len);
	if (status != a->status)
		return client_wrong(c, "status %u", status);
	if (h->length >= 0 && h->length != a->answer_len)
		return client_wrong(c, "length %lld", (long long)h->length);
	return GOES_ON;
}

static int read_body(struct client *c, const struct wire_head *h)
{
	c->body_at = 0;
	if (ask_has_no_answer_body(&c->ask))
		return 0;
	if (h->chunked)
		return wire_body_chunked(&c->w, body_bytes, c);
	if (h->length >= 0)
		return wire_body_length(&c->w, h->length, body_bytes, c);
	return wire_body_close(&c->w, body_bytes, c);
}

enum answered client_answer(struct client *c, const struct ask *a)
{
	struct wire_head h;
	enum answered rc;
	uint32_t status;
	bool to_end;
	int err;

	c->before = c->ask;
	c->before_status = c->status;
	c->ask = *a;
	c->status = 0;
	err = final_head(c, &h, &status);
	if (err)
		return cut(c, err, "before the answer");
	c->status = status;
	if (h.x_sum < 0)
		return own_answer(c, &h, status);
	rc = check_head(c, &h, status);
	if (rc != GOES_ON)
		return rc;
	err = read_body(c, &h);
	if (err)
		return cut(c, err, "in the answer");
	to_end = !h.chunked && h.length < 0 && !ask_has_no_answer_body(a);
	if (!ask_has_no_answer_body(a) && c->body_at != a->answer_len)
		return client_wrong(c, "ended after %zu bytes of %u as if it were whole",
				    c->body_at, a->answer_len);
	if (a->fate == FATE_DIE_MID)
		return client_wrong(c, "whole, though its server had not finished it");
	c->counts->exchanges++;
	if (to_end)
		return ENDED;
	if (a->fate == FATE_EARLY_CLOSE && ask_has_body(a))
		c->doomed = true;
	if (h.close || a->says_close || a->version10)
		return last(c);
	return GOES_ON;
}
