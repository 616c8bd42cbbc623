//! What the program counted.

use std::mem::size_of;
use std::sync::Arc;

use libbpf_rs::{MapCore as _, MapFlags, MapHandle};

use crate::skeleton::types;
use crate::{ShieldError, abi};

/// What became of a packet; in the order of `enum verdict` in `bpf/structs.h`. What was not dropped
/// was left to the kernel, but for [`Verdict::ToEngine`] and [`Verdict::Answered`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// Redirected to the socket of its queue.
    ToEngine,
    /// New connection: turned round and sent back as its answer.
    Answered,
    /// Nothing that the engine serves.
    NotOurs,
    /// New connection: the lane's heartbeat was too old.
    Stale,
    /// New connection: the engine took none for the service.
    NotAccepting,
    /// The engine had no socket on the queue.
    NoSocket,
    /// Part of a connection that the kernel was given.
    KernelFlow,
    /// A fragment.
    Fragment,
    /// IPv6 extension headers that were too many or not simple.
    Extension,
    /// Lengths that contradict each other.
    Malformed,
    /// Dropped: TCP flags that no connection sends.
    BadFlags,
    /// Dropped: from the very address and port that it was sent to.
    Land,
    /// Dropped: from an address that no host sends from.
    BadSource,
    /// Dropped: from a source that the operator denies.
    Denied,
    /// Dropped: a new connection beyond the rate of its source.
    RateLimited,
    /// Dropped: a new connection beyond the rate of all unproven sources of its prefix.
    PrefixLimited,
    /// Dropped: a new connection beyond the rate of all unproven sources.
    CapLimited,
    /// Dropped: beyond the packets that its source may send, or its prefix.
    PacketsLimited,
    /// Dropped: beyond the octets that its source may send, or its prefix.
    BytesLimited,
    /// Dropped: a fragment of TCP to a service's address, by the operator's policy.
    FragmentDropped,
    /// Of no connection that is known.
    Unknown,
    /// Dropped: of no connection that is known, by the operator's policy or as one too many.
    UnknownDropped,
}

impl Verdict {
    pub const ALL: [Verdict; 22] = [
        Verdict::ToEngine,
        Verdict::Answered,
        Verdict::NotOurs,
        Verdict::Stale,
        Verdict::NotAccepting,
        Verdict::NoSocket,
        Verdict::KernelFlow,
        Verdict::Fragment,
        Verdict::Extension,
        Verdict::Malformed,
        Verdict::BadFlags,
        Verdict::Land,
        Verdict::BadSource,
        Verdict::Denied,
        Verdict::RateLimited,
        Verdict::PrefixLimited,
        Verdict::CapLimited,
        Verdict::PacketsLimited,
        Verdict::BytesLimited,
        Verdict::FragmentDropped,
        Verdict::Unknown,
        Verdict::UnknownDropped,
    ];

    /// As in the ledger.
    pub const fn name(self) -> &'static str {
        match self {
            Verdict::ToEngine => "to_engine",
            Verdict::Answered => "answered",
            Verdict::NotOurs => "not_ours",
            Verdict::Stale => "fallback_stale",
            Verdict::NotAccepting => "fallback_not_accepting",
            Verdict::NoSocket => "fallback_no_socket",
            Verdict::KernelFlow => "kernel_flow",
            Verdict::Fragment => "fragment",
            Verdict::Extension => "extension_header",
            Verdict::Malformed => "malformed",
            Verdict::BadFlags => "bad_flags",
            Verdict::Land => "land",
            Verdict::BadSource => "bad_source",
            Verdict::Denied => "denied",
            Verdict::RateLimited => "rate_limited",
            Verdict::PrefixLimited => "prefix_limited",
            Verdict::CapLimited => "cap_limited",
            Verdict::PacketsLimited => "packets_limited",
            Verdict::BytesLimited => "bytes_limited",
            Verdict::FragmentDropped => "fragment_dropped",
            Verdict::Unknown => "unknown",
            Verdict::UnknownDropped => "unknown_dropped",
        }
    }

    /// Whether samples are taken of such packets: it is dropped, or belongs to no connection.
    pub const fn is_refusal(self) -> bool {
        self.is_drop() || matches!(self, Verdict::Unknown)
    }

    /// Whether the packet ended here.
    pub const fn is_drop(self) -> bool {
        matches!(
            self,
            Verdict::BadFlags
                | Verdict::Land
                | Verdict::BadSource
                | Verdict::Denied
                | Verdict::RateLimited
                | Verdict::PrefixLimited
                | Verdict::CapLimited
                | Verdict::PacketsLimited
                | Verdict::BytesLimited
                | Verdict::FragmentDropped
                | Verdict::UnknownDropped
        )
    }
}

const _: () = assert!(size_of::<types::counters>() == 8 * (2 + Verdict::ALL.len()));

/// Packets counted since the program was loaded, over all CPUs and interfaces.
///
/// `received` equals the sum of all verdicts, up to packets that were under way while it was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShieldCounters {
    /// All that the program saw.
    pub received: u64,
    /// Token buckets that gave way to others' before they were full; see
    /// [`crate::limits::BUCKET_SETS`].
    pub buckets_evicted: u64,
    by_verdict: [u64; Verdict::ALL.len()],
}

impl ShieldCounters {
    /// Counts one packet. For the program's twin in software: what the program counts is read.
    #[inline]
    pub fn count(&mut self, verdict: Verdict) {
        self.received += 1;
        self.by_verdict[verdict as usize] += 1;
    }

    /// Adds what another instance counted.
    pub fn add(&mut self, other: &ShieldCounters) {
        self.received += other.received;
        self.buckets_evicted += other.buckets_evicted;
        self.add_verdicts(&other.by_verdict);
    }

    fn add_verdicts(&mut self, verdicts: &[u64; Verdict::ALL.len()]) {
        for (sum, count) in self.by_verdict.iter_mut().zip(verdicts) {
            *sum += count;
        }
    }

    pub fn of(&self, verdict: Verdict) -> u64 {
        self.by_verdict[verdict as usize]
    }

    pub fn to_engine(&self) -> u64 {
        self.of(Verdict::ToEngine)
    }

    /// Answered on the spot; neither the engine nor the kernel saw them.
    pub fn answered(&self) -> u64 {
        self.of(Verdict::Answered)
    }

    /// Left to the kernel, for whatever reason.
    pub fn passed(&self) -> u64 {
        let others = self.to_engine() + self.answered() + self.dropped();
        self.by_verdict.iter().sum::<u64>() - others
    }

    /// Dropped, for whatever reason.
    pub fn dropped(&self) -> u64 {
        self.drops().map(|(_, count)| count).sum()
    }

    /// The reasons for drops, with their counts.
    pub fn drops(&self) -> impl Iterator<Item = (Verdict, u64)> + '_ {
        self.iter().filter(|(verdict, _)| verdict.is_drop())
    }

    pub fn iter(&self) -> impl Iterator<Item = (Verdict, u64)> + '_ {
        Verdict::ALL.into_iter().map(|verdict| (verdict, self.of(verdict)))
    }
}

/// Reads the counters of a shield, from any thread, also after it is gone.
#[derive(Clone, Debug)]
pub struct CountersReader {
    all: Arc<MapHandle>,
    by_service: Arc<MapHandle>,
}

impl CountersReader {
    pub(crate) fn new(all: MapHandle, by_service: MapHandle) -> Self {
        CountersReader { all: Arc::new(all), by_service: Arc::new(by_service) }
    }

    /// One system call.
    pub fn read(&self) -> Result<ShieldCounters, ShieldError> {
        let mut total = ShieldCounters::default();
        for octets in by_cpu(&self.all, 0)? {
            let Some(counted) = abi::from_octets::<types::counters>(&octets) else { continue };
            total.received += counted.received;
            total.buckets_evicted += counted.buckets_evicted;
            total.add_verdicts(&counted.verdicts);
        }
        Ok(total)
    }

    /// What was decided on packets for a service, but for those of connections that the engine was
    /// known to have. One system call.
    pub fn of_service(&self, service_index: u32) -> Result<ShieldCounters, ShieldError> {
        let mut total = ShieldCounters::default();
        for octets in by_cpu(&self.by_service, service_index)? {
            if let Some(counted) = abi::from_octets::<types::service_counters>(&octets) {
                total.add_verdicts(&counted.verdicts);
            }
        }
        total.received = total.by_verdict.iter().sum();
        Ok(total)
    }
}

/// The values of one index; none beyond the end.
fn by_cpu(map: &MapHandle, index: u32) -> Result<Vec<Vec<u8>>, ShieldError> {
    let values = map
        .lookup_percpu(&index.to_ne_bytes(), MapFlags::ANY)
        .map_err(|source| ShieldError::Map { doing: "read the counters", source })?;
    Ok(values.unwrap_or_default())
}
