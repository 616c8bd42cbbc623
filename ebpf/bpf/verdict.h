/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Whose a segment is, and whether its owner can have it. Falls open: whatever is in doubt is the
 * kernel's, and a connection that the kernel was given stays with it. Of what is sent to us, what
 * cannot be right, is denied or is too much is dropped first.
 */
#ifndef RINGROAD_VERDICT_H
#define RINGROAD_VERDICT_H

#include "answer.h"
#include "clock.h"
#include "fingerprints.h"
#include "limits.h"
#include "lists.h"
#include "maps.h"
#include "parse.h"
#include "pressure.h"
#include "sanity.h"
#include "services.h"
#include "sockets.h"
#include "unknown.h"

/* What the segment's local address and port mean on this interface. */
struct owner {
	__u32 port_index;
	__u32 service_index;
	__u8 is_service;
	/* Whether the connection may be one of the engine's: FINGERPRINT_CROWDED. */
	__u8 may_be_known;
};

static __always_inline int is_service(const struct control *control, const struct flow_key *flow,
				      struct owner *owner)
{
	const struct service *found = find_service_at_hand(control, flow);

	if (!found)
		return 0;
	owner->port_index = found->port_index;
	owner->service_index = found->service_index;
	owner->is_service = 1;
	return 1;
}

static __always_inline int is_egress(const struct flow_key *flow, struct owner *owner)
{
	struct egress_key key = { .address = flow->local, .ifindex = flow->ifindex };
	struct egress *found = bpf_map_lookup_elem(&egress, &key);
	__u16 port = bpf_ntohs(flow->local_port);
	__u32 i;

	if (!found)
		return 0;
	for (i = 0; i < EGRESS_RANGES_MAX; i++) {
		if (i >= found->range_count)
			return 0;
		if (port >= found->ranges[i].first && port <= found->ranges[i].last) {
			owner->port_index = found->port_index;
			return 1;
		}
	}
	return 0;
}

static __always_inline int is_ours(const struct control *control, const struct flow_key *flow,
				   struct owner *owner)
{
	return is_service(control, flow, owner) || is_egress(flow, owner);
}

static __always_inline int is_new_connection(const struct segment *segment)
{
	return (segment->flags & (TCP_FLAG_SYN | TCP_FLAG_ACK | TCP_FLAG_RST)) == TCP_FLAG_SYN;
}

/* Signed, as the engine's clock is ahead of the tick's. Zero: it never looked at it. */
static __always_inline int is_stale(const struct control *control, const struct heartbeat *heartbeat)
{
	__u64 at = read_once(heartbeat->at_ns);

	return !at || (__s64)(tick_ns() - at) > (__s64)control->heartbeat_limit_ns;
}

/*
 * Whether any connection of the kernel's may still be alive; if not, none is looked for. The
 * heartbeat stands in for the clock.
 */
static __always_inline int kernel_flows_live(const struct control *control,
					     const struct heartbeat *heartbeat)
{
	__u64 seen = read_once(control->kernel_flow_seen_ns);

	return seen && (__s64)(read_once(heartbeat->at_ns) - seen) < (__s64)KERNEL_FLOW_MEMORY_NS;
}

static __always_inline void kernel_flow_seen(struct control *control)
{
	__u64 now = tick_ns();

	if (now - read_once(control->kernel_flow_seen_ns) > KERNEL_FLOW_REFRESH_NS)
		write_once(control->kernel_flow_seen_ns, now);
}

/*
 * The index of the port that a connection of the engine's comes by; see find_fingerprint(). A stale
 * heartbeat changes nothing for one that is known: its state is the engine's, and it may only be
 * late.
 */
static __always_inline int known_port(const struct flow_key *flow)
{
	return find_fingerprint(&known_flows, (const __u32 *)flow, sizeof(*flow) / sizeof(__u32));
}

/*
 * Of a connection whose ends begin another while the engine is away, which is the kernel's. A
 * function by itself: it happens to few, and takes much room.
 */
static __noinline int forget_known(const struct flow_key *flow)
{
	drop_fingerprint(&known_flows, (const __u32 *)flow, sizeof(*flow) / sizeof(__u32));
	return 0;
}

/* The kernel gets this new connection, and with it all that follows. A SYN sent again is no news. */
static __always_inline enum verdict fall_open(struct control *control, const struct flow_key *flow,
					      __u32 service_index, enum verdict why)
{
	__u8 present = 1;

	if (!bpf_map_update_elem(&kernel_flows, flow, &present, BPF_NOEXIST) &&
	    service_index < SERVICES_MAX)
		__sync_fetch_and_add(&control->fell_back[service_index], 1);
	forget_known(flow);
	kernel_flow_seen(control);
	return why;
}

/*
 * Whether a connection between the ends of a SYN was given to the kernel and is still there: then it is
 * the kernel that says what becomes of it (RFC 5961 section 4), whoever has sent the SYN. One that has
 * ended makes room for the engine's. Who was given none costs no question.
 */
static __always_inline int remains_kernels(struct xdp_md *ctx, struct control *control,
					   const struct flow_key *flow)
{
	if (!bpf_map_lookup_elem(&kernel_flows, flow))
		return 0;
	if (kernel_has(ctx, flow)) {
		kernel_flow_seen(control);
		return 1;
	}
	bpf_map_delete_elem(&kernel_flows, flow);
	return 0;
}

static __always_inline enum verdict to_engine(__u32 socket, int *action)
{
	*action = bpf_redirect_map(&xsks, socket, XDP_PASS);
	return *action == XDP_REDIRECT ? VERDICT_TO_ENGINE : VERDICT_NO_SOCKET;
}

/* Why the lane of a queue does not have a new connection, or GO_ON. */
static __always_inline enum verdict declined(const struct control *control,
					     const struct heartbeat *heartbeat,
					     __u32 service_index, __u32 socket)
{
	__u32 queue = socket % QUEUES_MAX;

	if (!read_once(control->accepting[queue][service_index]))
		return VERDICT_NOT_ACCEPTING;
	if (is_stale(control, heartbeat))
		return VERDICT_STALE;
	return bpf_map_lookup_elem(&xsks, &socket) ? GO_ON : VERDICT_NO_SOCKET;
}

/*
 * Who gets a new connection, or that it is to be answered: for the kernel as well, if a listener
 * there opens the cookie. So a flood costs no more while the engine is away.
 */
static __always_inline enum verdict new_connection(struct xdp_md *ctx, struct control *control,
						   const struct heartbeat *heartbeat,
						   const struct segment *segment,
						   const struct owner *owner, __u32 socket,
						   int *action)
{
	const struct flow_key *flow = &segment->flow;
	__u32 service_index = owner->service_index;
	enum verdict why;
	int answers;

	if (service_index >= SERVICES_MAX)
		return VERDICT_NOT_OURS;
	answers = answers_now(&control->cookie_services[service_index], heartbeat);
	why = declined(control, heartbeat, service_index, socket);
	/*
	 * Anybody may have sent it: the engine ends its connection between these ends, or does not; and
	 * it alone knows by what number it has answered the SYN before, if it is one sent again. So may
	 * every other segment of the connection come, which costs as much.
	 */
	if ((why == GO_ON || (why == VERDICT_NOT_ACCEPTING && !is_stale(control, heartbeat))) &&
	    known_port(flow) >= 0)
		return to_engine(socket, action);
	if (why != GO_ON) {
		if (answers && read_once(control->cookie_keys.kernel_opens) &&
		    kernel_listens(ctx, flow))
			return VERDICT_ANSWERED;
		return fall_open(control, flow, service_index, why);
	}
	if (kernel_flows_live(control, heartbeat) && remains_kernels(ctx, control, flow))
		return VERDICT_KERNEL_FLOW;
	count_new_connection(control, socket);
	return answers ? VERDICT_ANSWERED : to_engine(socket, action);
}

/*
 * Zero, and the frame as it was, if it cannot be answered. A function by itself: the verifier looks
 * at such once, and what an answer takes of the stack is not taken from the rest.
 */
__noinline int answer_new(struct xdp_md *ctx, const struct segment *segment, __u32 service_index)
{
	__u32 zero = 0;
	const struct control *state = bpf_map_lookup_elem(&control, &zero);

	if (!segment || !state || service_index >= SERVICES_MAX)
		return 0;
	return answer(ctx, segment, &state->cookie_services[service_index], &state->cookie_keys);
}

/*
 * A veth hands what it is to send back to its peer, and wakes that only if it has an XDP program of
 * its own. Else the frames fill the peer's ring, and nothing gets through any more. A redirect to the
 * interface that they came by costs more, and wakes it in any case.
 */
static __always_inline int answer_leaves(struct xdp_md *ctx, const struct control *control)
{
	return read_once(control->redirect_answers) ? bpf_redirect(ctx->ingress_ifindex, 0) : XDP_TX;
}

/*
 * A segment that brings a cookie makes a new connection. It and those behind it pass until the
 * engine says that it has it. GO_ON: none of this.
 */
static __always_inline enum verdict proven_connection(struct xdp_md *ctx, struct control *control,
						      const struct heartbeat *heartbeat,
						      const struct segment *segment,
						      __u32 service_index, __u32 socket,
						      int *action)
{
	const struct flow_key *flow = &segment->flow;
	enum verdict why;

	if (service_index >= SERVICES_MAX ||
	    read_once(control->cookie_services[service_index].mode) == COOKIES_OFF)
		return GO_ON;
	if (is_proven(heartbeat, flow))
		return to_engine(socket, action);
	if (!brings_cookie(ctx, control, segment))
		return GO_ON;
	why = declined(control, heartbeat, service_index, socket);
	if (why != GO_ON)
		return fall_open(control, flow, service_index, why);
	remember_proven(heartbeat, flow);
	return to_engine(socket, action);
}

/*
 * A segment that opens nothing, of a connection that the engine has not said to be its own. What
 * follows a SYN to the kernel goes there too.
 *
 * A function by itself, so that the way of known connections stays short.
 */
static __noinline enum verdict other_segment(struct xdp_md *ctx, const struct segment *segment,
					     const struct owner *owner, int *action)
{
	const struct flow_key *flow = &segment->flow;
	__u32 queue = ctx->rx_queue_index, zero = 0;
	__u32 socket = owner->port_index * QUEUES_MAX + queue;
	struct control *state = bpf_map_lookup_elem(&control, &zero);
	const struct heartbeat *heartbeat;
	enum verdict verdict = GO_ON;

	if (!state || queue >= QUEUES_MAX)
		return VERDICT_NO_SOCKET;
	heartbeat = &state->heartbeats[queue];
	if (owner->is_service && kernel_flows_live(state, heartbeat) &&
	    bpf_map_lookup_elem(&kernel_flows, flow)) {
		kernel_flow_seen(state);
		return VERDICT_KERNEL_FLOW;
	}
	/* A SYN from an origin was not looked up before. */
	if (owner->may_be_known ||
	    (is_new_connection(segment) && known_port(flow) != FINGERPRINT_ABSENT))
		return to_engine(socket, action);
	if (owner->is_service)
		verdict = proven_connection(ctx, state, heartbeat, segment, owner->service_index,
					    socket, action);
	if (verdict != GO_ON)
		return verdict;
	verdict = judge_unknown(state, heartbeat, segment);
	if (verdict == VERDICT_UNKNOWN_DROPPED)
		*action = XDP_DROP;
	return verdict;
}

/* Ports are in the first fragment alone, so that all to a service's address have one fate. */
static __always_inline int drops_fragment(const struct segment *segment)
{
	struct egress_key key = { .address = segment->flow.local, .ifindex = segment->flow.ifindex };

	return segment->is_fragment && bpf_map_lookup_elem(&unfragmented, &key);
}

/*
 * Why a packet is too much, or GO_ON, as it is for all that origins send. A function by itself: most
 * have no limits, and need not keep room for it on the stack.
 */
static __noinline enum verdict charge_client(struct control *control,
					     const struct heartbeat *heartbeat,
					     const struct segment *segment, struct owner *owner,
					     __u64 octets)
{
	int is_new = is_new_connection(segment);

	/* Of a connection of the engine's it is not known yet which end of it we are. */
	if (!owner->is_service && !is_service(control, &segment->flow, owner))
		return GO_ON;
	return charge(control, heartbeat, segment, octets, is_new);
}

/* Why a packet to us is dropped whoever would have it, or GO_ON. */
static __always_inline enum verdict refuse(struct control *control,
					   const struct heartbeat *heartbeat,
					   const struct segment *segment, __u64 octets,
					   struct owner *owner, int is_new)
{
	__u64 limited = read_once(control->limited);
	enum verdict verdict = check_sanity(segment);
	__u8 list;

	if (verdict != GO_ON)
		return verdict;
	list = listed(control, segment);
	if (list == LISTED_DENY)
		return VERDICT_DENIED;
	if (!(limited & (is_new ? LIMITED_SYNS : LIMITED_PACKETS)) || list == LISTED_ALLOW)
		return GO_ON;
	return charge_client(control, heartbeat, segment, owner, octets);
}

/*
 * The verdict on a packet. `action` is set to what the driver is to do when it is not to pass, and
 * `service_index` if it is for a service; where the engine's connection is known nobody asks.
 */
static __always_inline enum verdict decide(struct xdp_md *ctx, __u32 *service_index, int *action)
{
	void *frame = (void *)(long)ctx->data;
	struct cursor cursor = { frame, frame, (void *)(long)ctx->data_end, 0 };
	__u64 octets = octets_left(&cursor);
	struct segment segment = {};
	struct owner owner = {};
	__u32 queue = ctx->rx_queue_index;
	__u32 zero = 0;
	struct heartbeat *heartbeat;
	struct control *state;
	enum verdict verdict;
	__u32 socket;
	int known, is_new;

	verdict = parse(ctx, &cursor, &segment);
	segment.flow.ifindex = ctx->ingress_ifindex;
	if (verdict == VERDICT_FRAGMENT && drops_fragment(&segment)) {
		*action = XDP_DROP;
		return VERDICT_FRAGMENT_DROPPED;
	}
	if (verdict != GO_ON)
		return verdict;
	state = bpf_map_lookup_elem(&control, &zero);
	if (!state)
		return VERDICT_NO_SOCKET;
	is_new = is_new_connection(&segment);
	known = is_new ? FINGERPRINT_ABSENT : known_port(&segment.flow);
	if (known >= 0)
		owner.port_index = known;
	else if (!is_ours(state, &segment.flow, &owner))
		return VERDICT_NOT_OURS;
	if (owner.is_service)
		*service_index = owner.service_index;
	if (queue >= QUEUES_MAX)
		return VERDICT_NO_SOCKET;
	heartbeat = &state->heartbeats[queue];
	is_new = is_new && owner.is_service;
	verdict = refuse(state, heartbeat, &segment, octets, &owner, is_new);
	if (verdict != GO_ON) {
		*action = XDP_DROP;
		return verdict;
	}

	socket = owner.port_index * QUEUES_MAX + queue;
	if (known >= 0)
		return to_engine(socket, action);
	if (is_new) {
		verdict = new_connection(ctx, state, heartbeat, &segment, &owner, socket, action);
		if (verdict != VERDICT_ANSWERED)
			return verdict;
		if (!answer_new(ctx, &segment, owner.service_index))
			return to_engine(socket, action);
		*action = answer_leaves(ctx, state);
		return VERDICT_ANSWERED;
	}
	owner.may_be_known = known == FINGERPRINT_CROWDED;
	return other_segment(ctx, &segment, &owner, action);
}

#endif
