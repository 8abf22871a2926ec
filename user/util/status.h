/* SPDX-License-Identifier: GPL-2.0-only */
/* Reason phrases of status codes. */
#ifndef SL_STATUS_H
#define SL_STATUS_H

/* RFC 9110 section 15's phrase; "" for a code that has none here. */
const char *sl_status_phrase(unsigned int status);

#endif /* SL_STATUS_H */
