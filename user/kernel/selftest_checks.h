/* SPDX-License-Identifier: GPL-2.0-only */
/* The checks of the self-test. Each: 0, or -errno (-EPROTO with why set: found wrong). */
#ifndef SL_SELFTEST_CHECKS_H
#define SL_SELFTEST_CHECKS_H

#include "kernel/selftest_rig.h"

/* sk_msg: what the co-located doors rely on. */
int check_counters(struct rig *r);
int check_fionread(struct rig *r);
int check_backlog(struct rig *r);
int check_order(struct rig *r);
int check_overflow(struct rig *r);
int check_egress(struct rig *r);

/* What routes' own answers rely on. */
int check_answers(struct rig *r);

#endif /* SL_SELFTEST_CHECKS_H */
