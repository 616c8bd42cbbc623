/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * SYN cookies: what a SYN offers, in our sequence number and first timestamp, sealed by a keyed
 * hash. The engine's cookie.rs says what each bit is for. What is baked here is opened there and in
 * open.h.
 */
#ifndef RINGROAD_COOKIE_H
#define RINGROAD_COOKIE_H

#include "parse.h"
#include "siphash.h"

#define TCP_OPTION_END 0
#define TCP_OPTION_NOP 1
#define TCP_OPTION_MSS 2
#define TCP_OPTION_WINDOW_SCALE 3
#define TCP_OPTION_SACK_PERMITTED 4
#define TCP_OPTION_TIMESTAMPS 8
#define TCP_OPTIONS_OCTETS_MAX 40

#define WINDOW_SCALE_MAX 14 /* RFC 7323 §2.3 */
#define WINDOW_SCALE_NONE 15

/* Hashed in place of what stands below the timestamp's mac, where there is no timestamp. */
#define NO_TIMESTAMPS 0xff

/* What is hashed: of IPv4 the ends of the mapped addresses, of IPv6 all, with their starts first. */
#define COOKIE_OCTETS_V4 18
#define COOKIE_OCTETS_V6 (12 + 12 + COOKIE_OCTETS_V4)

/* What a SYN offers, and how far its options were read. */
struct offer {
	__u32 at; /* of the next option, in the frame [octets] */
	__u32 stop;
	__be32 timestamp; /* the client's */
	__be32 echoed;
	__u16 mss; /* zero: none */
	__u8 window_scale;
	__u8 sack;
	__u8 timestamps;
	__u8 ecn;
	__u16 zero;
};

struct cookie {
	__u32 sequence;
	__u32 timestamp;
};

/* Takes in one option of `length` octets. One with a length that its kind does not have is skipped. */
static __always_inline void take_option(const __u8 *option, __u32 length, const void *end,
					struct offer *offer)
{
	__u8 kind = option[0];

	if (kind == TCP_OPTION_MSS && length == 4 && (void *)(option + 4) <= end) {
		offer->mss = option[2] << 8 | option[3];
	} else if (kind == TCP_OPTION_WINDOW_SCALE && length == 3 && (void *)(option + 3) <= end) {
		offer->window_scale = option[2] < WINDOW_SCALE_MAX ? option[2] : WINDOW_SCALE_MAX;
	} else if (kind == TCP_OPTION_SACK_PERMITTED && length == 2) {
		offer->sack = 1;
	} else if (kind == TCP_OPTION_TIMESTAMPS && length == 10 && (void *)(option + 10) <= end) {
		offer->timestamps = 1;
		offer->timestamp = *(const __be32 *)(option + 2);
		offer->echoed = *(const __be32 *)(option + 6);
	}
}

/*
 * Reads the next option; zero at the end of the list. Of one that occurs twice the last counts. A
 * length that cannot be leaves no way to find the next option (RFC 9293 §3.1), and ends the list.
 *
 * A function by itself: the verifier looks at such once, and takes what it leaves in `offer` for
 * anything. Inlined, it would follow every order of options behind every chain of headers.
 */
__noinline int read_option(PACKET *ctx, struct offer *offer)
{
	const void *end = (void *)(long)ctx->data_end;
	const __u8 *option;
	__u32 at, length;

	if (!offer)
		return 0;
	at = offer->at;
	if (at >= offer->stop || at > FRAME_OCTETS_MAX)
		return 0;
	option = (void *)(long)ctx->data + at;
	if ((void *)(option + 1) > end || option[0] == TCP_OPTION_END)
		return 0;
	if (option[0] == TCP_OPTION_NOP) {
		offer->at = at + 1;
		return 1;
	}
	if (at + 1 >= offer->stop || (void *)(option + 2) > end)
		return 0;
	length = option[1];
	if (length < 2 || length > offer->stop - at)
		return 0;
	take_option(option, length, end, offer);
	offer->at = at + length;
	return 1;
}

/* What Linux offers, and so most clients, has this form; false for all others. */
static __always_inline int read_usual_options(PACKET *ctx, struct offer *offer)
{
	const __be32 *words = (void *)(long)ctx->data + offer->at;

	if (offer->at > FRAME_OCTETS_MAX || offer->stop - offer->at != 20 ||
	    (void *)(words + 5) > (void *)(long)ctx->data_end)
		return 0;
	if (bpf_ntohl(words[0]) >> 16 != (TCP_OPTION_MSS << 8 | 4) ||
	    bpf_ntohl(words[1]) != (TCP_OPTION_SACK_PERMITTED << 24 | 2 << 16 |
				    TCP_OPTION_TIMESTAMPS << 8 | 10) ||
	    bpf_ntohl(words[4]) >> 8 != (TCP_OPTION_NOP << 16 | TCP_OPTION_WINDOW_SCALE << 8 | 3))
		return 0;
	offer->mss = bpf_ntohl(words[0]);
	offer->sack = 1;
	offer->timestamps = 1;
	offer->timestamp = words[2];
	offer->window_scale = bpf_ntohl(words[4]);
	if (offer->window_scale > WINDOW_SCALE_MAX)
		offer->window_scale = WINDOW_SCALE_MAX;
	return 1;
}

static __always_inline void read_offer(PACKET *ctx, const struct segment *segment,
				       struct offer *offer)
{
	const __u8 ecn = TCP_FLAG_ECE | TCP_FLAG_CWR;
	int i;

	offer->at = segment->options_at;
	offer->stop = segment->options_at + segment->option_octets;
	offer->window_scale = WINDOW_SCALE_NONE;
	if (!read_usual_options(ctx, offer)) {
		for (i = 0; i < TCP_OPTIONS_OCTETS_MAX; i++) {
			if (!read_option(ctx, offer))
				break;
		}
	}
	/* Without timestamps there is no room to remember it. */
	offer->ecn = offer->timestamps && (segment->flags & ecn) == ecn;
}

/* How many of the classes behind the least are not above `mss`. */
static __always_inline __u32 mss_class_v4(__u16 mss)
{
	return (mss >= 1220) + (mss >= 1360) + (mss >= 1400) + (mss >= 1440) + (mss >= 1452) +
	       (mss >= 1460) + (mss >= 8960);
}

static __always_inline __u32 mss_class_v6(__u16 mss)
{
	return (mss >= 1280) + (mss >= 1340) + (mss >= 1380) + (mss >= 1400) + (mss >= 1420) +
	       (mss >= 1440) + (mss >= 8940);
}

static __always_inline __u32 scale_class(__u8 scale)
{
	if (scale == WINDOW_SCALE_NONE)
		return 0;
	return 1 + (scale >= 3) + (scale >= 5) + (scale >= 6) + (scale >= 7) + (scale >= 8) +
	       (scale >= 9);
}

/*
 * Over both ends, the client's initial sequence number, and two octets of what is sealed. What all
 * mapped addresses begin with is left out: the length, hashed as well, tells the families apart.
 */
static __always_inline __u64 cookie_mac(const __u64 *key, const struct flow_key *flow,
					__be32 client_isn, __u16 sealed)
{
	const __be32 *client = flow->remote.words, *ours = flow->local.words;
	struct siphash hash = siphash_start(key[0], key[1]);
	__u64 octets = COOKIE_OCTETS_V4;

	if (!is_mapped(&flow->local)) {
		siphash_word(&hash, pair_of(client[0], client[1]));
		siphash_word(&hash, pair_of(client[2], ours[0]));
		siphash_word(&hash, pair_of(ours[1], ours[2]));
		octets = COOKIE_OCTETS_V6;
	}
	siphash_word(&hash, pair_of(client[3], ours[3]));
	siphash_word(&hash, pair_of((__u32)flow->local_port << 16 | flow->remote_port, client_isn));
	return siphash_finish(&hash, sealed, octets);
}

static __always_inline struct cookie bake(const struct cookie_keys *keys,
					  const struct flow_key *flow, __be32 client_isn,
					  const struct offer *offer, __u16 our_mss)
{
	__u32 slot = keys->current & 1;
	__u16 mss = offer->mss < our_mss ? offer->mss : our_mss;
	__u32 mss_class = is_mapped(&flow->local) ? mss_class_v4(mss) : mss_class_v6(mss);
	__u32 above_mac = slot << 7 | mss_class << 4 | scale_class(offer->window_scale) << 1 |
			  offer->sack;
	__u32 below_mac = offer->window_scale << 1 | offer->ecn;
	__u32 hashed_below = offer->timestamps ? below_mac : NO_TIMESTAMPS;
	__u64 mac = cookie_mac(keys->slots[slot], flow, client_isn, hashed_below << 8 | above_mac);
	struct cookie cookie;

	cookie.sequence = above_mac << 24 | (mac & 0xffffff);
	cookie.timestamp = (__u32)(mac >> 24) << 5 | below_mac;
	return cookie;
}

#endif
