//! The interfaces of AF_XDP ports: what Linux says of them, and whether the engine can use them.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use ringroad_config::schema::{AfXdp, Config, Driver, XdpMode};
use ringroad_ebpf::{ShieldError, vacant};
use ringroad_engine::kernel::{
    Link, NoInterface, Offloads, ReceiveQueues, Routes, XdpSupport, interface, offloads,
    receive_queues, xdp_support,
};
use ringroad_engine::limits::MTU_MAX;
use ringroad_hugepages::Nic;

use super::finding::Finding;
use super::host::Host;
use crate::cores::away;

/// An interface, with all that matters to a port on it.
#[derive(Debug)]
pub(super) struct Interface {
    pub(super) link: Link,
    /// `None` for a virtual device.
    pub(super) nic: Option<Nic>,
    /// `None` if the driver does not say; the same for all that follows.
    pub(super) queues: Option<ReceiveQueues>,
    pub(super) offloads: Option<Offloads>,
    pub(super) xdp: Option<XdpSupport>,
    /// Devices for VLANs on top of it.
    pub(super) vlans: Vec<String>,
    /// Of a veth whose other end is in this network namespace: that.
    pub(super) peer: Option<Peer>,
    /// Why the shield cannot be attached.
    pub(super) occupied: Option<ShieldError>,
}

#[derive(Debug)]
pub(super) struct Peer {
    pub(super) name: String,
    pub(super) offloads: Option<Offloads>,
}

/// By the names of ports.
pub(super) type Interfaces<'a> = BTreeMap<&'a str, Result<Interface, NoInterface>>;

impl Interface {
    /// The interfaces of all AF_XDP ports.
    pub(super) fn read_all<'a>(
        config: &'a Config,
        sysfs: &Path,
        routes: &Routes,
    ) -> Interfaces<'a> {
        config
            .ports
            .iter()
            .filter_map(|port| match &port.driver {
                Driver::AfXdp(af_xdp) => Some((port.name.as_str(), &af_xdp.interface)),
                Driver::Dpdk(_) => None,
            })
            .map(|(port, name)| {
                let link = interface(routes, name).cloned();
                (port, link.map(|link| Self::read(link, sysfs, routes)))
            })
            .collect()
    }

    pub(super) fn read(link: Link, sysfs: &Path, routes: &Routes) -> Self {
        let ifindex = link.ifindex;
        let peer = link.peer.and_then(|peer| routes.link(peer));
        let rides = |other: &&Link| other.vlan.is_some_and(|vlan| vlan.parent == ifindex);
        Interface {
            nic: Nic::read(sysfs, &link.name),
            queues: said(receive_queues(ifindex)),
            offloads: said(offloads(ifindex)),
            xdp: said(xdp_support(ifindex)),
            vlans: routes.links().filter(rides).map(|vlan| vlan.name.clone()).collect(),
            peer: peer.map(|peer| Peer {
                name: peer.name.clone(),
                offloads: said(offloads(peer.ifindex)),
            }),
            occupied: vacant(ifindex, &link.name).err(),
            link,
        }
    }

    /// What drives it, as `ethtool -i` has it.
    pub(super) fn driver(&self) -> &str {
        let hardware = self.nic.as_ref().and_then(|nic| nic.driver.as_deref());
        hardware.or(self.link.kind.as_deref()).unwrap_or("an unknown driver")
    }
}

/// A driver that says nothing, and a kernel that cannot be asked, are the same to us.
fn said<T>(answer: io::Result<Option<T>>) -> Option<T> {
    answer.ok().flatten()
}

pub(super) fn missing(none: &NoInterface) -> Finding {
    Finding::failure("interface", "there is none of that name in this network namespace")
        .on(&none.name)
        .fix(none.hint.clone())
}

/// `running`: an engine of this configuration has the interface already.
pub(super) fn judge(
    port: &AfXdp,
    interface: &Interface,
    cores: &[usize],
    host: &Host,
    running: bool,
) -> Vec<Finding> {
    let mut findings = vec![state(&interface.link)];
    findings.push(xdp(port.xdp_mode, interface));
    findings.extend(interface.occupied.as_ref().and_then(|error| occupied(error, running)));
    findings.push(queues(port.queues, interface));
    findings.push(mtu(&interface.link));
    findings.extend(fused(interface));
    findings.extend(tags(interface));
    findings.extend(checksums(interface));
    findings.extend(
        interface
            .nic
            .as_ref()
            .and_then(|nic| nic.node)
            .and_then(|node| distance(node, cores, host)),
    );
    findings.into_iter().map(|finding| finding.on(&interface.link.name)).collect()
}

fn state(link: &Link) -> Finding {
    if link.mac.is_none() {
        return Finding::failure("interface", "is no Ethernet device")
            .fix("give the port an interface that is one");
    }
    if !link.up {
        return Finding::failure("interface", "is down, or nothing is plugged in")
            .fix(format!("ip link set {} up", link.name));
    }
    Finding::ok("interface", "up")
}

fn xdp(mode: XdpMode, interface: &Interface) -> Finding {
    let driver = interface.driver();
    let Some(support) = interface.xdp else {
        return Finding::note(
            "xdp-support",
            format!("{driver}; this kernel cannot be asked what that can do"),
        )
        .fix("see what `ringroad run` says of it with RINGROAD_LOG=info");
    };
    let wants_native = matches!(mode, XdpMode::ZeroCopy | XdpMode::Copy);
    match support {
        XdpSupport { native: false, .. } if interface.link.kind.as_deref() == Some("veth") => {
            let message =
                "veth has no XDP while its other end sends on more queues than it receives on";
            let finding = match wants_native {
                true => {
                    Finding::failure("xdp-support", format!("{message}, and xdp_mode is {mode}"))
                }
                false => {
                    Finding::warning("xdp-support", format!("{message}; generic mode is slower"))
                }
            };
            finding.fix("at the other end: ethtool -L PEER tx 1")
        }
        XdpSupport { native: false, .. } if wants_native => Finding::failure(
            "xdp-support",
            format!("{driver} has no XDP of its own, and xdp_mode is {mode}"),
        )
        .fix("set xdp_mode to auto, or use a NIC whose driver has XDP"),
        XdpSupport { zero_copy: false, .. } if mode == XdpMode::ZeroCopy => Finding::failure(
            "xdp-support",
            format!("{driver} has no zero-copy AF_XDP, and xdp_mode is {mode}"),
        )
        .fix("set xdp_mode to auto or copy, or use a NIC whose driver has it"),
        XdpSupport { native: true, .. } if mode == XdpMode::Generic => Finding::warning(
            "xdp-support",
            format!("{driver} has XDP, and xdp_mode is generic, which is slower"),
        )
        .fix("set xdp_mode to auto"),
        XdpSupport { native: false, .. } => Finding::warning(
            "xdp-support",
            format!("{driver} has no XDP of its own; in generic mode every packet costs more"),
        )
        .fix("use a NIC whose driver has XDP"),
        XdpSupport { zero_copy: true, .. } if mode != XdpMode::Copy => {
            Finding::ok("xdp-support", format!("{driver}: native, zero-copy"))
        }
        // A virtual device has no memory of its own to spare the copy.
        XdpSupport { zero_copy, .. } if zero_copy || interface.nic.is_none() => {
            Finding::ok("xdp-support", format!("{driver}: native, the kernel copies each packet"))
        }
        _ => {
            Finding::note("xdp-support", format!("{driver}: native, the kernel copies each packet"))
                .fix("for line rate, use a NIC whose driver has zero-copy AF_XDP")
        }
    }
}

fn occupied(error: &ShieldError, running: bool) -> Option<Finding> {
    Some(match error {
        ShieldError::InUse { .. } if running => return None,
        ShieldError::InUse { .. } => {
            Finding::failure("xdp-program", "another ringroad serves this interface").fix("stop it")
        }
        ShieldError::OtherProgram { interface, program, id } => Finding::failure(
            "xdp-program",
            format!("runs the XDP program {program:?} (id {id}) of somebody else"),
        )
        .fix(format!("stop what owns it (`bpftool net`), or ip link set dev {interface} xdp off")),
        other => Finding::failure("xdp-program", other.to_string())
            .fix("look as root, or at `bpftool net`"),
    })
}

/// What arrives on a queue that is not polled reaches Linux, which resets the connection.
fn queues(polled: u32, interface: &Interface) -> Finding {
    let name = &interface.link.name;
    match interface.queues {
        Some(queues) if queues.total() > polled => {
            let kind = if queues.combined > 0 { "combined" } else { "rx" };
            Finding::failure(
                "receive-queues",
                format!("receives on {} queues, of which {polled} would be polled", queues.total()),
            )
            .fix(format!("ethtool -L {name} {kind} {polled}"))
        }
        Some(queues) if queues.total() < polled => Finding::failure(
            "receive-queues",
            format!("receives on {} queues, fewer than the {polled} of the port", queues.total()),
        )
        .fix(format!("set \"queues\" to {} there", queues.total())),
        Some(queues) => Finding::ok("receive-queues", format!("{}, all polled", queues.total())),
        None => Finding::note("receive-queues", "its driver does not say how many it has")
            .fix(format!("make sure that packets come on the first {polled} alone")),
    }
}

fn mtu(link: &Link) -> Finding {
    let (mtu, name) = (link.mtu as usize, &link.name);
    if mtu > MTU_MAX {
        return Finding::failure("mtu", format!("{mtu}: its packets do not fit one frame"))
            .fix(format!("ip link set {name} mtu {MTU_MAX}, or less"));
    }
    if mtu > NATIVE_MTU_MAX {
        return Finding::warning(
            "mtu",
            format!("{mtu}: most drivers take XDP programs up to about {NATIVE_MTU_MAX} only"),
        )
        .fix(format!("ip link set {name} mtu {NATIVE_MTU_MAX}, at both ends"));
    }
    Finding::ok("mtu", mtu.to_string())
}

/// Packets that the NIC has fused are no packets that were sent, and larger than a frame.
fn fused(interface: &Interface) -> Vec<Finding> {
    let Some(offloads) = &interface.offloads else { return Vec::new() };
    let name = &interface.link.name;
    let judge = |(feature, what): (&str, &str)| {
        if !offloads.is_on(feature) {
            return None;
        }
        let message =
            format!("{what} is on; drivers refuse XDP with it, or fuse packets beyond a frame");
        let finding = if offloads.can_change(feature) {
            Finding::warning("receive-offloads", message)
                .fix(format!("ethtool -K {name} {feature} off"))
        } else {
            Finding::warning("receive-offloads", format!("{message}; it cannot be switched here"))
                .fix("switch it off in the NIC, or in the hypervisor for this machine")
        };
        Some(finding)
    };
    [("rx-lro", "large receive offload"), ("rx-gro-hw", "GRO in hardware")]
        .into_iter()
        .filter_map(judge)
        .collect()
}

/// A tag that the NIC has taken off is gone before the shield sees the packet.
fn tags(interface: &Interface) -> Option<Finding> {
    let offloads = interface.offloads.as_ref()?;
    let (name, vlans) = (&interface.link.name, interface.vlans.join(", "));
    if vlans.is_empty() || !offloads.is_on("rx-vlan-hw-parse") {
        return None;
    }
    Some(
        Finding::warning(
            "vlan-offload",
            format!("takes VLAN tags off, and so the packets of {vlans} pass for untagged ones"),
        )
        .fix(format!("ethtool -K {name} rx-vlan-hw-parse off")),
    )
}

/// A virtual cable carries packets whose checksums nobody has filled in.
fn checksums(interface: &Interface) -> Option<Finding> {
    if interface.link.kind.as_deref() != Some("veth") {
        return None;
    }
    Some(match &interface.peer {
        Some(Peer { name, offloads: Some(offloads) }) if offloads.leaves_checksums() => {
            Finding::warning(
                "peer-checksums",
                format!(
                    "{name}, its other end, leaves TCP checksums undone: its packets are dropped"
                ),
            )
            .fix(format!("ethtool -K {name} tx off"))
        }
        Some(Peer { name, offloads: Some(_) }) => {
            Finding::ok("peer-checksums", format!("{name}, its other end, fills them in"))
        }
        Some(Peer { offloads: None, .. }) | None => Finding::note(
            "peer-checksums",
            "its other end cannot be seen from here; packets without TCP checksums are dropped",
        )
        .fix("at the other end: ethtool -K PEER tx off"),
    })
}

/// Whether the cores are on the node of a port's device; worth a line only where it could be
/// otherwise.
pub(super) fn distance(node: u32, cores: &[usize], host: &Host) -> Option<Finding> {
    match away(node, cores, &host.nodes) {
        Some(concern) => Some(concern.into()),
        None => (host.nodes.count() > 1)
            .then(|| Finding::ok("numa", format!("node {node}, as its cores"))),
    }
}

/// Beyond this, drivers want a program that takes packets in fragments, which ours does not: a page
/// less headroom and the kernel's own record, roughly, as in veth.
const NATIVE_MTU_MAX: usize = 3_500;
