/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * How much sources may send to services. A source that has completed a handshake has a budget of its
 * own; all others of a prefix share one, and there is a cap on the SYNs of them all. So forged
 * addresses use up nothing that belongs to a source that has proved itself.
 *
 * A token bucket is a word: the time at which it will be full again. Each packet puts that off by
 * what it costs at the rate, as long as it is no more than a burst away. What is dropped costs
 * nothing.
 */
#ifndef RINGROAD_LIMITS_H
#define RINGROAD_LIMITS_H

#include "clock.h"
#include "fingerprints.h"
#include "maps.h"
#include "parse.h"

/*
 * The later of two cheap clocks: the heartbeat goes with every burst, the tick also while the lane
 * sleeps or hangs.
 */
static __always_inline __u64 cheap_now(const struct heartbeat *heartbeat)
{
	__u64 beat = read_once(heartbeat->at_ns);
	__u64 tick = tick_ns();

	return beat > tick ? beat : tick;
}

/*
 * When a bucket will be full again that pays so much; zero: it cannot. What costs nothing is always
 * paid: a full bucket may be so by the clock of another CPU, which is ahead.
 */
static __always_inline __u64 pay(__u64 full_at, __u64 now, __u64 cost_ns, __u64 burst_ns)
{
	full_at = (full_at > now ? full_at : now) + cost_ns;
	return !cost_ns || full_at - now <= burst_ns ? full_at : 0;
}

/* The hash of what tells a source from others, or its prefix. */
static __always_inline __u64 hash_source(const struct control *control,
					 const struct fingerprint_key *key,
					 const struct segment *segment, __u32 whose)
{
	const struct address *mask = &control->rate_limits[whose].masks[is_ipv4(segment)];
	const __u32 *of = segment->source.words;
	const __u32 words[4] = { of[0] & mask->words[0], of[1] & mask->words[1],
				 of[2] & mask->words[2], of[3] & mask->words[3] };

	return fingerprint(key, words, 4);
}

/* When the last of its buckets is full. */
static __always_inline __u64 all_full_at(const struct buckets *buckets)
{
	__u64 syns = read_once(buckets->syns_full_at_ns);
	__u64 packets = read_once(buckets->packets_full_at_ns);
	__u64 octets = read_once(buckets->octets_full_at_ns);
	__u64 latest = syns > packets ? syns : packets;

	return latest > octets ? latest : octets;
}

/*
 * Of the places in a set the one that is full first. If it is full already, which it is most often,
 * nothing is forgotten with it.
 */
static __always_inline struct buckets *replace(struct bucket_set *set, __u32 tag, __u64 now)
{
	__u64 full_at, first = all_full_at(&set->buckets[0]);
	__u32 i, place = 0;
	struct buckets *buckets;
	struct counters *counted;

	for (i = 1; i < BUCKETS_PER_SET; i++) {
		full_at = all_full_at(&set->buckets[i]);
		if (full_at < first) {
			first = full_at;
			place = i;
		}
	}
	if (first > now) {
		i = 0;
		counted = bpf_map_lookup_elem(&counters, &i);
		if (counted)
			counted->buckets_evicted++;
	}
	if (place >= BUCKETS_PER_SET)
		return NULL;
	write_once(set->tags[place], tag);
	buckets = &set->buckets[place];
	write_once(buckets->syns_full_at_ns, 0);
	write_once(buckets->packets_full_at_ns, 0);
	write_once(buckets->octets_full_at_ns, 0);
	return buckets;
}

/*
 * The buckets of a source or prefix. Two CPUs at the same ones may count one packet for two, or
 * give a place to two: that is a packet too many or too few, once.
 */
static __always_inline struct buckets *find_buckets(__u32 whose, __u64 hash, __u64 now)
{
	__u32 at = whose * BUCKET_SETS + ((__u32)hash & (BUCKET_SETS - 1));
	struct bucket_set *set = bpf_map_lookup_elem(&bucket_sets, &at);
	__u32 tag = hash >> 32;
	int i;

	if (!set)
		return NULL;
	/* A place that was never used has full buckets, whatever tag it is found by. */
	for (i = 0; i < BUCKETS_PER_SET; i++) {
		if (read_once(set->tags[i]) == tag)
			return &set->buckets[i];
	}
	return replace(set, tag, now);
}

/* Why a packet is too much for these buckets, or GO_ON; then it is paid for. */
static __always_inline enum verdict charge_packet(const struct rate_limit *limit,
						  struct buckets *buckets, __u64 octets, __u64 now)
{
	__u64 octets_ns = octets * limit->octet_interval >> OCTET_INTERVAL_BITS;
	__u64 packets_at, octets_at;

	packets_at = pay(read_once(buckets->packets_full_at_ns), now, limit->packet_interval_ns,
			 SECOND_NS);
	if (!packets_at)
		return VERDICT_PACKETS_LIMITED;
	octets_at = pay(read_once(buckets->octets_full_at_ns), now, octets_ns, SECOND_NS);
	if (!octets_at)
		return VERDICT_BYTES_LIMITED;
	write_once(buckets->packets_full_at_ns, packets_at);
	write_once(buckets->octets_full_at_ns, octets_at);
	return GO_ON;
}

/*
 * Why a packet to a service is too much, or GO_ON; then it is paid for, and a SYN for the connection
 * that it opens as well. The cap comes before the buckets, so that what it drops costs no look at
 * them.
 */
static __always_inline enum verdict charge(struct control *control,
					   const struct heartbeat *heartbeat,
					   const struct segment *segment, __u64 octets, int is_syn)
{
	__u64 now, hash, unproven_at = 0, syns_at = 0;
	const struct fingerprint_key *key;
	const struct rate_limit *limit;
	struct buckets *buckets;
	__u32 whose = PER_SOURCE;
	enum verdict verdict;
	__u32 zero = 0;

	key = bpf_map_lookup_elem(&proven_sources, &zero);
	if (!key)
		return GO_ON;
	now = cheap_now(heartbeat);
	hash = hash_source(control, key, segment, PER_SOURCE);
	if (!is_remembered(&proven_sources, key, hash)) {
		whose = PER_PREFIX;
		hash = hash_source(control, key, segment, PER_PREFIX);
		if (is_syn) {
			unproven_at = pay(read_once(control->unproven_full_at_ns), now,
					  control->unproven_syn_interval_ns, SECOND_NS);
			if (!unproven_at)
				return VERDICT_CAP_LIMITED;
		}
	}
	limit = &control->rate_limits[whose];
	buckets = find_buckets(whose, hash, now);
	if (!buckets)
		return GO_ON;
	if (is_syn) {
		syns_at = pay(read_once(buckets->syns_full_at_ns), now, limit->syn_interval_ns,
			      limit->syn_burst_ns);
		if (!syns_at)
			return whose == PER_SOURCE ? VERDICT_RATE_LIMITED : VERDICT_PREFIX_LIMITED;
	}
	if (read_once(control->limited) & LIMITED_PACKETS) {
		verdict = charge_packet(limit, buckets, octets, now);
		if (verdict != GO_ON)
			return verdict;
	}
	if (syns_at)
		write_once(buckets->syns_full_at_ns, syns_at);
	if (unproven_at)
		write_once(control->unproven_full_at_ns, unproven_at);
	return GO_ON;
}

#endif
