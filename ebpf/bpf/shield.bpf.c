// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * The shield: what ringroad serves goes to the engine's socket, all else to the kernel.
 *
 * Read parse.h (from frame to connection), then verdict.h (whose it is, and what is dropped:
 * sanity.h, lists.h, limits.h), and answer.h (how a new connection is answered on the spot;
 * pressure.h: whether it is).
 * services.h and clock.h save calls that most packets would make. samples.h is what people see of
 * what was dropped. structs.h is what the engine writes and reads, maps.h where.
 */
#include "samples.h"
#include "verdict.h"

static __always_inline void count_for_service(__u32 service_index, enum verdict verdict)
{
	struct service_counters *counted = bpf_map_lookup_elem(&service_counters, &service_index);

	if (counted)
		counted->verdicts[verdict]++;
}

SEC("xdp")
int ringroad_shield(struct xdp_md *ctx)
{
	__u32 zero = 0;
	struct counters *counted = bpf_map_lookup_elem(&counters, &zero);
	__u32 service_index = SERVICES_MAX;
	int action = XDP_PASS;
	enum verdict verdict;

	if (!counted)
		return XDP_PASS;
	counted->received++;
	verdict = decide(ctx, &service_index, &action);
	if (verdict >= VERDICTS)
		return action;
	counted->verdicts[verdict]++;
	if (service_index < SERVICES_MAX)
		count_for_service(service_index, verdict);
	if (action == XDP_DROP || verdict == VERDICT_UNKNOWN)
		take_sample(ctx, verdict, service_index);
	return action;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
