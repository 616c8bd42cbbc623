//! One experiment: some sources over one bottleneck, and what was measured.

use std::time::Duration;

use ringroad_engine::tcp::congestion::Algorithm;
use ringroad_engine::tcp::{EcnPolicy, LegSettings};

use crate::goodput::dumbbell::{Dumbbell, FlowSettings};
use crate::goodput::host::{Host, PACKET};
use crate::link::{LinkSettings, Loss};

/// A bottleneck and those who share it.
#[derive(Clone, Debug)]
pub struct Scenario {
    pub rate_mbps: u32,
    /// What the bandwidth-delay product is reckoned with; flows may have others.
    pub round_trip_ms: u32,
    /// Tenths of the bandwidth-delay product; at least [`BUFFER_PACKETS_MIN`].
    pub buffer_tenths: u32,
    pub loss: Loss,
    /// How many of a million packets are overtaken by what leaves in the next eighth of a round
    /// trip.
    pub late_ppm: u32,
    pub sources: Vec<Source>,
    pub duration: Duration,
    /// What is measured begins after this much of the duration.
    pub warm_up: Duration,
}

/// One source of a [`Scenario`].
#[derive(Clone, Copy, Debug)]
pub struct Source {
    pub algorithm: Algorithm,
    pub round_trip_ms: u32,
    pub starts_after: Duration,
}

/// What was measured.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub flows: Vec<FlowOutcome>,
    /// After the warm-up.
    pub measured: Duration,
    /// Packets' wait in the queue, after the warm-up [µs].
    pub wait_us_mean: u64,
    pub wait_us_p95: u64,
    /// Packets that found the queue full, after the warm-up.
    pub dropped: u64,
    pub marked: u64,
    /// Events that were simulated.
    pub events: u64,
}

/// What was measured of one flow.
#[derive(Clone, Copy, Debug, Default)]
pub struct FlowOutcome {
    /// Delivered in order to the sink's application after the warm-up, and from the start [octets].
    pub octets: u64,
    pub octets_whole: u64,
    /// Over the whole duration.
    pub segments_sent: u64,
    pub retransmitted: u64,
    pub timeouts: u64,
}

/// The least that a queue holds, however little the path does [packets].
pub const BUFFER_PACKETS_MIN: u64 = 16;

/// The share of the bandwidth-delay product above which ECN-capable packets are marked: enough for
/// DCTCP to keep a link busy (Alizadeh et al., 2011, find a seventh); at least
/// [`MARK_PACKETS_MIN`].
const MARK_BDP_DIVISOR: u64 = 6;
const MARK_PACKETS_MIN: u64 = 8;

impl Scenario {
    /// What the path holds without a queue [octets].
    pub fn bdp_octets(&self) -> u64 {
        u64::from(self.rate_mbps) * u64::from(self.round_trip_ms) * 1_000 / 8
    }

    pub fn rate_bps(&self) -> u64 {
        u64::from(self.rate_mbps) * 1_000_000
    }

    /// The bottleneck as a link.
    pub fn bottleneck(&self) -> LinkSettings {
        let packet = u64::from(PACKET);
        let bdp = self.bdp_octets();
        let shortest = self.sources.iter().map(|source| source.round_trip_ms).min();
        LinkSettings {
            rate_bps: self.rate_bps(),
            // Half of the way; the acknowledgments have the other half.
            delay: Duration::from_millis(shortest.unwrap_or(0).into()) / 2,
            queue_octets: (bdp * u64::from(self.buffer_tenths) / 10)
                .max(BUFFER_PACKETS_MIN * packet),
            mark_octets: Some((bdp / MARK_BDP_DIVISOR).max(MARK_PACKETS_MIN * packet)),
            loss: self.loss,
            late_ppm: self.late_ppm,
            late_by: Duration::from_millis(self.round_trip_ms.into()) / 8,
        }
    }

    /// The simulation, at its beginning.
    pub fn build(&self) -> Dumbbell {
        let flows: Vec<FlowSettings> = self
            .sources
            .iter()
            .map(|source| FlowSettings {
                leg: leg(source.algorithm),
                round_trip: Duration::from_millis(source.round_trip_ms.into()),
                starts_after: source.starts_after,
            })
            .collect();
        Dumbbell::new(self.bottleneck(), &flows, self.seed())
    }

    /// Runs it to its end.
    pub fn run(&self) -> Outcome {
        self.measure(self.build())
    }

    /// Runs a simulation that [`Scenario::build`] has made.
    pub fn measure(&self, mut dumbbell: Dumbbell) -> Outcome {
        dumbbell.run(self.warm_up);
        dumbbell.forget_figures();
        let flows = 0..dumbbell.flow_count();
        let before: Vec<u64> = flows.clone().map(|n| dumbbell.delivered(n)).collect();
        dumbbell.run(self.duration - self.warm_up);
        let outcome = |n: usize| {
            let source = dumbbell.source(n);
            let counters = source.map(Host::counters);
            let octets_whole = dumbbell.delivered(n);
            FlowOutcome {
                octets: octets_whole - before[n],
                octets_whole,
                segments_sent: source.map_or(0, Host::segments_sent),
                retransmitted: counters.map_or(0, |counters| counters.retransmitted),
                timeouts: counters.map_or(0, |counters| counters.timeouts),
            }
        };
        let flows: Vec<FlowOutcome> = flows.map(outcome).collect();
        let figures = dumbbell.figures();
        let outcome = Outcome {
            flows,
            measured: self.duration - self.warm_up,
            wait_us_mean: figures.wait_us_mean(),
            wait_us_p95: figures.wait_us_p95(),
            dropped: figures.dropped,
            marked: figures.marked,
            events: dumbbell.events(),
        };
        dumbbell.end();
        outcome
    }

    /// The same for all algorithms, so that they meet the same losses.
    fn seed(&self) -> u64 {
        u64::from(self.rate_mbps) << 32 | u64::from(self.round_trip_ms)
    }
}

impl Outcome {
    /// Delivered payload of all flows after the warm-up, in per mille of `rate_bps`.
    pub fn goodput_permille(&self, rate_bps: u64) -> u64 {
        permille_of(self.flows.iter().map(|flow| flow.octets).sum(), rate_bps, self.measured)
    }

    /// What was sent again, of all that was sent, in hundredths of a percent.
    pub fn retransmitted_per_10000(&self) -> u64 {
        let again: u64 = self.flows.iter().map(|flow| flow.retransmitted).sum();
        let sent: u64 = self.flows.iter().map(|flow| flow.segments_sent).sum();
        again * 10_000 / sent.max(1)
    }

    pub fn timeouts(&self) -> u64 {
        self.flows.iter().map(|flow| flow.timeouts).sum()
    }

    /// Jain's index of the flows' goodput (Jain, Chiu, Hawe, 1984), in thousandths: 1000 if all
    /// have the same, 1000/n if one has all.
    pub fn jain_thousandths(&self) -> u64 {
        let kilo = |flow: &FlowOutcome| u128::from(flow.octets / 1_000);
        let sum: u128 = self.flows.iter().map(kilo).sum();
        let squares: u128 = self.flows.iter().map(|flow| kilo(flow) * kilo(flow)).sum();
        (1_000 * sum * sum / (squares * self.flows.len() as u128).max(1)) as u64
    }

    /// What the first flow has of all that was delivered, in per mille.
    pub fn first_share_permille(&self) -> u64 {
        let sum: u64 = self.flows.iter().map(|flow| flow.octets).sum();
        self.flows.first().map_or(0, |flow| flow.octets * 1_000 / sum.max(1))
    }
}

/// As an operator would have it who only chooses the algorithm. DCTCP is nothing without ECN.
fn leg(congestion: Algorithm) -> LegSettings {
    let ecn = match congestion {
        Algorithm::Dctcp => EcnPolicy::Ask,
        _ => EcnPolicy::Accept,
    };
    LegSettings { congestion, ecn, ..LegSettings::default() }
}

/// A number of octets within a time, in per mille of a rate.
pub fn permille_of(octets: u64, rate_bps: u64, time: Duration) -> u64 {
    let possible = u128::from(rate_bps) * time.as_nanos() / 8_000_000_000;
    (u128::from(octets) * 1_000 / possible.max(1)) as u64
}
