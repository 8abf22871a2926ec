// SPDX-License-Identifier: GPL-2.0-only
/*
 * Retry policies (Envoy's RetryStateImpl): another try at the same cluster while the client has
 * seen nothing of an answer and every byte that was sent is still at hand. What came of the body is
 * kept behind the head in f->req for as long as it fits; a longer one is sent once.
 */
#include <stdlib.h>
#include <sys/random.h>
#include "mutate.h"

static const struct sl_retry *policy_of(const struct worker *w, const struct front *f)
{
	const struct sl_route_action *action = action_of(w, f);

	return action ? action->retry : NULL;
}

__u32 random_u32(void)
{
	__u32 n = 0;

	return getrandom(&n, sizeof(n), 0) == sizeof(n) ? n : (__u32)clock_ns();
}

/* Fully jittered: below base, then twice that, ..., never over max (JitteredExponentialBackOff). */
static __u64 back_off_ns(const struct sl_retry *p, __u32 retries)
{
	__u64 ms = p->base_ms;

	for (__u32 i = 0; i < retries && ms < p->max_ms; i++)
		ms *= 2;
	if (ms > p->max_ms)
		ms = p->max_ms;
	return (random_u32() % (ms * 1000)) * 1000 + 1;
}

/* Does the head @h have one of the headers? */
static bool any_rule(struct worker *w, const struct front *f, const struct sl_rules *r,
		     const struct sl_head *h, const __u8 *buf)
{
	__u32 route;
	struct sl_matcher *m = matcher_of(w, config_began(w, f, &route));

	for (__u32 i = 0; m && i < r->n; i++)
		if (sl_matcher_rule(m, h, buf, 0, r->first + i))
			return true;
	return false;
}

/* retriable_request_headers: of the request as it is sent on. */
static bool is_wanted(struct worker *w, const struct sl_retry *p, const struct front *f)
{
	struct sl_head *h = &w->request_head;
	__u32 len = f->req.end < SL_HEAD_MAX ? f->req.end : SL_HEAD_MAX;

	if (!p->request_headers.n)
		return true;
	return sl_request_parse(h, f->req.data, len) == SL_PARSE_DONE &&
	       any_rule(w, f, &p->request_headers, h, f->req.data);
}

static bool is_possible(struct worker *w, const struct sl_retry *p, const struct front *f)
{
	const struct exchange *x = &f->x;

	/* A byte of the answer is out, or one of the request is gone. */
	return p && !x->answered && !x->interim && !x->kernel && !x->seized && !x->body_sent &&
	       !x->discarded && f->req.data && x->retries < p->n && is_wanted(w, p, f);
}

/* The lane is given up, the request is whole again. */
static bool start(struct worker *w, struct front *f, const struct sl_retry *p)
{
	struct exchange *x = &f->x;

	if (!breaker_retry(w, f))
		return false;
	x->tried[x->retries % TRIED_MAX] = f->back ? f->back->endpoint : x->endpoint;
	if (f->back)
		lane_close(w, f->back);
	waiting_cancel(w, f);
	breaker_unpend(w, f);
	buffer_drop(w, &f->rin);
	x->connecting = x->lane_close = x->write_failed = x->discard = x->overloaded = false;
	x->resp = SIDE_HEAD;
	x->status = 0;
	x->tries = 0;
	x->why = NULL;
	memset(&x->resp_body, 0, sizeof(x->resp_body));
	f->req.pos = 0;
	x->retry_ns = w->now_ns;
	x->retry_wait_ns = back_off_ns(p, x->retries++);
	mutate_again(w, f);
	return true;
}

bool retry_failed(struct worker *w, struct front *f, enum failure failure)
{
	const struct sl_retry *p = policy_of(w, f);
	__u32 on = SL_RETRY_5XX | SL_RETRY_GATEWAY_ERROR | SL_RETRY_RESET;

	if (failure == FAILURE_CONNECT)
		on |= SL_RETRY_CONNECT_FAILURE | SL_RETRY_RESET_BEFORE_REQUEST;
	/* Before the request was whole only what never reached a server. */
	if (!(p && p->on & on) || !is_possible(w, p, f) ||
	    (failure != FAILURE_CONNECT && f->x.req != SIDE_DONE))
		return false;
	return start(w, f, p);
}

static const struct sl_header *find(const struct sl_head *h, const __u8 *buf, const char *name)
{
	for (__u32 i = 0; i < h->n_headers; i++)
		if (text_is((struct text){(const char *)buf + h->headers[i].name.off,
					  h->headers[i].name.len},
			    name))
			return &h->headers[i];
	return NULL;
}

static bool grpc_wants(const struct sl_retry *p, const struct sl_head *h, const __u8 *buf)
{
	const struct sl_header *status = p->on >> 16 ? find(h, buf, "grpc-status") : NULL;
	__u32 n = 0;

	if (!status || !status->value.len || status->value.len > 2)
		return false;
	for (__u32 i = 0; i < status->value.len; i++) {
		__u8 c = buf[status->value.off + i];

		if (c < '0' || c > '9')
			return false;
		n = n * 10 + c - '0';
	}
	return n < 16 && (p->on & SL_RETRY_GRPC(n));
}

/* wouldRetryFromHeaders() */
static bool answer_wants(struct worker *w, const struct front *f, const struct sl_retry *p,
			 const struct sl_head *h, const __u8 *buf)
{
	__u32 status = h->status;

	if (find(h, buf, "x-envoy-overloaded"))
		return false;
	if (find(h, buf, "x-envoy-ratelimited"))
		return p->on & SL_RETRY_RATE_LIMITED;
	if ((p->on & SL_RETRY_5XX) && status >= 500 && status < 600)
		return true;
	if ((p->on & SL_RETRY_GATEWAY_ERROR) && status >= 502 && status <= 504)
		return true;
	if ((p->on & SL_RETRY_RETRIABLE_4XX) && status == 409)
		return true;
	for (__u32 i = 0; (p->on & SL_RETRY_STATUS_CODES) && i < p->n_codes; i++)
		if (p->codes[i] == status)
			return true;
	if ((p->on & SL_RETRY_HEADERS) && any_rule(w, f, &p->headers, h, buf))
		return true;
	return grpc_wants(p, h, buf);
}

bool retry_answer(struct worker *w, struct front *f, const struct sl_head *h, const __u8 *buf)
{
	const struct sl_retry *p = policy_of(w, f);

	return p && f->x.req == SIDE_DONE && answer_wants(w, f, p, h, buf) &&
	       is_possible(w, p, f) && start(w, f, p);
}

void retry_or_reply(struct worker *w, struct front *f, __u32 status)
{
	if (f->x.overloaded || !retry_failed(w, f, FAILURE_CONNECT))
		reply(w, f, status);
}

/*
 * previous_hosts: an endpoint that has not failed before, if one of so many choices is such a one;
 * else the last one chosen (LoadBalancerBase::chooseHost()).
 */
static __u32 endpoint_of(struct worker *w, struct front *f)
{
	const struct sl_retry *p = policy_of(w, f);
	__u32 n = f->x.retries < TRIED_MAX ? f->x.retries : TRIED_MAX;

	if (!p || !p->other_hosts)
		return route_other(w, f);
	return route_but(w, f, f->x.tried, n, 1 + p->host_tries);
}

/* The back-off is over. */
void retry_now(struct worker *w, struct front *f)
{
	struct exchange *x = &f->x;
	__u32 status = 503;

	x->retry_ns = 0;
	x->endpoint = endpoint_of(w, f);
	if (x->endpoint != NO_INDEX)
		status = lane_get(w, f, false);
	if (status)
		retry_or_reply(w, f, status);
}

__u32 retry_try_ms(const struct worker *w, const struct front *f)
{
	const struct sl_retry *p = policy_of(w, f);

	return p ? p->per_try_ms : 0;
}

__u32 retry_idle_ms(const struct worker *w, const struct front *f)
{
	const struct sl_retry *p = policy_of(w, f);

	return p ? p->per_try_idle_ms : 0;
}

void keep_begin(struct worker *w, struct front *f)
{
	const struct sl_route_action *action = action_of(w, f);

	f->x.keep = action && (action->retry || f->x.mirror);
}

void keep_body(struct front *f)
{
	__u32 n = f->in.framed - f->in.pos;

	if (!f->x.keep || !n || f->x.discard || !f->req.data)
		return;
	if (buffer_add(&f->req, f->in.data + f->in.pos, n))
		f->in.pos += n;
	else
		f->x.keep = false;
}
