//! The devices, from DPDK's start to its end.
//!
//! DPDK is started, and takes its devices, before the rest is planned: only then is there a TAP for
//! each, on which Linux has the addresses and routes that the plan is made of.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use dpdk_sys::limits;
use dpdk_sys::{DeviceId, Eal, EalSettings, Level, LinkReader, Memory};
use ringroad_config::schema::{self, Config, Driver};
use ringroad_ebpf::{
    Acceptor, AttachMode, Control, FingerprintKey, KnownFlows, PortSettings, ProvenSources, Sample,
    ShieldSettings,
};
use ringroad_engine::flow::Rss;
use ringroad_engine::kernel::{KernelConnection, SocketLookup};
use ringroad_engine::limits::DEVICE_RESERVE;
use ringroad_engine::port::dpdk::{self, Dpdk};
use ringroad_engine::port::tap::{self, Carrier, Tap};
use ringroad_engine::shield::cookie::Keys;
use ringroad_engine::shield::{self, Rates, Samples, Twin};
use ringroad_engine::stage::{TwinGate, flows_for, monotonic};
use ringroad_engine::wire::ethernet::MacAddr;
use ringroad_hugepages::{
    Inventory, PAGE_2M, PROCFS, Reservation, SYSFS, memory_available, reserve,
};

use super::{FRAMING, HEADROOM, MTU_DEFAULT, Options, frame_size, is_pci, megabytes};
use crate::backend::acceptor::LinuxAccepts;
use crate::backend::{Backend, Lane, Opened, Shares, ShieldCounts, ShieldHandle, leave_to_linux};
use crate::cores::CorePlan;
use crate::plan::{Plan, PortPlan};
use crate::{privileges, secret};

/// See [`Backend`]. Fields are dropped in their order: DPDK ends after its devices, and its
/// memory goes last.
#[derive(Debug)]
pub(crate) struct DpdkBackend {
    /// Until the ports are open.
    devices: Vec<DeviceId>,
    /// Until the engine is put in front; in the order of the ports.
    taps: Vec<Tap>,
    /// Of the devices that have a wire.
    wires: Vec<Wire>,
    acceptor: Option<LinuxAccepts>,
    /// As soon as the ports are open.
    known_flows: Option<KnownFlows>,
    /// As soon as they are asked for, if anything is limited.
    proven_sources: Option<ProvenSources>,
    /// Whether a TAP was made here, so that its addresses are still to come.
    made_taps: bool,
    /// Largest MTU that the memory was taken for [octets].
    mtu_max: u16,
    /// From the twin.
    samples: Samples,
    eal: Arc<Eal>,
    _hugepages: Option<Reservation>,
}

impl DpdkBackend {
    pub(crate) fn new(config: &Config, cores: &CorePlan, options: &Options) -> Result<Self> {
        privileges::require_net_admin()?;
        let mtu_max = drivers(config).map(|driver| mtu_of(&driver.tap)).max().unwrap_or(0);
        let frames = Shares::all(config);
        let megabytes = u32::try_from(megabytes(frames, mtu_max, cores.with_devices())?)?;
        let (memory, hugepages) = match options.no_huge {
            true => (Memory::Ordinary { megabytes }, None),
            false => (Memory::Hugepages { megabytes }, Some(hugepages(megabytes)?)),
        };
        let eal = Eal::init(
            &EalSettings {
                cpus: core_affinity::get_core_ids()
                    .unwrap_or_default()
                    .into_iter()
                    .map(|core| core.id)
                    .collect(),
                memory,
                pci: drivers(config)
                    .filter(|driver| is_pci(&driver.device))
                    .map(|driver| driver.device.clone())
                    .collect(),
                arguments: options.eal.clone(),
            },
            log,
        )?;
        let mut backend = DpdkBackend {
            devices: Vec::new(),
            taps: Vec::new(),
            wires: Vec::new(),
            acceptor: None,
            known_flows: None,
            proven_sources: None,
            made_taps: false,
            mtu_max,
            samples: Samples::new(),
            eal,
            _hugepages: hugepages,
        };
        for (port, driver) in config.ports.iter().zip(drivers(config)) {
            let arguments = options.arguments_of(&driver.device);
            let taken = backend.take(driver, cores, arguments);
            taken.with_context(|| format!("port {:?}", port.name))?;
        }
        Ok(backend)
    }

    /// Takes a device, and shows it to Linux.
    fn take(&mut self, driver: &schema::Dpdk, cores: &CorePlan, arguments: &str) -> Result<()> {
        let device = self.eal.attach(&driver.device, arguments)?;
        let capabilities = device.capabilities()?;
        if driver.queues > u32::from(capabilities.rx_queues_max) {
            bail!(
                "device {} has at most {} receive queues, and {} are asked for; give \"queues\" as \
                 many or fewer",
                driver.device,
                capabilities.rx_queues_max,
                driver.queues
            );
        }
        if cores.with_devices() > usize::from(capabilities.tx_queues_max) {
            bail!(
                "device {} has at most {} transmit queues, and each of {} cores that run to \
                 completion needs one; give fewer cores, or arrangement pipeline",
                driver.device,
                capabilities.tx_queues_max,
                cores.with_devices()
            );
        }
        tracing::info!("{}: driver {}", driver.device, capabilities.driver);
        let tap = Tap::open(&tap::Settings {
            interface: driver.tap.clone(),
            mac: MacAddr(capabilities.mac),
            mtu: Some(MTU_DEFAULT),
        })?;
        if is_pci(&driver.device) {
            let (link, carrier) = (LinkReader::of(&device), tap.carrier()?);
            self.wires.push(Wire { interface: driver.tap.clone(), link, carrier, up: true });
        }
        self.made_taps |= tap.was_made();
        self.devices.push(device);
        self.taps.push(tap);
        Ok(())
    }
}

impl Backend for DpdkBackend {
    type Port = Dpdk;
    type Gate = TwinGate<Tap>;

    fn awaits_addresses(&self) -> bool {
        self.made_taps
    }

    fn check(&mut self, _config: &Config, plan: &Plan) -> Result<()> {
        for (port, device) in plan.ports.iter().zip(&self.devices) {
            let mtu = port.identity.mtu;
            let mtu_max = device.capabilities()?.mtu_max.min(self.mtu_max);
            if mtu > mtu_max {
                bail!(
                    "port {:?}: its TAP {} has an MTU of {mtu}, more than the {mtu_max} that its \
                     device and the frames can take; set it before the start with `ip link set {} \
                     mtu {mtu_max}`, or less",
                    port.name,
                    port.interface,
                    port.interface
                );
            }
        }
        Ok(())
    }

    fn open(&mut self, config: &Config, plan: &Plan, cores: &CorePlan) -> Result<Opened<Dpdk>> {
        let queues: u32 = drivers(config).map(|driver| driver.queues).sum();
        let devices = queues as usize * (usize::from(DESCRIPTORS) + DEVICE_RESERVE);
        let shares = Shares::new(cores, config.engine.frames as usize, devices);
        let node = self.devices.first().and_then(|device| device.capabilities().ok()?.node);
        let (pool, mut memory) = dpdk::Memory::for_lanes(
            &self.eal,
            cores.with_devices(),
            POOL_NAME,
            shares.total().try_into()?,
            frame_size(self.mtu_max)?.try_into()?,
            node,
        )?;
        let (mut pools, workers) =
            shares.divide(cores, pool, |pool, shares| memory.split(pool, shares));
        let mut ports: Vec<Vec<Dpdk>> = pools.iter().map(|_| Vec::new()).collect();
        for ((port, driver), device) in
            plan.ports.iter().zip(drivers(config)).zip(self.devices.drain(..))
        {
            let settings = dpdk::Settings {
                rx_queues: driver.queues.try_into()?,
                rx_descriptors: DESCRIPTORS,
                tx_descriptors: DESCRIPTORS,
                mtu: port.identity.mtu,
            };
            let opened = Dpdk::open_for_lanes(&mut pools, &memory, device, settings)
                .with_context(|| format!("port {:?}", port.name))?;
            ports.iter_mut().zip(opened).for_each(|(ports, port)| ports.push(port));
        }
        let ifindexes: Vec<_> = plan.ports.iter().map(|port| port.identity.ifindex).collect();
        let key = FingerprintKey::draw().context("no randomness from the kernel")?;
        self.known_flows = Some(KnownFlows::new(&ifindexes, flows_for(&plan.services), key));
        self.acceptor = LinuxAccepts::load(plan, || Acceptor::alone(&acceptor_settings(plan)));
        Ok(Opened { lanes: pools.into_iter().zip(ports).collect(), workers })
    }

    fn cards(&self, plan: &Plan, lanes: &[Lane<Dpdk>]) -> Vec<Option<Rss>> {
        let ports = lanes.first().map_or(&[][..], |(_, ports)| ports);
        let card = |(planned, port): (&PortPlan, &Dpdk)| {
            let card = port.rss();
            if card.is_none() && lanes.len() > 1 {
                tracing::info!("{}: how its device spreads packets is unknown", planned.interface);
            }
            card
        };
        plan.ports.iter().zip(ports).map(card).collect()
    }

    fn known_flows(&self) -> Result<KnownFlows> {
        self.known_flows.clone().context("connections are known as soon as the ports are open")
    }

    fn shield(&self) -> Result<Box<dyn ShieldHandle>> {
        let acceptor = self.acceptor.as_ref().map(LinuxAccepts::control);
        Ok(Box::new(InTheLane { acceptor, samples: self.samples.clone() }))
    }

    fn proven_sources(&mut self, plan: &Plan) -> Result<Option<ProvenSources>> {
        if !plan.rate_limits.is_off() {
            let key = FingerprintKey::draw().context("no randomness from the kernel")?;
            let masks = plan.rate_limits.source_masks();
            self.proven_sources = Some(ProvenSources::new(masks, key));
        }
        Ok(self.proven_sources.clone())
    }

    /// Each lane has a twin; the first also takes from the TAPs what Linux sends.
    fn put_in_front(&mut self, plan: &Plan, lanes: &[Lane<Dpdk>]) -> Result<Vec<TwinGate<Tap>>> {
        self.acceptor = self.acceptor.take().and_then(|acceptor| acceptor.attach(plan));
        let settings = shield::Settings {
            ports: plan.ports.len(),
            services: plan.listening.clone(),
            egress: plan.egress.clone(),
            drop_fragments: plan.drop_fragments,
            drop_unknown: plan.drop_unknown,
            known_flows: self.known_flows()?,
            lists: plan.lists.clone(),
            limits: self.proven_sources.clone().map(|proven| (plan.rate_limits, proven)),
            cookies: plan.cookies.clone(),
            samples: self.samples.clone(),
            secret: secret::draw()?,
        };
        let mut first = Twin::new(&settings);
        leave_to_linux(&plan.listening, |port, KernelConnection { local, remote }| {
            first.keep_with_kernel(monotonic(), u8::try_from(port)?, local, remote);
            Ok(())
        })?;
        let mut gates = Vec::new();
        for _ in 1..lanes.len() {
            let mut twin = first.for_another_lane(&settings.with_secret(secret::draw()?));
            ask_linux(&mut twin);
            let taps = self.taps.iter().map(Tap::for_writing).collect::<Result<_, _>>()?;
            gates.push(TwinGate::new(twin, taps, Rates::default()));
        }
        ask_linux(&mut first);
        let taps = std::mem::take(&mut self.taps);
        gates.insert(0, TwinGate::new(first, taps, Rates::default()));
        Ok(gates)
    }

    /// Linux is told when a link goes down or comes up, and its routes follow.
    async fn attend(&mut self) {
        loop {
            self.wires.iter_mut().for_each(Wire::look);
            self.acceptor.iter_mut().for_each(LinuxAccepts::look);
            tokio::time::sleep(LINK_LOOK).await;
        }
    }
}

fn ask_linux(twin: &mut Twin) {
    match SocketLookup::open() {
        Ok(lookup) => twin.ask_linux(Box::new(lookup)),
        Err(error) => tracing::warn!(
            "Linux does not say which connections it has ({error}): a SYN between the ends of one \
             is taken for a new connection"
        ),
    }
}

/// What is behind a device, as Linux sees it on the device's TAP.
#[derive(Debug)]
struct Wire {
    interface: String,
    link: LinkReader,
    carrier: Carrier,
    /// As Linux was last told.
    up: bool,
}

impl Wire {
    fn look(&mut self) {
        let link = self.link.read();
        if link.up == self.up {
            return;
        }
        match self.carrier.set(link.up) {
            Ok(()) if link.up => {
                tracing::warn!("{}: the link is up, {} Mbit/s", self.interface, link.speed_mbps);
            }
            Ok(()) => tracing::warn!("{}: the link is down", self.interface),
            Err(error) => {
                tracing::warn!("{}: cannot tell Linux of its link: {error}", self.interface)
            }
        }
        self.up = link.up;
    }
}

/// The twin is in the lane as a whole: its counts are among the lane's, and it is told with it.
#[derive(Debug)]
struct InTheLane {
    /// Of Linux behind the TAPs.
    acceptor: Option<Control>,
    samples: Samples,
}

impl ShieldHandle for InTheLane {
    fn counts(&self, _services: usize) -> Result<ShieldCounts> {
        Ok(ShieldCounts::default())
    }

    fn set_cookie_keys(&self, keys: &Keys) {
        if let Some(acceptor) = &self.acceptor {
            acceptor.set_cookie_keys(&keys.slots, keys.current);
        }
    }

    fn take_samples(&self) -> Result<Vec<Sample>> {
        Ok(self.samples.take())
    }

    fn samples_lost(&self) -> Result<u64> {
        Ok(self.samples.lost())
    }
}

/// Linux knows the ports by their TAPs.
fn acceptor_settings(plan: &Plan) -> ShieldSettings {
    let ports = plan.ports.iter().map(|port| PortSettings {
        ifindex: port.identity.ifindex,
        interface: port.interface.clone(),
        mode: AttachMode::Generic,
    });
    ShieldSettings {
        ports: ports.collect(),
        services: plan.listening.clone(),
        cookies: plan.cookies.clone(),
        ..ShieldSettings::default()
    }
}

fn drivers(config: &Config) -> impl Iterator<Item = &schema::Dpdk> {
    config.ports.iter().filter_map(|port| match &port.driver {
        Driver::AfXdp(_) => None,
        Driver::Dpdk(driver) => Some(driver),
    })
}

/// The MTU that an operator's TAP has; one that is still to be made gets Ethernet's.
fn mtu_of(tap: &str) -> u16 {
    let path = Path::new(SYSFS).join("class/net").join(tap).join("mtu");
    let text = fs::read_to_string(path).unwrap_or_default();
    text.trim().parse().unwrap_or(MTU_DEFAULT)
}

/// Sees to it that there are hugepages, as long as the reservation lives.
fn hugepages(megabytes: u32) -> Result<Reservation> {
    let wanted = (u64::from(megabytes) << 20).div_ceil(PAGE_2M);
    let advice = "free memory, give fewer frames, or run with --no-huge (virtual devices only)";
    // Asked for more than there is, Linux would first gather all there is.
    let there = Inventory::read(Path::new(SYSFS))?.pool(PAGE_2M, None).map_or(0, |pool| pool.free);
    let missing = wanted.saturating_sub(there) * PAGE_2M;
    if memory_available(Path::new(PROCFS)).is_some_and(|available| missing > available) {
        bail!("engine.frames: packet memory takes {megabytes} MiB, more than is free; {advice}");
    }
    let reservation = reserve(Path::new(SYSFS), PAGE_2M, None, wanted)
        .with_context(|| format!("cannot have {wanted} hugepages of 2 MiB; {advice}"))?;
    if !reservation.is_enough() {
        bail!(
            "engine.frames: packet memory takes {wanted} hugepages of 2 MiB, and Linux has room \
             for {}; {advice}",
            reservation.free()
        );
    }
    Ok(reservation)
}

/// DPDK takes for an error much that stops nothing; what does comes back to us as an error.
fn log(level: Level, line: &str) {
    match level {
        Level::Error | Level::Warning => tracing::info!(target: "dpdk", "{line}"),
        _ => tracing::debug!(target: "dpdk", "{line}"),
    }
}

/// How often a device is asked for its link.
const LINK_LOOK: Duration = Duration::from_millis(100);

/// Of each queue [descriptors]. Longer queues leave the processor's caches.
const DESCRIPTORS: u16 = 1024;

const POOL_NAME: &str = "ringroad";

const _: () = assert!(HEADROOM == limits::HEADROOM as u32 && FRAMING == limits::FRAMING as u32);
