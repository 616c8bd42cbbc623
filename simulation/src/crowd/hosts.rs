//! The hosts of a crowd: of each end of each connection the numbers that its next segment carries.

use std::net::{IpAddr, SocketAddr};

use crate::appliance::packet::{ACK, FIN, Link, Options, PSH, RST, SYN, Segment, Tags};
use crate::appliance::rig::{CLIENTS, ORIGINS, OURS, THEIRS, service};

/// Origins, which are also the addresses on each side; and the ports of each.
pub(super) const ORIGINS_MAX: usize = 32;
pub(super) const FIRST_PORT: u16 = 10_000;
pub(super) const PORTS: usize = 50_000;

/// What a host does with a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Syn,
    Ack,
    SynAck,
    Request,
    Answer,
    Acknowledge,
    ClientFin,
    OriginFin,
}

impl Step {
    /// Who speaks, and with which flags.
    fn speaker(self) -> (usize, u8) {
        match self {
            Step::Syn => (CLIENTS, SYN),
            Step::Ack | Step::Acknowledge => (CLIENTS, ACK),
            Step::SynAck => (ORIGINS, SYN | ACK),
            Step::Request => (CLIENTS, ACK | PSH),
            Step::Answer => (ORIGINS, ACK | PSH),
            Step::ClientFin => (CLIENTS, ACK | FIN),
            Step::OriginFin => (ORIGINS, ACK | FIN),
        }
    }
}

/// All connections, by number.
#[derive(Debug)]
pub(super) struct Hosts {
    connections: Vec<Connection>,
    /// By origin and by the egress port that it sees: the connection.
    by_port: Vec<u32>,
    /// Connections both of whose ends have heard the other's.
    finished: usize,
}

#[derive(Clone, Copy, Debug)]
struct Connection {
    ends: [Numbers; 2],
    /// Its origin, and the port that it comes from there.
    origin: u16,
    egress_port: u16,
}

#[derive(Clone, Copy, Debug)]
struct Numbers {
    seq: u32,
    ack: u32,
    /// The engine's last timestamp.
    echo: u32,
}

impl Hosts {
    /// Memory is taken and touched at once.
    pub(super) fn new(connections: usize) -> Self {
        let fresh = Connection {
            ends: [1000, 2000].map(|seq| Numbers { seq, ack: 0, echo: 0 }),
            origin: 0,
            egress_port: 0,
        };
        Hosts {
            connections: vec![fresh; connections],
            by_port: vec![u32::MAX; ORIGINS_MAX << 16],
            finished: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.connections.len()
    }

    /// The segment of a step, and goes on.
    pub(super) fn say(&mut self, step: Step, number: usize) -> Segment {
        let (side, flags) = step.speaker();
        let has_payload = matches!(step, Step::Request | Step::Answer);
        let payload = if has_payload { payload_of(side, number).to_vec() } else { Vec::new() };
        let opens = flags & SYN != 0;
        let connection = &mut self.connections[number];
        let (source, destination) = match side {
            CLIENTS => (client(number), service()),
            _ => (
                SocketAddr::new(origin(connection.origin.into()), ORIGIN_PORT),
                SocketAddr::new(egress(), connection.egress_port),
            ),
        };
        let end = &mut connection.ends[side];
        let segment = Segment {
            link: Link { source: THEIRS[side], destination: OURS[side], tags: Tags::default() },
            source,
            destination,
            seq: end.seq,
            ack: end.ack,
            flags,
            window: 60_000,
            options: Options {
                mss: opens.then_some(1460),
                scale: opens.then_some(7),
                sack_permitted: opens,
                timestamps: Some((1, end.echo)),
                ..Options::default()
            },
            payload,
        };
        end.seq = end.seq.wrapping_add(segment.sequence_len());
        segment
    }

    /// An end hears what the engine has sent. A SYN for an origin is of the next of `opening`; that it
    /// is, its request shows.
    ///
    /// # Panics
    /// If it is not what it waits for.
    pub(super) fn hear(
        &mut self,
        side: usize,
        segment: &Segment,
        opening: &mut impl Iterator<Item = usize>,
    ) {
        assert!(!segment.has(RST), "{segment:?}");
        let number = match side {
            CLIENTS => number_of_client(segment.destination),
            _ => self.number_at_origin(segment, opening),
        };
        let connection = &mut self.connections[number];
        let end = &mut connection.ends[side];
        assert!(segment.has(SYN) || segment.seq == end.ack, "a gap: {segment:?}");
        if !segment.payload.is_empty() {
            assert!(segment.payload == payload_of(1 - side, number), "of another: {segment:?}");
        }
        end.ack = segment.seq.wrapping_add(segment.sequence_len());
        end.echo = segment.options.timestamps.map_or(0, |(value, _)| value);
        self.finished += usize::from(segment.has(FIN) && side == CLIENTS);
    }

    /// # Panics
    /// If a client has not heard the end of its connection.
    pub(super) fn assert_finished(&self) {
        assert_eq!(self.finished, self.connections.len());
    }

    fn number_at_origin(
        &mut self,
        segment: &Segment,
        opening: &mut impl Iterator<Item = usize>,
    ) -> usize {
        let (host, port) = (host_of(segment.destination.ip()), segment.source.port());
        let known = &mut self.by_port[host << 16 | usize::from(port)];
        if segment.has(SYN) {
            let number = opening.next().expect("a SYN for each that opens");
            *known = number as u32;
            let connection = &mut self.connections[number];
            (connection.origin, connection.egress_port) = (host as u16, port);
        }
        *known as usize
    }
}

pub(super) const ORIGIN_PORT: u16 = 8080;

pub(super) fn egress() -> IpAddr {
    [10, 20, 0, 1].into()
}

pub(super) fn origin(host: usize) -> IpAddr {
    [10, 20, 1, host as u8].into()
}

fn client(number: usize) -> SocketAddr {
    let port = FIRST_PORT + (number / ORIGINS_MAX) as u16;
    SocketAddr::new([198, 51, 100, (number % ORIGINS_MAX) as u8].into(), port)
}

fn number_of_client(address: SocketAddr) -> usize {
    usize::from(address.port() - FIRST_PORT) * ORIGINS_MAX + host_of(address.ip())
}

fn host_of(address: IpAddr) -> usize {
    match address {
        IpAddr::V4(v4) => v4.octets()[3].into(),
        IpAddr::V6(_) => unreachable!("nobody has such an address here"),
    }
}

/// What one end of a connection says: who it is, and whose.
fn payload_of(side: usize, number: usize) -> [u8; 24] {
    let mut payload = [side as u8; 24];
    payload[..8].copy_from_slice(&(number as u64).to_be_bytes());
    payload
}
