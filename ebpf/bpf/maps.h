/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#ifndef RINGROAD_MAPS_H
#define RINGROAD_MAPS_H

#include "shared_maps.h"

/* See services.h. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1 << SERVICES_MET_BITS);
	__type(key, __u32);
	__type(value, struct met_service);
} services_met SEC(".maps");

/* Where the engine connects from. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, EGRESS_ADDRESSES_MAX);
	__type(key, struct egress_key);
	__type(value, struct egress);
} egress SEC(".maps");

/* Services' addresses where fragments are dropped; none where they are the kernel's. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, SERVICE_ADDRESSES_MAX);
	__type(key, struct egress_key);
	__type(value, __u8);
} unfragmented SEC(".maps");

/* The engine's sockets, at port index * QUEUES_MAX + receive queue. */
struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, SOCKETS_MAX);
	__type(key, __u32);
	__type(value, __u32);
} xsks SEC(".maps");

/* Connections whose SYN went to the kernel: what follows goes there too. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, KERNEL_FLOWS_MAX);
	__type(key, struct flow_key);
	__type(value, __u8);
} kernel_flows SEC(".maps");

/*
 * Fingerprints of the engine's connections, with the index of the port that each comes by. Written
 * by the engine with plain stores, and as large as it says when it loads the program.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, struct fingerprint_bucket);
} known_flows SEC(".maps");

/* When connections were last proven by a cookie, since which the engine has them [ns]. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, PROVEN_FLOWS_MAX);
	__type(key, struct flow_key);
	__type(value, __u64);
} proven_flows SEC(".maps");

/* Sources that are denied or allowed: LISTED_DENY, LISTED_ALLOW. The longest prefix counts. */
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, LIST_PREFIXES_MAX);
	__type(key, struct prefix_v4);
	__type(value, __u8);
} lists_v4 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, LIST_PREFIXES_MAX);
	__type(key, struct prefix_v6);
	__type(value, __u8);
} lists_v6 SEC(".maps");

/* Fingerprints of sources that have completed a handshake. Written by the engine. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, struct fingerprint_bucket);
} proven_sources SEC(".maps");

/* The sets of the sources' token buckets, then those of the prefixes. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2 * BUCKET_SETS);
	__type(key, __u32);
	__type(value, struct bucket_set);
} bucket_sets SEC(".maps");

/* See clock.h. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct tick);
} ticks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct counters);
} counters SEC(".maps");

/* By service index. As many as the services that the engine names when it loads the program. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct service_counters);
} service_counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct sampler);
} samplers SEC(".maps");

/* struct sample, one after another. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, SAMPLES_OCTETS);
} samples SEC(".maps");

#endif
