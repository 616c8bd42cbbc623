/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Segments of no connection that the engine or the kernel is known to have: some bring back a
 * cookie and so make one; others are strays, leftovers or floods, which never reach the engine.
 */
#ifndef RINGROAD_UNKNOWN_H
#define RINGROAD_UNKNOWN_H

#include "limits.h"
#include "maps.h"
#include "open.h"

/* Whether a cookie has just made a connection of this flow, which the engine may not have said yet. */
static __always_inline int is_proven(const struct heartbeat *heartbeat, const struct flow_key *flow)
{
	__u64 *proven_at_ns = bpf_map_lookup_elem(&proven_flows, flow);

	return proven_at_ns &&
	       (__s64)(cheap_now(heartbeat) - read_once(*proven_at_ns)) < PROVEN_FLOW_MEMORY_NS;
}

/* The segments behind this one carry no cookie, and may overtake what the engine says of it. */
static __always_inline void remember_proven(const struct heartbeat *heartbeat,
					    const struct flow_key *flow)
{
	__u64 now = cheap_now(heartbeat);

	bpf_map_update_elem(&proven_flows, flow, &now, BPF_ANY);
}

/* Whether the segment brings back a cookie. Any key in use will do, also when none is baked now. */
static __always_inline int brings_cookie(struct xdp_md *ctx, const struct control *control,
					 const struct segment *segment)
{
	struct timestamps timestamps;
	struct cookie_options options;

	if (!may_prove_cookie(segment))
		return 0;
	timestamps = read_timestamps(ctx, segment);
	return open_segment(&control->cookie_keys, segment, &timestamps, &options);
}

/* A token bucket as in limits.h, one for all. */
static __always_inline int within_unknown_rate(struct control *control,
					       const struct heartbeat *heartbeat)
{
	__u64 full_at = pay(read_once(control->unknown_full_at_ns), cheap_now(heartbeat),
			    UNKNOWN_INTERVAL_NS, SECOND_NS);

	if (!full_at)
		return 0;
	write_once(control->unknown_full_at_ns, full_at);
	return 1;
}

/*
 * The kernel answers with a reset (RFC 9293 §3.10.7.1), where the operator wants that, and as long as
 * they are few. Nobody answers a reset. An error about a segment may be about one of the kernel's.
 */
static __always_inline enum verdict judge_unknown(struct control *control,
						  const struct heartbeat *heartbeat,
						  const struct segment *segment)
{
	if (segment->flags & TCP_FLAG_RST || !read_once(control->unknown_to_kernel))
		return VERDICT_UNKNOWN_DROPPED;
	if (!segment->is_error && !within_unknown_rate(control, heartbeat))
		return VERDICT_UNKNOWN_DROPPED;
	return VERDICT_UNKNOWN;
}

#endif
