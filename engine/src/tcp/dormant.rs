//! A connection asleep: what has to be kept of one on which nothing happens.
//!
//! Most connections of an edge wait most of the time. One that is wholly quiet has nothing queued,
//! nothing under way and nothing to answer, so all its queues, scoreboards and timers are known to
//! be empty. [`Connection::sleep`] leaves them out; [`Asleep::wake`] makes a connection of the rest
//! that behaves as if it had never slept, but for its congestion window, which may be smaller.
//!
//! Only the timer of keepalive goes on: [`Asleep::deadline`].

use super::autotune::{AutoTune, ReceiveRtt};
use super::congestion::{CongestionControl, Controller, Remembered};
use super::connection::{Cold, options_octets};
use super::deadlines::keepalive_due;
use super::ecn::EcnState;
use super::out_of_order::OutOfOrder;
use super::pacing::Pacer;
use super::path_mtu::{Kept, PathMtu};
use super::receive_queue::ReceiveQueue;
use super::recovery::{Recovery, Reordering};
use super::rtt::RttEstimator;
use super::send_queue::SendQueue;
use super::settings::{Endpoints, LegSettings};
use super::state::State;
use super::{Connection, Offer};
use crate::planted::{self, Fault};
use crate::time::Instant;
use crate::wire::tcp::SeqNum;

/// What is kept of a quiet connection. Plain data; holds no frames.
///
/// What the two sequence numbers imply is not kept: all that was sent is acknowledged, and all that
/// has arrived was taken and is acknowledged.
#[derive(Clone, Debug)]
pub struct Asleep {
    congestion: Remembered,
    rtt: RttEstimator,
    last_received: Instant,
    last_sent: Instant,
    endpoints: Endpoints,
    snd_nxt: SeqNum,
    snd_wnd: u32,
    snd_wl1: SeqNum,
    max_snd_wnd: u32,
    rcv_nxt: SeqNum,
    rcv_edge: SeqNum,
    room: u32,
    rcv_segment_max: u32,
    ts_recent: u32,
    mss: u16,
    path: Kept,
    state: State,
    snd_scale: u8,
    rcv_scale: u8,
    timestamps: bool,
    ecn: EcnState,
    sack: bool,
    reordering: Reordering,
    quick_acks: u8,
    keepalives_sent: u8,
}

impl Connection {
    /// What to keep of the connection in its place, if it is wholly quiet; `None` if anything is
    /// under way or due, or if it is neither open nor half closed.
    pub fn sleep(&self, now: Instant) -> Option<Asleep> {
        // Each field is named: whoever adds one decides whether it is kept, has to be at rest for
        // sleep, or may start afresh.
        let &Connection {
            state,
            snd_scale,
            rcv_scale,
            timestamps,
            ecn,
            disorder: _, // Follows from the rest.
            ack_now,
            fin_queued,
            fin_sent,
            mss,
            local_port: _, // One of the endpoints, as are the next two.
            remote_port: _,
            pseudo_sum: _,
            snd_una,
            snd_nxt,
            snd_end: _, // SND.NXT, or before our FIN.
            snd_wnd,
            snd_wl1,
            rcv_nxt,
            rcv_edge,
            rcv_acked,
            room,
            ts_recent,
            ts_offset: _, // One of the endpoints.
            queue: _,     // Empty if nothing is queued; see below.
            received: _,
            retransmit_at,
            ack_at,
            last_received,
            cold: _,
        } = self;
        let Cold {
            controller,
            pacer: _, // Nothing is held back, and what it has is gone by then.
            rtt,
            receive_rtt: _, // Measured again, as is what it leads to.
            autotune: _,
            path,
            recovery,
            out_of_order,
            settings: _, // Those of all the service's connections.
            endpoints,
            offered_mss: _, // The handshake's, as is the next.
            offer: _,
            close_reason: _,
            rcv_fin,
            reset_reply,
            last_sent,
            challenge_not_before,
            retry_at,
            pace_at: _,     // As the pacer.
            limited_at: _,  // As `cwnd_limited`.
            syn_sent_at: _, // The handshake's.
            waiting_since,
            max_snd_wnd,
            rcv_segment_max,
            retries,
            keepalives_sent,
            quick_acks,
            duplicates_owed,
            syn_due,
            fin_lost,
            probe_due,
            reset_due,
            override_sws,
            reduced_at: _,  // What was sent before is acknowledged.
            ecn_willing: _, // The handshake's, as are the next two.
            early: _,
            fast_open_cookie: _,
            cwnd_limited: _, // Said anew when something is sent.
            active: _,       // The handshake's.
        } = &self.cold;

        let may_sleep = matches!(state, State::Established | State::CloseWait | State::FinWait2);
        let all_sent = snd_una == snd_nxt && self.queue.list.is_empty() && fin_queued == fin_sent;
        let all_taken = rcv_acked == rcv_nxt
            && self.received.list.is_empty()
            && out_of_order.is_empty()
            && !out_of_order.has_blocks()
            && rcv_fin.is_some() == state.peer_finished();
        let timers = [retransmit_at, ack_at, *retry_at, *waiting_since];
        let at_rest = timers.iter().all(|at| *at == Instant::FAR_FUTURE)
            && *challenge_not_before <= now
            && recovery.is_at_rest()
            && *retries == 0;
        let due = ack_now
            || *syn_due
            || *fin_lost
            || *probe_due
            || *reset_due
            || *override_sws
            || *duplicates_owed > 0
            || reset_reply.is_some();
        (may_sleep && all_sent && all_taken && at_rest && !due).then(|| Asleep {
            congestion: controller.remember(),
            rtt: rtt.clone(),
            path: path.keep(now),
            last_received,
            last_sent: *last_sent,
            endpoints: *endpoints,
            snd_nxt,
            snd_wnd,
            snd_wl1,
            max_snd_wnd: *max_snd_wnd,
            rcv_nxt,
            rcv_edge,
            room,
            rcv_segment_max: *rcv_segment_max,
            ts_recent,
            mss,
            state,
            snd_scale,
            rcv_scale,
            timestamps,
            ecn,
            sack: recovery.sack,
            reordering: recovery.reordering(),
            quick_acks: *quick_acks,
            keepalives_sent: *keepalives_sent,
        })
    }
}

impl Asleep {
    /// The connection, as if it had never slept. `settings` are those that it had.
    pub fn wake(&self, settings: &LegSettings) -> Connection {
        let fin_sent = self.state == State::FinWait2;
        // Numbers before: of our FIN, and of the last that was sent when a recovery began.
        let before_nxt = SeqNum(self.snd_nxt.0.wrapping_sub(1));
        let Endpoints { local_port, remote_port, pseudo_sum, ts_offset, .. } = self.endpoints;
        let mut controller = Controller::new(&settings.parameters(self.mss, self.snd_nxt));
        // The initial window is not paced.
        let is_fresh = controller.remember() == self.congestion;
        let pacer = Pacer::new(if is_fresh { controller.window_octets() } else { 0 });
        controller.recall(&self.congestion);
        let path_mss = self.mss + options_octets(self.timestamps);
        let mut connection = Connection {
            state: self.state,
            snd_scale: self.snd_scale,
            rcv_scale: self.rcv_scale,
            timestamps: self.timestamps && !planted::is(Fault::SleeperLosesTimestamps),
            ecn: self.ecn,
            disorder: false,
            ack_now: false,
            fin_queued: fin_sent,
            fin_sent,
            mss: self.mss,
            local_port,
            remote_port,
            pseudo_sum,
            snd_una: self.snd_nxt,
            snd_nxt: self.snd_nxt,
            snd_end: if fin_sent { before_nxt } else { self.snd_nxt },
            snd_wnd: self.snd_wnd,
            snd_wl1: self.snd_wl1,
            rcv_nxt: self.rcv_nxt,
            rcv_edge: self.rcv_edge,
            rcv_acked: self.rcv_nxt,
            room: self.room,
            ts_recent: self.ts_recent,
            ts_offset,
            queue: SendQueue::EMPTY,
            received: ReceiveQueue::EMPTY,
            retransmit_at: Instant::FAR_FUTURE,
            ack_at: Instant::FAR_FUTURE,
            last_received: self.last_received,
            cold: Cold {
                controller,
                pacer,
                rtt: self.rtt.clone(),
                receive_rtt: ReceiveRtt::start(self.rcv_nxt),
                autotune: AutoTune::START,
                path: PathMtu::recall(self.path, path_mss),
                recovery: Recovery::recall(before_nxt, self.sack, self.reordering),
                out_of_order: OutOfOrder::EMPTY,
                settings: *settings,
                endpoints: self.endpoints,
                offered_mss: self.endpoints.mss,
                offer: Offer::ALL,
                close_reason: None,
                reduced_at: None,
                ecn_willing: false,
                early: false,
                fast_open_cookie: None,
                rcv_fin: self
                    .state
                    .peer_finished()
                    .then_some(SeqNum(self.rcv_nxt.0.wrapping_sub(1))),
                reset_reply: None,
                last_sent: self.last_sent,
                challenge_not_before: Instant::ZERO,
                retry_at: Instant::FAR_FUTURE,
                pace_at: Instant::FAR_FUTURE,
                limited_at: self.snd_nxt,
                syn_sent_at: self.last_sent,
                waiting_since: Instant::FAR_FUTURE,
                max_snd_wnd: self.max_snd_wnd,
                rcv_segment_max: self.rcv_segment_max,
                retries: 0,
                keepalives_sent: self.keepalives_sent,
                quick_acks: self.quick_acks,
                duplicates_owed: 0,
                syn_due: false,
                fin_lost: false,
                probe_due: false,
                reset_due: false,
                override_sws: false,
                cwnd_limited: false,
                active: false,
            },
        };
        connection.set_pace();
        connection.note_disorder();
        connection
    }

    /// When keepalive asks the peer for a sign of life; [`Instant::FAR_FUTURE`] if never.
    pub fn deadline(&self, settings: &LegSettings) -> Instant {
        keepalive_due(settings, self.last_received, self.keepalives_sent)
    }
}
