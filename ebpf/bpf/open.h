/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Opens a cookie that came back: the acknowledgment of an answer says again what the SYN offered.
 * The same as open() in the engine's cookie.rs.
 */
#ifndef RINGROAD_OPEN_H
#define RINGROAD_OPEN_H

#include "cookie.h"

/* What stands below the timestamp's mac. */
#define BELOW_MAC_MASK 0x1f

/* Of a segment with timestamps alone, as all send it (RFC 7323 appendix A) [octets]. */
#define USUAL_TIMESTAMPS_OCTETS 12

/* What a cookie remembers of the SYN. */
struct cookie_options {
	__u16 mss;
	__u8 window_scale; /* or WINDOW_SCALE_NONE */
	__u8 sack;
	__u8 timestamps;
	__u8 ecn;
};

/* The option that echoes our timestamp; in host order. */
struct timestamps {
	__u32 value;
	__u32 echoed;
	__u8 present;
};

/*
 * What the classes stand for, as in cookie.rs. One structure: of constants that are no larger than
 * a register the compiler makes sections that older libbpf does not take.
 */
static const struct {
	__u16 mss_v4[8];
	__u16 mss_v6[8];
	__u8 window_scale[8];
} CLASSES = {
	.mss_v4 = { 536, 1220, 1360, 1400, 1440, 1452, 1460, 8960 },
	.mss_v6 = { 1220, 1280, 1340, 1380, 1400, 1420, 1440, 8940 },
	.window_scale = { WINDOW_SCALE_NONE, 0, 3, 5, 6, 7, 8, 9 },
};

/* An ACK that may be the first of a connection. */
static __always_inline int may_prove_cookie(const struct segment *segment)
{
	return (segment->flags & (TCP_FLAG_SYN | TCP_FLAG_ACK | TCP_FLAG_RST)) == TCP_FLAG_ACK;
}

static __always_inline int read_usual_timestamps(PACKET *ctx, const struct segment *segment,
						 struct timestamps *timestamps)
{
	__u64 at = segment->options_at;
	const __be32 *words;

	/* Lest the compiler adds what it compared a copy of: the verifier would not know. */
	barrier_var(at);
	if (segment->option_octets != USUAL_TIMESTAMPS_OCTETS || at > FRAME_OCTETS_MAX)
		return 0;
	words = (void *)(long)ctx->data + at;
	if ((void *)(words + 3) > (void *)(long)ctx->data_end ||
	    bpf_ntohl(words[0]) != (TCP_OPTION_NOP << 24 | TCP_OPTION_NOP << 16 |
				    TCP_OPTION_TIMESTAMPS << 8 | 10))
		return 0;
	timestamps->value = bpf_ntohl(words[1]);
	timestamps->echoed = bpf_ntohl(words[2]);
	timestamps->present = 1;
	return 1;
}

static __always_inline struct timestamps read_timestamps(PACKET *ctx, const struct segment *segment)
{
	struct timestamps timestamps = {};
	struct offer offer = {};
	int i;

	if (!segment->option_octets || read_usual_timestamps(ctx, segment, &timestamps))
		return timestamps;
	offer.at = segment->options_at;
	offer.stop = segment->options_at + segment->option_octets;
	for (i = 0; i < TCP_OPTIONS_OCTETS_MAX; i++) {
		if (!read_option(ctx, &offer))
			break;
	}
	timestamps.value = bpf_ntohl(offer.timestamp);
	timestamps.echoed = bpf_ntohl(offer.echoed);
	timestamps.present = offer.timestamps;
	return timestamps;
}

/*
 * Whether a cookie of ours came back, and what it says. `returned`: one less than the segment
 * acknowledges, and its timestamp echo reply. `client_isn`: one less than its own sequence number.
 */
static __always_inline int open_cookie(const struct cookie_keys *keys, const struct flow_key *flow,
				       __be32 client_isn, const struct cookie *returned,
				       int has_timestamps, struct cookie_options *options)
{
	__u32 above_mac = returned->sequence >> 24;
	__u32 below_mac = returned->timestamp & BELOW_MAC_MASK;
	__u32 hashed_below = has_timestamps ? below_mac : NO_TIMESTAMPS;
	__u64 mac = cookie_mac(keys->slots[above_mac >> 7], flow, client_isn,
			       hashed_below << 8 | above_mac);

	if ((mac & 0xffffff) != (returned->sequence & 0xffffff))
		return 0;
	if (has_timestamps && ((__u32)(mac >> 24) << 5 | below_mac) != returned->timestamp)
		return 0;
	options->mss = is_mapped(&flow->local) ? CLASSES.mss_v4[above_mac >> 4 & 7]
					       : CLASSES.mss_v6[above_mac >> 4 & 7];
	options->window_scale = has_timestamps ? below_mac >> 1
					       : CLASSES.window_scale[above_mac >> 1 & 7];
	options->sack = above_mac & 1;
	options->timestamps = has_timestamps;
	options->ecn = has_timestamps && below_mac & 1;
	return 1;
}

/* The same of a segment as it was parsed. */
static __always_inline int open_segment(const struct cookie_keys *keys,
					const struct segment *segment,
					const struct timestamps *timestamps,
					struct cookie_options *options)
{
	__be32 client_isn = bpf_htonl(bpf_ntohl(segment->sequence) - 1);
	struct cookie returned = {
		.sequence = bpf_ntohl(segment->acknowledgment) - 1,
		.timestamp = timestamps->echoed,
	};

	return open_cookie(keys, &segment->flow, client_isn, &returned, timestamps->present,
			   options);
}

#endif
