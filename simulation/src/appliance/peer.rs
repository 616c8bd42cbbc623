//! One connection of a simulated host: a TCP that shares no code with the engine's.
//!
//! Naive on purpose, so that it can be seen to be right: a go-back-N sender without congestion
//! control, a receiver that takes what is in order (and, if asked, keeps and reports what is
//! not). Strict on purpose: [`Peer::take`] panics at whatever in a segment of the engine's no
//! sound TCP would send. Positions are counted from the SYN, which is 0; the first octet is 1.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use ringroad_engine::time::Instant;

use super::ecn::Ecn;
use super::packet::{ACK, FIN, Link, Options, PSH, RST, SYN, Segment};

/// How a host's TCP behaves.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    pub mss: u16,
    pub scale: Option<u8>,
    pub timestamps: bool,
    pub sack: bool,
    /// Asks for ECN, or agrees to it.
    pub ecn: bool,
    /// Asks for Fast Open, and brings a cookie if it has one, with payload.
    pub fast_open: Option<Option<[u8; 8]>>,
    /// What the receiver holds that nobody has read [octets].
    pub buffer: u32,
    /// What the sender has in flight at most [octets].
    pub in_flight_max: u64,
    /// Longest payload that it sends, however large the MSS [octets].
    pub segment_max: u64,
    /// Whether the network may lose, repeat and reorder. If not, more is demanded.
    pub lossy: bool,
}

impl Settings {
    pub const MODERN: Settings = Settings {
        mss: 1460,
        scale: Some(7),
        timestamps: true,
        sack: true,
        ecn: false,
        fast_open: None,
        buffer: 256 * 1024,
        in_flight_max: 64 * 1024,
        segment_max: u64::MAX,
        lossy: false,
    };

    /// No options but the MSS.
    pub const PLAIN: Settings = Settings {
        scale: None,
        timestamps: false,
        sack: false,
        buffer: 65_535,
        ..Settings::MODERN
    };
}

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
    /// Everything that has arrived in order.
    pub received: Vec<u8>,
    pub peer_finished: bool,
    /// Reads nothing: the window closes.
    pub paused: bool,
    pub stats: Stats,
    pub ecn: Ecn,
    /// The cookie that the engine brought.
    pub cookie: Option<[u8; 8]>,
    /// Payload of our SYN that the SYN-ACK acknowledged [octets].
    pub early: u64,
    app: Option<App>,

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

const RTO: Duration = Duration::from_millis(300);

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
            received: Vec::new(),
            peer_finished: false,
            paused: false,
            stats: Stats::default(),
            ecn: Ecn::new(settings.ecn),
            cookie: None,
            early: 0,
            app: Some(app),
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
        assert!(syn.payload.is_empty(), "payload on a SYN");
        peer.learn(syn);
        peer
    }

    /// Appends to what is sent.
    pub fn write(&mut self, octets: &[u8]) {
        assert!(!self.finish, "an app writes behind its end");
        self.out.extend_from_slice(octets);
    }

    /// Ends what is sent.
    pub fn finish(&mut self) {
        self.finish = true;
    }

    /// Resets the connection.
    pub fn abort(&mut self) {
        self.reset_due = self.status == Status::Open;
        self.status = Status::Aborted;
        self.timer = None;
    }

    /// Has the SYN, which is still to be sent, carry this number.
    pub fn start_at(&mut self, iss: u32) {
        assert_eq!((self.status, self.nxt), (Status::SynSent, 0));
        self.iss = iss;
    }

    /// A segment that belongs so far behind what is to be sent next: a gap lies before it.
    pub fn segment_ahead(&mut self, now: Instant, ahead: u64, payload: Vec<u8>) -> Segment {
        self.max = self.max.max(self.nxt + ahead + payload.len() as u64);
        self.segment(now, self.nxt + ahead, ACK, payload)
    }

    /// The largest payload that it sends.
    pub fn largest_segment(&self) -> u64 {
        self.mss
    }

    /// Octets that the app has written and the engine has not acknowledged.
    pub fn unacknowledged(&self) -> usize {
        (self.end() - self.una) as usize
    }

    pub fn is_over(&self) -> bool {
        !matches!(self.status, Status::SynSent | Status::SynReceived | Status::Open)
    }

    /// What the engine's window was when it was last heard of [octets].
    pub fn window(&self) -> u64 {
        self.advertised_window
    }

    /// When [`Peer::poll`] has something to do by itself.
    pub fn deadline(&self) -> Instant {
        self.timer.unwrap_or(Instant::FAR_FUTURE)
    }

    /// Runs the app.
    pub fn run(&mut self) {
        if let Some(mut app) = self.app.take() {
            app(self);
            self.app = Some(app);
        }
        if !self.paused && self.read < self.received.len() {
            self.read = self.received.len();
            // The window may have opened: say so if it was nearly shut.
            if self.rcv_edge.saturating_sub(self.rcv_nxt()) < u64::from(self.settings.buffer) / 2 {
                self.acks_due = self.acks_due.max(1);
            }
        }
    }

    /// Takes in a segment that is addressed to this connection.
    ///
    /// # Panics
    /// If a sound TCP would not have sent it.
    pub fn take(&mut self, segment: &Segment) {
        self.stats.segments += 1;
        assert_eq!(segment.link, self.link.reversed(), "link headers of {segment:?}");
        if segment.has(RST) {
            return self.take_reset(segment);
        }
        if matches!(self.status, Status::Refused | Status::Reset | Status::Aborted) {
            return;
        }
        if segment.has(SYN) {
            return self.take_syn(segment);
        }
        if self.status == Status::SynSent {
            assert!(self.settings.lossy, "before the handshake: {segment:?}");
            return;
        }
        assert!(segment.has(ACK), "no ACK: {segment:?}");
        assert!(
            segment.options.mss.is_none()
                && segment.options.scale.is_none()
                && !segment.options.sack_permitted,
            "an option that belongs on a SYN: {segment:?}"
        );
        self.check_timestamps(segment);
        let position = self.position_of(segment.seq);
        self.take_ecn(segment, position);
        self.take_acknowledgment(segment, position);
        self.check_sack(segment);
        self.take_payload(segment, position);
        if let Some((value, _)) = segment.options.timestamps
            && position <= self.last_ack_sent
        {
            self.ts_recent = value;
        }
        let all_acknowledged = self.finish && self.una == self.end();
        if self.status == Status::Open && all_acknowledged && self.peer_finished {
            self.status = Status::Finished;
            self.timer = None;
        }
    }

    fn take_ecn(&mut self, segment: &Segment, position: u64) {
        let new = !segment.payload.is_empty() && position == self.rcv_nxt();
        let una = self.iss.wrapping_add(self.una as u32);
        let acked = segment.ack.wrapping_sub(una) as i32;
        let acked_to = self.una.saturating_add_signed(acked.into());
        self.ecn.on_segment(segment, new, acked_to, self.max);
    }

    /// What is to be sent now.
    pub fn poll(&mut self, now: Instant) -> Vec<Segment> {
        let mut sending = Vec::new();
        if std::mem::take(&mut self.reset_due) {
            sending.push(self.segment(now, self.nxt, RST | ACK, Vec::new()));
        }
        if self.timer.is_some_and(|at| at <= now) {
            self.on_timer(now);
        }
        match self.status {
            Status::SynSent | Status::SynReceived if self.nxt == 0 => {
                let flags = if self.status == Status::SynSent { SYN } else { SYN | ACK };
                let payload = self.early_payload();
                self.max = self.max.max(1 + payload.len() as u64);
                let mut syn = self.segment(now, 0, flags, payload);
                if self.status == Status::SynSent
                    && let Some(cookie) = self.settings.fast_open
                {
                    syn.options.fast_open = Some(cookie.map_or(Vec::new(), |c| c.to_vec()));
                }
                sending.push(syn);
                self.nxt = 1;
                self.arm(now);
            }
            Status::Open | Status::Finished => self.poll_open(now, &mut sending),
            _ => {}
        }
        sending
    }

    /// What goes with the SYN the first time that it is sent, of one that brings a cookie.
    fn early_payload(&self) -> Vec<u8> {
        match self.settings.fast_open {
            Some(Some(_)) if self.status == Status::SynSent && self.backoff <= 1 => {
                self.out.iter().take(1000).copied().collect()
            }
            _ => Vec::new(),
        }
    }

    fn poll_open(&mut self, now: Instant, sending: &mut Vec<Segment>) {
        let limit = self.snd_edge.min(self.una + self.settings.in_flight_max).min(self.end());
        while self.nxt < limit {
            sending.push(self.next_segment(now, limit));
        }
        if self.una < self.end() && self.timer.is_none() {
            self.arm(now); // To retransmit, or to probe a window that stays shut.
        }
        for _ in 0..std::mem::take(&mut self.acks_due) {
            sending.push(self.segment(now, self.nxt, ACK, Vec::new()));
        }
    }

    /// The next payload or FIN, up to `limit`.
    fn next_segment(&mut self, now: Instant, limit: u64) -> Segment {
        let from = (self.nxt - 1) as usize;
        let most = (limit - self.nxt).min(self.mss).min(self.settings.segment_max) as usize;
        let payload: Vec<u8> = self.out[from..].iter().take(most).copied().collect();
        let mut flags = ACK;
        let behind = from + payload.len();
        if behind == self.out.len() {
            flags |= PSH;
            if self.finish && self.nxt + (payload.len() as u64) < limit {
                flags |= FIN;
            }
        }
        let segment = self.segment(now, self.nxt, flags, payload);
        self.nxt += u64::from(segment.sequence_len());
        self.max = self.max.max(self.nxt);
        self.acks_due = 0;
        segment
    }

    fn on_timer(&mut self, now: Instant) {
        self.timer = None;
        if self.una == self.end() && self.una > 0 {
            return;
        }
        if self.backoff > 0 || self.nxt > self.una {
            self.go_back();
        }
        if self.una > 0 && self.snd_edge <= self.una {
            // RFC 9293 §3.8.6.1: one octet beyond the window.
            self.nxt = self.una;
            self.snd_edge = self.una + 1;
        }
        self.backoff = (self.backoff + 1).min(4);
        self.arm(now);
    }

    fn go_back(&mut self) {
        self.nxt = self.una;
        self.recovered_to = self.max;
    }

    fn arm(&mut self, now: Instant) {
        self.timer = Some(now + RTO * (1 << self.backoff.saturating_sub(1)));
    }

    /// Behind the last that is to be sent, FIN included.
    fn end(&self) -> u64 {
        1 + self.out.len() as u64 + u64::from(self.finish)
    }

    fn rcv_nxt(&self) -> u64 {
        1 + self.received.len() as u64 + u64::from(self.peer_finished)
    }

    /// Where a sequence number of the engine's is.
    fn position_of(&self, seq: u32) -> u64 {
        let next = self.rcv_nxt();
        let distance = seq.wrapping_sub(self.irs.wrapping_add(next as u32)) as i32;
        next.checked_add_signed(distance.into()).expect("a number from before the SYN")
    }

    fn segment(&mut self, now: Instant, position: u64, flags: u8, payload: Vec<u8>) -> Segment {
        let syn = flags & SYN != 0;
        let free = u64::from(self.settings.buffer) - (self.received.len() - self.read) as u64;
        let shift = if syn { 0 } else { self.rcv_scale };
        let window = (free >> shift).min(65_535);
        let mut options = Options::default();
        if syn {
            let answers = flags & ACK != 0;
            options.mss = Some(self.settings.mss);
            options.scale = self.settings.scale.filter(|_| !answers || self.rcv_scale > 0);
            options.sack_permitted = self.sack;
        }
        if self.timestamps {
            let echo = if flags & ACK != 0 { self.ts_recent } else { 0 };
            options.timestamps = Some((clock(now), echo));
        }
        let mut ack = 0;
        if flags & ACK != 0 {
            let next = self.rcv_nxt();
            ack = self.irs.wrapping_add(next as u32);
            self.last_ack_sent = next;
            self.rcv_edge = self.rcv_edge.max(next + (window << shift));
            if self.sack && !syn {
                options.sack = self.held_ranges();
            }
        }
        let answers_syn = self.status == Status::SynReceived;
        let flags = flags | self.ecn.on_send(flags, !payload.is_empty(), answers_syn);
        Segment {
            link: self.link,
            source: self.local,
            destination: self.remote,
            seq: self.iss.wrapping_add(position as u32),
            ack,
            flags,
            window: window as u16,
            options,
            payload,
        }
    }

    /// Up to three ranges behind the gap.
    fn held_ranges(&self) -> Vec<(u32, u32)> {
        let mut ranges: VecDeque<(u64, u64)> = VecDeque::new();
        for (&from, octets) in &self.out_of_order {
            let to = from + octets.len() as u64;
            match ranges.back_mut() {
                Some(last) if last.1 >= from => last.1 = last.1.max(to),
                _ => ranges.push_back((from, to)),
            }
        }
        let number = |position: u64| self.irs.wrapping_add(position as u32);
        ranges.iter().take(3).map(|&(from, to)| (number(from), number(to))).collect()
    }

    /// Learns numbers and options from a SYN or SYN-ACK, and judges them.
    fn learn(&mut self, syn: &Segment) {
        assert!(syn.options.sack.is_empty(), "SACK blocks on a SYN");
        let offered = self.status == Status::SynSent;
        let mss = syn.options.mss.expect("a SYN without an MSS");
        self.irs = syn.seq;
        self.ecn.on_syn(syn);
        self.last_ack_sent = 1;
        assert!((536..=1460).contains(&mss), "MSS {mss}");
        if offered {
            // What was not offered is not answered.
            assert!(syn.options.scale.is_none() || self.settings.scale.is_some());
            assert!(!syn.options.sack_permitted || self.settings.sack);
            assert!(syn.options.timestamps.is_none() || self.settings.timestamps);
            if self.timestamps {
                assert_ne!(syn.options.timestamps.map(|ts| ts.1), Some(0), "echo on a SYN-ACK");
            }
        } else if let Some((_, echo)) = syn.options.timestamps {
            assert_eq!(echo, 0, "an echo of nothing");
        }
        assert!(syn.window > 0, "a window of zero on a SYN stalls the start");
        (self.snd_scale, self.rcv_scale) = match (syn.options.scale, self.settings.scale) {
            (Some(theirs), Some(ours)) => {
                assert!(theirs <= 14);
                (theirs.into(), ours.into())
            }
            _ => (0, 0),
        };
        self.timestamps &= syn.options.timestamps.is_some();
        self.sack &= syn.options.sack_permitted;
        self.ts_recent = syn.options.timestamps.map_or(0, |timestamps| timestamps.0);
        self.mss = u64::from(mss.min(self.settings.mss)) - if self.timestamps { 12 } else { 0 };
        // RFC 7323 §2.2: the window of a SYN is not scaled.
        self.snd_edge = 1 + u64::from(syn.window);
        self.advertised_window = syn.window.into();
    }

    fn take_syn(&mut self, segment: &Segment) {
        assert!(segment.payload.is_empty() && !segment.has(FIN | PSH), "{segment:?}");
        match (self.status, segment.has(ACK)) {
            (Status::SynSent, true) => {
                let acked = u64::from(segment.ack.wrapping_sub(self.iss));
                // All of what came with the SYN, or nothing of it.
                assert!(acked == 1 || acked == self.max, "acknowledges something else");
                self.early = acked - 1;
                self.cookie = segment.options.fast_open.clone().and_then(|c| c.try_into().ok());
                let asked = self.settings.fast_open.is_some();
                assert!(asked || self.cookie.is_none(), "not asked for: {segment:?}");
                self.learn(segment);
                self.status = Status::Open;
                (self.una, self.nxt) = (acked, acked);
                self.timer = None;
                self.backoff = 0;
                self.acks_due = 1;
            }
            // Sent again: ours, or the answer to it, was lost.
            (Status::SynReceived, false) if segment.seq == self.irs => {
                self.ecn.on_syn(segment);
                self.nxt = 0;
            }
            (_, true) if segment.seq == self.irs => {
                assert!(self.settings.lossy, "a SYN-ACK again: {segment:?}");
                self.acks_due = 1;
            }
            // Its ACK and this crossed, or were reordered.
            (_, false) if segment.seq == self.irs && self.settings.lossy => self.acks_due = 1,
            _ => panic!("a SYN in the middle of {:?}: {segment:?}", self.status),
        }
    }

    fn take_reset(&mut self, segment: &Segment) {
        assert!(segment.payload.is_empty(), "{segment:?}");
        match self.status {
            Status::SynSent => {
                let acked = u64::from(segment.ack.wrapping_sub(self.iss));
                let ours = segment.has(ACK) && (1..=self.max).contains(&acked);
                assert!(ours || self.settings.lossy, "{segment:?}");
                if ours {
                    self.status = Status::Refused;
                }
            }
            Status::SynReceived | Status::Open => {
                // RFC 9293 §3.10.7.4, RFC 5961 §3: believed at the very next number.
                let position = self.position_of(segment.seq);
                let next = self.rcv_nxt();
                assert!(
                    position == next || self.settings.lossy,
                    "a reset at {position}, expected at {next}: {segment:?}"
                );
                self.status = Status::Reset;
            }
            _ => {}
        }
        self.timer = None;
    }

    fn check_timestamps(&mut self, segment: &Segment) {
        assert_eq!(
            segment.options.timestamps.is_some(),
            self.timestamps,
            "timestamps on every segment or on none: {segment:?}"
        );
        let Some((value, echo)) = segment.options.timestamps else { return };
        if !self.settings.lossy {
            assert!((value.wrapping_sub(self.ts_recent) as i32) >= 0, "its clock went back");
        }
        assert!(echo >= TIMESTAMPS_FROM, "echoes {echo}, which was never sent");
    }

    fn take_acknowledgment(&mut self, segment: &Segment, position: u64) {
        let una = self.iss.wrapping_add(self.una as u32);
        let distance = segment.ack.wrapping_sub(una) as i32;
        let ack = self.una.checked_add_signed(distance.into()).expect("acknowledges our past");
        assert!(ack <= self.max, "acknowledges {ack} of {} that were sent", self.max);
        if self.status == Status::SynReceived {
            if ack < 1 {
                return;
            }
            self.status = Status::Open;
        }
        if ack < self.una {
            assert!(self.settings.lossy, "an acknowledgment went back: {segment:?}");
            return;
        }
        let edge = ack + (u64::from(segment.window) << self.snd_scale);
        if ack > self.una {
            self.una = ack;
            self.nxt = self.nxt.max(ack);
            self.duplicates = 0;
            self.backoff = 0;
            self.timer = None;
        } else if segment.sequence_len() == 0 && edge == self.snd_edge && self.nxt > self.una {
            self.duplicates += 1;
            if self.duplicates == 3 && self.una >= self.recovered_to {
                self.go_back();
            }
        }
        if (position, ack) >= self.window_from || ack > self.window_from.1 {
            if !self.settings.lossy && self.window_from != (0, 0) {
                assert!(
                    // A probe has moved our idea of the edge by an octet.
                    edge + 1 >= self.snd_edge,
                    "the window shrank from {} to {edge}",
                    self.snd_edge
                );
            }
            self.window_from = (position, ack);
            self.snd_edge = edge;
            self.advertised_window = edge - ack;
            self.stats.zero_windows += u64::from(segment.window == 0);
        }
    }

    fn check_sack(&self, segment: &Segment) {
        assert!(segment.options.sack.is_empty() || self.sack, "SACK was not agreed on");
        for &(left, right) in &segment.options.sack {
            let (left, right) = (left.wrapping_sub(self.iss), right.wrapping_sub(self.iss));
            assert!(
                left >= 1 && left < right && u64::from(right) <= self.max,
                "reports {left} to {right} of {} that were sent",
                self.max
            );
        }
    }

    fn take_payload(&mut self, segment: &Segment, position: u64) {
        let len = segment.payload.len() as u64;
        let next = self.rcv_nxt();
        if segment.sequence_len() == 0 {
            // RFC 9293 §3.10.7.4, first: what is outside the window is answered, a probe too.
            if position < next {
                self.acks_due += 1;
            }
            return;
        }
        let options = if self.timestamps { 12 } else { 0 };
        assert!(
            segment.payload.len() + options <= usize::from(self.settings.mss),
            "{len} octets of payload beyond our MSS"
        );
        self.stats.data_segments += u64::from(len > 0);
        self.stats.largest_payload = self.stats.largest_payload.max(segment.payload.len());
        let end = position + len;
        assert!(end <= self.rcv_edge, "payload to {end}, beyond the window to {}", self.rcv_edge);
        if segment.has(FIN) {
            assert!(self.finished_at.is_none_or(|at| at == end), "the end moved to {end}");
            self.finished_at = Some(end);
        }
        if let Some(at) = self.finished_at {
            assert!(end <= at, "payload behind the end");
        }
        if position > next {
            assert!(self.settings.lossy, "a gap before {position}, {next} expected");
            if self.sack && len > 0 {
                self.out_of_order.insert(position, segment.payload.clone());
            }
            self.acks_due += 1;
            return;
        }
        self.acks_due = self.acks_due.max(1);
        self.append(position, &segment.payload);
        while let Some((from, octets)) = self.out_of_order.pop_first() {
            if from > self.rcv_nxt() {
                self.out_of_order.insert(from, octets);
                break;
            }
            self.append(from, &octets);
        }
        if !self.peer_finished && self.finished_at == Some(self.rcv_nxt()) {
            self.peer_finished = true;
        }
    }

    /// Takes what is new, and sees that what is not says the same as before.
    fn append(&mut self, position: u64, octets: &[u8]) {
        let from = position as usize - 1;
        let known = (self.received.len() - from).min(octets.len());
        assert!(
            self.received[from..from + known] == octets[..known],
            "octets {from} to {} differ from what was sent before",
            from + known
        );
        self.stats.duplicate_data += u64::from(known > 0);
        self.received.extend_from_slice(&octets[known..]);
    }
}

/// Milliseconds, from a start of the hosts' own.
fn clock(now: Instant) -> u32 {
    TIMESTAMPS_FROM + now.as_millis() as u32
}

const TIMESTAMPS_FROM: u32 = 70_000;
