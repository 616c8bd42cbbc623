//! Packets as they may come: between few clients and few addresses, so that what came before
//! matters, and often not as they should be.

use std::net::SocketAddr;

use ringroad_ebpf::CookieMode;
use ringroad_engine::random::Random;
use ringroad_engine::wire::packet::{self, Transport};
use ringroad_engine::wire::tcp::SeqNum;

use crate::packets::{
    ACK, CWR, ECE, FIN, ICMPV4, ICMPV6, PSH, RST, SERVICE_VLAN, SYN, TCP, UDP, VLAN, ethernet,
    ethernet_of, extension, icmp, ip, ipv4, ipv6, segment, syn, tagged, tagged_as, tcp,
};

/// A packet between few clients and few addresses, so that what came before matters.
pub(crate) fn plausible(random: &mut Random) -> Vec<u8> {
    let (client, local) = ends(random);
    let payload = pick(random, &[0, 1, 100, 1000]);
    let segment_of = if random.below(2) == 0 {
        any_syn(random, client.port(), local.port())
    } else {
        tcp(client.port(), local.port(), pick(random, &FLAGS), payload)
    };
    let frame = match random.below(8) {
        0 | 1 => icmp_about(random, client, local),
        2 => odd(random, client, local, &segment_of),
        3 => ethernet(&ip(client.ip(), local.ip(), pick(random, &PROTOCOLS), &segment_of)),
        4 => ethernet_of(pick(random, &[0x0806, 0x88cc, 0x8100, 0x88a8, 0x0800, 0x86dd]), &[0; 60]),
        _ => segment(client, local, pick(random, &FLAGS), payload),
    };
    let tags = pick(random, &[0, 0, 0, 0, 1, 1, 2, 2, 2, 3]);
    let tags: Vec<_> =
        (0..tags).map(|id| (pick(random, &[VLAN, VLAN, SERVICE_VLAN]), 100 * id)).collect();
    tagged_as(&tags, &frame)
}

/// A SYN to a service, in whatever it may be wrapped.
pub(crate) fn any_new_connection(random: &mut Random) -> Vec<u8> {
    let port = random.draw() as u16;
    let client_v4 = if random.below(20) == 0 {
        pick(random, &[0, 1, 0x7f00_0001, 0xe000_0001, 0xf000_0001, 0xffff_ffff])
    } else {
        random.draw() as u32
    };
    let client_v6 = match random.below(20) {
        0 => u128::from(random.below(4)),
        1 => 0xff02_u128 << 112 | 1,
        2 => 0xffff_u128 << 32 | u128::from(client_v4),
        _ => 0x2001_0db8_u128 << 96 | u128::from(random.draw()),
    };
    let service = at(pick(random, &[LOCAL_V4[0], LOCAL_V4[1], LOCAL_V6[0]]));
    let segment = any_syn(random, port, service.port());
    let packet = match service {
        SocketAddr::V4(service) => {
            let options = vec![1; pick(random, &[0, 0, 0, 4, 40])];
            ipv4(client_v4.into(), *service.ip(), TCP, 0x4000, &options, &segment)
        }
        SocketAddr::V6(service) => {
            let (mut next, mut inner) = (TCP, segment);
            for _ in 0..random.below(8).saturating_sub(3) {
                inner = extension(next, pick(random, &[0, 0, 1, 31]), &inner);
                next = 60;
            }
            ipv6(client_v6.into(), *service.ip(), next, &inner)
        }
    };
    let mut frame = ethernet(&packet);
    if random.below(20) == 0 {
        let place = pick(random, &[0, 6]);
        frame[place] |= 1;
    }
    if random.below(3) == 0 {
        let tag = pick(random, &[1, 100, 0xa064, 0]);
        frame = match random.below(2) {
            0 => tagged(&[tag], &frame),
            _ => tagged_as(&[(pick(random, &[VLAN, SERVICE_VLAN]), 7), (VLAN, tag)], &frame),
        };
    }
    let padding = pick(random, &[0, 0, 4, 20]);
    frame.resize(frame.len() + padding, 0);
    frame
}

/// A SYN with any options, in any order, some of them malformed.
pub(crate) fn any_syn(random: &mut Random, from: u16, to: u16) -> Vec<u8> {
    let more = pick(random, &[0, 0, 0, ECE | CWR, ECE | CWR, ECE, CWR, FIN, PSH]);
    let payload = pick(random, &[0, 0, 1, 100, 1000]);
    let mut segment = syn(from, to, more, &any_options(random), payload);
    segment[4..8].copy_from_slice(&(random.draw() as u32).to_be_bytes());
    segment
}

pub(crate) fn any_options(random: &mut Random) -> Vec<u8> {
    if random.below(4) == 0 {
        let mut options = USUAL.to_vec();
        options[2..4].copy_from_slice(&pick(random, &MSS).to_be_bytes());
        options[8..12].copy_from_slice(&(random.draw() as u32).to_be_bytes());
        options[19] = random.below(17) as u8;
        return options;
    }
    let mut options = Vec::new();
    for _ in 0..random.below(9) {
        let [a, b, c, d, e, ..] = random.draw().to_be_bytes();
        let kind = pick(random, &[0, 1, 2, 2, 3, 3, 4, 8, 8, 5, 34]);
        let option = match kind {
            0 if random.below(4) > 0 => continue,
            0 | 1 => vec![kind],
            2 => {
                let mss = pick(random, &MSS).wrapping_add(pick(random, &[0, 1, 0xffff]));
                [&[2, 4][..], &mss.to_be_bytes()].concat()
            }
            3 => vec![3, 3, a % 17],
            4 => vec![4, 2],
            8 => vec![8, 10, a, b, c, d, 0, 0, 0, 0],
            _ => vec![kind, 4, d, e],
        };
        let length_at = options.len() + 1;
        options.extend(option);
        if kind > 1 && random.below(16) == 0 {
            options[length_at] = e % 16;
        }
    }
    options.resize(options.len().next_multiple_of(4), pick(random, &[0, 1]));
    options.truncate(40);
    options
}

/// What a client may send that has an answer: the acknowledgment, or something like it.
pub(crate) fn acknowledgment(random: &mut Random, answer: &[u8]) -> Vec<u8> {
    let (ours, client) = ends_of(answer);
    let Ok(packet) = packet::parse(answer) else { panic!("an answer") };
    let Transport::Tcp { header, .. } = packet.transport else { panic!("a segment") };
    let next = |number: SeqNum, random: &mut Random| {
        number.0.wrapping_add(pick(random, &[0, 0, 0, 0, 0, 1, 1000, u32::MAX]))
    };
    let options = match header.options.timestamps {
        Some(timestamps) if random.below(8) > 0 => {
            let echoed = timestamps.value ^ pick(random, &[0, 0, 0, 0, 0, 1, 1 << 31]);
            timestamps_option(random, echoed)
        }
        None if random.below(8) == 0 => timestamps_option(random, 7),
        _ => Vec::new(),
    };
    let more = pick(random, &[0, 0, PSH, FIN]);
    let payload = pick(random, &[0, 0, 1, 100]);
    let mut segment = syn(client.port(), ours.port(), more, &options, payload);
    let sequence = next(header.acknowledgment, random);
    let acknowledged = next(SeqNum(header.sequence.0.wrapping_add(1)), random);
    segment[4..8].copy_from_slice(&sequence.to_be_bytes());
    segment[8..12].copy_from_slice(&acknowledged.to_be_bytes());
    segment[13] = more | pick(random, &[ACK, ACK, ACK, ACK, ACK, RST, SYN | ACK, RST | ACK]);
    let frame = ethernet(&ip(client.ip(), ours.ip(), TCP, &segment));
    if random.below(4) == 0 { tagged(&[100], &frame) } else { frame }
}

/// In the place where all have it, or in another, or with more beside it.
pub(crate) fn timestamps_option(random: &mut Random, echoed: u32) -> Vec<u8> {
    let option = [&[8, 10, 1, 2, 3, 4][..], &echoed.to_be_bytes()].concat();
    let (before, behind): (&[u8], &[u8]) = match random.below(6) {
        0 => (&[], &[0, 0]),
        1 => (&[1, 1, 5, 10, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1], &[]),
        2 => (&[1, 1], &[8, 10, 9, 9, 9, 9, 0, 0, 0, 7, 1, 1]),
        _ => (&[1, 1], &[]),
    };
    [before, &option, behind].concat()
}

/// Ours and the client's, of an answer.
pub(crate) fn ends_of(answer: &[u8]) -> (SocketAddr, SocketAddr) {
    let packet = packet::parse(answer).expect("an answer");
    let Transport::Tcp { header, .. } = packet.transport else { panic!("a segment") };
    (
        SocketAddr::new(packet.source, header.source_port),
        SocketAddr::new(packet.destination, header.destination_port),
    )
}

/// A router's word on a segment of ours, or on one that is not.
pub(crate) fn icmp_about(random: &mut Random, client: SocketAddr, local: SocketAddr) -> Vec<u8> {
    let (from, to) = if random.below(8) == 0 { (client, local) } else { (local, client) };
    let sent = ip(from.ip(), to.ip(), TCP, &tcp(from.port(), to.port(), ACK, 100));
    let quoted = &sent[..random.below(sent.len() as u64 + 1) as usize];
    let quoted = if random.below(2) == 0 { &sent[..] } else { quoted };
    let message = icmp(pick(random, &[1, 2, 3, 3, 4, 8]), pick(random, &[0, 1, 4]), quoted);
    let protocol = if local.is_ipv4() { ICMPV4 } else { ICMPV6 };
    ethernet(&ip(client.ip(), local.ip(), protocol, &message))
}

/// Fragments and options, extension headers one after the other.
pub(crate) fn odd(
    random: &mut Random,
    client: SocketAddr,
    local: SocketAddr,
    payload: &[u8],
) -> Vec<u8> {
    match (client, local) {
        (SocketAddr::V4(client), SocketAddr::V4(local)) => {
            let fragment = pick(random, &[0, 0x2000, 0x2010, 0x0001, 0x4000, 0x8000]);
            let options = vec![1; pick(random, &[0, 4, 40])];
            let protocol = pick(random, &[TCP, TCP, ICMPV4, UDP]);
            let packet = ipv4(*client.ip(), *local.ip(), protocol, fragment, &options, payload);
            ethernet(&packet)
        }
        (SocketAddr::V6(client), SocketAddr::V6(local)) => {
            let mut next = pick(random, &PROTOCOLS);
            let mut inner = payload.to_vec();
            for _ in 0..random.below(7) {
                inner = extension(next, pick(random, &[0, 0, 1, 31]), &inner);
                next = pick(random, &[0, 60, 60, 43, 44, 51]);
            }
            ethernet(&ipv6(*client.ip(), *local.ip(), next, &inner))
        }
        _ => unreachable!("both ends are of one family"),
    }
}

/// Now and then something in it is wrong: octets, most of them in the headers, and its length.
pub(crate) fn damaged(random: &mut Random, mut packet: Vec<u8>) -> Vec<u8> {
    for _ in 0..random.below(4) {
        let place = random.below(packet.len().min(100) as u64) as usize;
        packet[place] = match random.below(3) {
            0 => random.draw() as u8,
            1 => packet[place] ^ 1 << random.below(8),
            _ => packet[place].wrapping_add(pick(random, &[1, 0xff])),
        };
    }
    match random.below(6) {
        // The kernel runs nothing on less than an Ethernet header.
        0 => packet.truncate(14 + random.below(packet.len() as u64 - 13) as usize),
        1 => packet.resize(packet.len() + random.below(50) as usize, 0),
        _ => {}
    }
    packet
}

/// A client, and what it is connected to.
pub(crate) fn ends(random: &mut Random) -> (SocketAddr, SocketAddr) {
    let port = 1 + random.below(4) as u16;
    if random.below(2) == 0 {
        return (SocketAddr::from(([192, 0, 2, 7], port)), at(pick(random, &LOCAL_V4)));
    }
    let clients = ["2001:db8::7", "::ffff:192.0.2.7"];
    let client = pick(random, &clients).parse().expect("an address");
    (SocketAddr::new(client, port), at(pick(random, &LOCAL_V6)))
}

pub(crate) fn at(address: &str) -> SocketAddr {
    address.parse().expect("an address and port")
}

pub(crate) fn pick<T: Copy>(random: &mut Random, of: &[T]) -> T {
    of[random.below(of.len() as u64) as usize]
}

/// Ends of connections: ours, nearly ours, and others'.
pub(crate) const LOCAL_V4: [&str; 9] = [
    "10.1.0.1:80",
    "10.1.0.1:443",
    "10.1.0.1:22",
    "10.1.0.2:80",
    "10.2.0.1:20000",
    "10.2.0.1:29999",
    "10.2.0.1:30000",
    "10.2.0.1:49999",
    "10.2.0.2:20000",
];

pub(crate) const LOCAL_V6: [&str; 7] = [
    "[fd00:1::1]:80",
    "[fd00:1::1]:443",
    "[fd00:1::2]:80",
    "[fd00:2::1]:20000",
    "[fd00:2::1]:19999",
    "[::ffff:10.1.0.1]:80",
    "[::ffff:10.2.0.1]:20000",
];

pub(crate) const FLAGS: [u8; 8] = [SYN, SYN, ACK, ACK | PSH, SYN | ACK, RST, SYN | RST, FIN | SYN];

pub(crate) const PROTOCOLS: [u8; 12] = [TCP, UDP, ICMPV4, ICMPV6, 0, 43, 44, 50, 51, 59, 60, 89];

/// Around the classes of cookies.
pub(crate) const MSS: [u16; 17] = [
    0, 1, 536, 1220, 1280, 1340, 1360, 1380, 1400, 1420, 1440, 1452, 1460, 8940, 8960, 9000, 65_535,
];

/// What Linux offers: MSS 1460, SACK, timestamps, window scale 7.
pub(crate) const USUAL: [u8; 20] =
    [2, 4, 5, 180, 4, 2, 8, 10, 0xa, 0xb, 0xc, 0xd, 0, 0, 0, 0, 1, 3, 3, 7];

pub(crate) const MODES: [CookieMode; 3] =
    [CookieMode::Off, CookieMode::Always, CookieMode::UnderPressure];
