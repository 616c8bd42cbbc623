/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Samples of what is refused, for people to look at: what is dropped, and what belongs to no
 * connection. A flood has no more of them than a trickle: so many a second of each CPU, by a token
 * bucket as in limits.h.
 */
#ifndef RINGROAD_SAMPLES_H
#define RINGROAD_SAMPLES_H

#include "clock.h"
#include "limits.h"
#include "maps.h"

/* Whether one more is within the rate; if so, it is taken. Else there is none until the next tick. */
static __always_inline int takes_sample(struct sampler *sampler)
{
	__u64 jiffies = bpf_jiffies64(), full_at;

	if (sampler->empty_at_jiffies == jiffies)
		return 0;
	full_at = pay(sampler->full_at_ns, tick_ns(), SAMPLE_INTERVAL_NS, SAMPLE_BURST_NS);
	if (!full_at) {
		sampler->empty_at_jiffies = jiffies;
		return 0;
	}
	sampler->full_at_ns = full_at;
	return 1;
}

/* `service_index`: SERVICES_MAX if there is none. */
static __always_inline void take_sample(struct xdp_md *ctx, enum verdict verdict,
					__u32 service_index)
{
	__u32 octets = ctx->data_end - ctx->data;
	__u32 captured = octets < SAMPLE_OCTETS_MAX ? octets : SAMPLE_OCTETS_MAX;
	__u32 zero = 0;
	struct sampler *sampler = bpf_map_lookup_elem(&samplers, &zero);
	struct sample *next;

	if (!sampler || !takes_sample(sampler))
		return;
	next = &sampler->next;
	next->at_ns = tick_ns();
	next->octets = octets;
	next->ifindex = ctx->ingress_ifindex;
	next->service_index = service_index;
	next->verdict = verdict;
	next->captured = captured;
	/* The verifier wants to see that these are some octets and not too many; clang knows it. */
	barrier_var(captured);
	if (captured < 1 || captured > SAMPLE_OCTETS_MAX ||
	    bpf_xdp_load_bytes(ctx, 0, next->head, captured))
		next->captured = 0;
	/* Whoever reads them comes by itself. */
	if (bpf_ringbuf_output(&samples, next, sizeof(*next), BPF_RB_NO_WAKEUP))
		sampler->lost++;
}

#endif
