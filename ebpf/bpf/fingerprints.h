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

static __always_inline struct fingerprint_bucket *
find_bucket(void *table, const struct fingerprint_key *key, __u64 hash)
{
	__u32 at = 1 + ((__u32)hash & key->mask);

	return bpf_map_lookup_elem(table, &at);
}

static __always_inline __u32 tag_of(__u64 hash)
{
	__u32 tag = hash >> 32 & ~FINGERPRINT_NOTE_MAX;

	return tag ? tag : 1 << FINGERPRINT_NOTE_BITS;
}

/*
 * Whether a table that forgets has this hash. Its places have no notes and are taken in turn from the
 * first on, so that most buckets are seen through soon.
 */
static __always_inline int is_remembered(void *table, const struct fingerprint_key *key, __u64 hash)
{
	struct fingerprint_bucket *bucket = find_bucket(table, key, hash);
	__u32 tag = tag_of(hash), word;
	int i;

	if (!bucket)
		return 0;
#pragma unroll
	for (i = 0; i < FINGERPRINTS_PER_BUCKET; i++) {
		word = read_once(bucket->words[i]);
		if (word == tag)
			return 1;
		if (!word)
			return 0;
	}
	return 0;
}

/* The bucket that these words belong to, and their tag; NULL if there is none. */
static __always_inline struct fingerprint_bucket *bucket_of(void *table, const __u32 *words,
							    __u32 count, __u32 *tag)
{
	__u32 at = 0;
	const struct fingerprint_key *key = bpf_map_lookup_elem(table, &at);
	__u64 hash;

	if (!key)
		return NULL;
	hash = fingerprint(key, words, count);
	*tag = tag_of(hash);
	return find_bucket(table, key, hash);
}

/* The note of what has these words, or one of the above. */
static __always_inline int find_fingerprint(void *table, const __u32 *words, __u32 count)
{
	__u32 tag = 0, found;
	struct fingerprint_bucket *bucket = bucket_of(table, words, count, &tag);
	int i;

	if (!bucket)
		return FINGERPRINT_ABSENT;
	/* A word with this tag leaves its note. */
#pragma unroll
	for (i = 0; i < FINGERPRINTS_PER_BUCKET; i++) {
		found = read_once(bucket->words[i]) ^ tag;
		if (found <= FINGERPRINT_NOTE_MAX)
			return found;
	}
	return read_once(bucket->unplaced) ? FINGERPRINT_CROWDED : FINGERPRINT_ABSENT;
}

/*
 * Takes out what has these words, ahead of the engine, which will not find it. If the engine takes it
 * out meanwhile and puts another there, that stays.
 */
static __always_inline void drop_fingerprint(void *table, const __u32 *words, __u32 count)
{
	__u32 tag = 0, found;
	struct fingerprint_bucket *bucket = bucket_of(table, words, count, &tag);
	int i;

	if (!bucket)
		return;
#pragma unroll
	for (i = 0; i < FINGERPRINTS_PER_BUCKET; i++) {
		found = read_once(bucket->words[i]);
		if ((found ^ tag) <= FINGERPRINT_NOTE_MAX) {
			__sync_val_compare_and_swap(&bucket->words[i], found, 0);
			return;
		}
	}
}

#endif
