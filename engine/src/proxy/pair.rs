//! Two legs that serve one client, and what crosses between them.

use std::net::IpAddr;
use std::time::Duration;

use super::{Envelope, LegAccount, LinkPath, Milestones, ServiceSettings};
use crate::flow::FlowKey;
use crate::limits::{SEND_QUEUE_OCTETS_MAX, SEND_QUEUE_SHARE, WINDOW_STEP};
use crate::planted::{self, Fault};
use crate::tcp::{CloseReason, Connection, Context, State};
use crate::telemetry::ServiceCounters;
use crate::time::Instant;

/// Which of the two connections of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Side {
    Client = 0,
    Origin = 1,
}

impl Side {
    pub const BOTH: [Side; 2] = [Side::Client, Side::Origin];

    pub fn other(self) -> Side {
        match self {
            Side::Client => Side::Origin,
            Side::Origin => Side::Client,
        }
    }
}

/// One connection of a pair, with the way its segments take.
#[derive(Debug)]
pub struct Leg {
    pub tcp: Connection,
    pub key: FlowKey,
    /// The port that its segments come by. What it sends may leave by another.
    pub port: u8,
    pub path: LegPath,
    /// Generation of the routes that `path` was found in.
    pub routes_generation: u64,
    pub account: LegAccount,
    /// When its round-trip time is next recorded.
    pub rtt_due: Instant,
}

/// How far a leg knows its way.
#[derive(Clone, Copy, Debug)]
pub enum LegPath {
    Known(Envelope),
    /// Linux is resolving the neighbour.
    Awaited,
}

impl LegPath {
    pub fn along(path: &LinkPath, local: IpAddr, remote: IpAddr) -> Self {
        LegPath::Known(Envelope::new(path, local, remote))
    }
}

/// How far a pair has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The client has not completed its handshake.
    ClientHandshake,
    /// The origin has not completed its handshake.
    OriginHandshake,
    /// Payload crosses.
    Open,
}

/// A proxied connection. Plain data; addressed by its index in the worker's table.
#[derive(Debug)]
pub struct Pair {
    pub service: u16,
    /// Index of the origin within the service, once chosen.
    pub origin: u16,
    /// Origins that were tried.
    pub tries: u16,
    pub phase: Phase,
    /// Whether the pair waits in the worker's queue to be looked at.
    pub queued: bool,
    /// Whether the pair was opened early, and its client is still to be heard of.
    pub fast_open_pending: bool,
    /// A leg is gone when it is closed and forgotten, or when only its TIME-WAIT is left.
    pub legs: [Option<Leg>; 2],
    /// The way the client's SYN came: the way back while Linux knows none.
    pub came_by: LinkPath,
    /// Since when the pair has been awake.
    pub awake_since: Instant,
    /// Payload that has crossed to the client, and to the origin [octets].
    pub crossed_octets: [u64; 2],
    /// What the origin was told before that [octets].
    pub greeting_octets: u8,
    /// When the paths next hear what the legs have seen of them.
    pub sample_at: Instant,
    /// When payload last crossed, or what had crossed was acknowledged; before that, since when the pair
    /// has been in its phase.
    pub moved_at: Instant,
    /// When a segment last came or left.
    pub stirred_at: Instant,
    /// What both legs had queued to be sent or acknowledged when they were last looked at [octets].
    pub queued_octets: u32,
    /// When the worker's wheel will look at this pair.
    pub armed: Instant,
    pub milestones: Milestones,
}

impl Pair {
    pub fn leg(&self, side: Side) -> Option<&Leg> {
        self.legs[side as usize].as_ref()
    }

    pub fn leg_mut(&mut self, side: Side) -> Option<&mut Leg> {
        self.legs[side as usize].as_mut()
    }

    /// Moves what has arrived on each leg to the other's send queue, and lets each leg advertise
    /// what the other can still take: backpressure is TCP's own (DESIGN §5). Returns how long the origin
    /// took for its first payload, if that has just come.
    pub fn shuttle(
        &mut self,
        cx: &mut Context<'_>,
        counters: &mut ServiceCounters,
    ) -> Option<Duration> {
        if self.phase != Phase::Open {
            return None;
        }
        // A slow reader with a long queue before it is not idle.
        if self.queued() < self.queued_octets {
            self.moved_at = cx.now;
        }
        let first_byte = self.cross_both(cx, counters);
        self.queued_octets = self.queued();
        first_byte
    }

    /// What is still to be acknowledged, by either end [octets].
    fn queued(&self) -> u32 {
        self.legs.iter().flatten().map(|leg| leg.tcp.queued_octets()).sum()
    }

    fn cross_both(
        &mut self,
        cx: &mut Context<'_>,
        counters: &mut ServiceCounters,
    ) -> Option<Duration> {
        let [Some(client), Some(origin)] = &mut self.legs else {
            return None;
        };
        let to_origin = cross(cx, &mut client.tcp, &mut origin.tcp);
        let to_client = cross(cx, &mut origin.tcp, &mut client.tcp);
        counters.to_origin_octets += to_origin;
        counters.to_client_octets += to_client;
        if to_origin + to_client == 0 {
            return None;
        }
        self.crossed_octets[Side::Origin as usize] += to_origin;
        self.crossed_octets[Side::Client as usize] += to_client;
        self.moved_at = cx.now;
        self.milestones.on_crossed(cx.now, to_origin, to_client)
    }

    /// When a leg ended before its time, ends the other the same way (RST crosses with it). An
    /// origin that fails before the pair is open does not end the client: another may be tried.
    pub fn carry_reset(&mut self) {
        let origin_counts = self.phase == Phase::Open;
        for side in Side::BOTH {
            let ended = self.leg(side).is_some_and(|leg| {
                leg.tcp.close_reason().is_some_and(|reason| reason != CloseReason::Finished)
            });
            if ended
                && !planted::is(Fault::ResetNotCarried)
                && (side == Side::Client || origin_counts)
                && let Some(other) = self.leg_mut(side.other())
                && other.tcp.state() != State::Closed
            {
                other.tcp.abort();
            }
        }
    }

    /// How long the pair may stay without payload crossing, in its present phase.
    pub fn patience(&self, settings: &ServiceSettings) -> Duration {
        match self.phase {
            Phase::OriginHandshake => settings.connect_timeout,
            Phase::ClientHandshake | Phase::Open => settings.idle_timeout,
        }
    }

    /// The next time anything is due on this pair by itself.
    pub fn deadline(&self) -> Instant {
        self.legs
            .iter()
            .flatten()
            .map(|leg| leg.tcp.deadline())
            .min()
            .unwrap_or(Instant::FAR_FUTURE)
    }
}

/// Moves in-order payload and the end of the stream from one leg to the other; returns the
/// octets moved.
fn cross(cx: &mut Context<'_>, from: &mut Connection, to: &mut Connection) -> u64 {
    let mut moved = 0;
    while let Some(chunk) = from.receive(cx) {
        moved += chunk.frame.len() as u64;
        to.send(cx, chunk);
    }
    if from.receive_finished() && !planted::is(Fault::FinNotCarried) {
        to.finish();
    }
    // What has merely moved to the other queue has not been taken by anybody.
    let ahead = from.tuned_room(cx.now, to.acknowledged());
    let room = send_room(cx, to, ahead);
    from.set_receive_room(in_steps(&room, from));
    moved
}

/// What a leg's send queue may take [octets].
struct Room {
    /// Besides what it holds.
    left: u32,
    /// If it were empty.
    most: u32,
}

/// Room as it is offered [octets]: whole segments of the peer's beyond what it may send already, and
/// not before there are some.
///
/// The reader's acknowledgments make room in small pieces, and a peer that waits for a window sends
/// what fits, as Linux does where Nagle's algorithm is off. Each piece that is no multiple of its
/// segment would so come as a small packet, which costs the reader's path as much as a large one.
fn in_steps(room: &Room, from: &Connection) -> u32 {
    let open = from.open_window();
    let more = room.left.saturating_sub(open);
    if more < WINDOW_STEP.min(room.most / 2) {
        return open.min(room.left);
    }
    open + more - more % from.peer_segment().max(1)
}

/// What a leg's send queue may still take; `ahead` is what the other leg's path needs to
/// have on its way to us.
///
/// The queue is to hold what the leg has in flight, as much again, so that it never waits, and what
/// is still to come. A reader that slows down so keeps its congestion window full, and no more
/// than that.
///
/// One queue may hold a fixed share of the frames that are to spare (dynamic thresholds, Choudhury
/// and Hahne 1998): a few busy connections get long queues, many get short ones, and no number of
/// them drains the pool. What is left of the share is counted as full frames of the leg's MSS.
fn send_room(cx: &Context<'_>, to: &Connection, ahead: u32) -> Room {
    let wanted = to.congestion_window().saturating_mul(2).saturating_add(ahead);
    let wanted = wanted.min(SEND_QUEUE_OCTETS_MAX);
    let share_frames = u32::try_from(cx.pool.spare_count() / SEND_QUEUE_SHARE).unwrap_or(u32::MAX);
    let octets = |frames: u32| frames.saturating_mul(u32::from(to.mss()));
    let left = wanted.saturating_sub(to.queued_octets());
    Room {
        left: ahead.min(left).min(octets(share_frames.saturating_sub(to.queued_frames()))),
        most: ahead.min(octets(share_frames)),
    }
}
