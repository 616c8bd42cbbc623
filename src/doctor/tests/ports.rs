//! Ports on interfaces that are not here.

use ringroad_config::schema::{AfXdp, XdpMode};
use ringroad_ebpf::ShieldError;
use ringroad_engine::kernel::{Link, Offloads, ReceiveQueues, XdpSupport};
use ringroad_engine::wire::ethernet::MacAddr;
use ringroad_hugepages::Nic;

use super::super::finding::{Finding, Status};
use super::super::ports::{Interface, Peer, judge};
use super::{lines, read, server};

/// A good interface: a card on node 1, one queue, zero-copy.
fn eth1() -> Interface {
    Interface {
        link: Link {
            ifindex: 7,
            name: "eth1".to_owned(),
            mac: Some(MacAddr([2, 0, 0, 0, 0, 7])),
            mtu: 1500,
            up: true,
            vlan: None,
            kind: None,
            peer: None,
            xdp_program: None,
        },
        nic: Some(Nic {
            driver: Some("ice".to_owned()),
            address: "0000:3b:00.0".parse().ok(),
            node: Some(1),
        }),
        queues: Some(ReceiveQueues { receiving: 0, combined: 1 }),
        offloads: Some(Offloads::default()),
        xdp: Some(XdpSupport { native: true, zero_copy: true }),
        vlans: Vec::new(),
        peer: None,
        occupied: None,
    }
}

/// What is wrong with a port on `interface`, polled by `core`; every line names the interface.
fn port_on(interface: &Interface, mode: XdpMode, core: usize) -> Vec<String> {
    let name = interface.link.name.clone();
    let port = AfXdp { interface: name.clone(), queues: 1, xdp_mode: mode, busy_poll: None };
    let root = server();
    let findings = judge(&port, interface, &[core], &read(root.path()), false);
    assert!(findings.iter().all(|finding| finding.subject.as_ref() == Some(&name)));
    let wrong = findings.into_iter().filter(|finding| finding.status != Status::Ok);
    lines(&wrong.map(|finding| Finding { subject: None, ..finding }).collect::<Vec<_>>())
}

#[test]
fn a_good_port_has_nothing_against_it() {
    assert!(port_on(&eth1(), XdpMode::Auto, 4).is_empty());
    assert!(port_on(&eth1(), XdpMode::ZeroCopy, 4).is_empty());
}

#[test]
fn a_card_on_the_other_node_costs() {
    assert_eq!(
        port_on(&eth1(), XdpMode::Auto, 0),
        ["Warning numa: on node 1, core 0 on node 0 (distance 21, within a node 10) → choose \
          engine.cores from 4-7"]
    );
}

#[test]
fn what_stops_a_port_is_a_failure() {
    let mut eth1 = eth1();
    eth1.link.up = false;
    eth1.link.mtu = 9000;
    eth1.queues = Some(ReceiveQueues { receiving: 0, combined: 8 });
    eth1.occupied = Some(ShieldError::OtherProgram {
        interface: "eth1".to_owned(),
        program: "balancer".to_owned(),
        id: 12,
    });
    assert_eq!(
        port_on(&eth1, XdpMode::Auto, 4),
        [
            "Failure interface: is down, or nothing is plugged in → ip link set eth1 up",
            "Failure xdp-program: runs the XDP program \"balancer\" (id 12) of somebody else → stop \
             what owns it (`bpftool net`), or ip link set dev eth1 xdp off",
            "Failure receive-queues: receives on 8 queues, of which 1 would be polled → ethtool -L \
             eth1 combined 1",
            "Failure mtu: 9000: its packets do not fit one frame → ip link set eth1 mtu 3818, or less",
        ]
    );
}

#[test]
fn the_mode_is_held_against_what_the_driver_can() {
    let found = |native, zero_copy, mode| {
        let interface = Interface { xdp: Some(XdpSupport { native, zero_copy }), ..eth1() };
        port_on(&interface, mode, 4).join("\n")
    };
    let none = "Failure xdp-support: ice has no XDP of its own, and xdp_mode is copy → set xdp_mode \
                to auto, or use a NIC whose driver has XDP";
    assert_eq!(found(false, false, XdpMode::Copy), none);
    assert!(
        found(true, false, XdpMode::ZeroCopy).starts_with("Failure xdp-support: ice has no zero")
    );
    assert!(found(false, false, XdpMode::Auto).starts_with("Warning xdp-support: ice has no XDP"));
    assert!(found(true, true, XdpMode::Generic).starts_with("Warning xdp-support: ice has XDP"));
    assert!(
        found(true, false, XdpMode::Auto).starts_with("Note xdp-support: ice: native, the kernel")
    );
    assert_eq!(found(true, true, XdpMode::Copy), "");
    let silent = Interface { xdp: None, queues: None, ..eth1() };
    let notes = port_on(&silent, XdpMode::Auto, 4);
    assert!(notes.len() == 2 && notes.iter().all(|note| note.starts_with("Note ")), "{notes:?}");
}

#[test]
fn offloads_that_spoil_packets_are_told() {
    let mut eth1 = eth1();
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    eth1.offloads = Some(Offloads {
        active: names(&["rx-lro", "rx-gro-hw", "rx-vlan-hw-parse"]),
        changeable: names(&["rx-lro", "rx-vlan-hw-parse"]),
    });
    eth1.vlans = vec!["eth1.5".to_owned()];
    assert_eq!(
        port_on(&eth1, XdpMode::Auto, 4),
        [
            "Warning receive-offloads: large receive offload is on; drivers refuse XDP with it, or \
             fuse packets beyond a frame → ethtool -K eth1 rx-lro off",
            "Warning receive-offloads: GRO in hardware is on; drivers refuse XDP with it, or fuse \
             packets beyond a frame; it cannot be switched here → switch it off in the NIC, or in the \
             hypervisor for this machine",
            "Warning vlan-offload: takes VLAN tags off, and so the packets of eth1.5 pass for \
             untagged ones → ethtool -K eth1 rx-vlan-hw-parse off",
        ]
    );
}

#[test]
fn a_cable_without_checksums_is_told() {
    let veth = |offloads: Option<Offloads>| Interface {
        link: Link { kind: Some("veth".to_owned()), ..eth1().link },
        nic: None,
        xdp: Some(XdpSupport { native: true, zero_copy: false }),
        peer: offloads.map(|offloads| Peer { name: "far0".to_owned(), offloads: Some(offloads) }),
        ..eth1()
    };
    let leaves =
        Offloads { active: ["tx-checksum-ip-generic".to_owned()].into(), ..Offloads::default() };
    assert_eq!(
        port_on(&veth(Some(leaves)), XdpMode::Auto, 4),
        [
            "Warning peer-checksums: far0, its other end, leaves TCP checksums undone: its packets are \
          dropped → ethtool -K far0 tx off"
        ]
    );
    assert!(port_on(&veth(Some(Offloads::default())), XdpMode::Auto, 4).is_empty());
    assert_eq!(
        port_on(&veth(None), XdpMode::Auto, 4),
        [
            "Note peer-checksums: its other end cannot be seen from here; packets without TCP checksums \
          are dropped → at the other end: ethtool -K PEER tx off"
        ]
    );
}
