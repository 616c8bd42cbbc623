//! Limits on sources and on their prefixes.

use super::or;
use crate::document::{Content, Node};
use crate::fields::{Expected, Fields};
use crate::limits::{BYTE_RATE, PACKET_RATE};
use crate::problem::Problems;
use crate::schema::RateLimit;
use crate::value;

/// A limit, or none for `off`. `parts`: that on the sources that its prefixes are made of.
pub(super) fn read(
    node: &Node,
    name: &str,
    default: RateLimit,
    parts: Option<RateLimit>,
    problems: &mut Problems,
) -> Option<RateLimit> {
    if matches!(&node.content, Content::Text(text) if text == "off") {
        return None;
    }
    let mut fields = Fields::of(node, name, problems)?;
    let packets = |text: &str| value::integer(text, PACKET_RATE);
    let syn_per_second = fields.value("syn_per_second", packets, problems);
    let burst = fields.value("burst", packets, problems);
    let packets_per_second =
        fields.value("packets_per_second", |text| value::or_word(text, "off", packets), problems);
    let bytes_per_second = fields.value(
        "bytes_per_second",
        |text| value::or_word(text, "off", |text| value::integer(text, BYTE_RATE)),
        problems,
    );
    let prefix_v4 = fields.value(
        "prefix_v4",
        |text| prefix_length(text, 32, parts.map(|parts| parts.prefix_v4)),
        problems,
    );
    let prefix_v6 = fields.value(
        "prefix_v6",
        |text| prefix_length(text, 128, parts.map(|parts| parts.prefix_v6)),
        problems,
    );
    fields.finish(problems);
    Some(RateLimit {
        syn_per_second: or(syn_per_second, default.syn_per_second),
        burst: or(burst, default.burst),
        packets_per_second: or(packets_per_second, default.packets_per_second),
        bytes_per_second: or(bytes_per_second, default.bytes_per_second),
        prefix_v4: or(prefix_v4, default.prefix_v4),
        prefix_v6: or(prefix_v6, default.prefix_v6),
    })
}

/// Sources that are larger than its prefixes usually are have prefixes of their own size.
pub(super) fn per_prefix_default(source: RateLimit) -> RateLimit {
    let default = RateLimit::PER_PREFIX;
    RateLimit {
        prefix_v4: default.prefix_v4.min(source.prefix_v4),
        prefix_v6: default.prefix_v6.min(source.prefix_v6),
        ..default
    }
}

/// The length of a prefix, within an address of so many bits, and no longer than those of its parts.
fn prefix_length(text: &str, bits: u8, parts: Option<u8>) -> Result<u8, Expected> {
    let length = value::integer(text, 1..=bits)?;
    match parts {
        Some(parts) if length > parts => Err(format!(
            "a source in it has {parts} bits (per_source): give a whole number from 1 to {parts}"
        )),
        _ => Ok(length),
    }
}
