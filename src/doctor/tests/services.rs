//! Services on hosts that are not here.

use std::sync::Arc;

use ringroad_engine::kernel::{Clash, Routes, SimulatedHost};
use ringroad_engine::wire::ethernet::MacAddr;

use super::super::finding::Status;
use super::super::services::{SourcePorts, judge};
use super::lines;

/// A host with client and origin on links of their own, of these MTUs.
fn routes(wan_mtu: u32, lan_mtu: u32) -> Arc<Routes> {
    let mut host = SimulatedHost::new();
    for (ifindex, mtu) in [(1, wan_mtu), (2, lan_mtu)] {
        host.link(ifindex, MacAddr([2, 0, 0, 0, 0, ifindex as u8]), mtu);
        let address = format!("10.10.{ifindex}.1").parse().unwrap();
        host.address(ifindex, address, 24);
        host.route((format!("10.10.{ifindex}.0").parse().unwrap(), 24), ifindex, None);
    }
    host.snapshot()
}

#[test]
fn sides_of_different_mtus_and_ways_by_the_wrong_port_are_told() {
    let text = "\
ports: [{ interface: sim1, name: wan }, { interface: sim2, name: lan }]
services:
  - { name: web, port: wan, listen: [\"10.10.1.1:80\"], origins: [\"10.10.2.2:80\", \"10.10.2.3:80\"] }
  - { name: odd, port: wan, listen: [\"10.10.1.1:81\"], origins: [\"10.10.2.2:80\"],
      egress: { port: wan, address: 10.10.1.1 } }
  - { name: far, port: wan, listen: [\"10.10.1.1:82\"], origins: [\"192.0.2.1:80\"],
      egress: { address: 10.10.2.1 } }
";
    let config = ringroad_config::parse("edge.yaml", text).unwrap();
    let findings = judge(&config, &routes(1500, 9000), false).unwrap();
    let told = |check| {
        let wrong = findings.iter().filter(|f| f.check == check && f.status != Status::Ok);
        lines(&wrong.cloned().collect::<Vec<_>>())
    };
    let mismatch = |service| {
        format!(
            "Warning mtu-match {service}: 1500 towards clients (sim1), 9000 towards origins (sim2): \
             segments are copied to fit → ip link set sim2 mtu 1500, at both ends"
        )
    };
    assert_eq!(told("mtu-match"), [mismatch("web"), mismatch("odd")]);
    assert_eq!(
        told("origin-route"),
        [
            "Failure origin-route odd: Linux routes origin 10.10.2.2:80 by sim2, not by egress.port \
             \"wan\" → route it by a port, or add that interface to ports",
            "Failure origin-route far: no way to 192.0.2.1:80: Linux has no route; add one with `ip \
             route add` → see `ip route get 192.0.2.1`",
        ]
    );
    // A simulated host has no table of local addresses.
    let listen = "Failure listen-address web: 10.10.1.1 is no address of this host → ip addr add \
                  10.10.1.1/32 dev sim1, or choose another";
    assert_eq!(told("listen-address")[0], listen);
}

#[test]
fn source_ports_that_are_not_ours_alone_are_told() {
    let good =
        || SourcePorts { ports: 20000..=29999, clash: None, reserved: 0, linux: 32768..=60999 };
    assert_eq!(lines(&good().judge()), ["Ok source-ports: 20000-29999 are free"]);
    let local = "10.10.2.1:20005".parse().unwrap();
    let bad = SourcePorts {
        clash: Some(Clash { local, state: "LISTEN" }),
        reserved: 3,
        linux: 20000..=30000,
        ..good()
    };
    assert_eq!(
        lines(&bad.judge()),
        [
            "Failure source-ports: Linux has a TCP socket on 10.10.2.1:20005 (LISTEN), one of \
             20000-29999 → choose other egress.source_ports, or stop what holds it (`ss -tanp 'sport \
             = :20005'`)",
            "Note source-ports: 3 of 20000-29999 are reserved in Linux already: for another program, \
             or since a crash → if another program connects from them, choose other \
             egress.source_ports",
            "Note source-ports: 20000-29999 leave Linux 1 of the ports that it connects from itself → \
             if programs here open many connections, choose others than net.ipv4.ip_local_port_range",
        ]
    );
}
