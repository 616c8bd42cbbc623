//! What the shield lets through.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use ipnet::IpNet;

use super::{or, plain, rate_limit};
use crate::document::Node;
use crate::fields::Fields;
use crate::limits::{HALF_OPEN, PACKET_RATE, PREFIXES_MAX};
use crate::problem::{Located, Problems};
use crate::schema::{Pressure, RateLimit, Shield};
use crate::value;

pub(super) fn read(node: &Node, problems: &mut Problems) -> Option<Shield> {
    let mut fields = Fields::of(node, "shield", problems)?;
    let default = Shield::default();
    let syn_cookies = fields.word("syn_cookies", problems);
    let pressure = fields.node("pressure").and_then(|node| pressure(node, problems));
    let cookie_secret = fields.value(
        "cookie_secret",
        |text| value::or_word(text, "own", value::file_path),
        problems,
    );
    let fragments = fields.word("fragments", problems);
    let unknown_acks = fields.word("unknown_acks", problems);
    let deny = fields.list("deny", 0..=PREFIXES_MAX, value::prefix, problems);
    let allow = fields.list("allow", 0..=PREFIXES_MAX, value::prefix, problems);
    listed_once(&deny, &allow, problems);
    let per_source = fields.node("per_source").and_then(|node| {
        rate_limit::read(node, "per_source", RateLimit::PER_SOURCE, None, problems)
    });
    let source = per_source.unwrap_or(RateLimit::PER_SOURCE);
    let prefix = rate_limit::per_prefix_default(source);
    let per_prefix = match fields.node("per_prefix") {
        Some(node) => rate_limit::read(node, "per_prefix", prefix, Some(source), problems),
        None => per_source.and(Some(prefix)),
    };
    let unproven_syn_per_second = fields.value(
        "unproven_syn_per_second",
        |text| value::or_word(text, "off", |text| value::integer(text, PACKET_RATE)),
        problems,
    );
    fields.finish(problems);
    Some(Shield {
        syn_cookies: or(syn_cookies, default.syn_cookies),
        pressure: pressure.unwrap_or_default(),
        cookie_secret: or(cookie_secret, default.cookie_secret),
        fragments: or(fragments, default.fragments),
        unknown_acks: or(unknown_acks, default.unknown_acks),
        deny: deny.map_or(default.deny, plain),
        allow: allow.map_or(default.allow, plain),
        per_source,
        per_prefix,
        unproven_syn_per_second: or(unproven_syn_per_second, default.unproven_syn_per_second),
    })
}

fn pressure(node: &Node, problems: &mut Problems) -> Option<Pressure> {
    let mut fields = Fields::of(node, "pressure", problems)?;
    let default = Pressure::default();
    let syn_per_second =
        fields.value("syn_per_second", |text| value::integer(text, PACKET_RATE), problems);
    let half_open = fields.value("half_open", |text| value::integer(text, HALF_OPEN), problems);
    fields.finish(problems);
    Some(Pressure {
        syn_per_second: or(syn_per_second, default.syn_per_second),
        half_open: or(half_open, default.half_open),
    })
}

/// Notes each prefix that is in the lists already: of two the longer one counts, of the same none.
fn listed_once(
    deny: &Option<Vec<Located<IpNet>>>,
    allow: &Option<Vec<Located<IpNet>>>,
    problems: &mut Problems,
) {
    let mut seen = HashMap::new();
    for (name, list) in [("deny", deny), ("allow", allow)] {
        for Located { at, value: prefix } in list.iter().flatten() {
            match seen.entry(prefix) {
                Entry::Occupied(earlier) => {
                    let (name, line) = earlier.get();
                    problems.add(
                        *at,
                        format!(
                            "{prefix} is already in \"{name}\" (line {line}); give each prefix once"
                        ),
                    );
                }
                Entry::Vacant(place) => {
                    place.insert((name, at.line));
                }
            }
        }
    }
}
