/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* What Linux has for a segment: a connection, a listener, or nothing. */
#ifndef RINGROAD_SOCKETS_H
#define RINGROAD_SOCKETS_H

#include "parse.h"

/* NULL if Linux has none. To be released by bpf_sk_release(). */
static __always_inline struct bpf_sock *find_socket(PACKET *ctx, const struct flow_key *flow)
{
	struct bpf_sock_tuple tuple = {};

	if (is_mapped(&flow->local)) {
		tuple.ipv4.saddr = flow->remote.words[3];
		tuple.ipv4.daddr = flow->local.words[3];
		tuple.ipv4.sport = flow->remote_port;
		tuple.ipv4.dport = flow->local_port;
		return bpf_skc_lookup_tcp(ctx, &tuple, sizeof(tuple.ipv4), BPF_F_CURRENT_NETNS, 0);
	}
	__builtin_memcpy(tuple.ipv6.saddr, &flow->remote, sizeof(tuple.ipv6.saddr));
	__builtin_memcpy(tuple.ipv6.daddr, &flow->local, sizeof(tuple.ipv6.daddr));
	tuple.ipv6.sport = flow->remote_port;
	tuple.ipv6.dport = flow->local_port;
	return bpf_skc_lookup_tcp(ctx, &tuple, sizeof(tuple.ipv6), BPF_F_CURRENT_NETNS, 0);
}

/*
 * The state of what Linux has for a segment of this flow; zero, if it has nothing. By itself, away from
 * what every packet runs through.
 */
__noinline int kernel_state(PACKET *ctx, const struct flow_key *flow)
{
	struct bpf_sock *found;
	int state;

	if (!flow)
		return 0;
	found = find_socket(ctx, flow);
	if (!found)
		return 0;
	state = found->state;
	bpf_sk_release(found);
	return state;
}

/* Whether a listener would have a SYN of this flow, and nothing that is there already. */
static __always_inline int kernel_listens(PACKET *ctx, const struct flow_key *flow)
{
	return kernel_state(ctx, flow) == BPF_TCP_LISTEN;
}

/* Whether Linux has a connection of this flow that may still have something to say. */
static __always_inline int kernel_has(PACKET *ctx, const struct flow_key *flow)
{
	int state = kernel_state(ctx, flow);

	return state && state != BPF_TCP_LISTEN && state != BPF_TCP_TIME_WAIT;
}

#endif
