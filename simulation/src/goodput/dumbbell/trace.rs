//! What happens, as text: to find out why a flow did what it did.

use std::fmt::Debug;
use std::io::Write;
use std::time::Duration;

use ringroad_engine::tcp::congestion::{CongestionPhase, Rate};
use ringroad_engine::time::Instant;
use ringroad_engine::wire::ip::Ecn;
use ringroad_engine::wire::tcp::Flags;

use crate::goodput::host::{Host, Segment};

/// Something that happened to a flow.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// The source sent a segment that goes its way.
    Data(&'a Segment),
    /// The source sent a segment that found the queue full.
    Dropped(&'a Segment),
    /// The source sent a segment that the path loses.
    Lost(&'a Segment),
    /// The sink sent a segment.
    Acknowledgment(&'a Segment),
    SourceDeadline,
    /// The source has done all that an event made it do.
    Turn,
}

/// The state of a source.
#[derive(Clone, Copy, Debug)]
pub struct Traced {
    pub congestion_window: u32,
    pub phase: CongestionPhase,
    pub in_flight: u32,
    /// `None` does not pace.
    pub pace: Option<Rate>,
    pub srtt: Option<Duration>,
    /// Of the last ten seconds.
    pub shortest: Option<Duration>,
    pub queueing: Duration,
    pub sent: u64,
    pub retransmitted: u64,
    pub timeouts: u64,
    pub fast_recoveries: u64,
}

impl Traced {
    pub(super) fn of(source: &Host, now: Instant, queueing: Duration) -> Self {
        let (view, counters) = (source.view(now), source.counters());
        Traced {
            congestion_window: view.congestion.window_octets,
            phase: view.congestion.phase,
            in_flight: view.congestion.in_flight_octets,
            pace: view.congestion.pacing_rate,
            srtt: view.round_trip.smoothed,
            shortest: view.round_trip.shortest,
            queueing,
            sent: source.segments_sent(),
            retransmitted: counters.retransmitted,
            timeouts: counters.timeouts,
            fast_recoveries: counters.fast_recoveries,
        }
    }
}

/// Somebody who is shown what happens.
pub trait Trace: Debug {
    fn on_event(&mut self, now: Instant, flow: usize, event: Event<'_>);

    /// A source is done with an event.
    fn on_turn(&mut self, now: Instant, flow: usize, source: &Traced);
}

/// A line for each segment and deadline, and one for the state of a source every `every`.
#[derive(Debug)]
pub struct TextTrace<W> {
    pub out: W,
    /// Whether segments are shown.
    pub segments: bool,
    pub every: Duration,
    next: Vec<Instant>,
}

impl<W: Write> TextTrace<W> {
    pub fn new(out: W, segments: bool, every: Duration) -> Self {
        TextTrace { out, segments, every, next: Vec::new() }
    }

    fn line(&mut self, now: Instant, flow: usize, text: &str) {
        let (s, us) = (now.as_micros() / 1_000_000, now.as_micros() % 1_000_000);
        // Nobody reads on: nothing to be done about it.
        let _ = writeln!(self.out, "{s}.{us:06} {flow} {text}");
    }
}

impl<W: Write + Debug> Trace for TextTrace<W> {
    fn on_event(&mut self, now: Instant, flow: usize, event: Event<'_>) {
        if !self.segments {
            return;
        }
        let text = match event {
            Event::Data(segment) => format!("> {}", describe(segment)),
            Event::Dropped(segment) => format!("> {} DROPPED", describe(segment)),
            Event::Lost(segment) => format!("> {} LOST", describe(segment)),
            Event::Acknowledgment(segment) => format!("< {}", describe(segment)),
            Event::SourceDeadline => "deadline".to_string(),
            Event::Turn => return,
        };
        self.line(now, flow, &text);
    }

    fn on_turn(&mut self, now: Instant, flow: usize, source: &Traced) {
        if self.next.len() <= flow {
            self.next.resize(flow + 1, Instant::ZERO);
        }
        if now < self.next[flow] {
            return;
        }
        self.next[flow] = now + self.every;
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        let pace = source.pace.map_or(0, |pace| pace.octets_per_second() / 125);
        let text = format!(
            "= cwnd {} in_flight {} phase {} pace {pace}kbit srtt {:.1}ms shortest {:.1}ms \
             queue {:.1}ms sent {} rexmit {} rto {} recoveries {}",
            source.congestion_window,
            source.in_flight,
            source.phase.name(),
            ms(source.srtt.unwrap_or_default()),
            ms(source.shortest.unwrap_or_default()),
            ms(source.queueing),
            source.sent,
            source.retransmitted,
            source.timeouts,
            source.fast_recoveries,
        );
        self.line(now, flow, &text);
    }
}

/// A segment as tcpdump would show it, numbers not made relative.
fn describe(segment: &Segment) -> String {
    let header = &segment.header;
    let mut text = String::new();
    for (bit, name) in [(Flags::SYN, 'S'), (Flags::FIN, 'F'), (Flags::RST, 'R'), (Flags::PSH, 'P')]
    {
        if header.flags.contains(bit) {
            text.push(name);
        }
    }
    text += &format!(
        " {}+{} ack {} win {}",
        header.sequence.0, segment.payload_len, header.acknowledgment.0, header.window
    );
    for block in header.options.sack.iter() {
        text += &format!(" sack {}-{}", block.left.0, block.right.0);
    }
    if segment.ecn == Ecn::CongestionExperienced {
        text += " CE";
    }
    text
}
