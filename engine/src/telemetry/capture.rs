//! Packets as they pass, copied for a reader who has chosen them: what `ringroad capture` shows.
//!
//! The reader makes the two ends for each core with [`tap`]. It gives the core the [`Tap`]
//! ([`crate::stage::Command::Capture`]), and takes from its [`Reader`] what the core has copied. All memory
//! is the reader's, and comes back to it: empty buffers go to the core by one ring, full ones return by another.
//! Who has none left counts the packet as lost and goes on: nothing waits for a reader.
//!
//! A received packet is copied before anything is done with it, and handed over when it is known what
//! became of it: one record says both. Start at [`Tap::received`].

mod captured;
mod filter;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ringroad_ring::{Consumer, Producer, ring};

pub use captured::{Captured, What};
pub use filter::{Filter, Literal, Test, TooLong};

use crate::flow::FlowKey;
use crate::proxy::Side;
use crate::time::Instant;
use crate::wire::packet::{self, Transport};
use crate::wire::tcp::Flags;

/// What is captured, for all cores alike.
#[derive(Clone, Debug)]
pub struct Wanted {
    pub filter: Filter,
    pub points: Points,
    /// Copied of each packet at most [octets].
    pub snaplen: usize,
    /// Where the services listen: whose a packet is that belongs to no connection.
    pub listening: HashMap<SocketAddr, u16>,
}

/// Where packets are looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Points {
    /// Received, whatever becomes of them.
    pub rx: bool,
    /// Sent.
    pub tx: bool,
    /// Received and dropped.
    pub drop: bool,
}

/// What is known of a packet besides its octets.
#[derive(Clone, Copy, Debug, Default)]
pub struct About {
    /// Its own flow, and that of the other leg of the same connection.
    pub flows: [Option<FlowKey>; 2],
    /// Of TCP.
    pub flags: Flags,
    /// By index.
    pub service: Option<u16>,
    /// The leg whose it is.
    pub side: Option<Side>,
}

impl About {
    /// What the packet itself says.
    pub(crate) fn of(octets: &[u8]) -> Self {
        let Ok(packet) = packet::parse(octets) else { return About::default() };
        let flags = match &packet.transport {
            Transport::Tcp { header, .. } => header.flags,
            Transport::IcmpError(_) | Transport::Other => Flags::default(),
        };
        About { flows: [FlowKey::of_packet(&packet), None], flags, ..About::default() }
    }
}

/// A packet at a place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sight<'a> {
    pub(crate) at: Instant,
    pub(crate) port: u8,
    /// From the Ethernet header on.
    pub(crate) octets: &'a [u8],
}

/// A core's end of a capture.
#[derive(Debug)]
pub struct Tap {
    wanted: Arc<Wanted>,
    empty: Consumer<Box<[u8]>>,
    full: Producer<Captured>,
    counts: Arc<[PortCounts]>,
    /// One that was taken and not needed.
    spare: Option<Box<[u8]>>,
    /// The packet that is being worked on.
    open: Option<Open>,
}

/// A received packet of which is not known yet what becomes of it.
#[derive(Debug)]
struct Open {
    about: About,
    at: Instant,
    port: u8,
    /// `None`: there was no buffer for it.
    copy: Option<Copied>,
    /// How long it had waited for this core.
    waited: Option<Duration>,
    dropped: Option<&'static str>,
}

/// The first octets of a packet.
#[derive(Debug)]
struct Copied {
    buffer: Box<[u8]>,
    len: usize,
    /// Length of the packet [octets].
    of: u32,
}

/// The reader's end, for one core.
#[derive(Debug)]
pub struct Reader {
    full: Consumer<Captured>,
    empty: Producer<Box<[u8]>>,
    counts: Arc<[PortCounts]>,
}

/// What one core has captured at one port [packets].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// That were wanted.
    pub chosen: u64,
    /// Of these, those that there was no room for.
    pub lost: u64,
}

#[derive(Debug, Default)]
struct PortCounts {
    chosen: AtomicU64,
    lost: AtomicU64,
}

/// Makes the two ends for one core with so many `ports`; as many packets as there are `records` may wait
/// for the reader.
///
/// # Panics
/// If `records` is not a power of two.
pub fn tap(wanted: Arc<Wanted>, ports: usize, records: usize) -> (Box<Tap>, Reader) {
    let (mut empty, from_reader) = ring(records);
    let (full, to_reader) = ring(records);
    let snaplen = wanted.snaplen;
    empty.push_burst(&mut (0..records).map(|_| vec![0; snaplen].into_boxed_slice()));
    let counts: Arc<[PortCounts]> = (0..ports).map(|_| PortCounts::default()).collect();
    let tap =
        Tap { wanted, empty: from_reader, full, counts: counts.clone(), spare: None, open: None };
    (Box::new(tap), Reader { full: to_reader, empty, counts })
}

impl Reader {
    /// What has been captured next.
    pub fn take(&mut self) -> Option<Captured> {
        self.full.pop()
    }

    /// Gives the core the room back that a packet had.
    pub fn give_back(&mut self, captured: Captured) {
        // There are no more buffers than room for them.
        let _ = self.empty.push(captured.into_buffer());
    }

    /// By port, so far.
    pub fn counts(&self) -> impl Iterator<Item = Counts> + '_ {
        self.counts.iter().map(|port| Counts {
            chosen: port.chosen.load(Ordering::Relaxed),
            lost: port.lost.load(Ordering::Relaxed),
        })
    }
}

impl Tap {
    /// A packet has come to this core, having `waited` for it; `known` adds what the core knows of it. What
    /// becomes of it is told by [`Tap::dropped`]; [`Tap::settle`] ends it.
    pub(crate) fn received(
        &mut self,
        sight: Sight<'_>,
        known: impl FnOnce(&mut About),
        waited: Option<Duration>,
    ) {
        let points = self.wanted.points;
        if !(points.rx || points.drop) || self.full.is_abandoned() {
            return;
        }
        let mut about = About::of(sight.octets);
        known(&mut about);
        self.find_service(&mut about);
        let filter = &self.wanted.filter;
        if filter.asks_for_drops() || filter.matches(&about, None) {
            let copy = self.copy(sight.octets);
            self.open =
                Some(Open { about, at: sight.at, port: sight.port, copy, waited, dropped: None });
        }
    }

    /// The packet that was received last goes to another core, which knows whose it is, and captures it.
    pub(crate) fn handed_over(&mut self) {
        if let Some(Open { copy: Some(copied), .. }) = self.open.take() {
            self.spare = Some(copied.buffer);
        }
    }

    /// The packet that was received last is dropped.
    pub(crate) fn dropped(&mut self, reason: &'static str) {
        if let Some(open) = &mut self.open {
            open.dropped = Some(reason);
        }
    }

    /// The packet that was received last has been worked on: hands it over, if it is wanted now that
    /// this is known.
    pub(crate) fn settle(&mut self) {
        let Some(open) = self.open.take() else { return };
        let Open { about, at, port, copy, waited, dropped } = open;
        let Wanted { filter, points, .. } = &*self.wanted;
        let here = points.rx || dropped.is_some();
        if here && (!filter.asks_for_drops() || filter.matches(&about, dropped)) {
            self.hand_over(at, port, &about, What::Received { waited, dropped }, copy);
        } else if let Some(copied) = copy {
            self.spare = Some(copied.buffer);
        }
    }

    /// A packet is dropped before this core did anything else with it.
    pub(crate) fn turned_away(&mut self, sight: Sight<'_>, reason: &'static str) {
        self.received(sight, |_| (), None);
        self.dropped(reason);
        self.settle();
    }

    /// A packet leaves this core; `known` adds what the core knows of it.
    pub(crate) fn sent(&mut self, sight: Sight<'_>, known: impl FnOnce(&mut About), what: What) {
        if !self.wanted.points.tx || self.full.is_abandoned() {
            return;
        }
        let mut about = About::of(sight.octets);
        // As all flows: our end first.
        about.flows[0] = about.flows[0].map(|flow| flow.reversed());
        known(&mut about);
        self.find_service(&mut about);
        if self.wanted.filter.matches(&about, None) {
            let copy = self.copy(sight.octets);
            self.hand_over(sight.at, sight.port, &about, what, copy);
        }
    }

    /// Whose a packet is that belongs to no connection.
    fn find_service(&self, about: &mut About) {
        let listening = |flow: FlowKey| self.wanted.listening.get(&flow.local()).copied();
        about.service = about.service.or_else(|| about.flows[0].and_then(listening));
    }

    /// `None` if the reader has all buffers.
    fn copy(&mut self, octets: &[u8]) -> Option<Copied> {
        let mut buffer = self.spare.take().or_else(|| self.empty.pop())?;
        let len = octets.len().min(buffer.len());
        buffer[..len].copy_from_slice(&octets[..len]);
        Some(Copied { buffer, len, of: octets.len() as u32 })
    }

    fn hand_over(
        &mut self,
        at: Instant,
        port: u8,
        about: &About,
        what: What,
        copy: Option<Copied>,
    ) {
        let Some(counts) = self.counts.get(usize::from(port)) else { return };
        counts.chosen.fetch_add(1, Ordering::Relaxed);
        let captured = copy.map(|copied| Captured::new(at, port, about, what, copied));
        // There is room for as many as there are buffers.
        if captured.is_none_or(|captured| self.full.push(captured).is_err()) {
            counts.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}
