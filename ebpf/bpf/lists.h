/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Whom the operator denies and whom he trusts. One table for both: the longest prefix counts, so
 * that a part of a denied network can be allowed, and the other way round.
 */
#ifndef RINGROAD_LISTS_H
#define RINGROAD_LISTS_H

#include "maps.h"
#include "parse.h"

/* LISTED_DENY, LISTED_ALLOW, or zero. */
static __always_inline __u8 listed(const struct control *control, const struct segment *segment)
{
	struct prefix_v4 v4 = { .bits = 32, .address = segment->source.words[3] };
	struct prefix_v6 v6 = { .bits = 128, .address = segment->source };
	__u8 *found;

	if (!read_once(control->lists_used))
		return 0;
	if (is_ipv4(segment))
		found = bpf_map_lookup_elem(&lists_v4, &v4);
	else
		found = bpf_map_lookup_elem(&lists_v6, &v6);
	return found ? read_once(*found) : 0;
}

#endif
