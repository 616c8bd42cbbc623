/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Whom the operator denies and whom he trusts. One table for both: the longest prefix counts, so
 * that a part of a denied network can be allowed, and the other way round.
 */
#ifndef RINGROAD_LISTS_H
#define RINGROAD_LISTS_H

#include "maps.h"
#include "parse.h"

static __always_inline const __u8 *listed_v4(const struct address *source)
{
	struct prefix_v4 host = { .bits = 32, .address = source->words[3] };

	return bpf_map_lookup_elem(&lists_v4, &host);
}

static __always_inline const __u8 *listed_v6(const struct address *source)
{
	struct prefix_v6 host = { .bits = 128, .address = *source };

	return bpf_map_lookup_elem(&lists_v6, &host);
}

/* LISTED_DENY, LISTED_ALLOW, or zero. */
static __always_inline __u8 listed(const struct control *control, const struct segment *segment)
{
	const __u8 *found;

	if (!read_once(control->lists_used))
		return 0;
	found = is_ipv4(segment) ? listed_v4(&segment->source) : listed_v6(&segment->source);
	return found ? read_once(*found) : 0;
}

#endif
