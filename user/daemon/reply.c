/* SPDX-License-Identifier: GPL-2.0-only */
/* Answers of our own: errors, and what routes answer directly. */
#include <stdio.h>
#include <time.h>
#include "internal.h"
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

static bool reply_head(struct worker *w, struct front *f, __u32 status, __u32 len,
		       struct text location)
{
	struct lines *l = &w->response;
	char number[16];

	lines_reset(l);
	lines_add(l, text_of("date"), text_of(date(w)));
	if (location.len)
		lines_add(l, text_of("location"), location);
	snprintf(number, sizeof(number), "%u", len);
	if (!has_no_body(status))
		lines_add(l, text_of("content-length"), text_of(number));
	if (len)
		lines_add(l, text_of("content-type"), text_of("text/plain"));
	if (f->x.overloaded) /* Envoy's */
		lines_add(l, text_of("x-envoy-overloaded"), text_of("true"));
	return rewrite_reply(w, f, status, sl_status_phrase(status));
}

/* Ends the response side with @status and @body; a lane that was bound is given up. */
static void reply_with(struct worker *w, struct front *f, __u32 status, const char *body, __u32 len,
		       struct text location)
{
	struct exchange *x = &f->x;

	if (f->back)
		lane_close(w, f->back);
	x->connecting = false;
	waiting_cancel(w, f);
	breaker_unpend(w, f);
	buffer_drop(w, &f->rin);
	if (x->req == SIDE_HEAD)
		x->req = SIDE_DONE;
	/* A client that waits for 100 Continue will not send the body now, or it may: no telling
	 * where the next request would begin. */
	if (x->expects && x->req == SIDE_BODY)
		x->close = true;
	x->discard = true;
	x->resp = SIDE_DONE;
	x->answered = true;
	x->status = status;
	if (status == 504)
		outlier_report(w, x->endpoint, status);
	if (!x->counted && x->route != NO_INDEX)
		count_exchange(w, f, status);
	if (has_no_body(status))
		len = 0;
	if (!buffer_take(w, &f->out) || !reply_head(w, f, status, len, location) ||
	    (!x->head_method && !buffer_add(&f->out, body, len)))
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
	reply_with(w, f, status, text, strlen(text), (struct text){0});
}

void reply_direct(struct worker *w, struct front *f, const struct sl_direct *d)
{
	reply_with(w, f, d->status, d->body ? d->body : "", d->body ? d->body_len : 0,
		   (struct text){0});
}

void reply_redirect(struct worker *w, struct front *f, __u32 status, struct text location)
{
	reply_with(w, f, status, "", 0, location);
}
