/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the config compiler hands to the loader and the daemon: everything in the form
 * that the maps and the data path use. Owner: the caller of sl_config_load(), who frees it
 * with sl_compiled_free() (NULL is fine).
 */
#ifndef SL_COMPILED_H
#define SL_COMPILED_H

#include "config/actions.h"
#include "config/cluster_lb.h"
#include "config/dns.h"
#include "config/limits.h"
#include "sl_table.h"

struct sl_listener {
	char *name;    /* from the config, else "ADDRESS:PORT" */
	__u8 addr[16]; /* network byte order; IPv4 in the first four bytes */
	__u16 port;    /* host byte order */
	__u8 family;   /* AF_INET or AF_INET6 */
	bool wildcard; /* 0.0.0.0 or :: */
	bool attach;   /* another process listens there: steered to us by sk_lookup */
	bool l4;       /* ... or, by connection, to the backends' own listening sockets */
	__u8 netns;    /* 0: ours; n: sl_compiled.netns[n - 1] */
	int line;      /* of the config, for messages */
	struct sl_listener_limits limits;
};

struct sl_direct { /* direct_response of a route */
	__u16 status;
	char *body; /* may hold any bytes; NULL: none */
	__u32 body_len;
};

struct sl_options {		/* the `sluice:` section */
	bool kernel_path;	/* default true */
	bool colocated_clients; /* default true */
	bool colocated_servers; /* default true */
	__u32 max_sessions;	/* open at a time; default SL_NO_LIMIT */
	__u64 heap_stop; /* bytes in the worker's hands at which it takes no request; 0: any */
};

struct sl_compiled {
	struct sl_table *table;		      /* n_* in it count the arrays below too */
	struct sl_cluster *clusters;	      /* [table->n_clusters]; name is set */
	struct sl_endpoint *endpoints;	      /* [table->n_endpoints] */
	struct sl_split *splits;	      /* [table->n_splits]; the index is the split id */
	struct sl_route_info *route_infos;    /* [table->n_routes] */
	char **route_matches;		      /* [table->n_routes]; route_infos[].match, whole */
	struct sl_route_limits *route_limits; /* [table->n_routes] */
	struct sl_cluster_limits *cluster_limits; /* [table->n_clusters] */
	struct sl_cluster_lb *cluster_lbs;	  /* [table->n_clusters] */
	struct sl_host_config *hosts;		  /* [table->n_endpoints] */
	struct sl_member *members; /* [n_members]; what the endpoints are made of (dns.h) */
	__u32 n_members;
	struct sl_name *names; /* [n_names] */
	__u32 n_names;
	struct sl_dns_resolver *resolvers; /* [n_resolvers] */
	__u32 n_resolvers;
	struct sl_direct *directs; /* [table->n_routes]; status 0: route has none */
	char **vhost_names;	   /* [table->n_vhosts] */
	__u32 *route_lines;	   /* [table->n_routes]; of the config, for messages */
	struct sl_pipe *pipes;	   /* [n_pipes] */
	__u32 n_pipes;
	struct sl_listener *listeners; /* [n_listeners] */
	__u32 n_listeners;
	char *netns[SL_MAX_NETNS]; /* [n_netns]; paths of network namespaces */
	__u32 n_netns;
	struct sl_options options;
	struct sl_actions *actions;
};

#endif /* SL_COMPILED_H */
