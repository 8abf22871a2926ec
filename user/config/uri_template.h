/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * URI templates, "/users/{id}/posts/{rest=**}": the extensions
 * envoy.path.match.uri_template.uri_template_matcher and
 * envoy.path.rewrite.uri_template.uri_template_rewriter (source/extensions/path/uri_template_lib).
 * A template is a regex, and a rewrite is a substitution of its groups: from there on they are
 * served as such.
 */
#ifndef SL_URI_TEMPLATE_H
#define SL_URI_TEMPLATE_H

#include <linux/types.h>

#define SL_URI_TEMPLATE_MAX 256 /* bytes, as in Envoy's proto */
#define SL_URI_VARIABLES 5
#define SL_URI_VARIABLE_NAME 16

struct sl_uri_variables {
	__u32 n;
	char names[SL_URI_VARIABLES][SL_URI_VARIABLE_NAME + 1];
};

/* Bytes that the regex of a template of @len bytes can have, its NUL included. */
#define SL_URI_REGEX_SIZE(len) (64 * (len) + 64)

/*
 * The regex that takes the paths of @s, whole, into @regex, with a group for each variable, in the
 * order of @ret. 0, or -EINVAL with *ret_why.
 */
int sl_uri_template(const char *s, char *regex, struct sl_uri_variables *ret, const char **ret_why);

/*
 * The substitution for that regex that the rewrite @s stands for, into @out, which has room for
 * strlen(s) + 1. 0; -EINVAL with *ret_why; -ENOENT: it names a variable that is not in @v.
 */
int sl_uri_rewrite(const char *s, const struct sl_uri_variables *v, char *out,
		   const char **ret_why);

#endif /* SL_URI_TEMPLATE_H */
