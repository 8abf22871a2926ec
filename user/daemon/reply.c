/* SPDX-License-Identifier: GPL-2.0-only */
/* Answers of our own: errors, and what routes answer directly. */
#include <stdio.h>
#include <time.h>
#include "mutate.h"
#include "util/status.h"

/* Bodies of errors; as Envoy words them, where it does. */
static const struct {
	__u16 status;
	const char *text;
} texts[] = {
	{400, "bad request\n"},
	{404, "no route\n"},
	{408, "request timeout\n"},
	{413, "body too large\n"},
	{414, "request target too long\n"},
	{417, "unknown expectation\n"},
	{431, "request head too large\n"},
	{501, "not implemented\n"},
	{502, "upstream disconnect or not HTTP\n"},
	{503, "no healthy upstream\n"},
	{504, "upstream request timeout\n"},
	{505, "HTTP version not supported\n"},
};

static const char *date(struct worker *w)
{
	time_t t = time(NULL);
	struct tm tm;

	if ((__u64)t != w->date_s) {
		w->date_s = t;
		gmtime_r(&t, &tm);
		strftime(w->date, sizeof(w->date), "%a, %d %b %Y %H:%M:%S GMT", &tm);
	}
	return w->date;
}

static bool has_no_body(__u32 status)
{
	return status < 200 || status == 204 || status == 304;
}

/* Of an answer of our own; type NULL: text/plain. */
struct answer {
	__u32 status;
	struct text body;
	struct text location;
	const char *type;
};

static bool reply_head(struct worker *w, struct front *f, const struct answer *a, __u32 len)
{
	struct lines *l = &w->response;
	char number[16];

	lines_reset(l);
	lines_add(l, text_of("date"), text_of(date(w)));
	if (a->location.len)
		lines_add(l, text_of("location"), a->location);
	snprintf(number, sizeof(number), "%u", len);
	if (!has_no_body(a->status))
		lines_add(l, text_of("content-length"), text_of(number));
	if (len)
		lines_add(l, text_of("content-type"), text_of(a->type ? a->type : "text/plain"));
	if (f->x.overloaded) /* Envoy's */
		lines_add(l, text_of("x-envoy-overloaded"), text_of("true"));
	return rewrite_reply(w, f, a->status, sl_status_phrase(a->status));
}

/* Ends the response side with @a; a lane that was bound is given up. */
static void reply_with(struct worker *w, struct front *f, const struct answer *a)
{
	__u32 len = has_no_body(a->status) ? 0 : a->body.len;
	struct exchange *x = &f->x;

	if (f->back)
		lane_close(w, f->back);
	x->connecting = false;
	waiting_cancel(w, f);
	breaker_unpend(w, f);
	buffer_drop(w, &f->rin);
	buffer_drop(w, &f->cookies); /* Envoy has them in answers of a backend alone */
	if (x->req == SIDE_HEAD)
		x->req = SIDE_DONE;
	/* A client that waits for 100 Continue will not send the body now, or it may: no telling
	 * where the next request would begin. */
	if (x->expects && x->req == SIDE_BODY)
		x->close = true;
	x->discard = true;
	x->resp = SIDE_DONE;
	x->answered = true;
	x->status = a->status;
	if (a->status == 504)
		outlier_report(w, x->endpoint, a->status);
	if (!x->counted && x->route != NO_INDEX)
		count_exchange(w, f, a->status);
	if (!buffer_take(w, &f->out) || !reply_head(w, f, a, len) ||
	    (!x->head_method && !buffer_add(&f->out, a->body.s, len)))
		x->abort = true;
	buffer_drop(w, &f->req);
}

static const char *text_for(__u32 status)
{
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (texts[i].status == status)
			return texts[i].text;
	return "";
}

void reply(struct worker *w, struct front *f, __u32 status)
{
	const char *text;

	if (f->x.answered) {
		/* Too late to say so: end the session, so that the answer is seen to be cut. */
		f->x.abort = true;
		f->x.resp = SIDE_DONE;
		return;
	}
	text = f->x.why ? f->x.why : text_for(status);
	reply_with(w, f, &(struct answer){.status = status, .body = text_of(text)});
}

/* Its body, as body_format has it, in memory of w->request. False: it is too long. */
static bool format_body(struct worker *w, struct front *f, const struct sl_route_action *action,
			struct answer *a)
{
	struct values v = {.w = w, .f = f, .out = &w->request, .request = &w->request};

	a->type = action->content_type;
	if (!action->body)
		return true;
	a->body = value_of(&v, action->body);
	return !w->request.full;
}

void reply_direct(struct worker *w, struct front *f, const struct sl_direct *d)
{
	const struct sl_route_action *action = action_of(w, f);
	struct answer a = {.status = d->status, .body = {d->body ? d->body : "", d->body_len}};

	f->x.status = d->status;
	if (action && !format_body(w, f, action, &a))
		reply(w, f, 500);
	else
		reply_with(w, f, &a);
}

void reply_redirect(struct worker *w, struct front *f, __u32 status, struct text location)
{
	reply_with(w, f,
		   &(struct answer){.status = status, .body = text_of(""), .location = location});
}

void reply_here(struct worker *w, struct front *f, struct text body, const char *type)
{
	reply_with(w, f, &(struct answer){.status = 200, .body = body, .type = type});
}
