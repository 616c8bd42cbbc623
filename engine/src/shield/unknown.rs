//! Segments of no connection that is known: `ebpf/bpf/unknown.h`.

use std::sync::Arc;

use ringroad_ebpf::SECOND_NS;
use ringroad_ebpf::limits::{PROVEN_FLOW_MEMORY, PROVEN_FLOWS_MAX, UNKNOWN_TO_KERNEL_PER_SECOND};

use super::cookie::{self, Keys};
use super::limits::FullAt;
use super::parse::{ACK, RST, SYN, Segment};
use super::recent::Recent;
use crate::flow::FlowKey;
use crate::time::Instant;
use crate::wire::tcp::{SeqNum, TcpHeader};

/// Connections that a cookie has just made, which the engine may not have said yet to be its own.
#[derive(Debug)]
pub(super) struct ProvenFlows(Recent<Proof>);

/// By which port a connection was proven, and when [ns].
#[derive(Clone, Copy, Debug, Default)]
struct Proof {
    port: u8,
    at_ns: u64,
}

impl ProvenFlows {
    pub(super) fn new(secret: &[u8; 16]) -> Self {
        ProvenFlows(Recent::new(PROVEN_FLOWS_MAX, secret))
    }

    pub(super) fn contains(&self, now: Instant, port: u8, flow: &FlowKey) -> bool {
        let memory_ns = PROVEN_FLOW_MEMORY.as_nanos() as u64;
        self.0.get(flow).is_some_and(|proof| {
            proof.port == port && now.as_nanos().saturating_sub(proof.at_ns) < memory_ns
        })
    }

    pub(super) fn insert(&mut self, now: Instant, port: u8, flow: &FlowKey) {
        if let Some(proof) = self.0.use_or_add(flow) {
            *proof = Proof { port, at_ns: now.as_nanos() };
        }
    }
}

/// A token bucket for what Linux gets to answer. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct UnknownLimit(Arc<FullAt>);

impl UnknownLimit {
    /// Whether Linux gets one more; if so, it has.
    pub(super) fn take(&self, now: Instant) -> bool {
        let paid = self.0.pay(now.as_nanos(), INTERVAL_NS, SECOND_NS);
        paid.into_iter().for_each(|at_ns| self.0.set(at_ns));
        paid.is_some()
    }
}

/// Whether the segment brings back a cookie.
pub(super) fn brings_cookie(keys: &Keys, segment: &Segment<'_>) -> bool {
    if segment.flags.is_none_or(|flags| flags & (SYN | ACK | RST) != ACK) {
        return false;
    }
    let Ok((header, _)) = TcpHeader::parse(segment.tcp) else { return false };
    let client_isn = SeqNum(header.sequence.0.wrapping_sub(1));
    let sequence = SeqNum(header.acknowledgment.0.wrapping_sub(1));
    let echoed = header.options.timestamps.map(|timestamps| timestamps.echo_reply);
    cookie::open(keys, &segment.flow(), client_isn, sequence, echoed).is_some()
}

const INTERVAL_NS: u64 = SECOND_NS / UNKNOWN_TO_KERNEL_PER_SECOND as u64;
