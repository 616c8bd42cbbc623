// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * For measuring programs that change their packet: the kernel's test run hands the same memory to
 * every repetition, so that an answered SYN would be no SYN the next time. See
 * examples/shield_bench.rs.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

/* Whole words, and what is left behind them [16 bits]. */
#define WORDS_MAX 12
#define REST_MAX 3

struct saved {
	__u64 words[WORDS_MAX];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct saved);
} packet SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} measured SEC(".maps");

/* Writes the packet as it was, of the same length, and goes on with the program to be measured. */
SEC("xdp")
int ringroad_again(struct xdp_md *ctx)
{
	__u64 *word = (void *)(long)ctx->data;
	void *end = (void *)(long)ctx->data_end;
	__u32 zero = 0;
	struct saved *saved = bpf_map_lookup_elem(&packet, &zero);
	const __u16 *from;
	__u16 *rest;
	int i, j;

	if (!saved)
		return XDP_ABORTED;
	for (i = 0; i < WORDS_MAX; i++) {
		if ((void *)(word + 1) > end)
			break;
		*word++ = saved->words[i];
	}
	if (i == WORDS_MAX)
		return XDP_ABORTED;
	rest = (__u16 *)word;
	from = (__u16 *)&saved->words[i];
	for (j = 0; j < REST_MAX && (void *)(rest + 1) <= end; j++)
		*rest++ = from[j];
	bpf_tail_call(ctx, &measured, 0);
	return XDP_ABORTED;
}

/* What all else is compared with. */
SEC("xdp")
int ringroad_drop(struct xdp_md *ctx __attribute__((unused)))
{
	return XDP_DROP;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
