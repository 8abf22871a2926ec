// SPDX-License-Identifier: GPL-2.0-only
/* Rules across keys: changes of headers, rewrites, redirects, forwarding headers. */
#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "config/actions_model.h"
#include "config/model.h"
#include "util/normal.h"
#include "util/regex.h"

#define VALUE_MAX 16384 /* Envoy's limit of a header's value in the config */

static bool is_token(const struct sl_node *n)
{
	/* RFC 9110 section 5.6.2 */
	for (__u32 i = 0; i < n->len; i++)
		if (!isalnum((unsigned char)n->text[i]) && !strchr("!#$%&'*+-.^_`|~", n->text[i]))
			return false;
	return n->len > 0;
}

static bool check_text(struct sl_walk *w, const struct sl_node *n, const char *what,
		       const char *refused)
{
	for (__u32 i = 0; n && i < n->len; i++) {
		unsigned char c = n->text[i];

		if ((c >= 0x20 || c == '\t') && c != 0x7f && !strchr(refused, c))
			continue;
		if (c > 0x20 && c != 0x7f)
			sl_error(w, n, "%s cannot hold '%c'", what, c);
		else
			sl_error(w, n, "%s cannot hold spaces or control characters", what);
		return false;
	}
	return true;
}

static void check_value(struct sl_walk *w, const struct sl_node *n)
{
	for (__u32 i = 0; n && i < n->len; i++) {
		unsigned char c = n->text[i];

		if ((c < 0x20 && c != '\t') || c == 0x7f) {
			sl_error(w, n, "a header's value cannot hold control characters");
			return;
		}
	}
	if (n && n->len > VALUE_MAX)
		sl_error(w, n, "the value has %u bytes; the limit is %u", n->len, VALUE_MAX);
}

/* ---- headers ---- */

/* What tells one message from the next, or is for one hop alone. */
static bool is_framing(const char *name)
{
	static const char *const names[] = {"content-length", "transfer-encoding", "connection",
					    "upgrade",	      "keep-alive",	   "te",
					    "trailer",	      "proxy-connection",  NULL};

	for (const char *const *n = names; *n; n++)
		if (!strcasecmp(*n, name))
			return true;
	return false;
}

/* @verb: "modified" or "removed", as Envoy words it. */
static void check_changed_name(struct sl_walk *w, const struct sl_node *n, const char *verb)
{
	if (n->text[0] == ':' || !strcasecmp(n->text, "host"))
		sl_error(w, n, ":-prefixed or host headers may not be %s", verb);
	else if (!is_token(n))
		sl_error(w, n, "'%.64s' is no header name", n->text);
	else if (n->len > 255)
		sl_error(w, n, "header name longer than 255 bytes");
	else if (is_framing(n->text))
		sl_error(w, n, "'%s' frames the message and may not be %s", n->text, verb);
}

static bool check_count(struct sl_walk *w, const struct cfg_list *l)
{
	if (l->n <= SL_HEADER_CHANGES_MAX)
		return true;
	sl_error(w, l->node->items[SL_HEADER_CHANGES_MAX],
		 "too many headers in one list; the limit is %u (SL_HEADER_CHANGES_MAX)",
		 SL_HEADER_CHANGES_MAX);
	return false;
}

static void check_adds(struct sl_walk *w, const struct cfg_list *l, enum sl_format_use use)
{
	const struct cfg_header_option *all = l->items;

	for (__u32 i = 0; check_count(w, l) && i < l->n; i++) {
		const struct cfg_header_value *h = &all[i].header;

		if (h->key)
			check_changed_name(w, h->key, "modified");
		check_value(w, h->value);
		sl_validate_format(w, h->value, use);
	}
}

static void check_removes(struct sl_walk *w, const struct cfg_list *l)
{
	const struct sl_node *const *all = l->items;

	for (__u32 i = 0; check_count(w, l) && i < l->n; i++)
		check_changed_name(w, all[i], "removed");
}

void sl_validate_header_changes(struct sl_walk *w, const struct cfg_header_changes *c)
{
	check_adds(w, &c->request_add, SL_FOR_REQUEST);
	check_adds(w, &c->response_add, SL_FOR_RESPONSE);
	check_removes(w, &c->request_remove);
	check_removes(w, &c->response_remove);
}

/* ---- rewrites and redirects ---- */

void sl_validate_regex_rewrite(struct sl_walk *w, const struct cfg_regex_rewrite *r)
{
	const struct sl_node *pattern = r->pattern.regex;
	char why[SL_REGEX_WHY] = "out of memory";
	struct sl_regex *regex = NULL;

	if (!pattern)
		return;
	if (sl_regex_new(pattern->text, false, &regex, why))
		sl_error(w, pattern, "%s", why);
	else if (r->substitution && sl_regex_check(regex, r->substitution->text, why))
		sl_error(w, r->substitution, "%s", why);
	check_text(w, r->substitution, "a substitution", " \t");
	sl_regex_free(regex);
}

static void check_path(struct sl_walk *w, const struct sl_node *n)
{
	if (n && check_text(w, n, "a path", " \t#") && n->len && n->text[0] != '/')
		sl_error(w, n, "a request's path begins with '/'");
}

/* At most one of the nodes @n is given; @names as many. */
static void check_one_of(struct sl_walk *w, const struct sl_node *const *n,
			 const char *const *names)
{
	const char *first = NULL;

	for (; *names; n++, names++) {
		if (!*n)
			continue;
		if (first)
			sl_error(w, *n, "'%s' and '%s' exclude each other; give one", first,
				 *names);
		else
			first = *names;
	}
}

/* UriTemplateRewriter::isCompatiblePathMatcher(), in its words. */
static void check_policy(struct sl_walk *w, const struct cfg_path_policy *p,
			 const struct cfg_match *match)
{
	const struct sl_node *at = p->template;
	char *unused = at ? sl_arena_alloc(w->arena, at->len + 1) : NULL;
	const char *why;
	int err;

	if (!at || !unused)
		return;
	err = sl_uri_rewrite(at->text, &match->variables, unused, &why);
	if (err == -EINVAL)
		sl_error(w, at, "URI template: %s", why);
	else if (!match->policy.node)
		sl_error(w, at,
			 "Unable to use envoy.path.rewrite.uri_template.uri_template_rewriter "
			 "extension without envoy.path.match.uri_template.uri_template_matcher "
			 "extension (path_match_policy)");
	else if (err == -ENOENT && match->text && match->policy.template)
		sl_error(w, at,
			 "mismatch between variables in path_match_policy %.64s and "
			 "path_rewrite_policy %.64s",
			 match->policy.template->text, at->text);
}

void sl_validate_rewrite(struct sl_walk *w, const struct cfg_rewrite *r,
			 const struct cfg_match *match)
{
	static const char *const paths[] = {"prefix_rewrite", "regex_rewrite", "path_rewrite",
					    "path_rewrite_policy", NULL};
	static const char *const hosts[] = {
		"host_rewrite_literal", "host_rewrite_header", "host_rewrite_path_regex",
		"auto_host_rewrite",	"host_rewrite",	       NULL};

	check_one_of(w,
		     (const struct sl_node *[]){r->prefix, r->regex.node, r->path, r->policy.node},
		     paths);
	check_one_of(w,
		     (const struct sl_node *[]){r->host, r->host_header, r->host_regex.node,
						r->auto_host.node, r->host_format},
		     hosts);
	check_policy(w, &r->policy, match);
	check_path(w, r->prefix);
	check_text(w, r->path, "a path", " \t#");
	sl_validate_format(w, r->path, SL_FOR_REQUEST);
	check_text(w, r->host_format, "a Host header", " \t/#@");
	sl_validate_format(w, r->host_format, SL_FOR_REQUEST);
	sl_validate_regex_rewrite(w, &r->regex);
	check_text(w, r->host, "a Host header", " \t/?#@");
	sl_validate_regex_rewrite(w, &r->host_regex);
	if (r->host_header && !is_token(r->host_header))
		sl_error(w, r->host_header, "'%.64s' is no header name", r->host_header->text);
}

void sl_validate_cluster_header(struct sl_walk *w, const struct sl_node *name)
{
	if (name && name->len && strcmp(name->text, ":authority") && !is_token(name))
		sl_error(w, name, "'%.64s' is no header name", name->text);
}

void sl_validate_vhost_header(struct sl_walk *w, const struct sl_node *name)
{
	if (name && name->len && !is_token(name))
		sl_error(w, name, "'%.64s' is no header name", name->text);
}

void sl_validate_internal_only(struct sl_walk *w, const struct cfg_list *names)
{
	check_removes(w, names);
}

void sl_validate_redirect(struct sl_walk *w, const struct cfg_redirect *r)
{
	static const char *const schemes[] = {"https_redirect", "scheme_redirect", NULL};
	static const char *const paths[] = {"path_redirect", "prefix_rewrite", "regex_rewrite",
					    NULL};

	check_one_of(w, (const struct sl_node *[]){r->https.node, r->scheme}, schemes);
	check_one_of(w, (const struct sl_node *[]){r->path, r->prefix, r->regex.node}, paths);
	check_text(w, r->scheme, "a scheme", " \t:/?#@");
	check_text(w, r->host, "a host", " \t/?#@");
	check_text(w, r->path, "a path", " \t");
	check_text(w, r->prefix, "a path", " \t");
	sl_validate_regex_rewrite(w, &r->regex);
}

void sl_validate_body_format(struct sl_walk *w, const struct sl_node *text,
			     const struct sl_node *json, const struct sl_node *content_type)
{
	struct sl_format unused;

	sl_validate_format(w, text, SL_FOR_BODY);
	if (json && sl_format_json(w, json, false, w->arena, &unused) == -ENOMEM)
		w->err = -ENOMEM;
	check_value(w, content_type);
}

/* ---- the HTTP connection manager's ---- */

static void check_cidr(struct sl_walk *w, const struct cfg_cidr *c)
{
	__u8 addr[16], family;

	if (!c->prefix)
		return;
	if (sl_parse_ip(c->prefix->text, addr, &family))
		sl_error(w, c->prefix, "'%.64s' is no IP address", c->prefix->text);
	else if (family == AF_INET && c->len.value > 32)
		sl_error(w, c->len.node, "an IPv4 address has 32 bits, not %u", c->len.value);
}

void sl_validate_forwarded(struct sl_walk *w, const struct cfg_forwarded *f)
{
	for (__u32 i = 0; i < f->internal.ranges.n; i++)
		check_cidr(w, &((const struct cfg_cidr *)f->internal.ranges.items)[i]);
	check_value(w, f->via);
	check_value(w, f->server_name);
}

__u32 sl_normal_flags(const struct cfg_normal *n)
{
	/* As sl_slash_actions. */
	static const __u32 slashes[] = {0, SL_NORMAL_SLASH_REJECT, SL_NORMAL_SLASH_REDIRECT,
					SL_NORMAL_SLASH_FORWARD, 0};

	return (n->path.value ? SL_NORMAL_PATH : 0) | (n->merge.value ? SL_NORMAL_MERGE : 0) |
	       slashes[n->slashes.value % 5] | (n->strip_port.value ? SL_NORMAL_STRIP_PORT : 0) |
	       (n->strip_own.value ? SL_NORMAL_STRIP_OWN : 0) |
	       (n->strip_dot.value ? SL_NORMAL_STRIP_DOT : 0);
}

void sl_validate_normal(struct sl_walk *w, const struct cfg_normal *n)
{
	if (n->strip_port.value && n->strip_own.value)
		sl_error(w, n->strip_port.node,
			 "'strip_matching_host_port' and 'strip_any_host_port' exclude each other; "
			 "give one");
}

bool sl_proto_is_believed(const struct cfg_forwarded *f)
{
	return !f->use_remote_address.value || f->trusted_hops.value;
}

static bool same_text(const struct sl_node *a, const struct sl_node *b)
{
	return a && b ? !strcmp(a->text, b->text) : a == b;
}

static bool same_value(const struct cfg_u32 *a, const struct cfg_u32 *b)
{
	return !a->node == !b->node && a->value == b->value;
}

static bool same_node(const struct sl_node *a, const struct sl_node *b)
{
	return a && b ? sl_node_equal(a, b) : a == b;
}

bool sl_same_forwarded(const struct cfg_forwarded *a, const struct cfg_forwarded *b)
{
	return same_value(&a->use_remote_address, &b->use_remote_address) &&
	       same_value(&a->trusted_hops, &b->trusted_hops) &&
	       same_value(&a->skip_xff_append, &b->skip_xff_append) &&
	       same_value(&a->forwarded_port, &b->forwarded_port) &&
	       same_value(&a->generate_request_id, &b->generate_request_id) &&
	       same_value(&a->preserve_request_id, &b->preserve_request_id) &&
	       same_value(&a->request_id_in_response, &b->request_id_in_response) &&
	       same_value(&a->server_header, &b->server_header) &&
	       same_node(a->internal.node, b->internal.node) &&
	       same_text(a->server_name, b->server_name) && same_text(a->via, b->via);
}

const struct sl_node *sl_forwarded_node(const struct cfg_forwarded *f)
{
	const struct sl_node *const nodes[] = {
		f->use_remote_address.node,
		f->trusted_hops.node,
		f->skip_xff_append.node,
		f->forwarded_port.node,
		f->generate_request_id.node,
		f->preserve_request_id.node,
		f->request_id_in_response.node,
		f->server_header.node,
		f->server_name,
		f->via,
		f->internal.node,
	};

	for (size_t i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++)
		if (nodes[i])
			return nodes[i];
	return NULL;
}
