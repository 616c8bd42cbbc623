//! The shield itself: loads the program, fills its tables, attaches it.

use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};

use libbpf_rs::skel::{OpenSkel as _, SkelBuilder as _};
use libbpf_rs::{MapCore as _, MapFlags, MapHandle};

use crate::attach::Attachment;
use crate::limits::{PROVEN_SOURCES_MAX, QUEUES_MAX};
use crate::lists::{ListEntries, ListMaps};
use crate::settings::{self, Entries};
use crate::skeleton::{ShieldSkelBuilder, types};
use crate::{
    AttachedMode, Control, CountersReader, DryRun, EgressRange, FingerprintKey, Fingerprints,
    KnownFlows, Lists, PortSettings, ProvenSources, SampleReader, ServiceAddress, ShieldCounters,
    ShieldError, ShieldSettings, abi, fingerprints, log, sys,
};

/// A loaded shield and its attachments. Dropping it detaches them all.
#[derive(Debug)]
pub struct Shield {
    program: OwnedFd,
    services: MapHandle,
    egress: MapHandle,
    unfragmented: MapHandle,
    drop_fragments: bool,
    xsks: MapHandle,
    kernel_flows: MapHandle,
    known_flows_map: MapHandle,
    known_flows: KnownFlows,
    proven_sources_map: MapHandle,
    proven_sources: ProvenSources,
    lists: ListMaps,
    counters: CountersReader,
    samples: SampleReader,
    control_map: MapHandle,
    control: Control,
    ports: Vec<Port>,
}

/// What a program reads that goes by the same services and keys.
pub(crate) struct SharedMaps<'a> {
    pub(crate) services: BorrowedFd<'a>,
    pub(crate) control: BorrowedFd<'a>,
}

#[derive(Debug)]
struct Port {
    settings: PortSettings,
    attachment: Option<Attachment>,
}

impl Shield {
    /// Loads the program and fills its tables. Nothing is attached yet, and no service accepted.
    pub fn load(settings: &ShieldSettings) -> Result<Self, ShieldError> {
        Shield::load_with(settings, None)
    }

    /// The same for a shield that is to [take over](Shield::take_over): what is known of the
    /// engine's connections, and of sources, both know. Its ports are those of `predecessor`, and maybe more.
    pub fn load_successor(
        settings: &ShieldSettings,
        predecessor: &Shield,
    ) -> Result<Self, ShieldError> {
        let same =
            |(port, settings): (&Port, &PortSettings)| port.settings.ifindex == settings.ifindex;
        let ports = &predecessor.ports;
        if ports.len() > settings.ports.len() || !ports.iter().zip(&settings.ports).all(same) {
            return Err(ShieldError::OtherPorts);
        }
        Shield::load_with(settings, Some(predecessor))
    }

    fn load_with(
        settings: &ShieldSettings,
        predecessor: Option<&Shield>,
    ) -> Result<Self, ShieldError> {
        settings::check_ports(&settings.ports)?;
        settings::check_known_flows(settings.known_flows)?;
        settings::check_cookies(&settings.cookies)?;
        let mut shield = Shield::load_program(settings, predecessor)?;
        shield.drop_fragments = settings.drop_fragments;
        shield.control.set_heartbeat_limit(settings.heartbeat_limit);
        shield.control.set_unknown_to_kernel(!settings.drop_unknown);
        shield.control.set_redirect_answers(settings.redirect_answers);
        settings.rate_limits.check()?;
        shield.control.set_rate_limits(&settings.rate_limits);
        shield.set_lists(&settings.lists)?;
        shield.control.set_cookie_services(&settings.cookies);
        shield.configure(&settings.services, &settings.egress)?;
        Ok(shield)
    }

    /// Changes what is served, packet by packet complete: what stays is never missing, and what is
    /// new is there before what is old goes. Refused settings change nothing.
    pub fn configure(
        &self,
        services: &[ServiceAddress],
        egress: &[EgressRange],
    ) -> Result<(), ShieldError> {
        let ports: Vec<_> = self.ports.iter().map(|port| port.settings.clone()).collect();
        let unfragmented = if self.drop_fragments { services } else { &[] };
        let unfragmented = settings::address_entries(&ports, unfragmented)?;
        let services = settings::service_entries(&ports, services)?;
        let egress = settings::egress_entries(&ports, egress)?;
        let served = bring_to(&self.services, &services, "fill the services");
        // Also when it failed half-way.
        self.control.forget_met_services();
        served?;
        bring_to(&self.unfragmented, &unfragmented, "fill the addresses without fragments")?;
        bring_to(&self.egress, &egress, "fill the egress addresses")
    }

    /// Changes who is denied and who is allowed, without a gap: at any time every source is what
    /// the old lists or the new ones say. Refused lists change nothing.
    pub fn set_lists(&self, lists: &Lists) -> Result<(), ShieldError> {
        let entries = ListEntries::new(lists)?;
        if !entries.is_empty() {
            self.control.set_lists_used(true);
        }
        self.lists.bring_to(&entries)?;
        self.control.set_lists_used(!entries.is_empty());
        Ok(())
    }

    /// From now on what arrives for us on this queue goes to the AF_XDP socket `socket`, which
    /// must be bound to the same interface and queue. The kernel forgets it when it is closed.
    pub fn set_socket(
        &self,
        port_index: u32,
        queue: u32,
        socket: BorrowedFd<'_>,
    ) -> Result<(), ShieldError> {
        let key = self.socket_key(port_index, queue)?;
        self.xsks
            .update(&key, &socket.as_raw_fd().to_ne_bytes(), MapFlags::ANY)
            .map_err(|source| ShieldError::Map { doing: "register a socket", source })
    }

    /// From now on what arrives for us on this queue is the kernel's.
    pub fn clear_socket(&self, port_index: u32, queue: u32) -> Result<(), ShieldError> {
        match self.xsks.delete(&self.socket_key(port_index, queue)?) {
            Err(source) if source.kind() != libbpf_rs::ErrorKind::NotFound => {
                Err(ShieldError::Map { doing: "forget a socket", source })
            }
            _ => Ok(()),
        }
    }

    /// Starts seeing the packets of a port. If it does already, says how.
    pub fn attach(&mut self, port_index: u32) -> Result<AttachedMode, ShieldError> {
        let unknown = ShieldError::UnknownPort(port_index);
        let port = self.ports.get_mut(port_index as usize).ok_or(unknown)?;
        if let Some(attachment) = &port.attachment {
            return Ok(attachment.mode());
        }
        let PortSettings { ifindex, interface, mode } = &port.settings;
        let attachment = Attachment::new(self.program.as_fd(), *ifindex, interface, *mode)?;
        let mode = attachment.mode();
        port.attachment = Some(attachment);
        Ok(mode)
    }

    /// All packets of all ports are the kernel's again.
    pub fn detach_all(&mut self) {
        for port in &mut self.ports {
            port.attachment = None;
        }
    }

    /// Takes the attachments of another shield to the same interfaces, each in one step: every
    /// packet meets either the old program or this one. The kernel's connections stay the kernel's.
    ///
    /// Sockets have to be set here before, and the engine's connections stay known to a shield that
    /// was [loaded as the successor](Shield::load_successor). On an error the attachments not yet taken stay with
    /// `predecessor`.
    pub fn take_over(&mut self, predecessor: &mut Shield) -> Result<(), ShieldError> {
        self.adopt_kernel_flows(predecessor)?;
        for port in &mut self.ports {
            let same = |other: &&mut Port| other.settings.ifindex == port.settings.ifindex;
            let Some(old) = predecessor.ports.iter_mut().find(same) else { continue };
            if let Some(attachment) = old.attachment.take_if(|_| port.attachment.is_none()) {
                if let Err(error) = attachment.replace(self.program.as_fd()) {
                    old.attachment = Some(attachment);
                    return Err(error);
                }
                port.attachment = Some(attachment);
            }
        }
        Ok(())
    }

    /// For the polling threads.
    pub fn control(&self) -> Control {
        self.control.clone()
    }

    /// For the engine, which says by it what connections it has.
    pub fn known_flows(&self) -> KnownFlows {
        self.known_flows.clone()
    }

    /// For the engine, which says by it who has completed a handshake.
    pub fn proven_sources(&self) -> ProvenSources {
        self.proven_sources.clone()
    }

    /// For other threads that read the counters.
    pub fn counters_reader(&self) -> CountersReader {
        self.counters.clone()
    }

    /// For whoever wants to see what is dropped.
    pub fn samples(&self) -> SampleReader {
        self.samples.clone()
    }

    pub fn counters(&self) -> Result<ShieldCounters, ShieldError> {
        self.counters.read()
    }

    /// Connections that are remembered as the kernel's, ended ones included. Walks the table.
    pub fn kernel_flow_count(&self) -> usize {
        self.kernel_flows.keys().count()
    }

    /// Runs the program `repeat` times on a packet as if it had arrived on a queue of a port, and
    /// counts it, but delivers it nowhere.
    pub fn dry_run(
        &self,
        port_index: u32,
        queue: u32,
        packet: &[u8],
        repeat: u32,
    ) -> Result<DryRun, ShieldError> {
        let ifindex = self.port(port_index)?.settings.ifindex;
        sys::dry_run(self.program.as_fd(), packet, ifindex, queue, repeat)
            .map_err(|source| ShieldError::DryRun { octets: packet.len(), source })
    }

    pub(crate) fn shared_maps(&self) -> SharedMaps<'_> {
        SharedMaps { services: self.services.as_fd(), control: self.control_map.as_fd() }
    }

    pub(crate) fn port_settings(&self) -> impl Iterator<Item = &PortSettings> {
        self.ports.iter().map(|port| &port.settings)
    }

    /// The object is only needed to load: the descriptors keep alive what it made.
    fn load_program(
        settings: &ShieldSettings,
        predecessor: Option<&Shield>,
    ) -> Result<Self, ShieldError> {
        let mut object = MaybeUninit::uninit();
        let lines = fingerprints::lines_for(settings.known_flows);
        let proven_lines = fingerprints::lines_for(PROVEN_SOURCES_MAX);
        let indices = settings.services.iter().map(|service| service.service_index + 1);
        // A map has one entry at least.
        let services = indices.max().unwrap_or(1);
        let (loaded, log) = log::captured(|| {
            let mut skeleton = ShieldSkelBuilder::default().open(&mut object)?;
            let (known_flows, proven_sources) =
                (&mut skeleton.maps.known_flows, &mut skeleton.maps.proven_sources);
            match predecessor {
                Some(shield) => {
                    known_flows.reuse_fd(shield.known_flows_map.as_fd())?;
                    proven_sources.reuse_fd(shield.proven_sources_map.as_fd())?;
                }
                None => {
                    known_flows.set_max_entries(lines as u32)?;
                    proven_sources.set_max_entries(proven_lines as u32)?;
                }
            }
            skeleton.maps.service_counters.set_max_entries(services)?;
            skeleton.load()
        });
        let skeleton = loaded.map_err(|source| ShieldError::Load { source, log })?;
        let own = |map| {
            MapHandle::try_from(map)
                .map_err(|source| ShieldError::Map { doing: "take hold of a map", source })
        };
        let maps = &skeleton.maps;
        let program = skeleton.progs.ringroad_shield.as_fd().try_clone_to_owned();
        let program = program.map_err(|error| ShieldError::Map {
            doing: "take hold of the descriptor",
            source: error.into(),
        })?;
        let ifindexes: Vec<_> = settings.ports.iter().map(|port| port.ifindex).collect();
        let (table, proven) = match predecessor {
            Some(shield) => (shield.known_flows.table(), shield.proven_sources.table()),
            None => (
                shared_table(maps.known_flows.as_fd(), lines)?,
                shared_table(maps.proven_sources.as_fd(), proven_lines)?,
            ),
        };
        let unattached =
            |settings: &PortSettings| Port { settings: settings.clone(), attachment: None };
        Ok(Shield {
            program,
            services: own(&maps.services)?,
            egress: own(&maps.egress)?,
            unfragmented: own(&maps.unfragmented)?,
            drop_fragments: false,
            xsks: own(&maps.xsks)?,
            kernel_flows: own(&maps.kernel_flows)?,
            known_flows_map: own(&maps.known_flows)?,
            known_flows: KnownFlows::over(&ifindexes, table),
            proven_sources_map: own(&maps.proven_sources)?,
            proven_sources: ProvenSources::over(proven, settings.rate_limits.source_masks()),
            lists: ListMaps { v4: own(&maps.lists_v4)?, v6: own(&maps.lists_v6)? },
            counters: CountersReader::new(own(&maps.counters)?, own(&maps.service_counters)?),
            samples: SampleReader::new(&own(&maps.samples)?, own(&maps.samplers)?, ifindexes)?,
            control_map: own(&maps.control)?,
            control: Control::map(maps.control.as_fd()).map_err(ShieldError::ControlPage)?,
            ports: settings.ports.iter().map(unattached).collect(),
        })
    }

    /// A connection that Linux had before this port was attached stays Linux's: its packets go
    /// there, as if Linux had been given its SYN. `local` is the address of a service.
    pub fn keep_with_kernel(
        &self,
        port_index: u32,
        local: SocketAddr,
        remote: SocketAddr,
    ) -> Result<(), ShieldError> {
        let flow = types::flow_key {
            remote: abi::address(remote.ip()),
            local: abi::address(local.ip()),
            remote_port: remote.port().to_be(),
            local_port: local.port().to_be(),
            ifindex: self.port(port_index)?.settings.ifindex,
        };
        self.kernel_flows
            .update(abi::octets(&flow), &[1], MapFlags::ANY)
            .map_err(|source| ShieldError::Map { doing: "keep the kernel's flows", source })?;
        self.control.see_kernel_flow().map_err(ShieldError::Clock)
    }

    fn adopt_kernel_flows(&self, predecessor: &Shield) -> Result<(), ShieldError> {
        for flow in predecessor.kernel_flows.keys() {
            self.kernel_flows
                .update(&flow, &[1], MapFlags::ANY)
                .map_err(|source| ShieldError::Map { doing: "adopt the kernel's flows", source })?;
        }
        self.control.see_kernel_flows_of(&predecessor.control);
        Ok(())
    }

    fn port(&self, port_index: u32) -> Result<&Port, ShieldError> {
        self.ports.get(port_index as usize).ok_or(ShieldError::UnknownPort(port_index))
    }

    fn socket_key(&self, port_index: u32, queue: u32) -> Result<[u8; 4], ShieldError> {
        self.port(port_index)?;
        if queue as usize >= QUEUES_MAX {
            return Err(ShieldError::QueueOutOfRange(queue));
        }
        Ok((port_index * QUEUES_MAX as u32 + queue).to_ne_bytes())
    }
}

/// The program, to be run by other means.
impl AsFd for Shield {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.program.as_fd()
    }
}

/// A table of fingerprints in a map that was just made.
fn shared_table(map: BorrowedFd<'_>, lines: usize) -> Result<Fingerprints, ShieldError> {
    FingerprintKey::draw()
        .and_then(|key| Fingerprints::map(map, lines, key))
        .map_err(ShieldError::SharedTable)
}

/// Makes `map` hold exactly `entries`: first adds, then removes.
pub(crate) fn bring_to(
    map: &MapHandle,
    entries: &Entries,
    doing: &'static str,
) -> Result<(), ShieldError> {
    let failed = |source| ShieldError::Map { doing, source };
    for (key, value) in entries {
        map.update(key, value, MapFlags::ANY).map_err(failed)?;
    }
    let gone: Vec<_> = map.keys().filter(|key| !entries.contains_key(key)).collect();
    gone.iter().try_for_each(|key| map.delete(key)).map_err(failed)
}
