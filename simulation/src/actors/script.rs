//! What the two ends of a connection say to each other.
//!
//! A conversation is some rounds of request and response. The octets are a pattern that tells whose
//! they are, and the first of them say all that the origin must know; so each end's part can be
//! compared with what the other has received, whoever else was on the way.

use std::net::{IpAddr, SocketAddr};

use ringroad_engine::proxy::proxy_protocol::Version;

use crate::appliance::rig::pattern;

/// Which end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Client,
    Origin,
}

/// One conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Script {
    /// Tells its octets from those of others.
    pub id: u32,
    /// Of each request, [`HEAD`] at least [octets].
    pub request: u32,
    /// Of each response [octets].
    pub response: u32,
    /// Requests, each asked when the response to the one before is there.
    pub rounds: u16,
    pub closes_first: Role,
}

/// What of the first request is no pattern [octets].
pub const HEAD: u32 = 16;

const MARK: u8 = 0xc5;

/// The PROXY protocol's header for a connection of `client` to `service`, as its specification has it;
/// shares no code with the engine's.
pub fn proxy_header(version: Version, client: SocketAddr, service: SocketAddr) -> Vec<u8> {
    let ends = [client, service];
    if version == Version::V1 {
        let family = if client.is_ipv4() { "TCP4" } else { "TCP6" };
        let [from, to] = ends.map(|end| end.ip());
        let [from_port, to_port] = ends.map(|end| end.port());
        return format!("PROXY {family} {from} {to} {from_port} {to_port}\r\n").into_bytes();
    }
    let mut addresses = Vec::new();
    for end in ends {
        match end.ip() {
            IpAddr::V4(ip) => addresses.extend(ip.octets()),
            IpAddr::V6(ip) => addresses.extend(ip.octets()),
        }
    }
    addresses.extend(ends.iter().flat_map(|end| end.port().to_be_bytes()));
    let family = if client.is_ipv4() { 0x11 } else { 0x21 };
    [VERSION_2, &[0x21, family, 0, addresses.len() as u8], &addresses].concat()
}

/// How the headers of the PROXY protocol begin.
const VERSION_1: &[u8] = b"PROXY ";
const VERSION_2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

impl Script {
    /// One request and one response; the client closes.
    pub fn exchange(id: u32, request: u32, response: u32) -> Script {
        let request = request.max(HEAD);
        Script { id, request, response, rounds: 1, closes_first: Role::Client }
    }

    /// All that `speaker` says, if nothing cuts it short.
    pub fn octets(&self, speaker: Role) -> Vec<u8> {
        let mut octets = pattern(self.id.into(), self.len(speaker));
        match speaker {
            Role::Client => octets[..HEAD as usize].copy_from_slice(&self.head()),
            Role::Origin => octets.iter_mut().for_each(|octet| *octet = !*octet),
        }
        octets
    }

    /// How much that is [octets].
    pub fn len(&self, speaker: Role) -> usize {
        self.turn(speaker) * usize::from(self.rounds)
    }

    /// The conversation that a client begins so, if that is enough to tell.
    pub fn of(received: &[u8]) -> Option<Script> {
        let head: &[u8; HEAD as usize] = received.first_chunk()?;
        let word =
            |at: usize| u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let script = Script {
            id: word(0),
            request: word(4),
            response: word(8),
            rounds: u16::from_be_bytes([head[12], head[13]]),
            closes_first: if head[14] == 0 { Role::Client } else { Role::Origin },
        };
        (head[15] == MARK).then_some(script)
    }

    /// What a client says behind the PROXY protocol's header, if there is one and it is complete.
    pub fn behind_header(received: &[u8]) -> Option<&[u8]> {
        if received.starts_with(VERSION_1) {
            let end = received.windows(2).position(|two| two == b"\r\n")?;
            return received.get(end + 2..);
        }
        if received.starts_with(VERSION_2) {
            let len: [u8; 2] = received.get(14..16)?.try_into().ok()?;
            return received.get(16 + usize::from(u16::from_be_bytes(len))..);
        }
        Some(received)
    }

    /// How much has been asked of `speaker`, when it has heard so much of the other [octets].
    pub(super) fn due(&self, speaker: Role, heard: usize) -> usize {
        let rounds = usize::from(self.rounds);
        let rounds_heard = heard.checked_div(self.turn(speaker.other())).unwrap_or(rounds);
        let turns = match speaker {
            Role::Client => rounds_heard + 1,
            Role::Origin => rounds_heard,
        };
        turns.min(rounds) * self.turn(speaker)
    }

    /// What `speaker` says in each round [octets].
    fn turn(&self, speaker: Role) -> usize {
        match speaker {
            Role::Client => self.request as usize,
            Role::Origin => self.response as usize,
        }
    }

    fn head(&self) -> [u8; HEAD as usize] {
        let mut head = [0; HEAD as usize];
        head[0..4].copy_from_slice(&self.id.to_be_bytes());
        head[4..8].copy_from_slice(&self.request.to_be_bytes());
        head[8..12].copy_from_slice(&self.response.to_be_bytes());
        head[12..14].copy_from_slice(&self.rounds.to_be_bytes());
        head[14] = u8::from(self.closes_first == Role::Origin);
        head[15] = MARK;
        head
    }
}

impl Role {
    pub fn other(self) -> Role {
        match self {
            Role::Client => Role::Origin,
            Role::Origin => Role::Client,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_reads_from_the_request_what_it_is_to_say() {
        let script =
            Script { id: 7, request: 100, response: 5000, rounds: 3, closes_first: Role::Origin };
        let asked = script.octets(Role::Client);
        assert_eq!(asked.len(), 300);
        assert_eq!(Script::of(&asked), Some(script));
        assert_eq!(Script::of(&asked[..15]), None);
        assert_eq!(Script::of(&script.octets(Role::Origin)), None);
    }

    #[test]
    fn the_header_of_the_proxy_protocol_is_no_part_of_it() {
        let version_1 = b"PROXY TCP4 198.51.100.1 10.10.1.1 30001 80\r\nasked";
        assert_eq!(Script::behind_header(version_1), Some(&b"asked"[..]));
        assert_eq!(Script::behind_header(&version_1[..30]), None);
        let version_2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x02ab".iter().chain(b"asked");
        let version_2: Vec<u8> = version_2.copied().collect();
        assert_eq!(Script::behind_header(&version_2), Some(&b"asked"[..]));
        assert_eq!(Script::behind_header(&version_2[..17]), None);
        assert_eq!(Script::behind_header(b"asked"), Some(&b"asked"[..]));
        for (client, service) in
            [("192.0.2.7:5", "10.0.0.1:80"), ("[2001:db8::7]:5", "[fd00::1]:80")]
        {
            let ends = [client, service].map(|end| end.parse().expect("an address"));
            for version in [Version::V1, Version::V2] {
                let header = proxy_header(version, ends[0], ends[1]);
                assert_eq!(Script::behind_header(&header), Some(&[][..]));
            }
        }
    }

    #[test]
    fn each_request_waits_for_the_response_to_the_one_before() {
        let script = Script { rounds: 2, ..Script::exchange(1, 100, 500) };
        assert_eq!(
            [0, 499, 500, 1000].map(|heard| script.due(Role::Client, heard)),
            [100, 100, 200, 200]
        );
        assert_eq!(
            [0, 99, 100, 200].map(|heard| script.due(Role::Origin, heard)),
            [0, 0, 500, 1000]
        );
        let one_way = Script { response: 0, ..script };
        assert_eq!(one_way.due(Role::Client, 0), 200, "there is nothing to wait for");
    }
}
