//! A script against a connection, in virtual time.
//!
//! Time moves from event to event, with every deadline in between met at its very nanosecond, so
//! that a segment is expected exactly when it is sent. What arrives, or is called, at one instant
//! is one turn of a worker: the connection is polled behind the last of it.

use std::collections::VecDeque;
use std::time::Duration;

use super::parse::{Event, Script, Setup, What, When};
use super::segment::{COOKIE, Options, Segment};
use super::text::in_ms;
use crate::flow::FlowKey;
use crate::tcp::congestion::CongestionControl;
use crate::tcp::fast_open::Cookies;
use crate::tcp::settings::{Family, mss_within};
use crate::tcp::tests::host::{self, Host, OUR_ISN, PEER_ISN, Sent, endpoints, pattern};
use crate::tcp::{
    CloseReason, Connection, Disposition, Endpoints, OutgoingKind, State, reset_in_reply,
};
use crate::time::Instant;
use crate::wire::ip::Ecn;
use crate::wire::tcp::{FastOpen, Flags, SackBlock, SeqNum, TcpHeader, TcpOptions, Timestamps};

/// What a script's time is counted from.
const START: Instant = Instant::from_millis(1_000_000);

/// Our timestamp clock at the start: later ones are this and the milliseconds since.
const TIMESTAMP_AT_START: u32 = 1000;

/// More than any script can want at one instant.
const STEPS_MAX: usize = 10_000;

/// Why a script did not come to its end.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) line: usize,
    pub(super) message: String,
}

/// A script on its way, and what has been exchanged so far.
#[derive(Debug, Default)]
pub(super) struct Exchange {
    /// Everything that happened, in the language of scripts.
    pub(super) lines: Vec<String>,
}

/// Runs a script to its end or to what was not as expected; `exchange` has what happened until then.
pub(super) fn run(script: &Script, exchange: &mut Exchange) -> Result<(), Failure> {
    let mut stage = Stage::new(script.setup, exchange);
    let mut last_line = 0;
    for event in &script.events {
        last_line = event.line;
        stage.take(event).map_err(|message| Failure { line: event.line, message })?;
    }
    let end = stage.settle().and_then(|()| stage.expects_nothing());
    end.map_err(|message| Failure { line: last_line, message: format!("behind this, {message}") })
}

struct Stage<'a> {
    setup: Setup,
    exchange: &'a mut Exchange,
    /// `None` before the connection is made.
    host: Option<Host>,
    /// The owner has let the connection go: nobody knows of it any more.
    released: bool,
    now: Instant,
    /// Something has happened since the last poll.
    unpolled: bool,
    /// What was sent and is not yet expected by a line.
    sent: VecDeque<(Instant, Segment)>,
    /// The window field that the peer sent last.
    window: u16,
    disposition: Option<Disposition>,
    /// What a listener knows clients by that were here before.
    cookies: Cookies,
    written: usize,
    read: usize,
}

impl<'a> Stage<'a> {
    fn new(setup: Setup, exchange: &'a mut Exchange) -> Self {
        Stage {
            setup,
            exchange,
            host: None,
            released: false,
            now: START,
            unpolled: false,
            sent: VecDeque::new(),
            window: 65_535,
            disposition: None,
            cookies: Cookies::new([7; 16]),
            written: 0,
            read: 0,
        }
    }

    fn take(&mut self, event: &Event) -> Result<(), String> {
        let at = match event.at {
            When::After(time) => self.now + time,
            When::At(time) => START + time,
        };
        if at < self.now {
            return Err(format!("it is {} already", self.clock()));
        }
        if at > self.now {
            self.run_to(at)?;
        }
        match &event.what {
            What::Arrives(segment) => {
                self.expects_nothing()?;
                self.arrives(segment)
            }
            What::Leaves(segment) => {
                self.settle()?;
                let mss = self.host.as_ref().map_or(0, |host| host.connection.mss());
                pieces(segment, mss.into()).iter().try_for_each(|piece| self.expects(piece))
            }
            What::Probes(segment) => {
                self.settle()?;
                self.expects(segment)
            }
            What::Nothing => {
                self.settle()?;
                self.expects_nothing()
            }
            What::Is { figure, value } => {
                self.settle()?;
                let is = self.figure(figure)?;
                self.note(format!("= {figure} {is}"));
                match is == *value {
                    true => Ok(()),
                    false => Err(format!("`{figure}` is {is}, not {value}")),
                }
            }
            call => {
                self.expects_nothing()?;
                self.note(event.text.clone());
                self.call(call)
            }
        }
    }

    fn clock(&self) -> String {
        in_ms(self.now.since(START))
    }

    fn note(&mut self, what: String) {
        let line = format!("{:>8} {what}", self.clock());
        self.exchange.lines.push(line);
    }

    /// Lets time pass until `end`, which is the time of the next event.
    fn run_to(&mut self, end: Instant) -> Result<(), String> {
        for _ in 0..STEPS_MAX {
            self.settle()?;
            let deadline = match &self.host {
                Some(host) => host.connection.deadline(),
                None => Instant::FAR_FUTURE,
            };
            self.now = deadline.min(end);
            if let Some(host) = &mut self.host {
                host.now = self.now;
            }
            if deadline > end {
                return Ok(());
            }
        }
        Err("the connection's deadline does not move on".to_string())
    }

    /// Everything that is due at this instant.
    fn settle(&mut self) -> Result<(), String> {
        for _ in 0..STEPS_MAX {
            let Some(host) = &mut self.host else { return Ok(()) };
            let timer = host.connection.deadline() <= host.now;
            if timer {
                host.with(|connection, cx| connection.on_deadline(cx));
            } else if !self.unpolled {
                return Ok(());
            }
            self.unpolled = false;
            for sent in host.sent() {
                self.leaves(&sent)?;
            }
        }
        Err("the connection's deadline stays in the past".to_string())
    }

    /// Something was sent: it has to carry the octets that were written at its place.
    fn leaves(&mut self, sent: &Sent) -> Result<(), String> {
        let mut segment = sent.segment();
        if let Options::Listed(options) = &mut segment.options
            && options.fast_open.is_some()
            && options.fast_open == self.cookie()
        {
            options.fast_open = Some(COOKIE);
        }
        let shown = format!("> {segment}");
        self.note(shown.clone());
        let offset = segment.seq.wrapping_sub(1) as usize;
        if !sent.payload.is_empty() && sent.payload != pattern(offset, sent.payload.len()) {
            return Err(format!("other octets than were written were sent:\n    {shown}"));
        }
        self.sent.push_back((self.now, segment));
        Ok(())
    }

    fn expects_nothing(&self) -> Result<(), String> {
        match self.sent.front() {
            None => Ok(()),
            Some((at, segment)) => {
                let at = in_ms(at.since(START));
                Err(format!("this came and was not expected:\n    {at} > {segment}"))
            }
        }
    }

    /// What leaves at this instant.
    fn expects(&mut self, expected: &Segment) -> Result<(), String> {
        let Some((at, came)) = self.sent.pop_front() else {
            return Err(format!("expected:\n    > {expected}\nnothing came"));
        };
        let difference = match at == self.now {
            true => expected.difference(&came),
            false => Some("time"),
        };
        match difference {
            None => Ok(()),
            Some(difference) => {
                let (now, at) = (self.clock(), in_ms(at.since(START)));
                Err(format!(
                    "expected:\n    {now} > {expected}\ncame, with another {difference}:\n    {at} > {came}"
                ))
            }
        }
    }

    /// What arrives, in segments of our MSS where it is more.
    fn arrives(&mut self, segment: &Segment) -> Result<(), String> {
        for piece in pieces(segment, u32::from(self.setup.mss)) {
            let window = piece.window.unwrap_or(self.window);
            self.window = window;
            let shown = Segment { window: Some(window), ..piece.clone() };
            self.note(format!("< {shown}"));
            self.arrives_whole(&piece, window)?;
        }
        Ok(())
    }

    fn arrives_whole(&mut self, segment: &Segment, window: u16) -> Result<(), String> {
        let header = self.header(segment, window)?;
        let syn = u32::from(segment.flags.contains(Flags::SYN));
        let payload = pattern((segment.seq + syn).wrapping_sub(1) as usize, segment.len as usize);
        self.unpolled = true;
        match &mut self.host {
            Some(host) if !self.released => {
                let mark = segment.mark.unwrap_or_default();
                let disposition = host.gets_packet(header, &payload, mark);
                self.disposition = Some(disposition);
            }
            Some(host) => {
                let reset = reset_in_reply(&mut host.pool, &endpoints(), &header, segment.len);
                if let Some(outgoing) = reset {
                    let (header, _) = TcpHeader::parse(host.pool.bytes(&outgoing.frame))
                        .map_err(|_| "the reset is malformed".to_string())?;
                    host.pool.free(outgoing.frame);
                    let kind = OutgoingKind::Originated;
                    let ecn = Ecn::NotCapable;
                    self.leaves(&Sent { header, payload: Vec::new(), kind, ecn })?;
                }
            }
            None if header.flags.contains(Flags::SYN) => self.accept(&header, &payload),
            None => return Err("there is no connection yet; a SYN makes one".to_string()),
        }
        Ok(())
    }

    /// A listener's part: a connection in SYN-RECEIVED, perhaps with the payload of its SYN.
    fn accept(&mut self, syn: &TcpHeader, payload: &[u8]) {
        let leg = &self.setup.leg;
        let mut connection = Connection::accept(leg, self.endpoints(), syn, OUR_ISN, self.now);
        let brought = syn.options.fast_open.filter(|_| leg.fast_open);
        let verdict = brought.map(|brought| self.cookies.judge(&client(), brought, self.now));
        if let Some(cookie) = verdict.and_then(|verdict| verdict.cookie) {
            connection.bring_cookie(cookie);
        }
        let mut host = Host::new(connection, self.now);
        if verdict.is_some_and(|verdict| verdict.proven) && !payload.is_empty() {
            let chunk = host::chunk(&mut host.pool, self.now, payload);
            let disposition = host.with(|connection, cx| connection.open_early(cx, chunk));
            self.disposition = Some(disposition);
        }
        self.host = Some(host);
    }

    /// The cookie that [`COOKIE`] stands for.
    fn cookie(&mut self) -> Option<FastOpen> {
        let verdict = self.cookies.judge(&client(), FastOpen::Wanted, self.now);
        verdict.cookie.map(FastOpen::Cookie)
    }

    /// The header as it would be read from the wire.
    fn header(&mut self, segment: &Segment, window: u16) -> Result<TcpHeader, String> {
        let mut options = segment.options.listed();
        if options.fast_open == Some(COOKIE) {
            options.fast_open = self.cookie();
        }
        for block in &mut options.sack.blocks[..usize::from(options.sack.len)] {
            *block = SackBlock { left: OUR_ISN + block.left.0, right: OUR_ISN + block.right.0 };
        }
        let header = TcpHeader {
            source_port: endpoints().remote_port,
            destination_port: endpoints().local_port,
            sequence: PEER_ISN + segment.seq,
            acknowledgment: segment.ack.map_or(SeqNum(0), |ack| OUR_ISN + ack),
            flags: segment.flags,
            window,
            options,
        };
        let mut octets = vec![0; header.header_len()];
        header.emit(&mut octets);
        match TcpHeader::parse(&octets) {
            Ok((header, _)) => Ok(header),
            Err(malformed) => Err(format!("this cannot be a segment: {malformed:?}")),
        }
    }

    fn endpoints(&self) -> Endpoints {
        Endpoints {
            mss: self.setup.mss,
            default_mss: self.setup.default_mss,
            ts_offset: TIMESTAMP_AT_START.wrapping_sub(START.as_millis() as u32),
            ..endpoints()
        }
    }

    fn call(&mut self, call: &What) -> Result<(), String> {
        if let What::Established { rtt, ecn, options } = call {
            return self.establish(*rtt, *ecn, options);
        }
        if let What::Connect = call {
            let Setup { leg, offer, .. } = &self.setup;
            let connection = Connection::connect(leg, self.endpoints(), *offer, OUR_ISN, self.now);
            self.host = Some(Host::new(connection, self.now));
            self.unpolled = true;
            return Ok(());
        }
        let Some(host) = &mut self.host else {
            return Err("there is no connection yet".to_string());
        };
        self.unpolled = true;
        match call {
            What::Write { octets, chunk } => {
                let most = chunk.unwrap_or(u32::from(host.connection.mss())).max(1) as usize;
                let end = self.written + *octets as usize;
                while self.written < end {
                    let octets = most.min(end - self.written);
                    host.writes(&pattern(self.written, octets));
                    self.written += octets;
                }
            }
            What::Read(expected) => {
                let octets = host.reads();
                if octets != pattern(self.read, octets.len()) {
                    return Err("other octets than arrived were read".to_string());
                }
                self.read += octets.len();
                if expected.is_some_and(|expected| expected != octets.len()) {
                    return Err(format!("{} octets were there to be read", octets.len()));
                }
            }
            What::Room(octets) => {
                host.connection.set_receive_room(*octets);
            }
            What::Tune => {
                let taken = SeqNum(self.read as u32);
                let room = host.connection.tuned_room(self.now, taken);
                host.connection.set_receive_room(room);
            }
            What::Finish => host.connection.finish(),
            What::Abort => host.connection.abort(),
            What::Mtu(mtu) => {
                let mss = mss_within(*mtu, Family::V4);
                host.with(|connection, cx| connection.on_path_mtu(cx, mss));
            }
            What::Unreachable => host.connection.on_unreachable(),
            What::Release => {
                host.with(|connection, cx| connection.release(cx));
                self.released = true;
            }
            What::Device { holds } => {
                host.device_is_slow = *holds;
                if !holds {
                    host.device_completes();
                }
            }
            _ => return Err("this is no call".to_string()),
        }
        Ok(())
    }

    /// The handshake before the script's first line: the peer opens, and its ACK comes now.
    fn establish(&mut self, rtt: Duration, ecn: bool, options: &TcpOptions) -> Result<(), String> {
        let mss = options.mss.or(Some(self.setup.mss));
        let mut syn =
            TcpHeader { options: TcpOptions { mss, ..*options }, ..host::syn(host::PLAIN) };
        if ecn {
            syn.flags = syn.flags.with(Flags::ECE).with(Flags::CWR);
        }
        let began = Instant::from_nanos(self.now.as_nanos().saturating_sub(rtt.as_nanos() as u64));
        let connection =
            Connection::accept(&self.setup.leg, self.endpoints(), &syn, OUR_ISN, began);
        let mut host = Host::new(connection, began);
        let answer = host.sent();
        host.now = self.now;
        let mut ack = host::seg(1, 1);
        if let (Some(theirs), [answer, ..]) = (options.timestamps, &answer[..]) {
            let value = theirs.value.wrapping_add(rtt.as_millis() as u32);
            let ours = answer.header.options.timestamps;
            ack.options.timestamps = ours.map(|ours| Timestamps { value, echo_reply: ours.value });
        }
        host.gets(ack);
        self.host = Some(host);
        self.unpolled = true;
        self.settle()?;
        self.expects_nothing()
    }

    /// What a `=` line asks for.
    fn figure(&self, figure: &str) -> Result<String, String> {
        let Some(host) = &self.host else {
            return Err("there is no connection yet".to_string());
        };
        let connection = &host.connection;
        let controller = &connection.cold.controller;
        Ok(match figure {
            "state" => state_name(connection.state()).to_string(),
            "closed" => match connection.close_reason() {
                None => "not",
                Some(CloseReason::Finished) => "finished",
                Some(CloseReason::ResetByPeer) => "reset",
                Some(CloseReason::Refused) => "refused",
                Some(CloseReason::TimedOut) => "timed-out",
                Some(CloseReason::Aborted) => "aborted",
            }
            .to_string(),
            "segment" => match self.disposition {
                None => "none".to_string(),
                Some(Disposition::Queued) => "queued".to_string(),
                Some(Disposition::Consumed) => "consumed".to_string(),
                Some(Disposition::Dropped(reason)) => format!("refused {}", reason.as_str()),
            },
            "cwnd" => controller.window_octets().to_string(),
            "ssthresh" if controller.ssthresh_octets() == u32::MAX => "none".to_string(),
            "ssthresh" => controller.ssthresh_octets().to_string(),
            "pace" => match controller.pacing_rate() {
                None => "none".to_string(),
                Some(rate) => rate.octets_per_second().to_string(),
            },
            "in_flight" => connection.in_flight().to_string(),
            "mss" => connection.mss().to_string(),
            "snd_wnd" => connection.snd_wnd.to_string(),
            "srtt" => connection.srtt().map_or("none".to_string(), in_ms),
            "rto" => in_ms(connection.cold.rtt.rto().get()),
            "queued" => connection.queued_octets().to_string(),
            "receivable" => connection.receivable_octets().to_string(),
            "received_all" => connection.receive_finished().to_string(),
            "held" => host.held().to_string(),
            "options" => {
                let offer = connection.options_in_force();
                let names = [
                    (offer.sack, "sackOK"),
                    (offer.timestamps, "TS"),
                    (offer.window_scale, "wscale"),
                ];
                let names: Vec<_> =
                    names.iter().filter(|(is, _)| *is).map(|(_, name)| *name).collect();
                if names.is_empty() { "none".to_string() } else { names.join("+") }
            }
            _ => match figure.strip_prefix("count ") {
                // The counters' own names, so that a new one needs no line here.
                Some(name) => counter(&format!("{:?}", host.counters), name)
                    .ok_or_else(|| format!("nothing is counted as `{name}`"))?,
                None => return Err(format!("no figure is called `{figure}`")),
            },
        })
    }
}

/// The peer's end, as seen from ours.
fn client() -> FlowKey {
    let Endpoints { local_port, remote_port, .. } = endpoints();
    FlowKey::from_ipv4(([192, 0, 2, 1], local_port), ([192, 0, 2, 2], remote_port))
}

fn counter(counters: &str, name: &str) -> Option<String> {
    let (_, behind) = counters.split_once(&format!(" {name}: "))?;
    Some(behind.chars().take_while(char::is_ascii_digit).collect())
}

/// RFC 9293 §3.3.2.
fn state_name(state: State) -> &'static str {
    match state {
        State::Closed => "CLOSED",
        State::SynSent => "SYN-SENT",
        State::SynReceived => "SYN-RECEIVED",
        State::Established => "ESTABLISHED",
        State::FinWait1 => "FIN-WAIT-1",
        State::FinWait2 => "FIN-WAIT-2",
        State::CloseWait => "CLOSE-WAIT",
        State::Closing => "CLOSING",
        State::LastAck => "LAST-ACK",
        State::TimeWait => "TIME-WAIT",
    }
}

/// A segment longer than `most` octets as a run of such; its flags are the last one's.
fn pieces(segment: &Segment, most: u32) -> Vec<Segment> {
    if segment.len <= most {
        return vec![segment.clone()];
    }
    let mut all = Vec::new();
    let mut sent = 0;
    while sent < segment.len {
        let len = most.max(1).min(segment.len - sent);
        let last = sent + len == segment.len;
        let flags = if last { segment.flags } else { Flags::ACK };
        all.push(Segment { flags, seq: segment.seq.wrapping_add(sent), len, ..segment.clone() });
        sent += len;
    }
    all
}

impl Sent {
    fn segment(&self) -> Segment {
        Segment::of(self, OUR_ISN, PEER_ISN)
    }
}
