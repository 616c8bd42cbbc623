//! A TCP segment as middleboxes have it: the octets of its frame, changed in place.

use std::net::SocketAddr;

use super::Way;
use super::octets::{ip_at, ip_octets};
use crate::appliance::packet::{
    self, ACK, FIN, Link, Options, RST, SYN, Segment, fix_checksums, parse_ethernet, parse_ip,
    transport_checksum,
};

/// A frame that holds a whole TCP segment over IP, with right checksums; they are made right again
/// when it leaves.
#[derive(Clone, Debug)]
pub(super) struct Raw {
    frame: Vec<u8>,
    /// Where the TCP header begins.
    tcp: usize,
    pub(super) source: SocketAddr,
    pub(super) destination: SocketAddr,
}

/// The ends of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Connection {
    host: SocketAddr,
    appliance: SocketAddr,
}

impl Raw {
    /// # Errors
    /// Gives back what is no such thing. Nobody on the way has anything to do with it; and was it
    /// damaged before, no new checksum may hide that.
    pub(super) fn parse(frame: Vec<u8>) -> Result<Raw, Vec<u8>> {
        match read(&frame) {
            Some((tcp, source, destination)) => Ok(Raw { frame, tcp, source, destination }),
            None => Err(frame),
        }
    }

    pub(super) fn into_frame(mut self) -> Vec<u8> {
        fix_checksums(&mut self.frame);
        self.frame
    }

    pub(super) fn connection(&self, way: Way) -> Connection {
        match way {
            Way::Up => Connection { host: self.source, appliance: self.destination },
            Way::Down => Connection { host: self.destination, appliance: self.source },
        }
    }

    pub(super) fn seq(&self) -> u32 {
        self.word(SEQ)
    }

    pub(super) fn ack(&self) -> u32 {
        self.word(ACKNOWLEDGMENT)
    }

    pub(super) fn set_seq(&mut self, seq: u32) {
        self.write(SEQ, &seq.to_be_bytes());
    }

    pub(super) fn set_ack(&mut self, ack: u32) {
        self.write(ACKNOWLEDGMENT, &ack.to_be_bytes());
    }

    pub(super) fn flags(&self) -> u8 {
        self.frame[self.tcp + FLAGS]
    }

    pub(super) fn set_flags(&mut self, flags: u8) {
        self.write(FLAGS, &[flags]);
    }

    pub(super) fn has(&self, flag: u8) -> bool {
        self.flags() & flag != 0
    }

    pub(super) fn window(&self) -> u16 {
        u16::from_be_bytes([self.frame[self.tcp + WINDOW], self.frame[self.tcp + WINDOW + 1]])
    }

    pub(super) fn set_window(&mut self, window: u16) {
        self.write(WINDOW, &window.to_be_bytes());
    }

    pub(super) fn payload(&self) -> &[u8] {
        &self.frame[self.tcp + self.header_len()..]
    }

    /// Puts another payload in the place of what was there.
    pub(super) fn set_payload(&mut self, payload: &[u8]) {
        self.frame.truncate(self.tcp + self.header_len());
        self.frame.extend_from_slice(payload);
        let ip = ip_at(&self.frame);
        let len = ip_octets(&self.frame) as u16;
        let (at, len) = if self.source.is_ipv4() { (ip + 2, len) } else { (ip + 4, len - 40) };
        self.frame[at..at + 2].copy_from_slice(&len.to_be_bytes());
    }

    /// What it takes of the sequence space [octets].
    pub(super) fn sequence_len(&self) -> u32 {
        self.payload().len() as u32 + u32::from(self.has(SYN)) + u32::from(self.has(FIN))
    }

    /// The sequence number behind it.
    pub(super) fn end(&self) -> u32 {
        self.seq().wrapping_add(self.sequence_len())
    }

    /// Of the IP packet.
    pub(super) fn ip_octets(&self) -> usize {
        ip_octets(&self.frame)
    }

    /// The ECN field of the IP header.
    pub(super) fn ecn(&self) -> u8 {
        packet::ecn_of(&self.frame)
    }

    /// All of the TCP header's options, as they are.
    pub(super) fn options(&self) -> &[u8] {
        &self.frame[self.tcp + HEADER..self.tcp + self.header_len()]
    }

    /// The value of the first option of the kind.
    pub(super) fn option(&self, kind: u8) -> Option<&[u8]> {
        let (at, len) = self.find_option(kind)?;
        Some(&self.frame[at + 2..at + len])
    }

    /// Changes the value of the first option of the kind.
    pub(super) fn change_option(&mut self, kind: u8, change: impl FnOnce(&mut [u8])) {
        if let Some((at, len)) = self.find_option(kind) {
            change(&mut self.frame[at + 2..at + len]);
        }
    }

    /// Puts NOPs in the place of all options of the kind.
    pub(super) fn erase_option(&mut self, kind: u8) {
        while let Some((at, len)) = self.find_option(kind) {
            self.frame[at..at + len].fill(NOP);
        }
    }

    /// The offered window scale, which counts as 14 beyond it (RFC 7323 §2.3).
    pub(super) fn scale(&self) -> Option<u8> {
        self.option(SCALE)?.first().map(|scale| (*scale).min(14))
    }

    /// A reset that goes the same way.
    pub(super) fn reset_onward(&self, seq: u32) -> Raw {
        self.reset(self.link(), (self.source, self.destination), seq)
    }

    /// A reset for whoever has sent this.
    pub(super) fn reset_back(&self, seq: u32) -> Raw {
        self.reset(self.link().reversed(), (self.destination, self.source), seq)
    }

    fn reset(&self, link: Link, (source, destination): (SocketAddr, SocketAddr), seq: u32) -> Raw {
        let reset = Segment {
            link,
            source,
            destination,
            seq,
            ack: 0,
            flags: RST,
            window: 0,
            options: Options::default(),
            payload: Vec::new(),
        };
        Raw::parse(reset.build()).expect("a sound segment")
    }

    fn link(&self) -> Link {
        parse_ethernet(&self.frame).expect("it was parsed before").0
    }

    /// Where the option begins, and its length with kind and length.
    fn find_option(&self, kind: u8) -> Option<(usize, usize)> {
        let end = self.tcp + self.header_len();
        let mut at = self.tcp + HEADER;
        while at < end {
            match self.frame[at] {
                END_OF_OPTIONS => return None,
                NOP => at += 1,
                found => {
                    let len = usize::from(*self.frame[..end].get(at + 1)?);
                    if len < 2 || at + len > end {
                        return None;
                    }
                    if found == kind {
                        return Some((at, len));
                    }
                    at += len;
                }
            }
        }
        None
    }

    fn header_len(&self) -> usize {
        usize::from(self.frame[self.tcp + OFFSET] >> 4) * 4
    }

    fn word(&self, at: usize) -> u32 {
        let at = self.tcp + at;
        u32::from_be_bytes(self.frame[at..at + 4].try_into().expect("four"))
    }

    fn write(&mut self, at: usize, octets: &[u8]) {
        let at = self.tcp + at;
        self.frame[at..at + octets.len()].copy_from_slice(octets);
    }
}

/// Whether a router could tell the sender that a packet was too big, and quote it: one that may
/// not be fragmented and has a sound header.
pub(super) fn is_quotable(frame: &[u8]) -> bool {
    parse_ethernet(frame).is_ok_and(|(_, ip)| parse_ip(ip).is_ok())
}

/// Where the TCP header is, and the ends.
fn read(frame: &[u8]) -> Option<(usize, SocketAddr, SocketAddr)> {
    let (_, ip) = parse_ethernet(frame).ok()?;
    let (source, destination, tcp) = parse_ip(ip).ok()?;
    if tcp.len() < HEADER || transport_checksum(source, destination, TCP, tcp) != 0 {
        return None;
    }
    if !(HEADER..=tcp.len()).contains(&(usize::from(tcp[OFFSET] >> 4) * 4)) {
        return None;
    }
    let port = |at: usize| u16::from_be_bytes([tcp[at], tcp[at + 1]]);
    let source = SocketAddr::new(source, port(0));
    let destination = SocketAddr::new(destination, port(2));
    Some((frame.len() - tcp.len(), source, destination))
}

/// RFC 1982: whether a number comes behind another.
pub(super) fn is_behind(number: u32, other: u32) -> bool {
    (number.wrapping_sub(other) as i32) > 0
}

/// Whether it opens a connection.
pub(super) fn opens(segment: &Raw) -> bool {
    segment.flags() & (SYN | ACK | RST) == SYN
}

const TCP: u8 = 6;

/// Length of a TCP header without options, and where its fields are (RFC 9293 §3.1) [octets].
const HEADER: usize = 20;
const SEQ: usize = 4;
const ACKNOWLEDGMENT: usize = 8;
const OFFSET: usize = 12;
const FLAGS: usize = 13;
const WINDOW: usize = 14;

/// Kinds of options (RFC 9293 §3.2, RFC 7323, RFC 2018, RFC 7413).
const END_OF_OPTIONS: u8 = 0;
const NOP: u8 = 1;
pub(super) const MSS: u8 = 2;
pub(super) const SCALE: u8 = 3;
pub(super) const SACK_PERMITTED: u8 = 4;
pub(super) const SACK: u8 = 5;
pub(super) const TIMESTAMPS: u8 = 8;
pub(super) const FAST_OPEN: u8 = 34;
