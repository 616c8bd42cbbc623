//! The snapshot, from synthetic messages; and the whole room against a real kernel, in network
//! namespaces of its own (`namespace`).
//!
//! VLAN devices are tested here only, so that kernels without them (8021q is often a module) can
//! run every test.

mod namespace;

use std::net::{IpAddr, Ipv4Addr};

use rtnetlink::packet_route::address::{AddressAttribute, AddressMessage};
use rtnetlink::packet_route::link::{
    InfoData, InfoKind, InfoVlan, LinkAttribute, LinkFlags, LinkInfo, LinkLayerType, LinkMessage,
    LinkXdp, VlanProtocol, XdpAttached,
};
use rtnetlink::packet_route::neighbour::{NeighbourAttribute, NeighbourMessage, NeighbourState};
use rtnetlink::packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteMetric, RouteNextHop, RouteType,
};
use rtnetlink::packet_route::{AddressFamily, RouteNetlinkMessage};

use super::route::Origin;
use super::routes::Effect;
use super::*;
use crate::limits::NEIGHBOURS_MAX;
use crate::wire::ethernet::MacAddr;

const OURS: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
const THEIRS: MacAddr = MacAddr([2, 0, 0, 0, 0, 2]);

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn family(address: IpAddr) -> AddressFamily {
    if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 }
}

fn link_message(ifindex: u32, name: &str, attributes: Vec<LinkAttribute>) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.header.index = ifindex;
    message.header.link_layer_type = LinkLayerType::Ether;
    message.header.flags = LinkFlags::Up | LinkFlags::LowerUp | LinkFlags::Running;
    message.attributes = vec![
        LinkAttribute::IfName(name.to_owned()),
        LinkAttribute::Mtu(1500),
        LinkAttribute::Address(OURS.0.to_vec()),
    ];
    message.attributes.extend(attributes);
    message
}

fn link(ifindex: u32, name: &str) -> RouteNetlinkMessage {
    RouteNetlinkMessage::NewLink(link_message(ifindex, name, Vec::new()))
}

fn vlan(ifindex: u32, name: &str, parent: u32, id: u16) -> RouteNetlinkMessage {
    let info = vec![
        LinkInfo::Kind(InfoKind::Vlan),
        LinkInfo::Data(InfoData::Vlan(vec![
            InfoVlan::Protocol(VlanProtocol::Ieee8021Q),
            InfoVlan::Id(id),
        ])),
    ];
    let attributes = vec![LinkAttribute::Link(parent), LinkAttribute::LinkInfo(info)];
    RouteNetlinkMessage::NewLink(link_message(ifindex, name, attributes))
}

fn address(ifindex: u32, text: &str, prefix_len: u8) -> RouteNetlinkMessage {
    let mut message = AddressMessage::default();
    message.header.family = family(ip(text));
    message.header.index = ifindex;
    message.header.prefix_len = prefix_len;
    message.attributes = vec![AddressAttribute::Address(ip(text))];
    RouteNetlinkMessage::NewAddress(message)
}

fn route_message(prefix: &str, attributes: Vec<RouteAttribute>) -> RouteMessage {
    let (destination, len) = prefix.split_once('/').unwrap();
    let mut message = RouteMessage::default();
    message.header.address_family = family(ip(destination));
    message.header.destination_prefix_length = len.parse().unwrap();
    message.header.table = RouteHeader::RT_TABLE_MAIN;
    message.header.kind = RouteType::Unicast;
    message.attributes = vec![RouteAttribute::Destination(RouteAddress::from(ip(destination)))];
    message.attributes.extend(attributes);
    message
}

fn route(prefix: &str, attributes: Vec<RouteAttribute>) -> RouteNetlinkMessage {
    RouteNetlinkMessage::NewRoute(route_message(prefix, attributes))
}

fn dev(ifindex: u32) -> RouteAttribute {
    RouteAttribute::Oif(ifindex)
}

fn via(gateway: &str) -> RouteAttribute {
    RouteAttribute::Gateway(RouteAddress::from(ip(gateway)))
}

fn neighbour(ifindex: u32, text: &str, state: NeighbourState, mac: MacAddr) -> RouteNetlinkMessage {
    let mut message = NeighbourMessage::default();
    message.header.family = family(ip(text));
    message.header.ifindex = ifindex;
    message.header.state = state;
    message.attributes = vec![
        NeighbourAttribute::Destination(match ip(text) {
            IpAddr::V4(address) => address.into(),
            IpAddr::V6(address) => address.into(),
        }),
        NeighbourAttribute::LinkLocalAddress(mac.0.to_vec()),
    ];
    RouteNetlinkMessage::NewNeighbour(message)
}

fn picture(messages: impl IntoIterator<Item = RouteNetlinkMessage>) -> Routes {
    let mut routes = Routes::default();
    for message in messages {
        routes.apply(&message, Origin::Dump);
    }
    routes
}

/// Which gateway a destination is sent to, resolved or not.
fn gateway(routes: &Routes, destination: &str) -> Option<String> {
    match routes.path_to(ip(destination)) {
        Ok(Path { next_hop, .. })
        | Err(NoPath::Unresolved(next_hop) | NoPath::Failed(next_hop)) => {
            Some(next_hop.address.to_string())
        }
        Err(_) => None,
    }
}

#[test]
fn a_path_needs_route_link_and_neighbour() {
    let gateway = NextHop { ifindex: 2, address: ip("10.0.0.1") };
    let mut routes = Routes::default();
    assert_eq!(routes.path_to(ip("192.0.2.1")), Err(NoPath::NoRoute));
    routes.apply(&route("0.0.0.0/0", vec![dev(2), via("10.0.0.1")]), Origin::Added);
    assert_eq!(routes.path_to(ip("192.0.2.1")), Err(NoPath::LinkDown { ifindex: 2 }));
    routes.apply(&link(2, "wan0"), Origin::Added);
    assert_eq!(routes.path_to(ip("192.0.2.1")), Err(NoPath::Unresolved(gateway)));
    routes.apply(
        &neighbour(2, "10.0.0.1", NeighbourState::Failed, MacAddr::default()),
        Origin::Added,
    );
    assert_eq!(routes.path_to(ip("192.0.2.1")), Err(NoPath::Failed(gateway)));
    routes.apply(&neighbour(2, "10.0.0.1", NeighbourState::Stale, THEIRS), Origin::Added);
    assert_eq!(
        routes.path_to(ip("192.0.2.1")),
        Ok(Path {
            ifindex: 2,
            vlan: None,
            source_mac: OURS,
            destination_mac: THEIRS,
            mtu: 1500,
            advmss: None,
            next_hop: gateway,
        })
    );
}

#[test]
fn a_vlan_device_is_its_parent_and_a_tag() {
    let mut routes = picture([
        link(2, "wan0"),
        vlan(7, "wan0.100", 2, 100),
        route("10.0.0.0/24", vec![dev(7)]),
        neighbour(7, "10.0.0.1", NeighbourState::Reachable, THEIRS),
    ]);
    let path = routes.path_to(ip("10.0.0.1")).unwrap();
    assert_eq!((path.ifindex, path.vlan), (2, Some(100)));
    assert_eq!(path.next_hop.ifindex, 7, "Linux knows the neighbour on the VLAN device");
    assert_eq!(routes.link(7).unwrap().vlan, Some(Vlan { parent: 2, id: 100 }));

    // The parent's cable is pulled.
    let mut down = link_message(2, "wan0", Vec::new());
    down.header.flags = LinkFlags::Up;
    routes.apply(&RouteNetlinkMessage::NewLink(down), Origin::Added);
    assert_eq!(routes.path_to(ip("10.0.0.1")), Err(NoPath::LinkDown { ifindex: 2 }));
}

#[test]
fn stacked_vlan_tags_are_refused_rather_than_sent_wrongly() {
    let routes = picture([
        link(2, "wan0"),
        vlan(7, "wan0.100", 2, 100),
        vlan(8, "wan0.100.5", 7, 5),
        route("10.0.0.0/24", vec![dev(8)]),
        neighbour(8, "10.0.0.1", NeighbourState::Reachable, THEIRS),
    ]);
    assert_eq!(routes.path_to(ip("10.0.0.1")), Err(NoPath::NotEthernet { ifindex: 8 }));
}

#[test]
fn a_bridge_ports_message_does_not_touch_the_link() {
    let mut routes = picture([link(2, "wan0")]);
    let mut message = link_message(2, "wan0", Vec::new());
    message.header.interface_family = AddressFamily::Bridge;
    assert_eq!(routes.apply(&RouteNetlinkMessage::DelLink(message), Origin::Added), Effect::NONE);
    assert!(routes.link_by_name("wan0").is_some());
}

#[test]
fn an_attached_xdp_program_is_seen() {
    let attached = |id| {
        let xdp = vec![LinkXdp::Attached(XdpAttached::Driver), LinkXdp::ProgId(id)];
        RouteNetlinkMessage::NewLink(link_message(2, "wan0", vec![LinkAttribute::Xdp(xdp)]))
    };
    let mut routes = picture([attached(41)]);
    assert_eq!(interface(&routes, "wan0").unwrap().xdp_program, Some(41));
    let none = LinkAttribute::Xdp(vec![LinkXdp::Attached(XdpAttached::None)]);
    routes.apply(&RouteNetlinkMessage::NewLink(link_message(2, "wan0", vec![none])), Origin::Added);
    assert_eq!(interface(&routes, "wan0").unwrap().xdp_program, None);
}

#[test]
fn a_misspelt_interface_is_answered_with_the_right_one() {
    let routes = picture([link(2, "enp3s0f0"), link(3, "lan0")]);
    let error = interface(&routes, "enp3sof0").unwrap_err().to_string();
    assert_eq!(error, "no interface is named \"enp3sof0\"; did you mean \"enp3s0f0\"?");
    let error = interface(&routes, "wlan17").unwrap_err().to_string();
    assert_eq!(error, "no interface is named \"wlan17\"; there are enp3s0f0, lan0");
}

#[test]
fn the_lowest_metric_wins_and_the_next_takes_over() {
    let worse =
        route_message("0.0.0.0/0", vec![dev(2), via("10.0.0.1"), RouteAttribute::Priority(200)]);
    let better =
        route_message("0.0.0.0/0", vec![dev(2), via("10.0.0.2"), RouteAttribute::Priority(100)]);
    let mut routes = picture([link(2, "wan0")]);
    for message in [&worse, &better] {
        let effect = routes.apply(&RouteNetlinkMessage::NewRoute(message.clone()), Origin::Added);
        assert_eq!(effect, Effect::CHANGED);
    }
    assert_eq!(gateway(&routes, "192.0.2.1").as_deref(), Some("10.0.0.2"));
    routes.apply(&RouteNetlinkMessage::DelRoute(better), Origin::Added);
    assert_eq!(gateway(&routes, "192.0.2.1").as_deref(), Some("10.0.0.1"));
    routes.apply(&RouteNetlinkMessage::DelRoute(worse), Origin::Added);
    assert_eq!(routes.path_to(ip("192.0.2.1")), Err(NoPath::NoRoute));
}

#[test]
fn multipath_spreads_by_weight_over_links_that_are_up() {
    let hop = |ifindex, address: &str, hops| {
        let mut hop = RouteNextHop::default();
        hop.interface_index = ifindex;
        hop.hops = hops;
        hop.attributes = vec![via(address)];
        hop
    };
    // Linux writes a weight of three as two.
    let hops = vec![hop(2, "10.0.2.1", 2), hop(3, "10.0.3.1", 0)];
    let mut routes = picture([
        link(2, "wan0"),
        link(3, "wan1"),
        route("0.0.0.0/0", vec![RouteAttribute::MultiPath(hops)]),
    ]);
    let by_first = |routes: &Routes| {
        (0..1000_u32)
            .map(|n| Ipv4Addr::from_bits(0xC000_0200 + n).to_string())
            .filter(|destination| gateway(routes, destination).as_deref() == Some("10.0.2.1"))
            .count()
    };
    let share = by_first(&routes);
    assert!((680..820).contains(&share), "{share} of 1000 by the hop of weight 3 of 4");
    assert_eq!(gateway(&routes, "192.0.2.1"), gateway(&routes, "192.0.2.1"));

    let mut down = link_message(3, "wan1", Vec::new());
    down.header.flags = LinkFlags::empty();
    let effect = routes.apply(&RouteNetlinkMessage::NewLink(down), Origin::Added);
    assert!(effect.read_again, "Linux takes the routes of a dead link out silently");
    assert_eq!(by_first(&routes), 1000);
}

#[test]
fn what_a_message_leaves_open_is_read_again() {
    let first = route_message("192.0.2.0/24", vec![dev(2), via("10.0.0.1")]);
    let second = route_message("192.0.2.0/24", vec![dev(2), via("10.0.0.2")]);
    let added = |routes: &mut Routes, message: &RouteMessage, origin| {
        routes.apply(&RouteNetlinkMessage::NewRoute(message.clone()), origin)
    };
    let mut routes = picture([link(2, "wan0")]);
    assert_eq!(added(&mut routes, &first, Origin::Added), Effect::CHANGED);
    assert_eq!(added(&mut routes, &first, Origin::Added), Effect::NONE, "told twice");
    // Appended or put first? The message does not say.
    assert_eq!(added(&mut routes, &second, Origin::Added), Effect::READ_AGAIN);
    // `ip route replace` is clear while there is one to replace.
    assert_eq!(added(&mut routes, &second, Origin::Replaced), Effect::CHANGED);
    assert_eq!(gateway(&routes, "192.0.2.1").as_deref(), Some("10.0.0.2"));
    // One hop of a route that Linux had merged.
    let effect = routes.apply(&RouteNetlinkMessage::DelRoute(first), Origin::Added);
    assert_eq!(effect, Effect::READ_AGAIN);
}

#[test]
fn the_link_local_prefix_of_every_link_is_kept() {
    let mut routes = picture([link(2, "wan0"), link(3, "lan0")]);
    for ifindex in [2, 3] {
        let message = route("fe80::/64", vec![dev(ifindex), RouteAttribute::Priority(256)]);
        assert_eq!(routes.apply(&message, Origin::Added), Effect::CHANGED);
    }
    let gone = route_message("fe80::/64", vec![dev(2), RouteAttribute::Priority(256)]);
    assert_eq!(routes.apply(&RouteNetlinkMessage::DelRoute(gone), Origin::Added), Effect::CHANGED);
    let expected = NextHop { ifindex: 3, address: ip("fe80::9") };
    assert_eq!(routes.path_to(ip("fe80::9")), Err(NoPath::Unresolved(expected)));
}

#[test]
fn other_tables_and_sources_are_left_alone() {
    let mut of_table = route_message("0.0.0.0/0", vec![dev(2), RouteAttribute::Table(1000)]);
    of_table.header.table = 252; // RT_TABLE_COMPAT: the number did not fit
    let mut of_source = route_message("::/0", vec![dev(2)]);
    of_source.header.source_prefix_length = 64;
    let routes = picture([
        link(2, "wan0"),
        RouteNetlinkMessage::NewRoute(of_table),
        RouteNetlinkMessage::NewRoute(of_source),
    ]);
    assert_eq!(routes.path_to(ip("192.0.2.1")), Err(NoPath::NoRoute));
    assert_eq!(routes.path_to(ip("2001:db8::1")), Err(NoPath::NoRoute));
}

#[test]
fn the_source_is_the_routes_or_the_links_nearest() {
    let source = RouteAttribute::PrefSource(RouteAddress::from(ip("10.0.0.9")));
    let routes = picture([
        link(1, "lo"),
        link(2, "wan0"),
        link(3, "lan0"),
        address(2, "10.0.0.2", 24),
        address(2, "10.0.5.2", 24),
        address(2, "2001:db8:1::2", 64),
        address(2, "2001:db8:2::2", 64),
        route("0.0.0.0/0", vec![dev(2), via("10.0.5.1")]),
        route("192.0.2.0/24", vec![dev(2), via("10.0.0.1"), source]),
        route("198.51.100.0/24", vec![dev(3)]),
        route("::/0", vec![dev(2), via("fe80::1")]),
    ]);
    let source_for =
        |destination: &str| routes.source_for(ip(destination)).map(|ip| ip.to_string());
    assert_eq!(source_for("203.0.113.1").as_deref(), Some("10.0.5.2"), "the gateway's subnet");
    assert_eq!(source_for("192.0.2.1").as_deref(), Some("10.0.0.9"), "the route's own");
    assert_eq!(source_for("198.51.100.1").as_deref(), Some("10.0.0.2"), "an unnumbered link");
    assert_eq!(source_for("2001:db8:2::9").as_deref(), Some("2001:db8:2::2"));
    assert_eq!(source_for("2001:db8:1::9").as_deref(), Some("2001:db8:1::2"));
}

#[test]
fn a_route_never_exceeds_its_links_mtu() {
    let mtu = |octets| RouteAttribute::Metrics(vec![RouteMetric::Mtu(octets)]);
    let metrics = vec![RouteMetric::Advmss(1200), RouteMetric::Mtu(1280)];
    let routes = picture([
        link(2, "wan0"),
        route("10.1.0.0/16", vec![dev(2), RouteAttribute::Metrics(metrics)]),
        route("10.2.0.0/16", vec![dev(2), mtu(9000)]),
        neighbour(2, "10.1.0.1", NeighbourState::Permanent, THEIRS),
        neighbour(2, "10.2.0.1", NeighbourState::Permanent, THEIRS),
    ]);
    assert_eq!(routes.path_to(ip("10.1.0.1")).unwrap().mtu, 1280);
    assert_eq!(routes.path_to(ip("10.2.0.1")).unwrap().mtu, 1500);
    let advmss = |to| routes.path_to(ip(to)).unwrap().advmss;
    assert_eq!((advmss("10.1.0.1"), advmss("10.2.0.1")), (Some(1200), None));
}

#[test]
fn a_neighbour_going_stale_is_not_news_but_a_new_address_is() {
    let mut routes = picture([neighbour(2, "10.0.0.1", NeighbourState::Reachable, THEIRS)]);
    let effect =
        routes.apply(&neighbour(2, "10.0.0.1", NeighbourState::Stale, THEIRS), Origin::Added);
    assert!(!effect.changed);
    assert_eq!(effect.stale, Some(NextHop { ifindex: 2, address: ip("10.0.0.1") }));
    let effect =
        routes.apply(&neighbour(2, "10.0.0.1", NeighbourState::Stale, OURS), Origin::Added);
    assert!(effect.changed);
}

#[test]
fn the_bound_on_neighbours_holds_and_is_told() {
    let nth = |n: usize| Ipv4Addr::from_bits(0x0A00_0000 + n as u32).to_string();
    let mut routes = picture(
        (0..NEIGHBOURS_MAX).map(|n| neighbour(2, &nth(n), NeighbourState::Reachable, THEIRS)),
    );
    assert_eq!((routes.neighbour_count(), routes.refused()), (NEIGHBOURS_MAX, 0));
    let more = neighbour(2, &nth(NEIGHBOURS_MAX), NeighbourState::Reachable, THEIRS);
    assert_eq!(routes.apply(&more, Origin::Added), Effect::REFUSED);
    assert_eq!((routes.neighbour_count(), routes.refused()), (NEIGHBOURS_MAX, 1));
}
