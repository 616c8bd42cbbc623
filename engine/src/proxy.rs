//! Split TCP: two connections that serve one client, and what crosses between them.
//!
//! Owns the [`Pair`] and its two [`Leg`]s, the [`Service`]s and their origins, the headers in
//! front of TCP ([`Envelope`]), pairs that sleep ([`DormantPair`]) and connections in TIME-WAIT. Payload crosses as
//! [`crate::tcp::Chunk`]s, in the frames it arrived in; windows, the end of a stream and resets
//! cross with it. Knows nothing of how frames arrive. Start at [`Pair::shuttle`].

use std::net::{IpAddr, Ipv6Addr};

mod account;
mod dormant;
mod envelope;
mod fast_opens;
mod milestones;
mod pair;
pub mod proxy_protocol;
mod service;
mod shares;
mod source_ports;
mod spent_cookies;
mod table;
mod time_wait;
mod view;

pub use account::{LegAccount, LegPast};
pub use dormant::{DormantLeg, DormantPair};
pub use envelope::{Envelope, LinkPath};
pub use fast_opens::FastOpens;
pub use milestones::Milestones;
pub use pair::{Leg, LegPath, Pair, Phase, Side};
pub use service::{Fallback, Origin, OriginSettings, Service, ServiceSettings, cookie_service};
pub use shares::{NoSourcePort, require_source_ports};
pub use source_ports::SourcePorts;
pub use spent_cookies::{Fingerprint, SpentCookies};
pub use table::{DormantTable, PairTable, Table};
pub use time_wait::{TimeWaitTable, Waiting};
pub use view::{ConnectionView, LegView};

/// An IPv4 address as an IPv4-mapped one (RFC 4291 §2.5.5.2).
fn as_v6(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        IpAddr::V6(v6) => v6,
    }
}
