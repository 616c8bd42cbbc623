// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * A flood, for measuring: the kernel's test run makes packets, this program fills them in and sends
 * them by an interface. See examples/flood.rs.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/tcp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

/* Every packet is made this long and then cut: what came back from its last use is rewritten. */
#define ROOM_WORDS 12

/* 198.18.0.0/15, for measuring (RFC 2544). */
#define SOURCES bpf_htonl(0xc6120000)
#define SOURCE_MASK 0x1ffff
#define SOURCE_BITS 17
/* Ports above it are drawn. */
#define PORT_FIRST 0x8000

struct headers {
	struct ethhdr ethernet;
	struct iphdr ip;
	struct tcphdr tcp;
} __attribute__((packed));

/* A packet whose drawn fields are zero: addresses, ports, numbers and checksums. */
struct shape {
	__u64 words[ROOM_WORDS];
	__u32 octets;
	__u32 ip_sum; /* of 16 bit words as they lie in memory (RFC 1071) */
	__u32 tcp_sum; /* with the pseudo-header */
	__u32 acknowledges;
};

/* Each packet has one of them, by chance. */
const volatile struct shape shapes[2];
const volatile __u32 out_ifindex;

__u64 packets;

static __always_inline __u16 checksum(__u32 sum)
{
	sum = (sum >> 16) + (sum & 0xffff);
	sum = (sum >> 16) + (sum & 0xffff);
	return ~sum;
}

static __always_inline __u32 halves(__u32 word)
{
	return (word >> 16) + (word & 0xffff);
}

SEC("xdp")
int ringroad_flood(struct xdp_md *ctx)
{
	__u64 *words = (void *)(long)ctx->data;
	struct headers *headers = (void *)words;
	__u32 drawn = bpf_get_prandom_u32();
	__u32 sequence = bpf_get_prandom_u32(), acknowledgment = bpf_get_prandom_u32();
	const volatile struct shape *shape = &shapes[sequence & 1];
	__be32 source = SOURCES | bpf_htonl(drawn & SOURCE_MASK);
	__be16 port = bpf_htons(PORT_FIRST | drawn >> SOURCE_BITS);
	__u16 id = acknowledgment;
	int i;

	if ((void *)(words + ROOM_WORDS) > (void *)(long)ctx->data_end)
		return XDP_ABORTED;
#pragma unroll
	for (i = 0; i < ROOM_WORDS; i++)
		words[i] = shape->words[i];
	if (!shape->acknowledges)
		acknowledgment = 0;
	headers->ip.id = id;
	headers->ip.saddr = source;
	headers->ip.check = checksum(shape->ip_sum + id + halves(source));
	headers->tcp.source = port;
	headers->tcp.seq = sequence;
	headers->tcp.ack_seq = acknowledgment;
	headers->tcp.check = checksum(shape->tcp_sum + halves(source) + port + halves(sequence) +
				      halves(acknowledgment));
	packets++;
	if (bpf_xdp_adjust_tail(ctx, (int)shape->octets - (int)sizeof(shape->words)))
		return XDP_ABORTED;
	return bpf_redirect(out_ifindex, 0);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
