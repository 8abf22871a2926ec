/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the HTTP connection manager does to a request's path and host before its route is looked
 * for: normalize_path, merge_slashes, path_with_escaped_slashes_action, the strip_ options; and the
 * headers that it takes away. Off by default. The kernel passes what it would change to the user
 * path (sl_plain.h).
 */
#ifndef SL_NORMAL_H
#define SL_NORMAL_H

#include "sl_head.h"

#define SL_NORMAL_PATH 0x1
#define SL_NORMAL_MERGE 0x2
#define SL_NORMAL_SLASH_REJECT 0x4
#define SL_NORMAL_SLASH_REDIRECT 0x8
#define SL_NORMAL_SLASH_FORWARD 0x10
#define SL_NORMAL_STRIP_PORT 0x20 /* any */
#define SL_NORMAL_STRIP_OWN 0x40  /* the listener's */
#define SL_NORMAL_STRIP_DOT 0x80
#define SL_NORMAL_PATHS                                                                         \
	(SL_NORMAL_PATH | SL_NORMAL_MERGE | SL_NORMAL_SLASH_REJECT | SL_NORMAL_SLASH_REDIRECT | \
	 SL_NORMAL_SLASH_FORWARD)
#define SL_NORMAL_HOSTS (SL_NORMAL_STRIP_PORT | SL_NORMAL_STRIP_OWN | SL_NORMAL_STRIP_DOT)

struct sl_normal {
	__u32 flags;		    /* SL_NORMAL_* */
	__u32 port;		    /* of the listener */
	const char *const *removed; /* [n_removed]; names of headers that are taken away */
	__u32 n_removed;
	bool redirect; /* result: the client is to be sent to the new path (307) */
};

/*
 * Changes the head @h, parsed, of the request in @buf, of which *@len bytes are there and @cap are
 * memory; what follows the head moves with it. 0; the status to answer: 400 or 431.
 */
__u32 sl_normalize(struct sl_normal *n, struct sl_head *h, __u8 *buf, __u32 *len, __u32 cap);

/*
 * The same for the path without the parameters of its parts, ";...", as
 * ignore_path_parameters_in_path_matching compares it: "/a;x/b;y" becomes "/a/b".
 */
__u32 sl_normal_no_params(struct sl_head *h, __u8 *buf, __u32 *len, __u32 cap);

#endif /* SL_NORMAL_H */
