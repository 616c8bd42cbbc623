/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What nobody means well who sends it. Asked for packets of ours alone: what becomes of others is
 * the kernel's to say.
 */
#ifndef RINGROAD_SANITY_H
#define RINGROAD_SANITY_H

#include "parse.h"

/*
 * A segment opens (SYN), ends (RST) or goes on (ACK), and FIN only goes on (RFC 9293 §3.10.7: what
 * has no ACK then is dropped in every state). SYN with FIN was T/TCP's, which is historic
 * (RFC 6247 §2).
 */
static __always_inline int has_bad_flags(__u8 flags)
{
	switch (flags & (TCP_FLAG_FIN | TCP_FLAG_SYN | TCP_FLAG_RST | TCP_FLAG_ACK)) {
	case TCP_FLAG_SYN:
	case TCP_FLAG_SYN | TCP_FLAG_ACK:
	case TCP_FLAG_RST:
	case TCP_FLAG_RST | TCP_FLAG_ACK:
	case TCP_FLAG_ACK:
	case TCP_FLAG_FIN | TCP_FLAG_ACK:
		return 0;
	default:
		return 1;
	}
}

/* It would have us talk to ourselves. */
static __always_inline int is_land(const struct flow_key *flow)
{
	return flow->remote_port == flow->local_port &&
	       flow->remote.words[3] == flow->local.words[3] &&
	       flow->remote.words[2] == flow->local.words[2] &&
	       flow->remote.words[1] == flow->local.words[1] &&
	       flow->remote.words[0] == flow->local.words[0];
}

/* RFC 1122 §3.2.1.3: this network, loopback, multicast, broadcast. */
static __always_inline int is_bad_source_v4(__be32 source)
{
	__u32 address = bpf_ntohl(source);
	__u8 first = address >> 24;

	return first == 0 || first == 127 || first >> 4 == 14 || address == 0xffffffff;
}

/* RFC 4291 §2.5.2, §2.5.3, §2.7: unspecified, loopback, multicast; and see is_mapped(). */
static __always_inline int is_bad_source_v6(const struct address *source)
{
	__u32 last = bpf_ntohl(source->words[3]);

	if (!source->words[0] && !source->words[1] && !source->words[2])
		return last <= 1;
	return bpf_ntohl(source->words[0]) >> 24 == 0xff || is_mapped(source);
}

static __always_inline enum verdict check_sanity(const struct segment *segment)
{
	if (!segment->is_error && has_bad_flags(segment->flags))
		return VERDICT_BAD_FLAGS;
	if (is_ipv4(segment) ? is_bad_source_v4(segment->source.words[3])
			     : is_bad_source_v6(&segment->source))
		return VERDICT_BAD_SOURCE;
	if (!segment->is_error && is_land(&segment->flow))
		return VERDICT_LAND;
	return GO_ON;
}

#endif
