//! The RX stage where workers have cores of their own: from a burst to the workers' rings.

use super::hop::Crossing;
use super::io::WorkerEnd;
use super::stamped::Stamped;
use crate::flow::{FlowHasher, FlowKey, Steering};
use crate::frame::{Burst, Frame, FramePool};
use crate::limits::HOP_RX_FOR_KNOWN;
use crate::telemetry::capture::{Sight, Tap};
use crate::telemetry::{DropReason, Ledger};
use crate::time::Instant;
use crate::wire::Malformed;
use crate::wire::packet::{self, Transport};
use crate::wire::tcp::Flags;

/// Verifies what was received, and finds out whose it is.
#[derive(Debug)]
pub(super) struct Rx {
    steering: Steering,
    /// The workers' own.
    hasher: FlowHasher,
    /// By port, whether the device verifies checksums.
    verified: Vec<bool>,
    /// What of a burst goes to each worker; empty between bursts.
    sorted: Vec<Burst>,
    /// How much of it each worker's ring can take.
    room: Vec<usize>,
    /// Of what ends here.
    pub(super) ledger: Ledger,
    /// Packets that a worker's ring had no room for.
    pub(super) full: u64,
}

/// Whose a packet is.
struct Addressed {
    worker: usize,
    /// Whether it asks for a new connection.
    is_new: bool,
}

impl Rx {
    pub(super) fn new(steering: Steering, hasher: FlowHasher, verified: Vec<bool>) -> Self {
        let sorted: Vec<Burst> = (0..steering.owners()).map(|_| Burst::new()).collect();
        Rx {
            steering,
            hasher,
            verified,
            room: vec![0; sorted.len()],
            sorted,
            ledger: Ledger::default(),
            full: 0,
        }
    }

    /// Hands a burst that `port` received at that time to the workers. Empties `burst`. Shows what is dropped to
    /// `tap`.
    ///
    /// A worker that falls behind is sent no more than its ring holds: waiting for it would starve
    /// the others. New connections are the first to find no room: who has one is served before who
    /// wants one.
    pub(super) fn on_burst(
        &mut self,
        pool: &mut FramePool,
        (received_at, port, burst): (Instant, usize, &mut Burst),
        workers: &mut [WorkerEnd],
        mut tap: Option<&mut Tap>,
    ) {
        if burst.is_empty() {
            return;
        }
        let mut tell = |pool: &FramePool, frame: &Frame, reason: &'static str| {
            if let Some(tap) = &mut tap {
                let sight = Sight { at: received_at, port: port as u8, octets: pool.bytes(frame) };
                tap.turned_away(sight, reason);
            }
        };
        burst.iter().for_each(|frame| pool.prefetch(frame));
        for (room, worker) in self.room.iter_mut().zip(&*workers) {
            *room = worker.hops.ports[port].rx.room();
        }
        for frame in burst.drain() {
            match self.address(pool.bytes(&frame), port) {
                Ok(Some(Addressed { worker, is_new })) => {
                    let least = if is_new { HOP_RX_FOR_KNOWN } else { 1 };
                    let sorted = &mut self.sorted[worker];
                    if self.room[worker] < sorted.len() + least {
                        self.full += 1;
                        tell(pool, &frame, DropReason::WorkerBehind.as_str());
                        self.drop_frame(pool, frame, DropReason::WorkerBehind);
                    } else if let Err(frame) = sorted.push(frame) {
                        debug_assert!(false, "no burst is longer than another");
                        self.drop_frame(pool, frame, DropReason::WorkerBehind);
                    }
                }
                Ok(None) => {
                    tell(pool, &frame, DropReason::NotOurs.as_str());
                    self.drop_frame(pool, frame, DropReason::NotOurs);
                }
                Err(malformed) => {
                    tell(pool, &frame, malformed.as_str());
                    self.ledger.received += 1;
                    self.ledger.malformed(malformed);
                    pool.free(frame);
                }
            }
        }
        for (sorted, worker) in self.sorted.iter_mut().zip(workers) {
            if !sorted.is_empty() {
                let rx = &mut worker.hops.ports[port].rx;
                let depart =
                    |frame| Crossing::new(Stamped { item: pool.depart(frame), at: received_at });
                rx.push_burst(sorted.drain().map(depart));
                debug_assert!(sorted.is_empty(), "there was room");
                worker.hops.bell.ring();
            }
        }
    }

    /// Whose a packet is; `None`: nobody's.
    #[inline]
    fn address(&self, bytes: &[u8], port: usize) -> Result<Option<Addressed>, Malformed> {
        let packet = packet::parse(bytes)?;
        match packet.transport {
            Transport::Tcp { header, .. } => {
                if !self.verified[port] {
                    packet.verify_tcp_checksum(bytes)?;
                }
                let is_new =
                    header.flags.contains(Flags::SYN) && !header.flags.contains(Flags::ACK);
                let worker = self.owner(port, &FlowKey::of_segment(&packet, &header));
                Ok(Some(Addressed { worker, is_new }))
            }
            Transport::IcmpError(error) => {
                let worker = self.owner(port, &FlowKey::of_quoted(&error));
                Ok(Some(Addressed { worker, is_new: false }))
            }
            Transport::Other => Ok(None),
        }
    }

    #[inline]
    fn owner(&self, port: usize, flow: &FlowKey) -> usize {
        self.steering.owner(port as u8, flow, self.hasher.hash(flow)).into()
    }

    fn drop_frame(&mut self, pool: &mut FramePool, frame: Frame, reason: DropReason) {
        self.ledger.received += 1;
        self.ledger.dropped(reason);
        pool.free(frame);
    }
}
