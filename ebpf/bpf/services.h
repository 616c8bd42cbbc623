/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Which service listens on an address and port. The table that answers is a call away, and most
 * packets want what others wanted just before: each CPU keeps those that it met lately at hand.
 */
#ifndef RINGROAD_SERVICES_H
#define RINGROAD_SERVICES_H

#include "maps.h"

/* Fibonacci hashing (Knuth, volume 3, §6.4). Nobody gains by collisions: they cost a call. */
#define HASH_MULTIPLIER 0x9e3779b1

struct service_key_words {
	__u64 words[3];
};

_Static_assert(sizeof(struct service_key_words) == sizeof(struct service_key), "all of the key");

static __always_inline __u32 place_of(const struct service_key_words *key)
{
	__u64 sum = key->words[0] + key->words[1] + key->words[2];

	return (((__u32)sum ^ (__u32)(sum >> 32)) * HASH_MULTIPLIER) >> (32 - SERVICES_MET_BITS);
}

static __always_inline int is_same(const struct service_key_words *one,
				   const struct service_key_words *other)
{
	return !((one->words[0] ^ other->words[0]) | (one->words[1] ^ other->words[1]) |
		 (one->words[2] ^ other->words[2]));
}

/*
 * NULL: none. What was met before the services changed counts no more; that is asked first, so that
 * what was found meanwhile is taken for older than it may be, and never for newer.
 */
static __always_inline const struct service *find_service_at_hand(const struct control *control,
								  const struct flow_key *flow)
{
	const struct service_key key = service_key(flow);
	const struct service_key_words *words = (const void *)&key;
	__u64 generation = read_once(control->services_generation);
	__u32 place = place_of(words);
	struct met_service *met = bpf_map_lookup_elem(&services_met, &place);
	struct service *found;

	if (met && met->generation == generation && is_same((void *)&met->key, words))
		return &met->service;
	found = bpf_map_lookup_elem(&services, &key);
	if (met && found) {
		met->key = key;
		met->service = *found;
		met->generation = generation;
	}
	return found;
}

#endif
