/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A lock-free stack of table slots, shared by BPF and the daemon: free
 * sessions, free lanes, the idle lanes of an endpoint. A Treiber stack; its
 * head carries a tag that every change increments, against ABA. Nodes are the
 * `next` fields of the slots: a slot is on at most one stack.
 *
 * Head: bits 63..32 tag, bits 31..0 slot + 1 (0: empty).
 * next: slot + 1 of the one below (0: bottom).
 */
#ifndef SL_STACK_H
#define SL_STACK_H

#include "sl_types.h"

#define SL_STACK_TRIES 16 /* lost races before giving up; the loser takes the user path */

#define SL_STACK_SLOT(head) ((__u32)(head))
#define SL_STACK_HEAD(old, slot1) ((((old) >> 32) + 1) << 32 | (__u32)(slot1))

/*
 * Puts @slot on the stack @head (__u64 *). @node_ is the slot's `next` field.
 * Yields true; false after SL_STACK_TRIES lost races (the slot is then on no stack).
 */
#define sl_stack_push(head, node_, slot)                                                         \
	({                                                                                       \
		bool done_ = false;                                                              \
		for (int try_ = 0; try_ < SL_STACK_TRIES; try_++) {                              \
			__u64 old_ = SL_READ(*(head));                                           \
			SL_WRITE(*(node_), SL_STACK_SLOT(old_));                                 \
			if (sl_cmpxchg((head), old_, SL_STACK_HEAD(old_, (slot) + 1)) == old_) { \
				done_ = true;                                                    \
				break;                                                           \
			}                                                                        \
		}                                                                                \
		done_;                                                                           \
	})

/*
 * Takes the top slot off @head; @next_of(slot) yields a pointer to a slot's `next`
 * field or NULL for a slot out of range. Yields slot + 1, or 0 when the stack is
 * empty or too contended.
 */
#define sl_stack_pop(head, next_of)                                                           \
	({                                                                                    \
		__u32 got_ = 0;                                                               \
		for (int try_ = 0; try_ < SL_STACK_TRIES; try_++) {                           \
			__u64 old_ = SL_READ(*(head));                                        \
			__u32 top_ = SL_STACK_SLOT(old_);                                     \
			__u32 *node_ = top_ ? next_of(top_ - 1) : NULL;                       \
			if (!node_)                                                           \
				break;                                                        \
			if (sl_cmpxchg((head), old_, SL_STACK_HEAD(old_, SL_READ(*node_))) == \
			    old_) {                                                           \
				got_ = top_;                                                  \
				break;                                                        \
			}                                                                     \
		}                                                                             \
		got_;                                                                         \
	})

#endif /* SL_STACK_H */
