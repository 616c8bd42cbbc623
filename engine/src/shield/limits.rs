//! How many new connections a source may ask for: `ebpf/bpf/limits.h`.

use ringroad_ebpf::SourceLimit;
use ringroad_ebpf::limits::SOURCES_MAX;

use super::parse::Segment;
use super::recent::Recent;
use crate::flow::FlowKey;
use crate::time::Instant;

/// A token bucket for each source, in one word: the time at which it will be full again [ns].
#[derive(Debug)]
pub(super) struct SourceLimits {
    limit: SourceLimit,
    sources: Recent<u64>,
}

impl SourceLimits {
    pub(super) fn new(limit: SourceLimit, secret: &[u8; 16]) -> Self {
        SourceLimits { limit, sources: Recent::new(SOURCES_MAX, secret) }
    }

    /// Whether the source may ask for one more connection; if so, it has.
    pub(super) fn take(&mut self, now: Instant, segment: &Segment) -> bool {
        let mask = if segment.is_ipv4() { self.limit.mask_v4() } else { self.limit.mask_v6() };
        let source = (segment.source & mask).to_be_bytes();
        let key = FlowKey::from_ipv6(([0; 16], 0), (source, 0));
        let Some(full_at_ns) = self.sources.use_or_add(&key) else { return true };
        let now_ns = now.as_nanos();
        let then_full_at_ns = (*full_at_ns).max(now_ns) + self.limit.interval_ns();
        let is_within = then_full_at_ns - now_ns <= self.limit.burst_ns();
        if is_within {
            *full_at_ns = then_full_at_ns;
        }
        is_within
    }
}
