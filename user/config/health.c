// SPDX-License-Identifier: GPL-2.0-only
/* Health checks and outlier detection: rules across keys; what was given, else Envoy's default. */
#include <stdio.h>
#include <string.h>

#include "config/cluster_model.h"

static __u32 value_or(const struct cfg_u32 *v, __u32 or)
{
	return v->node ? v->value : or ;
}

/* ---- rules ---- */

static void check_text(struct sl_walk *w, const struct sl_node *s, const char *what)
{
	for (__u32 i = 0; s && i < s->len; i++) {
		unsigned char c = s->text[i];

		if (c > 0x20 && c < 0x7f)
			continue;
		sl_error(w, s, "'%s' of a health check has a character that a request cannot have",
			 what);
		return;
	}
	if (s && s->len > 256)
		sl_error(w, s, "'%s' of a health check is longer than 256 bytes", what);
}

static void check_ranges(struct sl_walk *w, const struct cfg_list *list)
{
	const struct cfg_status_range *r = list->items;

	if (list->n > SL_CHECK_RANGES)
		sl_error(w, list->node, "more than %u ranges of statuses", SL_CHECK_RANGES);
	for (__u32 i = 0; i < list->n; i++)
		if (r[i].start.node && r[i].end.node && r[i].start.value >= r[i].end.value)
			sl_error(w, r[i].node, "the range is empty: 'end' is not in it");
}

static void check_one(struct sl_walk *w, const struct cfg_health_check *c)
{
	if (c->http.node && c->tcp.node)
		sl_error(w, c->tcp.node,
			 "'http_health_check' and 'tcp_health_check' exclude each other; give one");
	if (!c->http.node && !c->tcp.node && !w->unsure)
		sl_error(w, c->node,
			 "missing 'http_health_check' or 'tcp_health_check' in health check");
	check_text(w, c->http.host, "host");
	check_text(w, c->http.path, "path");
	if (c->http.path && c->http.path->len && c->http.path->text[0] != '/')
		sl_error(w, c->http.path, "'path' of a health check must begin with '/'");
	check_ranges(w, &c->http.expected);
	check_ranges(w, &c->http.retriable);
}

void sl_validate_health(struct sl_walk *w, const struct cfg_balance *b)
{
	const struct cfg_health_check *all = b->checks.items;

	if (b->checks.n)
		check_one(w, all);
	if (b->checks.n > 1)
		sl_error(w, all[1].node, "more than one health check is not supported yet");
	if (b->outlier.node &&
	    (!b->outlier.enforcing_success_rate.node || b->outlier.enforcing_success_rate.value))
		sl_warning(w, b->outlier.node,
			   "ejection by success rate, which Envoy does unless "
			   "'enforcing_success_rate: 0', is not supported yet");
	if (b->close_on_failure.node && b->close_on_failure.value && !b->checks.n)
		sl_warning(w, b->close_on_failure.node,
			   "without 'health_checks' this does nothing");
}

/* ---- values ---- */

static __u32 ranges(const struct cfg_list *list, struct sl_status_range *ret)
{
	const struct cfg_status_range *r = list->items;
	__u32 n = 0;

	for (; n < list->n && n < SL_CHECK_RANGES; n++)
		ret[n] = (struct sl_status_range){r[n].start.value, r[n].end.value};
	return n;
}

static void compile_http(const struct cfg_http_check *h, const struct sl_node *name,
			 struct sl_health_check *out)
{
	const struct sl_node *host = h->host && h->host->len ? h->host : name;

	out->http = true;
	out->head = h->method.value == 2;
	snprintf(out->request, sizeof(out->request),
		 "%s %.256s HTTP/1.1\r\nhost: %.256s\r\nuser-agent: sluice/HC\r\n%s\r\n",
		 out->head ? "HEAD" : "GET", h->path->text, host->text,
		 out->reuse ? "" : "connection: close\r\n");
	out->n_expected = ranges(&h->expected, out->expected);
	if (!out->n_expected) {
		out->expected[0] = (struct sl_status_range){200, 201};
		out->n_expected = 1;
	}
	out->n_retriable = ranges(&h->retriable, out->retriable);
}

static void compile_check(const struct cfg_health_check *c, const struct sl_node *name,
			  struct sl_health_check *out)
{
	out->timeout_ms = c->timeout.value;
	out->interval_ms = c->interval.value;
	out->unhealthy_interval_ms = value_or(&c->unhealthy_interval, out->interval_ms);
	out->unhealthy_edge_ms = value_or(&c->unhealthy_edge, out->unhealthy_interval_ms);
	out->healthy_edge_ms = value_or(&c->healthy_edge, out->interval_ms);
	out->no_traffic_ms = value_or(&c->no_traffic, 60000);
	out->no_traffic_healthy_ms = value_or(&c->no_traffic_healthy, out->no_traffic_ms);
	out->initial_jitter_ms = c->initial_jitter.value;
	out->jitter_ms = c->interval_jitter.value;
	out->jitter_percent = c->jitter_percent.value;
	out->unhealthy_threshold = c->unhealthy_threshold.value;
	out->healthy_threshold = c->healthy_threshold.value;
	out->reuse = !c->reuse.node || c->reuse.value;
	if (c->http.node)
		compile_http(&c->http, name, out);
}

static void compile_outlier(const struct cfg_outlier *o, struct sl_outlier *out)
{
	out->interval_ms = value_or(&o->interval, 10000);
	out->base_ms = value_or(&o->base, 30000);
	out->max_ms = value_or(&o->max, out->base_ms > 300000 ? out->base_ms : 300000);
	out->jitter_ms = o->jitter.value;
	out->max_percent = value_or(&o->max_percent, 10);
	out->consecutive_5xx = value_or(&o->consecutive_5xx, 5);
	out->consecutive_gateway = value_or(&o->consecutive_gateway, 5);
	out->enforce_5xx = value_or(&o->enforcing_5xx, 100);
	out->enforce_gateway = value_or(&o->enforcing_gateway, 0);
	out->always_one = o->always_one.value;
	out->check_unejects = !o->check_unejects.node || o->check_unejects.value;
}

void sl_compile_health(const struct cfg_balance *b, struct sl_cluster_lb *ret)
{
	if (b->checks.n)
		compile_check(b->checks.items, b->name, &ret->check);
	ret->check.close_on_failure = b->close_on_failure.value;
	if (b->outlier.node)
		compile_outlier(&b->outlier, &ret->outlier);
}
