//! The engine: cores, frames, and times.

use super::{no_repetition, or, plain};
use crate::document::Node;
use crate::fields::Fields;
use crate::limits::{
    BURST_MAX, CPU_MAX, DRAIN_TIMEOUT, FRAMES_HELD_MIN, FRAMES_MAX, FRAMES_PER_QUEUE,
    HEARTBEAT_LIMIT, PIPELINE_CORES_MIN,
};
use crate::problem::{Located, Problems};
use crate::schema::{Arrangement, Engine, Port};
use crate::value;

pub(super) fn read(node: Option<&Node>, ports: &[Port], problems: &mut Problems) -> Option<Engine> {
    let queues = ports.iter().fold(0, |sum: u32, port| sum.saturating_add(port.queues()));
    let frames_min = frames_min(queues);
    let default = Engine::default();
    let default = Engine { frames: default.frames.max(frames_min), ..default };
    let Some(node) = node else {
        return Some(default);
    };
    let mut fields = Fields::of(node, "engine", problems)?;
    let arrangement = fields.word("arrangement", problems);
    let cores =
        fields.list("cores", 1..=CPU_MAX, |text| value::integer(text, 0..=CPU_MAX), problems);
    if let Some(cores) = &cores {
        no_repetition("core", cores, problems);
    }
    arrangement_fits(arrangement, cores.as_deref(), ports, problems);
    let burst = fields.value("burst", |text| value::integer(text, 1..=BURST_MAX), problems);
    if let Some(Located { at, value: ..BURST_MAX }) = burst {
        problems.add(
            at,
            format!(
                "less than {BURST_MAX} in \"burst\" is not available in this version; give \
                 {BURST_MAX}, or leave it out"
            ),
        );
    }
    let idle = fields.word("idle", problems);
    let frames = fields.value("frames", |text| value::integer(text, 1..=FRAMES_MAX), problems);
    if let Some(Located { at, value: frames }) = frames
        && frames < frames_min
    {
        problems.add(
            at,
            format!(
                "\"frames\" cannot be {frames}; the rings of {queues} queue{} take {FRAMES_PER_QUEUE} \
                 each, and payload that waits for its acknowledgement {FRAMES_HELD_MIN}: give at \
                 least {frames_min}",
                if queues == 1 { "" } else { "s" }
            ),
        );
    }
    let drain_timeout =
        fields.value("drain_timeout", |text| value::duration(text, DRAIN_TIMEOUT), problems);
    let heartbeat_limit =
        fields.value("heartbeat_limit", |text| value::duration(text, HEARTBEAT_LIMIT), problems);
    fields.finish(problems);
    Some(Engine {
        arrangement: or(arrangement, default.arrangement),
        cores: cores.map_or(default.cores, plain),
        burst: or(burst, default.burst),
        idle: or(idle, default.idle),
        frames: or(frames, default.frames),
        drain_timeout: or(drain_timeout, default.drain_timeout),
        heartbeat_limit: or(heartbeat_limit, default.heartbeat_limit),
    })
}

/// Notes an arrangement that these cores and queues cannot be laid out in. `auto` always can.
fn arrangement_fits(
    arrangement: Option<Located<Arrangement>>,
    cores: Option<&[Located<usize>]>,
    ports: &[Port],
    problems: &mut Problems,
) {
    let Some(Located { at, value: arrangement }) = arrangement else { return };
    match arrangement {
        Arrangement::Auto => {}
        Arrangement::Pipeline => {
            if cores.is_none_or(|cores| cores.len() < PIPELINE_CORES_MIN) {
                problems.add(
                    at,
                    "\"arrangement\" cannot be pipeline with one core, as the first only receives and \
                     sends; give more \"cores\", or auto",
                );
            }
        }
        Arrangement::RunToCompletion => {
            let Some(port) = ports.iter().min_by_key(|port| port.queues()) else { return };
            let queues = port.queues();
            if let Some(first_idle) = cores.and_then(|cores| cores.get(queues as usize)) {
                problems.add(
                    first_idle.at,
                    format!(
                        "core {} has no queue to poll: with run-to-completion each core has its own \
                         of every port, and port \"{}\" has {queues}; give as many cores, more \
                         \"queues\", or arrangement pipeline",
                        first_idle.value, port.name
                    ),
                );
            }
        }
    }
}

/// Fewest frames that a lane with so many queues can work with.
fn frames_min(queues: u32) -> u32 {
    queues.saturating_mul(FRAMES_PER_QUEUE).saturating_add(FRAMES_HELD_MIN).min(FRAMES_MAX)
}
