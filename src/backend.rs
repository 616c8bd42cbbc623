//! What feeds the lane: AF_XDP, or DPDK.
//!
//! A [`Backend`] knows how its devices are found, how their packet memory is laid out, and what
//! stands ahead of the engine on them. The rest of a start (`run.rs`) and the lane are the same
//! for all. Everything that a backend changes on the host is undone when it is dropped.

mod acceptor;
pub(crate) mod af_xdp;
pub(crate) mod dpdk;
mod shield_counts;

use std::collections::HashMap;
use std::fmt::Debug;
use std::net::SocketAddr;

use anyhow::{Context, Result};
use ringroad_config::schema::Config;
use ringroad_ebpf::{KnownFlows, ProvenSources, Sample, ServiceAddress};
use ringroad_engine::flow::Rss;
use ringroad_engine::frame::FramePool;
use ringroad_engine::kernel::{KernelConnection, connections};
use ringroad_engine::port::Port;
use ringroad_engine::shield::cookie::Keys;
use ringroad_engine::stage::{Gate, split_for_pipeline};

pub(crate) use self::shield_counts::{ServiceCounts, ShieldCounts};
use crate::cores::CorePlan;
use crate::plan::Plan;

/// See the module. The methods are called once at most, in the order in which they stand here.
pub(crate) trait Backend {
    type Port: Port + Send + 'static;
    type Gate: Gate + Send + 'static;

    /// Whether interfaces are new to Linux, so that the operator is still to give them addresses.
    fn awaits_addresses(&self) -> bool {
        false
    }

    /// Refuses what does not fit these devices, before anything is touched.
    fn check(&mut self, config: &Config, plan: &Plan) -> Result<()>;

    /// Opens the ports over packet memory of their own. What arrives is still Linux's.
    fn open(
        &mut self,
        config: &Config,
        plan: &Plan,
        cores: &CorePlan,
    ) -> Result<Opened<Self::Port>>;

    /// How the cards behind the ports spread packets over their queues; `None` where none says.
    fn cards(&self, plan: &Plan, lanes: &[Lane<Self::Port>]) -> Vec<Option<Rss>>;

    /// The part of the shield that is not in the lane.
    fn shield(&self) -> Result<Box<dyn ShieldHandle>>;

    /// What the worker is to tell of its connections, for the shield to know them.
    fn known_flows(&self) -> Result<KnownFlows>;

    /// Where the engine notes who has completed a handshake; `None`: nothing is limited.
    fn proven_sources(&mut self, plan: &Plan) -> Result<Option<ProvenSources>>;

    /// Lets the engine have what is its own. One for each that has devices, in their order.
    fn put_in_front(&mut self, plan: &Plan, lanes: &[Lane<Self::Port>]) -> Result<Vec<Self::Gate>>;

    /// Whatever is to be done while the lane runs; never ends.
    fn attend(&mut self) -> impl Future<Output = ()> {
        std::future::pending()
    }

    /// When the lane has ended: lets Linux have what was begun and will not be the engine's.
    fn hand_over(&mut self) -> impl Future<Output = ()> {
        std::future::ready(())
    }
}

/// What one core has that receives and sends: packet memory, and queues of each port.
pub(crate) type Lane<P> = (FramePool, Vec<P>);

/// What a backend has opened.
#[derive(Debug)]
pub(crate) struct Opened<P> {
    /// One for each core that has devices.
    pub(crate) lanes: Vec<Lane<P>>,
    /// Packet memory of the cores that have none.
    pub(crate) workers: Vec<FramePool>,
}

/// How much of its memory each core begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shares {
    /// For each core, if all were alike [frames].
    frames: usize,
    cores: usize,
    /// See [`Shares::new`] [frames].
    devices: usize,
}

impl Shares {
    /// `frames` for each core. `devices` are what the devices of a core without connections need to
    /// receive into.
    pub(crate) fn new(cores: &CorePlan, frames: usize, devices: usize) -> Self {
        Shares { frames, cores: cores.cores().count(), devices }
    }

    /// What a configuration asks for at most [frames]: as much for each core.
    pub(crate) fn all(config: &Config) -> u32 {
        let cores = u32::try_from(config.engine.cores.len()).unwrap_or(u32::MAX);
        config.engine.frames.saturating_mul(cores)
    }

    /// All that there are [frames].
    pub(crate) fn total(&self) -> usize {
        self.frames * self.cores
    }

    /// Pools for the cores with devices, and for those without. `split` is [`FramePool::split`], or
    /// does the same for cores that have devices of another kind.
    pub(crate) fn divide(
        &self,
        cores: &CorePlan,
        pool: FramePool,
        split: impl FnOnce(FramePool, &[usize]) -> Vec<FramePool>,
    ) -> (Vec<FramePool>, Vec<FramePool>) {
        if cores.io.is_some() {
            let (io, workers) = split_for_pipeline(pool, self.devices, cores.workers.len());
            return (vec![io], workers);
        }
        if self.cores == 1 {
            return (vec![pool], Vec::new());
        }
        // Where not all of the memory could be used, the first core lacks it.
        let mut shares = vec![self.frames; self.cores];
        shares[0] -= self.total().saturating_sub(pool.free_count());
        (split(pool, &shares), Vec::new())
    }
}

/// What of the shield is outside of the lane; used from any thread.
pub(crate) trait ShieldHandle: Debug + Send + Sync {
    /// What was counted there until now, with so many services.
    fn counts(&self, services: usize) -> Result<ShieldCounts>;

    /// Has SYN cookies sealed with these keys from now on, which the lane takes already.
    fn set_cookie_keys(&self, keys: &Keys);

    /// Takes the samples of dropped packets that wait, oldest first.
    fn take_samples(&self) -> Result<Vec<Sample>>;

    /// Samples that found no room to wait, since the start.
    fn samples_lost(&self) -> Result<u64>;
}

/// The connections that Linux serves on the services' addresses stay with it: `keep` is told of
/// each, and by which port it comes.
fn leave_to_linux(
    services: &[ServiceAddress],
    mut keep: impl FnMut(u32, KernelConnection) -> Result<()>,
) -> Result<()> {
    let port_of: HashMap<SocketAddr, u32> =
        services.iter().map(|service| (service.address, service.port_index)).collect();
    let open = connections(|local| port_of.contains_key(&local))
        .context("cannot see which connections Linux serves already")?;
    let count = open.len();
    for connection in open {
        keep(port_of[&connection.local], connection)?;
    }
    tracing::info!("{count} connections to the services stay with Linux");
    Ok(())
}
