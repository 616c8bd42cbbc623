//! What packet memory connections take, and what is on its way.

use ringroad_engine::port::af_xdp::frame_size_for;
use ringroad_engine::stage::idle_connection_octets;
use serde::Serialize;

use super::doubt::{Answer, Doubt, answer};
use super::interval::{Interval, Load};
use super::squares::{fit_most, median};

/// Frames that hold payload, and what stands behind them.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Memory {
    /// Of a connection that is open, on average.
    #[serde(serialize_with = "answer")]
    pub(super) frames_per_connection: Answer<f64>,
    /// Of a megabit that is sent and not acknowledged yet.
    #[serde(serialize_with = "answer")]
    pub(super) frames_per_megabit: Answer<f64>,
    /// Most at the end of any interval.
    pub(super) frames_most: f64,
    /// Of payload, on average of both legs [s].
    pub(super) round_trip_s: Option<f64>,
    pub(super) octets_per_frame: usize,
    /// Of tables, for each connection that may be open.
    pub(super) octets_per_connection: usize,
    /// Frames held at no load, by the model.
    base: f64,
}

impl Memory {
    /// `mtu`: of the ports [octets].
    pub(super) fn of(intervals: &[Interval], mtu: u32) -> Self {
        let seen: Vec<_> = intervals.iter().filter_map(|i| Some((i, i.in_flight?))).collect();
        let rows: Vec<_> =
            seen.iter().map(|(i, octets)| ([1.0, i.load.connections, *octets], i.frames)).collect();
        let fit = if rows.len() < INTERVALS_MIN { None } else { fit_most(&rows) };
        let too_few =
            Doubt::TooFew { what: "intervals with payload", have: rows.len(), need: INTERVALS_MIN };
        let known = |n: usize, what: &'static str| {
            let (fit, _) = fit.as_ref().ok_or_else(|| too_few.clone())?;
            let most = rows.iter().map(|(x, _)| x[n]).fold(0.0, f64::max);
            let least = rows.iter().map(|(x, _)| x[n]).fold(f64::INFINITY, f64::min);
            match fit.errors[n] {
                // What is always the same is as good as what is held at no load.
                Some(error)
                    if error <= ERROR_MAX * fit.coefficients[n] && most >= RANGE_MIN * least =>
                {
                    Ok(fit.coefficients[n])
                }
                _ => Err(Doubt::NotApart { what }),
            }
        };
        let round_trips = seen.iter().filter(|(i, _)| i.load.octets_per_second > 0.0);
        let round_trips = round_trips.map(|(i, octets)| octets / i.load.octets_per_second);
        Memory {
            frames_per_connection: known(1, "what a connection holds"),
            frames_per_megabit: known(2, "what is on its way").map(|each| each * MEGABIT),
            frames_most: intervals.iter().map(|i| i.frames).fold(0.0, f64::max),
            round_trip_s: median(round_trips),
            octets_per_frame: frame_size_for(mtu).unwrap_or_default(),
            octets_per_connection: idle_connection_octets(),
            base: fit.map_or(0.0, |(fit, _)| fit.coefficients[0]),
        }
    }

    /// Frames that a load holds. Payload on its way is bounded below by what it is made of: where it was
    /// not seen what it holds, it is counted as full frames of so many octets.
    pub(super) fn frames(&self, load: &Load, octets_per_packet: f64) -> f64 {
        let in_flight = load.octets_per_second * self.round_trip_s.unwrap_or(0.0);
        let per_octet = match &self.frames_per_megabit {
            Ok(each) => each / MEGABIT,
            Err(_) => 1.0 / octets_per_packet.max(1.0),
        };
        let of_connections = self.frames_per_connection.as_ref().unwrap_or(&0.0);
        self.base + of_connections * load.connections + per_octet * in_flight
    }
}

/// [octets]
const MEGABIT: f64 = 1e6 / 8.0;

const INTERVALS_MIN: usize = 12;

/// So many times the least, there has to be most.
const RANGE_MIN: f64 = 1.5;

/// A cost with a larger standard error, as a part of itself, is not known.
const ERROR_MAX: f64 = 0.5;

#[cfg(test)]
mod tests {
    use super::*;

    /// Half a frame for each connection, and one for each segment on its way.
    fn intervals(connections: impl Fn(u32) -> f64) -> Vec<Interval> {
        let interval = |n: u32| {
            let (connections, in_flight) = (connections(n), 14_480.0 * f64::from(n % 7));
            Interval {
                load: Load { connections, octets_per_second: 50.0 * in_flight, ..Load::default() },
                in_flight: Some(in_flight),
                frames: 5.0 + 0.5 * connections + in_flight / 1_448.0 + f64::from(n % 2),
                ..Interval::default()
            }
        };
        (1..40).map(interval).collect()
    }

    #[test]
    fn what_connections_hold_is_told_from_what_is_on_its_way() {
        let memory = Memory::of(&intervals(|n| 10.0 * f64::from(n % 5)), 1_500);
        assert!((memory.frames_per_connection.clone().unwrap() - 0.5).abs() < 0.05, "{memory:?}");
        let per_megabit = memory.frames_per_megabit.clone().unwrap();
        assert!((per_megabit / (125_000.0 / 1_448.0) - 1.0).abs() < 0.05, "{memory:?}");
        // In a fiftieth of a second, as was seen.
        let load = Load { connections: 100.0, octets_per_second: 1_448_000.0, ..Load::default() };
        let frames = memory.frames(&load, 1_448.0);
        assert!((frames - (5.5 + 50.0 + 20.0)).abs() < 3.0, "{frames}");
    }

    #[test]
    fn connections_that_never_vary_tell_nothing() {
        let memory = Memory::of(&intervals(|_| 10.0), 1_500);
        assert!(matches!(memory.frames_per_connection, Err(Doubt::NotApart { .. })), "{memory:?}");
        let few = Memory::of(&intervals(f64::from)[..5], 1_500);
        assert!(matches!(few.frames_per_megabit, Err(Doubt::TooFew { have: 5, .. })), "{few:?}");
    }
}
