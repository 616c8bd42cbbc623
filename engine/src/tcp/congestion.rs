//! Congestion control: how much may be in flight.
//!
//! Pure algorithms behind one contract, [`CongestionControl`]: told what was acknowledged, what
//! was lost and when, they answer with a window. They hold no clock, allocate nothing and use
//! integers only, so that the same events always give the same window. What to retransmit, and
//! how to spread the reduction over a round trip, is recovery's matter, not theirs.
//!
//! A connection holds a [`Controller`], which is one of the algorithms. Start reading at
//! [`CongestionControl`], then `newreno`, then `cubic`.

mod credit;
mod cubic;
mod hystart;
mod newreno;
mod window;

use std::time::Duration;

pub use cubic::Cubic;
pub use newreno::NewReno;

use crate::limits::CONGESTION_STATE_MAX;
use crate::time::Instant;

/// What one ACK told us.
#[derive(Clone, Copy, Debug)]
pub struct AckSample {
    /// Newly acknowledged, cumulatively or selectively [octets]; zero for a pure duplicate.
    pub acked_octets: u32,
    /// In flight before this ACK (RFC 6675's pipe) [octets].
    pub in_flight_octets: u32,
    /// The round trip that this ACK measured, if Karn's rule allowed it to.
    pub rtt: Option<Duration>,
    /// The smoothed round trip, this sample included.
    pub srtt: Option<Duration>,
    pub now: Instant,
    /// Whether the window, not the application or the peer, has held sending back since the last
    /// round trip. A window that was not used has not been shown to be safe, so it does not grow.
    /// In slow start, using more than half of it counts: it is about to double.
    pub cwnd_limited: bool,
}

/// The state of the connection when a loss was found.
#[derive(Clone, Copy, Debug)]
pub struct LossSample {
    /// In flight when the loss was found, what is now known to be lost included [octets]: RFC
    /// 5681's FlightSize.
    pub in_flight_octets: u32,
    pub now: Instant,
}

/// The contract for all algorithms.
///
/// Inputs are events in the order in which the connection sees them. For one ACK: loss detection
/// first ([`on_loss`](Self::on_loss) if it finds one that begins a recovery), then
/// [`on_recovery_exit`](Self::on_recovery_exit) if the ACK ends one, then
/// [`on_ack`](Self::on_ack). After any of them [`window_octets`](Self::window_octets) is at least
/// one segment and at most [`crate::limits::CONGESTION_WINDOW_MAX`]. No input makes them panic.
pub trait CongestionControl {
    /// New data was acknowledged. Between [`on_loss`](Self::on_loss) and
    /// [`on_recovery_exit`](Self::on_recovery_exit) the window does not grow.
    fn on_ack(&mut self, sample: &AckSample);

    /// A loss was found by other means than the timer. Once per recovery episode: losses among
    /// data sent before the episode began belong to it (RFC 6582 §3.2, `recover`).
    fn on_loss(&mut self, sample: &LossSample);

    /// The path is congested, and nothing was lost for it (RFC 3168 §6.1.2). At most once for each
    /// window of data.
    fn on_congestion_experienced(&mut self, sample: &LossSample) {
        self.on_loss(sample);
        self.on_recovery_exit(sample.now);
    }

    /// All data that was outstanding when a recovery began, by loss or by timeout, has been
    /// acknowledged. The connection continues with its window at the slow start threshold.
    fn on_recovery_exit(&mut self, now: Instant);

    /// The retransmission timer expired: everything in flight counts as lost.
    fn on_rto(&mut self, sample: &LossSample);

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

    /// As in the configuration.
    fn name(&self) -> &'static str;
}

/// A pause in sending, and the timeout that it is measured by.
#[derive(Clone, Copy, Debug)]
pub struct IdleGap {
    /// Since the last segment was sent.
    pub idle: Duration,
    /// The current retransmission timeout.
    pub rto: Duration,
}

/// The algorithms that can be configured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Algorithm {
    NewReno,
    #[default]
    Cubic,
}

/// The congestion controller of one connection.
#[derive(Clone, Debug)]
pub enum Controller {
    NewReno(NewReno),
    Cubic(Cubic),
}

impl Controller {
    /// A controller for a fresh connection. `initial_window_segments` is at least 1 and at most
    /// [`crate::limits::INITIAL_WINDOW_SEGMENTS_MAX`]; values beyond are taken as these.
    pub fn new(algorithm: Algorithm, mss: u16, initial_window_segments: u32) -> Self {
        match algorithm {
            Algorithm::NewReno => Controller::NewReno(NewReno::new(mss, initial_window_segments)),
            Algorithm::Cubic => Controller::Cubic(Cubic::new(mss, initial_window_segments)),
        }
    }
}

/// Runs an expression on whichever algorithm it is.
macro_rules! each {
    ($controller:expr, $c:ident => $body:expr) => {
        match $controller {
            Controller::NewReno($c) => $body,
            Controller::Cubic($c) => $body,
        }
    };
}

impl CongestionControl for Controller {
    fn on_ack(&mut self, sample: &AckSample) {
        each!(self, c => c.on_ack(sample))
    }

    fn on_loss(&mut self, sample: &LossSample) {
        each!(self, c => c.on_loss(sample))
    }

    fn on_recovery_exit(&mut self, now: Instant) {
        each!(self, c => c.on_recovery_exit(now))
    }

    fn on_rto(&mut self, sample: &LossSample) {
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

    fn name(&self) -> &'static str {
        each!(self, c => c.name())
    }
}

const _: () = assert!(size_of::<Controller>() <= CONGESTION_STATE_MAX);

#[cfg(test)]
mod tests;
