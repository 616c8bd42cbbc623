//! Where in its cycle a controller is: for people who look at it, never for decisions.

/// What a controller is doing. The first four are of those that go by loss (RFC 5681 §3), the others
/// are BBR's states (draft-ietf-ccwg-bbr-06 §5.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CongestionPhase {
    SlowStart,
    Avoidance,
    /// Repairing what was found lost; the window holds still.
    Recovery,
    /// Repairing after a timeout, in slow start.
    TimeoutRecovery,
    Startup,
    Drain,
    ProbeBwDown,
    ProbeBwCruise,
    ProbeBwRefill,
    ProbeBwUp,
    ProbeRtt,
}

impl CongestionPhase {
    pub const ALL: [CongestionPhase; 11] = [
        CongestionPhase::SlowStart,
        CongestionPhase::Avoidance,
        CongestionPhase::Recovery,
        CongestionPhase::TimeoutRecovery,
        CongestionPhase::Startup,
        CongestionPhase::Drain,
        CongestionPhase::ProbeBwDown,
        CongestionPhase::ProbeBwCruise,
        CongestionPhase::ProbeBwRefill,
        CongestionPhase::ProbeBwUp,
        CongestionPhase::ProbeRtt,
    ];

    /// As operators see it.
    pub const fn name(self) -> &'static str {
        match self {
            CongestionPhase::SlowStart => "slow_start",
            CongestionPhase::Avoidance => "avoidance",
            CongestionPhase::Recovery => "recovery",
            CongestionPhase::TimeoutRecovery => "timeout_recovery",
            CongestionPhase::Startup => "startup",
            CongestionPhase::Drain => "drain",
            CongestionPhase::ProbeBwDown => "probe_bw_down",
            CongestionPhase::ProbeBwCruise => "probe_bw_cruise",
            CongestionPhase::ProbeBwRefill => "probe_bw_refill",
            CongestionPhase::ProbeBwUp => "probe_bw_up",
            CongestionPhase::ProbeRtt => "probe_rtt",
        }
    }
}
