//! How much sources may send to services: `ebpf/bpf/limits.h`.
//!
//! The buckets are one for all lanes, as a source's packets come to any. Two lanes at the same ones may
//! count one packet for two, or give a place to two: that is a packet too many or too few, once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use ringroad_ebpf::limits::{BUCKET_SETS, BUCKETS_PER_SET};
use ringroad_ebpf::{
    Fingerprint, Masks, OCTET_INTERVAL_BITS, ProvenSources, RateLimit, RateLimits, SECOND_NS,
    Verdict,
};

use super::parse::Segment;
use crate::time::Instant;

/// The token buckets of all sources and prefixes. A bucket is a word: the time at which it will be
/// full again. Clones share them.
#[derive(Clone, Debug)]
pub(super) struct Limits {
    proven: ProvenSources,
    per_source: Tariff,
    per_prefix: Tariff,
    limits_packets: bool,
    unproven_syn_interval_ns: u64,
    unproven_full_at_ns: Arc<FullAt>,
}

/// What packets cost, and the buckets that pay for them.
#[derive(Clone, Debug)]
struct Tariff {
    costs: Costs,
    masks: Masks,
    sets: Arc<[BucketSet]>,
}

/// By how much longer a bucket takes to be full. Zero: nothing, no limit. See [`RateLimit`].
#[derive(Clone, Copy, Debug, Default)]
struct Costs {
    syn_interval_ns: u64,
    syn_burst_ns: u64,
    packet_interval_ns: u64,
    octet_interval: u64,
}

/// Places for all whose hash names this set, told apart by their tags.
#[derive(Debug, Default)]
struct BucketSet {
    tags: [AtomicU32; BUCKETS_PER_SET],
    buckets: [Buckets; BUCKETS_PER_SET],
}

/// Those of one source or prefix.
#[derive(Debug, Default)]
struct Buckets {
    syns: FullAt,
    packets: FullAt,
    octets: FullAt,
}

/// A bucket: when it will be full again [ns].
#[derive(Debug, Default)]
pub(super) struct FullAt(AtomicU64);

impl Limits {
    pub(super) fn new(limits: &RateLimits, proven: ProvenSources) -> Self {
        Limits {
            proven,
            per_source: Tariff::new(limits.per_source, limits.source_masks()),
            per_prefix: Tariff::new(limits.per_prefix, limits.prefix_masks()),
            limits_packets: limits.limits_packets(),
            unproven_syn_interval_ns: limits.unproven_syn_interval_ns(),
            unproven_full_at_ns: Arc::default(),
        }
    }

    /// Whether any limit is on such packets.
    #[inline]
    pub(super) fn concern(&self, is_syn: bool) -> bool {
        is_syn || self.limits_packets
    }

    /// Why a packet to a service is too much; otherwise it is paid for, and a SYN for the connection
    /// that it opens as well.
    #[inline]
    pub(super) fn charge(
        &self,
        now: Instant,
        segment: &Segment,
        octets: usize,
        is_syn: bool,
        evicted: &mut u64,
    ) -> Result<(), Verdict> {
        let now_ns = now.as_nanos();
        let source = self.proven.fingerprint(&self.per_source.prefix_of(segment));
        let is_proven = self.proven.contains(source);
        let mut unproven_at = None;
        if is_syn && !is_proven {
            let cost_ns = self.unproven_syn_interval_ns;
            let paid = self.unproven_full_at_ns.pay(now_ns, cost_ns, SECOND_NS);
            unproven_at = Some(paid.ok_or(Verdict::CapLimited)?);
        }
        let (tariff, prefix) = match is_proven {
            true => (&self.per_source, source),
            false => {
                let prefix = self.proven.fingerprint(&self.per_prefix.prefix_of(segment));
                (&self.per_prefix, prefix)
            }
        };
        let costs = &tariff.costs;
        let buckets = tariff.buckets(prefix, now_ns, evicted);
        let mut syns_at = None;
        if is_syn {
            let paid = buckets.syns.pay(now_ns, costs.syn_interval_ns, costs.syn_burst_ns);
            let limited = if is_proven { Verdict::RateLimited } else { Verdict::PrefixLimited };
            syns_at = Some(paid.ok_or(limited)?);
        }
        if self.limits_packets {
            buckets.charge_packet(costs, octets, now_ns)?;
        }
        syns_at.into_iter().for_each(|at_ns| buckets.syns.set(at_ns));
        unproven_at.into_iter().for_each(|at_ns| self.unproven_full_at_ns.set(at_ns));
        Ok(())
    }
}

impl Tariff {
    fn new(limit: Option<RateLimit>, masks: Masks) -> Self {
        let costs = limit.map_or_else(Costs::default, |limit| Costs {
            syn_interval_ns: limit.syn_interval_ns(),
            syn_burst_ns: limit.syn_burst_ns(),
            packet_interval_ns: limit.packet_interval_ns(),
            octet_interval: limit.octet_interval(),
        });
        Tariff { costs, masks, sets: (0..BUCKET_SETS).map(|_| BucketSet::default()).collect() }
    }

    #[inline]
    fn prefix_of(&self, segment: &Segment) -> [u32; 4] {
        self.masks.prefix_of(segment.source, segment.is_ipv4())
    }

    #[inline]
    fn buckets(&self, prefix: Fingerprint, now_ns: u64, evicted: &mut u64) -> &Buckets {
        let (place, tag) = prefix.halves();
        let set = &self.sets[place as usize % BUCKET_SETS];
        // A place that was never used has full buckets, whatever tag it is found by.
        match set.tags.iter().position(|present| present.load(Ordering::Relaxed) == tag) {
            Some(place) => &set.buckets[place],
            None => set.replace(tag, now_ns, evicted),
        }
    }
}

impl BucketSet {
    /// Of the places the one that is full first. If it is full already, which it is most often,
    /// nothing is forgotten with it.
    fn replace(&self, tag: u32, now_ns: u64, evicted: &mut u64) -> &Buckets {
        let mut first = 0;
        for place in 1..BUCKETS_PER_SET {
            if self.buckets[place].all_full_at_ns() < self.buckets[first].all_full_at_ns() {
                first = place;
            }
        }
        let buckets = &self.buckets[first];
        *evicted += u64::from(buckets.all_full_at_ns() > now_ns);
        self.tags[first].store(tag, Ordering::Relaxed);
        [&buckets.syns, &buckets.packets, &buckets.octets].iter().for_each(|bucket| bucket.set(0));
        buckets
    }
}

impl Buckets {
    /// When the last of them is full.
    fn all_full_at_ns(&self) -> u64 {
        self.syns.get().max(self.packets.get()).max(self.octets.get())
    }

    /// Why a packet is too much; otherwise it is paid for.
    fn charge_packet(&self, costs: &Costs, octets: usize, now_ns: u64) -> Result<(), Verdict> {
        let octets_ns = (octets as u64 * costs.octet_interval) >> OCTET_INTERVAL_BITS;
        let packets_at = self.packets.pay(now_ns, costs.packet_interval_ns, SECOND_NS);
        let packets_at = packets_at.ok_or(Verdict::PacketsLimited)?;
        let octets_at = self.octets.pay(now_ns, octets_ns, SECOND_NS);
        self.octets.set(octets_at.ok_or(Verdict::BytesLimited)?);
        self.packets.set(packets_at);
        Ok(())
    }
}

impl FullAt {
    /// When it will be full again if it pays so much, if it can. It has not yet.
    #[inline]
    pub(super) fn pay(&self, now_ns: u64, cost_ns: u64, burst_ns: u64) -> Option<u64> {
        pay(self.get(), now_ns, cost_ns, burst_ns)
    }

    #[inline]
    pub(super) fn set(&self, at_ns: u64) {
        self.0.store(at_ns, Ordering::Relaxed);
    }

    #[inline]
    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// When a bucket will be full again that pays so much, if it can. What costs nothing is always paid:
/// a full bucket may be so by the clock of another lane, which is ahead.
#[inline]
pub(super) fn pay(full_at_ns: u64, now_ns: u64, cost_ns: u64, burst_ns: u64) -> Option<u64> {
    let full_at_ns = full_at_ns.max(now_ns) + cost_ns;
    (cost_ns == 0 || full_at_ns - now_ns <= burst_ns).then_some(full_at_ns)
}
