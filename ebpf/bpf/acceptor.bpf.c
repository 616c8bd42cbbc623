// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * Has a listener in Linux accept the shield's cookies: a connection that the shield answered and
 * then left to Linux opens there as if Linux had answered it. Behind the shield, in Linux's own
 * receive path, as only there is a packet what Linux can be given a half-open connection with.
 *
 * Every packet goes on to Linux. To what proves no cookie Linux says what it always says.
 */
#define PACKET struct __sk_buff

#include <linux/bpf.h>
#include <linux/errno.h>
#include <linux/pkt_cls.h>

#include "open.h"
#include "shared_maps.h"
#include "sockets.h"

/* All headers of a segment that is worth looking at [octets]. */
#define HEADERS_OCTETS_MAX 256

/* As the kernel declares it (6.9). Each `_ok` says whether both sides have agreed to it. */
struct bpf_tcp_req_attrs {
	__u32 rcv_tsval;
	__u32 rcv_tsecr;
	__u16 mss;
	__u8 rcv_wscale;
	__u8 snd_wscale;
	__u8 ecn_ok;
	__u8 wscale_ok;
	__u8 sack_ok;
	__u8 tstamp_ok;
	__u8 usec_ts_ok;
	__u8 reserved[3];
};

/* Only pointed at; declared alone it would be no structure to libbpf. */
struct sock {
};

/* Gives the packet to a listener as the last of a handshake with these results. */
extern int bpf_sk_assign_tcp_reqsk(struct __sk_buff *skb, struct sock *listener,
				   struct bpf_tcp_req_attrs *attrs, int attrs__sz) __ksym;

/* Linux may keep all but the first octets of a packet elsewhere. */
static __always_inline void gather_headers(struct __sk_buff *skb)
{
	__u32 wanted = skb->len < HEADERS_OCTETS_MAX ? skb->len : HEADERS_OCTETS_MAX;

	if ((void *)(long)skb->data + wanted > (void *)(long)skb->data_end)
		bpf_skb_pull_data(skb, wanted);
}

static __always_inline int parse_skb(struct __sk_buff *skb, struct segment *segment)
{
	void *frame = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	struct cursor cursor = { frame, frame, end, skb->len - (end - frame) };
	int parsed = parse(skb, &cursor, segment) == GO_ON && !segment->is_error;

	segment->flow.ifindex = skb->ifindex;
	return parsed;
}

/* The kernel's error, if any. */
static __always_inline int assign(struct __sk_buff *skb, const struct flow_key *flow,
				  struct bpf_tcp_req_attrs *attrs)
{
	struct bpf_sock *found = find_socket(skb, flow);
	struct sock *listener = NULL;
	int error = 0;

	if (!found)
		return 0;
	if (found->state == BPF_TCP_LISTEN)
		listener = (struct sock *)bpf_skc_to_tcp_sock(found);
	if (listener) {
		error = bpf_sk_assign_tcp_reqsk(skb, listener, attrs, sizeof(*attrs));
		/* It may be that Linux does no SACK: a client can do without. */
		if (error && attrs->sack_ok) {
			attrs->sack_ok = 0;
			error = bpf_sk_assign_tcp_reqsk(skb, listener, attrs, sizeof(*attrs));
		}
	}
	bpf_sk_release(found);
	return error;
}

static __always_inline void accept(struct __sk_buff *skb, const struct segment *segment,
				   const struct service *service, struct control *control)
{
	struct timestamps timestamps = read_timestamps(skb, segment);
	struct bpf_tcp_req_attrs attrs = {};
	struct cookie_options options;

	if (service->service_index >= SERVICES_MAX ||
	    !open_segment(&control->cookie_keys, segment, &timestamps, &options))
		return;
	attrs.mss = options.mss;
	attrs.sack_ok = options.sack;
	/* The answer has agreed to it, so Linux has to. */
	attrs.ecn_ok = options.ecn;
	if (options.window_scale != WINDOW_SCALE_NONE) {
		attrs.wscale_ok = 1;
		attrs.snd_wscale = options.window_scale;
		attrs.rcv_wscale =
			control->cookie_services[service->service_index].scale_and_ecn &
			SERVICE_WINDOW_SCALE;
	}
	if (options.timestamps) {
		attrs.tstamp_ok = 1;
		attrs.rcv_tsval = timestamps.value;
		attrs.rcv_tsecr = timestamps.echoed;
	}
	/*
	 * A listener of Multipath TCP, or a Linux that does no timestamps or no window scaling, which
	 * a client that was promised them relies on. It is no use to answer for it.
	 */
	if (assign(skb, &segment->flow, &attrs) == -EINVAL)
		write_once(control->cookie_keys.kernel_opens, 0);
}

SEC("tcx/ingress")
int ringroad_accept(struct __sk_buff *skb)
{
	const struct service *service;
	struct control *state;
	struct segment segment = {};
	__u32 zero = 0;

	gather_headers(skb);
	if (!parse_skb(skb, &segment) || !may_prove_cookie(&segment))
		return TC_ACT_UNSPEC;
	service = find_service(&segment.flow);
	state = bpf_map_lookup_elem(&control, &zero);
	if (service && state)
		accept(skb, &segment, service, state);
	return TC_ACT_UNSPEC;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
