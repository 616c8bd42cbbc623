//! One connection of a simulated host: a TCP that shares no code with the engine's.
//!
//! Naive on purpose, so that it can be seen to be right: a go-back-N sender without congestion
//! control ([`send`]), a receiver that takes what is in order and, if asked, keeps and reports what
//! is not ([`receive`]). Strict on purpose: [`judge`] panics at whatever in a segment of the
//! engine's no sound TCP would send. Positions are counted from the SYN, which is 0; the first
//! octet is 1.
//!
//! An [`App`] decides what it says and reads, and may have it misbehave ([`mischief`]).

mod handshake;
mod judge;
mod mischief;
mod receive;
mod send;
mod settings;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use ringroad_engine::time::Instant;

use super::ecn::Ecn;
use super::packet::{ACK, Link, RST, SYN, Segment};
pub use mischief::Life;
pub use settings::{Acks, Settings};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    SynSent,
    SynReceived,
    Open,
    /// Both directions have finished, all of it acknowledged.
    Finished,
    /// The handshake was answered with a reset.
    Refused,
    /// The engine has reset the connection.
    Reset,
    /// We have.
    Aborted,
    /// Nothing was heard of the engine for as long as the settings allow.
    GaveUp,
    /// The host is gone, and knows nothing more.
    Vanished,
}

/// What a host does with a connection. Called whenever something has happened to it.
pub type App = Box<dyn FnMut(&mut Peer)>;

pub struct Peer {
    pub settings: Settings,
    pub local: SocketAddr,
    pub remote: SocketAddr,
    /// The headers in front of what we send, and, backwards, of what we expect.
    pub link: Link,
    pub status: Status,
    /// When its host has seen that it is over.
    pub ended_at: Option<Instant>,
    /// Everything that has arrived in order.
    pub received: Vec<u8>,
    pub peer_finished: bool,
    /// Reads nothing by itself: the window closes.
    pub paused: bool,
    pub stats: Stats,
    pub ecn: Ecn,
    /// The cookie that the engine brought.
    pub cookie: Option<[u8; 8]>,
    /// Payload of our SYN that the SYN-ACK acknowledged [octets].
    pub early: u64,
    /// Connections that this one took the place of, the oldest first.
    pub before: Vec<Life>,
    app: Option<App>,
    now: Instant,
    wake_at: Instant,
    heard: bool,
    heard_at: Instant,
    /// To be sent as they are.
    aside: Vec<Segment>,
    /// It has sent SYNs with other numbers than its own.
    odd_syns: bool,

    iss: u32,
    out: Vec<u8>,
    finish: bool,
    una: u64,
    nxt: u64,
    max: u64,
    mss: u64,
    snd_edge: u64,
    snd_scale: u32,
    /// Position and acknowledgment of the segment that the window was taken from.
    window_from: (u64, u64),
    duplicates: u32,
    recovered_to: u64,
    timer: Option<Instant>,
    backoff: u32,
    reset_due: bool,

    irs: u32,
    read: usize,
    rcv_edge: u64,
    rcv_scale: u32,
    timestamps: bool,
    ts_recent: u32,
    last_ack_sent: u64,
    acks_due: u32,
    challenge_not_before: Instant,
    /// Arrived in order, and not acknowledged [segments].
    unacknowledged_segments: u32,
    ack_at: Option<Instant>,
    /// What has arrived twice, for the next acknowledgment.
    arrived_twice: Option<(u64, u64)>,
    out_of_order: BTreeMap<u64, Vec<u8>>,
    sack: bool,
    finished_at: Option<u64>,
    advertised_window: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    pub segments: u64,
    pub data_segments: u64,
    /// Segments that brought nothing new.
    pub duplicate_data: u64,
    pub largest_payload: usize,
    /// Times that the engine's window was zero.
    pub zero_windows: u64,
}

impl Peer {
    /// Opens a connection; the first poll sends the SYN.
    pub fn connect(
        settings: Settings,
        (local, remote): (SocketAddr, SocketAddr),
        link: Link,
        iss: u32,
        app: App,
    ) -> Peer {
        Peer {
            settings,
            local,
            remote,
            link,
            status: Status::SynSent,
            ended_at: None,
            received: Vec::new(),
            peer_finished: false,
            paused: false,
            stats: Stats::default(),
            ecn: Ecn::new(settings.ecn),
            cookie: None,
            early: 0,
            before: Vec::new(),
            app: Some(app),
            now: Instant::ZERO,
            wake_at: Instant::FAR_FUTURE,
            heard: true,
            heard_at: Instant::ZERO,
            aside: Vec::new(),
            odd_syns: false,
            iss,
            out: Vec::new(),
            finish: false,
            una: 0,
            nxt: 0,
            max: 1,
            mss: 0,
            snd_edge: 0,
            snd_scale: 0,
            window_from: (0, 0),
            duplicates: 0,
            recovered_to: 0,
            timer: Some(Instant::ZERO),
            backoff: 0,
            reset_due: false,
            irs: 0,
            read: 0,
            rcv_edge: 0,
            rcv_scale: 0,
            timestamps: settings.timestamps,
            ts_recent: 0,
            last_ack_sent: 0,
            acks_due: 0,
            challenge_not_before: Instant::ZERO,
            unacknowledged_segments: 0,
            ack_at: None,
            arrived_twice: None,
            out_of_order: BTreeMap::new(),
            sack: settings.sack,
            finished_at: None,
            advertised_window: 0,
        }
    }

    /// Answers the engine's SYN; the first poll sends the SYN-ACK.
    pub fn accept(settings: Settings, syn: &Segment, link: Link, iss: u32, app: App) -> Peer {
        let mut peer = Peer::connect(settings, (syn.destination, syn.source), link, iss, app);
        peer.status = Status::SynReceived;
        assert!(syn.payload.is_empty() || settings.forged, "payload on a SYN");
        peer.learn(syn);
        peer
    }

    /// Appends to what is sent.
    pub fn write(&mut self, octets: &[u8]) {
        assert!(!self.finish, "an app writes behind its end");
        self.out.extend_from_slice(octets);
    }

    /// Octets that the app has written.
    pub fn written(&self) -> usize {
        self.out.len()
    }

    /// Ends what is sent.
    pub fn finish(&mut self) {
        self.finish = true;
    }

    /// Resets the connection.
    pub fn abort(&mut self) {
        self.reset_due = self.status == Status::Open;
        self.end(Status::Aborted);
    }

    /// Has the SYN, which is still to be sent, carry this number.
    pub fn start_at(&mut self, iss: u32) {
        assert_eq!((self.status, self.nxt), (Status::SynSent, 0));
        self.iss = iss;
    }

    /// When the app was called.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// Has the app called at that time, if nothing happens before.
    pub fn wake_at(&mut self, at: Instant) {
        self.wake_at = self.wake_at.min(at);
    }

    /// Octets that the app has written and the engine has not acknowledged.
    pub fn unacknowledged(&self) -> usize {
        (self.end_of_out() - self.una) as usize
    }

    /// Whether the connection has ended.
    pub fn is_over(&self) -> bool {
        !matches!(self.status, Status::SynSent | Status::SynReceived | Status::Open)
    }

    /// Whether nothing more is to be expected of its host.
    pub fn is_done(&self) -> bool {
        self.is_over() && self.wake_at == Instant::FAR_FUTURE
    }

    /// Whether it is done, and has nothing to answer.
    pub fn is_at_rest(&self) -> bool {
        let answers = self.acks_due > 0 || self.reset_due || !self.aside.is_empty();
        self.is_done() && self.ended_at.is_some() && !answers
    }

    /// What the engine's window was when it was last heard of [octets].
    pub fn window(&self) -> u64 {
        self.advertised_window
    }

    /// When [`Peer::run`] or [`Peer::poll`] has something to do by itself.
    pub fn deadline(&self) -> Instant {
        let timers = self.timer.into_iter().chain(self.ack_at).min();
        timers.unwrap_or(Instant::FAR_FUTURE).min(self.wake_at).min(self.gives_up_at())
    }

    /// Runs the app.
    pub fn run(&mut self, now: Instant) {
        self.now = now;
        if std::mem::take(&mut self.heard) {
            self.heard_at = now;
        }
        if self.gives_up_at() <= now {
            self.end(Status::GaveUp);
        }
        if self.is_over() {
            self.ended_at.get_or_insert(now);
        }
        if self.wake_at <= now {
            self.wake_at = Instant::FAR_FUTURE;
        }
        if let Some(mut app) = self.app.take() {
            app(self);
            self.app = Some(app);
        }
        if !self.paused {
            self.read_some(usize::MAX);
        }
    }

    /// Takes in a segment that is addressed to this connection.
    ///
    /// # Panics
    /// If a sound TCP would not have sent it.
    pub fn take(&mut self, segment: &Segment) {
        if self.status == Status::Vanished {
            return;
        }
        self.stats.segments += 1;
        assert_eq!(segment.link, self.link.reversed(), "link headers of {segment:?}");
        if segment.has(RST) {
            return self.take_reset(segment);
        }
        let double = self.may_have_double();
        match self.status {
            _ if double && self.is_over() && segment.has(SYN) => return self.disown(segment),
            Status::Refused | Status::Reset => return,
            Status::Aborted | Status::GaveUp => return self.disown(segment),
            _ if segment.has(SYN) => return self.take_syn(segment),
            Status::SynSent => return self.take_early(segment),
            _ => {}
        }
        if double && !self.could_be_ours(segment) {
            if self.status == Status::SynReceived && self.is_near(segment.seq) {
                return self.disown(segment); // RFC 9293 §3.10.7.4, fifth.
            }
            return self.challenge();
        }
        self.heard = true;
        self.judge_options(segment);
        self.judge_timestamps(segment);
        if self.odd_syns && self.is_old(segment) {
            return self.challenge();
        }
        let position = self.position_of(segment.seq);
        self.take_ecn(segment, position);
        self.take_acknowledgment(segment, position);
        self.judge_sack(segment);
        self.take_payload(segment, position);
        if let Some((value, _)) = segment.options.timestamps
            && position <= self.last_ack_sent
        {
            self.ts_recent = value;
        }
        let all_acknowledged = self.finish && self.una == self.end_of_out();
        if self.status == Status::Open && all_acknowledged && self.peer_finished {
            self.end(Status::Finished);
        }
    }

    /// What is to be sent now.
    pub fn poll(&mut self, now: Instant) -> Vec<Segment> {
        let mut sending = std::mem::take(&mut self.aside);
        if std::mem::take(&mut self.reset_due) {
            sending.push(self.segment(now, self.nxt, RST | ACK, Vec::new()));
        }
        if self.timer.is_some_and(|at| at <= now) {
            self.on_timer(now);
        }
        match self.status {
            Status::SynSent | Status::SynReceived if self.nxt == 0 => {
                sending.push(self.syn(now));
                self.nxt = 1;
                self.arm(now);
            }
            Status::Open | Status::Finished => self.poll_open(now, &mut sending),
            _ => {}
        }
        sending
    }

    /// RFC 9293 §3.10.7.4, first: what cannot be accepted is answered by an ACK. Now and then, as by
    /// Linux (`tcp_invalid_ratelimit`): two who disagree about their numbers would go on for ever.
    pub(super) fn challenge(&mut self) {
        if self.challenge_not_before <= self.now {
            self.challenge_not_before = self.now + CHALLENGE_INTERVAL;
            self.acks_due = self.acks_due.max(1);
        }
    }

    /// The connection has ended, and no timer runs any more.
    fn end(&mut self, status: Status) {
        self.status = status;
        self.timer = None;
        self.ack_at = None;
        self.wake_at = Instant::FAR_FUTURE;
    }

    fn gives_up_at(&self) -> Instant {
        let patience = match self.status {
            Status::SynReceived => self.settings.handshake_patience,
            _ => None,
        };
        match patience.or(self.settings.patience) {
            Some(patience) if !self.is_over() && !self.heard => self.heard_at + patience,
            _ => Instant::FAR_FUTURE,
        }
    }

    fn take_ecn(&mut self, segment: &Segment, position: u64) {
        let new = !segment.payload.is_empty() && position == self.rcv_nxt();
        let una = self.iss.wrapping_add(self.una as u32);
        let acked = segment.ack.wrapping_sub(una) as i32;
        let acked_to = self.una.saturating_add_signed(acked.into());
        self.ecn.on_segment(segment, new, acked_to, self.max);
    }
}

const CHALLENGE_INTERVAL: Duration = Duration::from_millis(500);
