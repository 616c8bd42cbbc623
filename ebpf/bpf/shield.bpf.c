// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * The shield: what ringroad serves goes to the engine's socket, all else to the kernel.
 *
 * Read parse.h (from frame to connection), then verdict.h (whose it is, and what is dropped:
 * sanity.h, lists.h, limits.h), and answer.h (how a new connection is answered on the spot;
 * pressure.h: whether it is).
 * structs.h is what the engine writes and reads, maps.h where.
 */
#include "verdict.h"

SEC("xdp")
int ringroad_shield(struct xdp_md *ctx)
{
	__u32 zero = 0;
	struct counters *counted = bpf_map_lookup_elem(&counters, &zero);
	int action = XDP_PASS;
	enum verdict verdict;

	if (!counted)
		return XDP_PASS;
	counted->received++;
	verdict = decide(ctx, &action);
	if (verdict < VERDICTS)
		counted->verdicts[verdict]++;
	return action;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
