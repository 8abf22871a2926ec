/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Eight bytes at a time: loads that stay inside a buffer, and tests on the bytes of a
 * word without a branch or a call. In BPF a call for each byte costs more than all the
 * rest of a parser. Results are masks with 0x80 in the bytes that were found. Little endian only.
 */
#ifndef SL_BYTES_H
#define SL_BYTES_H

#include "sl_types.h"
#include "sl_limits.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "words are compared as little endian");
_Static_assert((SL_HEAD_MAX & (SL_HEAD_MAX - 1)) == 0 && SL_HEAD_MAX >= 64, "clamped by a mask");
_Static_assert((SL_STRING_POOL & (SL_STRING_POOL - 1)) == 0, "clamped by a mask");

#define SL_ONES 0x0101010101010101ULL
#define SL_REP(byte) (SL_ONES * (byte))
#define SL_LOW7 SL_REP(0x7fULL)
#define SL_HIGH SL_REP(0x80ULL)

/* Text as the word that a load gives; lower-case letters for words folded by sl_lower(). */
#define SL_PACK(a, b, c, d, e, f, g, h)                                             \
	((__u64)(__u8)(a) | (__u64)(__u8)(b) << 8 | (__u64)(__u8)(c) << 16 |        \
	 (__u64)(__u8)(d) << 24 | (__u64)(__u8)(e) << 32 | (__u64)(__u8)(f) << 40 | \
	 (__u64)(__u8)(g) << 48 | (__u64)(__u8)(h) << 56)

/* A function of its own in BPF too: for what is rare. */
#define SL_SLOW static __attribute__((noinline, unused))
/* ... and one of numbers and a struct alone, verified once for all callers: there it is global. */
#ifdef __bpf__
#define SL_ALONE __attribute__((noinline, unused))
#else
#define SL_ALONE SL_SLOW
#endif
#define SL_UNUSED __attribute__((unused))

#ifdef __clang__
#define SL_UNROLL _Pragma("unroll")
#else
#define SL_UNROLL _Pragma("GCC unroll 16")
#endif

/*
 * buf[off..off+8), @off clamped to the buffer. BPF reads up to seven bytes past SL_HEAD_MAX, see
 * SL_HEAD_BUF: a branch here would double the verifier's work at each load. User
 * space reads them as 0.
 */
#ifdef __bpf__
#define sl_word_at(p) (*(const __u64 *)(p))

SL_FN __u64 sl_load(const __u8 *buf, __u32 off)
{
	return sl_word_at(buf + (off & (SL_HEAD_MAX - 1)));
}
#else
static inline __u64 sl_word_at(const __u8 *p)
{
	__u64 w;

	memcpy(&w, p, sizeof(w));
	return w;
}

SL_FN __u64 sl_load(const __u8 *buf, __u32 off)
{
	__u32 at = off & (SL_HEAD_MAX - 1);

	if (at > SL_HEAD_MAX - 8)
		return sl_word_at(buf + SL_HEAD_MAX - 8) >> ((at & 7) * 8);
	return sl_word_at(buf + at);
}
#endif

/* buf[off], the index clamped to the head's buffer. */
SL_FN __u8 sl_byte(const __u8 *buf, __u32 off)
{
	return buf[off & (SL_HEAD_MAX - 1)];
}

/* Eight bytes of a table's string pool, which has SL_STRING_SLACK bytes behind it. */
SL_FN __u64 sl_load_pool(const __u8 *pool, __u32 off)
{
	return sl_word_at(pool + (off & (SL_STRING_POOL - 1)));
}

/* Mask of the first @n bytes of a word; all of it for 8 and more. */
SL_FN __u64 sl_first(__u32 n)
{
	return n >= 8 ? ~0ULL : (1ULL << (n * 8)) - 1;
}

/* Index of the first byte found in @found (0x80 in some byte). */
SL_FN __u32 sl_index(__u64 found)
{
	__u64 below = ((found - 1) & ~found) >> 7;

	return ((below & SL_ONES) * SL_ONES) >> 56;
}

/* One bit for each byte found: bit i for byte i. */
SL_FN __u64 sl_bitmap(__u64 found)
{
	return (found * 0x0002040810204081ULL) >> 56;
}

/* Index of the lowest set bit of @x, which is not 0. BPF has no such instruction. */
SL_FN __u32 sl_ctz(__u64 x)
{
	x = (x & -x) - 1;
	x -= (x >> 1) & SL_REP(0x55ULL);
	x = (x & SL_REP(0x33ULL)) + ((x >> 2) & SL_REP(0x33ULL));
	x = (x + (x >> 4)) & SL_REP(0x0fULL);
	return (x * SL_ONES) >> 56;
}

/* Bytes equal to @c (0..0x7f), exactly. */
SL_FN __u64 sl_eq(__u64 w, __u8 c)
{
	return ~(((w ^ SL_REP(c)) & SL_LOW7) + SL_LOW7) & ~w & SL_HIGH;
}

/* Bytes from @lo to @hi (1..0x7f), exactly. */
SL_FN __u64 sl_between(__u64 w, __u8 lo, __u8 hi)
{
	__u64 w7 = w & SL_LOW7;

	return (w7 + SL_REP(0x80 - lo)) & ~(w7 + SL_REP(0x7f - hi)) & ~w & SL_HIGH;
}

/* Control bytes: 0x00..0x1f and 0x7f. */
SL_FN __u64 sl_controls(__u64 w)
{
	__u64 w7 = w & SL_LOW7;

	return (~(w7 + SL_REP(0x60)) | (w7 + SL_ONES)) & ~w & SL_HIGH;
}

/* A-Z folded to lower case, other bytes as they are. */
SL_FN __u64 sl_lower(__u64 w)
{
	return w | sl_between(w, 'A', 'Z') >> 2;
}

/* Letters, digits and '-': what header names and methods are made of, nearly always. */
SL_FN __u64 sl_plain_token(__u64 w)
{
	return sl_between(w | SL_REP(0x20), 'a', 'z') | sl_between(w, '0', '9') | sl_eq(w, '-');
}

/* RFC 9110 5.6.2: tchar. */
SL_FN bool sl_is_tchar(__u8 c)
{
	/* !#$%&'*+-. 0-9 | A-Z ^_` a-z |~ */
	const __u64 lo = 0x03ff6cfa00000000ULL, hi = 0x57ffffffc7fffffeULL;

	if (c & 0x80)
		return false;
	return ((c & 0x40 ? hi : lo) >> (c & 63)) & 1;
}

#endif /* SL_BYTES_H */
