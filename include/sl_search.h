/* SPDX-License-Identifier: GPL-2.0-only */
/* The state of the matcher (sl_match.h) while it looks for the route of one request. */
#ifndef SL_SEARCH_H
#define SL_SEARCH_H

#include "sl_types.h"

#define SL_MATCH_LISTS 6 /* own and up of a prefix, own of a path; the same, folded */

/* Where the search stands. In BPF in a map: the verifier has to forget the values, and its stack is
 * small. */
struct sl_search {
	__u64 draw; /* a random number, one for the whole request; set by the caller */
	__u64 word; /* first bytes of the path, then zeros */
	__u32 at;   /* one after the other: index of the next route */
	__u32 end;
	__u32 found; /* route, NO_ROUTE, or ROUTE_UNSURE */
	__u32 done;  /* 1: found is the answer */
	__u32 route; /* whose path matches */
	__u32 rule;  /* index of its next rule */
	__u32 rule_end;
	__u32 unsure; /* 1: one of its rules is */
	__u32 listed; /* 1: by the index, next[]; 0: one after the other, at..end */
	__u32 zero;
	__u32 next[SL_MATCH_LISTS]; /* in t->lists, of the lists */
};

#endif /* SL_SEARCH_H */
