/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What the program and the process that loaded it both read or write. The skeleton carries these
 * structures into Rust (src/skeleton.rs). Plain integers, no hidden padding.
 *
 * Addresses are sixteen octets as on the wire; IPv4 addresses are mapped (RFC 4291 §2.5.5.2).
 */
#ifndef RINGROAD_STRUCTS_H
#define RINGROAD_STRUCTS_H

#include <linux/types.h>

#include "consts.h"

struct address {
	__be32 words[4];
};

/* An address and port of ours, as seen on one interface. */
struct service_key {
	struct address address;
	__u32 ifindex;
	__be16 port;
	__u8 protocol;
	__u8 zero;
};

struct service {
	__u32 port_index;
	__u32 service_index;
};

/* Of one CPU: a service that it met, when the services had changed this many times. */
struct met_service {
	struct service_key key;
	struct service service;
	__u64 generation;
};

/* An address of ours on one interface: one that the engine connects from, or a service's. */
struct egress_key {
	struct address address;
	__u32 ifindex;
};

/* Both ends belong to the range [TCP ports, host order]. */
struct port_range {
	__u16 first;
	__u16 last;
};

struct egress {
	__u32 port_index;
	__u32 range_count;
	struct port_range ranges[EGRESS_RANGES_MAX];
};

/* A connection as this host sees it: `local` is the service's or the egress address. */
struct flow_key {
	struct address remote;
	struct address local;
	__be16 remote_port;
	__be16 local_port;
	__u32 ifindex;
};

/* The first line of a table of fingerprints: see fingerprints.h. */
struct fingerprint_key {
	__u32 words[FINGERPRINT_WORDS_MAX];
	/* Number of buckets, less one; they are a power of two. */
	__u32 mask;
	__u32 rest_of_line[3];
};

/* The others. A word is a tag and, in its lowest bits, a note; zero: free. */
struct fingerprint_bucket {
	__u32 words[FINGERPRINTS_PER_BUCKET];
	/* Fingerprints that found no room. In a table that forgets: the word to give way next. */
	__u32 unplaced;
};

/* An entry of the lists: the first `bits` of an address. */
struct prefix_v4 {
	__u32 bits;
	__be32 address;
};

struct prefix_v6 {
	__u32 bits;
	struct address address;
};

/* When the lane that serves a receive queue last showed that it is alive [CLOCK_MONOTONIC ns]. */
struct heartbeat {
	__u64 at_ns;
	/* Whether the lane is under pressure: see COOKIES_UNDER_PRESSURE. */
	__u64 pressure;
	__u64 rest_of_line[6];
};

/* What a receive queue of a port brings. Written by the program, on the CPU that serves the queue. */
struct intake {
	/* New connections for the engine, answered on the spot or not. */
	__u64 new_connections;
	__u64 rest_of_line[7];
};

/* How new connections to a service are answered. */
struct cookie_service {
	/* Ours [octets]. */
	__u16 mss_v4;
	__u16 mss_v6;
	/* In the answer, which is never scaled [octets]. */
	__u16 window;
	/* SERVICE_WINDOW_SCALE: of our later windows; SERVICE_ECN: whether we agree to ECN. */
	__u8 scale_and_ecn;
	/* Whether they are answered at all: COOKIES_OFF, … */
	__u8 mode;
};

/* What cookies are sealed with. */
struct cookie_keys {
	__u64 slots[2][2];
	/* The slot in use. */
	__u64 current;
	/* Whether the kernel opens cookies too. Taken back by acceptor.bpf.c if it does not. */
	__u64 kernel_opens;
	__u64 rest_of_line[2];
};

/* What a packet costs, by how much longer a bucket takes to be full. Zero: nothing, no limit. */
struct rate_limit {
	__u64 syn_interval_ns;
	/* What a whole burst of them costs. */
	__u64 syn_burst_ns;
	__u64 packet_interval_ns;
	/* [2^-OCTET_INTERVAL_BITS ns] */
	__u64 octet_interval;
	/* The bits that tell prefixes apart, of IPv6 addresses and of mapped IPv4 addresses. */
	struct address masks[2];
};

/* The token buckets of a source or prefix: when each will be full again. */
struct buckets {
	__u64 syns_full_at_ns;
	__u64 packets_full_at_ns;
	__u64 octets_full_at_ns;
};

/* Places for all whose hash names this set, told apart by their tags. */
struct bucket_set {
	__u32 tags[BUCKETS_PER_SET];
	struct buckets buckets[BUCKETS_PER_SET];
	__u64 rest_of_line[2];
};

/* Mapped by the engine, which writes all of it but what is said to be the program's. */
struct control {
	__u64 heartbeat_limit_ns;
	/* Whether any source is denied or allowed; if not, none is looked for. */
	__u64 lists_used;
	/* LIMITED_SYNS, LIMITED_PACKETS; if nothing is, no buckets are looked for. */
	__u64 limited;
	/* Between two SYNs of all unproven sources together; zero: no limit. */
	__u64 unproven_syn_interval_ns;
	__u64 rest_of_first_line[4];
	/* Last packet of a flow of the kernel's; zero: never any. Written by the program. */
	__u64 kernel_flow_seen_ns;
	/* When as many unknown segments as may at once are the kernel's again. Written by the program. */
	__u64 unknown_full_at_ns;
	__u64 rest_of_line[6];
	/* When the bucket of all unproven sources will be full again. Written by the program. */
	__u64 unproven_full_at_ns;
	__u64 rest_of_cap_line[7];
	/* By PER_SOURCE, PER_PREFIX. */
	struct rate_limit rate_limits[2];
	/* How often what is served has changed. */
	__u64 services_generation;
	__u64 rest_of_generation_line[7];
	struct cookie_keys cookie_keys;
	/* Whether the kernel gets any segments of unknown connections. */
	__u64 unknown_to_kernel;
	/* Whether answers leave by bpf_redirect(): see answer_leaves(). */
	__u64 redirect_answers;
	__u64 rest_of_policy_line[6];
	/* By receive queue and service index: whether the engine takes new connections. */
	__u8 accepting[QUEUES_MAX][SERVICES_MAX];
	/* By service index. */
	struct cookie_service cookie_services[SERVICES_MAX];
	/* By receive queue. */
	struct heartbeat heartbeats[QUEUES_MAX];
	/* At port index * QUEUES_MAX + receive queue. */
	struct intake intakes[SOCKETS_MAX];
	/* By service index: connections given to the kernel. Written by the program. */
	__u64 fell_back[SERVICES_MAX];
};

/* Of one CPU: the coarse clock at its last tick that saw a packet [ns]. */
struct tick {
	__u64 jiffies;
	__u64 ns;
};

/*
 * What became of a packet. What is not said to be dropped is the kernel's, but for the first two.
 */
enum verdict {
	/* Redirected to the socket of its queue. */
	VERDICT_TO_ENGINE,
	/* New connection: turned round and sent back as its answer. */
	VERDICT_ANSWERED,
	/* Nothing that the engine serves. */
	VERDICT_NOT_OURS,
	/* New connection: the lane's heartbeat is too old. */
	VERDICT_STALE,
	/* New connection: the engine takes none for this service. */
	VERDICT_NOT_ACCEPTING,
	/* The engine has no socket on this queue. */
	VERDICT_NO_SOCKET,
	/* Belongs to a connection that the kernel was given. */
	VERDICT_KERNEL_FLOW,
	/* A fragment: only the kernel can put it together. */
	VERDICT_FRAGMENT,
	/* IPv6 extension headers that are too many or not simple. */
	VERDICT_EXTENSION,
	/* Lengths that contradict each other; the kernel counts and drops it. */
	VERDICT_MALFORMED,
	/* Dropped: TCP flags that no connection sends. */
	VERDICT_BAD_FLAGS,
	/* Dropped: from the very address and port that it is sent to. */
	VERDICT_LAND,
	/* Dropped: from an address that no host sends from. */
	VERDICT_BAD_SOURCE,
	/* Dropped: from a source that the operator denies. */
	VERDICT_DENIED,
	/* Dropped: a new connection beyond the rate of its source. */
	VERDICT_RATE_LIMITED,
	/* Dropped: a new connection beyond the rate of all unproven sources of its prefix. */
	VERDICT_PREFIX_LIMITED,
	/* Dropped: a new connection beyond the rate of all unproven sources. */
	VERDICT_CAP_LIMITED,
	/* Dropped: beyond the packets that its source may send, or its prefix. */
	VERDICT_PACKETS_LIMITED,
	/* Dropped: beyond the octets that its source may send, or its prefix. */
	VERDICT_BYTES_LIMITED,
	/* Dropped: a fragment of TCP to a service's address, by the operator's policy. */
	VERDICT_FRAGMENT_DROPPED,
	/* Of no connection that is known; the kernel answers. */
	VERDICT_UNKNOWN,
	/* Dropped: of no connection that is known, by the operator's policy or as one too many. */
	VERDICT_UNKNOWN_DROPPED,
	VERDICTS,
};

/* Of one CPU [packets]. The sum over `verdicts` is `received`. */
struct counters {
	__u64 received;
	__u64 verdicts[VERDICTS];
	/* Buckets that gave way to others' before they were full [sources and prefixes]. */
	__u64 buckets_evicted;
};

/* Of one CPU and one service [packets]; without those of connections that the engine was known to have. */
struct service_counters {
	__u64 verdicts[VERDICTS];
};

/* A packet that was refused. */
struct sample {
	/* CLOCK_MONOTONIC, by the coarse clock [ns]. */
	__u64 at_ns;
	/* Of the packet [octets]. */
	__u32 octets;
	__u32 ifindex;
	/* SERVICES_MAX: none. */
	__u32 service_index;
	__u16 verdict;
	/* How much of it is here [octets]. */
	__u16 captured;
	__u8 head[SAMPLE_OCTETS_MAX];
};

/* Of one CPU. */
struct sampler {
	/* When it may have a whole burst of samples again [ns]. */
	__u64 full_at_ns;
	/* The tick at which there was no more. */
	__u64 empty_at_jiffies;
	/* Samples that found no room. */
	__u64 lost;
	/* The one in the making. */
	struct sample next;
};

_Static_assert(sizeof(struct sample) == 24 + SAMPLE_OCTETS_MAX, "no hidden padding");
_Static_assert(sizeof(struct service_key) == 24, "no hidden padding");
_Static_assert(sizeof(struct met_service) == 40, "no hidden padding");
_Static_assert(sizeof(struct egress_key) == 20, "no hidden padding");
_Static_assert(sizeof(struct flow_key) == 40, "no hidden padding");
_Static_assert(sizeof(struct fingerprint_key) == CACHE_LINE, "one line of a table");
_Static_assert(sizeof(struct fingerprint_bucket) == CACHE_LINE, "one line of a table");
_Static_assert(FINGERPRINT_WORDS_MAX % 2 == 0, "words are hashed in pairs");
_Static_assert(sizeof(struct flow_key) / 4 <= FINGERPRINT_WORDS_MAX, "flows have fingerprints");
_Static_assert(PORTS_MAX <= 1 << FINGERPRINT_NOTE_BITS, "a note can be a port index");
_Static_assert(sizeof(struct prefix_v4) == 8, "no hidden padding");
_Static_assert(sizeof(struct prefix_v6) == 20, "no hidden padding");
_Static_assert(__builtin_offsetof(struct control, kernel_flow_seen_ns) == CACHE_LINE,
	       "what the program writes has a cache line of its own");
_Static_assert(__builtin_offsetof(struct control, unproven_full_at_ns) == 2 * CACHE_LINE,
	       "what all CPUs write in a flood has a cache line of its own");
_Static_assert(sizeof(struct rate_limit) == CACHE_LINE, "a limit is one line");
_Static_assert(sizeof(struct bucket_set) == 2 * CACHE_LINE, "a set is two lines");
_Static_assert(sizeof(struct cookie_service) == 8, "no hidden padding");
_Static_assert(sizeof(struct cookie_keys) == CACHE_LINE, "keys on a cache line of their own");
_Static_assert(sizeof(struct heartbeat) == CACHE_LINE, "one heartbeat, one cache line");
_Static_assert(sizeof(struct intake) == CACHE_LINE, "one intake, one cache line");
_Static_assert(SERVICES_MAX % CACHE_LINE == 0, "heartbeats start on a cache line");

#endif
