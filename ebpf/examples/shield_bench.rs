//! What a packet costs in the shield, beside a program that only drops: `BPF_PROG_TEST_RUN` with a
//! million repetitions.
//!
//! The kernel hands the same memory to every repetition, so a program that turns its packet round
//! would meet its own answer. Each is therefore run behind one that puts the packet back first
//! (`bpf/bench.bpf.c`); what that costs is in the drop's figure as well, and taken off. Programs that
//! leave their packet alone are run by themselves, too. Of several runs the shortest counts: others
//! use the machine as well.
//!
//! Needs root. `cargo run --release -p ringroad-ebpf --example shield_bench [-- --json]`

#![allow(dead_code, reason = "the rig is shared with the tests")]
#![allow(clippy::print_stdout, reason = "prints a table")]

#[path = "../tests/shield/packets.rs"]
mod packets;
#[path = "../tests/shield/rig.rs"]
mod rig;

mod bench {
    #![allow(unsafe_code, unreachable_pub, missing_debug_implementations, reason = "generated")]
    #![allow(clippy::all, clippy::undocumented_unsafe_blocks, reason = "generated")]
    #![allow(clippy::allow_attributes_without_reason, reason = "generated")]
    include!(concat!(env!("OUT_DIR"), "/bench.skel.rs"));
}

use std::error::Error;
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd};

use bench::{BenchSkel, BenchSkelBuilder};
use libbpf_rs::skel::{OpenSkel as _, SkelBuilder as _};
use libbpf_rs::{MapCore as _, MapFlags, ProgramInput};
use ringroad_ebpf::{
    CookieMode, CookieService, Lists, RateLimit, RateLimits, ShieldSettings, Verdict,
};

use packets::{ACK, FIN, SYN, TCP, ethernet, ip, syn, tcp};
use rig::{LOOPBACK, Rig, ends, settings};

const REPEAT: u32 = 1_000_000;
const RUNS: usize = 9;

/// What Linux offers: MSS 1460, SACK, timestamps, window scale 7. The answer is as long.
const USUAL: [u8; 20] = [2, 4, 5, 180, 4, 2, 8, 10, 0xa, 0xb, 0xc, 0xd, 0, 0, 0, 0, 1, 3, 3, 7];

const COOKIES: CookieService = CookieService {
    mss_v4: 1460,
    mss_v6: 1440,
    window: 65_535,
    window_scale: 7,
    ecn: true,
    mode: CookieMode::Always,
};

const CLIENTS: [&str; 2] = ["192.0.2.7:51234", "[2001:db8::7]:51234"];
const SERVICES: [&str; 2] = ["10.1.0.1:80", "[fd00:1::1]:80"];

/// One new connection, then none for as long as it is measured.
const SPENT_AT_ONCE: RateLimits = RateLimits {
    per_source: None,
    per_prefix: Some(RateLimit {
        syn_per_second: 1,
        burst: 1,
        packets_per_second: None,
        bytes_per_second: None,
        prefix_v4: 24,
        prefix_v6: 48,
    }),
    unproven_syn_per_second: None,
};

/// A packet of which every repetition has this verdict.
struct Row<'a> {
    name: &'static str,
    rig: &'a Rig,
    packet: Vec<u8>,
    verdict: Verdict,
}

/// What a packet costs [ns].
struct Cost {
    /// By itself; unknown of what the program changes.
    alone: Option<u128>,
    /// With what puts the packet back.
    restored: u128,
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut object = MaybeUninit::uninit();
    let bench = BenchSkelBuilder::default().open(&mut object)?.load()?;
    let plain = rig(settings());
    let lists = Lists { deny: vec!["198.51.100.0/24".parse()?], allow: Vec::new() };
    let listed = rig(ShieldSettings { lists, ..settings() });
    let limited = rig(ShieldSettings { rate_limits: SPENT_AT_ONCE, ..settings() });

    let drop = cost_of_drop(&bench, &rows(&plain, &listed, &limited)[0].packet)?;
    let mut table = vec![("drop", drop.alone, 0)];
    let dropped = drop.restored as i128;
    for row in rows(&plain, &listed, &limited) {
        let cost = cost(&bench, &row)?;
        table.push((row.name, cost.alone, cost.restored as i128 - dropped));
    }
    match std::env::args().any(|argument| argument == "--json") {
        true => print_json(&table, drop.alone.unwrap_or_default()),
        false => print_table(&table),
    }
    Ok(())
}

fn rows<'a>(plain: &'a Rig, listed: &'a Rig, limited: &'a Rig) -> Vec<Row<'a>> {
    let [client4, client6] = CLIENTS.map(at);
    let [service4, service6] = SERVICES.map(at);
    let (other, denied) = (at("10.1.0.1:443"), at("198.51.100.7:51234"));
    let frame = |client: SocketAddr, service: SocketAddr, segment: &[u8]| {
        ethernet(&ip(client.ip(), service.ip(), TCP, segment))
    };
    // By another port: between the ends of a connection that the engine knows, a SYN is the engine's.
    let new = |client, service: SocketAddr| {
        frame(client, service, &syn(51235, service.port(), 0, &USUAL, 0))
    };
    // As long as the others.
    let known = |client, service| {
        plain.shield.known_flows().insert(0, &ends(service, client));
        frame(client, service, &tcp(51234, 80, ACK, 20))
    };
    let bad_flags = frame(client4, service4, &tcp(51234, 80, SYN | FIN, 20));
    let row = |name, rig, packet, verdict| Row { name, rig, packet, verdict };
    vec![
        row(
            "redirect of a known connection, IPv4",
            plain,
            known(client4, service4),
            Verdict::ToEngine,
        ),
        row(
            "redirect of a known connection, IPv6",
            plain,
            known(client6, service6),
            Verdict::ToEngine,
        ),
        row("redirect of a SYN, IPv4", plain, new(client4, other), Verdict::ToEngine),
        row("SYN to SYN-ACK, IPv4", plain, new(client4, service4), Verdict::Answered),
        row("SYN to SYN-ACK, IPv6", plain, new(client6, service6), Verdict::Answered),
        row("drop by list, IPv4", listed, new(denied, service4), Verdict::Denied),
        row("drop by bucket, IPv4", limited, new(client4, other), Verdict::PrefixLimited),
        row("drop of impossible flags, IPv4", plain, bad_flags, Verdict::BadFlags),
    ]
}

fn at(address: &str) -> SocketAddr {
    address.parse().expect("an address and port")
}

/// Cookies are on for the first of the rig's services, where the engine knows a connection of each
/// client.
fn rig(settings: ShieldSettings) -> Rig {
    let rig = Rig::with(&ShieldSettings { cookies: vec![COOKIES], ..settings });
    rig.control.set_cookie_keys(&[[1; 16], [2; 16]], 0);
    for (client, service) in CLIENTS.into_iter().zip(SERVICES) {
        rig.shield.known_flows().insert(0, &ends(at(service), at(client)));
    }
    rig
}

fn print_table(table: &[(&str, Option<u128>, i128)]) {
    println!("{:40} {:>8} {:>8}", "[ns a packet]", "alone", "- drop");
    for (name, alone, net) in table {
        let alone = alone.map_or("-".to_owned(), |ns| ns.to_string());
        println!("{name:40} {alone:>8} {net:>8}");
    }
}

fn print_json(table: &[(&str, Option<u128>, i128)], drop_ns: u128) {
    let object = |(name, alone, net): &(&str, Option<u128>, i128)| {
        let alone = alone.map_or("null".to_owned(), |ns| ns.to_string());
        format!(
            r#"  {{"name": "{name}", "alone_ns": {alone}, "net_ns": {net}, "drop_ns": {drop_ns}}}"#
        )
    };
    println!("[\n{}\n]", table.iter().map(object).collect::<Vec<_>>().join(",\n"));
}

fn cost(bench: &BenchSkel<'_>, row: &Row<'_>) -> Result<Cost, Box<dyn Error>> {
    let Row { name, rig, packet, verdict } = row;
    // The last of a bucket is not refused.
    if *verdict == Verdict::PrefixLimited {
        rig.verdict(packet);
    }
    assert_eq!(rig.verdict(packet), *verdict, "{name}");
    let alone = match verdict {
        Verdict::Answered => None,
        _ => Some(shortest(|| Ok(rig.shield.dry_run(0, 0, packet, REPEAT)?.duration.as_nanos()))?),
    };
    let before = rig.counters().of(*verdict);
    let restored = restored(bench, rig.shield.as_fd(), packet)?;
    let counted = rig.counters().of(*verdict) - before;
    // A bucket may have one more in between.
    assert!(counted + RUNS as u64 >= u64::from(REPEAT) * RUNS as u64, "{name}: every time");
    Ok(Cost { alone, restored })
}

/// Of the program that only drops.
fn cost_of_drop(bench: &BenchSkel<'_>, packet: &[u8]) -> Result<Cost, Box<dyn Error>> {
    let drop = &bench.progs.ringroad_drop;
    let alone =
        shortest(|| Ok(drop.test_run(input(packet, &mut context(packet)))?.duration.as_nanos()))?;
    Ok(Cost { alone: Some(alone), restored: restored(bench, drop.as_fd(), packet)? })
}

/// Time of `program` behind the one that puts the packet back [ns].
fn restored(
    bench: &BenchSkel<'_>,
    program: BorrowedFd<'_>,
    packet: &[u8],
) -> Result<u128, Box<dyn Error>> {
    let first = 0_u32.to_ne_bytes();
    let mut saved = packet.to_vec();
    saved.resize(bench.maps.packet.value_size() as usize, 0);
    bench.maps.packet.update(&first, &saved, MapFlags::ANY)?;
    bench.maps.measured.update(&first, &program.as_raw_fd().to_ne_bytes(), MapFlags::ANY)?;
    shortest(|| {
        let mut context = context(packet);
        let run = bench.progs.ringroad_again.test_run(input(packet, &mut context))?;
        Ok(run.duration.as_nanos())
    })
}

fn input<'a>(packet: &'a [u8], context: &'a mut [u8]) -> ProgramInput<'a> {
    ProgramInput {
        data_in: Some(packet),
        context_in: Some(context),
        repeat: REPEAT,
        ..ProgramInput::default()
    }
}

/// `struct xdp_md`: the packet came by the only queue of the loopback.
fn context(packet: &[u8]) -> Vec<u8> {
    [0, packet.len() as u32, 0, LOOPBACK, 0, 0].map(u32::to_ne_bytes).concat()
}

fn shortest(run: impl Fn() -> Result<u128, Box<dyn Error>>) -> Result<u128, Box<dyn Error>> {
    let times = (0..RUNS).map(|_| run()).collect::<Result<Vec<_>, _>>()?;
    Ok(times.into_iter().min().unwrap_or_default())
}
