/* SPDX-License-Identifier: GPL-2.0-only */
/* Which clients are internal (Envoy's internal_address_config): none, unless the config says so. */
#ifndef SL_INTERNAL_ADDRESS_H
#define SL_INTERNAL_ADDRESS_H

#include "config/actions.h"
#include "sl_head.h"

/* A header that Envoy's connection manager sets for them; matchers see it as it would be. */
#define SL_INTERNAL_HEADER "x-envoy-internal"

/* Is the address in internal_address_config? @family: AF_INET, AF_INET6; 0: not known. */
bool sl_address_is_internal(const struct sl_forwarded *o, int family, const __u8 addr[16]);

/*
 * Is the request @h of the peer @addr internal: is the client one address, by the connection or by
 * X-Forwarded-For, and an internal one (ConnectionManagerUtility::mutateRequestHeaders)?
 */
bool sl_request_is_internal(const struct sl_forwarded *o, const struct sl_head *h, const __u8 *buf,
			    int family, const __u8 addr[16]);

#endif /* SL_INTERNAL_ADDRESS_H */
