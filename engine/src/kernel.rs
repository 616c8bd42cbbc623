//! What Linux knows: addresses, routes, neighbours and MTUs, learnt over netlink.
//!
//! Linux is the control plane. What `ip addr`, `ip route` and `ip neigh` say holds here too, and
//! there is no second way to say it. A [`Watcher`] follows Linux and publishes immutable
//! snapshots ([`Routes`]); workers swap theirs between bursts and ask it for the [`Path`] to a
//! destination once per connection, or when its generation has changed. What is not resolved yet
//! Linux is asked to resolve ([`Resolver`]); this room never sends ARP or NDP of its own.
//!
//! Also here: keeping Linux off the ports that we connect from ([`ReservedPorts`], [`clashes`]),
//! the connections that Linux itself serves ([`connections`], [`SocketLookup`]),
//! and finding an interface by its name ([`interface`]), its queues ([`receive_queues`]), how packets
//! are spread over them ([`receive_side_scaling`]), its offloads ([`offloads`]) and what it can do with
//! XDP ([`xdp_support`]).
//!
//! Policy rules and tables other than `main` and `local` are not followed, nor are routes by type
//! of service or source prefix. Nexthop objects are followed as far as Linux describes them in
//! its routes (`net.ipv4.nexthop_compat_mode`, on by default); when one changes, the routes are read
//! again. An IPv6 MTU that a router advertised below the link's own is not seen; give the route one
//! (`ip route … mtu`).
//!
//! News of a change arrive within tens of microseconds, and within a millisecond or two while
//! tables are read whole: at start, when a link goes down, an address is taken away or a nexthop
//! object changes, when routes of equal rank change. What that reading finds takes two seconds for a
//! million routes, and some two milliseconds for a thousand.
//!
//! Start reading at [`Routes::path_to`], then [`Watcher::start`].

mod channels;
mod device;
mod generic_netlink;
mod host;
mod link;
mod neighbour;
mod netlink;
mod reserved_ports;
mod route;
mod routes;
mod rss;
mod simulated;
mod socket_lookup;
mod sockets;
#[cfg(test)]
mod tests;
mod watcher;

pub use channels::{ReceiveQueues, receive_queues};
pub use device::{Offloads, XdpSupport, offloads, xdp_support};
pub use host::{NoInterface, interface};
pub use link::{Address, Link, Vlan};
pub use neighbour::NextHop;
pub use reserved_ports::{Clash, ReservedPorts, ReservedPortsError, clashes};
pub use routes::{NoPath, Path, Routes};
pub use rss::receive_side_scaling;
pub use simulated::{Neighbour, RouteMetrics, SimulatedHost};
pub use socket_lookup::SocketLookup;
pub use sockets::{KernelConnection, connections};
pub use watcher::{KernelError, Resolver, Watcher, read_once};
