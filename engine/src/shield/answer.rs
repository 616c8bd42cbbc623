//! Answers a SYN by turning its frame round: `ebpf/bpf/answer.h`, octet by octet.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ringroad_ebpf::CookieService;

use super::cookie::{self, Cookie, Keys, SynOptions};
use super::parse::{Cursor, Segment, ether_type};
use crate::flow::FlowKey;
use crate::limits::HEADERS_MAX;
use crate::wire::checksum;
use crate::wire::ip::{Dscp, Ecn, PROTOCOL_TCP};
use crate::wire::ipv4::{self, Ipv4Header};
use crate::wire::ipv6::{self, Ipv6Header};
use crate::wire::tcp::{Flags, SeqNum, TcpHeader, TcpOptions, Timestamps, fill_in_checksum};

/// A SYN-ACK with all headers in front of it.
#[derive(Debug)]
pub(super) struct Answer {
    octets: [u8; HEADERS_MAX],
    len: usize,
}

impl Answer {
    pub(super) const EMPTY: Answer = Answer { octets: [0; HEADERS_MAX], len: 0 };

    pub(super) fn octets(&self) -> &[u8] {
        &self.octets[..self.len]
    }

    /// Makes it the answer to the SYN in `frame`; `false` if the engine has to see it instead.
    #[inline]
    pub(super) fn write(
        &mut self,
        frame: &[u8],
        syn: &Segment<'_>,
        service: &CookieService,
        keys: &Keys,
    ) -> bool {
        let flow = syn.flow();
        let Some(ends) = Ends::answerable(frame, &flow) else { return false };
        let Ok((syn, _)) = TcpHeader::parse(syn.tcp) else { return false };
        let our_mss = match ends {
            Ends::V4 { .. } => service.mss_v4,
            Ends::V6 { .. } => service.mss_v6,
        };
        let offered = offered(&syn, service);
        let cookie = cookie::bake(keys, &flow, syn.sequence, &offered, our_mss);
        let answer = syn_ack(&syn, &offered, &cookie, our_mss, service);

        self.len = 0;
        self.push_ethernet(frame);
        let pseudo_header = self.push_ip(&ends, answer.header_len() as u16);
        let segment = self.push(answer.header_len());
        answer.emit(segment);
        fill_in_checksum(segment, pseudo_header, 0, 0);
        true
    }

    /// Addresses swapped; tags stay what they are.
    fn push_ethernet(&mut self, frame: &[u8]) {
        let mut behind = Cursor(frame);
        ether_type(&mut behind);
        let len = frame.len() - behind.0.len();
        let header = self.push(len);
        header.copy_from_slice(&frame[..len]);
        header[..12].rotate_left(6);
    }

    /// Returns the sum of the segment's pseudo-header.
    fn push_ip(&mut self, ends: &Ends, payload_len: u16) -> u16 {
        match *ends {
            Ends::V4 { ours, client } => {
                let mut octets = [0; ipv4::HEADER_LEN];
                let header = Ipv4Header {
                    source: ours,
                    destination: client,
                    protocol: PROTOCOL_TCP,
                    dscp: Dscp::default(),
                    ecn: Ecn::NotCapable,
                    identification: 0,
                    payload_len,
                    is_fragment: false,
                };
                header.emit(&mut octets);
                self.push(octets.len()).copy_from_slice(&octets);
                checksum::pseudo_header_v4(ours, client, PROTOCOL_TCP)
            }
            Ends::V6 { ours, client } => {
                let mut octets = [0; ipv6::HEADER_LEN];
                let header = Ipv6Header {
                    source: ours,
                    destination: client,
                    next_header: PROTOCOL_TCP,
                    dscp: Dscp::default(),
                    ecn: Ecn::NotCapable,
                    flow_label: 0,
                    payload_len,
                };
                header.emit(&mut octets);
                self.push(octets.len()).copy_from_slice(&octets);
                checksum::pseudo_header_v6(ours, client, PROTOCOL_TCP)
            }
        }
    }

    /// The next octets, to be written. There is room for all headers that there are.
    fn push(&mut self, octets: usize) -> &mut [u8] {
        let start = self.len;
        self.len += octets;
        &mut self.octets[start..self.len]
    }
}

/// The addresses of a connection, of one version.
enum Ends {
    V4 { ours: Ipv4Addr, client: Ipv4Addr },
    V6 { ours: Ipv6Addr, client: Ipv6Addr },
}

impl Ends {
    /// `None` if an answer to `frame` would not reach one station; by its IP address `sanity.rs` has
    /// seen to that.
    fn answerable(frame: &[u8], flow: &FlowKey) -> Option<Ends> {
        if (frame[0] | frame[6]) & 1 == 1 {
            return None;
        }
        match (flow.local().ip(), flow.remote().ip()) {
            (IpAddr::V4(ours), IpAddr::V4(client)) => Some(Ends::V4 { ours, client }),
            (IpAddr::V6(ours), IpAddr::V6(client)) => Some(Ends::V6 { ours, client }),
            _ => None,
        }
    }
}

/// With ECN only where it can be agreed on: what the cookie remembers is what the answer agrees to.
fn offered(syn: &TcpHeader, service: &CookieService) -> SynOptions {
    let asks = syn.flags.contains(Flags::ECE.with(Flags::CWR));
    SynOptions {
        mss: syn.options.mss,
        window_scale: syn.options.window_scale,
        sack: syn.options.sack_permitted,
        timestamps: syn.options.timestamps.is_some(),
        ecn: asks && service.ecn && syn.options.timestamps.is_some(),
    }
}

fn syn_ack(
    syn: &TcpHeader,
    offered: &SynOptions,
    cookie: &Cookie,
    our_mss: u16,
    service: &CookieService,
) -> TcpHeader {
    let timestamps = syn.options.timestamps.zip(cookie.timestamp);
    TcpHeader {
        source_port: syn.destination_port,
        destination_port: syn.source_port,
        sequence: cookie.sequence,
        acknowledgment: SeqNum(syn.sequence.0.wrapping_add(1)),
        // RFC 3168 §6.1.1: ECE alone agrees to what ECE and CWR ask for.
        flags: Flags::SYN.with(Flags::ACK).with(if offered.ecn { Flags::ECE } else { Flags(0) }),
        window: service.window,
        options: TcpOptions {
            mss: Some(our_mss),
            window_scale: offered.window_scale.map(|_| service.window_scale),
            sack_permitted: offered.sack,
            timestamps: timestamps
                .map(|(theirs, ours)| Timestamps { value: ours, echo_reply: theirs.value }),
            ..TcpOptions::default()
        },
    }
}
