/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Answers a SYN by turning its frame round: the SYN-ACK carries a cookie, and nothing is
 * remembered. The frame becomes as long as the answer, without the SYN's payload, padding, IP
 * options and extension headers.
 */
#ifndef RINGROAD_ANSWER_H
#define RINGROAD_ANSWER_H

#include "cookie.h"

#define HOP_LIMIT 64
#define IPV4_DONT_FRAGMENT 0x4000

/* A TCP header with all options that an answer may have [32 bits]. */
#define ANSWER_WORDS 10

/* Four octets in the order given. */
static __always_inline __be32 word_of(__u8 a, __u8 b, __u8 c, __u8 d)
{
	return bpf_htonl((__u32)a << 24 | b << 16 | c << 8 | d);
}

/* The complement of a ones' complement sum (RFC 1071). */
static __always_inline __be16 checksum(__u64 sum)
{
	sum = (sum >> 32) + (sum & 0xffffffff);
	sum = (sum >> 16) + (sum & 0xffff);
	sum = (sum >> 16) + (sum & 0xffff);
	sum = (sum >> 16) + (sum & 0xffff);
	return ~sum;
}

/* Whether an answer would reach one station; by its IP address sanity.h has seen to that. */
static __always_inline int is_answerable(const struct ethhdr *ethernet)
{
	return !((ethernet->h_dest[0] | ethernet->h_source[0]) & 1);
}

/* Options in the order and alignment that Linux uses. Returns how many words of four octets. */
static __always_inline __u32 write_options(__be32 *words, const struct offer *offer,
					   const struct cookie *cookie, __u16 mss,
					   __u8 window_scale)
{
	const __be32 scale = word_of(TCP_OPTION_NOP, TCP_OPTION_WINDOW_SCALE, 3, window_scale);
	__u32 count = 1;

	words[0] = word_of(TCP_OPTION_MSS, 4, mss >> 8, mss);
	if (offer->timestamps) {
		words[1] = offer->sack ? word_of(TCP_OPTION_SACK_PERMITTED, 2, TCP_OPTION_TIMESTAMPS, 10)
				       : word_of(TCP_OPTION_NOP, TCP_OPTION_NOP,
						TCP_OPTION_TIMESTAMPS, 10);
		words[2] = bpf_htonl(cookie->timestamp);
		words[3] = offer->timestamp;
		count = 4;
	} else if (offer->sack) {
		words[1] = word_of(TCP_OPTION_NOP, TCP_OPTION_NOP, TCP_OPTION_SACK_PERMITTED, 2);
		count = 2;
	}
	if (offer->window_scale == WINDOW_SCALE_NONE)
		return count;
	/* Each place by itself, so that the words may stay in registers. */
	if (count == 1)
		words[1] = scale;
	else if (count == 2)
		words[2] = scale;
	else
		words[4] = scale;
	return count + 1;
}

/* Over the header, `octets` long, and its pseudo-header of either version of IP. */
static __always_inline __be16 tcp_checksum(const __be32 *words, const struct flow_key *flow,
					   __u32 octets)
{
	__u64 sum = bpf_htons(IPPROTO_TCP) + bpf_htons(octets);
	int i;

	/* What maps an IPv4 address adds 0xffff, which in ones' complement is nothing. */
#pragma unroll
	for (i = 0; i < 4; i++)
		sum += (__u64)flow->remote.words[i] + flow->local.words[i];
	/* Words behind the options are zero. */
#pragma unroll
	for (i = 0; i < ANSWER_WORDS; i++)
		sum += words[i];
	return checksum(sum);
}

static __always_inline void *write_ipv4(struct iphdr *ip, const void *end,
					const struct flow_key *flow, __u32 tcp_octets)
{
	__be32 from = flow->local.words[3], to = flow->remote.words[3];
	__be16 length = bpf_htons(sizeof(*ip) + tcp_octets);
	__be16 *words = (__be16 *)ip;

	if ((void *)(ip + 1) > end)
		return NULL;
	words[0] = bpf_htons(0x4500);
	ip->tot_len = length;
	ip->id = 0;
	ip->frag_off = bpf_htons(IPV4_DONT_FRAGMENT);
	ip->ttl = HOP_LIMIT;
	ip->protocol = IPPROTO_TCP;
	ip->check = checksum((__u64)bpf_htons(0x4500) + length + bpf_htons(IPV4_DONT_FRAGMENT) +
			     bpf_htons(HOP_LIMIT << 8 | IPPROTO_TCP) + from + to);
	ip->saddr = from;
	ip->daddr = to;
	return ip + 1;
}

static __always_inline void *write_ipv6(struct ipv6hdr *ip, const void *end,
					const struct flow_key *flow, __u32 tcp_octets)
{
	__be32 *words = (__be32 *)ip;
	int i;

	if ((void *)(ip + 1) > end)
		return NULL;
	words[0] = bpf_htonl(6 << 28);
	ip->payload_len = bpf_htons(tcp_octets);
	ip->nexthdr = IPPROTO_TCP;
	ip->hop_limit = HOP_LIMIT;
#pragma unroll
	for (i = 0; i < 4; i++) {
		words[2 + i] = flow->local.words[i];
		words[6 + i] = flow->remote.words[i];
	}
	return ip + 1;
}

static __always_inline void swap_stations(struct ethhdr *ethernet)
{
	__u16 *destination = (__u16 *)ethernet->h_dest, *source = (__u16 *)ethernet->h_source;
	__u16 word;
	int i;

#pragma unroll
	for (i = 0; i < 3; i++) {
		word = destination[i];
		destination[i] = source[i];
		source[i] = word;
	}
}

/* Zero, and the frame as it was, if it cannot be answered here: the engine can. */
static __always_inline int answer(struct xdp_md *ctx, const struct segment *segment,
				  const struct cookie_service *service,
				  const struct cookie_keys *keys)
{
	const struct flow_key *flow = &segment->flow;
	struct ethhdr *ethernet = (void *)(long)ctx->data;
	void *end = (void *)(long)ctx->data_end;
	int is_ipv4 = is_mapped(&flow->local);
	__u16 mss = is_ipv4 ? service->mss_v4 : service->mss_v6;
	__u32 network_at = segment->network_at, tcp_octets, flags;
	/* Of whole words: what is stored in parts is slow to load as one. */
	__be32 words[ANSWER_WORDS] = {};
	struct cookie cookie;
	struct offer offer = {};
	void *network;
	__be32 *out;
	int growth, i;

	if ((void *)(ethernet + 1) > end || !is_answerable(ethernet) || network_at > LINK_OCTETS_MAX)
		return 0;
	read_offer(ctx, segment, &offer);
	/* What the cookie remembers is what the answer agrees to. */
	if (!(service->scale_and_ecn & SERVICE_ECN))
		offer.ecn = 0;
	cookie = bake(keys, flow, segment->sequence, &offer, mss);

	tcp_octets = TCP_OCTETS_MIN + 4 * write_options(words + 5, &offer, &cookie, mss,
							 service->scale_and_ecn &
								 SERVICE_WINDOW_SCALE);
	/* RFC 3168 §6.1.1: ECE alone agrees to what ECE and CWR ask for. */
	flags = TCP_FLAG_SYN | TCP_FLAG_ACK | (offer.ecn ? TCP_FLAG_ECE : 0);
	words[0] = (__u32)flow->remote_port << 16 | flow->local_port;
	words[1] = bpf_htonl(cookie.sequence);
	words[2] = bpf_htonl(bpf_ntohl(segment->sequence) + 1);
	words[3] = word_of(tcp_octets / 4 << 4, flags, service->window >> 8, service->window);
	words[4] = tcp_checksum(words, flow, tcp_octets);

	growth = network_at + (is_ipv4 ? sizeof(struct iphdr) : sizeof(struct ipv6hdr)) +
		 tcp_octets - (int)((__u64)end - (__u64)ethernet);
	if (growth && bpf_xdp_adjust_tail(ctx, growth))
		return 0;
	ethernet = (void *)(long)ctx->data;
	end = (void *)(long)ctx->data_end;
	network = (void *)ethernet + network_at;
	if ((void *)(ethernet + 1) > end)
		return 0;
	swap_stations(ethernet);
	out = is_ipv4 ? write_ipv4(network, end, flow, tcp_octets)
		      : write_ipv6(network, end, flow, tcp_octets);
	/* The frame ends with the options: as many words as it has room for are written. */
#pragma unroll
	for (i = 0; i < ANSWER_WORDS; i++) {
		if (!out || (void *)(out + i + 1) > end)
			break;
		out[i] = words[i];
	}
	return 1;
}

#endif
