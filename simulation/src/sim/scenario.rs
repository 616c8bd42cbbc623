//! Which kinds of run there are, by name.

use std::fmt;
use std::str::FromStr;

use super::case::Case;
use super::make::Maker;

/// A kind of run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scenario {
    /// Anything of the others, in moderation.
    Mixed,
    /// Radio: loss in bursts, jitter, networks that come and go.
    LossyMobile,
    /// Long round trips, asymmetric rates, random loss.
    Satellite,
    /// Connections among SYNs, segments and fragments that nobody needs.
    Flood,
    /// Origins that read and write slowly.
    SlowOrigin,
    /// Origins that refuse, fall silent and come back.
    OriginFlap,
    /// Too few frames for what readers leave lying.
    MemoryPressure,
    /// Boxes on the way that meddle.
    Middlebox,
    /// Much bandwidth, and far away.
    LongFat,
}

impl Scenario {
    pub const ALL: [Scenario; 9] = [
        Scenario::Mixed,
        Scenario::LossyMobile,
        Scenario::Satellite,
        Scenario::Flood,
        Scenario::SlowOrigin,
        Scenario::OriginFlap,
        Scenario::MemoryPressure,
        Scenario::Middlebox,
        Scenario::LongFat,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Scenario::Mixed => "mixed",
            Scenario::LossyMobile => "lossy-mobile",
            Scenario::Satellite => "satellite",
            Scenario::Flood => "flood",
            Scenario::SlowOrigin => "slow-origin",
            Scenario::OriginFlap => "origin-flap",
            Scenario::MemoryPressure => "memory-pressure",
            Scenario::Middlebox => "middlebox",
            Scenario::LongFat => "long-fat",
        }
    }

    /// What it is about, in a line.
    pub fn about(self) -> &'static str {
        match self {
            Scenario::Mixed => "anything of the others, and faults of devices and operators",
            Scenario::LossyMobile => "radio: loss in bursts, jitter, networks that come and go",
            Scenario::Satellite => "long round trips, asymmetric rates, random loss",
            Scenario::Flood => "connections among floods of SYNs, ACKs, resets and garbage",
            Scenario::SlowOrigin => "origins that read and write slowly",
            Scenario::OriginFlap => "origins that refuse, fall silent, vanish and come back",
            Scenario::MemoryPressure => "too few frames for what readers leave lying",
            Scenario::Middlebox => "boxes that strip options, rewrite, clamp, split, and reset",
            Scenario::LongFat => "much bandwidth, and far away",
        }
    }

    /// The case of a seed.
    pub fn case(self, seed: u64) -> Case {
        Maker { scenario: self, seed }.case()
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Scenario {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Scenario::ALL
            .into_iter()
            .find(|each| each.name() == name)
            .ok_or_else(|| format!("there are {}", Scenario::ALL.map(Scenario::name).join(", ")))
    }
}
