/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Maps that the shield and the acceptor have in common. */
#ifndef RINGROAD_SHARED_MAPS_H
#define RINGROAD_SHARED_MAPS_H

#include <linux/bpf.h>
#include <linux/in.h>
#include <bpf/bpf_helpers.h>

#include "structs.h"

/* Read once, from memory: another CPU or the engine writes it. */
#define read_once(field) (*(const volatile typeof(field) *)&(field))
#define write_once(field, value) (*(volatile typeof(field) *)&(field) = (value))

/* Where services listen. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, SERVICE_ADDRESSES_MAX);
	__type(key, struct service_key);
	__type(value, struct service);
} services SEC(".maps");

/* Written by the engine with plain stores: see struct control. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct control);
} control SEC(".maps");

static __always_inline struct service_key service_key(const struct flow_key *flow)
{
	struct service_key key = {
		.address = flow->local,
		.ifindex = flow->ifindex,
		.port = flow->local_port,
		.protocol = IPPROTO_TCP,
	};

	return key;
}

static __always_inline const struct service *find_service(const struct flow_key *flow)
{
	struct service_key key = service_key(flow);

	return bpf_map_lookup_elem(&services, &key);
}

#endif
