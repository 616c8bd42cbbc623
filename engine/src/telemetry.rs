//! What the engine counts, and how others read it without slowing it down.
//!
//! A worker owns its [`Ledger`], its other counts and its [`Recorders`], and adds to plain integers. A
//! reader sends a [`Snapshot`] of its own to the worker, which fills it between two bursts: what is read
//! is of one instant, so the ledger balances in every snapshot, also under load.

pub mod capture;
pub mod events;
mod ledger;
mod measures;
mod origins;
mod quality;
mod recorders;
mod sources;
mod space_saving;
mod stages;
mod sum;

use std::mem::swap;

use ringroad_ebpf::ShieldCounters;

pub use ledger::{DropReason, Ledger};
pub use measures::{Measure, Unit};
pub use origins::OriginCounters;
pub use quality::{PathQuality, PathSample, PathSums, Quality, Seen, aged};
pub use recorders::Recorders;
pub use sources::{Source, Sources};
pub use space_saving::SpaceSaving;
pub use stages::{CoreTimes, Ring, Stage, StageTimes};
pub(crate) use sum::{add_counts, add_each};

use crate::frame::FramePool;
use crate::tcp::TcpCounters;
use crate::time::Instant;

/// One service's counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServiceCounters {
    /// Proxied connections now [connections].
    pub active: u64,
    /// Client connections taken since the start.
    pub accepted: u64,
    /// Client connections ended by us because no origin could be reached, or refused by policy.
    pub refused: u64,
    /// New connections that were left to the kernel.
    pub fell_back: u64,
    /// Proxied connections that were reset because packet memory was short and what they held of it
    /// had not moved for a while.
    pub reclaimed: u64,
    /// Payload moved from clients to origins [octets].
    pub to_origin_octets: u64,
    /// Payload moved from origins to clients [octets].
    pub to_client_octets: u64,
    /// Data segments first sent from the frame in which their payload arrived.
    pub segments_zero_copy: u64,
    /// Data segments whose payload had to be copied.
    pub segments_copied: u64,
    /// Data segments sent again.
    pub segments_retransmitted: u64,
}

impl ServiceCounters {
    /// Adds what another core counted for the same service.
    pub fn add(&mut self, other: &ServiceCounters) {
        add_counts!(self, other; ServiceCounters {
            active,
            accepted,
            refused,
            fell_back,
            reclaimed,
            to_origin_octets,
            to_client_octets,
            segments_zero_copy,
            segments_copied,
            segments_retransmitted,
        });
    }
}

/// Room for a core to say what it has counted; made by the reader.
#[derive(Debug)]
pub struct Snapshot {
    pub ledger: Ledger,
    pub services: Vec<ServiceCounters>,
    /// What the shield decided on packets for each service, in the same order; without those of
    /// connections that it knew.
    pub verdicts: Vec<ShieldCounters>,
    /// One for each core that has devices: a lane, or the one that receives for the workers.
    pub handshakes: Vec<Handshakes>,
    pub tcp: TcpCounters,
    pub frames: FrameCounts,
    /// What each port counted, in the order of the configuration.
    pub ports: Vec<crate::port::PortStats>,
    /// What crossed between each port and its interface in Linux, in the order of `ports`.
    pub kernel_paths: Vec<crate::shield::KernelPathCounts>,
    /// What was seen of the paths of each service, to the clients and then to each origin, one service
    /// behind the other; see [`Snapshot::with_paths`].
    pub paths: Vec<PathSums>,
    /// What became of connections to each service's origins, in the same order.
    pub origins: Vec<OriginCounters>,
    /// What each core does with its time: of one core that fills this, one; of several that are added,
    /// one behind the other.
    pub cores: Vec<CoreTimes>,
    /// What each core has recorded since they were taken from it last, in the order of `cores`. Who
    /// asks brings empty ones, or ones that are off, and then takes none.
    pub recorders: Vec<Recorders>,
    /// Clients by the connections that they have opened on each worker since they were taken from it
    /// last. Who asks brings an empty set, or none, and then takes none.
    pub sources: Vec<Sources>,
}

impl Snapshot {
    /// Room for one core's counts.
    pub fn new(services: usize, ports: usize) -> Self {
        Snapshot {
            ledger: Ledger::default(),
            services: vec![ServiceCounters::default(); services],
            verdicts: vec![ShieldCounters::default(); services],
            handshakes: Vec::with_capacity(1),
            tcp: TcpCounters::default(),
            frames: FrameCounts::default(),
            ports: vec![crate::port::PortStats::default(); ports],
            kernel_paths: vec![crate::shield::KernelPathCounts::default(); ports],
            paths: Vec::new(),
            origins: Vec::new(),
            cores: vec![CoreTimes::new()],
            recorders: vec![Recorders::off()],
            sources: Vec::new(),
        }
    }

    /// With empty room for what it has recorded as well.
    pub fn with_recorders(self, empty: Recorders) -> Self {
        Snapshot { recorders: vec![empty], sources: vec![Sources::of_core()], ..self }
    }

    /// Room for so many paths too, and for the origins that they lead to: all but those to the clients of
    /// each service.
    pub fn with_paths(self, paths: usize) -> Self {
        let origins = paths.saturating_sub(self.services.len());
        Snapshot {
            paths: vec![PathSums::default(); paths],
            origins: vec![OriginCounters::default(); origins],
            ..self
        }
    }

    /// Where a core says what it does with its time.
    pub fn core_mut(&mut self) -> &mut CoreTimes {
        self.cores.resize_with(1, CoreTimes::new);
        &mut self.cores[0]
    }

    /// Takes what a core has recorded.
    pub fn take_from(&mut self, recorders: &mut Recorders) {
        if let Some(empty) = self.recorders.first_mut() {
            recorders.exchange(empty);
        }
    }

    /// Takes whom a worker has counted.
    pub fn take_sources(&mut self, sources: &mut Sources) {
        if let Some(empty) = self.sources.first_mut() {
            swap(sources, empty);
        }
    }

    /// Adds what another core of the same engine counted.
    pub fn add(&mut self, other: Snapshot) {
        self.ledger.add(&other.ledger);
        for (sum, service) in self.services.iter_mut().zip(&other.services) {
            sum.add(service);
        }
        for (sum, path) in self.paths.iter_mut().zip(&other.paths) {
            sum.add(path);
        }
        for (sum, origin) in self.origins.iter_mut().zip(&other.origins) {
            sum.add(origin);
        }
        for (sum, verdicts) in self.verdicts.iter_mut().zip(&other.verdicts) {
            sum.add(verdicts);
        }
        self.handshakes.extend(&other.handshakes);
        self.tcp.add(&other.tcp);
        self.frames.add(&other.frames);
        for (sum, port) in self.ports.iter_mut().zip(&other.ports) {
            sum.add(port);
        }
        for (sum, path) in self.kernel_paths.iter_mut().zip(&other.kernel_paths) {
            sum.add(path);
        }
        self.cores.extend(other.cores);
        self.recorders.extend(other.recorders);
        self.sources.extend(other.sources);
    }
}

/// New connections on a lane, and whether the shield answers them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Handshakes {
    /// Connections now whose client has yet to acknowledge our SYN-ACK.
    pub half_open: u64,
    /// Whether SYNs are answered by cookies now.
    pub cookies: bool,
    /// When that changed last; `None`: it never did.
    pub since: Option<Instant>,
}

/// Where the frames of a pool are [frames]; `free + held == capacity`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FrameCounts {
    pub capacity: u64,
    pub free: u64,
    pub held: u64,
    /// Of those held, with devices alone: to receive into, or on their way out.
    pub with_devices: u64,
}

impl FrameCounts {
    pub fn of(pool: &FramePool) -> Self {
        FrameCounts {
            capacity: pool.capacity() as u64,
            free: pool.free_count() as u64,
            held: pool.held_count() as u64,
            with_devices: pool.with_devices() as u64,
        }
    }

    /// Adds those of another core's pool.
    pub fn add(&mut self, other: &FrameCounts) {
        add_counts!(self, other; FrameCounts { capacity, free, held, with_devices });
    }
}
