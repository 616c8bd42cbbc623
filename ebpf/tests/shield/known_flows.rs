//! What the engine says of its connections, and what the program makes of it.

use std::net::SocketAddr;

use ringroad_ebpf::{KnownFlows, Shield, ShieldError, ShieldSettings, Verdict};

use crate::packets::{ACK, segment};
use crate::rig::{Rig, ends, in_namespace, settings};

fn at(address: &str) -> SocketAddr {
    address.parse().expect("an address and port")
}

/// At no service, and in no egress range: only what is known is the engine's.
fn nowhere(n: u32) -> [SocketAddr; 2] {
    let port = 1 + (n % 60_000) as u16;
    let local = if n.is_multiple_of(2) { at("10.9.0.1:9") } else { at("[fd00:9::1]:9") };
    let remote = match local {
        SocketAddr::V4(_) => SocketAddr::from(((0x0b00_0000 + n / 16).to_be_bytes(), port)),
        SocketAddr::V6(_) => at(&format!("[2001:db8::{n:x}]:{port}")),
    };
    [local, remote]
}

fn insert(known: &KnownFlows, [local, remote]: [SocketAddr; 2]) {
    known.insert(0, &ends(local, remote));
}

fn remove(known: &KnownFlows, [local, remote]: [SocketAddr; 2]) {
    known.remove(0, &ends(local, remote));
}

fn data([local, remote]: [SocketAddr; 2]) -> Vec<u8> {
    segment(remote, local, ACK, 100)
}

/// The hash is the same in both, of every word of the key.
#[test]
fn the_program_knows_what_the_engine_inserts_until_it_removes_it() {
    in_namespace(|| {
        let rig = Rig::new();
        let known = rig.shield.known_flows();
        for n in 0..500 {
            assert_eq!(rig.verdict(&data(nowhere(n))), Verdict::NotOurs, "{n}");
            insert(&known, nowhere(n));
            assert_eq!(rig.verdict(&data(nowhere(n))), Verdict::ToEngine, "{n}");
        }
        for n in 0..500 {
            remove(&known, nowhere(n));
            assert_eq!(rig.verdict(&data(nowhere(n))), Verdict::NotOurs, "{n}");
        }
        assert_eq!(known.count(), 0);
    });
}

#[test]
fn a_successor_knows_the_same_connections() {
    in_namespace(|| {
        let rig = Rig::new();
        insert(&rig.shield.known_flows(), nowhere(1));
        let successor = Shield::load_successor(&settings(), &rig.shield).expect("load another");
        insert(&rig.shield.known_flows(), nowhere(2));
        remove(&successor.known_flows(), nowhere(1));
        assert_eq!(rig.verdict(&data(nowhere(1))), Verdict::NotOurs);
        let run = successor.dry_run(0, 0, &data(nowhere(2)), 1).expect("a dry run");
        let counted = successor.counters().expect("counters").of(Verdict::NoSocket);
        assert_eq!((run.packet, counted), (data(nowhere(2)), 1), "known, but no socket is set");

        let elsewhere = ShieldSettings { ports: Vec::new(), ..settings() };
        let refused = Shield::load_successor(&elsewhere, &rig.shield);
        assert!(matches!(refused, Err(ShieldError::OtherPorts)));
    });
}

#[test]
fn more_than_can_be_told_apart_are_refused() {
    let too_many = ShieldSettings { known_flows: (1 << 24) + 1, ..settings() };
    assert!(matches!(too_many.check(), Err(ShieldError::TooManyKnownFlows(_))));
}
