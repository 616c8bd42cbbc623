/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Finds fingerprints in a table that the engine writes while we read: see src/fingerprints.rs,
 * which says how it is laid out and what it promises.
 */
#ifndef RINGROAD_FINGERPRINTS_H
#define RINGROAD_FINGERPRINTS_H

#include "maps.h"

/* What find_fingerprint() returns when it finds no note: it is not there, or may be, uncounted. */
#define FINGERPRINT_ABSENT -1
#define FINGERPRINT_CROWDED -2

#define FINGERPRINT_NOTE_MAX ((1 << FINGERPRINT_NOTE_BITS) - 1)

/*
 * NH (RFC 4418 §5.2.2) of an even number of words as they lie in memory, neighbours paired, and the
 * finaliser of MurmurHash3, so that every bit of the sum counts for the place and for the tag.
 */
static __always_inline __u64 fingerprint(const struct fingerprint_key *key, const __u32 *words,
					 __u32 count)
{
	__u64 hash = 0;
	__u32 i;

#pragma unroll
	for (i = 0; i < count; i += 2)
		hash += (__u64)(words[i] + key->words[i]) *
			(__u32)(words[i + 1] + key->words[i + 1]);
	hash ^= hash >> 33;
	hash *= 0xff51afd7ed558ccdULL;
	hash ^= hash >> 33;
	hash *= 0xc4ceb9fe1a85ec53ULL;
	return hash ^ hash >> 33;
}

/* The note of what has this hash in the table of the key, or one of the above. */
static __always_inline int find_hashed(void *table, const struct fingerprint_key *key, __u64 hash)
{
	__u32 at = 1 + ((__u32)hash & key->mask);
	struct fingerprint_bucket *bucket = bpf_map_lookup_elem(table, &at);
	__u32 tag, found;
	int i;

	if (!bucket)
		return FINGERPRINT_ABSENT;
	tag = hash >> 32 & ~FINGERPRINT_NOTE_MAX;
	if (!tag)
		tag = 1 << FINGERPRINT_NOTE_BITS;
	/* A word with this tag leaves its note. */
#pragma unroll
	for (i = 0; i < FINGERPRINTS_PER_BUCKET; i++) {
		found = read_once(bucket->words[i]) ^ tag;
		if (found <= FINGERPRINT_NOTE_MAX)
			return found;
	}
	return read_once(bucket->unplaced) ? FINGERPRINT_CROWDED : FINGERPRINT_ABSENT;
}

/* The same of what has these words. */
static __always_inline int find_fingerprint(void *table, const __u32 *words, __u32 count)
{
	__u32 at = 0;
	const struct fingerprint_key *key = bpf_map_lookup_elem(table, &at);

	return key ? find_hashed(table, key, fingerprint(key, words, count)) : FINGERPRINT_ABSENT;
}

#endif
