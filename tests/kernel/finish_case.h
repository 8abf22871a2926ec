/* SPDX-License-Identifier: GPL-2.0-only */
/* Whose exchange with which lane ends: the argument of finish.bpf.c. */
#ifndef FINISH_CASE_H
#define FINISH_CASE_H

#include "sl_types.h"

struct finish_case {
	__u32 slot, gen; /* of the session */
	__u32 lane_slot, lane_gen;
};

#endif
