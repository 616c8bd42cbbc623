//! Ports on Linux's own drivers, behind the shield in XDP.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use ringroad_config::schema::{self, Config, Driver, XdpMode};
use ringroad_ebpf::{
    Acceptor, AttachMode, Control, CountersReader, KnownFlows, PortSettings, ProvenSources, Sample,
    SampleReader, Shield, ShieldSettings,
};
use ringroad_engine::flow::Rss;
use ringroad_engine::frame::{FramePool, Region};
use ringroad_engine::kernel::{KernelConnection, receive_queues, receive_side_scaling};
use ringroad_engine::limits::{BURST, CHUNK_SIZE_MIN, DEVICE_RESERVE, MTU_MAX};
use ringroad_engine::port::af_xdp::{self, AfXdp, BusyPoll, Umem, frame_size_for};
use ringroad_engine::port::queues::Queues;
use ringroad_engine::shield::cookie::Keys;
use ringroad_engine::stage::{ShieldGate, flows_for};
use ringroad_hugepages::Request;

use super::acceptor::LinuxAccepts;
use super::{
    Backend, Lane, Opened, ServiceCounts, Shares, ShieldCounts, ShieldHandle, leave_to_linux,
};
use crate::cores::CorePlan;
use crate::plan::{Plan, PortPlan};
use crate::privileges;

/// See [`Backend`].
#[derive(Debug, Default)]
pub(crate) struct AfXdpBackend {
    /// Where packet memory is to be; see [`Request::nodes`].
    nodes: Vec<Option<u32>>,
    shield: Option<Shield>,
    acceptor: Option<LinuxAccepts>,
    /// New connections that the shield had answered, a while ago and at the last look.
    answered: [u64; 2],
}

impl AfXdpBackend {
    /// `nodes`: of the cores that work on packet memory, each on its share of it.
    pub(crate) fn new(config: &Config, nodes: Vec<Option<u32>>) -> Result<Self> {
        // The smallest that frames can be; if they get larger, locking them says so.
        let locked = u64::from(Shares::all(config)) * CHUNK_SIZE_MIN as u64;
        privileges::require(locked)?;
        Ok(AfXdpBackend { nodes, ..AfXdpBackend::default() })
    }
}

impl Backend for AfXdpBackend {
    type Port = Queues<AfXdp>;
    type Gate = ShieldGate;

    fn check(&mut self, config: &Config, plan: &Plan) -> Result<()> {
        for (port, driver) in plan.ports.iter().zip(drivers(config)) {
            require_queues(port, driver.queues).with_context(|| format!("port {:?}", port.name))?;
        }
        frame_size(plan.mtu())?;
        // What was Linux's choice, the configuration could not count.
        shield_settings(config, plan).check()?;
        Ok(())
    }

    fn open(
        &mut self,
        config: &Config,
        plan: &Plan,
        cores: &CorePlan,
    ) -> Result<Opened<Queues<AfXdp>>> {
        let queues: u32 = drivers(config).map(|driver| driver.queues).sum();
        let devices = queues as usize * FRAMES_PER_QUEUE;
        let shares = Shares::new(cores, config.engine.frames as usize, devices);
        let pool = frame_pool(shares.total(), frame_size(plan.mtu())?, &self.nodes)?;
        let umem = Umem::new(&pool);
        let (pools, workers) = shares.divide(cores, pool, FramePool::split);
        let mut lanes = Vec::new();
        for (index, mut pool) in pools.into_iter().enumerate() {
            let mut ports = Vec::new();
            for (planned, driver) in plan.ports.iter().zip(drivers(config)) {
                let queues = cores
                    .queues_of(index, driver.queues)
                    .map(|queue| AfXdp::open(&mut pool, &umem, socket(planned, driver, queue)));
                ports.push(Queues::new(queues.collect::<Result<_, _>>()?));
            }
            lanes.push((pool, ports));
        }
        let shield = Shield::load(&shield_settings(config, plan))?;
        self.acceptor = LinuxAccepts::load(plan, || Acceptor::beside(&shield));
        self.shield = Some(shield);
        Ok(Opened { lanes, workers })
    }

    fn cards(&self, plan: &Plan, _lanes: &[Lane<Queues<AfXdp>>]) -> Vec<Option<Rss>> {
        let card = |port: &PortPlan| match receive_side_scaling(port.identity.ifindex) {
            Ok(card) => card,
            Err(error) => {
                tracing::info!("{}: how it spreads packets is unknown: {error}", port.interface);
                None
            }
        };
        plan.ports.iter().map(card).collect()
    }

    fn known_flows(&self) -> Result<KnownFlows> {
        Ok(self.shield.as_ref().context(NOT_LOADED)?.known_flows())
    }

    fn shield(&self) -> Result<Box<dyn ShieldHandle>> {
        let shield = self.shield.as_ref().context(NOT_LOADED)?;
        Ok(Box::new(XdpShield {
            counters: shield.counters_reader(),
            samples: shield.samples(),
            control: shield.control(),
        }))
    }

    fn proven_sources(&mut self, plan: &Plan) -> Result<Option<ProvenSources>> {
        let shield = self.shield.as_ref().context(NOT_LOADED)?;
        Ok((!plan.rate_limits.is_off()).then(|| shield.proven_sources()))
    }

    /// Attached without sockets, the shield leaves all to Linux and remembers what is new there;
    /// what is older is told before it has sockets. So no connection of Linux's is taken from it.
    fn put_in_front(
        &mut self,
        plan: &Plan,
        lanes: &[Lane<Queues<AfXdp>>],
    ) -> Result<Vec<ShieldGate>> {
        self.acceptor = self.acceptor.take().and_then(|acceptor| acceptor.attach(plan));
        let shield = self.shield.as_mut().context(NOT_LOADED)?;
        for (index, port) in plan.ports.iter().enumerate() {
            let mode = shield.attach(index as u32)?;
            tracing::info!("{}: XDP attached, {mode} mode", port.interface);
        }
        leave_to_linux(&plan.listening, |port, KernelConnection { local, remote }| {
            Ok(shield.keep_with_kernel(port, local, remote)?)
        })?;
        let mut gates = Vec::new();
        for (_, ports) in lanes {
            let mut queues = BTreeSet::new();
            for (index, port) in (0..).zip(ports) {
                for socket in port.queues() {
                    let fd = socket.fd().context("a port that was just opened is open")?;
                    shield.set_socket(index, socket.settings().queue, fd)?;
                    queues.insert(socket.settings().queue);
                }
            }
            gates.push(ShieldGate::new(shield.control(), queues, ports.len() as u32));
        }
        Ok(gates)
    }

    async fn attend(&mut self) {
        loop {
            self.acceptor.iter_mut().for_each(LinuxAccepts::look);
            self.answered = [self.answered[1], self.answered_now()];
            tokio::time::sleep(HAND_OVER_TIME).await;
        }
    }

    /// Clients that were answered just now are Linux's when they have proved themselves: as long
    /// as that takes, all stays attached. Of new ones Linux sees the SYN.
    async fn hand_over(&mut self) {
        let Some(acceptor) = &self.acceptor else { return };
        acceptor.control().set_kernel_opens(false);
        if self.answered_now() > self.answered[0] {
            tokio::time::sleep(HAND_OVER_TIME).await;
        }
    }
}

impl AfXdpBackend {
    fn answered_now(&self) -> u64 {
        let counters = self.shield.as_ref().and_then(|shield| shield.counters().ok());
        counters.map_or(0, |counters| counters.answered())
    }
}

/// The program's maps.
#[derive(Debug)]
struct XdpShield {
    counters: CountersReader,
    samples: SampleReader,
    control: Control,
}

impl ShieldHandle for XdpShield {
    fn counts(&self, services: usize) -> Result<ShieldCounts> {
        let of_service = |index| -> Result<ServiceCounts> {
            Ok(ServiceCounts {
                verdicts: self.counters.of_service(index)?,
                fell_back: self.control.fell_back(index),
            })
        };
        let services = (0..services as u32).map(of_service);
        Ok(ShieldCounts { all: self.counters.read()?, services: services.collect::<Result<_>>()? })
    }

    fn set_cookie_keys(&self, keys: &Keys) {
        self.control.set_cookie_keys(&keys.slots, keys.current);
    }

    fn take_samples(&self) -> Result<Vec<Sample>> {
        Ok(self.samples.take()?)
    }

    fn samples_lost(&self) -> Result<u64> {
        Ok(self.samples.lost()?)
    }
}

fn drivers(config: &Config) -> impl Iterator<Item = &schema::AfXdp> {
    config.ports.iter().filter_map(|port| match &port.driver {
        Driver::AfXdp(driver) => Some(driver),
        Driver::Dpdk(_) => None,
    })
}

fn socket(port: &PortPlan, driver: &schema::AfXdp, queue: u32) -> af_xdp::Settings {
    let mut socket = af_xdp::Settings::new(&port.interface, port.identity.ifindex, queue);
    socket.mode = match driver.xdp_mode {
        XdpMode::Auto => af_xdp::XdpMode::Auto,
        XdpMode::ZeroCopy => af_xdp::XdpMode::ZeroCopy,
        XdpMode::Copy => af_xdp::XdpMode::Copy,
        XdpMode::Generic => af_xdp::XdpMode::Generic,
    };
    socket.busy_poll = driver.busy_poll.map(|time| BusyPoll {
        micros: time.as_micros().try_into().unwrap_or(u32::MAX),
        budget: BURST as u16,
    });
    socket
}

fn shield_settings(config: &Config, plan: &Plan) -> ShieldSettings {
    let ports = plan.ports.iter().zip(drivers(config)).map(|(port, driver)| PortSettings {
        ifindex: port.identity.ifindex,
        interface: port.interface.clone(),
        mode: match driver.xdp_mode {
            XdpMode::Auto => AttachMode::Auto,
            XdpMode::ZeroCopy | XdpMode::Copy => AttachMode::Native,
            XdpMode::Generic => AttachMode::Generic,
        },
    });
    ShieldSettings {
        ports: ports.collect(),
        services: plan.listening.clone(),
        egress: plan.egress.clone(),
        drop_fragments: plan.drop_fragments,
        drop_unknown: plan.drop_unknown,
        redirect_answers: plan.ports.iter().any(|port| port.is_veth),
        lists: plan.lists.clone(),
        rate_limits: plan.rate_limits,
        cookies: plan.cookies.clone(),
        heartbeat_limit: config.engine.heartbeat_limit,
        known_flows: flows_for(&plan.services),
    }
}

fn frame_pool(frames: usize, frame_size: usize, nodes: &[Option<u32>]) -> Result<FramePool> {
    let mapping =
        ringroad_hugepages::map(Request { len: frames * frame_size, nodes, hugepages: true })?;
    tracing::info!("{frames} frames of {frame_size} octets on {}", mapping.backing());
    Ok(FramePool::new(Region::from_hugepages(mapping), frame_size))
}

/// What arrives on a queue that is not polled reaches Linux, which knows nothing of our connections
/// and resets them.
fn require_queues(port: &PortPlan, polled: u32) -> Result<()> {
    let name = &port.interface;
    let s = if polled == 1 { "" } else { "s" };
    match receive_queues(port.identity.ifindex) {
        Ok(Some(queues)) if queues.total() != polled => {
            let kind = if queues.combined > 0 { "combined" } else { "rx" };
            let total = queues.total();
            bail!(
                "interface {name} receives on {total} queue{}, and {polled} {} polled; give the port \
                 \"queues: {total}\", or the interface {polled} with `ethtool -L {name} {kind} \
                 {polled}`",
                if total == 1 { "" } else { "s" },
                if polled == 1 { "is" } else { "are" },
            );
        }
        Ok(Some(_)) => {}
        Ok(None) => tracing::warn!(
            "the driver of {name} does not say how many queues it receives on; the first {polled} \
             queue{s} polled: make sure that there are no more"
        ),
        Err(error) => tracing::warn!(
            "cannot find out how many queues {name} receives on: {error}; the first {polled} \
             queue{s} polled: make sure that there are no more"
        ),
    }
    Ok(())
}

fn frame_size(mtu: u16) -> Result<usize> {
    frame_size_for(mtu.into()).with_context(|| {
        format!(
            "an MTU of {mtu} does not fit one frame; set at most {MTU_MAX} on the ports' interfaces"
        )
    })
}

/// What a caller hears who asks too early.
const NOT_LOADED: &str = "the shield is loaded with the ports";

/// How long a client has to acknowledge what it was answered before the end, and so how often is
/// looked whether any was: a round trip, and one more for a segment that was lost.
const HAND_OVER_TIME: Duration = Duration::from_secs(1);

/// What a queue's rings take, and what is to be free beside them [frames].
const FRAMES_PER_QUEUE: usize = 2048 + DEVICE_RESERVE;
