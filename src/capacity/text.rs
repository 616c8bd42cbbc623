//! The answers as a page for people.

use std::fmt::Write as _;

use super::against::Against;
use super::answers::{Answers, AtLoad, Need};
use super::costs::{Cost, Costs, name};
use super::curve::{Curve, Knee};
use super::doubt::{Answer, Doubt};
use super::memory::Memory;

impl Answers {
    pub(super) fn to_text(&self) -> String {
        let mut out = String::new();
        // Writing to a `String` cannot fail.
        let recorded = &self.recorded;
        let _ = write!(out, "recorded  {} intervals", recorded.intervals);
        let _ = write!(out, " over {:.0} s", recorded.to - recorded.from);
        if let Some(highest) = &recorded.highest {
            let _ = write!(out, ", up to {} packets/s", short(highest.packets_per_second));
        }
        if recorded.overloaded > 0 {
            let _ = write!(out, "; overloaded in {}", recorded.overloaded);
        }
        if recorded.restarts > 0 {
            let _ = write!(out, "; counts fell {} times, between runs", recorded.restarts);
        }
        out.push('\n');
        self.costs.iter().for_each(|costs| write_costs(&mut out, costs));
        write_curve(&mut out, "p50", &self.p50);
        write_curve(&mut out, "p95", &self.p95);
        write_curve(&mut out, "p99", &self.p99);
        write_at(&mut out, "knee", &self.knee);
        if let Some(at) = &self.at_p99 {
            write_at(&mut out, "at that p99", at);
        }
        out.extend(self.outside.as_ref().map(outside));
        write_memory(&mut out, &self.memory);
        match &self.need {
            Some(Ok(need)) => write_need(&mut out, need),
            Some(Err(doubt)) => write_doubt(&mut out, "needed", doubt),
            None => {}
        }
        out
    }
}

/// The knee as whoever drove the load has seen it.
pub(super) fn outside(knee: &Answer<Knee>) -> String {
    let mut out = String::new();
    match knee {
        Ok(knee) => {
            let _ = writeln!(
                out,
                "outside  knee at {} ± {} requests/s, p50 {:.0} µs",
                short(knee.load),
                short(knee.error),
                knee.time_us
            );
        }
        Err(doubt) => write_doubt(&mut out, "outside", doubt),
    }
    out
}

/// How the proof went.
pub(super) fn against(against: &Answer<Against>) -> String {
    let mut out = String::new();
    match against {
        Ok(Against { predicted, measured, measured_error, off }) => {
            let _ = writeln!(
                out,
                "against  the other run's knee: {} packets/s predicted, {} ± {} measured, {:+.1} %",
                short(*predicted),
                short(*measured),
                short(*measured_error),
                100.0 * off
            );
        }
        Err(doubt) => write_doubt(&mut out, "against", doubt),
    }
    out
}

fn write_costs(out: &mut String, costs: &Answer<Costs>) {
    let costs = match costs {
        Ok(costs) => costs,
        Err(doubt) => return write_doubt(out, "costs", doubt),
    };
    let _ = writeln!(
        out,
        "{} ({} core{})  a turn {}, a packet {}, a new connection {}, 1000 octets {}",
        name(costs.role),
        costs.cores,
        if costs.cores == 1 { "" } else { "s" },
        nanos(costs.turn, 1.0),
        nanos(costs.packet, 1.0),
        nanos(costs.connection, 1.0),
        nanos(costs.octet, 1e3),
    );
    let _ = writeln!(
        out,
        "        so a packet by itself {:.0} ns, in a burst of 8 {:.0} ns, of 64 {:.0} ns; \
         R² {:.3} over {} intervals, {} left out",
        costs.packet_in_burst(1),
        costs.packet_in_burst(8),
        costs.packet_in_burst(64),
        costs.r_squared,
        costs.intervals,
        costs.left_out
    );
    for stage in &costs.stages {
        let _ = match (&stage.ns_per_packet, stage.cycles_per_packet) {
            (Ok(nanos), Some(cycles)) => {
                writeln!(out, "        {} {nanos:.0} ns/packet, {cycles:.0} cycles", stage.name)
            }
            (Ok(nanos), None) => writeln!(out, "        {} {nanos:.0} ns/packet", stage.name),
            (Err(doubt), _) => writeln!(out, "        unsupported: {doubt}"),
        };
    }
}

fn write_curve(out: &mut String, what: &str, curve: &Answer<Curve>) {
    match curve {
        Ok(curve) => {
            let _ = write!(out, "{what} inside [µs]  ");
            for n in 0..=SHOWN {
                let load =
                    curve.from() + (curve.to() - curve.from()) * f64::from(n) / f64::from(SHOWN);
                let _ = write!(out, "{:.0} at u = {load:.2}, ", curve.at(load));
            }
            let missed = 100.0 * curve.error;
            let _ = writeln!(
                out,
                "and half of the loads that it has not seen it misses by {missed:.0} % at most"
            );
        }
        Err(doubt) => write_doubt(out, &format!("{what} inside"), doubt),
    }
}

/// Parts that the loads of a curve are shown in.
const SHOWN: u32 = 6;

fn write_at(out: &mut String, what: &str, at: &Answer<AtLoad>) {
    let at = match at {
        Ok(at) => at,
        Err(doubt) => return write_doubt(out, what, doubt),
    };
    let _ = write!(out, "{what}  u = {:.2}", at.utilisation);
    if let Some(error) = at.utilisation_error {
        let _ = write!(out, " ± {error:.2}");
    }
    let _ = write!(out, ": {} packets/s", short(at.packets_per_second));
    if let Some(requests) = at.requests_per_second {
        let _ = write!(out, ", {} requests/s", short(requests));
    }
    let _ = writeln!(
        out,
        ", p50 {:.0} µs, p95 {:.0} µs, p99 {:.0} µs; head-room {:.2}",
        at.p50_us, at.p95_us, at.p99_us, at.head_room
    );
}

fn write_memory(out: &mut String, memory: &Memory) {
    let _ = writeln!(
        out,
        "memory  up to {:.0} frames of {} octets with payload; tables {} octets a connection",
        memory.frames_most, memory.octets_per_frame, memory.octets_per_connection
    );
    for (what, frames) in [
        ("a connection", &memory.frames_per_connection),
        ("a megabit on its way", &memory.frames_per_megabit),
    ] {
        let _ = match frames {
            Ok(frames) => writeln!(out, "        {what} holds {frames:.2} frames"),
            Err(doubt) => writeln!(out, "        {what}: unsupported: {doubt}"),
        };
    }
}

fn write_need(out: &mut String, need: &Need) {
    let load = &need.load;
    let _ = write!(
        out,
        "needed for {} packets/s, {} new connections/s, {} open, {} bit/s, at u = {:.2}:  ",
        short(load.packets_per_second),
        short(load.connections_per_second),
        short(load.connections),
        short(8.0 * load.octets_per_second),
        need.utilisation
    );
    for cores in &need.cores {
        let _ = write!(
            out,
            "{} {} cores ({:.2} at work), ",
            name(cores.role),
            cores.cores,
            cores.at_work
        );
    }
    let _ = writeln!(
        out,
        "{} frames with payload, {} octets of frames and {} of tables",
        short(need.frames),
        short(need.frame_octets),
        short(need.connection_octets)
    );
}

fn write_doubt(out: &mut String, what: &str, doubt: &Doubt) {
    let _ = writeln!(out, "{what}  unsupported: {doubt}");
}

fn nanos(cost: Cost, times: f64) -> String {
    let Some(error_ns) = cost.error_ns else { return "not told apart".to_owned() };
    let mut shown = format!("{:.0} ± {:.0} ns", times * cost.ns, times * error_ns);
    if let Some(cycles) = cost.cycles {
        // Writing to a `String` cannot fail.
        let _ = write!(shown, " ({:.0} cycles)", times * cycles);
    }
    shown
}

/// Three digits and a unit: 1.25k, 40.1M.
fn short(number: f64) -> String {
    let (number, unit) = match number.abs() {
        n if n >= 1e9 => (number / 1e9, "G"),
        n if n >= 1e6 => (number / 1e6, "M"),
        n if n >= 1e3 => (number / 1e3, "k"),
        _ => (number, ""),
    };
    let digits = match number.abs() {
        n if n >= 100.0 || (unit.is_empty() && n.fract() == 0.0) => 0,
        n if n >= 10.0 => 1,
        _ => 2,
    };
    format!("{number:.digits$}{unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        let shown = [0.0, 0.256, 64.0, 1_254.0, 40_120_000.0, 123.4e9].map(short);
        assert_eq!(shown, ["0", "0.26", "64", "1.25k", "40.1M", "123G"]);
    }
}
