//! What the shield decides: its cookies, and what it refuses.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use ringroad_ebpf::ShieldCounters;
use ringroad_engine::stage::monotonic;
use ringroad_engine::telemetry::Handshakes;
use serde::{Deserialize, Serialize};

/// Whether new connections are answered by SYN cookies.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Cookies {
    /// As in the configuration: auto, always or off.
    pub(crate) mode: String,
    pub(crate) lanes: Vec<LaneCookies>,
    /// Of the key in use [s].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) key_age_s: Option<u64>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct LaneCookies {
    pub(crate) on: bool,
    /// How long it has been so [s]; absent: always.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) for_s: Option<f64>,
    /// Connections whose client has yet to complete its handshake.
    pub(crate) half_open: u64,
}

/// What can be seen of the packets that the shield refused.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Refused {
    /// Taken since the start.
    pub(crate) samples: u64,
    /// Those that there was no room for.
    pub(crate) lost: u64,
    /// Most first, of the last minutes.
    pub(crate) worst: Vec<Source>,
}

/// Who sent packets that were refused for one reason.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Source {
    /// A prefix.
    pub(crate) source: String,
    pub(crate) verdict: String,
    /// Of the samples of late, from 0 to 1.
    pub(crate) share: f64,
}

impl Cookies {
    pub(super) fn write(&self, out: &mut String) {
        let Cookies { mode, lanes, key_age_s } = self;
        for (number, lane) in lanes.iter().enumerate() {
            let state = if lane.on { "on" } else { "off" };
            // Writing to a `String` cannot fail.
            let _ = write!(out, "cookies {mode}  lane {number}: {state}");
            if let Some(seconds) = lane.for_s {
                let _ = write!(out, " for {seconds:.0} s");
            }
            let _ = write!(out, ", {} half open", lane.half_open);
            let _ = match key_age_s {
                Some(age) => writeln!(out, "; key {age} s old"),
                None => writeln!(out),
            };
        }
    }
}

impl LaneCookies {
    pub(super) fn new(handshakes: &Handshakes) -> Self {
        let Handshakes { half_open, cookies, since } = *handshakes;
        let for_s = since.map(|since| monotonic().since(since).as_secs_f64());
        LaneCookies { on: cookies, for_s, half_open }
    }
}

impl Refused {
    pub(super) fn write(&self, out: &mut String) {
        let Refused { samples, lost, worst } = self;
        if *samples > 0 {
            let _ = writeln!(out, "refused  {samples} samples, {lost} lost");
        }
        for Source { source, verdict, share } in worst {
            let _ = writeln!(out, "        {:5.1} %  {source}  {verdict}", 100.0 * share);
        }
    }
}

pub(super) fn by_verdict(counters: &ShieldCounters) -> BTreeMap<String, u64> {
    counters.iter().map(|(verdict, count)| (verdict.name().to_owned(), count)).collect()
}
