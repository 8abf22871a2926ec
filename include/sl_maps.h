/* SPDX-License-Identifier: GPL-2.0-only */
/* Names of the maps, once: definition, pin and lookup cannot drift apart. */
#ifndef SL_MAPS_H
#define SL_MAPS_H

#define SL_PIN_ROOT "/sys/fs/bpf/sluice"

/* X(name): pinned at SL_PIN_ROOT/INSTANCE/name. */
#define SL_MAPS(X)        \
	X(control)        \
	X(tables)         \
	X(routes)         \
	X(splits)         \
	X(sequences)      \
	X(clusters)       \
	X(endpoints)      \
	X(hosts)          \
	X(pipes)          \
	X(lb_slots)       \
	X(sessions)       \
	X(lanes)          \
	X(pools)          \
	X(request_heads)  \
	X(response_heads) \
	X(sockets)        \
	X(pairing)        \
	X(local_addrs)    \
	X(by_cookie)      \
	X(streaks)        \
	X(one_shots)      \
	X(clients)        \
	X(servers)        \
	X(fronts)         \
	X(backs)          \
	X(backs_msg)      \
	X(route_stats)    \
	X(cluster_stats)  \
	X(reasons)        \
	X(counts)         \
	X(generations)    \
	X(attached)       \
	X(attach_points)  \
	X(attach_socks)   \
	X(connecting)     \
	X(l4_sockets)     \
	X(l4_counts)      \
	X(events)

#endif /* SL_MAPS_H */
