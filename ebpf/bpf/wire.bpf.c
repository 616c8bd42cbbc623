// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * A wire: every packet of an interface goes to the socket bound to its queue, and to the kernel
 * where none is. For bare forwarders and for impairment between two interfaces.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "consts.h"

struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, QUEUES_MAX);
	__type(key, __u32);
	__type(value, __u32);
} xsks SEC(".maps");

SEC("xdp")
int ringroad_wire(struct xdp_md *ctx)
{
	return bpf_redirect_map(&xsks, ctx->rx_queue_index, XDP_PASS);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
