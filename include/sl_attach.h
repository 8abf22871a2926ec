/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Attached addresses: another process listens there, and new connections are steered by sk_lookup
 * to a listening socket of ours (or, L4, straight to a backend's), while that process keeps its
 * own. Everything that can go wrong ends with SK_PASS, which is the application itself.
 *
 * Our lanes to that application look like any client's connections but for their four-tuple:
 * `capture` writes it down when it is chosen and before the SYN is sent
 * (BPF_SOCK_OPS_TCP_CONNECT_CB, tcp_connect()), so that the lookup for that SYN finds it. It is
 * exact, takes no source port away from others, and needs nothing of the daemon.
 */
#ifndef SL_ATTACH_H
#define SL_ATTACH_H

#include "sl_types.h"
#include "sl_limits.h"
#include "sl_table.h"

/* Map `attached`, hash: an address in a network namespace -> index into `attach_points`. */
struct sl_attach_key {
	__u64 netns;   /* cookie (SO_NETNS_COOKIE) */
	__u8 addr[16]; /* network byte order, IPv4 mapped; zeros: any IPv6, ::ffff:0.0.0.0: any IPv4
			*/
	__u32 port;    /* host byte order */
	__u32 zero;
};

/* Value in `attached` instead of an index: somebody else listens on just this address, below an
 * attached wildcard. */
#define SL_ATTACH_EXCEPT 0xffffffffU
/* ... or: that of the socket that connections are steered to. It is nobody's to dial. */
#define SL_ATTACH_SHUT 0xfffffffeU

/* sl_attach_point.flags */
#define SL_A_USED 0x1 /* listener of this index is an attached one; set at start */
#define SL_A_ON 0x2   /* steered; set and cleared by `sluice attach`, `sluice detach` and a drain */
#define SL_A_L4 0x4   /* to the backends' own listening sockets, by connection */

/*
 * Map `attach_points`, array (mmap-able): listener index -> this. Counters are written by BPF,
 * atomically.
 */
struct sl_attach_point {
	__u32 flags;   /* SL_A_* */
	__u32 port;    /* host byte order */
	__u64 netns;   /* cookie */
	__u8 addr[16]; /* network byte order; IPv4 in the first four bytes */
	__u8 family;   /* AF_INET or AF_INET6 */
	__u8 dual;     /* [::] that takes IPv4, too */
	__u16 zero;
	__u32 action; /* L4: enum sl_action, CLUSTER or SPLIT */
	__u32 target; /* L4: by action */
	__u32 zero1;
	__u64 steered;		/* connections given to sluice, or L4 to a backend */
	__u64 passed;		/* ... to the application, since nobody of ours could take them */
	__u64 lanes;		/* ... to the application, being lanes of ours */
	char name[SL_NAME_MAX]; /* of the listener */
};

/* Map `l4_sockets`, sockmap: endpoint index * this + 0.. -> its listening sockets: members of
 * one SO_REUSEPORT group, of which the kernel then takes any. */
#define SL_L4_SOCKETS 4

/*
 * Map `connecting`, hash: lanes from their SYN to their end. @netns: cookie when the connection is
 * to a loopback address, which is of one namespace alone; else 0: it may lead to another.
 */
struct sl_tuple {
	__u64 netns;
	__u8 src[16]; /* the lane's end; network byte order, IPv4 mapped */
	__u8 dst[16];
	__u32 src_port; /* host byte order */
	__u32 dst_port;
};

/* Whether @addr (IPv4 mapped) is 127.0.0.0/8 or ::1. */
SL_FN bool sl_is_loopback(const __u8 addr[16])
{
	const __u32 *w = (const __u32 *)addr;

	if (w[0] || w[1])
		return false;
	/* Bytes, not words: the same on both byte orders. */
	if (addr[10] == 0xff && addr[11] == 0xff && !addr[8] && !addr[9])
		return addr[12] == 127;
	return !w[2] && !addr[12] && !addr[13] && !addr[14] && addr[15] == 1;
}

#endif /* SL_ATTACH_H */
