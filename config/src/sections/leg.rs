//! How a service's connections on one side behave.

use super::or;
use crate::document::{Content, Node};
use crate::fields::Fields;
use crate::limits::{
    INITIAL_WINDOW, KEEPALIVE_PROBES, KEEPALIVE_TIME, MAX_WINDOW, MIN_WINDOW, RECEIVE_BUFFER,
    USER_TIMEOUT,
};
use crate::problem::{Located, Problems};
use crate::schema::{Algorithm, Ecn, Keepalive, Leg, Pacing};
use crate::value;

pub(super) fn read(node: &Node, name: &str, problems: &mut Problems) -> Option<Leg> {
    let mut fields = Fields::of(node, name, problems)?;
    let default = Leg::default();
    let congestion = fields.word("congestion", problems);
    let initial_window =
        fields.value("initial_window", |text| value::integer(text, INITIAL_WINDOW), problems);
    let min_window = fields.value("min_window", |text| value::integer(text, MIN_WINDOW), problems);
    let max_window = fields.value(
        "max_window",
        |text| value::or_word(text, "off", |text| value::integer(text, MAX_WINDOW)),
        problems,
    );
    let pacing = fields.word("pacing", problems);
    let ecn = fields.word("ecn", problems);
    let fast_open = match name {
        "client_leg" => fields.word("fast_open", problems),
        _ => None,
    };
    let receive_buffer_max =
        fields.value("receive_buffer_max", |text| value::integer(text, RECEIVE_BUFFER), problems);
    let mtu_probing = fields.word("mtu_probing", problems);
    let keepalive = match fields.node("keepalive") {
        Some(node) => keepalive(node, problems),
        None => default.keepalive,
    };
    let user_timeout = fields.value(
        "user_timeout",
        |text| value::or_word(text, "off", |text| value::duration(text, USER_TIMEOUT)),
        problems,
    );
    fields.finish(problems);
    let congestion = or(congestion, default.congestion);
    // RFC 8257 §3: marks are what it goes by.
    let needs_ecn = congestion == Algorithm::Dctcp;
    if needs_ecn && let Some(Located { at, value: Ecn::Off }) = ecn {
        problems.add(
            at,
            "congestion dctcp goes by ECN, and \"ecn\" is off; leave \"ecn\" out, or use another \
             algorithm",
        );
    }
    if congestion == Algorithm::Bbr
        && let Some(Located { at, value: Pacing::Off }) = pacing
    {
        problems.add(
            at,
            "congestion bbr sends by rate, and \"pacing\" is off; leave \"pacing\" out, or use \
             another algorithm",
        );
    }
    let most_at = max_window.as_ref().map(|located| located.at);
    let initial_window = or(initial_window, default.initial_window);
    let min_window = or(min_window, default.min_window);
    let max_window = or(max_window, default.max_window);
    if let (Some(at), Some(most)) = (most_at, max_window) {
        if most < min_window {
            problems.add(
                at,
                format!(
                    "max_window {most} is less than min_window {min_window}; give more, or a \
                     smaller least"
                ),
            );
        } else if most < initial_window {
            problems.add(
                at,
                format!(
                    "max_window {most} is less than initial_window {initial_window}; give more, \
                     or a smaller first window"
                ),
            );
        }
    }
    Some(Leg {
        congestion,
        initial_window,
        min_window,
        max_window,
        pacing: or(pacing, default.pacing),
        ecn: or(ecn, if needs_ecn { Ecn::On } else { default.ecn }),
        fast_open: or(fast_open, default.fast_open),
        receive_buffer_max: or(receive_buffer_max, default.receive_buffer_max),
        mtu_probing: or(mtu_probing, default.mtu_probing),
        keepalive,
        user_timeout: or(user_timeout, default.user_timeout),
    })
}

/// Keepalive, or none for `off`.
fn keepalive(node: &Node, problems: &mut Problems) -> Option<Keepalive> {
    if matches!(&node.content, Content::Text(text) if text == "off") {
        return None;
    }
    let mut fields = Fields::of(node, "keepalive", problems)?;
    let default = Keepalive::default();
    let time = |text: &str| value::duration(text, KEEPALIVE_TIME);
    let idle = fields.value("idle", time, problems);
    let interval = fields.value("interval", time, problems);
    let probes = fields.value("probes", |text| value::integer(text, KEEPALIVE_PROBES), problems);
    fields.finish(problems);
    Some(Keepalive {
        idle: or(idle, default.idle),
        interval: or(interval, default.interval),
        probes: or(probes, default.probes),
    })
}
