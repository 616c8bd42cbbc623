//! A flood of TCP segments or fragments from sources that nobody has, for measuring what it costs
//! whom it meets.
//!
//! The packets are made in the kernel (`BPF_PROG_TEST_RUN` with live frames) by a program that draws
//! source, port and numbers, writes the checksums and redirects the packet to an interface: no
//! socket and no packet buffer is in the way, so that this is the fastest that a machine floods a
//! veth. What is behind the veth runs its own part on this core.
//!
//! Needs root. Not for networks that others use: sources are of 198.18.0.0/15 (RFC 2544), but what
//! is flooded is flooded.
//!
//! ```text
//! flood --interface eth0 --to 10.10.1.1:80 --to-mac 02:00:00:00:00:01 --kind syn --seconds 5
//! ```

#![allow(dead_code, reason = "packets are made as the tests make them")]
#![allow(clippy::print_stdout, reason = "prints what it did")]

#[path = "../tests/shield/packets.rs"]
mod packets;

mod skeleton {
    #![allow(unsafe_code, unreachable_pub, missing_debug_implementations, reason = "generated")]
    #![allow(clippy::all, clippy::undocumented_unsafe_blocks, reason = "generated")]
    #![allow(clippy::allow_attributes_without_reason, reason = "generated")]
    include!(concat!(env!("OUT_DIR"), "/flood.skel.rs"));
}

use std::error::Error;
use std::fs;
use std::mem::MaybeUninit;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use clap::{Parser, ValueEnum};
use libbpf_rs::libbpf_sys::BPF_F_TEST_XDP_LIVE_FRAMES;
use libbpf_rs::skel::{OpenSkel as _, SkelBuilder as _};
use libbpf_rs::{ErrorKind, ProgramInput, ProgramMut};
use nix::net::if_::if_nametoindex;
use nix::time::{ClockId, clock_gettime};
use nix::unistd::alarm;

use signal_hook::consts::{SIGALRM, SIGINT, SIGTERM};

use packets::{ACK, FIN, PSH, RST, TCP, ethernet, ipv4, syn, tcp};
use skeleton::FloodSkelBuilder;
use skeleton::types::shape;

#[derive(Debug, Parser)]
#[command(
    about = "Floods an address with packets from sources that nobody has; ends early with SIGTERM or SIGINT"
)]
struct Arguments {
    /// Interface to send by.
    #[arg(long)]
    interface: String,
    /// Address and port to flood.
    #[arg(long)]
    to: SocketAddrV4,
    /// Ethernet address of the station to send to.
    #[arg(long, value_parser = parse_mac)]
    to_mac: Mac,
    #[arg(long, value_enum)]
    kind: Kind,
    /// How long at most [seconds].
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=SECONDS_MAX))]
    seconds: u32,
    /// Packets per second at most; without it as many as there can be.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=RATE_MAX))]
    rate: Option<u32>,
}

type Mac = [u8; 6];

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    /// As Linux opens connections, with all options.
    Syn,
    /// Segments with a little payload, of no connection.
    Ack,
    Rst,
    Fin,
    /// First fragments and later ones of datagrams that never become whole.
    Fragment,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let mac = fs::read_to_string(format!("/sys/class/net/{}/address", arguments.interface))?;
    let own_mac = parse_mac(mac.trim())?;
    let mut object = MaybeUninit::uninit();
    let mut opened = FloodSkelBuilder::default().open(&mut object)?;
    let constants = opened.maps.rodata_data.as_deref_mut().ok_or("the program has no constants")?;
    constants.out_ifindex = if_nametoindex(arguments.interface.as_str())?;
    constants.shapes = frames(arguments.kind, arguments.to)
        .map(|frame| shape_of(frame, own_mac, arguments.to_mac));
    let mut loaded = opened.load()?;

    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT, SIGALRM] {
        signal_hook::flag::register(signal, Arc::clone(&stop))?;
    }
    // Interrupts a call that has not sent all of its packets yet.
    alarm::set(arguments.seconds);
    let (start, cpu_before) = (Instant::now(), cpu_time()?);
    flood(&mut loaded.progs.ringroad_flood, arguments.rate, &stop)?;
    let (seconds, cpu) = (start.elapsed().as_secs_f64(), cpu_time()? - cpu_before);
    let packets = loaded.maps.bss_data.as_deref().ok_or("the program counts nothing")?.packets;
    println!(
        r#"{{"packets": {packets}, "seconds": {seconds:.3}, "rate": {:.0}, "cpu_seconds": {:.3}}}"#,
        packets as f64 / seconds,
        cpu.as_secs_f64(),
    );
    Ok(())
}

/// Sends until `stop`.
fn flood(
    program: &mut ProgramMut<'_>,
    rate: Option<u32>,
    stop: &AtomicBool,
) -> Result<(), libbpf_rs::Error> {
    let portion = rate.map_or(PORTION, |rate| (rate / PORTIONS_PER_SECOND).max(1));
    let (start, mut sent) = (Instant::now(), 0_u64);
    while !stop.load(Ordering::Relaxed) {
        let run = program.test_run(ProgramInput {
            data_in: Some(&[0; ROOM]),
            repeat: portion,
            flags: BPF_F_TEST_XDP_LIVE_FRAMES,
            ..ProgramInput::default()
        });
        match run {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            run => run?,
        };
        sent += u64::from(portion);
        if let Some(rate) = rate {
            let due = Duration::from_secs_f64(sent as f64 / f64::from(rate));
            thread::sleep(due.saturating_sub(start.elapsed()));
        }
    }
    Ok(())
}

/// The core's time so far, the kernel's for us included.
fn cpu_time() -> Result<Duration, nix::Error> {
    Ok(clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID)?.into())
}

/// The packets of a kind, one of two by chance, from a source and with numbers that are all zero.
fn frames(kind: Kind, to: SocketAddrV4) -> [Vec<u8>; 2] {
    let packet = |fragment, payload: &[u8]| {
        ethernet(&ipv4(Ipv4Addr::UNSPECIFIED, *to.ip(), TCP, fragment, &[], payload))
    };
    let whole =
        |segment: Vec<u8>| [packet(DONT_FRAGMENT, &segment), packet(DONT_FRAGMENT, &segment)];
    match kind {
        Kind::Syn => {
            let mut syn = syn(0, to.port(), 0, &USUAL, 0);
            syn[4..8].fill(0);
            whole(syn)
        }
        Kind::Ack => whole(tcp(0, to.port(), ACK | PSH, PAYLOAD)),
        Kind::Rst => whole(tcp(0, to.port(), RST, 0)),
        Kind::Fin => whole(tcp(0, to.port(), FIN | ACK, 0)),
        Kind::Fragment => [
            packet(MORE_FRAGMENTS, &tcp(0, to.port(), ACK, PAYLOAD)),
            packet(LATER_OFFSET, &[0; 40]),
        ],
    }
}

/// What the program needs of a frame from Ethernet to TCP header, addressed.
fn shape_of(mut frame: Vec<u8>, from: Mac, to: Mac) -> shape {
    frame[..6].copy_from_slice(&to);
    frame[6..12].copy_from_slice(&from);
    let (ip, segment) = frame[ETHERNET..].split_at(IPV4);
    let pseudo = sum(&ip[12..]) + u32::from(u16::from_ne_bytes([0, TCP]));
    let octets = (segment.len() as u16).to_be_bytes();
    let mut shape = shape {
        octets: frame.len() as u32,
        ip_sum: sum(ip),
        tcp_sum: sum(segment) + pseudo + u32::from(u16::from_ne_bytes(octets)),
        acknowledges: u32::from(segment[13] & ACK != 0),
        ..shape::default()
    };
    frame.resize(ROOM, 0);
    for (word, octets) in shape.words.iter_mut().zip(frame.chunks_exact(8)) {
        *word = u64::from_ne_bytes(octets.try_into().expect("eight octets"));
    }
    shape
}

/// Of 16 bit words as they lie in memory (RFC 1071).
fn sum(octets: &[u8]) -> u32 {
    octets
        .chunks(2)
        .map(|two| u32::from(u16::from_ne_bytes([two[0], *two.get(1).unwrap_or(&0)])))
        .sum()
}

fn parse_mac(text: &str) -> Result<Mac, String> {
    let octets: Result<Vec<u8>, _> =
        text.split(':').map(|octet| u8::from_str_radix(octet, 16)).collect();
    octets.ok().and_then(|octets| octets.try_into().ok()).ok_or_else(|| format!("{text}: no MAC"))
}

/// What Linux offers: MSS 1460, SACK, timestamps, window scale 7.
const USUAL: [u8; 20] = [2, 4, 5, 180, 4, 2, 8, 10, 0xa, 0xb, 0xc, 0xd, 0, 0, 0, 0, 1, 3, 3, 7];
const PAYLOAD: usize = 16;

const ETHERNET: usize = 14;
const IPV4: usize = 20;
const DONT_FRAGMENT: u16 = 0x4000;
const MORE_FRAGMENTS: u16 = 0x2000;
/// Behind a first fragment of 1,480 octets [8 octets].
const LATER_OFFSET: u16 = 1480 / 8;

/// As long as the program makes a packet before it cuts it [octets].
const ROOM: usize = 96;

const SECONDS_MAX: i64 = 60;
const RATE_MAX: i64 = 100_000_000;
/// A second or more at full speed: the kernel takes a while between two calls [packets].
const PORTION: u32 = 1 << 22;
/// A call sleeps some 20 ms, as the kernel sets up and takes down its memory for it.
const PORTIONS_PER_SECOND: u32 = 20;
