//! A capture in the engine: taps on every polling thread, and a capture file of what they copy.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Result;
use ringroad_engine::proxy::Side;
use ringroad_engine::tcp::OutgoingKind;
use ringroad_engine::telemetry::capture::{Captured, Reader, Wanted, What, tap};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep};

use super::{Request, filter};
use crate::crew::Crew;
use crate::pcapng::{Direction, Packet, Pcapng};
use crate::stats::Names;

/// The captures of an engine: one at a time, so that two people do not slow it down without knowing of
/// each other.
#[derive(Debug)]
pub(crate) struct Captures {
    crew: Crew,
    names: Names,
    /// Where the services listen.
    listening: HashMap<SocketAddr, u16>,
    /// The longest packet that there is [octets].
    packet_max: usize,
    one: Arc<Semaphore>,
    /// Whether the one that runs is to end.
    end: Arc<AtomicBool>,
}

/// Why there is no capture.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// What was asked for makes no sense.
    Wrong(String),
    /// One runs already.
    Busy,
    Failed(anyhow::Error),
}

/// One capture. When it is dropped, whether it is over or its reader has gone away, the taps come back
/// and their memory is freed.
#[derive(Debug)]
pub(crate) struct Session {
    crew: Crew,
    names: Names,
    end: Arc<AtomicBool>,
    /// One for each thread.
    readers: Vec<Reader>,
    file: Pcapng,
    left: Bounds,
    state: State,
    /// Given back when all taps are.
    one: Option<OwnedSemaphorePermit>,
    /// What was taken from the readers in one look; kept for its memory.
    batch: Vec<(usize, Captured)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Running,
    Over,
}

/// What may still be captured.
#[derive(Debug)]
struct Bounds {
    packets: u64,
    octets: u64,
    until: Option<Instant>,
}

impl Captures {
    /// `services` are the addresses of each that clients connect to, `mtu` is the largest of any port [octets].
    pub(crate) fn new<'a>(
        crew: Crew,
        names: Names,
        services: impl Iterator<Item = &'a [SocketAddr]>,
        mtu: u16,
    ) -> Self {
        let listening = (0..)
            .zip(services)
            .flat_map(|(index, listen)| listen.iter().map(move |address| (*address, index)));
        Captures {
            crew,
            names,
            listening: listening.collect(),
            packet_max: usize::from(mtu) + LINK_HEADERS,
            one: Arc::new(Semaphore::new(1)),
            end: Arc::default(),
        }
    }

    /// Begins a capture.
    pub(crate) async fn begin(&self, request: &Request) -> Result<Session, Refusal> {
        let filter = filter::parse(&request.filter, &self.names.services)
            .map_err(|wrong| Refusal::Wrong(format!("--filter: {wrong}")))?;
        let one = self.one.clone().try_acquire_owned().map_err(|_| Refusal::Busy)?;
        self.end.store(false, Ordering::Relaxed);
        let asked = request.snaplen.map_or(usize::MAX, |octets| octets as usize);
        let snaplen = asked.min(self.packet_max);
        let wanted = Arc::new(Wanted {
            filter,
            points: request.points(),
            snaplen,
            listening: self.listening.clone(),
        });
        let threads = self.names.threads.len();
        let records = (MEMORY / threads / snaplen).clamp(RECORDS_MIN, RECORDS_MAX);
        let records = 1 << records.ilog2();
        let ends = (0..threads).map(|_| tap(wanted.clone(), self.names.ports.len(), records));
        let (taps, readers): (Vec<_>, _) = ends.unzip();
        let file = Pcapng::new(&self.names.ports, snaplen as u32).map_err(Refusal::Failed)?;
        let session = Session {
            crew: self.crew.clone(),
            names: self.names.clone(),
            end: self.end.clone(),
            readers,
            left: Bounds {
                packets: request.count.unwrap_or(u64::MAX),
                octets: request.octets.saturating_sub(file.len() as u64),
                until: request.time.map(|time| Instant::now() + time),
            },
            file,
            state: State::Running,
            one: Some(one),
            batch: Vec::with_capacity(BATCH),
        };
        // From here on its drop undoes what was done.
        self.crew.tap(taps).await;
        Ok(session)
    }

    /// Has the capture that runs come to its end, if there is one.
    pub(crate) fn end(&self) {
        self.end.store(true, Ordering::Relaxed);
    }
}

impl Session {
    /// The next piece of the file, as soon as there is one; whole blocks. `None` when it is complete.
    pub(crate) async fn next(&mut self) -> Option<Result<Vec<u8>>> {
        match self.try_next().await {
            Ok(None) => None,
            Ok(Some(piece)) => Some(Ok(piece)),
            Err(error) => {
                self.state = State::Over;
                Some(Err(error))
            }
        }
    }

    async fn try_next(&mut self) -> Result<Option<Vec<u8>>> {
        while self.state == State::Running {
            let more = self.gather()?;
            if self.is_complete() {
                self.conclude().await?;
            } else if self.file.len() == 0 {
                sleep(LOOK).await;
                continue;
            } else if !more && self.file.len() < PIECE {
                // Small pieces cost more than they are worth.
                sleep(LOOK).await;
            }
            return Ok(Some(self.file.take()));
        }
        Ok(None)
    }

    /// Whether nothing more is to be captured.
    fn is_complete(&self) -> bool {
        let is_over = |until| Instant::now() >= until;
        self.left.packets == 0
            || self.left.octets == 0
            || self.left.until.is_some_and(is_over)
            || self.end.load(Ordering::Relaxed)
    }

    /// Writes down what has been captured, in the order of time; `true` if there may be more.
    fn gather(&mut self) -> Result<bool> {
        let share = BATCH / self.readers.len().max(1);
        for (thread, reader) in self.readers.iter_mut().enumerate() {
            let taken = std::iter::from_fn(|| reader.take()).take(share.max(1));
            self.batch.extend(taken.map(|captured| (thread, captured)));
        }
        self.batch.sort_by_key(|(_, captured)| captured.at);
        let is_full = self.batch.len() >= share;
        let mut batch = std::mem::take(&mut self.batch);
        let written = batch.iter().try_for_each(|(thread, captured)| self.write(*thread, captured));
        for (thread, captured) in batch.drain(..) {
            self.readers[thread].give_back(captured);
        }
        self.batch = batch;
        written.map(|()| is_full)
    }

    /// Writes one down, if it is within the bounds.
    fn write(&mut self, thread: usize, captured: &Captured) -> Result<()> {
        let Captured { what, service, side, .. } = *captured;
        let comment = describe(what, service, side, &self.names, thread);
        let octets = (BLOCK_OCTETS_MAX + captured.octets().len() + comment.len()) as u64;
        let conclusion = (self.names.ports.len() * STATISTICS_OCTETS_MAX) as u64;
        if self.left.octets < octets + conclusion {
            self.left.octets = 0;
        }
        if self.left.octets == 0 || self.left.packets == 0 {
            return Ok(());
        }
        self.left.packets -= 1;
        self.left.octets -= octets;
        let direction = match what {
            What::Received { .. } => Direction::Inbound,
            What::Sent { .. } => Direction::Outbound,
        };
        self.file.add(Packet {
            port: captured.port.into(),
            at: captured.at,
            octets: captured.octets(),
            original_len: captured.original_len(),
            direction,
            comment,
        })
    }

    /// Takes the taps away and writes down what they have left, and what was lost.
    async fn conclude(&mut self) -> Result<()> {
        self.crew.untap().await;
        while self.gather()? {}
        for port in 0..self.names.ports.len() {
            let counts = self.readers.iter().filter_map(|reader| reader.counts().nth(port));
            let (wanted, lost) = counts.fold((0, 0), |(wanted, lost), counts| {
                (wanted + counts.chosen, lost + counts.lost)
            });
            self.file.conclude(port as u32, wanted, lost)?;
        }
        self.state = State::Over;
        // The next one may begin before this one's reader has seen its end.
        self.one = None;
        Ok(())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // At the end of the engine there is nothing to undo any more.
        if let (Some(one), Ok(runtime)) = (self.one.take(), Handle::try_current()) {
            let crew = self.crew.clone();
            runtime.spawn(async move {
                crew.untap().await;
                drop(one);
            });
        }
    }
}

/// What a packet's comment says: where, whose, what became of it, how long it took.
fn describe(
    what: What,
    service: Option<u16>,
    side: Option<Side>,
    names: &Names,
    thread: usize,
) -> String {
    let place = match what {
        What::Received { dropped: None, .. } => "rx",
        What::Received { dropped: Some(_), .. } => "drop",
        What::Sent { .. } => "tx",
    };
    let mut parts = vec![place.to_owned()];
    parts.extend(names.threads.get(thread).map(|thread| thread.name.clone()));
    let service = service.and_then(|index| names.services.get(usize::from(index)));
    parts.extend(service.map(|service| format!("service {service}")));
    parts.extend(side.map(|side| match side {
        Side::Client => "client leg".to_owned(),
        Side::Origin => "origin leg".to_owned(),
    }));
    match what {
        What::Received { waited, dropped } => {
            parts.extend(dropped.map(|reason| format!("dropped: {reason}")));
            parts.extend(waited.map(|time| format!("ring wait {}", micros(time))));
        }
        What::Sent { kind, inside } => {
            let kind = match kind {
                OutgoingKind::Forwarded => "forwarded",
                OutgoingKind::Originated => "originated",
                OutgoingKind::Retransmitted => "retransmitted",
            };
            parts.push(kind.to_owned());
            parts.extend(inside.map(|time| format!("inside {}", micros(time))));
        }
    }
    parts.join(", ")
}

fn micros(time: Duration) -> String {
    format!("{:.1} µs", time.as_nanos() as f64 / 1_000.0)
}

/// Ethernet's header and two tags [octets].
const LINK_HEADERS: usize = 22;

/// What all threads together may copy before it is taken from them [octets], and how many packets one of
/// them at least and at most.
const MEMORY: usize = 16 << 20;
const RECORDS_MIN: usize = 64;
const RECORDS_MAX: usize = 1 << 14;

/// Packets that are taken at one look.
const BATCH: usize = 4096;

/// How often is looked for packets while there are few: long before there is no room for more.
const LOOK: Duration = Duration::from_millis(10);

/// A piece of the file that is sent at once [octets].
const PIECE: usize = 64 << 10;

/// What a packet's block takes besides its octets and its comment, and what one of statistics does [octets].
const BLOCK_OCTETS_MAX: usize = 32 + 16 + 8;
const STATISTICS_OCTETS_MAX: usize = 64;

#[cfg(test)]
mod tests;
