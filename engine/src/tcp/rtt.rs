//! Round-trip time and the retransmission timeout that follows from it (RFC 6298).
//!
//! All arithmetic is in integer microseconds. Which samples may be taken is the caller's to
//! decide: by Karn's rule never one of a segment that was sent twice, unless timestamps tell
//! which transmission was acknowledged (RFC 6298 §3). Start reading at [`RttEstimator`].

mod windowed_min;

use std::time::Duration;

use crate::limits::{MIN_RTT_WINDOW, RTO_INITIAL, RTO_MAX, RTO_MIN};
use crate::time::Instant;
use windowed_min::WindowedMin;

/// A retransmission timeout; always from [`RTO_MIN`] to [`RTO_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rto {
    us: u32,
}

impl Rto {
    /// RFC 6298 §2.1: before anything is measured.
    pub const INITIAL: Rto = Rto { us: RTO_INITIAL.as_micros() as u32 };

    /// RFC 6298 §5.7: what is used for data if the timer expired on the SYN.
    pub const AFTER_SYN_TIMEOUT: Rto = Rto { us: 3_000_000 };

    /// `wanted`, brought within bounds.
    pub fn clamped(wanted: Duration) -> Self {
        Rto { us: wanted.clamp(RTO_MIN, RTO_MAX).as_micros() as u32 }
    }

    pub const fn get(self) -> Duration {
        Duration::from_micros(self.us as u64)
    }

    /// Twice as long, up to [`RTO_MAX`] (RFC 6298 §5.5).
    #[must_use]
    pub fn doubled(self) -> Self {
        Rto::clamped(self.get() * 2)
    }
}

/// Smoothed round-trip time, its variation, its recent minimum, and the timeout.
#[derive(Clone, Debug)]
pub struct RttEstimator {
    /// SRTT in eighths of a microsecond, RTTVAR in quarters: the gains of RFC 6298 §2.3 become
    /// shifts that lose nothing. Both zero until there is a sample.
    srtt_us_eighths: u32,
    rttvar_us_quarters: u32,
    rto: Rto,
    minimum: Option<WindowedMin>,
}

impl RttEstimator {
    pub fn new() -> Self {
        RttEstimator { srtt_us_eighths: 0, rttvar_us_quarters: 0, rto: Rto::INITIAL, minimum: None }
    }

    /// Takes in one measured round trip and ends any backing off.
    ///
    /// May be called for every ACK. Note: RFC 7323 appendix G would then lower the gains; as the
    /// timeout always leaves [`RTO_MIN`] for variation, a shorter memory cannot make it tight.
    pub fn on_sample(&mut self, rtt: Duration, now: Instant) {
        // A round trip longer than the longest timeout says no more than that.
        let sample_us = rtt.min(RTO_MAX).as_micros().max(1) as u32;
        match &mut self.minimum {
            None => {
                // RFC 6298 §2.2: SRTT = R, RTTVAR = R/2.
                self.srtt_us_eighths = sample_us * 8;
                self.rttvar_us_quarters = sample_us * 2;
                self.minimum = Some(WindowedMin::new(sample_us, now));
            }
            Some(minimum) => {
                minimum.observe(sample_us, now, MIN_RTT_WINDOW);
                // RFC 6298 §2.3: RTTVAR first, with the old SRTT; gains 1/4 and 1/8.
                let deviation_us = (self.srtt_us_eighths / 8).abs_diff(sample_us);
                self.rttvar_us_quarters += deviation_us;
                self.rttvar_us_quarters -= (self.rttvar_us_quarters - deviation_us).div_ceil(4);
                self.srtt_us_eighths += sample_us;
                self.srtt_us_eighths -= (self.srtt_us_eighths - sample_us).div_ceil(8);
            }
        }
        self.rto = self.computed();
    }

    /// The timer expired: the next timeout is twice as long (RFC 6298 §5.5).
    pub fn on_timeout(&mut self) {
        self.rto = self.rto.doubled();
    }

    /// The handshake is done, but its timer had expired: the first data gets a timeout of at
    /// least three seconds, unless the handshake gave a sample (timestamps) (RFC 6298 §5.7).
    pub fn on_established_after_syn_timeout(&mut self) {
        if self.minimum.is_none() {
            self.rto = Rto::AFTER_SYN_TIMEOUT;
        }
    }

    /// New data was acknowledged without a sample (Karn's rule forbade it): the path works again,
    /// so what doubling has added goes. Without any sample so far the doubled value stays, as
    /// nothing better is known.
    pub fn on_progress(&mut self) {
        if self.minimum.is_some() {
            self.rto = self.computed();
        }
    }

    /// How long to wait for an ACK, backing off included.
    pub fn rto(&self) -> Rto {
        self.rto
    }

    /// SRTT; `None` until there is a sample.
    pub fn srtt(&self) -> Option<Duration> {
        self.minimum.as_ref()?;
        Some(Duration::from_micros(u64::from(self.srtt_us_eighths / 8)))
    }

    /// RTTVAR; `None` until there is a sample.
    pub fn rttvar(&self) -> Option<Duration> {
        self.minimum.as_ref()?;
        Some(Duration::from_micros(u64::from(self.rttvar_us_quarters / 4)))
    }

    /// The shortest round trip of the last [`MIN_RTT_WINDOW`]; `None` until there is a sample.
    pub fn min_rtt(&self) -> Option<Duration> {
        self.minimum.as_ref().map(|m| Duration::from_micros(u64::from(m.get())))
    }

    /// RFC 6298 §2.3: RTO = SRTT + max(G, 4 × RTTVAR).
    ///
    /// Note: in place of the clock's granularity G stands [`RTO_MIN`], which is far above it. On a
    /// steady path RTTVAR shrinks to nothing, and a peer that delays one ACK, as it may by up to
    /// half a second (RFC 9293 §3.8.6.3) and commonly does by up to 200 ms, would be taken for a
    /// loss.
    fn computed(&self) -> Rto {
        let spread_us = self.rttvar_us_quarters.max(RTO_MIN.as_micros() as u32);
        let rto_us = self.srtt_us_eighths / 8 + spread_us;
        Rto::clamped(Duration::from_micros(u64::from(rto_us)))
    }
}

impl Default for RttEstimator {
    fn default() -> Self {
        RttEstimator::new()
    }
}

#[cfg(test)]
mod tests;
