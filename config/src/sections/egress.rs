//! What connections to origins begin at.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;

use super::or;
use super::ports::check_port;
use crate::document::Node;
use crate::fields::Fields;
use crate::limits::EGRESS_RANGES_MAX;
use crate::problem::{Located, Position, Problems};
use crate::schema::{Egress, Port, Service};
use crate::value;

/// An egress, and where its source ports stand, or itself if they are left to the default.
pub(super) fn read(
    node: &Node,
    ports: &[Port],
    origins: &[Located<SocketAddr>],
    problems: &mut Problems,
) -> Option<(Egress, Position)> {
    let mut fields = Fields::of(node, "egress", problems)?;
    let port = fields.value("port", |text| value::or_word(text, "auto", value::name), problems);
    if let Some(Located { at, value: Some(port) }) = &port {
        check_port(*at, port, ports, problems);
    }
    let address =
        fields.value("address", |text| value::or_word(text, "auto", value::address), problems);
    let source_ports = fields.value("source_ports", value::source_ports, problems);
    fields.finish(problems);

    let default = Egress::default();
    let source_ports_at = source_ports.as_ref().map_or(node.at, |ports| ports.at);
    let egress = Egress {
        port: or(port, default.port),
        address: or(address, default.address),
        source_ports: or(source_ports, default.source_ports),
    };
    if let Some(Located { at, value: Some(address) }) = address
        && let Some(other) = origins.iter().find(|o| o.value.is_ipv4() != address.is_ipv4())
    {
        problems.add(
            at,
            format!(
                "egress address {address} is {}, but origin {} is not; leave \"address\" out \
                     to use the one that Linux routes by",
                if address.is_ipv4() { "IPv4" } else { "IPv6" },
                other.value
            ),
        );
    }
    Some((egress, source_ports_at))
}

/// Notes each service whose source ports make too many ranges of its egress address. Where the
/// address or the port is Linux's choice, this is found out at start.
pub(super) fn check_ranges(
    services: &[Service],
    source_ports_at: &[Position],
    ports: &[Port],
    problems: &mut Problems,
) {
    let mut ranges: HashMap<(&str, IpAddr), Vec<RangeInclusive<u16>>> = HashMap::new();
    for (service, at) in services.iter().zip(source_ports_at) {
        let Egress { port, address: Some(address), source_ports } = &service.egress else {
            continue;
        };
        let port = match (port, ports) {
            (Some(port), _) => port,
            (None, [only]) => &only.name,
            (None, _) => continue,
        };
        let of_address = ranges.entry((port, *address)).or_default();
        of_address.push(source_ports.clone());
        if separate(of_address) > EGRESS_RANGES_MAX {
            of_address.pop();
            problems.add(
                *at,
                format!(
                    "the source ports of service \"{}\" make more than {EGRESS_RANGES_MAX} separate \
                     ranges of egress address {address}; give services that share it ranges that \
                     touch, or the same",
                    service.name
                ),
            );
        }
    }
}

/// How many ranges are left when those that touch or overlap are joined. Sorts them.
fn separate(ranges: &mut [RangeInclusive<u16>]) -> usize {
    ranges.sort_unstable_by_key(|range| *range.start());
    let mut count = 0;
    let mut end = 0;
    for range in ranges {
        if count == 0 || u32::from(*range.start()) > u32::from(end) + 1 {
            count += 1;
        }
        end = end.max(*range.end());
    }
    count
}
