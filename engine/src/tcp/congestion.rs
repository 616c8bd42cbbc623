//! Congestion control: how much may be in flight.
//!
//! Pure algorithms behind one contract, [`CongestionControl`]: told what was acknowledged, what
//! was lost and when, they answer with a window. They hold no clock, allocate nothing and use
//! integers only, so that the same events always give the same window. What to retransmit, and
//! how to spread the reduction over a round trip, is recovery's matter, not theirs.
//!
//! A connection holds a [`Controller`], which is one of the algorithms. Start reading at
//! [`CongestionControl`], then `newreno`, then `cubic`, then `bbr`.

mod bbr;
mod credit;
mod cubic;
mod dctcp;
mod hystart;
mod newreno;
mod phase;
mod rate;
mod vegas;
mod window;

use std::time::Duration;

pub use bbr::Bbr;
pub use cubic::Cubic;
pub use dctcp::Dctcp;
pub use newreno::NewReno;
pub use phase::CongestionPhase;
pub use rate::Rate;
pub use vegas::Vegas;

use super::delivery_rate::RateSample;
use crate::limits::CONGESTION_STATE_MAX;
use crate::time::Instant;

/// What one ACK told us.
#[derive(Clone, Copy, Debug, Default)]
pub struct AckSample {
    /// Newly acknowledged, cumulatively or selectively [octets]; zero for a pure duplicate.
    pub acked_octets: u32,
    /// Newly presumed lost since the last call [octets].
    pub lost_octets: u32,
    /// In flight before this ACK (RFC 6675's pipe) [octets].
    pub in_flight_octets: u32,
    /// In flight now [octets].
    pub in_flight_after_octets: u32,
    /// The round trip that this ACK measured, if Karn's rule allowed it to.
    pub rtt: Option<Duration>,
    /// The smoothed round trip, this sample included.
    pub srtt: Option<Duration>,
    /// The shortest recent round trip, this sample included.
    pub min_rtt: Option<Duration>,
    /// How fast the path delivers, as measured by what this ACK acknowledged.
    pub rate: Option<RateSample>,
    pub now: Instant,
    /// Whether the window, not the application or the peer, has held sending back since the last
    /// round trip. A window that was not used has not been shown to be safe, so it does not grow.
    /// In slow start, using more than half of it counts: it is about to double.
    pub cwnd_limited: bool,
    /// The ACK echoed congestion experienced (ECE), and ECN is in force (RFC 3168 §6.1.2).
    pub ece: bool,
    /// Fast recovery was under way when the ACK arrived, or is now, or may be soon, as it only
    /// reports what lies behind a gap: the window does not grow for it (RFC 5681 §3.2, RFC 6582
    /// §3.2).
    pub in_recovery: bool,
}

/// What left.
#[derive(Clone, Copy, Debug)]
pub struct SendSample {
    /// Payload of the segment [octets].
    pub octets: u32,
    /// In flight before it [octets].
    pub in_flight_octets: u32,
    /// The application had nothing to send a moment ago, though the window had room.
    pub app_limited: bool,
    pub now: Instant,
}

/// The state of the connection when a loss was found.
#[derive(Clone, Copy, Debug)]
pub struct LossSample {
    /// In flight when the loss was found, what is now known to be lost included [octets]: RFC
    /// 5681's FlightSize.
    pub in_flight_octets: u32,
    pub now: Instant,
}

/// The state of the connection when the retransmission timer expired.
#[derive(Clone, Copy, Debug)]
pub struct TimeoutSample {
    /// Sent and not acknowledged [octets]: RFC 5681's FlightSize.
    pub in_flight_octets: u32,
    /// The timer has expired before for the same segment, which nothing has acknowledged since
    /// (RFC 5681 §3.1).
    pub is_repeated: bool,
    pub now: Instant,
}

/// The contract for all algorithms.
///
/// Inputs are events in the order in which the connection sees them. For one ACK: loss detection
/// first ([`on_loss`](Self::on_loss) if it finds one that begins a recovery,
/// [`on_spurious`](Self::on_spurious) if it finds that the last was none), then
/// [`on_recovery_exit`](Self::on_recovery_exit) if the ACK ends one, then
/// [`on_congestion_experienced`](Self::on_congestion_experienced) if it is to be obeyed, then
/// [`on_ack`](Self::on_ack). After any of them [`window_octets`](Self::window_octets) is at least
/// one segment and within the [`WindowBounds`]. No input makes them panic.
pub trait CongestionControl {
    /// Data was acknowledged. Between [`on_loss`](Self::on_loss) and
    /// [`on_recovery_exit`](Self::on_recovery_exit), and for the ACK that ends a recovery, the
    /// window of the loss-based algorithms does not grow.
    fn on_ack(&mut self, sample: &AckSample);

    /// Payload is being sent, for the first time or again.
    fn on_sent(&mut self, _sample: &SendSample) {}

    /// A loss was found by other means than the timer. Once per recovery episode: losses among
    /// data sent before the episode began belong to it (RFC 6582 §3.2, `recover`).
    fn on_loss(&mut self, sample: &LossSample);

    /// All data that was outstanding when a recovery began, by loss or by timeout, has been
    /// acknowledged. The connection continues with its window at the slow start threshold.
    fn on_recovery_exit(&mut self, now: Instant);

    /// The path marks packets instead of dropping them (RFC 3168 §6.1.2): react as to a loss, with
    /// nothing to repair. At most once per window of data.
    fn on_congestion_experienced(&mut self, sample: &LossSample);

    /// Nothing was lost in the last recovery, which a loss or a timeout had begun: the window, the
    /// threshold and what the algorithm had learnt are again as before it, or better.
    fn on_spurious(&mut self, now: Instant);

    /// The retransmission timer expired: everything in flight counts as lost.
    fn on_rto(&mut self, sample: &TimeoutSample);

    /// Data is about to be sent after nothing was sent for `gap`. Call whenever that may exceed
    /// the timeout; shorter gaps change nothing.
    fn on_idle_restart(&mut self, gap: IdleGap);

    /// The largest payload per segment is now `mss` octets: the handshake or path MTU discovery
    /// changed it.
    fn on_mss(&mut self, mss: u16);

    /// How much may be in flight (cwnd) [octets].
    fn window_octets(&self) -> u32;

    /// Where slow start ends [octets]; `u32::MAX` as long as nothing has set it.
    fn ssthresh_octets(&self) -> u32;

    /// Whether the window is below the threshold, so that it grows by what is acknowledged.
    fn in_slow_start(&self) -> bool {
        self.window_octets() < self.ssthresh_octets()
    }

    /// How fast to send. `None` leaves it to the pacer, which then goes by the window and the
    /// smoothed round trip.
    fn pacing_rate(&self) -> Option<Rate> {
        None
    }

    /// Whether the window is to be obeyed as it is during recovery; otherwise recovery spreads its
    /// reduction over a round trip (PRR, RFC 9937).
    fn manages_recovery(&self) -> bool {
        false
    }

    /// Whether the algorithm itself keeps sending below what the path takes, so that what is
    /// measured now says nothing about the path.
    fn limits_itself(&self) -> bool {
        false
    }

    /// What is worth keeping of a connection that falls asleep.
    fn remember(&self) -> Remembered;

    /// Continues, in a controller fresh from [`Controller::new`], from what was remembered.
    fn recall(&mut self, remembered: &Remembered);

    /// As in the configuration.
    fn name(&self) -> &'static str;

    /// Where in its cycle it is, for people.
    fn phase(&self) -> CongestionPhase;
}

/// A pause in sending, and the timeout that it is measured by.
#[derive(Clone, Copy, Debug)]
pub struct IdleGap {
    /// Since the last segment was sent.
    pub idle: Duration,
    /// The current retransmission timeout.
    pub rto: Duration,
}

/// What a connection keeps of its controller while it is asleep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Remembered {
    pub window_octets: u32,
    /// `u32::MAX` as long as nothing has set it.
    pub ssthresh_octets: u32,
    /// CUBIC's W_max; zero if there is none.
    pub w_max_octets: u32,
    /// BBR's max_bw [octets/s]; zero if there is none.
    pub bandwidth: u64,
}

const _: () = assert!(size_of::<Remembered>() <= 32);

/// Between which sizes the window stays, whatever happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct WindowBounds {
    /// At least one; a window that may not fall to one segment ignores RFC 5681 §3.1, which is for
    /// paths that are one's own.
    pub min_segments: u16,
    /// This many, or [`crate::limits::CONGESTION_WINDOW_MAX`] if that is less; never less than the least.
    pub max_segments: u32,
}

impl Default for WindowBounds {
    fn default() -> Self {
        WindowBounds { min_segments: 1, max_segments: u32::MAX }
    }
}

/// What a controller is made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameters {
    pub algorithm: Algorithm,
    /// Most payload per segment [octets].
    pub mss: u16,
    /// At least 1 and at most [`crate::limits::INITIAL_WINDOW_SEGMENTS_MAX`]; values beyond are
    /// taken as these.
    pub initial_window_segments: u32,
    pub bounds: WindowBounds,
    /// Segments leave at a pace, so that growing by much at once makes no burst.
    pub paced: bool,
    /// Where an algorithm picks times at random, they follow from this: different connections
    /// should have different ones.
    pub seed: u32,
}

/// The algorithms that can be configured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Algorithm {
    NewReno,
    #[default]
    Cubic,
    Bbr,
    Dctcp,
    Vegas,
}

/// The congestion controller of one connection.
#[derive(Clone, Debug)]
pub enum Controller {
    NewReno(NewReno),
    Cubic(Cubic),
    Bbr(Bbr),
    Dctcp(Dctcp),
    Vegas(Vegas),
}

impl Controller {
    /// A controller for a fresh connection.
    pub fn new(parameters: &Parameters) -> Self {
        match parameters.algorithm {
            Algorithm::NewReno => Controller::NewReno(NewReno::new(parameters)),
            Algorithm::Cubic => Controller::Cubic(Cubic::new(parameters)),
            Algorithm::Bbr => Controller::Bbr(Bbr::new(parameters)),
            Algorithm::Dctcp => Controller::Dctcp(Dctcp::new(parameters)),
            Algorithm::Vegas => Controller::Vegas(Vegas::new(parameters)),
        }
    }
}

/// Runs an expression on whichever algorithm it is.
macro_rules! each {
    ($controller:expr, $c:ident => $body:expr) => {
        match $controller {
            Controller::NewReno($c) => $body,
            Controller::Cubic($c) => $body,
            Controller::Bbr($c) => $body,
            Controller::Dctcp($c) => $body,
            Controller::Vegas($c) => $body,
        }
    };
}

impl CongestionControl for Controller {
    fn on_ack(&mut self, sample: &AckSample) {
        each!(self, c => c.on_ack(sample))
    }

    fn on_sent(&mut self, sample: &SendSample) {
        each!(self, c => c.on_sent(sample))
    }

    fn on_loss(&mut self, sample: &LossSample) {
        each!(self, c => c.on_loss(sample))
    }

    fn on_recovery_exit(&mut self, now: Instant) {
        each!(self, c => c.on_recovery_exit(now))
    }

    fn on_congestion_experienced(&mut self, sample: &LossSample) {
        each!(self, c => c.on_congestion_experienced(sample))
    }

    fn on_spurious(&mut self, now: Instant) {
        each!(self, c => c.on_spurious(now))
    }

    fn on_rto(&mut self, sample: &TimeoutSample) {
        each!(self, c => c.on_rto(sample))
    }

    fn on_idle_restart(&mut self, gap: IdleGap) {
        each!(self, c => c.on_idle_restart(gap))
    }

    fn on_mss(&mut self, mss: u16) {
        each!(self, c => c.on_mss(mss))
    }

    fn window_octets(&self) -> u32 {
        each!(self, c => c.window_octets())
    }

    fn ssthresh_octets(&self) -> u32 {
        each!(self, c => c.ssthresh_octets())
    }

    fn in_slow_start(&self) -> bool {
        each!(self, c => c.in_slow_start())
    }

    fn pacing_rate(&self) -> Option<Rate> {
        each!(self, c => c.pacing_rate())
    }

    fn manages_recovery(&self) -> bool {
        each!(self, c => c.manages_recovery())
    }

    fn limits_itself(&self) -> bool {
        each!(self, c => c.limits_itself())
    }

    fn remember(&self) -> Remembered {
        each!(self, c => c.remember())
    }

    fn recall(&mut self, remembered: &Remembered) {
        each!(self, c => c.recall(remembered))
    }

    fn name(&self) -> &'static str {
        each!(self, c => c.name())
    }

    fn phase(&self) -> CongestionPhase {
        each!(self, c => c.phase())
    }
}

const _: () = assert!(size_of::<Controller>() <= CONGESTION_STATE_MAX);

#[cfg(test)]
mod tests;
