/* SPDX-License-Identifier: GPL-2.0-only */
/* The value of a Date header (RFC 9110 section 5.6.7, IMF-fixdate), where there is no libc. */
#ifndef SL_DATE_H
#define SL_DATE_H

#include "sl_types.h"

#define SL_DATE_LINE 32 /* bytes of " Sat, 28 Nov 2026 18:05:34 GMT\r\n" */

struct sl_date {
	union {
		__u8 text[SL_DATE_LINE];
		__u64 words[SL_DATE_LINE / 8];
	};
};

/*
 * Names of three letters, five bits each, four names in a word: clang puts tables of text where
 * libbpf does not look for them.
 */
#define SL_DATE_NAME(a, b, c) (((a)&31ULL) | ((b)&31ULL) << 5 | ((c)&31ULL) << 10)
#define SL_DATE_FOUR(n0, n1, n2, n3) \
	(SL_DATE_NAME n0 | SL_DATE_NAME n1 << 15 | SL_DATE_NAME n2 << 30 | SL_DATE_NAME n3 << 45)

SL_FN void sl_date_name(__u8 *to, __u64 four, __u32 i)
{
	__u32 name = four >> (i & 3) * 15;

	to[0] = 0x40 | (name & 31);
	to[1] = 0x60 | (name >> 5 & 31);
	to[2] = 0x60 | (name >> 10 & 31);
}

SL_FN void sl_date_weekday(__u8 *to, __u32 i) /* 0: Thursday, as 1970-01-01 was */
{
	const __u64 first =
		SL_DATE_FOUR(('T', 'h', 'u'), ('F', 'r', 'i'), ('S', 'a', 't'), ('S', 'u', 'n'));
	const __u64 last =
		SL_DATE_FOUR(('M', 'o', 'n'), ('T', 'u', 'e'), ('W', 'e', 'd'), (0, 0, 0));

	sl_date_name(to, i < 4 ? first : last, i);
}

SL_FN void sl_date_month(__u8 *to, __u32 i) /* 0: March */
{
	const __u64 spring =
		SL_DATE_FOUR(('M', 'a', 'r'), ('A', 'p', 'r'), ('M', 'a', 'y'), ('J', 'u', 'n'));
	const __u64 summer =
		SL_DATE_FOUR(('J', 'u', 'l'), ('A', 'u', 'g'), ('S', 'e', 'p'), ('O', 'c', 't'));
	const __u64 winter =
		SL_DATE_FOUR(('N', 'o', 'v'), ('D', 'e', 'c'), ('J', 'a', 'n'), ('F', 'e', 'b'));

	sl_date_name(to, i < 4 ? spring : i < 8 ? summer : winter, i);
}

SL_FN void sl_date_two(__u8 *to, __u32 n)
{
	to[0] = '0' + n / 10;
	to[1] = '0' + n % 10;
}

/*
 * @s seconds after the epoch, up to the year 9999. Years begin in March, so that a leap day is
 * their last and the months' lengths are a line.
 */
SL_FN void sl_date_set(struct sl_date *d, __u64 s)
{
	__u32 days = s / 86400, of_day = s % 86400;
	__u32 n = days + 719468; /* since 0000-03-01 */
	__u32 era = n / 146097, of_era = n % 146097;
	__u32 year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	__u32 of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	__u32 month = (5 * of_year + 2) / 153;
	__u32 year = year_of_era + era * 400 + (month >= 10);

	sl_memcpy(d->text, " ---, -- --- ---- --:--:-- GMT\r\n", SL_DATE_LINE);
	sl_date_weekday(d->text + 1, days % 7);
	sl_date_two(d->text + 6, of_year - (153 * month + 2) / 5 + 1);
	sl_date_month(d->text + 9, month);
	sl_date_two(d->text + 13, year / 100);
	sl_date_two(d->text + 15, year % 100);
	sl_date_two(d->text + 18, of_day / 3600);
	sl_date_two(d->text + 21, of_day / 60 % 60);
	sl_date_two(d->text + 24, of_day % 60);
}

#endif /* SL_DATE_H */
