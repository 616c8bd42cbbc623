/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Bounds and protocol numbers. src/limits.rs repeats the bounds. */
#ifndef RINGROAD_CONSTS_H
#define RINGROAD_CONSTS_H

/* Interfaces that one shield serves, and receive queues of each. */
#define PORTS_MAX 16
#define QUEUES_MAX 128
#define SOCKETS_MAX (PORTS_MAX * QUEUES_MAX)

/* Services, and the addresses that they listen on together. */
#define SERVICES_MAX 1024
#define SERVICE_ADDRESSES_MAX 4096

/* Addresses of services that each CPU keeps at hand, as a power of two. */
#define SERVICES_MET_BITS 8

/* Addresses that the engine connects from, and ranges of source ports of each. */
#define EGRESS_ADDRESSES_MAX 1024
#define EGRESS_RANGES_MAX 8

/* Flows that are remembered as the kernel's. The least recently used one gives way. */
#define KERNEL_FLOWS_MAX 65536

/* Words that a fingerprint is made of at most, an even number [32 bits]. */
#define FINGERPRINT_WORDS_MAX 12

/* Fingerprints in one bucket, and what each keeps besides its tag: a port index, say [bits]. */
#define FINGERPRINTS_PER_BUCKET 15
#define FINGERPRINT_NOTE_BITS 4

/*
 * Prefixes of one address family that the operator denies or allows. Twice as many as the lists
 * may have: while they change, old and new ones stand side by side.
 */
#define LIST_PREFIXES_MAX (2 * 131072)

/* What a prefix is listed for. */
#define LISTED_DENY 1
#define LISTED_ALLOW 2

/* Whose token buckets: a proven source's, or all others' of a prefix. */
#define PER_SOURCE 0
#define PER_PREFIX 1

/* Sets of buckets of each kind, and sources or prefixes in a set. */
#define BUCKET_SETS 16384
#define BUCKETS_PER_SET 4

/* What is limited at all. */
#define LIMITED_SYNS 1
#define LIMITED_PACKETS 2

/* Time is counted in nanoseconds, that which an octet costs in parts of this many bits. */
#define SECOND_NS (1000ULL * 1000 * 1000)
#define OCTET_INTERVAL_BITS 20

/* When new connections to a service are answered on the spot. */
#define COOKIES_OFF 0
#define COOKIES_ALWAYS 1
#define COOKIES_UNDER_PRESSURE 2

/* In one octet of what an answer says of us. */
#define SERVICE_WINDOW_SCALE 0x0f
#define SERVICE_ECN 0x10

/*
 * How long after the last packet of any flow of the kernel's the table is still consulted
 * [nanoseconds]: longer than the two hours after which keep-alives are sent (RFC 9293 §3.8.4),
 * so that a quiet connection shows itself in time.
 */
#define KERNEL_FLOW_MEMORY_NS (7500ULL * 1000 * 1000 * 1000)

/* The time of the last such packet is written at most this often [nanoseconds]. */
#define KERNEL_FLOW_REFRESH_NS (1000ULL * 1000 * 1000)

/* Connections just made by cookies. The least recently used one gives way. */
#define PROVEN_FLOWS_MAX 16384

/*
 * How long segments pass for what an earlier one has proven [nanoseconds]: many times what a lane
 * takes to say that it has the connection.
 */
#define PROVEN_FLOW_MEMORY_NS (1000LL * 1000 * 1000)

/*
 * Segments of unknown connections that the kernel gets to answer, each second and at once: enough
 * for what restarts and reboots leave behind, and no load.
 */
#define UNKNOWN_TO_KERNEL_PER_SECOND 1000
#define UNKNOWN_INTERVAL_NS (SECOND_NS / UNKNOWN_TO_KERNEL_PER_SECOND)

/* IPv6 extension headers that are skipped on the way to TCP. */
#define EXTENSION_HEADERS_MAX 4

/* Samples of dropped packets: how much of each, and memory for those that wait [octets]. */
#define SAMPLE_OCTETS_MAX 128
#define SAMPLES_OCTETS (256 * 1024)

/* Between two samples of one CPU, and of a burst of them altogether [nanoseconds]. */
#define SAMPLE_INTERVAL_NS (SECOND_NS / 256)
#define SAMPLE_BURST_NS (64 * SAMPLE_INTERVAL_NS)

/* struct control and the per-CPU counters are written by different CPUs. */
#define CACHE_LINE 64

#define IPV4_FRAGMENT_MASK 0x3fff /* more fragments | offset (RFC 791 §3.1) */
#define IPV6_FRAGMENT_MASK 0xfff9 /* offset | more fragments (RFC 8200 §4.5) */
#define IPV4_OFFSET_MASK 0x1fff

/* Ethernet with two tags. */
#define LINK_OCTETS_MAX (14 + 2 * 4)

/* XDP knows no longer ones: a page, less headroom. */
#define FRAME_OCTETS_MAX 4096

#define TCP_OCTETS_MIN 20
#define ICMP_OCTETS 8

#define TCP_FLAG_FIN 0x01
#define TCP_FLAG_SYN 0x02
#define TCP_FLAG_RST 0x04
#define TCP_FLAG_ACK 0x10
#define TCP_FLAG_ECE 0x40
#define TCP_FLAG_CWR 0x80

#define ICMPV4_UNREACHABLE 3   /* RFC 792, RFC 1191 §4 */
#define ICMPV6_UNREACHABLE 1   /* RFC 4443 §3.1 */
#define ICMPV6_PACKET_TOO_BIG 2 /* RFC 4443 §3.2 */

#endif
