//! Packets as the simulated hosts write and read them: code of the rig's own.
//!
//! Nothing here uses the engine's `wire`: what the engine sends is judged by another reading of the
//! RFCs than the one that wrote it. Plain and slow on purpose. [`Segment::parse`] refuses whatever
//! a strict host could object to, and says what it was.

use std::net::{IpAddr, SocketAddr};

pub const FIN: u8 = 0x01;
pub const SYN: u8 = 0x02;
pub const RST: u8 = 0x04;
pub const PSH: u8 = 0x08;
pub const ACK: u8 = 0x10;
pub const ECE: u8 = 0x40;
pub const CWR: u8 = 0x80;

/// A TCP segment with all that is in front of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    pub link: Link,
    pub source: SocketAddr,
    pub destination: SocketAddr,
    pub seq: u32,
    pub ack: u32,
    pub flags: u8,
    pub window: u16,
    pub options: Options,
    pub payload: Vec<u8>,
}

/// VLAN tags as on the wire, the outermost first; none but in front of another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tags([Option<[u8; 4]>; 2]);

impl Tags {
    /// QinQ: a tag of the type in front of one of 802.1Q.
    pub fn two(outer_type: u16, [outer, inner]: [u16; 2]) -> Self {
        Tags([(outer_type, outer), (0x8100, inner)].map(|(tag, id)| Some(tag_of(tag, id))))
    }

    pub fn octets(self) -> usize {
        self.0.iter().flatten().flatten().count()
    }

    /// Of a frame.
    fn of(packet: &[u8]) -> Self {
        let at = |at: usize| packet.get(at..at + 4).and_then(|tag| tag.try_into().ok());
        let outer =
            at(12).filter(|[t0, t1, ..]: &[u8; 4]| matches!([t0, t1], [0x81, 0] | [0x88, 0xa8]));
        let inner = at(16).filter(|tag| outer.is_some() && tag[..2] == [0x81, 0]);
        Tags([outer, inner])
    }
}

/// One of 802.1Q, or none.
impl From<Option<u16>> for Tags {
    fn from(id: Option<u16>) -> Self {
        Tags([id.map(|id| tag_of(0x8100, id)), None])
    }
}

fn tag_of(tag: u16, id: u16) -> [u8; 4] {
    let ([t0, t1], [i0, i1]) = (tag.to_be_bytes(), id.to_be_bytes());
    [t0, t1, i0, i1]
}

/// Ethernet addresses, and the tags if there are any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    pub source: [u8; 6],
    pub destination: [u8; 6],
    pub tags: Tags,
}

impl Link {
    /// The way back.
    pub fn reversed(self) -> Link {
        Link { source: self.destination, destination: self.source, ..self }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    pub mss: Option<u16>,
    pub scale: Option<u8>,
    pub sack_permitted: bool,
    /// Value and echo reply.
    pub timestamps: Option<(u32, u32)>,
    /// Empty: asks for a cookie.
    pub fast_open: Option<Vec<u8>>,
    pub sack: Vec<(u32, u32)>,
}

impl Segment {
    pub fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// What it takes of the sequence space [octets].
    pub fn sequence_len(&self) -> u32 {
        self.payload.len() as u32 + u32::from(self.has(SYN)) + u32::from(self.has(FIN))
    }

    /// What a host answers that knows of no connection (RFC 9293 §3.10.7.1).
    pub fn reset(&self) -> Segment {
        let acknowledges = self.has(ACK);
        Segment {
            link: self.link.reversed(),
            source: self.destination,
            destination: self.source,
            seq: if acknowledges { self.ack } else { 0 },
            ack: if acknowledges { 0 } else { self.seq.wrapping_add(self.sequence_len()) },
            flags: if acknowledges { RST } else { RST | ACK },
            window: 0,
            options: Options::default(),
            payload: Vec::new(),
        }
    }

    /// The packet, from the Ethernet header on.
    pub fn build(&self) -> Vec<u8> {
        let mut tcp = Vec::with_capacity(60 + self.payload.len());
        tcp.extend(self.source.port().to_be_bytes());
        tcp.extend(self.destination.port().to_be_bytes());
        tcp.extend(self.seq.to_be_bytes());
        tcp.extend(self.ack.to_be_bytes());
        let options = self.options.build();
        tcp.push(((20 + options.len()) as u8 / 4) << 4);
        tcp.push(self.flags);
        tcp.extend(self.window.to_be_bytes());
        tcp.extend([0; 4]);
        tcp.extend(options);
        tcp.extend(&self.payload);
        let sum = transport_checksum(self.source.ip(), self.destination.ip(), 6, &tcp);
        tcp[16..18].copy_from_slice(&sum.to_be_bytes());
        ip_packet(self.link, self.source.ip(), self.destination.ip(), 6, &tcp)
    }

    /// Reads a packet of the engine's.
    ///
    /// # Errors
    /// What a strict host would object to.
    pub fn parse(packet: &[u8]) -> Result<Segment, String> {
        let (link, ip) = parse_ethernet(packet)?;
        let (source, destination, tcp) = parse_ip(ip)?;
        check(tcp.len() >= 20, "TCP header cut short")?;
        let sum = transport_checksum(source, destination, 6, tcp);
        check(sum == 0, "TCP checksum")?;
        let header_len = usize::from(tcp[12] >> 4) * 4;
        check((20..=tcp.len()).contains(&header_len), "TCP data offset")?;
        check(tcp[12] & 0x0f == 0, "TCP reserved bits")?;
        check(tcp[13] & 0x20 == 0, "URG, which nobody asked for")?;
        check(tcp[18..20] == [0, 0], "urgent pointer without URG")?;
        let word = |at: usize| u32::from_be_bytes(tcp[at..at + 4].try_into().expect("four"));
        let half = |at: usize| u16::from_be_bytes(tcp[at..at + 2].try_into().expect("two"));
        let flags = tcp[13];
        check(flags & ACK != 0 || word(8) == 0, "an acknowledgment without ACK")?;
        Ok(Segment {
            link,
            source: SocketAddr::new(source, half(0)),
            destination: SocketAddr::new(destination, half(2)),
            seq: word(4),
            ack: word(8),
            flags,
            window: half(14),
            options: Options::parse(&tcp[20..header_len])?,
            payload: tcp[header_len..].to_vec(),
        })
    }
}

impl Options {
    fn build(&self) -> Vec<u8> {
        let mut list = Vec::new();
        if let Some(mss) = self.mss {
            list.extend([2, 4]);
            list.extend(mss.to_be_bytes());
        }
        if let Some(scale) = self.scale {
            list.extend([1, 3, 3, scale]);
        }
        if self.sack_permitted {
            list.extend([1, 1, 4, 2]);
        }
        if let Some((value, echo)) = self.timestamps {
            list.extend([1, 1, 8, 10]);
            list.extend(value.to_be_bytes());
            list.extend(echo.to_be_bytes());
        }
        if let Some(cookie) = &self.fast_open {
            list.extend([34, 2 + cookie.len() as u8]);
            list.extend(cookie);
            list.resize(list.len().next_multiple_of(4), 1);
        }
        if !self.sack.is_empty() {
            list.extend([1, 1, 5, 2 + 8 * self.sack.len() as u8]);
            for (left, right) in &self.sack {
                list.extend(left.to_be_bytes());
                list.extend(right.to_be_bytes());
            }
        }
        list
    }

    fn parse(mut list: &[u8]) -> Result<Options, String> {
        let mut options = Options::default();
        while let Some(&kind) = list.first() {
            if kind == 1 {
                list = &list[1..];
                continue;
            }
            check(kind != 0, "options end before the header does")?;
            let len = usize::from(*list.get(1).ok_or("an option without a length")?);
            check((2..=list.len()).contains(&len), "length of an option")?;
            let value = &list[2..len];
            let word = |at: usize| u32::from_be_bytes(value[at..at + 4].try_into().expect("four"));
            match (kind, value.len()) {
                (2, 2) => options.mss = Some(u16::from_be_bytes([value[0], value[1]])),
                (3, 1) => options.scale = Some(value[0]),
                (4, 0) => options.sack_permitted = true,
                (8, 8) => options.timestamps = Some((word(0), word(4))),
                (34, 8) => options.fast_open = Some(value.to_vec()),
                (5, 8 | 16 | 24 | 32) => {
                    let blocks = (0..value.len()).step_by(8);
                    options.sack = blocks.map(|at| (word(at), word(at + 4))).collect();
                }
                _ => return Err(format!("option {kind} of {len} octets")),
            }
            list = &list[len..];
        }
        Ok(options)
    }
}

/// What a router says of a packet that it cannot pass on: `mtu` is what the next hop takes.
/// The quote is as long as the RFCs ask for at least.
pub fn too_big(packet: &[u8], router: IpAddr, mtu: u16) -> Vec<u8> {
    let (link, ip) = parse_ethernet(packet).expect("a packet that was read before");
    let (source, _, _) = parse_ip(ip).expect("a packet that was read before");
    let (protocol, mut message) = match source {
        IpAddr::V4(_) => {
            let mut message = vec![3, 4, 0, 0, 0, 0];
            message.extend(mtu.to_be_bytes());
            message.extend(&ip[..28]);
            (1, message)
        }
        IpAddr::V6(_) => {
            let mut message = vec![2, 0, 0, 0];
            message.extend(u32::from(mtu).to_be_bytes());
            message.extend(&ip[..ip.len().min(1200)]);
            (58, message)
        }
    };
    let sum = match source {
        IpAddr::V4(_) => !sum(&message, 0),
        IpAddr::V6(_) => transport_checksum(router, source, 58, &message),
    };
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    ip_packet(link.reversed(), router, source, protocol, &message)
}

/// Whether an untagged packet says that it is TCP over IPv4 or IPv6.
pub fn is_tcp(packet: &[u8]) -> bool {
    match packet.get(12..14) {
        Some([0x08, 0x00]) => packet.get(23) == Some(&6),
        Some([0x86, 0xdd]) => packet.get(20) == Some(&6),
        _ => false,
    }
}

/// Octets of the IP packet within a frame.
pub fn ip_len(packet: &[u8]) -> usize {
    packet.len() - 14 - Tags::of(packet).octets()
}

/// The ECN field of a packet (RFC 3168 §5).
pub fn ecn_of(packet: &[u8]) -> u8 {
    match &packet[14 + Tags::of(packet).octets()..] {
        [first, second, ..] if first >> 4 == 6 => second >> 4 & 3,
        [_, second, ..] => second & 3,
        _ => 0,
    }
}

/// Writes the ECN field of a packet of ours.
pub fn set_ecn(packet: &mut [u8], field: u8) {
    let at = 14 + Tags::of(packet).octets();
    let shift = if packet[at] >> 4 == 6 { 4 } else { 0 };
    packet[at + 1] = packet[at + 1] & !(3 << shift) | field << shift;
    fix_checksums(packet);
}

/// Puts IP and Ethernet headers in front of a payload.
pub fn ip_packet(
    link: Link,
    source: IpAddr,
    destination: IpAddr,
    protocol: u8,
    payload: &[u8],
) -> Vec<u8> {
    let mut packet = Vec::with_capacity(58 + payload.len());
    packet.extend(link.destination);
    packet.extend(link.source);
    packet.extend(link.tags.0.iter().flatten().flatten());
    match (source, destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            packet.extend([0x08, 0x00]);
            let at = packet.len();
            packet.extend([0x45, 0]);
            packet.extend((20 + payload.len() as u16).to_be_bytes());
            packet.extend([0x12, 0x34, 0x40, 0, 63, protocol, 0, 0]);
            packet.extend(source.octets());
            packet.extend(destination.octets());
            let header_sum = !sum(&packet[at..], 0);
            packet[at + 10..at + 12].copy_from_slice(&header_sum.to_be_bytes());
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            packet.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
            packet.extend((payload.len() as u16).to_be_bytes());
            packet.extend([protocol, 63]);
            packet.extend(source.octets());
            packet.extend(destination.octets());
        }
        _ => panic!("both ends are of one family"),
    }
    packet.extend(payload);
    packet
}

/// Makes the checksums of a packet right again after something in it was changed, as far as its
/// headers still make sense. `false` if they do not.
pub fn fix_checksums(packet: &mut [u8]) -> bool {
    let at = 14 + Tags::of(packet).octets();
    let (header_len, source, destination): (usize, IpAddr, IpAddr) = match packet.get(at) {
        Some(first) if first >> 4 == 4 && packet.len() >= at + 40 => {
            let octets = |from: usize| -> [u8; 4] { packet[from..from + 4].try_into().unwrap() };
            (20, octets(at + 12).into(), octets(at + 16).into())
        }
        Some(first) if first >> 4 == 6 && packet.len() >= at + 60 => {
            let octets = |from: usize| -> [u8; 16] { packet[from..from + 16].try_into().unwrap() };
            (40, octets(at + 8).into(), octets(at + 24).into())
        }
        _ => return false,
    };
    if source.is_ipv4() {
        packet[at + 10..at + 12].fill(0);
        let header_sum = !sum(&packet[at..at + 20], 0);
        packet[at + 10..at + 12].copy_from_slice(&header_sum.to_be_bytes());
    }
    let tcp = at + header_len;
    packet[tcp + 16..tcp + 18].fill(0);
    let sum = transport_checksum(source, destination, 6, &packet[tcp..]);
    packet[tcp + 16..tcp + 18].copy_from_slice(&sum.to_be_bytes());
    true
}

pub(crate) fn parse_ethernet(packet: &[u8]) -> Result<(Link, &[u8]), String> {
    check(packet.len() >= 18, "Ethernet header cut short")?;
    let mac = |at: usize| -> [u8; 6] { packet[at..at + 6].try_into().expect("six") };
    let tags = Tags::of(packet);
    let at = 14 + tags.octets();
    for [.., i0, i1] in tags.0.into_iter().flatten() {
        let id = u16::from_be_bytes([i0, i1]);
        check(id != 0 && id < 0x1000, "priority or null VLAN tag")?;
    }
    let version = match packet.get(at - 2..at) {
        Some([0x08, 0x00]) => 4,
        Some([0x86, 0xdd]) => 6,
        other => return Err(format!("EtherType {other:?}")),
    };
    let ip = &packet[at..];
    check(ip.first().is_some_and(|first| first >> 4 == version), "IP version")?;
    Ok((Link { source: mac(6), destination: mac(0), tags }, ip))
}

pub(crate) fn parse_ip(ip: &[u8]) -> Result<(IpAddr, IpAddr, &[u8]), String> {
    if ip[0] >> 4 == 6 {
        check(ip.len() >= 40, "IPv6 header cut short")?;
        let len = usize::from(u16::from_be_bytes([ip[4], ip[5]]));
        check(ip.len() == 40 + len, "IPv6 payload length, or octets behind the packet")?;
        check(ip[6] == 6, "IPv6 next header is not TCP")?;
        check(ip[7] > 0, "hop limit")?;
        let address = |at: usize| -> [u8; 16] { ip[at..at + 16].try_into().expect("sixteen") };
        return Ok((address(8).into(), address(24).into(), &ip[40..]));
    }
    check(ip.len() >= 20, "IPv4 header cut short")?;
    check(ip[0] == 0x45, "IPv4 options")?;
    check(sum(&ip[..20], 0) == 0xffff, "IPv4 header checksum")?;
    let len = usize::from(u16::from_be_bytes([ip[2], ip[3]]));
    check(ip.len() == len, "IPv4 total length, or octets behind the packet")?;
    check(ip[6..8] == [0x40, 0], "a fragment, or DF not set")?;
    check(ip[8] > 0, "time to live")?;
    check(ip[9] == 6, "IPv4 protocol is not TCP")?;
    let address = |at: usize| -> [u8; 4] { ip[at..at + 4].try_into().expect("four") };
    Ok((address(12).into(), address(16).into(), &ip[20..]))
}

/// RFC 9293 §3.1, RFC 8200 §8.1. Zero for a segment whose checksum is right.
pub(crate) fn transport_checksum(
    source: IpAddr,
    destination: IpAddr,
    protocol: u8,
    message: &[u8],
) -> u16 {
    let mut pseudo = Vec::new();
    match (source, destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            pseudo.extend(source.octets());
            pseudo.extend(destination.octets());
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            pseudo.extend(source.octets());
            pseudo.extend(destination.octets());
        }
        _ => panic!("both ends are of one family"),
    }
    pseudo.extend((message.len() as u32).to_be_bytes());
    pseudo.extend([0, 0, 0, protocol]);
    !sum(message, u32::from(sum(&pseudo, 0)))
}

/// RFC 1071 §4.1, word by word.
pub(crate) fn sum(octets: &[u8], start: u32) -> u16 {
    let mut sum = start;
    for pair in octets.chunks(2) {
        sum += u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |low| u32::from(*low));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

fn check(holds: bool, what: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what.to_owned()) }
}
