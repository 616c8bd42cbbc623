// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * Where floods come from and where the answers to them go: packets from or to 198.18.0.0/15
 * (RFC 2544) leave the lab here. All else passes.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>

static int is_nowhere(__be32 address)
{
	return (__builtin_bswap32(address) & 0xfffe0000) == 0xc6120000;
}

__attribute__((section("xdp"), used)) int nowhere(struct xdp_md *ctx)
{
	struct ethhdr *ethernet = (void *)(long)ctx->data;
	struct iphdr *ip = (void *)(ethernet + 1);

	if ((void *)(ip + 1) > (void *)(long)ctx->data_end ||
	    ethernet->h_proto != __builtin_bswap16(ETH_P_IP))
		return XDP_PASS;
	return is_nowhere(ip->saddr) || is_nowhere(ip->daddr) ? XDP_DROP : XDP_PASS;
}

char _license[] __attribute__((section("license"), used)) = "Dual BSD/GPL";
