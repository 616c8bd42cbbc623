//! What it costs to say whose a flow is, and to find out which source ports are a worker's own.
//!
//!     cargo run --release -p ringroad-engine --example steering_cost

#![allow(clippy::print_stdout, reason = "a program that prints a table")]

use std::hint::black_box;
use std::net::SocketAddr;
use std::num::NonZeroU8;
use std::time::{Duration, Instant};

use ringroad_engine::flow::{FlowHasher, FlowKey, Owner, Rss, Steering};
use ringroad_engine::proxy::OriginSettings;

/// Of different clients, fewer than would fill the cache.
const FLOWS: u32 = 4096;
const ROUNDS: usize = 200;
/// Of which the best is reported.
const RUNS: usize = 7;

fn main() {
    let hasher = FlowHasher::new(&[7; 16]);
    let owners = NonZeroU8::new(4).expect("four");
    let key: Vec<u8> = (0..40_u8).map(|n| n.wrapping_mul(73) ^ 0xa5).collect();
    let card = Rss::new(&key, (0..128).map(|place| place % 8).collect()).expect("a card");
    let hashed = Steering::hashed(owners);
    let by_card = Steering::by_cards(owners, vec![Some(card)]);
    for (family, flows) in [("IPv4", flows("10.10.1.1:80")), ("IPv6", flows("[fd00::1]:80"))] {
        let hashes: Vec<_> = flows.iter().map(|flow| (*flow, hasher.hash(flow))).collect();
        let nanos = |what: &str, nanos: f64| println!("{family}  {what:<36}{nanos:>8.1} ns");
        nanos("the flow table's hash", best(&hashes, |(flow, _)| hasher.hash(flow).0 as u8));
        nanos("the owner, from that", best(&hashes, |(flow, hash)| hashed.owner(0, flow, *hash)));
        nanos(
            "the owner, by the card",
            best(&hashes, |(flow, hash)| by_card.owner(0, flow, *hash)),
        );
    }
    for (what, steering) in [("the keyed hash", hashed), ("the card", by_card)] {
        let origin = OriginSettings {
            address: "10.20.0.1:8080".parse().expect("an address"),
            egress_port: 0,
            egress_address: "10.20.0.254".parse().expect("an address"),
            source_ports: 20_000..=59_999,
        };
        let owner = Owner::new(steering, 1);
        let start = Instant::now();
        let own = origin.source_ports_of(&owner, &hasher).count();
        let took = start.elapsed().as_micros();
        println!("{own} of 40000 source ports by {what}: {took} us");
    }
}

fn flows(local: &str) -> Vec<FlowKey> {
    let local: SocketAddr = local.parse().expect("an address");
    let remote = |n: u32| match local.is_ipv4() {
        true => SocketAddr::from((n.wrapping_mul(0x9e37_79b9).to_be_bytes(), n as u16)),
        false => {
            let bits = 0x2001_0db8_u128 << 96 | u128::from(n.wrapping_mul(0x9e37_79b9));
            SocketAddr::from((bits.to_be_bytes(), n as u16))
        }
    };
    (1..=FLOWS).map(|n| FlowKey::new(local, remote(n))).collect()
}

/// Time of one call [ns].
fn best<T>(of: &[T], call: impl Fn(&T) -> u8) -> f64 {
    let run = || {
        let start = Instant::now();
        for _ in 0..ROUNDS {
            of.iter().for_each(|one| {
                black_box(call(black_box(one)));
            });
        }
        start.elapsed()
    };
    let least = (0..RUNS).map(|_| run()).min().unwrap_or(Duration::ZERO);
    least.as_nanos() as f64 / (ROUNDS * of.len()) as f64
}
