//! Packets that no host would send, and pieces of packets.
//!
//! Each begins as a segment that could be somebody's, and one thing about it is made wrong. Most
//! keep sound checksums, so that they are judged by what is wrong with them.

#![expect(clippy::ptr_arg, reason = "all flaws are of one type")]

use ringroad_engine::random::Random;

use super::attack::{Scene, spoofed};
use crate::appliance::packet::{ACK, FIN, Options, PSH, RST, SYN, fix_checksums, sum};
use crate::appliance::rig::pattern;

/// What makes a packet wrong.
type Flaw = fn(&mut Random, &mut Vec<u8>);

const FLAWS: [Flaw; 13] = [
    cut_short,
    noise,
    flip_a_bit,
    lie_about_ip_length,
    lie_about_ip_header,
    lie_about_tcp_header,
    bad_option,
    odd_flags,
    land,
    impossible_source,
    no_port,
    expired,
    extension_headers,
];

/// One of all kinds.
pub(super) fn packet(random: &mut Random, scene: &Scene, nth: u32) -> Vec<u8> {
    let mut packet = sound(random, scene, nth);
    FLAWS[random.below(FLAWS.len() as u64) as usize](random, &mut packet);
    packet
}

/// A piece of a packet: the first, one in the middle, one that overlaps another, or the last.
pub(super) fn fragment(random: &mut Random, scene: &Scene, nth: u32) -> Vec<u8> {
    let mut packet = sound(random, scene, nth);
    let offset = match random.below(4) {
        0 => 0,
        1 => 1,
        _ => random.below(0x1fff) as u16,
    };
    let more = random.below(2) as u16;
    if is_v4(&packet) {
        packet[IP + 6..IP + 8].copy_from_slice(&(more << 13 | offset).to_be_bytes());
        fix_checksums(&mut packet);
    } else {
        let [o0, o1] = (offset << 3 | more).to_be_bytes();
        insert_header(&mut packet, 44, &[0, 0, o0, o1, 0, 0, 0, 7]);
    }
    packet
}

/// A SYN, or a segment of somebody's connection.
fn sound(random: &mut Random, scene: &Scene, nth: u32) -> Vec<u8> {
    let target = scene.target(random);
    let connection = match random.below(2) {
        0 => (spoofed(random, target), target),
        _ => scene.connection(random, nth).0,
    };
    let flags = if random.below(2) == 0 { SYN } else { ACK | PSH };
    let mut segment = scene.guess(random, connection, flags);
    segment.options = match flags {
        SYN => Options { mss: Some(1460), scale: Some(7), ..Options::default() },
        _ => Options { timestamps: Some((1, 1)), ..Options::default() },
    };
    if flags == SYN {
        segment.ack = 0;
    } else {
        segment.payload = pattern(random.below(256), random.below(1000) as usize);
    }
    segment.build()
}

fn cut_short(random: &mut Random, packet: &mut Vec<u8>) {
    packet.truncate(random.below(packet.len() as u64) as usize);
}

fn noise(random: &mut Random, packet: &mut Vec<u8>) {
    // Sometimes behind an Ethernet header that makes sense.
    let from = if random.below(2) == 0 { 0 } else { IP };
    packet.truncate(from);
    packet.extend((0..random.below(1500)).map(|_| random.draw() as u8));
}

/// Behind the Ethernet header; the checksums are left as they were.
fn flip_a_bit(random: &mut Random, packet: &mut Vec<u8>) {
    let at = IP + random.below((packet.len() - IP) as u64) as usize;
    packet[at] ^= 1 << random.below(8);
}

fn lie_about_ip_length(random: &mut Random, packet: &mut Vec<u8>) {
    let at = if is_v4(packet) { IP + 2 } else { IP + 4 };
    put(packet, at, random.draw() as u16);
}

/// The version, the header's length or the next header.
fn lie_about_ip_header(random: &mut Random, packet: &mut Vec<u8>) {
    match random.below(3) {
        0 => packet[IP] = packet[IP] & 0x0f | (random.below(16) as u8) << 4,
        1 if is_v4(packet) => packet[IP] = 0x40 | random.below(16) as u8,
        _ => {
            let at = if is_v4(packet) { IP + 9 } else { IP + 6 };
            packet[at] = random.draw() as u8;
        }
    }
    fix_checksums(packet);
}

fn lie_about_tcp_header(random: &mut Random, packet: &mut Vec<u8>) {
    let at = tcp(packet) + 12;
    packet[at] = random.draw() as u8;
    fix_checksums(packet);
}

/// An option that reaches over the end, has no length, or not its own.
fn bad_option(random: &mut Random, packet: &mut Vec<u8>) {
    let at = tcp(packet) + 20;
    let kind = [2, 3, 4, 5, 8, 14, 34, 253][random.below(8) as usize];
    let len = [0, 1, 2, 3, 4, 7, 40, 255][random.below(8) as usize];
    packet[at] = kind;
    packet[at + 1] = len;
    fix_checksums(packet);
}

/// All of them, none, or some that contradict each other.
fn odd_flags(random: &mut Random, packet: &mut Vec<u8>) {
    const URG: u8 = 0x20;
    let odd =
        [0xff, 0, FIN | PSH | URG, SYN | FIN, SYN | RST, SYN | FIN | RST | ACK, FIN, URG | ACK];
    let at = tcp(packet) + 13;
    packet[at] = odd[random.below(8) as usize];
    put(packet, at + 5, random.draw() as u16);
    fix_checksums(packet);
}

/// From where it goes.
fn land(_: &mut Random, packet: &mut Vec<u8>) {
    let (at, len) = addresses(packet);
    packet.copy_within(at + len..at + 2 * len, at);
    let tcp = tcp(packet);
    packet.copy_within(tcp + 2..tcp + 4, tcp);
    fix_checksums(packet);
}

/// Nobody, everybody, a group, or the target itself.
fn impossible_source(random: &mut Random, packet: &mut Vec<u8>) {
    let (at, len) = addresses(packet);
    let octet = [0, 127, 224, 255][random.below(4) as usize];
    packet[at..at + len].fill(octet);
    fix_checksums(packet);
}

fn no_port(random: &mut Random, packet: &mut Vec<u8>) {
    let at = tcp(packet) + 2 * random.below(2) as usize;
    put(packet, at, 0);
    fix_checksums(packet);
}

/// It should not have come so far.
fn expired(random: &mut Random, packet: &mut Vec<u8>) {
    let at = if is_v4(packet) { IP + 8 } else { IP + 7 };
    packet[at] = random.below(2) as u8;
    fix_checksums(packet);
}

/// More in front of TCP than anybody would look through, and of lengths that lie; IPv4 has options.
fn extension_headers(random: &mut Random, packet: &mut Vec<u8>) {
    if is_v4(packet) {
        let options =
            [[7, 4, 4, 0], [0x83, 4, 4, 0], [0x94, 4, 0, 0], [1, 1, 1, 0], [2, 255, 0, 0]];
        let option = options[random.below(5) as usize];
        packet.splice(IP + 20..IP + 20, option);
        packet[IP] = 0x46;
        let len = (packet.len() - IP) as u16;
        put(packet, IP + 2, len);
        put(packet, IP + 10, 0);
        let header_sum = !sum(&packet[IP..IP + 24], 0);
        return put(packet, IP + 10, header_sum);
    }
    for _ in 0..=random.below(8) {
        let kind = [0, 43, 60, 51, 59][random.below(5) as usize];
        let len = if random.below(4) == 0 { random.draw() as u8 } else { 0 };
        insert_header(packet, kind, &[0, len, 1, 4, 0, 0, 0, 0]);
    }
}

/// Puts an extension header behind the IPv6 header. Its first octet becomes what was next.
fn insert_header(packet: &mut Vec<u8>, kind: u8, header: &[u8; 8]) {
    let mut header = *header;
    header[0] = packet[IP + 6];
    packet[IP + 6] = kind;
    packet.splice(IP + 40..IP + 40, header);
    let len = (packet.len() - IP - 40) as u16;
    put(packet, IP + 4, len);
}

fn put(packet: &mut [u8], at: usize, value: u16) {
    packet[at..at + 2].copy_from_slice(&value.to_be_bytes());
}

fn is_v4(packet: &[u8]) -> bool {
    packet[12..14] == [0x08, 0x00]
}

fn tcp(packet: &[u8]) -> usize {
    if is_v4(packet) { IP + 20 } else { IP + 40 }
}

/// Where the source's is, and how long each is [octets].
fn addresses(packet: &[u8]) -> (usize, usize) {
    if is_v4(packet) { (IP + 12, 4) } else { (IP + 8, 16) }
}

/// Behind an Ethernet header without tags.
const IP: usize = 14;
