/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * A clock that costs next to nothing. The kernel's coarse clock moves with the tick, so it is read
 * once a tick: jiffies, which the kernel puts into the program as a plain load, say when.
 */
#ifndef RINGROAD_CLOCK_H
#define RINGROAD_CLOCK_H

#include "maps.h"

/*
 * CLOCK_MONOTONIC, late by two ticks at most: one is the coarse clock's, and jiffies count a moment
 * before it moves. Zero if there is no clock, which cannot be.
 */
static __always_inline __u64 tick_ns(void)
{
	__u32 zero = 0;
	struct tick *tick = bpf_map_lookup_elem(&ticks, &zero);
	__u64 jiffies = bpf_jiffies64();

	if (!tick)
		return 0;
	if (tick->jiffies != jiffies) {
		tick->jiffies = jiffies;
		tick->ns = bpf_ktime_get_coarse_ns();
	}
	return tick->ns;
}

#endif
