/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * From the frame to the connection that it belongs to. Every length is checked against the frame
 * and against the lengths around it; checksums are the engine's to verify.
 */
#ifndef RINGROAD_PARSE_H
#define RINGROAD_PARSE_H

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "structs.h"

#ifndef NEXTHDR_HOP
#define NEXTHDR_HOP 0
#define NEXTHDR_ROUTING 43
#define NEXTHDR_FRAGMENT 44
#define NEXTHDR_AUTH 51
#define NEXTHDR_DEST 60
#endif

/* What a program is given: an octet at `data` and more until `data_end`. A tc program has its own. */
#ifndef PACKET
#define PACKET struct xdp_md
#endif

struct vlan_tag {
	__be16 control;
	__be16 next_protocol;
};

struct extension_header {
	__u8 next_header;
	__u8 length; /* beyond the first eight octets [8 octets] (RFC 8200 §4.3) */
};

struct fragment_header {
	__u8 next_header;
	__u8 zero;
	__be16 offset;
	__be32 identification;
};

struct tcp_start {
	__be16 source;
	__be16 destination;
	__be32 sequence;
	__be32 acknowledgment;
	__u8 offset;
	__u8 flags;
};

struct icmp_start {
	__u8 type;
	__u8 code;
	__be16 checksum;
	__be32 rest;
};

/* A frame that carries a segment, or an ICMP error about one, and whose it is. */
struct segment {
	struct flow_key flow;
	/* Who sent the packet: the connection's other end, or whoever had an error to report. */
	struct address source;
	/* TCP's; zero for an ICMP error, so that it never passes for a new connection. */
	__u8 flags;
	__u8 is_error;
	/* A fragment of TCP: who it is from and to is known, ports and flags are not. */
	__u8 is_fragment;
	/* Where the IP header starts in the frame [octets]. */
	__u8 network_at;
	/* What follows is TCP's as well, and unset for an ICMP error. */
	__u8 option_octets;
	/* Where they start in the frame [octets]. */
	__u16 options_at;
	__be32 sequence;
	__be32 acknowledgment;
};

/* What a parser returns: go on, or the verdict that ends it. */
#define GO_ON ((enum verdict)-1)

/* The frame, and what is left of it. */
struct cursor {
	void *start;
	void *at;
	void *end;
	/* What belongs to the frame too, but is not in front of us [octets]. */
	__u64 beyond;
};

/* `size` octets at the cursor, which moves behind them; NULL if they are not all there. */
static __always_inline void *take(struct cursor *cursor, __u32 size)
{
	void *here = cursor->at;

	if (here + size > cursor->end)
		return NULL;
	cursor->at = here + size;
	return here;
}

/*
 * Two words as they lie in memory. Right where the lowest octet comes first, as on all hosts that we
 * are built for.
 */
static __always_inline __u64 pair_of(__be32 first, __be32 second)
{
	return (__u64)second << 32 | first;
}

static __always_inline __u64 octets_left(const struct cursor *cursor)
{
	return (__u64)cursor->end - (__u64)cursor->at + cursor->beyond;
}

/*
 * Addresses are written by halves, as they are read and copied: what is stored in smaller parts has
 * to reach memory before it can be loaded as one.
 */
static __always_inline struct address address_of(__u64 first, __u64 second)
{
	const __u64 halves[2] = { first, second };
	struct address address;

	__builtin_memcpy(&address, halves, sizeof(address));
	return address;
}

static __always_inline struct address map_ipv4(__be32 address)
{
	return address_of(0, pair_of(bpf_htonl(0xffff), address));
}

static __always_inline struct address copy_ipv6(const struct in6_addr *from)
{
	const __u64 *halves = (const __u64 *)from;

	return address_of(halves[0], halves[1]);
}

/*
 * A mapped address in an IPv6 header would be taken for the IPv4 address in it. It has no
 * business on a wire (RFC 4942 §2.2).
 */
static __always_inline int is_mapped(const struct address *address)
{
	return !address->words[0] && !address->words[1] && address->words[2] == bpf_htonl(0xffff);
}

/* Told by our address: a mapped one in an IPv6 header is never taken for ours. */
static __always_inline int is_ipv4(const struct segment *segment)
{
	return is_mapped(&segment->flow.local);
}

/* A whole TCP header that fits into `octets`, what the IP header leaves for it. */
static __always_inline enum verdict parse_tcp(struct cursor *cursor, __u64 octets,
					      struct segment *segment)
{
	struct tcp_start *tcp = cursor->at;
	__u32 header_octets;

	if ((void *)tcp + TCP_OCTETS_MIN > cursor->end)
		return VERDICT_MALFORMED;
	header_octets = (tcp->offset >> 4) * 4;
	if (header_octets < TCP_OCTETS_MIN || header_octets > octets)
		return VERDICT_MALFORMED;

	segment->flow.remote_port = tcp->source;
	segment->flow.local_port = tcp->destination;
	segment->flags = tcp->flags;
	segment->option_octets = header_octets - TCP_OCTETS_MIN;
	segment->options_at = (void *)tcp + TCP_OCTETS_MIN - cursor->start;
	segment->sequence = tcp->sequence;
	segment->acknowledgment = tcp->acknowledgment;
	return GO_ON;
}

/* The ports of the segment of ours that an ICMP error quotes: we are its source. */
static __always_inline enum verdict parse_quoted_tcp(struct cursor *cursor, struct segment *segment)
{
	/* RFC 792 promises eight octets: ports and sequence number. */
	__be16 *ports = take(cursor, 8);

	if (!ports)
		return VERDICT_NOT_OURS;
	segment->flow.local_port = ports[0];
	segment->flow.remote_port = ports[1];
	segment->is_error = 1;
	return GO_ON;
}

static __always_inline enum verdict parse_icmpv4(struct cursor *cursor, struct segment *segment)
{
	struct icmp_start *icmp = take(cursor, ICMP_OCTETS);
	struct iphdr *quoted;

	if (!icmp || icmp->type != ICMPV4_UNREACHABLE)
		return VERDICT_NOT_OURS;
	quoted = take(cursor, sizeof(*quoted));
	if (!quoted || quoted->version != 4 || quoted->ihl < 5 || quoted->protocol != IPPROTO_TCP ||
	    quoted->frag_off & bpf_htons(IPV4_OFFSET_MASK))
		return VERDICT_NOT_OURS;
	if (!take(cursor, (quoted->ihl - 5) * 4))
		return VERDICT_NOT_OURS;

	segment->flow.local = map_ipv4(quoted->saddr);
	segment->flow.remote = map_ipv4(quoted->daddr);
	return parse_quoted_tcp(cursor, segment);
}

static __always_inline enum verdict parse_icmpv6(struct cursor *cursor, struct segment *segment)
{
	struct icmp_start *icmp = take(cursor, ICMP_OCTETS);
	struct ipv6hdr *quoted;

	if (!icmp || (icmp->type != ICMPV6_UNREACHABLE && icmp->type != ICMPV6_PACKET_TOO_BIG))
		return VERDICT_NOT_OURS;
	quoted = take(cursor, sizeof(*quoted));
	/* The engine sends no extension headers, so none are looked for. */
	if (!quoted || quoted->version != 6 || quoted->nexthdr != IPPROTO_TCP)
		return VERDICT_NOT_OURS;

	segment->flow.local = copy_ipv6(&quoted->saddr);
	segment->flow.remote = copy_ipv6(&quoted->daddr);
	if (is_mapped(&segment->flow.local))
		return VERDICT_NOT_OURS;
	return parse_quoted_tcp(cursor, segment);
}

static __always_inline enum verdict parse_ipv4(struct cursor *cursor, struct segment *segment)
{
	__u64 octets = octets_left(cursor);
	struct iphdr *ip = take(cursor, sizeof(*ip));
	__u32 header_octets, total_octets;

	if (!ip)
		return VERDICT_MALFORMED;
	header_octets = ip->ihl * 4;
	total_octets = bpf_ntohs(ip->tot_len);
	if (ip->version != 4 || header_octets < sizeof(*ip) || total_octets < header_octets ||
	    total_octets > octets)
		return VERDICT_MALFORMED;
	if (ip->protocol != IPPROTO_TCP && ip->protocol != IPPROTO_ICMP)
		return VERDICT_NOT_OURS;
	segment->source = map_ipv4(ip->saddr);
	segment->flow.local = map_ipv4(ip->daddr);
	segment->flow.remote = segment->source;
	if (ip->frag_off & bpf_htons(IPV4_FRAGMENT_MASK)) {
		segment->is_fragment = ip->protocol == IPPROTO_TCP;
		return VERDICT_FRAGMENT;
	}
	if (!take(cursor, header_octets - sizeof(*ip)))
		return VERDICT_MALFORMED;

	if (ip->protocol == IPPROTO_ICMP)
		return parse_icmpv4(cursor, segment);
	return parse_tcp(cursor, total_octets - header_octets, segment);
}

static __always_inline enum verdict parse_ipv6(struct cursor *cursor, struct segment *segment)
{
	struct ipv6hdr *ip = take(cursor, sizeof(*ip));
	struct extension_header *extension;
	struct fragment_header *fragment;
	__u64 octets = octets_left(cursor);
	__u32 payload_octets, extension_octets;
	__u8 next;
	int i;

	if (!ip || ip->version != 6)
		return VERDICT_MALFORMED;
	payload_octets = bpf_ntohs(ip->payload_len);
	if (payload_octets > octets)
		return VERDICT_MALFORMED;
	segment->source = copy_ipv6(&ip->saddr);
	segment->flow.local = copy_ipv6(&ip->daddr);
	segment->flow.remote = segment->source;
	if (is_mapped(&segment->flow.local))
		return VERDICT_NOT_OURS;

	next = ip->nexthdr;
	for (i = 0; i < EXTENSION_HEADERS_MAX; i++) {
		if (next != NEXTHDR_HOP && next != NEXTHDR_DEST)
			break;
		extension = cursor->at;
		if ((void *)(extension + 1) > cursor->end)
			return VERDICT_MALFORMED;
		extension_octets = (extension->length + 1) * 8;
		if (extension_octets > payload_octets)
			return VERDICT_MALFORMED;
		next = extension->next_header;
		payload_octets -= extension_octets;
		if (!take(cursor, extension_octets))
			return VERDICT_MALFORMED;
	}

	switch (next) {
	case IPPROTO_TCP:
		return parse_tcp(cursor, payload_octets, segment);
	case IPPROTO_ICMPV6:
		return parse_icmpv6(cursor, segment);
	case NEXTHDR_FRAGMENT:
		fragment = take(cursor, sizeof(*fragment));
		segment->is_fragment = fragment && fragment->next_header == IPPROTO_TCP;
		return VERDICT_FRAGMENT;
	case NEXTHDR_HOP:
	case NEXTHDR_ROUTING:
	case NEXTHDR_AUTH:
	case NEXTHDR_DEST:
		return VERDICT_EXTENSION;
	default:
		return VERDICT_NOT_OURS;
	}
}

/*
 * Where a tagged frame says what follows its tags [octets]: one tag, of 802.1Q or 802.1ad, or one of
 * 802.1Q more behind it. Zero if they are not all there.
 *
 * A function by itself: few packets are tagged, and the verifier need not follow all that comes
 * behind once for each number of tags. Weak, so that the compiler forgets what it returns, too, and
 * leaves us the bounds that the verifier asks for.
 */
__weak __noinline int inner_type_at(PACKET *ctx)
{
	void *frame = (void *)(long)ctx->data;
	struct cursor cursor = { frame, frame, (void *)(long)ctx->data_end, 0 };
	struct vlan_tag *tag;

	if (!take(&cursor, sizeof(struct ethhdr)))
		return 0;
	tag = take(&cursor, sizeof(*tag));
	if (!tag)
		return 0;
	if (tag->next_protocol != bpf_htons(ETH_P_8021Q))
		return LINK_OCTETS_MAX - sizeof(*tag) - sizeof(__be16);
	return take(&cursor, sizeof(*tag)) ? LINK_OCTETS_MAX - sizeof(__be16) : 0;
}

/* Moves behind the tags, to what they say that follows. NULL if they are not all there. */
static __always_inline __be16 *skip_tags(PACKET *ctx, struct cursor *cursor)
{
	__u32 at = inner_type_at(ctx);

	if (!at || at > LINK_OCTETS_MAX)
		return NULL;
	cursor->at = cursor->start + at;
	return take(cursor, sizeof(__be16));
}

static __always_inline int is_tag(__be16 protocol)
{
	return protocol == bpf_htons(ETH_P_8021Q) || protocol == bpf_htons(ETH_P_8021AD);
}

/* Fills `segment`, but for its interface. */
static __always_inline enum verdict parse(PACKET *ctx, struct cursor *cursor,
					  struct segment *segment)
{
	struct ethhdr *ethernet = take(cursor, sizeof(*ethernet));
	__be16 protocol, *behind_tags;

	if (!ethernet)
		return VERDICT_MALFORMED;
	protocol = ethernet->h_proto;
	if (is_tag(protocol)) {
		behind_tags = skip_tags(ctx, cursor);
		if (!behind_tags)
			return VERDICT_MALFORMED;
		/* More tags are the kernel's to untangle. */
		protocol = *behind_tags;
	}
	segment->network_at = cursor->at - cursor->start;

	if (protocol == bpf_htons(ETH_P_IP))
		return parse_ipv4(cursor, segment);
	if (protocol == bpf_htons(ETH_P_IPV6))
		return parse_ipv6(cursor, segment);
	return VERDICT_NOT_OURS;
}

#endif
