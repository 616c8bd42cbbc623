//! A connection for people: three lines, in the words of `ss -ti` where it has some.

use std::fmt::Write as _;

use super::shown::{Connection, Leg, Timers};

pub(crate) fn of(connection: &Connection) -> String {
    let mut out = format!(
        "{}  {}  age {}  idle {}",
        connection.service,
        connection.worker,
        seconds(connection.age_s),
        seconds(connection.idle_s)
    );
    if let Some(side) = &connection.handshake {
        let _ = write!(out, "  handshake with the {side}");
    }
    if connection.dormant {
        out += "  dormant";
    }
    out.push('\n');
    for (side, leg) in [("client", &connection.client), ("origin", &connection.origin)] {
        if let Some(leg) = leg {
            let _ = writeln!(out, "  {side} {}", line(leg));
        }
    }
    out
}

fn line(leg: &Leg) -> String {
    let mut words = vec![
        format!("{} {}>{}", leg.state, leg.local, leg.remote),
        format!("{}:{}", leg.congestion, leg.phase),
        format!("cwnd:{}", octets(leg.cwnd_bytes.into())),
    ];
    if let Some(ssthresh) = leg.ssthresh_bytes {
        words.push(format!("ssthresh:{}", octets(ssthresh.into())));
    }
    words.push(format!("in_flight:{}", octets(leg.in_flight_bytes.into())));
    if let (Some(rtt), Some(rttvar), Some(min)) = (leg.rtt_us, leg.rttvar_us, leg.min_rtt_us) {
        words.push(format!("rtt:{}/{}", millis(rtt), millis(rttvar)));
        words.push(format!("minrtt:{}", millis(min)));
    }
    words.push(format!("rto:{}", millis(leg.rto_us)));
    if leg.retries > 0 {
        words.push(format!("backoff:{}", leg.retries));
    }
    words.push(format!("mss:{} pmtu:{}", leg.mss_bytes, leg.pmtu_bytes));
    if let Some(scale) = leg.window_scale {
        words.push(format!("wscale:{},{}", scale.send, scale.receive));
    }
    for (agreed, word) in [(leg.sack, "sack"), (leg.timestamps, "ts"), (leg.ecn, "ecn")] {
        if agreed {
            words.push(word.to_owned());
        }
    }
    words.push(format!("snd_wnd:{}", octets(leg.send_window_bytes.into())));
    words.push(format!("rcv_wnd:{}", octets(leg.receive_window_bytes.into())));
    words.push(format!("sent:{} acked:{}", octets(leg.sent_bytes), octets(leg.acked_bytes)));
    words.push(format!("received:{}", octets(leg.received_bytes)));
    if leg.retransmitted_segments > 0 || leg.lost_bytes > 0 {
        words.push(format!("retrans:{}", leg.retransmitted_segments));
        words.push(format!("lost:{}", octets(leg.lost_bytes)));
    }
    if leg.reordering {
        words.push("reordering".to_owned());
    }
    if let Some(rate) = leg.delivery_rate_bps {
        words.push(format!("delivery:{}", bps(rate)));
        if leg.app_limited {
            words.push("app_limited".to_owned());
        }
    }
    if let Some(rate) = leg.pacing_rate_bps {
        words.push(format!("pacing:{}", bps(rate)));
    }
    if leg.queued_frames > 0 {
        words.push(format!("queued:{}/{}", octets(leg.queued_bytes.into()), leg.queued_frames));
    }
    if leg.received_frames > 0 {
        words.push(format!("received_frames:{}", leg.received_frames));
    }
    words.push(format!("limited:{}", leg.limited_by));
    words.extend(timers(&leg.timers_ms));
    if let Some(quality) = leg.quality {
        words.push(format!("score:{:.0}/{:.2}", quality.score, quality.confidence));
    }
    words.join(" ")
}

fn timers(timers: &Timers) -> Option<String> {
    let all = [
        ("rto", timers.retransmission),
        ("ack", timers.delayed_ack),
        ("recovery", timers.recovery),
        ("pace", timers.pacing),
        ("keepalive", timers.keepalive),
    ];
    let due = all.into_iter().filter_map(|(name, within)| Some((name, within?)));
    let due: Vec<_> = due.map(|(name, within)| format!("{name} in {within:.1}ms")).collect();
    (!due.is_empty()).then(|| format!("timers:({})", due.join(", ")))
}

fn seconds(seconds: f64) -> String {
    match seconds {
        ..60.0 => format!("{seconds:.1}s"),
        ..3600.0 => format!("{:.1}m", seconds / 60.0),
        _ => format!("{:.1}h", seconds / 3600.0),
    }
}

fn millis(micros: u64) -> String {
    format!("{:.3}ms", micros as f64 / 1e3)
}

/// Exact up to what five digits say.
fn octets(octets: u64) -> String {
    multiple(octets, "")
}

fn bps(rate: u64) -> String {
    multiple(rate, "bit/s")
}

fn multiple(value: u64, unit: &str) -> String {
    let (factor, prefix) = match value {
        ..100_000 => return format!("{value}{unit}"),
        ..10_000_000 => (1e3, "k"),
        ..10_000_000_000 => (1e6, "M"),
        _ => (1e9, "G"),
    };
    format!("{:.1}{prefix}{unit}", value as f64 / factor)
}
