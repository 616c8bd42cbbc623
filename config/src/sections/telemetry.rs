//! What is recorded on disk.

use std::time::Duration;

use super::or;
use crate::document::Node;
use crate::fields::{Expected, Fields};
use crate::limits::{RECORDING_INTERVAL, RECORDING_PAIRS, RECORDING_SIZE};
use crate::problem::Problems;
use crate::schema::Telemetry;
use crate::value;

pub(super) fn read(node: &Node, problems: &mut Problems) -> Option<Telemetry> {
    let mut fields = Fields::of(node, "telemetry", problems)?;
    let default = Telemetry::default();
    let directory =
        fields.value("directory", |text| value::or_word(text, "off", value::file_path), problems);
    let interval = fields.value("interval", interval, problems);
    let rotate = fields.value("rotate", |text| value::size(text, RECORDING_SIZE), problems);
    let keep = fields.value("keep", |text| value::integer(text, RECORDING_PAIRS), problems);
    fields.finish(problems);
    Some(Telemetry {
        directory: or(directory, default.directory),
        interval: or(interval, default.interval),
        rotate: or(rotate, default.rotate),
        keep: or(keep, default.keep),
    })
}

/// The engine is asked once a second: no interval has a part of one.
fn interval(text: &str) -> Result<Duration, Expected> {
    let interval = value::duration(text, RECORDING_INTERVAL)?;
    match interval.subsec_nanos() {
        0 => Ok(interval),
        _ => Err("give whole seconds".to_owned()),
    }
}
