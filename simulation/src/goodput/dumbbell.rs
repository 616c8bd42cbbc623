//! Pairs of hosts that share one bottleneck.
//!
//! ```text
//!  source 0 ─┐                              ┌─▶ sink 0
//!  source 1 ─┼─▶ queue ═ rate ═ delay ══════┼─▶ sink 1
//!  source n ─┘                              └─▶ sink n
//!       ▲───────── each with a delay of its own ────┘
//! ```
//!
//! What sinks send comes back uncongested and in order, after the rest of its flow's round trip:
//! so flows can have round trips of different lengths through the same queue.

mod trace;

use std::time::Duration;

use ringroad_engine::random::Random;
use ringroad_engine::tcp::LegSettings;
use ringroad_engine::time::Instant;
use ringroad_engine::wire::tcp::SeqNum;

use crate::goodput::host::{Host, HostSettings, Segment, frames_for, room_for};
use crate::link::{Fate, Figures, Link, LinkSettings};
pub use trace::{Event, TextTrace, Trace, Traced};

/// One connection over the bottleneck.
#[derive(Clone, Copy, Debug)]
pub struct FlowSettings {
    /// The source's; the receive room of both sides is made large enough for the path.
    pub leg: LegSettings,
    /// The way there and back without any queue.
    pub round_trip: Duration,
    /// When it opens, after the beginning.
    pub starts_after: Duration,
}

/// Hosts, links and the time.
#[derive(Debug)]
pub struct Dumbbell {
    now: Instant,
    random: Random,
    bottleneck: Link<Segment>,
    settings: LinkSettings,
    flows: Vec<Flow>,
    trace: Option<Box<dyn Trace>>,
    events: u64,
}

#[derive(Debug)]
struct Flow {
    settings: FlowSettings,
    starts_at: Instant,
    ends: Ends,
    back: Link<Segment>,
}

/// The hosts that there are by now.
#[derive(Debug)]
struct Ends {
    source: Option<Host>,
    sink: Option<Host>,
}

/// What happens next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Next {
    ArrivalAtSink,
    ArrivalAtSource(usize),
    SourceDeadline(usize),
    SinkDeadline(usize),
    Start(usize),
}

/// When simulations begin: not at the epoch, which stands for "never" here and there.
const BEGINNING: Instant = Instant::from_millis(1_000);

impl Dumbbell {
    pub fn new(bottleneck: LinkSettings, flows: &[FlowSettings], seed: u64) -> Self {
        let mut random = Random::new(seed);
        let flows = flows.iter().map(|settings| Flow {
            settings: *settings,
            starts_at: BEGINNING + settings.starts_after,
            ends: Ends { source: None, sink: None },
            back: Link::new(
                LinkSettings::uncongested(settings.round_trip.saturating_sub(bottleneck.delay)),
                0,
            ),
        });
        Dumbbell {
            now: BEGINNING,
            flows: flows.collect(),
            settings: bottleneck,
            bottleneck: Link::new(bottleneck, random.draw()),
            random,
            trace: None,
            events: 0,
        }
    }

    /// Shows everything that happens from now on to `trace`.
    pub fn trace(&mut self, trace: impl Trace + 'static) {
        self.trace = Some(Box::new(trace));
    }

    /// Lets `time` pass.
    pub fn run(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let (at, next) = self.next();
            if at > end {
                self.now = end;
                return;
            }
            self.now = self.now.max(at);
            self.events += 1;
            self.happen(next);
        }
    }

    pub fn now(&self) -> Instant {
        self.now
    }

    /// Time since the beginning.
    pub fn elapsed(&self) -> Duration {
        self.now - BEGINNING
    }

    /// What the queue of the bottleneck has measured.
    pub fn figures(&self) -> &Figures {
        self.bottleneck.figures()
    }

    pub fn forget_figures(&mut self) {
        self.bottleneck.forget_figures();
    }

    /// Events so far.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// The source of a flow; `None` before it starts.
    pub fn source(&self, flow: usize) -> Option<&Host> {
        self.flows[flow].ends.source.as_ref()
    }

    /// The sink of a flow; `None` before SYN has arrived.
    pub fn sink(&self, flow: usize) -> Option<&Host> {
        self.flows[flow].ends.sink.as_ref()
    }

    /// What a flow has brought to its sink's application so far [octets].
    pub fn delivered(&self, flow: usize) -> u64 {
        self.sink(flow).map_or(0, Host::octets)
    }

    pub fn flow_count(&self) -> usize {
        self.flows.len()
    }

    /// Ends every connection, and checks that every frame comes home.
    pub fn end(mut self) {
        let now = self.now;
        for flow in &mut self.flows {
            flow.ends.source.take().into_iter().for_each(|host| host.end(now));
            flow.ends.sink.take().into_iter().for_each(|host| host.end(now));
        }
    }

    /// The next event, and of those that are due together the first in the order of [`Next`].
    fn next(&self) -> (Instant, Next) {
        let mut first = (self.bottleneck.next_arrival(), Next::ArrivalAtSink);
        for (n, flow) in self.flows.iter().enumerate() {
            let deadline =
                |host: &Option<Host>| host.as_ref().map_or(Instant::FAR_FUTURE, Host::deadline);
            let start = match flow.ends.source {
                None => flow.starts_at,
                Some(_) => Instant::FAR_FUTURE,
            };
            for candidate in [
                (flow.back.next_arrival(), Next::ArrivalAtSource(n)),
                (deadline(&flow.ends.source), Next::SourceDeadline(n)),
                (deadline(&flow.ends.sink), Next::SinkDeadline(n)),
                (start, Next::Start(n)),
            ] {
                if candidate.0 < first.0 {
                    first = candidate;
                }
            }
        }
        first
    }

    fn happen(&mut self, next: Next) {
        let now = self.now;
        match next {
            Next::ArrivalAtSink => {
                if let Some(segment) = self.bottleneck.deliver(now) {
                    self.at_sink(&segment);
                }
            }
            Next::ArrivalAtSource(n) => {
                if let Some(segment) = self.flows[n].back.deliver(now) {
                    self.with_source(n, |source, send| source.on_segment(now, &segment, send));
                }
            }
            Next::SourceDeadline(n) => {
                self.show(n, Event::SourceDeadline);
                self.with_source(n, |source, send| source.on_deadline(now, send));
            }
            Next::SinkDeadline(n) => self.with_sink(n, |sink, send| sink.on_deadline(now, send)),
            Next::Start(n) => {
                let isn = self.isn();
                let settings = self.host_settings(n);
                self.flows[n].ends.source = Some(Host::source(&settings, isn, now));
                self.with_source(n, |source, send| source.progress(now, send));
            }
        }
    }

    fn at_sink(&mut self, segment: &Segment) {
        let (n, now) = (segment.flow as usize, self.now);
        if self.flows[n].ends.sink.is_none() {
            let isn = self.isn();
            let settings = self.host_settings(n);
            self.flows[n].ends.sink = Some(Host::sink(&settings, segment, isn, now));
            return self.with_sink(n, |sink, send| sink.progress(now, send));
        }
        self.with_sink(n, |sink, send| sink.on_segment(now, segment, send));
    }

    /// What a source sends goes into the bottleneck.
    fn with_source(&mut self, n: usize, f: impl FnOnce(&mut Host, &mut dyn FnMut(Segment))) {
        let Dumbbell { now, bottleneck, flows, trace, .. } = self;
        let Flow { ends: Ends { source: Some(source), .. }, .. } = &mut flows[n] else { return };
        f(source, &mut |segment| {
            let fate = bottleneck.take(*now, segment);
            if let Some(trace) = trace {
                let event = match fate {
                    Fate::UnderWay => Event::Data(&segment),
                    Fate::Dropped => Event::Dropped(&segment),
                    Fate::Lost => Event::Lost(&segment),
                };
                trace.on_event(*now, n, event);
            }
        });
        self.show(n, Event::Turn);
    }

    /// What a sink sends goes straight back.
    fn with_sink(&mut self, n: usize, f: impl FnOnce(&mut Host, &mut dyn FnMut(Segment))) {
        let Dumbbell { now, flows, trace, .. } = self;
        let Flow { ends: Ends { sink: Some(sink), .. }, back, .. } = &mut flows[n] else { return };
        f(sink, &mut |segment| {
            back.take(*now, segment);
            if let Some(trace) = trace {
                trace.on_event(*now, n, Event::Acknowledgment(&segment));
            }
        });
    }

    #[inline]
    fn show(&mut self, n: usize, event: Event<'_>) {
        if self.trace.is_none() {
            return;
        }
        let queueing = self.bottleneck.queueing(self.now);
        if let (Some(trace), Some(source)) = (&mut self.trace, &self.flows[n].ends.source) {
            match event {
                Event::Turn => trace.on_turn(self.now, n, &Traced::of(source, self.now, queueing)),
                other => trace.on_event(self.now, n, other),
            }
        }
    }

    fn isn(&mut self) -> SeqNum {
        SeqNum(self.random.draw() as u32)
    }

    /// Hosts to which neither memory nor window are a limit.
    fn host_settings(&self, n: usize) -> HostSettings {
        let flow = &self.flows[n].settings;
        let path = u128::from(self.settings.rate_bps) * flow.round_trip.as_nanos() / 8_000_000_000;
        let room = room_for(path as u64, self.settings.queue_octets);
        HostSettings {
            leg: LegSettings { receive_room: room, ..flow.leg },
            frames: frames_for(u64::from(room)),
            flow: n as u32,
        }
    }
}

#[cfg(test)]
mod tests;
