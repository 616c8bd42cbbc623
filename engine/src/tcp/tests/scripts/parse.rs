//! Scripts as text. `docs/testing.md` describes the language.

use std::time::Duration;

use super::segment::{Options, Segment};
use super::text::{Cursor, Fault, in_ms};
use crate::tcp::congestion::Algorithm;
use crate::tcp::ecn::EcnPolicy;
use crate::tcp::pacing::Pacing;
use crate::tcp::tests::host;
use crate::tcp::{Keepalive, LegSettings, MtuProbing, Offer};
use crate::wire::tcp::TcpOptions;

/// A whole script.
#[derive(Debug)]
pub(super) struct Script {
    pub(super) setup: Setup,
    pub(super) events: Vec<Event>,
}

/// What a script's connection is made with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Setup {
    pub(super) leg: LegSettings,
    pub(super) mss: u16,
    pub(super) default_mss: u16,
    /// What our SYN offers, if we open.
    pub(super) offer: Offer,
}

#[derive(Debug)]
pub(super) struct Event {
    /// Counted from one.
    pub(super) line: usize,
    pub(super) at: When,
    pub(super) what: What,
    /// As it was written, without the time.
    pub(super) text: String,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum When {
    /// After the event before it.
    After(Duration),
    /// Since the start.
    At(Duration),
}

#[derive(Debug)]
pub(super) enum What {
    /// `<`
    Arrives(Segment),
    /// `>`
    Leaves(Segment),
    /// `> probe`: one segment, though it is larger than the MSS.
    Probes(Segment),
    /// Nothing has left until now.
    Nothing,
    /// A handshake that the peer began, asking for ECN or not; it took `rtt` and ends now.
    Established {
        rtt: Duration,
        ecn: bool,
        options: TcpOptions,
    },
    /// We open.
    Connect,
    /// Payload is queued, in chunks of as many octets at most.
    Write {
        octets: u32,
        chunk: Option<u32>,
    },
    /// Everything in order is taken: as many octets, if the script says so.
    Read(Option<usize>),
    Room(u32),
    /// The room follows what is read, as behind a proxy.
    Tune,
    Finish,
    Abort,
    Mtu(u16),
    Unreachable,
    /// The owner gives the connection up, without a word to the peer.
    Release,
    /// What is sent stays with the device (`hold`), or is done with.
    Device {
        holds: bool,
    },
    /// `=`: what a figure is.
    Is {
        figure: String,
        value: String,
    },
}

/// What is wrong in which line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Error {
    pub(super) line: usize,
    pub(super) fault: Fault,
}

impl Script {
    pub(super) fn parse(text: &str) -> Result<Script, Error> {
        let mut script = Script { setup: Setup::default(), events: Vec::new() };
        for (index, text) in text.lines().enumerate() {
            let line = index + 1;
            let mut cursor = Cursor::new(text);
            if cursor.is_at_end() {
                continue;
            }
            script.read_line(line, &mut cursor).map_err(|fault| Error { line, fault })?;
        }
        Ok(script)
    }

    fn read_line(&mut self, line: usize, cursor: &mut Cursor<'_>) -> Result<(), Fault> {
        let before = *cursor;
        if cursor.takes_word("settings") {
            if !self.events.is_empty() {
                return before.fault("settings come before all else");
            }
            return self.setup.read(cursor);
        }
        let at = read_when(cursor)?;
        cursor.skip_space();
        let text = cursor.rest().to_string();
        let what = What::read(cursor)?;
        cursor.end()?;
        self.events.push(Event { line, at, what, text });
        Ok(())
    }
}

fn read_when(cursor: &mut Cursor<'_>) -> Result<When, Fault> {
    if cursor.takes("+") {
        return cursor.time().map(When::After);
    }
    match cursor.rest().starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        true => cursor.time().map(When::At),
        false => Ok(When::After(Duration::ZERO)),
    }
}

impl Default for Setup {
    /// As the scripts of [`host`]: windows that are followed by hand.
    fn default() -> Self {
        Setup {
            leg: host::settings(),
            mss: host::MSS,
            default_mss: host::endpoints().default_mss,
            offer: host::PLAIN,
        }
    }
}

impl Setup {
    fn read(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Fault> {
        loop {
            cursor.skip_space();
            let before = *cursor;
            let leg = &mut self.leg;
            match cursor.word() {
                "reno" => leg.congestion = Algorithm::NewReno,
                "cubic" => leg.congestion = Algorithm::Cubic,
                "bbr" => leg.congestion = Algorithm::Bbr,
                "dctcp" => leg.congestion = Algorithm::Dctcp,
                "vegas" => leg.congestion = Algorithm::Vegas,
                "pacing" => leg.pacing = read_pacing(cursor)?,
                "max_window" => leg.window_bounds.max_segments = cursor.number("the window")?,
                "min_window" => leg.window_bounds.min_segments = cursor.number("the window")?,
                "mtu_probing" => leg.mtu_probing = read_probing(cursor)?,
                "mss" => self.mss = cursor.number("the MSS")?,
                "default_mss" => self.default_mss = cursor.number("the default MSS")?,
                "room" => leg.receive_room = cursor.number("the room")?,
                "iw" => leg.initial_window_segments = cursor.number("the initial window")?,
                "handshake_retries" => leg.handshake_retries = cursor.number("the count")?,
                "data_retries" => leg.data_retries = cursor.number("the count")?,
                "keepalive" => {
                    let (idle, interval) = (cursor.time()?, cursor.time()?);
                    let probes = cursor.number("the number of probes")?;
                    leg.keepalive = Some(Keepalive { idle, interval, probes });
                }
                "ecn" => leg.ecn = read_policy(cursor)?,
                "user_timeout" => leg.user_timeout = Some(cursor.time()?),
                "fast_open" => leg.fast_open = true,
                "offer" => self.offer = read_offer(cursor)?,
                other => return before.fault(format!("no setting is called `{other}`")),
            }
            if !cursor.takes(",") {
                return cursor.end();
            }
        }
    }
}

fn read_pacing(cursor: &mut Cursor<'_>) -> Result<Pacing, Fault> {
    cursor.skip_space();
    let before = *cursor;
    match cursor.word() {
        "auto" => Ok(Pacing::Auto),
        "on" => Ok(Pacing::On),
        "off" => Ok(Pacing::Off),
        other => before.fault(format!("pacing is not `{other}`: auto, on, off")),
    }
}

fn read_probing(cursor: &mut Cursor<'_>) -> Result<MtuProbing, Fault> {
    cursor.skip_space();
    let before = *cursor;
    match cursor.word() {
        "off" => Ok(MtuProbing::Off),
        "auto" => Ok(MtuProbing::Auto),
        "on" => Ok(MtuProbing::On),
        other => before.fault(format!("the path's MTU is not probed `{other}`: off, auto, on")),
    }
}

fn read_policy(cursor: &mut Cursor<'_>) -> Result<EcnPolicy, Fault> {
    cursor.skip_space();
    let before = *cursor;
    match cursor.word() {
        "off" => Ok(EcnPolicy::Off),
        "accept" => Ok(EcnPolicy::Accept),
        "ask" => Ok(EcnPolicy::Ask),
        other => before.fault(format!("`{other}` is no policy for ECN: off, accept, ask")),
    }
}

fn read_offer(cursor: &mut Cursor<'_>) -> Result<Offer, Fault> {
    let mut offer = host::PLAIN;
    loop {
        cursor.skip_space();
        let before = *cursor;
        match cursor.word() {
            "sackOK" => offer.sack = true,
            "TS" => offer.timestamps = true,
            "wscale" => offer.window_scale = true,
            other => {
                return before.fault(format!("`{other}` cannot be offered: sackOK, TS, wscale"));
            }
        }
        if !cursor.takes("+") {
            return Ok(offer);
        }
    }
}

impl What {
    fn read(cursor: &mut Cursor<'_>) -> Result<What, Fault> {
        if cursor.takes("<") {
            return Segment::read(cursor).map(What::Arrives);
        }
        if cursor.takes(">") {
            if cursor.takes_word("probe") {
                return Segment::read(cursor).map(What::Probes);
            }
            return Segment::read(cursor).map(What::Leaves);
        }
        if cursor.takes("=") {
            return read_figure(cursor);
        }
        cursor.skip_space();
        let before = *cursor;
        Ok(match cursor.word() {
            "nothing" => What::Nothing,
            "established" => read_established(cursor)?,
            "connect" => What::Connect,
            "write" => {
                let octets = cursor.number("the octets to write")?;
                let chunk = match cursor.takes_word("in") {
                    true => Some(cursor.number("the octets of a chunk")?),
                    false => None,
                };
                What::Write { octets, chunk }
            }
            "read" if cursor.is_at_end() => What::Read(None),
            "read" => What::Read(Some(cursor.number("the octets to read")?)),
            "room" => What::Room(cursor.number("the room")?),
            "tune" => What::Tune,
            "finish" => What::Finish,
            "abort" => What::Abort,
            "mtu" => What::Mtu(cursor.number("the MTU")?),
            "unreachable" => What::Unreachable,
            "release" => What::Release,
            "device" if cursor.takes_word("holds") => What::Device { holds: true },
            "device" => {
                cursor.expect("completes")?;
                What::Device { holds: false }
            }
            "" => return before.fault("`<`, `>`, `=` or a call is missing here"),
            other => return before.fault(format!("no call is named `{other}`")),
        })
    }
}

fn read_established(cursor: &mut Cursor<'_>) -> Result<What, Fault> {
    let rtt = match cursor.rest().trim_start().starts_with(|c: char| c.is_ascii_digit()) {
        true => cursor.time()?,
        false => Duration::from_millis(10),
    };
    let ecn = cursor.takes_word("ecn");
    let options = match cursor.rest().trim_start().starts_with('<') {
        true => Segment::read_list(cursor)?,
        false => Options::Unsaid,
    };
    Ok(What::Established { rtt, ecn, options: options.listed() })
}

/// `= state FIN-WAIT-1`, `= cwnd 10000`, `= srtt 10ms`, `= count timeouts 1` …
fn read_figure(cursor: &mut Cursor<'_>) -> Result<What, Fault> {
    cursor.skip_space();
    let before = *cursor;
    let mut figure = cursor.word().to_string();
    if figure == "count" {
        figure = format!("count {}", cursor.word());
    }
    cursor.skip_space();
    let value = match figure.as_str() {
        "" => return before.fault("a figure is missing here"),
        "srtt" | "rto" if !cursor.rest().starts_with("none") => in_ms(cursor.time()?),
        _ => cursor.run(|_| true).to_string(),
    };
    if value.is_empty() {
        return cursor.fault(format!("what `{figure}` should be is missing here"));
    }
    Ok(What::Is { figure, value })
}
