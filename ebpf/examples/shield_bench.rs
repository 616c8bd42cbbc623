//! What a packet costs in the shield, beside a program that only drops: `BPF_PROG_TEST_RUN` with a
//! million repetitions.
//!
//! The kernel hands the same memory to every repetition, so a program that turns its packet round
//! would meet its own answer. Each is therefore run behind one that puts the packet back first
//! (`bpf/bench.bpf.c`); what that costs is in the drop's figure as well, and taken off. Programs that
//! leave their packet alone are run by themselves, too.
//!
//! Needs root. `cargo run --release -p ringroad-ebpf --example shield_bench`

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
use ringroad_ebpf::{CookieMode, CookieService, Verdict};

use packets::{ACK, TCP, ethernet, ip, syn, tcp};
use rig::{LOOPBACK, Rig, ends};

const REPEAT: u32 = 1_000_000;
/// The median of this many runs counts: others use the machine, too.
const RUNS: usize = 9;

/// What Linux offers: MSS 1460, SACK, timestamps, window scale 7. The answer is as long.
const USUAL: [u8; 20] = [2, 4, 5, 180, 4, 2, 8, 10, 0xa, 0xb, 0xc, 0xd, 0, 0, 0, 0, 1, 3, 3, 7];

const COOKIES: CookieService = CookieService {
    mss_v4: 1460,
    mss_v6: 1440,
    window: 65_535,
    window_scale: 7,
    mode: CookieMode::Always,
};

fn main() -> Result<(), Box<dyn Error>> {
    let mut object = MaybeUninit::uninit();
    let bench = BenchSkelBuilder::default().open(&mut object)?.load()?;
    let rig = Rig::with_cookies(vec![COOKIES]);
    rig.control.set_cookie_keys(&[[1; 16], [2; 16]], 0);

    let (client4, client6) = ("192.0.2.7:51234".parse()?, "[2001:db8::7]:51234".parse()?);
    let (service4, service6) = ("10.1.0.1:80".parse()?, "[fd00:1::1]:80".parse()?);
    let other: SocketAddr = "10.1.0.1:443".parse()?;
    let frame = |client: SocketAddr, service: SocketAddr, segment: &[u8]| {
        ethernet(&ip(client.ip(), service.ip(), TCP, segment))
    };
    let new = |client, service: SocketAddr| {
        frame(client, service, &syn(51234, service.port(), 0, &USUAL, 0))
    };
    // As long as the others.
    let known = |client, service| {
        rig.shield.known_flows().insert(0, &ends(service, client));
        frame(client, service, &tcp(51234, 80, ACK, 20))
    };
    let rows = [
        ("redirect of a known connection, IPv4", known(client4, service4), Verdict::ToEngine),
        ("redirect of a known connection, IPv6", known(client6, service6), Verdict::ToEngine),
        ("redirect of a SYN, IPv4", new(client4, other), Verdict::ToEngine),
        ("SYN to SYN-ACK, IPv4", new(client4, service4), Verdict::Answered),
        ("SYN to SYN-ACK, IPv6", new(client6, service6), Verdict::Answered),
    ];

    println!("{:40} {:>8} {:>8} {:>8}", "[ns a packet]", "alone", "restored", "- drop");
    let drop = bench.progs.ringroad_drop.as_fd();
    let packet = known(client4, service4);
    let alone = median(|| {
        Ok(bench
            .progs
            .ringroad_drop
            .test_run(input(&packet, &mut context(&packet)))?
            .duration
            .as_nanos())
    })?;
    let dropped = restored(&bench, drop, &packet)?;
    println!("{:40} {alone:8} {dropped:8} {:8}", "drop", 0);
    for (what, packet, verdict) in rows {
        assert_eq!(rig.verdict(&packet), verdict, "{what}");
        let alone = match verdict {
            Verdict::Answered => "-".to_owned(),
            _ => median(|| Ok(rig.shield.dry_run(0, 0, &packet, REPEAT)?.duration.as_nanos()))?
                .to_string(),
        };
        let before = rig.counters().of(verdict);
        let restored = restored(&bench, rig.shield.as_fd(), &packet)?;
        let counted = rig.counters().of(verdict) - before;
        assert_eq!(counted, u64::from(REPEAT) * RUNS as u64, "{what}: every time");
        println!("{what:40} {alone:>8} {restored:8} {:8}", restored as i128 - dropped as i128);
    }
    Ok(())
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
    median(|| {
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

fn median(run: impl Fn() -> Result<u128, Box<dyn Error>>) -> Result<u128, Box<dyn Error>> {
    let mut times = (0..RUNS).map(|_| run()).collect::<Result<Vec<_>, _>>()?;
    times.sort_unstable();
    Ok(times[RUNS / 2])
}
