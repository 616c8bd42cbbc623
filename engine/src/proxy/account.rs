//! What a leg keeps of its past: for who looks at it, and for what is known of its path.

use super::Leg;
use crate::telemetry::PathSample;

/// What is kept also while the pair sleeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LegPast {
    /// Segments sent again, SYN and FIN included [segments].
    pub retransmitted: u32,
    /// Samples that the path was given of it.
    pub samples: u32,
    /// Presumed lost, as of the last sample [octets].
    pub lost_octets: u64,
}

/// The past, and how much of the present is in it.
#[derive(Clone, Copy, Debug, Default)]
pub struct LegAccount {
    pub past: LegPast,
    /// Of what the connection has counted since it was opened or last woke, what went into samples
    /// [octets].
    delivered_told: u64,
    lost_told: u64,
}

impl LegAccount {
    /// Of a leg that has just woken.
    pub fn of(past: LegPast) -> Self {
        LegAccount { past, ..LegAccount::default() }
    }
}

impl Leg {
    /// What the leg has seen of its path since this was last asked; `None` if nothing.
    pub fn take_sample(&mut self) -> Option<PathSample> {
        let (delivered, lost) = self.tcp.delivery_totals();
        let LegAccount { past, delivered_told, lost_told } = &mut self.account;
        // A connection that gives up counts from zero again.
        let delivered_octets = delivered.saturating_sub(*delivered_told);
        let lost_octets = lost.saturating_sub(*lost_told);
        (*delivered_told, *lost_told) = (delivered, lost);
        past.lost_octets += lost_octets;
        if delivered_octets + lost_octets == 0 {
            return None;
        }
        past.samples = past.samples.saturating_add(1);
        Some(PathSample {
            rtt: self.tcp.srtt()?,
            variation: self.tcp.rttvar()?,
            delivered_octets,
            lost_octets,
            rate: self.tcp.take_path_rate(),
        })
    }

    /// Presumed lost so far [octets].
    pub(super) fn lost_octets(&self) -> u64 {
        let (_, lost) = self.tcp.delivery_totals();
        self.account.past.lost_octets + lost.saturating_sub(self.account.lost_told)
    }
}
