/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * How many new connections a source may ask for: a rate, and a burst above it. A source is a prefix
 * of addresses, as who has one address of it may have all.
 *
 * A token bucket in one word: the time at which the bucket will be full again. Each SYN puts that
 * off by the time between two SYNs at the rate, as long as it is no more than a burst away.
 */
#ifndef RINGROAD_LIMITS_H
#define RINGROAD_LIMITS_H

#include "clock.h"
#include "parse.h"

/*
 * The later of two cheap clocks: the heartbeat goes with every burst, the tick also while the lane
 * sleeps or hangs.
 */
static __always_inline __u64 cheap_now(const struct heartbeat *heartbeat)
{
	__u64 beat = read_once(heartbeat->at_ns);
	__u64 tick = tick_ns();

	return beat > tick ? beat : tick;
}

/* Whether the source may ask for one more; if so, it has. */
static __always_inline int within_rate(const struct control *control,
				       const struct heartbeat *heartbeat,
				       const struct segment *segment)
{
	const struct address *mask = &control->source_masks[is_ipv4(segment)];
	__u64 interval = read_once(control->syn_interval_ns);
	struct address source = segment->source;
	__u64 now, full_at, *bucket;

	if (!interval)
		return 1;
	source.words[0] &= mask->words[0];
	source.words[1] &= mask->words[1];
	source.words[2] &= mask->words[2];
	source.words[3] &= mask->words[3];
	now = cheap_now(heartbeat);
	bucket = bpf_map_lookup_elem(&sources, &source);
	full_at = bucket ? read_once(*bucket) : 0;
	full_at = (full_at > now ? full_at : now) + interval;
	if (full_at - now > read_once(control->syn_burst_ns))
		return 0;

	/* Two CPUs at the same bucket may count one SYN for two: that is a SYN too many, once. */
	if (bucket)
		write_once(*bucket, full_at);
	else
		bpf_map_update_elem(&sources, &source, &full_at, BPF_ANY);
	return 1;
}

#endif
