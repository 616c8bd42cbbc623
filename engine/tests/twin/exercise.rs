//! Packets, settings and pauses that octets describe, for the program and its twin: for fuzzing, and for
//! what it has found.

use std::time::Duration;

use ringroad_ebpf::Verdict;
use ringroad_engine::random::Random;

use crate::both::{Both, COOKIES};
use crate::packets::{SYN, TCP};
use crate::traffic::{
    MODES, acknowledgment, any_new_connection, damaged, ends, ends_of, plausible,
};

/// Of three octets each, the first says what is next and the others how. Packets that octets by
/// chance would hardly make are drawn from those as a seed.
pub(crate) fn exercise(both: &mut Both, mut input: &[u8]) {
    let (mut answer, mut left_to_linux) = (Vec::new(), Vec::new());
    while let Some((&[what, a, b], rest)) = input.split_first_chunk() {
        input = rest;
        let mut random = Random::new(u64::from_le_bytes([a, b, 0, 0, 0, 0, 0, 0]));
        let packet = match what % 12 {
            0 => {
                let octets = usize::from(u16::from_le_bytes([a, b]) % 2048).min(input.len());
                let packet;
                (packet, input) = input.split_at(octets);
                packet.to_vec()
            }
            1 | 2 => any_new_connection(&mut random),
            3 => plausible(&mut random),
            4 => {
                let packet = plausible(&mut random);
                damaged(&mut random, packet)
            }
            5 | 6 if !answer.is_empty() => acknowledgment(&mut random, &answer),
            _ => {
                set(both, what, [a, b], &answer);
                continue;
            }
        };
        // The kernel runs nothing on less than an Ethernet header.
        if packet.len() < 14 {
            continue;
        }
        match both.verdict("fuzzed", &packet) {
            Verdict::Answered => answer = both.twin.answer().to_vec(),
            Verdict::NotAccepting => left_to_linux.push(packet),
            _ => {}
        }
    }
    left_to_linux.into_iter().for_each(|packet| take_back(both, packet));
    both.assert_same_counts();
}

/// Puts back what settings an input changed, and forgets what it was about, so that the next one does
/// what it does by itself. What it left to Linux stays.
pub(crate) fn start_afresh(both: &mut Both) {
    while !both.known.is_empty() {
        both.forget(0);
    }
    both.advance(LONGER_THAN_A_PROOF);
    both.set_keys(0);
    both.set_pressure(false);
    for (service, cookies) in COOKIES.into_iter().enumerate() {
        both.set_accepting(service, true);
        both.set_cookies(service, cookies.mode);
    }
}

/// A SYN of the same connection makes it the engine's.
fn take_back(both: &mut Both, mut packet: Vec<u8>) {
    for service in 0..COOKIES.len() {
        both.set_accepting(service, true);
    }
    if let Some(flags) = flags_of(&mut packet) {
        *flags = SYN;
        both.verdict("taken back", &packet);
    }
}

/// The TCP flags of a packet that both have found to be of a connection.
fn flags_of(packet: &mut [u8]) -> Option<&mut u8> {
    let network_at = if packet[12..14] == [0x81, 0] { 18 } else { 14 };
    let network = &mut packet[network_at..];
    if network[0] >> 4 == 4 {
        let transport_at = usize::from(network[0] & 15) * 4;
        return network.get_mut(transport_at + 13);
    }
    let (mut next, mut at) = (network[6], 40);
    while next != TCP {
        next = *network.get(at)?;
        at += 8 * (1 + usize::from(*network.get(at + 1)?));
    }
    network.get_mut(at + 13)
}

/// Something that is no packet.
fn set(both: &mut Both, what: u8, [a, b]: [u8; 2], answer: &[u8]) {
    let service = usize::from(a % 2);
    match what % 12 {
        7 => both.set_accepting(service, b % 2 == 0),
        8 => both.set_cookies(service, MODES[usize::from(b) % MODES.len()]),
        9 if a % 2 == 0 => drop(both.set_keys(u64::from(b))),
        9 => both.set_pressure(b % 2 == 0),
        10 => both.advance(Duration::from_micros(u64::from(a) << (b % 12))),
        11 if a % 4 == 0 => both.forget(usize::from(b)),
        11 if answer.is_empty() => {
            let (remote, local) = ends(&mut Random::new(u64::from(b)));
            both.know(local, remote);
        }
        11 => {
            let (local, remote) = ends_of(answer);
            both.know(local, remote);
        }
        _ => {}
    }
}

/// How long a proven cookie is remembered, and more.
const LONGER_THAN_A_PROOF: Duration = Duration::from_secs(2);
